"""Negotiated drugs (国家医保谈判药品) paid apart: outside every hospital total (section 2).

They are the rows of ``items.parquet`` of kind ``negotiated_drug``: ``amount`` is contained in the
case's total and compliant cost, ``fund_paid`` in what the fund paid; the rest is patient cash.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from grouper.errors import RegionError
from grouper.settlement.amounts import MONEY, Ints, Mask, decimal_column, fen_column
from grouper.settlement.parquetfile import column_names, reading

FILE: Final = "items.parquet"
NEGOTIATED: Final = "negotiated_drug"
NEEDED: Final = ("case_id", "amount", "kind", "fund_paid")


@dataclass(frozen=True)
class Apart:
    """What is set apart, by case; fen.

    Attributes:
        case_id: each once, in order.
        amount: cost of the drugs.
        fund: what the fund paid of it.
    """

    case_id: pa.Array
    amount: Ints
    fund: Ints

    def places(self, case_id: pa.Array) -> NDArray[np.int64]:
        """The position of each case here, -1 where nothing of it is set apart."""
        found = pc.index_in(case_id.cast(pa.string()), value_set=self.case_id, skip_nulls=True)
        places: NDArray[np.int64] = (
            pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        )
        return places

    def table(self, used: Mask) -> pa.Table:
        """``apart`` of a run: case_id, amount, fund_paid, and whether the case was there."""
        outcome = np.where(used, "set_apart", "no_such_case")
        return pa.table(
            {
                "case_id": self.case_id,
                "amount": decimal_column(self.amount, MONEY),
                "fund_paid": decimal_column(self.fund, MONEY),
                "outcome": pa.array(outcome.tolist(), pa.string()),
            }
        )


def read_apart(folder: Path) -> Apart | None:
    """The negotiated drugs of a region; None where it has no items.parquet.

    Raises:
        RegionError: a column is missing, or a row has no case, an amount that is negative or not
            whole fen, or more from the fund than it costs.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    column_names(path, NEEDED, wants="negotiated drugs paid apart need")
    with reading(FILE):
        table = pq.read_table(path, columns=list(NEEDED))
        table = table.filter(pc.equal(table["kind"].cast(pa.string()), NEGOTIATED))
        case_id = table["case_id"].cast(pa.string()).combine_chunks()
    amount, wrong, empty = fen_column(_whole(table["amount"]))
    fund, bad, _ = fen_column(_whole(table["fund_paid"]))
    faulty = (wrong > 0) | empty | (bad > 0) | (amount < 0) | (fund < 0) | (fund > amount)
    if faulty.any() or case_id.null_count:
        row = int(np.flatnonzero(faulty)[0]) if faulty.any() else None
        told = "without a case" if row is None else f"of case '{case_id[row]}' with a wrong amount"
        raise RegionError(
            f"there is a {NEGOTIATED} {told}",
            file=FILE,
            hint="amounts are yuan of whole fen, and fund_paid is at most amount",
        )
    coded = case_id.dictionary_encode()
    codes = coded.indices.to_numpy(zero_copy_only=False)
    sums = np.zeros((2, len(coded.dictionary)), np.int64)
    np.add.at(sums[0], codes, amount)
    np.add.at(sums[1], codes, fund)
    order = pc.sort_indices(coded.dictionary)
    place = order.to_numpy(zero_copy_only=False)
    return Apart(coded.dictionary.take(order), sums[0][place], sums[1][place])


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
