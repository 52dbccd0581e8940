"""Per-diem cases (床日): points per day × days, valued from a budget line of their own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from grouper.errors import InputsError, RegionError
from grouper.settlement.months import Account, AccountKey, check_point_value, month_shares
from grouper.settlement.numbers import SCALE, money, p8, rounded
from grouper.settlement.policy import Policy
from grouper.settlement.region import Region


@dataclass(frozen=True, slots=True)
class PerDiemMonth:
    """A hospital's per-diem cases of a pool and month; fen, points and value in 1e-8."""

    cases: int
    points: int
    point_value: int
    gross: int
    cash: int
    paid: int


@dataclass(frozen=True)
class PerDiemMonths:
    """Point values by pool and month, and statements by account."""

    values: dict[tuple[str, str], int] = field(default_factory=dict)
    statements: dict[AccountKey, PerDiemMonth] = field(default_factory=dict)


def settle_per_diem(
    region: Region, policy: Policy, year: int, accounts: Mapping[AccountKey, Account]
) -> PerDiemMonths:
    """Value the per-diem points: line amount × share of the month / points of the month.

    Raises:
        RegionError: the budget has no such line.
        InputsError: a month with per-diem cases and without points.
    """
    pools: dict[str, dict[str, Account]] = defaultdict(lambda: defaultdict(Account))
    for (_, pool, month), account in sorted(accounts.items()):
        pools[pool][month].add(account)
    values = {}
    for pool, months in pools.items():
        funds = {month: account.fund for month, account in months.items()}
        shares = month_shares(region, pool, year, funds, [])
        for month, account in months.items():
            amount = -region.line_of(pool, policy.per_diem.line, month)
            if amount <= 0:
                raise RegionError(
                    f"pool '{pool}' has per-diem cases in {month} and no line "
                    f"'{policy.per_diem.line}' that pays them",
                    file="budget.csv",
                    hint="add the line with a negative amount",
                )
            if account.points <= 0:
                raise InputsError(
                    f"pool '{pool}' has per-diem cases and no per-diem points in {month}",
                    hint="check the points per day in rates.csv",
                )
            budget = amount * shares.get(month, Fraction(0))
            values[pool, month] = p8(budget * Fraction(SCALE, 100) / account.points)
            check_point_value(values[pool, month], pool, month)
    statements = {}
    for key, account in sorted(accounts.items()):
        value = values[key[1:]]
        worth = money(account.points, value)
        statements[key] = PerDiemMonth(
            account.cases,
            account.points,
            value,
            rounded(worth),
            account.cash,
            rounded((worth - account.cash) * policy.month.ratio),
        )
    return PerDiemMonths(values, statements)
