"""The region folder beside its cases: hospitals, budget, shares, reviews, deductions, payments.

Read as folders.md states it. These tables are small; every contradiction is an error with file and
line, because an amount that is silently passed over is a wrong payment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from grouper.errors import RegionError
from grouper.settlement.closed import ClosedMonth as ClosedMonth
from grouper.settlement.closed import read_closed, read_statements
from grouper.settlement.csvtable import TRUE, Row, once, read_rows
from grouper.settlement.decisions import Review as Review
from grouper.settlement.decisions import read_reviews
from grouper.settlement.numbers import SCALE, yuan_text
from grouper.settlement.statement import HospitalMonth

K = TypeVar("K")

LEVELS = (1, 2, 3)
"""Hospital levels (医院等级), lowest first."""

INSURANCES = ("employee", "resident", "self")
FUND_TOTAL = "fund_total"

_SCORE = 10
"""No assessment coefficient (考核系数) is so high: it is a score out of 100."""


@dataclass(frozen=True, slots=True)
class Hospital:
    """One hospital (定点医疗机构).

    Attributes:
        level: 1 to 3.
        kind: class within the level, as written in column ``class``; may be empty.
        city: its city, used where a case names none.
        alliance: county medical alliance (县域医共体), settled as one entity; may be empty.
        lead: true where it leads its alliance, or the id of the hospital that does; may be empty.
        assessment: assessment coefficient (考核系数), in 1e-8.
        go_live: first day of DRG payment; before it the hospital is only simulated. Empty: always.
        pilot: whether it takes part; None where the file does not say.
    """

    hospital_id: str
    name: str
    level: int
    kind: str
    city: str
    alliance: str
    lead: str
    assessment: int
    go_live: str
    pilot: bool | None


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One line of a pool's yearly budget from a month on; ``amount`` in fen, signed."""

    pool: str
    line: str
    effective_month: str
    amount: int
    row: int


@dataclass(frozen=True, slots=True)
class Deduction:
    """Money (fen) and points (1e-8) taken from a hospital in a month."""

    hospital_id: str
    month: str
    pool: str
    money: int
    points: int
    reason: str
    row: int


@dataclass(frozen=True, slots=True)
class Payment:
    """What was already paid, in fen."""

    hospital_id: str
    pool: str
    month: str
    amount: int
    kind: str
    row: int


