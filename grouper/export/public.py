"""Tables for everybody: sums of a run, with small cells untold and not to be computed either."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from grouper.export.records import Written
from grouper.export.suppress import TOTAL, Cell, Suppressed, suppress
from grouper.parts import ParquetFile, file_digest
from grouper.report import Run
from grouper.report.spreadsheet import write_for_people

AS_THEY_ARE: Final = ("hospitals", "groups", "budget")
"""Tables without counts of cases."""

_OF_LEVEL: Final = ("coefficient", "level_mean", "high_above", "low_below", "inversion")
_OF_GROUP: Final = ("weight", "base_points", "stable", "basic", "region_mean")

Row = dict[str, Any]


def public_tables(run: Run, least: int) -> tuple[dict[str, pa.Table], dict[str, dict[str, object]]]:
    """The tables, and what was left untold in each.

    Every table of counts has a column `suppressed`; where it is true, all measures are null.

    Args:
        run: the run.
        least: the smallest count that may be told.
    """
    tables = {name: run.table(name) for name in AS_THEY_ARE}
    told: dict[str, dict[str, object]] = {}
    _groups(run, least, tables, told)
    _hospitals(run, least, tables, told)
    return tables, told


def _groups(
    run: Run, least: int, tables: dict[str, pa.Table], told: dict[str, dict[str, object]]
) -> None:
    """`statistics` and `benchmarks`: DRG by level, level 0 being the region."""
    statistics = run.table("statistics")
    counts = {_level_cell(row): row["cases"] for row in statistics.to_pylist()}
    hidden = suppress(counts, least)
    keys = ("drg", "level")
    tables["statistics"] = _masked(statistics, keys, lambda row: _level_cell(row) in hidden.cells)
    told["statistics"] = _told(tables["statistics"], hidden)
    rows = []
    for row in run.table("benchmarks").to_pylist():
        level = _level_cell(row) in hidden.cells
        group = (row["drg"], TOTAL) in hidden.cells
        untold = (*(_OF_LEVEL if level else ()), *(_OF_GROUP if group else ()))
        rows.append(row | dict.fromkeys(untold) | {"suppressed": bool(untold)})
    schema = run.table("benchmarks").schema.append(pa.field("suppressed", pa.bool_()))
    tables["benchmarks"] = pa.Table.from_pylist(rows, schema)
    told["benchmarks"] = _told(tables["benchmarks"], hidden)


def _level_cell(row: Row) -> Cell:
    return (row["drg"], str(row["level"]) if row["level"] else TOTAL)


def _hospitals(
    run: Run, least: int, tables: dict[str, pa.Table], told: dict[str, dict[str, object]]
) -> None:
    """`hospital_months`, `months` and `clearing`: hospital by month in each pool."""
    cells: dict[str, dict[Cell, int]] = {}
    for row in run.table("hospital_months").to_pylist():
        cells.setdefault(row["pool"], {})[row["hospital_id"], row["month"]] = row["cases"]
    for row in run.table("months").to_pylist():
        cells.setdefault(row["pool"], {})[TOTAL, row["month"]] = row["cases"]
    hidden: dict[str, Suppressed] = {}
    apart: set[str] = set()
    cleared: dict[str, dict[str, int]] = {}
    for row in run.table("clearing").to_pylist():
        cleared.setdefault(row["pool"], {})[row["hospital_id"]] = row["cases"]
    for pool, mine in cells.items():
        sums: dict[str, int] = {}
        for (hospital, _), count in mine.items():
            if hospital != TOTAL:
                sums[str(hospital)] = sums.get(str(hospital), 0) + count
        rows = cleared.get(pool, {})
        if all(sums.get(hospital, 0) == count for hospital, count in rows.items()):
            mine |= {(hospital, TOTAL): count for hospital, count in rows.items()}
        elif any(0 < count < least for count in rows.values()):
            # An alliance is cleared as one: its row is no sum of one hospital's months.
            apart.add(pool)
        hidden[pool] = suppress(mine, least)

    def untold(pool: str, cell: Cell) -> bool:
        return pool in hidden and cell in hidden[pool].cells

    for name, keys, cell in (
        ("hospital_months", ("hospital_id", "pool", "month"), ("hospital_id", "month")),
        ("months", ("pool", "month"), (None, "month")),
        ("clearing", ("hospital_id", "pool"), ("hospital_id", None)),
    ):
        row_key, column_key = cell

        def chosen(
            row: Row, row_key: str | None = row_key, column_key: str | None = column_key
        ) -> bool:
            if column_key is None and row["pool"] in apart:
                return True
            place = (
                row[row_key] if row_key else TOTAL,
                row[column_key] if column_key else TOTAL,
            )
            return untold(row["pool"], place)

        tables[name] = _masked(run.table(name), keys, chosen)
        whole = sorted(pool for pool, one in hidden.items() if one.whole)
        told[name] = _told(tables[name], *hidden.values()) | ({"whole": whole} if whole else {})


def _masked(table: pa.Table, keys: Collection[str], untold: Callable[[Row], bool]) -> pa.Table:
    mask = pa.array([untold(row) for row in table.to_pylist()], pa.bool_())
    for place, one in enumerate(table.schema):
        if one.name not in keys:
            empty = pa.scalar(None, one.type)
            column = pc.if_else(mask, empty, table.column(place))
            table = table.set_column(place, pa.field(one.name, one.type), column)
    return table.append_column("suppressed", mask)


def _told(table: pa.Table, *hidden: Suppressed) -> dict[str, object]:
    count = pc.sum(table.column("suppressed").cast(pa.int64())).as_py()
    return {"rows": table.num_rows, "suppressed": count or 0}


def write_public(tables: dict[str, pa.Table], folder: Path) -> Written:
    """Write each table as Parquet and CSV."""
    written: Written = {}
    for name, table in sorted(tables.items()):
        path = folder / f"{name}.parquet"
        with ParquetFile(path, table.schema, plain=()) as file:
            for batch in table.combine_chunks().to_batches():
                file.write(batch)
        write_for_people(table, folder / f"{name}.csv")
        for suffix in (".parquet", ".csv"):
            made = path.with_suffix(suffix)
            written[made.name] = {"rows": table.num_rows, "sha256": file_digest(made)}
    return written
