"""The tables that the driver writes whole, and the equations that they must fulfil."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from grouper.context import budget_table, groups_table, hospitals_table
from grouper.parts import part_name
from grouper.run.beside import SideSums
from grouper.run.folder import Manifest, write_table
from grouper.run.work import WORK
from grouper.scheme import Scheme
from grouper.settlement import checks, tables
from grouper.settlement.benchmarks import Benchmarks
from grouper.settlement.clearing import YearOutcome
from grouper.settlement.intake import REJECTED_SCHEMA, Accounts
from grouper.settlement.late import Late
from grouper.settlement.months import AccountKey, Months, annual_prepay, months_of
from grouper.settlement.numbers import SCALE, half_up, points_text, rounded, yuan_text
from grouper.settlement.perdiem import PerDiemMonths
from grouper.settlement.policy import Policy
from grouper.settlement.region import LEVELS, Region
from grouper.settlement.routes import DRG, ROUTES
from grouper.settlement.statistics import Population

if TYPE_CHECKING:
    from grouper.run.tally import Grouped, Written


@dataclass(frozen=True)
class Outcome:
    """Everything that was decided in a run."""

    region: Region
    scheme: Scheme
    policy: Policy
    codes: tuple[str, ...]
    accounts: Accounts
    statistics: Population
    benchmarks: Benchmarks
    months: Months
    year_end: YearOutcome
    per_diem: PerDiemMonths
    beside: SideSums
    late: Mapping[AccountKey, Late]
    late_cases: pa.Table | None


def publish(
    out: Path,
    manifest: Manifest,
    outcome: Outcome,
    numbers: Sequence[int],
    more: Mapping[str, pa.Table],
) -> dict[str, pa.Table]:
    """Write the tables, and ``more``, and note what belongs to no table; return them by name."""
    manifest.warnings += outcome.months.warnings
    manifest.notes |= _notes(outcome, manifest.year)
    diseases = outcome.codes if outcome.policy.groups.by == "dip" else None
    made = {
        "statistics": tables.statistics_table(outcome.codes, outcome.statistics),
        "benchmarks": tables.benchmarks_table(outcome.benchmarks),
        "months": tables.months_table(outcome.months),
        "hospital_months": tables.hospital_months_table(outcome.months.statements),
        "clearing": tables.clearing_table(outcome.year_end.cleared),
        "rejected": _rejected(out, numbers),
        "hospitals": hospitals_table(outcome.region),
        "groups": groups_table(outcome.scheme, diseases),
        "budget": budget_table(outcome.region),
    }
    if outcome.policy.participation.side_by_side:
        made["simulation"] = tables.simulation_table(
            outcome.accounts, outcome.codes, outcome.beside.keys, outcome.beside.sums
        )
    if outcome.year_end.incentives:
        made["incentive"] = tables.incentive_table(outcome.year_end.incentives)
    if outcome.year_end.quotas:
        made["quota"] = tables.quota_table(outcome.year_end.quotas)
    if outcome.late_cases is not None:
        made["late"] = tables.late_table(outcome.late)
        made["late_cases"] = outcome.late_cases
    if outcome.policy.per_diem.used:
        made["per_diem"] = tables.per_diem_table(outcome.per_diem.statements)
    made |= more
    for name, table in made.items():
        manifest.stage(name, {"rows": table.num_rows}, write_table(out, name, table))
    return made


def _notes(outcome: Outcome, year: int) -> dict[str, object]:
    budgets = {}
    values = outcome.months.values
    for pool in sorted({pool for pool, _ in values}):
        if outcome.policy.month.value == "yuan":
            break
        whole = outcome.region.budget_of(pool, months_of(year)[-1])
        spread = sum(rounded(value.budget) for (name, _), value in values.items() if name == pool)
        budgets[pool] = {
            "year": yuan_text(whole),
            "months": yuan_text(spread),
            "difference": yuan_text(whole - spread),
        }
    people = outcome.statistics
    prepaid = annual_prepay(outcome.region, outcome.policy, year)
    return {
        "annual_prepay": {pool: yuan_text(fen) for pool, fen in prepaid.items()},
        "budgets": budgets,
        "mean_cost": yuan_text(rounded(outcome.benchmarks.mean)),
        "group_rate": _eight(people.group_rate),
        "riv": None if people.explained is None else _eight(people.explained),
        "inversions": [
            f"{drg.drg} level {level}"
            for drg in outcome.benchmarks.drgs
            for level, at in zip(LEVELS, drg.levels, strict=True)
            if at.inversion
        ],
    }


def _eight(value: Fraction) -> str:
    return points_text(half_up(value.numerator * SCALE, value.denominator))


def _rejected(out: Path, numbers: Sequence[int]) -> pa.Table:
    folder = out / WORK / "rejected"
    parts = [pq.read_table(folder / part_name(number)) for number in numbers]
    table = pa.concat_tables([REJECTED_SCHEMA.empty_table(), *parts]).combine_chunks()
    return table.sort_by([(name, "ascending") for name in REJECTED_SCHEMA.names])


def close_accounts(
    out: Path,
    made: Mapping[str, pa.Table],
    outcome: Outcome,
    grouped: Grouped,
    written: Written,
    numbers: Sequence[int],
) -> list[checks.Check]:
    """All equations of section 12 over the tables as they were written."""
    drg = ROUTES[DRG]
    late = outcome.late
    stated = sum(row.cases for row in outcome.months.statements.values())
    stated += sum(row.cases for row in late.values())
    in_months = dict(written.paid)
    for key, row in late.items():
        cases, points = written.paid.get(key, (0, 0))
        in_months[key] = (cases - row.cases, points - row.points)
    settled = sum(row.cases for row in outcome.year_end.cleared.values())
    booked = sum(book.total for book in grouped.books.values())
    rows = sum(pq.read_metadata(out / "points" / part_name(number)).num_rows for number in numbers)
    found = [
        checks.check_counts("cases of route drg", stated, grouped.counts[f"route {drg}"]),
        checks.check_counts("cases cleared", settled, grouped.counts[f"route {drg}"]),
        checks.check_counts("cases written", rows, grouped.cases),
        checks.check_money("cost of route drg", booked, grouped.cost[drg]),
        *checks.check_points(made["hospital_months"], in_months),
        *checks.check_budgets(made["months"], made["hospital_months"]),
        *checks.check_clearing(made["clearing"]),
    ]
    if outcome.policy.per_diem.used:
        daily = sum(row.cases for row in outcome.per_diem.statements.values())
        found.append(
            checks.check_counts("cases of route per_diem", daily, grouped.counts["route per_diem"])
        )
    return found
