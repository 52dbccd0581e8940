"""The cases of two runs side by side, summed to what a comparison needs."""

from __future__ import annotations

from typing import Any, Final

import duckdb

from grouper.errors import RunError
from grouper.report.load import PARTED, Run

_SIDE: Final = """
CREATE VIEW {side}_facts AS
SELECT
    c.case_id, c.hospital_id, h.level, c.pool, c.month, p.route, p.class, p.reason,
    CASE WHEN g.drg = '' OR g.drg IS NULL THEN '-' ELSE g.drg END AS drg,
    c.total_cost AS cost, coalesce(p.points + p.extra_points, 0) AS points,
    coalesce(p.value, 0) AS value
FROM {side}_cases c POSITIONAL JOIN {side}_grouped g POSITIONAL JOIN {side}_points p
LEFT JOIN {side}_hospitals h USING (hospital_id);
CREATE TABLE {side}_worth AS SELECT pool, month, point_value FROM {side}_months;
CREATE TABLE {side}_bench AS SELECT drg, level, base_points, coefficient FROM {side}_benchmarks
"""

_NAMED: Final = """
CREATE TABLE {side}_named AS
SELECT * FROM {side}_facts
WHERE reason NOT IN ('no_id', 'duplicate_id', 'superseded', 'conflicting_version')
"""

_PAIRS: Final = """
CREATE TABLE pairs AS
SELECT
    coalesce(b.hospital_id, a.hospital_id) AS hospital_id, coalesce(b.level, a.level) AS level,
    a.level AS level_a, b.level AS level_b,
    coalesce(b.pool, a.pool) AS pool, coalesce(b.month, a.month) AS month,
    a.route AS route_a, b.route AS route_b, a.drg AS drg_a, b.drg AS drg_b,
    a.class AS class_a, b.class AS class_b, count(*) AS cases,
    sum(coalesce(b.cost, a.cost)) AS cost,
    count(*) FILTER (a.route = 'drg') AS cases_a, count(*) FILTER (b.route = 'drg') AS cases_b,
    sum(coalesce(a.points, 0)) AS points_a, sum(coalesce(b.points, 0)) AS points_b,
    sum(coalesce(a.value, 0)) AS value_a, sum(coalesce(b.value, 0)) AS value_b
FROM {joined}
GROUP BY ALL
"""


class Pairs:
    """Cases of run A beside the same cases of run B, summed by everything that can differ.

    Tables for `rows`: ``pairs``; ``a_<table>`` and ``b_<table>`` of each run.

    Attributes:
        unpaired: how many cases have no id of their own, and so no pair.
    """

    def __init__(self, a: Run, b: Run) -> None:
        self._db = duckdb.connect()
        for side, run in (("a", a), ("b", b)):
            for name, files in run.files.items():
                listed = ", ".join(_quoted(str(file)) for file in files)
                self._db.execute(
                    f'CREATE VIEW "{side}_{name}" AS SELECT * FROM read_parquet([{listed}])'
                )
            for statement in _SIDE.format(side=side).split(";\n"):
                self._db.execute(statement)
            self._same_length(side, run)
        self.same_cases = _cases_of(a) == _cases_of(b)
        self.unpaired = 0
        joined = self._named() if not self.same_cases else "a_facts a POSITIONAL JOIN b_facts b"
        if self.same_cases:
            self._materialise()
        self._db.execute(_PAIRS.format(joined=joined))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The answer to a query."""
        return list(self._db.sql(query).fetchall())

    def _materialise(self) -> None:
        for side in ("a", "b"):
            self._db.execute(f"CREATE TEMP TABLE {side}_kept AS SELECT * FROM {side}_facts")
            self._db.execute(f"DROP VIEW {side}_facts")
            self._db.execute(f"CREATE VIEW {side}_facts AS SELECT * FROM {side}_kept")

    def _named(self) -> str:
        """Cases of different inputs find each other by their id."""
        for side in ("a", "b"):
            self._db.execute(_NAMED.format(side=side))
        left, right = (
            self.rows(
                f"SELECT (SELECT count(*) FROM {side}_cases) - (SELECT count(*) FROM {side}_named)"
            )[0][0]
            for side in ("a", "b")
        )
        self.unpaired = left + right
        return "a_named a FULL JOIN b_named b ON a.case_id = b.case_id"

    def _same_length(self, side: str, run: Run) -> None:
        counts = {name: self.rows(f"SELECT count(*) FROM {side}_{name}")[0][0] for name in PARTED}
        if len(set(counts.values())) != 1:
            told = ", ".join(f"{name} {count:,}" for name, count in counts.items())
            raise RunError(
                f"the tables of {run.folder} have not one row for each case: {told}",
                hint="settle the region again into a new folder",
            )


def _cases_of(run: Run) -> list[tuple[str, str]]:
    inputs = run.manifest.inputs.items()
    return sorted((name, digest) for name, digest in inputs if name.startswith("cases/"))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
