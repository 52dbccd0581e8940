"""A batch of cases as the rules see it: each column becomes numbers once, when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.cases.money import fen_column, null_mask
from grouper.codelists import CodeLists, read_codes
from grouper.grouping import GroupedBatch
from grouper.loaded import load
from grouper.quality.codefacts import CodeFacts, CodeList, read_list
from grouper.quality.thresholds import Thresholds
from grouper.scheme import Scheme

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_MONTH_LENGTH: Final = len("YYYY-MM")


@dataclass(frozen=True)
class Numbers:
    """A column of numbers.

    Attributes:
        values: int64[rows]; 0 where it is not known.
        known: bool[rows].
    """

    values: Ints
    known: Mask


class Cases:
    """The cases of a batch; columns have the names of the registry, absent ones count as null."""

    def __init__(
        self,
        batch: pa.RecordBatch,
        thresholds: Thresholds,
        facts: Mapping[str, CodeFacts],
        scheme: Scheme,
        grouped: GroupedBatch | None = None,
    ) -> None:
        """Begin a batch.

        Args:
            batch: the cases.
            thresholds: what the rules compare with.
            facts: what is known of codes, for ``dx`` and ``px``.
            scheme: whose codes are known.
            grouped: the same cases as they were grouped; codes that were looked up for it are not
                looked up again.
        """
        self.batch = batch
        self.rows = batch.num_rows
        self.thresholds = thresholds
        self.facts = facts
        self._scheme = scheme
        self._grouped = grouped
        self._numbers: dict[str, Numbers] = {}

    def column(self, name: str) -> pa.Array | None:
        """The column as it arrived; None where it is absent or nothing but nulls."""
        place = self.batch.schema.get_field_index(name)
        if place < 0 or pa.types.is_null(self.batch.schema.field(place).type):
            return None
        return self.batch.column(place)

    def number(self, name: str) -> Numbers:
        """A column of integers, or of dates as days since 1970."""
        return self._once(name, _integers)

    def fen(self, name: str) -> Numbers:
        """A column of money in fen; an amount that is not whole fen is not known."""
        return self._once(name, _fen)

    def _once(self, name: str, read: object) -> Numbers:
        found = self._numbers.get(name)
        if found is None:
            column = self.column(name)
            if column is None:
                found = Numbers(np.zeros(self.rows, np.int64), np.zeros(self.rows, np.bool_))
            else:
                found = _fen(column) if read is _fen else _integers(column)
            self._numbers[name] = found
        return found

    @cached_property
    def dx(self) -> CodeList:
        """The diagnoses."""
        return self._codes("dx")

    @cached_property
    def px(self) -> CodeList:
        """The procedures."""
        return self._codes("px")

    def _codes(self, name: str) -> CodeList:
        column = self.column(name)
        return read_list(column, self.rows, self.facts[name], self._own(name, column))

    def _own(self, name: str, column: pa.Array | None) -> CodeLists:
        """The codes as the scheme knows them."""
        match self._grouped.lists if self._grouped is not None else ():
            case (mine,) if mine.rows is None and mine.scheme.digest == self._scheme.digest:
                lists: CodeLists = getattr(mine, name)
                return lists.whole or lists
        return read_codes(column, self.rows, getattr(load(self._scheme), name))

    @cached_property
    def age(self) -> Numbers:
        """Full years; 0 where only the age in days is given."""
        years, days = self.number("age"), self.number("age_days")
        return Numbers(years.values, years.known | days.known)

    @cached_property
    def newborn(self) -> Mask:
        """Children of at most `Thresholds.newborn_days` days (新生儿)."""
        days = self.number("age_days")
        young: Mask = (
            days.known
            & (days.values <= self.thresholds.newborn_days)
            & (self.number("age").values == 0)
        )
        return young

    @cached_property
    def stay(self) -> Numbers:
        """Days from admission to discharge; known where the dates are and stand in order."""
        first, last = self.number("admission_date"), self.number("discharge_date")
        days = last.values - first.values
        return Numbers(days, first.known & last.known & (days >= 0))

    @cached_property
    def upload_deadline(self) -> Numbers:
        """Last day of an upload in time, by the month of settlement, else of discharge."""
        left = self.number("discharge_date")
        months = left.values.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        settled, known = _months(self.column("settle_month"), self.rows)
        months = np.where(known, settled, months)
        day = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        return Numbers(day + self.thresholds.upload_day - 1, known | left.known)


def _integers(column: pa.Array) -> Numbers:
    known = ~null_mask(column)
    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    if column.null_count:
        column = pc.fill_null(column, 0)
    return Numbers(column.to_numpy(zero_copy_only=False).astype(np.int64), known)


def _fen(column: pa.Array) -> Numbers:
    fen, fault, null = fen_column(column)
    return Numbers(fen, ~null & (fault == 0))


def _months(column: pa.Array | None, rows: int) -> tuple[Ints, Mask]:
    """Months since 1970 of a column of ``YYYY-MM``; a text that is no month is not known."""
    if column is None:
        return np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    found = [_month(text) for text in column.dictionary.to_pylist()] + [None]
    values = np.array([month or 0 for month in found], np.int64)
    known = np.array([month is not None for month in found], np.bool_)
    positions = pc.fill_null(column.indices.cast(pa.int64()), len(found) - 1).to_numpy()
    return values[positions], known[positions]


def _month(text: str | None) -> int | None:
    year, dash, month = (text or "").partition("-")
    good = dash and len(text or "") == _MONTH_LENGTH and (year + month).isdecimal()
    if not good or not 1 <= int(month) <= 12:
        return None
    return (int(year) - 1970) * 12 + int(month) - 1
