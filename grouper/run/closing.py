"""Closing a month (月度关账): its point values, statements and cases are kept in the region."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from grouper.counted import counted
from grouper.errors import OutputError, RegionError, RunError
from grouper.parts import ParquetFile
from grouper.run.folder import read_manifest, verify
from grouper.run.work import write_whole
from grouper.settlement.calendar import checked_month, last_day
from grouper.settlement.closed import (
    MONTHS_FILE,
    POINT_COLUMNS,
    STATEMENT_COLUMNS,
    STATEMENTS_FILE,
    ClosedMonth,
    cases_file,
)
from grouper.settlement.csvtable import csv_bytes
from grouper.settlement.months import HospitalMonth
from grouper.settlement.numbers import points_text, yuan_text
from grouper.settlement.region import load_region
from grouper.settlement.routes import DRG, ROUTES

_SCALE = 10**8
_FEN = 100
_CASES: Final = pa.schema([("case_id", pa.string()), ("pool", pa.string())])


def close_month(run: Path, month: str, region: Path) -> dict[str, str]:
    """Keep a month as a run has settled it.

    Its point values, points and budgets are added to REGION/closed.csv, its statements to
    REGION/closed_statements.csv, and its cases are listed in REGION/closed_cases/MONTH.parquet.

    Returns:
        Point value by pool. A close of this month that was interrupted is finished as it began.

    Raises:
        RunError: the run is unfinished or altered, or has no case in that month.
        RegionError: the month is closed already; nothing is changed.
        OutputError: the region folder cannot be written.
    """
    if (finished := _finish(region)) is not None and finished[0] == month:
        return finished[1]
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
    tables = load_region(region)
    closed, statements = dict(tables.closed), dict(tables.statements)
    values = {}
    for row in rows:
        key = (row["pool"], month)
        if key in closed:
            raise RegionError(
                f"pool '{row['pool']}' {month} is closed already",
                file=MONTHS_FILE,
                line=closed[key].row,
                hint="a closed month keeps its value",
            )
        closed[key] = ClosedMonth(
            *key,
            int(row["point_value"] * _SCALE),
            int(row["points"] * _SCALE),
            0,
            int(row["budget"] * _FEN),
        )
        values[row["pool"]] = points_text(closed[key].point_value)
    for row in pq.read_table(run / "hospital_months.parquet").to_pylist():
        if row["month"] == month and row["pool"] in values:
            units = {name: _SCALE if name in POINT_COLUMNS else _FEN for name in STATEMENT_COLUMNS}
            units["cases"] = 1
            statements[row["hospital_id"], row["pool"], month] = HospitalMonth(
                **{name: int(row[name] * unit) for name, unit in units.items()}
            )
    _write_cases(run, month, cases_file(region, month))
    files = {
        STATEMENTS_FILE: csv_bytes(
            ("hospital_id", "pool", "month", *STATEMENT_COLUMNS),
            ((*key, *_texts(statement)) for key, statement in sorted(statements.items())),
        ),
        MONTHS_FILE: csv_bytes(
            ("pool", "month", "point_value", "points", "budget"),
            (
                (
                    *key,
                    points_text(entry.point_value),
                    points_text(entry.points),
                    "" if entry.budget is None else yuan_text(entry.budget),
                )
                for key, entry in sorted(closed.items())
            ),
        ),
    }
    # Two files change together: what is to be written is on the disk before either of them is.
    record = {"month": month, "values": values}
    record["files"] = {name: data.decode() for name, data in files.items()}
    write_whole(region / PENDING, json.dumps(record).encode())
    _finish(region)
    return values


PENDING: Final = ".closing.json"
"""What a close is about to write in the region; gone when it is written."""


def _finish(region: Path) -> tuple[str, dict[str, str]] | None:
    """Write what a close, perhaps one that was interrupted, was about to write.

    Returns:
        Its month and the point value by pool; None where there is nothing to finish.
    """
    try:
        record = json.loads((region / PENDING).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    for name in (STATEMENTS_FILE, MONTHS_FILE):
        write_whole(region / name, record["files"][name].encode())
    (region / PENDING).unlink()
    return record["month"], record["values"]


def closing_warnings(run: Path, month: str, region: Path, today: date) -> list[str]:
    """What speaks against closing a month now: it is not over, or hospitals have no case in it.

    Raises:
        RunError: it is not a month, or the run is not finished.
        RegionError: the region is faulty.
    """
    last = last_day(checked_month(month))
    if read_manifest(run) is None:
        raise RunError(
            f"{run} is not a finished run", hint="name the folder that rerun has written"
        )
    told = [] if today > last else [f"{month} is not over before {last + timedelta(days=1)}"]
    there: set[str] = set()
    for file in sorted((run / "cases").glob("part-*.parquet")):
        cases = pq.read_table(file, columns=["hospital_id", "month"])
        mine = cases.filter(pc.equal(cases["month"], month))["hospital_id"]
        there.update(mine.unique().to_pylist())
    missing = [h.hospital_id for h in load_region(region).hospitals if h.hospital_id not in there]
    if missing and there:
        shown = ", ".join(missing[:_SHOWN]) + (" …" if len(missing) > _SHOWN else "")
        told.append(f"{counted(len(missing), 'hospital')} without a case in {month}: {shown}")
    return told


_SHOWN: Final = 10


def _texts(statement: HospitalMonth) -> Iterable[str]:
    for name in STATEMENT_COLUMNS:
        value = getattr(statement, name)
        if name == "cases":
            yield str(value)
        else:
            yield points_text(value) if name in POINT_COLUMNS else yuan_text(value)


def _write_cases(run: Path, month: str, path: Path) -> None:
    """List the cases of route ``drg`` of the month."""
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path.parent} cannot be made: {error.strerror or error}",
            hint="check the folder's permissions and the free space",
        ) from error
    with ParquetFile(path, _CASES) as out:
        for file in sorted((run / "cases").glob("part-*.parquet")):
            cases = pq.read_table(file, columns=["case_id", "pool", "month"])
            route = pq.read_table(run / "points" / file.name, columns=["route"])["route"]
            mine = pc.and_(pc.equal(cases["month"], month), pc.equal(route, ROUTES[DRG]))
            for batch in cases.filter(mine).select(_CASES.names).combine_chunks().to_batches():
                out.write(batch)
