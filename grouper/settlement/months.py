"""Month budgets, point values and the monthly statements of hospitals (settlement.md section 6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from grouper.counted import counted
from grouper.errors import InputsError, RegionError
from grouper.settlement.closed import closed_places
from grouper.settlement.numbers import (
    FEN,
    SCALE,
    half_up,
    money,
    p8,
    points_text,
    yuan_text,
)
from grouper.settlement.policy import Policy
from grouper.settlement.region import Deduction, Region
from grouper.settlement.statement import HospitalMonth as HospitalMonth

MONTHS = 12
_FEN_PER_UNIT = Fraction(SCALE, FEN)
_PER_FEN = SCALE * SCALE // FEN
"""Points × value, both in 1e-8, that make a fen."""


@dataclass(slots=True)
class Account:
    """Sums of one hospital, pool and month over its cases of route ``drg``; fen and 1e-8 points."""

    cases: int = 0
    total: int = 0
    fund: int = 0
    cash: int = 0
    self_pay: int = 0
    other: int = 0
    points: int = 0

    def add(self, other: Account) -> None:
        """Add another account."""
        self.cases += other.cases
        self.total += other.total
        self.fund += other.fund
        self.cash += other.cash
        self.self_pay += other.self_pay
        self.other += other.other
        self.points += other.points


AccountKey = tuple[str, str, str]
"""Hospital, pool and month."""


class Extra(NamedTuple):
    """Points that approved reviews add to the cases of a hospital, pool and month.

    Attributes:
        points: decided − carried points, in 1e-8; may be negative.
        row: the month in whose statement they stand; empty: they go to clearing.
    """

    hospital_id: str
    pool: str
    month: str
    points: int
    row: str


@dataclass(frozen=True, slots=True)
class MonthValue:
    """One pool and month.

    Attributes:
        budget: month budget in fen, exact.
        points: points before review, in 1e-8.
        value: point value in 1e-8 yuan.
        closed: whether the value is a frozen one.
    """

    cases: int
    budget: Fraction
    points: int
    value: int
    closed: bool


@dataclass(frozen=True, slots=True)
class Months:
    """All month values and statements, and what has to be said about them."""

    values: dict[tuple[str, str], MonthValue]
    statements: dict[AccountKey, HospitalMonth]
    warnings: list[str] = field(default_factory=list)


def months_of(year: int) -> tuple[str, ...]:
    """The twelve months of a year as ``YYYY-MM``."""
    return tuple(f"{year}-{month:02d}" for month in range(1, MONTHS + 1))


def month_after(month: str) -> str:
    """The next month; ``2024-12`` gives ``2025-01``."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // MONTHS}-{number % MONTHS + 1:02d}"


def month_shares(
    region: Region, pool: str, year: int, funds: Mapping[str, int], warnings: list[str]
) -> dict[str, Fraction]:
    """Share of each month of the year in the pool's budget (统筹基金支出月占比).

    Args:
        region: the region's tables.
        pool: the pool.
        year: the settlement year; the shares are those of the year before.
        funds: the year's own fund payments in fen by month, used where no shares are given.
        warnings: what has to be said is added here.

    Raises:
        RegionError: shares that add up to nothing, or two rows for one month of the year.
    """
    given = {month: amount for (name, month), amount in region.month_shares.items() if name == pool}
    last_year = {month: amount for month, amount in given.items() if month[:4] == str(year - 1)}
    by_month: dict[str, int] = {}
    for month, amount in sorted((last_year or given).items()):
        mine = f"{year}-{month[5:]}"
        if mine in by_month:
            raise RegionError(
                f"pool '{pool}' has two rows for month {month[5:]} of the year",
                file="month_shares.csv",
                hint=f"keep the rows of {year - 1}",
            )
        by_month[mine] = amount
    if not by_month:
        warnings.append(f"own_month_shares: pool '{pool}' has no row in month_shares.csv")
        by_month = dict(funds)
    whole = sum(by_month.values())
    if whole <= 0:
        raise RegionError(
            f"the month shares of pool '{pool}' add up to {yuan_text(whole)}",
            file="month_shares.csv",
            hint="give last year's inpatient fund payment of each month",
        )
    return {month: Fraction(amount, whole) for month, amount in by_month.items()}


