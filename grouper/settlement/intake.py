"""From grouped cases to routes and integers (settlement.md sections 3 and 12).

Everything a case needs later is turned into small codes once: its *cell* (DRG and level, see
`settlement.statistics`) and its *account*, (hospital × pools + pool) × 12 + month.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.cases import COLUMNS, Column
from grouper.errors import RegionError
from grouper.grouping import AMBIGUOUS, GROUPED, STATUS, UNGROUPED, GroupedBatch
from grouper.grouping import REASON as GROUPING_REASONS
from grouper.settlement.amounts import Ints, Mask, fen_column, text_column
from grouper.settlement.dip import Catalogue, dip_keys, kinds_of
from grouper.settlement.months import MONTHS, months_of
from grouper.settlement.numbers import SCALE, p8
from grouper.settlement.policy import BY_HOSPITAL, Policy
from grouper.settlement.prices import PriceList, bills, leaving
from grouper.settlement.region import INSURANCES, LEVELS, Region
from grouper.settlement.routes import CODE, DRG, INVALID, ITEM, MESSAGES, PER_DIEM, REASONS

Codes = NDArray[np.int32]

REQUIRED: Final = ("case_id", "dx", "hospital_id", "insurance", "settle_month", "total_cost")
"""Columns without which a settlement cannot start."""

AMOUNTS: Final = (
    "total_cost",
    "fund_paid",
    "patient_cash",
    "self_pay",
    "other_funds",
)
"""Amounts that are summed by account, in this order."""

_MONEY: Final = ("total_cost", "compliant_cost", *AMOUNTS[1:])
_FUND, _CASH = AMOUNTS.index("fund_paid"), AMOUNTS.index("patient_cash")
_SELF = INSURANCES.index("self")
_POOLED = INSURANCES[:_SELF]

REJECTED_SCHEMA: Final = pa.schema(
    [(name, pa.string()) for name in ("case_id", "rule", "field", "value", "message")]
)


def intake_columns(policy: Policy) -> tuple[Column, ...]:
    """The case columns that a settlement by this policy reads beside those of grouping."""
    names = ["case_id", "hospital_id", "insurance", "city", "settle_month", *_MONEY]
    if policy.per_diem.used:
        names += ["los", "bed_day_flag"]
    if policy.coefficient.tcm_uplift:
        names.append("tcm_flag")
    if policy.coefficient.child_uplift:
        names.append("age")
    if policy.readmission.days is not None:
        names += ["person_id", "admission_date", "discharge_date"]
    if policy.price.table:
        names += ["los", "discharge", "admission_time", "discharge_time", "tcm_flag", "dept"]
        names += ["px", "separate_items"]
    if policy.groups.by == "dip":
        names += ["dx", "px"]
    return tuple(COLUMNS[name] for name in dict.fromkeys(names))


@dataclass(frozen=True)
class Accounts:
    """The codes of hospitals, pools and months, and back.

    Attributes:
        hospitals: ids, sorted.
        levels: level by hospital.
        cities: city by hospital, empty where none is known.
        pools: names, sorted.
        by_city: whether a pool is a city and insurance, or an insurance.
        months: the twelve months of the settlement year.
    """

    hospitals: tuple[str, ...]
    levels: tuple[int, ...]
    cities: tuple[str, ...]
    pools: tuple[str, ...]
    by_city: bool
    months: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of accounts."""
        return len(self.hospitals) * len(self.pools) * MONTHS

    def in_year(self, year: int) -> Accounts:
        """The same codes for the months of another year."""
        return replace(self, months=months_of(year))

    def key(self, account: int) -> tuple[str, str, str]:
        """Hospital, pool and month of an account."""
        rest, month = divmod(account, MONTHS)
        hospital, pool = divmod(rest, len(self.pools))
        return self.hospitals[hospital], self.pools[pool], self.months[month]

    def pool_month(self, account: Codes) -> Codes:
        """Pool × 12 + month of accounts, also of those that are not paid by points; else -1."""
        place = np.where(account < -1, -2 - account, account)
        return np.where(place < 0, -1, place % (len(self.pools) * MONTHS)).astype(np.int32)


