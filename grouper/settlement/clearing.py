"""Year-end clearing (年终清算, settlement.md section 7)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from grouper.errors import InputsError, RegionError
from grouper.settlement.months import (
    Account,
    AccountKey,
    Extra,
    HospitalMonth,
    fixed_rate,
    months_of,
)
from grouper.settlement.numbers import SCALE, money, p8, points_text, rounded
from grouper.settlement.policy import Policy, YearEnd
from grouper.settlement.prices import QuotaYear, share_quota
from grouper.settlement.region import Region

_FEN_PER_UNIT = Fraction(SCALE, 100)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a hospital's year comes to; fen.

    Attributes:
        assessed: gross after assessment, with what the fund shares of an overspend.
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


def year_value(total: int, fund: int, budget: int | Fraction, points: int) -> int:
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
            taken -= overspend_share(rules, amount - taken, total)
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


def overspend_share(rules: YearEnd, settled: int, total: int) -> int:
    """What the fund pays of a hospital's overspending, in fen: each band at its own share."""
    over = total - settled
    if over <= 0 or settled <= 0:
        return 0
    shared, below = Fraction(0), Fraction(0)
    for band in rules.overspend:
        above = over if band.up_to is None else min(Fraction(over), band.up_to * settled)
        if above > below:
            shared += (above - below) * band.share
            below = Fraction(above)
    return rounded(shared)


@dataclass(frozen=True, slots=True)
class Incentive:
    """A hospital's part of the incentive pool (激励机制基金池).

    Attributes:
        points: points of the year less deductions, in 1e-8.
        coefficient: encouragement coefficient (鼓励系数), in 1e-8.
        amount: fen.
    """

    points: int
    coefficient: int
    amount: int


def share_incentive(
    region: Region,
    policy: Policy,
    year: int,
    points: Mapping[tuple[str, str], int],
) -> dict[tuple[str, str], Incentive]:
    """Share the kept part of each pool's budget by points × encouragement coefficient.

    Raises:
        RegionError: a hospital has no coefficient.
    """
    if not policy.incentive.share:
        return {}
    coefficient = {
        hospital.hospital_id: p8(region.rate(policy.incentive.table, hospital))
        for hospital in region.hospitals
        if any(name == hospital.hospital_id for name, _ in points)
    }
    shared = {}
    for pool in sorted({pool for _, pool in points}):
        mine = {key: max(held, 0) for key, held in points.items() if key[1] == pool}
        whole = sum(held * coefficient[hospital] for (hospital, _), held in mine.items())
        kept = region.budget_of(pool, months_of(year)[-1]) * policy.incentive.share
        for key, held in mine.items():
            part = Fraction(held * coefficient[key[0]], whole) if whole else Fraction(0)
            shared[key] = Incentive(points[key], coefficient[key[0]], rounded(kept * part))
    return shared


@dataclass(frozen=True)
class YearOutcome:
    """What the year end comes to, by hospital (or lead hospital) and pool."""

    cleared: dict[tuple[str, str], Clearing]
    incentives: dict[tuple[str, str], Incentive]
    quotas: dict[tuple[str, str], QuotaYear]


def _quotas(
    region: Region, policy: Policy, year: int, books: Mapping[tuple[str, str], Account]
) -> dict[tuple[str, str], QuotaYear]:
    """The quotas of all pools; nothing where the policy has none."""
    if not policy.quota.used:
        return {}
    found = {}
    for pool in sorted({pool for _, pool in books}):
        mine = {hospital: book for (hospital, name), book in books.items() if name == pool}
        entitled = {h: rounded(money(book.points, SCALE)) for h, book in mine.items()}
        carried = {
            h: rounded(region.rates.get((policy.quota.carried_table, pool, h), Fraction(0)) * 100)
            for h in mine
        }
        left = region.budget_of(pool, months_of(year)[-1]) - sum(entitled.values())
        spent = {h: book.total for h, book in mine.items()}
        for hospital, row in share_quota(
            entitled, spent, carried, left, policy.quota.borne
        ).items():
            found[hospital, pool] = row
    return found


