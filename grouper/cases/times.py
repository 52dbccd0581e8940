"""Times of a case, which may arrive in any unit and zone."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def on_one_clock(first: pa.Array, last: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Two columns of times as timestamp[us] that may be compared and subtracted.

    Times with zones are instants; where only one column names a zone, its wall time counts.
    """
    mixed = (first.type.tz is None) != (last.type.tz is None)

    def plain(times: pa.Array) -> pa.Array:
        if mixed and times.type.tz is not None:
            times = pc.local_timestamp(times)
        return times.cast(pa.timestamp("us"), safe=False)

    return plain(first), plain(last)
