"""The table ``odd_codes`` of a run: unknown, retired and grey codes by hospital."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from grouper.oddcodes import count_odd_codes, join_odd_codes
from grouper.run.folder import Manifest, write_table
from grouper.run.reuse import Reuse, take_stage

STAGE = "odd_codes"


def write_odd_codes(
    out: Path, manifest: Manifest, parts: Iterable[pa.Table], reuse: Reuse | None
) -> None:
    """Write the counts of all parts, or take those of the run whose grouping is taken.

    Raises:
        RunError: that run has no such table, or it was altered.
    """
    if reuse is not None:
        take_stage(out, manifest, reuse, STAGE)
        return
    table = join_odd_codes(parts)
    counts = {f"{kind} {name}": n for (kind, name), n in count_odd_codes(table).items()}
    digests = write_table(out, STAGE, table)
    manifest.stage(STAGE, {"rows": table.num_rows, **counts}, digests)