def make_accounts(region: Region, policy: Policy, year: int, cities: set[str]) -> Accounts:
    """The codes of a run; ``cities`` are those that cases name."""
    by_city = policy.pools.by == "city_insurance"
    insurances = INSURANCES if policy.price.bills else _POOLED
    pools: set[str] = set(insurances)
    if by_city:
        known = cities | {hospital.city for hospital in region.hospitals}
        pools = {f"{city}/{insurance}" for city in known if city for insurance in insurances}
    return Accounts(
        tuple(hospital.hospital_id for hospital in region.hospitals),
        tuple(hospital.level for hospital in region.hospitals),
        tuple(hospital.city for hospital in region.hospitals),
        tuple(sorted(pools)),
        by_city,
        months_of(year),
    )


@dataclass(frozen=True)
class IntakePlan:
    """What routes the cases of a run.

    Attributes:
        accounts: codes of hospitals, pools and months.
        policy: the rules.
        first_paid: by hospital, the first month (0 to 12) that is paid by points; earlier cases
            are simulated.
        factors: by hospital, its factor in 1e-8; empty where the policy has none.
        catalogue: disease groups, where the policy groups by DIP.
        prices: where the policy pays a price per case.
    """

    accounts: Accounts
    policy: Policy
    first_paid: tuple[int, ...]
    factors: tuple[int, ...] = ()
    catalogue: Catalogue | None = None
    prices: PriceList | None = None

    @property
    def with_factors(self) -> bool:
        """Whether points of a case are multiplied by a factor of its own."""
        rules = self.policy.coefficient
        return bool(
            self.factors or rules.tcm_uplift or rules.child_uplift or rules.kind in BY_HOSPITAL
        )

    def in_year(self, year: int) -> IntakePlan:
        """The same plan for cases of another year, all of which count."""
        accounts = self.accounts.in_year(year)
        return replace(self, accounts=accounts, first_paid=(0,) * len(self.first_paid))


def make_plan(region: Region, policy: Policy, accounts: Accounts) -> IntakePlan:
    """The plan of a run, without a DIP catalogue.

    Raises:
        RegionError: a hospital has no factor in rates.csv.
    """
    first = (0,) * len(region.hospitals)
    if policy.participation.dry_run == "before_go_live":
        first = tuple(
            sum(month < hospital.go_live[:7] for month in accounts.months)
            for hospital in region.hospitals
        )
    factors: tuple[int, ...] = ()
    if table := policy.coefficient.factor_table:
        factors = tuple(p8(region.rate(table, hospital)) for hospital in region.hospitals)
    return IntakePlan(accounts, policy, first, factors)


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

    @property
    def total(self) -> Ints:
        """Total cost in fen."""
        return self.amounts[0]


