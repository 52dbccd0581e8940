"""Money columns between Arrow's 128-bit decimals and int64 fen, without a Python object per row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grouper.kernels import arguments as types
from grouper.kernels.arguments import ro, rw
from grouper.kernels.jit import kernel

GOOD, NOT_FEN, OUT_OF_RANGE = 0, 1, 2
"""Faults of an amount: none, a fraction of a fen, more than the engine computes with."""


@kernel(
    types.void(
        ro(types.int64, 2),
        types.int64,
        types.int64,
        rw(types.int64),
        rw(types.int8),
    )
)
def decimals_to_fen(
    words: NDArray[np.int64],
    factor: int,
    limit: int,
    fen: NDArray[np.int64],
    fault: NDArray[np.int8],
) -> None:
    """Convert rows of (low, high) words of a decimal, times factor, to fen.

    Rows beyond the limit are given 0 fen and the fault OUT_OF_RANGE.
    """
    most = limit // factor
    for i in range(words.shape[0]):
        low = words[i, 0]
        # No branch: amounts are converted several at a time.
        good = (words[i, 1] == low >> 63) & (low <= most) & (low >= -most)
        fen[i] = low * factor if good else 0
        fault[i] = GOOD if good else OUT_OF_RANGE


@kernel(types.void(ro(types.int64), rw(types.int64, 2)))
def fill_words(values: NDArray[np.int64], words: NDArray[np.int64]) -> None:
    """Write integers as rows of (low, high) words of a decimal."""
    for i in range(values.size):
        words[i, 0] = values[i]
        words[i, 1] = values[i] >> 63
