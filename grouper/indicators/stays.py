"""The stays of a run in DuckDB: the cases of route ``drg``, in integers.

Money is fen, weights are 1e-8. Everything that is summed is an integer, so no figure depends on the
order of the cases.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import duckdb

from grouper.indicators.catalogue import INDEX_SCALE
from grouper.settlement.policy import Policy

if TYPE_CHECKING:
    from grouper.report.load import Run

DIED: Final = 5
"""Way of discharge (离院方式)."""

OPTIONAL: Final = (
    "person_id",
    "admission_date",
    "discharge_date",
    "los",
    "discharge",
    "upload_date",
)
"""Columns of the run's cases that an input may lack."""

_STAYS: Final = """
CREATE TABLE stays AS
WITH weights AS (
    SELECT drg, (max(weight) * 100000000)::BIGINT AS weight FROM benchmarks GROUP BY drg
)
SELECT c.case_id, c.hospital_id, h.level, c.month, c.pool, c.person_id, c.admission_date,
       c.discharge_date, c.los, c.discharge, c.upload_date,
       (c.total_cost * 100)::BIGINT AS cost, (c.self_pay * 100)::BIGINT AS self_pay,
       g.status, g.drg, g.adrg, g.severity, p.class, p.reason, w.weight
FROM cases c POSITIONAL JOIN grouped g POSITIONAL JOIN points p
LEFT JOIN hospitals h ON h.hospital_id = c.hospital_id
LEFT JOIN weights w ON w.drg = g.drg
WHERE p.route = 'drg'
"""

_GROUPS: Final = """
CREATE TABLE group_sums AS
SELECT drg, count(*) AS cases, sum(cost)::HUGEINT AS cost, count(los) AS los_cases,
       sum(los)::HUGEINT AS los, count(*) FILTER (discharge = 5) AS deaths
FROM stays WHERE status = 'grouped' GROUP BY drg
"""

_FACTS: Final = f"""
CREATE VIEW facts AS
SELECT s.*, s.discharge = {DIED} AS died, r.drg IS NOT NULL AS low_risk,
       (s.cost::HUGEINT * g.cases * {2 * INDEX_SCALE} + g.cost) // nullif(2 * g.cost, 0)
           AS cost_share,
       (s.los::HUGEINT * g.los_cases * {2 * INDEX_SCALE} + g.los) // nullif(2 * g.los, 0)
           AS los_share,
       s.cost::HUGEINT * t.cases * $1 >= t.cost * $2
           AND s.cost::HUGEINT * t.cases * $3 <= t.cost * $4 AS in_range
FROM stays s
LEFT JOIN group_sums g ON g.drg = s.drg AND s.status = 'grouped'
LEFT JOIN low_risk r ON r.drg = s.drg AND s.status = 'grouped'
LEFT JOIN standards t ON t.drg = s.drg AND s.status = 'grouped'
"""

_STANDARDS: Final = """
CREATE TABLE standards AS
SELECT drg, cases::HUGEINT AS cases, (cost_sum * 100)::HUGEINT AS cost
FROM statistics WHERE level = 0 AND cases > 0
"""


class Stays:
    """The stays of a run, ready to be counted.

    Attributes:
        run: the run.
        policy: its policy, or the one that is to be applied.
        absent: optional columns that hold nothing.
    """

    def __init__(self, run: Run, policy: Policy | None = None) -> None:
        """Read the cases of a run.

        Args:
            run: an opened run.
            policy: thresholds; None takes the policy that the run was made with.
        """
        self.run = run
        self.policy = policy or policy_of(run)
        self._db: duckdb.DuckDBPyConnection = run.connect()
        self._db.execute("SET preserve_insertion_order = true")
        self._db.execute(_STAYS)
        counted = ", ".join(f"count({name})" for name in OPTIONAL)
        found = self.rows(f"SELECT {counted} FROM stays")[0]
        self.absent = tuple(name for name, n in zip(OPTIONAL, found, strict=True) if not n)

    def prepare_indicators(self) -> None:
        """Make the view ``facts``, with everything that indicators count."""
        self._db.execute(_GROUPS)
        self._db.execute("CREATE TABLE low_risk (drg VARCHAR)")
        if grade := self.low_risk_groups():
            self._db.executemany("INSERT INTO low_risk VALUES (?)", [[drg] for drg in grade])
        self._db.execute(_STANDARDS)
        limits = self.policy.monitoring
        low, high = Fraction(limits.range_low), Fraction(limits.range_high)
        view = _FACTS
        for place, number in enumerate(
            (low.denominator, low.numerator, high.denominator, high.numerator), 1
        ):
            view = view.replace(f"${place}", str(number))
        self._db.execute(view)

    def low_risk_groups(self) -> list[str]:
        """DRGs of death risk grade 1 (低风险组): ln death rate below mean − sd over the DRGs.

        Groups without a death have no logarithm and take no part. The logarithms are the one place
        where a decision is made on floats; they are summed exactly, in a fixed order.
        """
        rows = self.rows(
            "SELECT drg, deaths, cases FROM group_sums WHERE deaths > 0 AND deaths < cases "
            "ORDER BY drg"
        )
        logs = {drg: math.log(deaths) - math.log(cases) for drg, deaths, cases in rows}
        if not logs:
            return []
        mean = math.fsum(logs.values()) / len(logs)
        spread = math.sqrt(math.fsum((x - mean) ** 2 for x in logs.values()) / len(logs))
        return [drg for drg, x in logs.items() if x < mean - spread]

    def execute(self, statement: str) -> None:
        """Run a statement."""
        self._db.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The answer to a query as Python values."""
        found: list[tuple[Any, ...]] = self._db.sql(query).fetchall()
        return found

    def relation(self, query: str) -> duckdb.DuckDBPyRelation:
        """A query, to be read in batches."""
        return self._db.sql(query)

    def register(self, name: str, table: object) -> None:
        """Let an Arrow table be asked by name."""
        self._db.register(name, table)


def policy_of(run: Run) -> Policy:
    """The policy that a run was made with, as its manifest states it."""
    return Policy.model_validate(run.manifest.policy["keys"])