@dataclass(frozen=True)
class Region:
    """All tables of a region folder but its cases.

    ``payments`` is None where the file is absent, which means something else than no rows.
    ``rates`` maps (table, drg, class) to its exact value; ``statements`` are those of closed months
    by hospital, pool and month.
    """

    folder: Path
    hospitals: tuple[Hospital, ...]
    budget: tuple[BudgetLine, ...]
    month_shares: dict[tuple[str, str], int]
    reviews: tuple[Review, ...]
    deductions: tuple[Deduction, ...]
    payments: tuple[Payment, ...] | None
    closed: dict[tuple[str, str], ClosedMonth]
    rates: dict[tuple[str, str, str], Fraction] = field(default_factory=dict)
    statements: dict[tuple[str, str, str], HospitalMonth] = field(default_factory=dict)

    @cached_property
    def hospital_index(self) -> dict[str, int]:
        """Position of each hospital in ``hospitals``, which is sorted by id."""
        return {hospital.hospital_id: i for i, hospital in enumerate(self.hospitals)}

    @cached_property
    def leads(self) -> dict[str, str]:
        """The lead hospital (牵头医院) of every hospital that is in an alliance.

        Raises:
            RegionError: an alliance has no lead hospital, or several.
        """
        named: dict[str, set[str]] = {}
        for hospital in self.hospitals:
            if hospital.alliance:
                leads = named.setdefault(hospital.alliance, set())
                if hospital.lead in self.hospital_index:
                    leads.add(hospital.lead)
                elif hospital.lead.lower() in TRUE:
                    leads.add(hospital.hospital_id)
        for alliance, leads in sorted(named.items()):
            if len(leads) != 1:
                raise RegionError(
                    f"alliance '{alliance}' has {len(leads)} lead hospitals",
                    file="hospitals.csv",
                    hint="write true in column lead of one of its hospitals",
                )
        return {
            hospital.hospital_id: next(iter(named[hospital.alliance]))
            for hospital in self.hospitals
            if hospital.alliance
        }

    def rate(self, table: str, hospital: Hospital, drg: str = "") -> Fraction:
        """A value of rates.csv for a hospital: its own, its class's, its level's, or the common.

        Raises:
            RegionError: there is none.
        """
        for kind in (hospital.hospital_id, hospital.kind, str(hospital.level), ""):
            if (value := self.rates.get((table, drg, kind))) is not None:
                return value
        of = f" for {drg}" if drg else ""
        raise RegionError(
            f"table '{table}' has no value{of} for hospital '{hospital.hospital_id}'",
            file="rates.csv",
            hint=f"add a line with table {table} and class '{hospital.kind or hospital.level}'",
        )

    def budget_of(self, pool: str, month: str) -> int:
        """The yearly DRG budget in fen that holds in a month: Σ of each line's latest row.

        Raises:
            RegionError: the pool has no ``fund_total`` in that month, or nothing is left of it.
        """
        latest: dict[str, BudgetLine] = {}
        for line in self.budget:
            if line.pool == pool and line.effective_month <= month:
                known = latest.get(line.line)
                if known is None or known.effective_month < line.effective_month:
                    latest[line.line] = line
        if FUND_TOTAL not in latest:
            raise self._no_budget(pool, month)
        amount = sum(line.amount for line in latest.values())
        if amount <= 0:
            raise RegionError(
                f"the budget of pool '{pool}' in {month} is {yuan_text(amount)}",
                file="budget.csv",
                hint="fund_total is positive, the lines that lower it are negative",
            )
        return amount

    def line_of(self, pool: str, line: str, month: str) -> int:
        """The yearly amount in fen of a budget line that holds in a month; 0 where none is."""
        rows = [
            entry
            for entry in self.budget
            if (entry.pool, entry.line) == (pool, line) and entry.effective_month <= month
        ]
        return max(rows, key=lambda entry: entry.effective_month).amount if rows else 0

    def _no_budget(self, pool: str, month: str) -> RegionError:
        pools = sorted({line.pool for line in self.budget})
        if pool in pools:
            return RegionError(
                f"pool '{pool}' has no {FUND_TOTAL} in {month}",
                file="budget.csv",
                hint="add the line, or give it an earlier effective_month",
            )
        hint = f"add its {FUND_TOTAL}"
        if pools and ("/" in pools[0]) != ("/" in pool):
            hint += f", or change pools.by in the policy: budget.csv has the pool '{pools[0]}'"
        elif close := get_close_matches(pool, pools, 1):
            hint += f"; there is a pool '{close[0]}'"
        return RegionError(f"pool '{pool}' has no budget", file="budget.csv", hint=hint)


def load_region(folder: Path) -> Region:
    """Read the small tables of a region folder.

    Raises:
        RegionError: the folder or ``hospitals.csv`` is missing, or a table is faulty.
    """
    if not folder.is_dir():
        raise RegionError("there is no such region folder", file=str(folder), hint="check the path")
    hospitals = _hospitals(folder)
    known = {hospital.hospital_id for hospital in hospitals}
    budget = _budget(folder)
    pools = {line.pool for line in budget}
    closed = read_closed(folder, pools)
    return Region(
        folder=folder,
        hospitals=hospitals,
        budget=budget,
        month_shares=_month_shares(folder),
        reviews=read_reviews(folder),
        deductions=_deductions(folder, known, pools),
        payments=_payments(folder, known, pools),
        closed=closed,
        rates=_rates(folder),
        statements=read_statements(folder, known, closed),
    )


def _hospitals(folder: Path) -> tuple[Hospital, ...]:
    name = "hospitals.csv"
    rows = list(read_rows(folder, name, ("hospital_id", "level")))
    if not (folder / name).exists():
        raise RegionError(
            "the file is missing", file=name, hint="name the folder of a region, or add the file"
        )
    found = []
    once(rows, lambda row: row.needed("hospital_id"), "hospital")
    for row in rows:
        level = row.text("level")
        if level not in {str(number) for number in LEVELS}:
            raise row.error(f"level is '{level}'", "it is 1, 2 or 3")
        assessment = row.eight("assessment", Fraction(1))
        if assessment < 0:
            raise row.error("assessment is negative", "it is a coefficient such as 0.98")
        if assessment >= _SCORE * SCALE:
            raise row.error(
                f"assessment is {row.text('assessment')}",
                "it multiplies what is paid: write a score of 97.5 of 100 as 0.975",
            )
        found.append(
            Hospital(
                hospital_id=row.needed("hospital_id"),
                name=row.text("name"),
                level=int(level),
                kind=row.text("class"),
                city=row.text("city"),
                alliance=row.text("alliance"),
                lead=row.text("lead"),
                assessment=assessment,
                go_live=row.date("go_live"),
                pilot=row.flag("pilot"),
            )
        )
    if not found:
        raise RegionError("there is no hospital", file=name, hint="add a row for each hospital")
    return tuple(sorted(found, key=lambda hospital: hospital.hospital_id))


