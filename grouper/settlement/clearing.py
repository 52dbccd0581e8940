"""Year-end clearing (年终清算, settlement.md section 7)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from grouper.errors import RegionError, RunError
from grouper.settlement.months import Account, AccountKey, Extra, HospitalMonth, months_of
from grouper.settlement.numbers import SCALE, money, p8, points_text, rounded
from grouper.settlement.policy import YearEnd
from grouper.settlement.region import Region

_FEN_PER_UNIT = Fraction(SCALE, 100)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a hospital's year comes to; fen.

    Attributes:
        due: to be paid; negative: to be recovered (回收).
    """

    assessed: int
    surplus_cut: int
    self_pay_cut: int
    due: int


@dataclass(frozen=True, slots=True)
class Clearing:
    """The clearing of a hospital and pool; fen, points and point value in 1e-8."""

    cases: int
    points: int
    deducted_points: int
    point_value: int
    gross: int
    assessed: int
    surplus_cut: int
    self_pay_cut: int
    cash: int
    already_paid: int
    due: int


def year_value(total: int, fund: int, budget: int, points: int) -> int:
    """v_Y in 1e-8 yuan: (total cost − fund paid + DRG budget) / points of the year."""
    return p8(Fraction(total - fund + budget) * _FEN_PER_UNIT / points)


def settle(
    rules: YearEnd,
    *,
    gross: int,
    assessment: int,
    total: int,
    self_pay: int,
    cash: int,
    other_funds: int,
    already_paid: int,
) -> Settled:
    """Apply assessment, caps and payments in the policy's order.

    Form A states patient payable, other funds and the assessment as separate deductions, form B in
    one; on the same data both give the same sum.

    Args:
        rules: form, order and limits.
        gross: points × v_Y, in fen.
        assessment: assessment coefficient in 1e-8.
        total: the hospital's yearly total cost, in fen.
        self_pay: its yearly self-pay (自费), in fen.
        cash: all that patients and other funds paid, in fen.
        other_funds: the part of ``cash`` that other funds paid.
        already_paid: what the fund already paid, in fen.
    """
    amount = gross
    assessed = gross
    surplus_cut = self_pay_cut = 0
    for step in rules.order:
        if step == "assessment":
            taken = amount - rounded(Fraction(amount * assessment, SCALE))
            assessed -= taken
            amount -= taken
        elif step == "surplus_cap" and rules.surplus_cap is not None:
            surplus_cut = max(0, amount - rounded((1 + rules.surplus_cap) * total))
            amount -= surplus_cut
        elif step == "self_pay" and rules.self_pay_limit is not None:
            self_pay_cut = max(0, rounded(self_pay - rules.self_pay_limit * total))
            amount -= self_pay_cut
        elif step == "prepaid" and rules.form == "A":
            amount -= (cash - other_funds) + already_paid + other_funds
        elif step == "prepaid":
            amount -= cash + already_paid
    return Settled(assessed, surplus_cut, self_pay_cut, amount)


def clear_year(
    region: Region,
    rules: YearEnd,
    year: int,
    accounts: Mapping[AccountKey, Account],
    extras: Iterable[Extra],
    statements: Mapping[AccountKey, HospitalMonth],
) -> dict[tuple[str, str], Clearing]:
    """The clearing of every hospital and pool.

    Raises:
        RunError: a pool with cases and without points in the year.
        RegionError: points deducted in a pool without cases.
    """
    books: dict[tuple[str, str], Account] = defaultdict(Account)
    for (hospital, pool, _), account in accounts.items():
        books[hospital, pool].add(account)
    for extra in extras:
        books[extra.hospital_id, extra.pool].points += extra.points
    deducted: dict[tuple[str, str], int] = defaultdict(int)
    for deduction in region.deductions:
        deducted[deduction.hospital_id, deduction.pool] += deduction.points
    paid = _already_paid(region, statements)
    keys = sorted({*books, *deducted, *paid})
    values = {
        pool: _pool_value(region, year, pool, books, deducted)
        for pool in sorted({pool for _, pool in keys})
    }
    assessment = {hospital.hospital_id: hospital.assessment for hospital in region.hospitals}
    cleared = {}
    for hospital, pool in keys:
        account = books.get((hospital, pool), Account())
        taken = deducted.get((hospital, pool), 0)
        already = paid.get((hospital, pool), 0)
        gross = rounded(money(account.points - taken, values[pool]))
        settled = settle(
            rules,
            gross=gross,
            assessment=assessment[hospital],
            total=account.total,
            self_pay=account.self_pay,
            cash=account.cash,
            other_funds=account.other,
            already_paid=already,
        )
        cleared[hospital, pool] = Clearing(
            account.cases,
            account.points,
            taken,
            values[pool],
            gross,
            settled.assessed,
            settled.surplus_cut,
            settled.self_pay_cut,
            account.cash,
            already,
            settled.due,
        )
    return cleared


def _already_paid(
    region: Region, statements: Mapping[AccountKey, HospitalMonth]
) -> dict[tuple[str, str], int]:
    """Fen by hospital and pool: all of payments.csv, or the run's own payments without it."""
    paid: dict[tuple[str, str], int] = defaultdict(int)
    if region.payments is None:
        for (hospital, pool, _), statement in statements.items():
            paid[hospital, pool] += statement.paid
    else:
        for payment in region.payments:
            paid[payment.hospital_id, payment.pool] += payment.amount
    return paid


def _pool_value(
    region: Region,
    year: int,
    pool: str,
    books: Mapping[tuple[str, str], Account],
    deducted: Mapping[tuple[str, str], int],
) -> int:
    mine = [account for (_, name), account in books.items() if name == pool]
    points = sum(account.points for account in mine)
    taken = sum(amount for (_, name), amount in deducted.items() if name == pool)
    if not any(account.cases for account in mine):
        if taken:
            raise RegionError(
                f"points are deducted in pool '{pool}', which has no cases",
                file="deductions.csv",
                hint="name a pool in which the hospital has cases",
            )
        return 0
    if points - taken <= 0:
        raise RunError(
            f"the points of pool '{pool}' in {year} less deductions are "
            f"{points_text(points - taken)}, so no point value follows",
            hint="check deductions.csv",
        )
    return year_value(
        sum(account.total for account in mine),
        sum(account.fund for account in mine),
        region.budget_of(pool, months_of(year)[-1]),
        points - taken,
    )
