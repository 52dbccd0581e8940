"""Money columns of the case table as integers: whatever shape they arrive in, exact fen."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.cases.registry import FEN, MAX_FEN
from grouper.kernels.money import NOT_FEN, OUT_OF_RANGE, decimals_to_fen

_MONEY_PLACES = 2
_FLOAT_TOLERANCE = 1e-6

Ints = NDArray[np.int64]
Faults = NDArray[np.int8]
Mask = NDArray[np.bool_]


def null_mask(column: pa.Array) -> Mask:
    """Which rows are null."""
    if column.null_count == 0:
        return np.zeros(len(column), np.bool_)
    mask: Mask = column.is_null().to_numpy(zero_copy_only=False)
    return mask


def fen_column(column: pa.Array, fen: Ints | None = None) -> tuple[Ints, Faults, Mask]:
    """A money column as (fen, fault by row, null by row); a faulty or null row has 0 fen.

    Accepts a decimal128 of any scale, integers (yuan), and float64 that is whole fen within 1e-6.
    The fen are written to ``fen``, int64[rows] zeros, where it is given.
    """
    null = null_mask(column)
    rows = len(column)
    fen = np.zeros(rows, np.int64) if fen is None else fen
    fault = np.zeros(rows, np.int8)
    kind = column.type
    if pa.types.is_null(kind) or rows == 0:
        return fen, fault, null
    if pa.types.is_decimal128(kind):
        finer = None
        if kind.scale > _MONEY_PLACES:
            cut = column.cast(pa.decimal128(38, _MONEY_PLACES), safe=False)
            finer = pc.fill_null(pc.not_equal(cut.cast(kind), column), False)
            column = cut
        words = np.frombuffer(column.buffers()[1], np.int64, 2 * (column.offset + rows))
        words = words.reshape(-1, 2)[column.offset : column.offset + rows]
        words.flags.writeable = False
        decimals_to_fen(words, 10 ** (_MONEY_PLACES - column.type.scale), MAX_FEN, fen, fault)
        if finer is not None:
            fault[finer.to_numpy(zero_copy_only=False)] = NOT_FEN
    elif pa.types.is_floating(kind):
        _float_to_fen(column.fill_null(0.0).to_numpy(), fen, fault)
    else:
        yuan = column.fill_null(0).to_numpy()
        wrong = (yuan > MAX_FEN // FEN) | (yuan < -(MAX_FEN // FEN))
        fault[wrong] = OUT_OF_RANGE
        fen[~wrong] = yuan[~wrong].astype(np.int64) * FEN
    if column.null_count:
        fen[null] = 0
        fault[null] = 0
    return fen, fault, null


def _float_to_fen(yuan: NDArray[np.float64], fen: Ints, fault: Faults) -> None:
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = yuan * FEN
        whole = np.rint(scaled)
        # A large amount is whole fen, too, when it is the double nearest to these fen.
        near = (np.abs(scaled - whole) <= _FLOAT_TOLERANCE) | (whole / FEN == yuan)
        inside = np.abs(whole) <= MAX_FEN
    fault[~near] = NOT_FEN
    fault[near & ~inside] = OUT_OF_RANGE
    good = near & inside
    fen[good] = whole[good].astype(np.int64)
