"""From grouped cases to routes and integers (settlement.md sections 3 and 12).

Everything a case needs later is turned into small codes once: its *cell* (DRG and level, see
`settlement.statistics`) and its *account*, (hospital × pools + pool) × 12 + month.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from grouper.cases import COLUMNS, Column
from grouper.errors import RegionError
from grouper.grouping import AMBIGUOUS, GROUPED, STATUS, UNGROUPED, GroupedBatch
from grouper.grouping import REASON as GROUPING_REASONS
from grouper.kernels.routing import find_pools, place_cases
from grouper.loaded import answers_of
from grouper.quality.evaluate import evaluate
from grouper.quality.registry import RULES
from grouper.scheme import Scheme
from grouper.settlement.amounts import Ints, Mask, text_column
from grouper.settlement.arrivals import (
    AMOUNTS,
    MONEY_COLUMNS,
    REJECTED_SCHEMA,
    Codes,
    Faults,
    amounts_of,
    coded,
    flags,
    integers,
)
from grouper.settlement.dip import dip_keys, kinds_of
from grouper.settlement.months import MONTHS
from grouper.settlement.plan import Accounts, IntakePlan, make_accounts, make_plan
from grouper.settlement.policy import Policy
from grouper.settlement.prices import PriceList, bills, leaving
from grouper.settlement.region import INSURANCES, LEVELS
from grouper.settlement.routes import CODE, DRG, INVALID, ITEM, PER_DIEM, REASONS
from grouper.settlement.scope import Moved, settle_scope
from grouper.settlement.uplifts import case_factors

__all__ = [
    "AMOUNTS",
    "REJECTED_SCHEMA",
    "REQUIRED",
    "Accounts",
    "Codes",
    "Intake",
    "IntakePlan",
    "intake_columns",
    "make_accounts",
    "make_plan",
    "take_in",
]

REQUIRED: Final = ("case_id", "dx", "hospital_id", "insurance", "settle_month", "total_cost")
"""Columns without which a settlement cannot start."""

_FUND, _CASH = AMOUNTS.index("fund_paid"), AMOUNTS.index("patient_cash")
_SELF = INSURANCES.index("self")
_FIELDS: Final = {
    "no_diagnosis": "dx",
    "superseded": "version",
    "conflicting_version": "version",
}
"""Field at fault by reason of grouping; else it is the id."""


def intake_columns(policy: Policy) -> tuple[Column, ...]:
    """The case columns that a settlement by this policy reads beside those of grouping."""
    names = ["case_id", "hospital_id", "insurance", "city", "settle_month", *MONEY_COLUMNS]
    if policy.per_diem.used:
        names += ["los", "bed_day_flag"]
    if policy.coefficient.tcm_uplift:
        names.append("tcm_flag")
    if policy.coefficient.child_uplift:
        names.append("age")
    if policy.coefficient.uplifts:
        names += ["age", "dx", "px"]
    if policy.readmission.days is not None:
        names += ["person_id", "admission_date", "discharge_date"]
    if policy.price.table:
        names += ["los", "discharge", "admission_time", "discharge_time", "tcm_flag", "dept"]
        names += ["px", "separate_items"]
    for code in policy.reject:
        names += RULES[code].needs
    if policy.groups.by == "dip":
        names += ["dx", "px"]
    return tuple(COLUMNS[name] for name in dict.fromkeys(names))


@dataclass(frozen=True)
class Intake:
    """A batch of cases as integers, in the order of the input.

    Attributes:
        grouped: the grouping, with the cases invalid that a settlement cannot take.
        route: int8, `settlement.routes.ROUTES`.
        reason: int16, `settlement.routes.REASONS`; 0 where the route is ``drg``.
        cell: int32, -1 where the case is neither paid nor simulated by points.
        account: int32 where the route is ``drg``; -2 − account where the case is simulated or
            paid per day; else -1.
        factor: int64, 1e-8; None where cases have no factors.
        days: int32, days of a case of route ``per_diem``.
        bills: rows of `prices.BILLS_SCHEMA` where the policy bills a price.
        compliant: compliant cost in fen.
        amounts: int64 (5, rows), fen, in the order of `AMOUNTS`.
        rejected: rows of `REJECTED_SCHEMA`.
        empty: how many cases of route ``drg`` lack an amount, by column; they count as 0.
        moved: cost that came into the cases or went out of them.
    """

    grouped: pa.RecordBatch
    status: NDArray[np.int8]
    route: NDArray[np.int8]
    reason: NDArray[np.int16]
    cell: Codes
    account: Codes
    compliant: Ints
    amounts: Ints
    factor: Ints | None
    days: Codes
    bills: pa.RecordBatch | None
    rejected: pa.Table
    empty: Mapping[str, int]
    moved: Moved

    @property
    def total(self) -> Ints:
        """Total cost in fen."""
        total: Ints = self.amounts[0]
        return total


def take_in(
    batch: pa.RecordBatch,
    grouped: GroupedBatch,
    plan: IntakePlan,
    place: tuple[int, int] | None = None,
) -> Intake:
    """Route the cases of a batch.

    Args:
        batch: the columns of `intake_columns`; absent ones count as null.
        grouped: the grouping of the same cases.
        plan: codes and rules of the run.
        place: part and row of the first case, by which visits are merged; None: none are.

    Raises:
        RegionError: pools are by city, and neither case nor hospital names one.
    """
    accounts = plan.accounts
    rows = batch.num_rows
    faults = Faults(batch, rows)
    for code, rule in enumerate(GROUPING_REASONS):
        if rule and np.count_nonzero(grouped.reason):
            field = _FIELDS.get(rule, "case_id")
            faults.add(rule, grouped.reason == code, "" if field == "dx" else field, field)
    index = {name: i for i, name in enumerate(accounts.hospitals)}
    hospital = coded(batch, "hospital_id", lambda text: index.get(text, -1))
    faults.add("unknown_hospital", hospital < 0, "hospital_id")
    names = {name: i for i, name in enumerate(INSURANCES)}
    insurance = coded(batch, "insurance", lambda text: names.get(text, -1))
    faults.add("unknown_insurance", insurance < 0, "insurance")
    months = {name: i for i, name in enumerate(accounts.months)}
    month = coded(batch, "settle_month", lambda text: months.get(text, -1))
    faults.add("month_outside_year", month < 0, "settle_month")
    amounts, fen, null = amounts_of(batch, faults)
    if plan.quality is not None:
        for hit in evaluate(batch, plan.quality, grouped):
            faults.tell(hit.rule.code, hit.rows, hit.rule.field, hit.value)
    moved = settle_scope(batch, plan, place, fen, null, faults)

    reason = faults.reason
    invalid = reason > 0
    alone = ~invalid & (insurance == _SELF)
    route = np.full(rows, DRG, np.int8)
    route[invalid] = INVALID
    route[alone] = ITEM
    reason[alone] = CODE["self_pay"]
    insured = route == DRG
    days = _per_diem(batch, plan, route, reason)
    waiting = np.zeros(rows, np.bool_)
    if any(plan.first_paid):
        early = month < np.array((*plan.first_paid, 0), np.int32)[hospital]
        _simulate("before_go_live", early, waiting, route, reason)
    if any(plan.non_pilot):
        outside = np.array((*plan.non_pilot, False), np.bool_)
        _simulate("non_pilot", outside[hospital], waiting, route, reason)
    kinds, table, status = _groups(batch, grouped, plan, invalid, reason)
    billed = None
    if plan.prices is not None:
        if plan.policy.price.bills:
            route[route == ITEM] = DRG
            reason[route == DRG] = 0
        price = _leave(batch, plan.prices, kinds, hospital, fen["total_cost"], route, reason)
        if plan.policy.price.bills:
            mine = route == DRG
            billed = bills(batch, plan.prices, price, insured, mine)
            amounts[_FUND] = np.where(mine, billed[0], amounts[_FUND])
            amounts[_CASH] = np.where(mine, billed[1], amounts[_CASH])
            insured = insured | mine
    np.copyto(fen["compliant_cost"], fen["total_cost"], where=null["compliant_cost"])
    cell, account = np.empty(rows, np.int32), np.empty(rows, np.int32)
    place_cases(
        route,
        waiting.view(np.uint8),
        insured.view(np.uint8),
        kinds,
        hospital,
        _pools(batch, accounts, hospital, insurance, insured),
        month,
        np.array((*accounts.levels, 1), np.int32),
        DRG,
        len(LEVELS),
        len(accounts.pools),
        MONTHS,
        cell,
        account,
    )
    return Intake(
        table,
        status,
        route,
        reason,
        cell,
        account,
        fen["compliant_cost"],
        amounts,
        case_factors(batch, grouped.severity, plan, hospital) if plan.with_factors else None,
        days,
        None if billed is None else billed[2],
        faults.table(),
        {name: int((null[name] & insured).sum()) for name in AMOUNTS[1:]},
        moved,
    )


def _simulate(
    why: str, mask: Mask, waiting: Mask, route: NDArray[np.int8], reason: NDArray[np.int16]
) -> None:
    """Send cases of the route ``drg`` to the route ``item``, to be simulated by points."""
    mine = mask & (route == DRG)
    route[mine] = ITEM
    reason[mine] = CODE[why]
    waiting |= mine


def _leave(
    batch: pa.RecordBatch,
    prices: PriceList,
    kinds: Codes,
    hospital: Codes,
    total: Ints,
    route: NDArray[np.int8],
    reason: NDArray[np.int16],
) -> Ints:
    """Send the cases that leave the payment to the route ``item``; return the prices."""
    known = np.array((*prices.classes, 0), np.int32)[hospital]
    price: Ints = prices.prices[kinds, known]
    for name, mask in leaving(batch, prices, price, total):
        mine = mask & (route == DRG)
        route[mine] = ITEM
        reason[mine] = CODE[name]
    return price


def _per_diem(
    batch: pa.RecordBatch, plan: IntakePlan, route: NDArray[np.int8], reason: NDArray[np.int16]
) -> Codes:
    """Send long and flagged stays to the route ``per_diem``; return the days of each case."""
    rules = plan.policy.per_diem
    days = np.zeros(len(route), np.int32)
    if not rules.used:
        return days
    los = integers(batch, "los")
    chosen = []
    if rules.flagged:
        chosen.append(("bed_day_flag", flags(batch, "bed_day_flag")))
    if rules.long_stay_days is not None:
        chosen.append(("long_stay", los > rules.long_stay_days))
    for name, mask in chosen:
        mine = mask & (route == DRG)
        route[mine] = PER_DIEM
        reason[mine] = CODE[name]
    paid = route == PER_DIEM
    days[paid] = np.maximum(los[paid], 1)
    return days


def _pools(
    batch: pa.RecordBatch, accounts: Accounts, hospital: Codes, insurance: Codes, insured: Mask
) -> Codes:
    index = {pool: i for i, pool in enumerate(accounts.pools)}
    if not accounts.by_city:
        table = np.array([index.get(name, -1) for name in INSURANCES], np.int32)
        return table[insurance]
    cities = sorted({pool.rpartition("/")[0] for pool in accounts.pools})
    numbers = {city: i for i, city in enumerate(cities)}
    home = np.array([numbers.get(city, -1) for city in (*accounts.cities, "")], np.int32)
    # A city that the run does not know cannot be: the survey gathered those of all cases.
    city = coded(batch, "city", lambda text: numbers.get(text, -1))
    pairs = [[index.get(f"{name}/{kind}", -1) for kind in INSURANCES] for name in cities]
    pools = np.array(pairs, np.int32).reshape(-1, len(INSURANCES))
    pool = np.empty(len(hospital), np.int32)
    lost = find_pools(insured.view(np.uint8), hospital, insurance, city, home, pools, pool)
    if lost >= 0:
        name = accounts.hospitals[hospital[lost]]
        raise RegionError(
            f"hospital '{name}' has no city, nor has one of its cases",
            file="hospitals.csv",
            hint="pools are by city: fill in the hospital's city",
        )
    return pool


def _kinds(scheme: Scheme) -> Codes:
    """The group of each outcome; behind the DRGs come the ambiguous and the ungrouped."""
    status, drgs = answers_of(scheme).status, len(scheme.drgs)
    other = np.where(status == AMBIGUOUS, drgs, drgs + 1)
    return np.where(status == GROUPED, scheme.drg_of_outcome, other).astype(np.int32)


def _groups(
    batch: pa.RecordBatch,
    grouped: GroupedBatch,
    plan: IntakePlan,
    invalid: Mask,
    reason: NDArray[np.int16],
) -> tuple[Codes, pa.RecordBatch, NDArray[np.int8]]:
    """(kind, grouped table, status): behind the groups come the ambiguous and the ungrouped."""
    more = invalid & (grouped.reason == 0)
    if more.any():
        grouped = replace(
            grouped,
            outcome=np.where(more, 0, grouped.outcome).astype(np.int32),
            reason=np.where(more, 1, grouped.reason).astype(np.int8),
        )
    table, status = grouped.table(), grouped.status
    why = text_column(np.where(invalid, reason, 0), REASONS)
    table = table.set_column(table.schema.get_field_index("reason"), "reason", why)
    if plan.catalogue is None:
        return _kinds(grouped.scheme)[grouped.outcome], table, status
    groups = kinds_of(dip_keys(batch, plan.catalogue.rules), plan.catalogue)
    groups[invalid] = -1
    names = (*plan.catalogue.codes, "")
    status = np.where(invalid, INVALID, np.where(groups < 0, UNGROUPED, GROUPED)).astype(np.int8)
    for name, column in (
        ("drg", text_column(np.where(groups < 0, len(names) - 1, groups), names)),
        ("adrg", text_column(np.zeros(len(groups), np.int32), ("",))),
        ("status", text_column(status, STATUS)),
    ):
        table = table.set_column(table.schema.get_field_index(name), name, column)
    kinds = np.where(groups < 0, len(plan.catalogue.codes) + 1, groups)
    return kinds.astype(np.int32), table, status
