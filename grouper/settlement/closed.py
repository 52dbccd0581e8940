"""Months that are closed (月度关账): their point values, statements and cases stay as they were.

========================  ====================================================================
``closed.csv``            pool, month, point_value, points; ``grouper close`` adds the budget
``closed_statements.csv`` hospital_id, pool, month and the columns of `HospitalMonth`
``closed_cases/``         ``YYYY-MM.parquet``: case_id and pool of the cases of route ``drg``
========================  ====================================================================

The last two are written by ``grouper close``. With them a later run leaves the month's statements
alone: what arrives or changes afterwards is settled at year end. With ``closed.csv`` alone only the
point value is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from grouper.errors import RegionError
from grouper.settlement.csvtable import Row, read_rows
from grouper.settlement.statement import HospitalMonth

MONTHS_FILE: Final = "closed.csv"
STATEMENTS_FILE: Final = "closed_statements.csv"
CASES_FOLDER: Final = "closed_cases"

STATEMENT_COLUMNS: Final = tuple(field.name for field in fields(HospitalMonth))
POINT_COLUMNS: Final = ("points", "extra_points", "deducted_points")


@dataclass(frozen=True, slots=True)
class ClosedMonth:
    """A frozen month: its point value (1e-8 yuan) and its points (1e-8).

    ``budget`` is the month budget in fen; None where the file does not give it.
    """

    pool: str
    month: str
    point_value: int
    points: int
    row: int
    budget: int | None = None


def read_closed(folder: Path, pools: set[str]) -> dict[tuple[str, str], ClosedMonth]:
    """The closed months by pool and month.

    Raises:
        RegionError: a month twice, a pool without a budget, a negative value.
    """
    closed: dict[tuple[str, str], ClosedMonth] = {}
    for row in read_rows(folder, MONTHS_FILE, ("pool", "month", "point_value", "points")):
        key = (row.needed("pool"), row.month("month"))
        if key in closed:
            raise row.error(
                f"this month already stands in line {closed[key].row}", "keep one of the two"
            )
        if pools and key[0] not in pools:
            raise row.error(f"pool '{key[0]}' has no budget", "correct the pool")
        value = row.eight("point_value")
        if value < 0:
            raise row.error("point_value is negative")
        budget = row.fen("budget") if row.text("budget") else None
        closed[key] = ClosedMonth(*key, value, row.eight("points"), row.line, budget)
    return closed


def read_statements(
    folder: Path, hospitals: set[str], closed: dict[tuple[str, str], ClosedMonth]
) -> dict[tuple[str, str, str], HospitalMonth]:
    """The statements of closed months by hospital, pool and month.

    Raises:
        RegionError: a statement twice, an unknown hospital, a month that is not closed or whose
            closed points are not the sum of its statements, or whose list of cases is missing.
    """
    found: dict[tuple[str, str, str], HospitalMonth] = {}
    keys = ("hospital_id", "pool", "month")
    points: dict[tuple[str, str], int] = {}
    row: Row | None = None
    for row in read_rows(folder, STATEMENTS_FILE, (*keys, *STATEMENT_COLUMNS)):
        key = (row.needed("hospital_id"), row.needed("pool"), row.month("month"))
        if key in found:
            raise row.error("this statement stands twice", "keep one of the two")
        if key[0] not in hospitals:
            raise row.error(f"unknown hospital '{key[0]}'", "add it to hospitals.csv")
        month = closed.get(key[1:])
        if month is None or month.budget is None:
            raise row.error(
                f"pool '{key[1]}' {key[2]} is not closed with its budget",
                "let `grouper close` write closed.csv and this file together",
            )
        statement = HospitalMonth(**{name: _number(row, name) for name in STATEMENT_COLUMNS})
        found[key] = statement
        points[key[1:]] = points.get(key[1:], 0) + statement.points
    for (pool, name), whole in points.items():
        if whole != closed[pool, name].points:
            raise RegionError(
                f"the points of pool '{pool}' {name} are not those of closed.csv",
                file=STATEMENTS_FILE,
                hint="restore both files as `grouper close` wrote them",
            )
        if not cases_file(folder, name).is_file():
            raise RegionError(
                "the list of the cases of a closed month is missing",
                file=f"{CASES_FOLDER}/{name}.parquet",
                hint="restore the file that `grouper close` wrote",
            )
    return found


def _number(row: Row, name: str) -> int:
    if name == "cases":
        cases = row.decimal(name)
        if cases.denominator != 1 or cases < 0:
            raise row.error(f"'cases' is '{row.text(name)}'", "it is a number of cases")
        return cases.numerator
    return row.eight(name) if name in POINT_COLUMNS else row.fen(name)


def cases_file(folder: Path, month: str) -> Path:
    """Where the cases of a closed month are listed."""
    return folder / CASES_FOLDER / f"{month}.parquet"


def closed_places(statements: Iterable[tuple[str, str, str]]) -> set[tuple[str, str]]:
    """Pools and months whose statements are kept."""
    return {(pool, month) for _, pool, month in statements}