def take_in(batch: pa.RecordBatch, grouped: GroupedBatch, plan: IntakePlan) -> Intake:
    """Route the cases of a batch.

    Args:
        batch: the columns of `intake_columns`; absent ones count as null.
        grouped: the grouping of the same cases.
        plan: codes and rules of the run.

    Raises:
        RegionError: pools are by city, and neither case nor hospital names one.
    """
    accounts = plan.accounts
    rows = batch.num_rows
    faults = _Faults(batch, rows)
    for code, reason in enumerate(GROUPING_REASONS):
        if reason:
            field = "dx" if reason == "no_diagnosis" else "case_id"
            faults.add(reason, grouped.reason == code, "" if field == "dx" else field, field)
    index = {name: i for i, name in enumerate(accounts.hospitals)}
    hospital = _coded(batch, "hospital_id", lambda text: index.get(text, -1))
    faults.add("unknown_hospital", hospital < 0, "hospital_id")
    names = {name: i for i, name in enumerate(INSURANCES)}
    insurance = _coded(batch, "insurance", lambda text: names.get(text, -1))
    faults.add("unknown_insurance", insurance < 0, "insurance")
    months = {name: i for i, name in enumerate(accounts.months)}
    month = _coded(batch, "settle_month", lambda text: months.get(text, -1))
    faults.add("month_outside_year", month < 0, "settle_month")
    fen, null = _amounts(batch, faults)

    reason = faults.reason
    invalid = reason > 0
    route = np.where(invalid, INVALID, np.where(insurance == _SELF, ITEM, DRG)).astype(np.int8)
    reason[route == ITEM] = CODE["self_pay"]
    insured = route == DRG
    days = _per_diem(batch, plan, route, reason)
    waiting = (route == DRG) & (month < np.array((*plan.first_paid, 0), np.int32)[hospital])
    route[waiting] = ITEM
    reason[waiting] = CODE["before_go_live"]
    kinds, table, status = _groups(batch, grouped, plan, invalid, reason)
    amounts = np.stack([fen[name] for name in AMOUNTS])
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
    by_points = (route == DRG) | waiting
    pool = _pools(batch, accounts, hospital, insurance, insured)
    place = (hospital * len(accounts.pools) + pool) * MONTHS + month
    level = np.array((*accounts.levels, 1), np.int32)[hospital]
    account = np.where(route == DRG, place, np.where(insured, -2 - place, -1))
    return Intake(
        table,
        status,
        route,
        reason,
        np.where(by_points, kinds * len(LEVELS) + level - 1, -1).astype(np.int32),
        account.astype(np.int32),
        np.where(null["compliant_cost"], fen["total_cost"], fen["compliant_cost"]),
        amounts,
        _factors(batch, plan, hospital) if plan.with_factors else None,
        days,
        None if billed is None else billed[2],
        faults.table(),
        {name: int((null[name] & insured).sum()) for name in AMOUNTS[1:]},
    )


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
    los = _integers(batch, "los")
    chosen = []
    if rules.flagged:
        chosen.append(("bed_day_flag", _flags(batch, "bed_day_flag")))
    if rules.long_stay_days is not None:
        chosen.append(("long_stay", los > rules.long_stay_days))
    for name, mask in chosen:
        mine = mask & (route == DRG)
        route[mine] = PER_DIEM
        reason[mine] = CODE[name]
    paid = route == PER_DIEM
    days[paid] = np.maximum(los[paid], 1)
    return days


def _factors(batch: pa.RecordBatch, plan: IntakePlan, hospital: Codes) -> Ints:
    """The factor of each case in 1e-8: hospital factor × (1 + uplifts), rounded once."""
    rules = plan.policy.coefficient
    variant = np.zeros(batch.num_rows, np.int64)
    if rules.tcm_uplift:
        variant += _flags(batch, "tcm_flag")
    if rules.child_uplift:
        age = _integers(batch, "age", -1)
        variant += 2 * ((age >= 0) & (age <= rules.child_age))
    table = [
        [
            p8(
                Fraction(own, SCALE)
                * (1 + (rules.tcm_uplift if uplift & 1 else 0))
                * (1 + (rules.child_uplift if uplift & 2 else 0))
            )
            for uplift in range(4)
        ]
        for own in (*(plan.factors or (SCALE,) * len(plan.first_paid)), SCALE)
    ]
    found: Ints = np.array(table, np.int64)[hospital, variant]
    return found


def _integers(batch: pa.RecordBatch, name: str, missing: int = 0) -> NDArray[np.int64]:
    column = _column(batch, name)
    if column is None or pa.types.is_null(column.type):
        return np.full(batch.num_rows, missing, np.int64)
    return pc.fill_null(column.cast(pa.int64()), missing).to_numpy(zero_copy_only=False)


def _flags(batch: pa.RecordBatch, name: str) -> Mask:
    column = _column(batch, name)
    if column is None or pa.types.is_null(column.type):
        return np.zeros(batch.num_rows, np.bool_)
    flags: Mask = pc.fill_null(column, False).to_numpy(zero_copy_only=False)
    return flags


