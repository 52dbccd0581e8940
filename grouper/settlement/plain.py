"""Cases in the types of the registry, whatever types they arrived in."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from grouper.cases import CODES, MONEY, Column, Kind, split_codes
from grouper.cases.money import fen_column
from grouper.settlement.amounts import decimal_column


def plain_batch(batch: pa.RecordBatch, columns: Collection[Column]) -> pa.RecordBatch:
    """The batch with every column, in the types of the registry; absent ones are null."""
    arrays = []
    for column in columns:
        place = batch.schema.get_field_index(column.name)
        if place < 0 or pa.types.is_null(batch.column(place).type):
            arrays.append(pa.nulls(batch.num_rows, column.type))
        else:
            arrays.append(_plain(batch.column(place), column))
    return pa.RecordBatch.from_arrays(arrays, [column.name for column in columns])


def _plain(array: pa.Array, column: Column) -> pa.Array:
    if column.kind is Kind.CODES:
        if not (pa.types.is_list(array.type) or pa.types.is_large_list(array.type)):
            array = split_codes(array.cast(pa.string()))
        return array.cast(CODES)
    if column.kind is Kind.MONEY:
        fen, fault, null = fen_column(array)
        return decimal_column(fen, MONEY, null | (fault != 0))
    # A value that the engine's type cannot hold is absurd; the run has told of it.
    if column.kind is Kind.INTEGER:
        low, high = _range(column.type)
        array = array.cast(pa.int64())
        inside = pc.and_(pc.greater_equal(array, low), pc.less_equal(array, high))
        return pc.if_else(inside, array, pa.scalar(None, pa.int64())).cast(column.type)
    return array.cast(column.type)


def _range(kind: pa.DataType) -> tuple[int, int]:
    half = 1 << (kind.bit_width - 1)
    return -half, half - 1
