"""From grouped cases to routes and integers (settlement.md sections 3 and 12).

Everything a case needs later is turned into small codes once: its *cell* (DRG and level, see
`settlement.statistics`) and its *account*, (hospital × pools + pool) × 12 + month.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.cases import COLUMNS, Column
from grouper.errors import RegionError
from grouper.grouping import AMBIGUOUS, GROUPED, GroupedBatch
from grouper.grouping import REASON as GROUPING_REASONS
from grouper.settlement.amounts import Ints, Mask, fen_column, text_column
from grouper.settlement.months import MONTHS, months_of
from grouper.settlement.policy import Policy
from grouper.settlement.region import INSURANCES, LEVELS, Region
from grouper.settlement.routes import CODE, DRG, INVALID, ITEM, MESSAGES, REASONS

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
_SELF = INSURANCES.index("self")
_POOLED = INSURANCES[:_SELF]

REJECTED_SCHEMA: Final = pa.schema(
    [(name, pa.string()) for name in ("case_id", "rule", "field", "value", "message")]
)


def intake_columns() -> tuple[Column, ...]:
    """The case columns that a settlement reads beside those of grouping."""
    texts = ("case_id", "hospital_id", "insurance", "city", "settle_month")
    return tuple(COLUMNS[name] for name in (*texts, *_MONEY))


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
        """Pool × 12 + month of accounts; negative accounts stay negative."""
        return np.where(account < 0, -1, account % (len(self.pools) * MONTHS)).astype(np.int32)


def make_accounts(region: Region, policy: Policy, year: int, cities: set[str]) -> Accounts:
    """The codes of a run; ``cities`` are those that cases name."""
    by_city = policy.pools.by == "city_insurance"
    pools: set[str] = set(_POOLED)
    if by_city:
        known = cities | {hospital.city for hospital in region.hospitals}
        pools = {f"{city}/{insurance}" for city in known if city for insurance in _POOLED}
    return Accounts(
        tuple(hospital.hospital_id for hospital in region.hospitals),
        tuple(hospital.level for hospital in region.hospitals),
        tuple(hospital.city for hospital in region.hospitals),
        tuple(sorted(pools)),
        by_city,
        months_of(year),
    )


@dataclass(frozen=True)
class Intake:
    """A batch of cases as integers, in the order of the input.

    Attributes:
        grouped: the grouping, with the cases invalid that a settlement cannot take.
        route: int8, `settlement.routes.ROUTES`.
        reason: int16, `settlement.routes.REASONS`; 0 where the route is ``drg``.
        cell, account: int32, -1 where the route is not ``drg``.
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
    rejected: pa.Table
    empty: Mapping[str, int]

    @property
    def total(self) -> Ints:
        """Total cost in fen."""
        return self.amounts[0]


def take_in(batch: pa.RecordBatch, grouped: GroupedBatch, accounts: Accounts) -> Intake:
    """Route the cases of a batch.

    Args:
        batch: the columns of `intake_columns`; absent ones count as null.
        grouped: the grouping of the same cases.
        accounts: codes of the run.

    Raises:
        RegionError: pools are by city, and neither case nor hospital names one.
    """
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
    drg = route == DRG
    pool = _pools(batch, accounts, hospital, insurance, drg)
    place = (hospital * len(accounts.pools) + pool) * MONTHS + month
    level = np.array((*accounts.levels, 1), np.int32)[hospital]
    table, status = _settled_grouping(grouped, invalid, reason)
    return Intake(
        table,
        status,
        route,
        reason,
        np.where(drg, _kinds(grouped) * len(LEVELS) + level - 1, -1).astype(np.int32),
        np.where(drg, place, -1).astype(np.int32),
        np.where(null["compliant_cost"], fen["total_cost"], fen["compliant_cost"]),
        np.stack([fen[name] for name in AMOUNTS]),
        faults.table(),
        {name: int((null[name] & drg).sum()) for name in AMOUNTS[1:]},
    )


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


def _kinds(grouped: GroupedBatch) -> Codes:
    """DRG number; behind the DRGs the ambiguous, then the ungrouped cases."""
    drgs = len(grouped.scheme.drgs)
    status = grouped.status
    return np.where(
        status == GROUPED, grouped.drg, np.where(status == AMBIGUOUS, drgs, drgs + 1)
    ).astype(np.int32)


def _settled_grouping(
    grouped: GroupedBatch, invalid: Mask, reason: NDArray[np.int16]
) -> tuple[pa.RecordBatch, NDArray[np.int8]]:
    """The grouped table in which every case that the settlement rejects is invalid, too."""
    more = invalid & (grouped.reason == 0)
    if more.any():
        grouped = replace(
            grouped,
            outcome=np.where(more, 0, grouped.outcome).astype(np.int32),
            reason=np.where(more, 1, grouped.reason).astype(np.int8),
        )
    table = grouped.table()
    column = text_column(np.where(invalid, reason, 0), REASONS)
    position = table.schema.get_field_index("reason")
    return table.set_column(position, "reason", column), grouped.status