def annual_prepay(region: Region, policy: Policy, year: int) -> dict[str, int]:
    """The January prepayment of each pool in fen: so many monthly means of last year (Art. 17).

    Args:
        region: its last year's payments (month_shares.csv); pools without any have none.
        policy: how many means.
        year: the settlement year.
    """
    found = {}
    for pool in sorted({name for name, _ in region.month_shares}):
        mine = {m: fen for (name, m), fen in region.month_shares.items() if name == pool}
        last = [fen for month, fen in mine.items() if month[:4] == str(year - 1)]
        given = last or list(mine.values())
        exact = policy.month.annual_prepay * sum(given) / len(given)
        found[pool] = half_up(exact.numerator, exact.denominator)
    return found


def settle_months(
    region: Region,
    policy: Policy,
    year: int,
    accounts: Mapping[AccountKey, Account],
    extras: Iterable[Extra],
) -> Months:
    """Point values of all pools and months, and every hospital's statement.

    Args:
        region: the region's tables.
        policy: its rules.
        year: the settlement year.
        accounts: sums by hospital, pool and month over the cases of route ``drg``.
        extras: points of approved reviews.

    Raises:
        RegionError: a pool without budget, a month without share, a deduction that has no value.
        InputsError: a month with cases and without points, or with an absurd point value.
    """
    warnings: list[str] = []
    values = point_values(region, policy, year, accounts, warnings)
    deductions = _by_row(region, year)
    extra_rows: dict[AccountKey, list[Extra]] = defaultdict(list)
    for extra in extras:
        if extra.row:
            extra_rows[extra.hospital_id, extra.pool, extra.row].append(extra)
    kept = closed_places(region.statements)
    statements = {}
    none = Account()
    # The keys of the accounts come in order, so that there is little to sort.
    for key in sorted(dict.fromkeys((*accounts, *extra_rows, *deductions, *region.statements))):
        if kept and key[1:] in kept:
            if key in region.statements:
                statements[key] = region.statements[key]
            continue
        statements[key] = _statement(
            region,
            policy.month.ratio,
            key,
            accounts.get(key, none),
            values,
            extra_rows.get(key, ()),
            deductions.get(key, ()),
        )
    return Months(values, statements, warnings)


def check_point_value(value: int, pool: str, month: str) -> None:
    """See that a column holds a point value.

    Raises:
        InputsError: it is absurd.
    """
    if value >= 2**63:
        raise InputsError(
            f"the point value of pool '{pool}' in {month} is {points_text(value)} yuan, "
            "which is too large to be computed with",
            hint="check the amounts in budget.csv, rates.csv and closed.csv, and the costs of"
            " these cases",
        )


def point_values(
    region: Region,
    policy: Policy,
    year: int,
    accounts: Mapping[AccountKey, Account],
    warnings: list[str],
) -> dict[tuple[str, str], MonthValue]:
    """Point value of every pool and month that has accounts."""
    pools: dict[str, dict[str, Account]] = defaultdict(lambda: defaultdict(Account))
    for (_, pool, month), account in accounts.items():
        pools[pool][month].add(account)
    if (
        policy.month.basis == "fund"
        and policy.month.value == "budget"
        and any(a.cash for a in accounts.values())
    ):
        warnings.append(
            "fund_basis: the point value shares out the fund's budget alone, "
            "and patient cash is subtracted again (month.basis)"
        )
    kept = closed_places(region.statements)
    values = {}
    for pool, months in sorted(pools.items()):
        if policy.month.value == "yuan":
            for month, account in sorted(months.items()):
                worth = money(account.points, SCALE)
                values[pool, month] = MonthValue(
                    account.cases, worth, account.points, SCALE, closed=False
                )
            continue
        funds = {month: account.fund for month, account in months.items()}
        shares = month_shares(region, pool, year, funds, warnings)
        for month, account in sorted(months.items()):
            if (pool, month) in kept:
                continue
            if month not in shares:
                raise RegionError(
                    f"pool '{pool}' has cases in {month} and no share for it",
                    file="month_shares.csv",
                    hint="add last year's payment of that month; 0 gives it no budget",
                )
            budget = region.budget_of(pool, month) * shares[month] * (1 - policy.incentive.share)
            if policy.month.basis == "total":
                budget += account.cash
            values[pool, month] = _value(region, policy, pool, month, account, budget, warnings)
    for pool, month in sorted(closed_places(region.statements)):
        values[pool, month] = _closed_value(region, pool, month)
    for (pool, month), entry in values.items():
        check_point_value(entry.value, pool, month)
    return values


