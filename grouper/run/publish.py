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
from grouper.run.reuse import Reuse, earlier_table
from grouper.run.work import WORK
from grouper.scheme import Scheme
from grouper.settlement import checks, tables
from grouper.settlement.benchmarks import Benchmarks
from grouper.settlement.clearing import YearOutcome, clear_year
from grouper.settlement.intake import REJECTED_SCHEMA, Accounts
from grouper.settlement.late import Late
from grouper.settlement.months import (
    Account,
    AccountKey,
    Extra,
    Months,
    annual_prepay,
    months_of,
    settle_months,
)
from grouper.settlement.numbers import SCALE, half_up, points_text, rounded, yuan_text
from grouper.settlement.perdiem import PerDiemMonths
from grouper.settlement.policy import Policy
from grouper.settlement.region import LEVELS, Region
from grouper.settlement.routes import DRG, ROUTES
from grouper.settlement.statistics import Population

if TYPE_CHECKING:
    from grouper.run.tally import Grouped, Written


@dataclass(frozen=True)
class Basis:
    """What the accounts of a run are settled by."""

    region: Region
    scheme: Scheme
    policy: Policy
    codes: tuple[str, ...]
    accounts: Accounts
    statistics: Population
    benchmarks: Benchmarks


@dataclass(frozen=True)
class TableFile:
    """A table as it was written, and the digest of its file by name."""

    table: pa.Table
    digests: Mapping[str, str]

    @staticmethod
    def write(out: Path, name: str, table: pa.Table) -> TableFile:
        """Write a table into the run folder."""
        return TableFile(table, write_table(out, name, table))


@dataclass(frozen=True)
class Settled:
    """What follows from the accounts, and the tables that say it, as they were written."""

    months: Months
    year_end: YearOutcome
    files: Mapping[str, TableFile]
    checks: Sequence[checks.Check]


@dataclass(frozen=True)
class Outcome:
    """Everything that was decided in a run."""

    basis: Basis
    settled: Settled
    per_diem: PerDiemMonths
    beside: SideSums
    late: Mapping[AccountKey, Late]
    late_cases: pa.Table | None


def settle(
    out: Path,
    basis: Basis,
    year: int,
    numbers: Sequence[int],
    paid: Mapping[AccountKey, Account],
    extras: Sequence[Extra],
    year_books: tuple[Mapping[AccountKey, Account], Sequence[Extra]],
    reuse: Reuse | None,
) -> Settled:
    """Settle months and year and write their tables; it needs no task and no worker.

    Args:
        out: the run folder.
        basis: what they are settled by.
        year: the settlement year.
        numbers: numbers of the parts.
        paid: sums by account over the cases of route ``drg``.
        extras: points of approved reviews.
        year_books: both, as the year end takes them.
        reuse: the run of which cases are taken; with their routes, what it rejected is taken too.
    """
    region, policy = basis.region, basis.policy
    months = settle_months(region, policy, year, paid, extras)
    year_end = clear_year(region, policy, year, *year_books, months.statements)
    diseases = basis.codes if policy.groups.by == "dip" else None
    if reuse is not None and reuse.same_routes:
        rejected = earlier_table(reuse, "rejected")
    else:
        rejected = _rejected(out, numbers)
    made = {
        "statistics": tables.statistics_table(basis.codes, basis.statistics),
        "benchmarks": tables.benchmarks_table(basis.benchmarks),
        "months": tables.months_table(months),
        "hospital_months": tables.hospital_months_table(months.statements),
        "clearing": tables.clearing_table(year_end.cleared),
        "rejected": rejected,
        "hospitals": hospitals_table(region),
        "groups": groups_table(basis.scheme, diseases),
        "budget": budget_table(region),
    }
    found = [
        *checks.check_budgets(made["months"], made["hospital_months"]),
        *checks.check_clearing(made["clearing"]),
    ]
    files = {name: TableFile.write(out, name, table) for name, table in made.items()}
    return Settled(months, year_end, files, found)


def publish(
    out: Path, manifest: Manifest, outcome: Outcome, more: Mapping[str, pa.Table]
) -> dict[str, pa.Table]:
    """Write the other tables, and ``more``; note all, and what belongs to none of them.

    Returns:
        All tables by name.
    """
    basis, year_end = outcome.basis, outcome.settled.year_end
    manifest.warnings += outcome.settled.months.warnings
    manifest.notes |= _notes(basis, outcome.settled.months, manifest.year)
    made = {}
    if basis.policy.participation.side_by_side:
        made["simulation"] = tables.simulation_table(
            basis.accounts, basis.codes, outcome.beside.keys, outcome.beside.sums
        )
    if year_end.incentives:
        made["incentive"] = tables.incentive_table(year_end.incentives)
    if year_end.quotas:
        made["quota"] = tables.quota_table(year_end.quotas)
    if outcome.late_cases is not None:
        made["late"] = tables.late_table(outcome.late)
        made["late_cases"] = outcome.late_cases
    if basis.policy.per_diem.used:
        made["per_diem"] = tables.per_diem_table(outcome.per_diem.statements)
    made |= more
    files = {**outcome.settled.files}
    files |= {name: TableFile.write(out, name, table) for name, table in made.items()}
    for name, file in files.items():
        manifest.stage(name, {"rows": file.table.num_rows}, file.digests)
    return {name: file.table for name, file in files.items()}


def _notes(basis: Basis, months: Months, year: int) -> dict[str, object]:
    budgets = {}
    values = months.values
    for pool in sorted({pool for pool, _ in values}):
        if basis.policy.month.value == "yuan":
            break
        whole = basis.region.budget_of(pool, months_of(year)[-1])
        spread = sum(rounded(value.budget) for (name, _), value in values.items() if name == pool)
        budgets[pool] = {
            "year": yuan_text(whole),
            "months": yuan_text(spread),
            "difference": yuan_text(whole - spread),
        }
    people = basis.statistics
    prepaid = annual_prepay(basis.region, basis.policy, year)
    return {
        "annual_prepay": {pool: yuan_text(fen) for pool, fen in prepaid.items()},
        "budgets": budgets,
        "mean_cost": yuan_text(rounded(basis.benchmarks.mean)),
        "group_rate": _eight(people.group_rate),
        "riv": None if people.explained is None else _eight(people.explained),
        "inversions": [
            f"{drg.drg} level {level}"
            for drg in basis.benchmarks.drgs
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
    late, settled = outcome.late, outcome.settled
    stated = sum(row.cases for row in settled.months.statements.values())
    stated += sum(row.cases for row in late.values())
    in_months = dict(written.paid)
    for key, row in late.items():
        cases, points = written.paid.get(key, (0, 0))
        in_months[key] = (cases - row.cases, points - row.points)
    cleared = sum(row.cases for row in settled.year_end.cleared.values())
    booked = sum(book.total for book in grouped.books.values())
    rows = sum(pq.read_metadata(out / "points" / part_name(number)).num_rows for number in numbers)
    found = [
        checks.check_counts("cases of route drg", stated, grouped.counts[f"route {drg}"]),
        checks.check_counts("cases cleared", cleared, grouped.counts[f"route {drg}"]),
        checks.check_counts("cases written", rows, grouped.cases),
        checks.check_money("cost of route drg", booked, grouped.cost[drg]),
        *checks.check_points(made["hospital_months"], in_months),
        *settled.checks,
    ]
    if outcome.basis.policy.per_diem.used:
        daily = sum(row.cases for row in outcome.per_diem.statements.values())
        found.append(
            checks.check_counts("cases of route per_diem", daily, grouped.counts["route per_diem"])
        )
    return found
