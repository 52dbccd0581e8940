"""The table ``odd_codes`` of a run: unknown, retired and grey codes by hospital."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from grouper.oddcodes import ODD_CODES, count_odd_codes, join_odd_codes
from grouper.run.folder import Manifest, write_table
from grouper.run.reuse import Reuse, earlier_table, take_stage

STAGE = "odd_codes"


def write_odd_codes(out: Path, manifest: Manifest, found: pa.Table, reuse: Reuse | None) -> None:
    """Write the counts of all parts; those of parts that are taken stand in that run.

    Args:
        found: the counts of the other parts.

    Raises:
        RunError: that run has no such table, or it was altered.
    """
    if reuse is not None and not reuse.grown:
        take_stage(out, manifest, reuse, STAGE)
        return
    table = found
    if reuse is not None:
        table = join_odd_codes([earlier_table(reuse, STAGE).cast(ODD_CODES), found])
    counts = {f"{kind} {name}": n for (kind, name), n in count_odd_codes(table).items()}
    digests = write_table(out, STAGE, table)
    manifest.stage(STAGE, {"rows": table.num_rows, **counts}, digests)
