"""Closing a month (月度关账): its point values are frozen in the region's closed.csv."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow.parquet as pq

from grouper.errors import RegionError, RunError
from grouper.run.folder import read_manifest, verify
from grouper.run.work import write_whole
from grouper.settlement.numbers import points_text
from grouper.settlement.region import ClosedMonth, load_region

_SCALE = 10**8


def close_month(run: Path, month: str, region: Path) -> dict[str, str]:
    """Add the point values and points of a month to REGION/closed.csv.

    Returns:
        Point value by pool.

    Raises:
        RunError: the run is unfinished or altered, or has no case in that month.
        RegionError: the month is closed already.
    """
    manifest = read_manifest(run)
    if manifest is None:
        raise RunError(
            f"{run} is not a finished run", hint="name the folder that rerun has written"
        )
    verify(run, manifest)
    rows = [r for r in pq.read_table(run / "months.parquet").to_pylist() if r["month"] == month]
    if not rows:
        raise RunError(
            f"the run has no case in {month}", hint=f"its year is {manifest.year}; write YYYY-MM"
        )
    closed = dict(load_region(region).closed)
    values = {}
    for row in rows:
        key = (row["pool"], month)
        if key in closed:
            raise RegionError(
                f"pool '{row['pool']}' {month} is closed already",
                file="closed.csv",
                line=closed[key].row,
                hint="a closed month keeps its value",
            )
        closed[key] = ClosedMonth(
            *key, int(row["point_value"] * _SCALE), int(row["points"] * _SCALE), 0
        )
        values[row["pool"]] = points_text(closed[key].point_value)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("pool", "month", "point_value", "points"))
    for key, entry in sorted(closed.items()):
        writer.writerow((*key, points_text(entry.point_value), points_text(entry.points)))
    write_whole(region / "closed.csv", text.getvalue().encode())
    return values
