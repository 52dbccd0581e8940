"""The cases of a run as one table in DuckDB, and the sums that pages are made of.

The three tables of one row per case stand in the same order, so they are put side by side without
a join. What a page shows is a group of these sums; no page reads the cases again.
"""

from __future__ import annotations

from typing import Any, Final

import duckdb
import pyarrow as pa

from grouper.counted import counted
from grouper.errors import RunError
from grouper.report.load import Run

UNGROUPED: Final = "-"
"""Stands for the cases of route ``drg`` that have no DRG."""

BINS: Final = 24
"""Bins of a cost distribution per power of ten."""

_BUILD: Final = """
CREATE TYPE hospital AS ENUM (SELECT hospital_id FROM hospitals ORDER BY hospital_id);
CREATE TYPE drg AS ENUM (
    SELECT '-' UNION SELECT drg FROM groups
    UNION SELECT DISTINCT drg FROM grouped WHERE drg <> '' ORDER BY 1
);
CREATE TABLE facts AS
SELECT
    c.case_id, TRY_CAST(c.hospital_id AS hospital) AS hospital_id, c.pool, c.month,
    (CASE WHEN g.drg = '' OR g.drg IS NULL THEN '-' ELSE g.drg END)::drg AS drg,
    g.status = 'grouped' AS grouped, p.class, p.reason,
    c.total_cost AS cost, c.fund_paid, c.patient_cash, c.self_pay,
    p.points + p.extra_points AS points, p.extra_points AS extra, p.value, p.gain
FROM cases c POSITIONAL JOIN grouped g POSITIONAL JOIN points p
WHERE p.route = 'drg';
CREATE TABLE levels AS SELECT hospital_id::hospital AS hospital_id, level FROM hospitals;
CREATE TABLE means AS
SELECT drg::drg AS drg, any_value(weight) AS weight, any_value(region_mean) AS region_mean
FROM benchmarks GROUP BY 1;
CREATE TABLE cube AS
SELECT hospital_id, drg, class, count(*) AS cases, sum(grouped::int) AS grouped, sum(cost) AS cost,
       sum(points) AS points, sum(value) AS value, sum(gain) AS gain
FROM facts GROUP BY ALL;
"""


class Facts:
    """The cases of route ``drg`` of a run, in memory, ready to be summed.

    Tables for `rows`: ``facts`` (one row per case), ``cube`` (hospital × DRG × class), ``means``
    (weight and region mean by DRG), ``levels``, and every table of the run.
    """

    def __init__(self, run: Run) -> None:
        """Read the cases.

        Raises:
            RunError: the tables of the run contradict each other.
        """
        self.run = run
        self._db: duckdb.DuckDBPyConnection = run.connect()
        self._same_length()
        for statement in _BUILD.strip().split(";\n"):
            if statement.strip():
                self._db.execute(statement)
        self._same_sums()

    def table(self, query: str) -> pa.Table:
        """The answer to a query as Arrow; money as decimals."""
        return self._db.sql(query).to_arrow_table()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The answer to a query as Python values."""
        return list(self._db.sql(query).fetchall())

    def dicts(self, query: str) -> list[dict[str, Any]]:
        """The answer to a query as a dictionary per row."""
        relation = self._db.sql(query)
        names = relation.columns
        return [dict(zip(names, row, strict=True)) for row in relation.fetchall()]

    def _same_length(self) -> None:
        counts = {
            name: self.rows(f"SELECT count(*) FROM {name}")[0][0]
            for name in ("cases", "grouped", "points")
        }
        if len(set(counts.values())) != 1:
            told = ", ".join(f"{name} {count:,}" for name, count in counts.items())
            raise RunError(
                f"the tables have not one row for each case: {told}",
                hint="settle the region again into a new folder",
            )

    def _same_sums(self) -> None:
        """The statements must say what the cases say, or no page is made."""
        cases, points = self.rows("SELECT count(*), sum(points - extra) FROM facts")[0]
        tables = ["hospital_months"]
        if "late" in self.run.files:
            # Beyond the statements of closed months; negative where cases are gone.
            tables.append("late")
        every = " UNION ALL ".join(f"SELECT cases, points FROM {name}" for name in tables)
        stated, stated_points = self.rows(
            f"SELECT coalesce(sum(cases), 0), coalesce(sum(points), 0) FROM ({every})"
        )[0]
        if (cases, points or 0) != (stated, stated_points):
            verb = "has" if len(tables) == 1 else "have"
            raise RunError(
                f"{' and '.join(tables)} {verb} {counted(stated, 'case')} with "
                f"{stated_points} points, the table points {counted(cases, 'case')} with {points}",
                hint="settle the region again into a new folder",
            )