class _Faults:
    """Collects the rules that rows break; the first rule of a row is its reason."""

    def __init__(self, batch: pa.RecordBatch, rows: int) -> None:
        self._batch = batch
        self._tables: list[pa.Table] = []
        self.reason = np.zeros(rows, np.int16)

    def add(self, rule: str, broken: Mask, column: str, field: str = "") -> None:
        """Add the rows that break a rule; ``column`` holds the value to show, '' for none."""
        where = np.flatnonzero(broken)
        if not len(where):
            return
        code = CODE[rule]
        self.reason[where] = np.where(self.reason[where] == 0, code, self.reason[where])
        rows = pa.array(where)
        ids = self._batch.column("case_id").take(rows).cast(pa.string())
        value = pa.array([""] * len(where), pa.string())
        position = self._batch.schema.get_field_index(column) if column else -1
        if position >= 0:
            value = pc.fill_null(self._batch.column(position).take(rows).cast(pa.string()), "")
        constant = [[text] * len(where) for text in (rule, field or column, MESSAGES[rule])]
        self._tables.append(
            pa.Table.from_arrays(
                [ids, pa.array(constant[0]), pa.array(constant[1]), value, pa.array(constant[2])],
                schema=REJECTED_SCHEMA,
            )
        )

    def table(self) -> pa.Table:
        """All rows that break a rule."""
        return pa.concat_tables([REJECTED_SCHEMA.empty_table(), *self._tables])


def _column(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    position = batch.schema.get_field_index(name)
    return None if position < 0 else batch.column(position)


def _coded(batch: pa.RecordBatch, name: str, code: Callable[[str], int]) -> Codes:
    """A text column as codes; null is -1. ``code`` is asked once per distinct text."""
    column = _column(batch, name)
    if column is None or pa.types.is_null(column.type):
        return np.full(batch.num_rows, -1, np.int32)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    texts = column.dictionary.to_pylist()
    codes = np.array([-1 if text is None else code(text) for text in texts] + [-1], np.int32)
    positions = column.indices
    if positions.null_count:
        positions = pc.fill_null(positions, pa.scalar(len(texts), positions.type))
    result: Codes = codes[positions.to_numpy(zero_copy_only=False)]
    return result


def _amounts(batch: pa.RecordBatch, faults: _Faults) -> tuple[dict[str, Ints], dict[str, Mask]]:
    fen, null = {}, {}
    bad = np.zeros(batch.num_rows, np.bool_)
    for name in _MONEY:
        column = _column(batch, name)
        if column is None:
            column = pa.nulls(batch.num_rows)
        fen[name], fault, null[name] = fen_column(column)
        # One row per case and rule: a second faulty amount of a case adds nothing.
        faults.add("bad_amount", (fault > 0) & ~bad, name)
        bad |= fault > 0
    faults.add("no_total_cost", null["total_cost"], "total_cost")
    negative = fen["total_cost"] < 0
    faults.add("negative_cost", negative, "total_cost")
    faults.add("negative_cost", (fen["compliant_cost"] < 0) & ~negative, "compliant_cost")
    return fen, null


def _pools(
    batch: pa.RecordBatch, accounts: Accounts, hospital: Codes, insurance: Codes, drg: Mask
) -> Codes:
    index = {pool: i for i, pool in enumerate(accounts.pools)}
    if not accounts.by_city:
        table = np.array([index.get(name, -1) for name in INSURANCES], np.int32)
        return table[insurance]
    cities = sorted({pool.rpartition("/")[0] for pool in accounts.pools})
    numbers = {city: i for i, city in enumerate(cities)}
    home = np.array([numbers.get(city, -1) for city in (*accounts.cities, "")], np.int32)
    # A city that the run does not know cannot be: the survey gathered those of all cases.
    city = _coded(batch, "city", lambda text: numbers.get(text, -1))
    city = np.where(city < 0, home[hospital], city)
    if (drg & (city < 0)).any():
        first = accounts.hospitals[int(hospital[np.flatnonzero(drg & (city < 0))[0]])]
        raise RegionError(
            f"hospital '{first}' has no city, nor has one of its cases",
            file="hospitals.csv",
            hint="pools are by city: fill in the hospital's city",
        )
    pairs = [[index.get(f"{name}/{kind}", -1) for kind in INSURANCES] for name in cities]
    return np.array(pairs, np.int32).reshape(-1, len(INSURANCES))[city, insurance]


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
        drgs = len(grouped.scheme.drgs)
        other = np.where(status == AMBIGUOUS, drgs, drgs + 1)
        return np.where(status == GROUPED, grouped.drg, other).astype(np.int32), table, status
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