def _closed_value(region: Region, pool: str, month: str) -> MonthValue:
    """A month as it was closed."""
    frozen = region.closed[pool, month]
    mine = [s for key, s in region.statements.items() if key[1:] == (pool, month)]
    return MonthValue(
        sum(statement.cases for statement in mine),
        Fraction(frozen.budget or 0),
        frozen.points,
        frozen.point_value,
        closed=True,
    )


def fixed_rate(region: Region, policy: Policy, pool: str) -> int:
    """The point value in 1e-8 yuan of a fixed rate per weight (费率法).

    Raises:
        RegionError: rates.csv has no rate for the pool.
    """
    table = policy.month.rate_table
    for name in (pool, ""):
        if (rate := region.rates.get((table, "", name))) is not None:
            return p8(rate / policy.groups.points_per_weight)
    raise RegionError(
        f"table '{table}' has no rate for pool '{pool}'",
        file="rates.csv",
        hint=f"add a line with table {table} and class '{pool}'",
    )


def _value(
    region: Region,
    policy: Policy,
    pool: str,
    month: str,
    account: Account,
    budget: Fraction,
    warnings: list[str],
) -> MonthValue:
    frozen = region.closed.get((pool, month))
    if frozen is None:
        if account.points <= 0:
            raise InputsError(
                f"pool '{pool}' has {counted(account.cases, 'case')} and no points in {month}, "
                "so no point value follows",
                hint="check the costs of these cases, or freeze the month in closed.csv",
            )
        if policy.month.value == "rate":
            value = fixed_rate(region, policy, pool)
        else:
            value = p8(budget * _FEN_PER_UNIT / account.points)
        return MonthValue(account.cases, budget, account.points, value, closed=False)
    if frozen.points != account.points:
        warnings.append(
            f"closed_month_changed: pool '{pool}' {month} was closed with "
            f"{points_text(frozen.points)} points and now has {points_text(account.points)}; "
            "closed_statements.csv, which `grouper close` writes, leaves the rest to clearing"
        )
    return MonthValue(account.cases, budget, account.points, frozen.point_value, closed=True)


def _by_row(region: Region, year: int) -> dict[AccountKey, list[Deduction]]:
    rows: dict[AccountKey, list[Deduction]] = defaultdict(list)
    for deduction in region.deductions:
        if deduction.month not in months_of(year):
            raise RegionError(
                f"the month {deduction.month} lies outside the year {year}",
                file="deductions.csv",
                line=deduction.row,
                hint="move the line to the region folder of its year",
            )
        rows[deduction.hospital_id, deduction.pool, deduction.month].append(deduction)
    return rows


def _statement(
    region: Region,
    ratio: Fraction,
    key: AccountKey,
    account: Account,
    values: Mapping[tuple[str, str], MonthValue],
    extras: Sequence[Extra],
    deductions: Sequence[Deduction],
) -> HospitalMonth:
    # Plain loops over integers: there are tens of thousands of statements.
    place = key[1:]
    known = values.get(place)
    frozen = region.closed.get(place)
    value = known.value if known else frozen.point_value if frozen else None
    deducted = audit = 0
    for deduction in deductions:
        deducted += deduction.points
        audit += deduction.money
    if deducted and value is None:
        _, pool, month = key
        raise RegionError(
            f"points are deducted in {month}, and pool '{pool}' has no point value there",
            file="deductions.csv",
            line=next(d.row for d in deductions if d.points),
            hint="name a month in which the pool has cases",
        )
    extra_points = added = 0
    for extra in extras:
        extra_points += extra.points
        added += extra.points * values[extra.pool, extra.month].value
    worth = account.points * (value or 0)
    below = _PER_FEN * ratio.denominator
    exact = (worth - account.cash * _PER_FEN) * ratio.numerator - audit * below
    taken = deducted * (value or 0) * ratio.denominator
    gross = half_up(worth, _PER_FEN)
    prepaid = half_up(exact, below)
    paid = half_up(exact + added * ratio.numerator - taken, below)
    return HospitalMonth(
        cases=account.cases,
        points=account.points,
        extra_points=extra_points,
        deducted_points=deducted,
        gross=gross,
        cash=account.cash,
        prepaid=prepaid,
        audit_deduction=audit,
        paid=paid,
        deposit=gross - account.cash - audit - prepaid,
    )
