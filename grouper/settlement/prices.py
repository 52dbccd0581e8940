"""One price per group and hospital class (收付费, settlement.md section 8), and quotas per stay.

A case that stays in the payment is worth its price: one point is one yuan. Where the policy bills,
the fund pays its share of the price and of the capped consumables, and the patient pays the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from grouper.cases.times import on_one_clock
from grouper.errors import RegionError
from grouper.settlement.amounts import MONEY, Ints, Mask, decimal_column, fen_column
from grouper.settlement.apart import NEGOTIATED
from grouper.settlement.numbers import FEN, rounded
from grouper.settlement.policy import Price
from grouper.settlement.region import Region

NO_PRICE: Final = -1

BILLS_SCHEMA: Final = pa.schema(
    [
        ("case_id", pa.string()),
        ("price", MONEY),
        ("separate", MONEY),
        ("consumables", MONEY),
        ("bill", MONEY),
        ("fund", MONEY),
        ("patient", MONEY),
    ]
)
"""Bills of the cases that stay in the payment; null for the others."""

_TRANSFERS = (2, 3)
_DIED = 5
_MINUTE = 60


@dataclass(frozen=True)
class Items:
    """What items.parquet says, by case; fen."""

    case_id: pa.Array
    apart: Ints
    capped: Ints


@dataclass(frozen=True)
class PriceList:
    """Prices of a run.

    Attributes:
        rules: the policy's.
        classes: class by hospital, a column of ``prices``.
        prices: fen, (groups + 2, classes), `NO_PRICE` where there is none.
        items: what is billed apart and the capped consumables of cases.
    """

    rules: Price
    classes: tuple[int, ...]
    prices: NDArray[np.int64]
    items: Items | None = None


def make_price_list(
    region: Region, rules: Price, codes: Sequence[str], *, apart: bool = False
) -> PriceList:
    """Look up the price of every group and kind of hospital in rates.csv.

    Args:
        region: its rates and items.
        rules: which table holds the prices.
        codes: the groups.
        apart: negotiated drugs are paid apart and stand in no bill.

    Raises:
        RegionError: the table is not in rates.csv, or a price is negative or a fraction of a fen.
    """
    if not any(table == rules.table for table, _, _ in region.rates):
        raise RegionError(
            f"there is no table '{rules.table}'",
            file="rates.csv",
            hint="add its prices: table,drg,class,value",
        )
    kinds = [(h.hospital_id, h.kind, str(h.level), "") for h in region.hospitals]
    lists: dict[tuple[int, ...], int] = {}
    classes = []
    for kind in kinds:
        column = tuple(_price(region, rules.table, code, kind) for code in (*codes, "", ""))
        classes.append(lists.setdefault(column, len(lists)))
    prices = np.array(list(lists), np.int64).T.copy()
    return PriceList(rules, tuple(classes), prices, _items(region.folder, apart=apart))


def _price(region: Region, table: str, code: str, kinds: Sequence[str]) -> int:
    for drg in (code, ""):
        for kind in kinds:
            value = region.rates.get((table, drg, kind))
            if value is not None:
                fen = value * FEN
                if fen.denominator != 1 or fen < 0:
                    raise RegionError(
                        f"the price of '{drg}' for '{kind}' is not an amount",
                        file="rates.csv",
                        hint="prices are yuan with at most two places",
                    )
                return fen.numerator
    return NO_PRICE


def _items(folder: Path, *, apart: bool) -> Items | None:
    """The items of the region; None where items.parquet is absent."""
    path = folder / "items.parquet"
    if not path.is_file():
        return None
    table = pq.read_table(path)
    if missing := [n for n in ("case_id", "item", "amount") if n not in table.column_names]:
        raise RegionError(
            f"column '{missing[0]}' is missing",
            file=path.name,
            hint="it holds case_id, item, amount and cap",
        )
    if apart and "kind" in table.column_names:
        kinds = pc.fill_null(table["kind"].cast(pa.string()), "")
        table = table.filter(pc.not_equal(kinds, NEGOTIATED))
    table = table.combine_chunks()
    amount, wrong, _ = fen_column(_whole(table.column("amount")))
    if "cap" in table.column_names:
        cap, bad, uncapped = fen_column(_whole(table.column("cap")))
    else:
        cap, bad = np.zeros_like(amount), np.zeros_like(wrong)
        uncapped = np.ones(len(amount), np.bool_)
    if (wrong > 0).any() or (bad > 0).any() or (amount < 0).any():
        raise RegionError(
            "an amount is negative or not whole fen", file=path.name, hint="correct the row"
        )
    capped = np.where(uncapped, 0, np.minimum(amount, cap))
    coded = _whole(table.column("case_id")).cast(pa.string()).dictionary_encode()
    if coded.null_count:
        raise RegionError("a case_id is empty", file=path.name, hint="fill it in")
    sums = [np.zeros(len(coded.dictionary), np.int64) for _ in range(2)]
    for into, values in zip(sums, (amount, capped), strict=True):
        np.add.at(into, coded.indices.to_numpy(), values)
    return Items(coded.dictionary, *sums)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def leaving(
    batch: pa.RecordBatch, prices: PriceList, price: Ints, total: Ints
) -> list[tuple[str, Mask]]:
    """(reason, which cases) leave the payment, in the order in which reasons are told.

    Args:
        batch: with los, discharge, admission_time, discharge_time, tcm_flag, dept and px.
        prices: the rules.
        price: price of each case in fen, `NO_PRICE` for none.
        total: total cost in fen.
    """
    rules = prices.rules
    rows = batch.num_rows
    found = [("no_price", price == NO_PRICE)]
    los = _numbers(batch, "los", -1)
    if rules.shortest_stay is not None:
        found.append(("short_stay", (los >= 0) & (los <= rules.shortest_stay)))
    if rules.longest_stay is not None:
        found.append(("very_long_stay", los >= rules.longest_stay))
    if rules.low_ratio is not None:
        # cost < ratio × price, exactly
        low = rules.low_ratio
        found.append(("far_below_price", total * low.denominator < price * low.numerator))
    if rules.high_ratio is not None:
        high = rules.high_ratio
        found.append(("far_above_price", total * high.denominator > price * high.numerator))
    way = _numbers(batch, "discharge", 0)
    if rules.transfer_hours is not None:
        found.append(
            (
                "early_transfer",
                np.isin(way, _TRANSFERS) & (_hours(batch, los) < rules.transfer_hours),
            )
        )
    if rules.death:
        found.append(("died", way == _DIED))
    if rules.tcm:
        column = _column(batch, "tcm_flag")
        flags = np.zeros(rows, np.bool_)
        if column is not None:
            flags = pc.fill_null(column, False).to_numpy(zero_copy_only=False)
        found.append(("tcm_treatment", flags))
    if rules.departments and (column := _column(batch, "dept")) is not None:
        found.append(("department", _among(column, rules.departments)))
    if rules.procedures and (column := _column(batch, "px")) is not None:
        member = _among(column.flatten(), rules.procedures)
        mask = np.zeros(rows, np.bool_)
        mask[pc.list_parent_indices(column).to_numpy()[member]] = True
        found.append(("procedure", mask))
    return found


def bills(
    batch: pa.RecordBatch, prices: PriceList, price: Ints, insured: Mask, billed: Mask
) -> tuple[Ints, Ints, pa.RecordBatch]:
    """(fund's part, patient's part of the price, bills) of the cases.

    Args:
        batch: with case_id and separate_items.
        prices: the rules and items.
        price: price of each case in fen.
        insured: cases of which the fund pays its share.
        billed: cases that stay in the payment; the others have no bill.
    """
    ids = batch.column("case_id").cast(pa.string())
    apart, capped = np.zeros(len(price), np.int64), np.zeros(len(price), np.int64)
    if prices.items is not None:
        place = pc.index_in(ids, value_set=prices.items.case_id, skip_nulls=True)
        place = pc.fill_null(place, -1).to_numpy(zero_copy_only=False)
        apart = np.where(place >= 0, prices.items.apart[place], 0)
        capped = np.where(place >= 0, prices.items.capped[place], 0)
    column = _column(batch, "separate_items")
    if column is not None:
        given, _, null = fen_column(column)
        apart = np.where(null, apart, given)
    price = np.where(billed, price, 0)
    ratio = prices.rules.fund_ratio
    base = (price + np.where(billed, capped, 0)) * insured
    # half-up on non-negative integers
    fund = (2 * base * ratio.numerator + ratio.denominator) // (2 * ratio.denominator)
    bill = price + apart
    columns = [
        ids,
        *(
            decimal_column(values, MONEY, ~billed)
            for values in (price, apart, capped, bill, fund, bill - fund)
        ),
    ]
    return fund, price - fund, pa.RecordBatch.from_arrays(columns, schema=BILLS_SCHEMA)


def _among(column: pa.Array, texts: Sequence[str]) -> Mask:
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
    found: Mask = pc.is_in(column, value_set=pa.array(texts, column.type)).to_numpy(
        zero_copy_only=False
    )
    return found


def _hours(batch: pa.RecordBatch, los: Ints) -> Ints:
    """Whole hours between admission and discharge; days × 24 where the times are not given."""
    times = [_column(batch, name) for name in ("admission_time", "discharge_time")]
    hours = los * 24
    if times[0] is None or times[1] is None:
        return hours
    seconds = pc.seconds_between(*on_one_clock(times[0], times[1]))
    known = seconds.is_valid().to_numpy(zero_copy_only=False)
    exact = pc.fill_null(seconds, 0).to_numpy(zero_copy_only=False) // (_MINUTE * _MINUTE)
    return np.where(known, exact, hours)


def _column(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    position = batch.schema.get_field_index(name)
    if position < 0 or pa.types.is_null(batch.column(position).type):
        return None
    return batch.column(position)


def _numbers(batch: pa.RecordBatch, name: str, missing: int) -> Ints:
    column = _column(batch, name)
    if column is None:
        return np.full(batch.num_rows, missing, np.int64)
    found: Ints = pc.fill_null(column.cast(pa.int64()), missing).to_numpy(zero_copy_only=False)
    return found


@dataclass(frozen=True, slots=True)
class QuotaYear:
    """A hospital's year under a quota; fen.

    Attributes:
        entitled: Σ quota.
        spent: total cost.
        saved: what the cost stays below the quota by; kept and carried over.
        overspent: what it exceeds the quota by.
        carried_in: savings of earlier years; ``used``: the part that covers the overspend.
        covered: what the fund pays of the rest, pro rata to what is left of the budget.
        carried_out: savings that go to the next year.
    """

    entitled: int
    spent: int
    saved: int
    overspent: int
    carried_in: int
    used: int
    covered: int
    carried_out: int

    @property
    def added(self) -> int:
        """What is paid beside the quota."""
        return self.used + self.covered


def share_quota(
    entitled: Mapping[str, int],
    spent: Mapping[str, int],
    carried: Mapping[str, int],
    left: int,
    borne: Fraction,
) -> dict[str, QuotaYear]:
    """Settle the quotas of a pool.

    Args:
        entitled: Σ quota by hospital, in fen.
        spent: total cost by hospital, in fen.
        carried: savings of earlier years by hospital, in fen.
        left: what the budget leaves when all quotas are paid, in fen.
        borne: share of an overspend that the hospital bears.
    """
    over = {h: max(spent[h] - entitled[h], 0) for h in entitled}
    used = {h: min(over[h], carried.get(h, 0)) for h in entitled}
    asked = {h: (over[h] - used[h]) * (1 - borne) for h in entitled}
    whole = sum(asked.values(), Fraction(0))
    part = Fraction(1) if whole <= left else max(Fraction(left), Fraction(0)) / whole
    return {
        h: QuotaYear(
            entitled[h],
            spent[h],
            max(entitled[h] - spent[h], 0),
            over[h],
            carried.get(h, 0),
            used[h],
            rounded(asked[h] * part),
            carried.get(h, 0) - used[h] + max(entitled[h] - spent[h], 0),
        )
        for h in entitled
    }