def clear_year(
    region: Region,
    policy: Policy,
    year: int,
    accounts: Mapping[AccountKey, Account],
    extras: Iterable[Extra],
    statements: Mapping[AccountKey, HospitalMonth],
) -> YearOutcome:
    """The clearing of every hospital (or alliance) and pool, and what is shared beside it.

    Args:
        region: the region's tables.
        policy: its rules.
        year: the settlement year.
        accounts: sums by hospital, pool and month over the cases of route ``drg``.
        extras: points of approved reviews.
        statements: the monthly statements, whose payments count where payments.csv is absent.

    Raises:
        InputsError: a pool with cases and without points in the year.
        RegionError: points deducted in a pool without cases.
    """
    rules = policy.year_end
    lead = region.leads if rules.alliances else {}
    books: dict[tuple[str, str], Account] = defaultdict(Account)
    for (hospital, pool, _), account in accounts.items():
        books[lead.get(hospital, hospital), pool].add(account)
    for extra in extras:
        entity = lead.get(extra.hospital_id, extra.hospital_id)
        books[entity, extra.pool].points += extra.points
    deducted: dict[tuple[str, str], int] = defaultdict(int)
    for deduction in region.deductions:
        entity = lead.get(deduction.hospital_id, deduction.hospital_id)
        deducted[entity, deduction.pool] += deduction.points
    paid: dict[tuple[str, str], int] = defaultdict(int)
    for (hospital, pool), amount in _already_paid(region, statements).items():
        paid[lead.get(hospital, hospital), pool] += amount
    keys = sorted({*books, *deducted, *paid})
    values = {
        pool: _pool_value(region, policy, year, pool, books, deducted)
        for pool in sorted({pool for _, pool in keys})
    }
    net = {key: book.points - deducted.get(key, 0) for key, book in books.items()}
    incentives = share_incentive(region, policy, year, net)
    quotas = _quotas(region, policy, year, books)
    assessment = {hospital.hospital_id: hospital.assessment for hospital in region.hospitals}
    cleared = {}
    for hospital, pool in keys:
        account = books.get((hospital, pool), Account())
        taken = deducted.get((hospital, pool), 0)
        already = paid.get((hospital, pool), 0)
        gross = rounded(money(account.points - taken, values[pool]))
        if (hospital, pool) in incentives:
            gross += incentives[hospital, pool].amount
        if (hospital, pool) in quotas:
            gross += quotas[hospital, pool].added
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
    return YearOutcome(cleared, incentives, quotas)


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
    policy: Policy,
    year: int,
    pool: str,
    books: Mapping[tuple[str, str], Account],
    deducted: Mapping[tuple[str, str], int],
) -> int:
    mine = [account for (_, name), account in books.items() if name == pool]
    points = sum(account.points for account in mine)
    taken = sum(amount for (_, name), amount in deducted.items() if name == pool)
    if not any(account.cases for account in mine):
        if taken and policy.month.value != "yuan":
            raise RegionError(
                f"points are deducted in pool '{pool}', which has no cases",
                file="deductions.csv",
                hint="name a pool in which the hospital has cases",
            )
        return 0
    if points - taken <= 0 and policy.month.value == "budget":
        raise InputsError(
            f"the points of pool '{pool}' in {year} less deductions are "
            f"{points_text(points - taken)}, so no point value follows",
            hint="check deductions.csv",
        )
    if policy.month.value == "yuan":
        return SCALE
    if policy.month.value == "rate":
        return fixed_rate(region, policy, pool)
    budget = region.budget_of(pool, months_of(year)[-1]) * (1 - policy.incentive.share)
    total = sum(account.total for account in mine)
    return year_value(total, sum(account.fund for account in mine), budget, points - taken)
