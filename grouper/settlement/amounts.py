"""Arrow columns of money and points: to integers and back (folders.md)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from grouper.cases.money import Ints, Mask, fen_column, null_mask
from grouper.errors import InputsError
from grouper.kernels.money import fill_words
from grouper.settlement.numbers import PLACES

__all__ = [
    "MONEY",
    "POINTS",
    "Ints",
    "Mask",
    "decimal_column",
    "exact_column",
    "exact_integers",
    "fen_column",
    "null_mask",
    "text_column",
]

MONEY: Final = pa.decimal128(18, 2)
"""Type of money columns, yuan."""

POINTS: Final = pa.decimal128(20, PLACES)
"""Type of points, point values, coefficients and weights."""


def decimal_column(values: Ints, kind: pa.DataType, null: Mask | None = None) -> pa.Array:
    """Integers as a decimal column of their unit (`MONEY` from fen, `POINTS` from 1e-8)."""
    words = np.empty((len(values), 2), np.int64)
    values = np.ascontiguousarray(values).view()
    values.flags.writeable = False
    fill_words(values, words)
    valid = None
    nulls = 0
    if null is not None and null.any():
        valid = pa.py_buffer(np.packbits(~null, bitorder="little").tobytes())
        nulls = int(null.sum())
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(words)], nulls)


def exact_column(values: Iterable[int | None], kind: pa.DataType) -> pa.Array:
    """Python integers of any size as a decimal column.

    Raises:
        InputsError: a number has more digits than the table's type.
    """
    whole = list(values)
    null = None
    try:
        try:
            small = np.array(whole, np.int64)
        except TypeError:
            small = np.array([0 if value is None else value for value in whole], np.int64)
            null = np.array([value is None for value in whole], np.bool_)
    except OverflowError:
        pass
    else:
        if np.abs(small).max(initial=0) < 10 ** min(kind.precision, 18):
            return decimal_column(small, kind, null)
    decimals = [None if v is None else Decimal(f"{v}e-{kind.scale}") for v in whole]
    try:
        return pa.array(decimals, kind)
    except pa.ArrowInvalid as cause:
        raise InputsError(
            f"a sum does not fit its column: {cause}",
            hint="look for absurd amounts in the cases and the budget",
        ) from cause


def exact_integers(column: pa.ChunkedArray) -> list[int]:
    """A decimal128 column without nulls as integers of its unit (fen, 1e-8 points)."""
    found: list[int] = []
    for chunk in column.chunks:
        if not len(chunk):
            continue
        words = np.frombuffer(chunk.buffers()[1], np.int64).reshape(-1, 2)
        low, high = words[chunk.offset : chunk.offset + len(chunk)].T
        if (high == low >> 63).all():
            found += low.tolist()
        else:
            pairs = zip(high.tolist(), low.view(np.uint64).tolist(), strict=True)
            found += [(above << 64) | below for above, below in pairs]
    return found


def text_column(codes: NDArray[np.integer], texts: tuple[str, ...]) -> pa.Array:
    """Positions in ``texts`` as a dictionary column, written to files as plain strings."""
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int32, copy=False)), pa.array(texts, pa.string())
    )