def _budget(folder: Path) -> tuple[BudgetLine, ...]:
    name = "budget.csv"
    rows = list(read_rows(folder, name, ("pool", "line", "effective_month", "amount")))
    once(
        rows,
        lambda row: (row.needed("pool"), row.needed("line"), row.month("effective_month")),
        "budget line",
    )
    lines = []
    for row in rows:
        amount = row.fen("amount")
        if row.needed("line") == FUND_TOTAL and amount <= 0:
            raise row.error(f"{FUND_TOTAL} is {yuan_text(amount)}", "it is a positive amount")
        lines.append(
            BudgetLine(
                row.needed("pool"),
                row.needed("line"),
                row.month("effective_month"),
                amount,
                row.line,
            )
        )
    return tuple(sorted(lines, key=lambda line: (line.pool, line.line, line.effective_month)))


def _month_shares(folder: Path) -> dict[tuple[str, str], int]:
    rows = list(read_rows(folder, "month_shares.csv", ("pool", "month", "amount")))
    once(rows, lambda row: (row.needed("pool"), row.month("month")), "month")
    shares = {}
    for row in rows:
        amount = row.fen("amount")
        if amount < 0:
            raise row.error("the amount is negative", "it is last year's payment of the month")
        shares[row.needed("pool"), row.month("month")] = amount
    return shares


def _deductions(folder: Path, known: set[str], pools: set[str]) -> tuple[Deduction, ...]:
    columns = ("hospital_id", "month", "pool", "money", "points", "reason")
    rows = list(read_rows(folder, "deductions.csv", columns))
    once(rows, lambda row: tuple(row.text(column) for column in (*columns[:3], "reason")), "line")
    return tuple(
        Deduction(
            _hospital(row, known),
            row.month("month"),
            _pool(row, pools),
            row.fen("money", Fraction(0)),
            row.eight("points", Fraction(0)),
            row.text("reason"),
            row.line,
        )
        for row in rows
    )


def _payments(folder: Path, known: set[str], pools: set[str]) -> tuple[Payment, ...] | None:
    name = "payments.csv"
    rows = list(read_rows(folder, name, ("hospital_id", "pool", "month", "amount", "kind")))
    if not (folder / name).exists():
        return None
    once(
        rows,
        lambda row: tuple(row.text(c) for c in ("hospital_id", "pool", "month", "kind")),
        "payment",
    )
    return tuple(
        Payment(
            _hospital(row, known),
            _pool(row, pools),
            row.month("month"),
            row.fen("amount"),
            row.choice("kind", ("annual_prepay", "monthly")),
            row.line,
        )
        for row in rows
    )


def _rates(folder: Path) -> dict[tuple[str, str, str], Fraction]:
    rows = list(read_rows(folder, "rates.csv", ("table", "drg", "class", "value")))
    keys = ("table", "drg", "class")
    once(rows, lambda row: tuple(row.text(key) for key in keys), "rate")
    return {
        (row.needed("table"), row.text("drg"), row.text("class")): row.decimal("value")
        for row in rows
    }


def _hospital(row: Row, known: set[str]) -> str:
    hospital = row.needed("hospital_id")
    if hospital not in known:
        raise row.error(f"unknown hospital '{hospital}'", "add it to hospitals.csv")
    return hospital


def _pool(row: Row, pools: set[str]) -> str:
    pool = row.needed("pool")
    if pools and pool not in pools:
        close = get_close_matches(pool, sorted(pools), 1)
        raise row.error(
            f"pool '{pool}' has no budget",
            f"did you mean '{close[0]}'?" if close else "add it to budget.csv",
        )
    return pool
