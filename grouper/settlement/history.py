"""Cases of earlier years: cell, year and cost, for weights and coefficients (section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from grouper.grouping import GroupedBatch
from grouper.settlement.amounts import Ints
from grouper.settlement.intake import Codes, IntakePlan, take_in


@dataclass(frozen=True)
class PastCases:
    """A batch of history.

    Attributes:
        cell: as in `settlement.statistics`, -1 where the case does not go the ``drg`` route.
        year: settlement year, 0 where the month is not one.
        account: as in `settlement.intake`, its month that of the case's own year.
        total: total cost in fen.
    """

    cell: Codes
    account: Codes
    year: NDArray[np.int32]
    total: Ints


def take_in_history(batch: pa.RecordBatch, grouped: GroupedBatch, plan: IntakePlan) -> PastCases:
    """Route past cases as those of the run, each by the months of its own year."""
    years = years_of(batch)
    cell = np.full(batch.num_rows, -1, np.int32)
    account = np.full(batch.num_rows, -1, np.int32)
    total = np.zeros(batch.num_rows, np.int64)
    for year in np.unique(years[years > 0]).tolist():
        intake = take_in(batch, grouped, plan.in_year(year))
        mine = years == year
        cell[mine] = intake.cell[mine]
        account[mine] = intake.account[mine]
        total[mine] = intake.total[mine]
    return PastCases(cell, account, years, total)


def years_of(batch: pa.RecordBatch) -> NDArray[np.int32]:
    """The year of ``settle_month``, 0 where it is not a month."""
    years, codes = month_codes(batch)
    found: NDArray[np.int32] = years[codes]
    return found


def month_codes(batch: pa.RecordBatch) -> tuple[NDArray[np.int32], Codes]:
    """(year by code, code by row) of ``settle_month``; the last code is for what is no month."""
    column = batch.column("settle_month")
    if pa.types.is_null(column.type):
        return np.zeros(1, np.int32), np.zeros(len(column), np.int32)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    texts = column.dictionary.to_pylist()
    years = [_year(text) for text in texts]
    positions = column.indices.fill_null(len(texts)) if column.null_count else column.indices
    codes = positions.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return np.array([*years, 0], np.int32), codes


def _year(text: str | None) -> int:
    if text is None or len(text) != 7 or text[4] != "-":
        return 0
    digits = text[:4] + text[5:]
    if not (digits.isascii() and digits.isdigit()) or not 1 <= int(text[5:]) <= 12:
        return 0
    return int(text[:4])
