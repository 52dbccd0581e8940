"""Small passes over a batch: where marked codes stand in its lists, and which numbers are null."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grouper.kernels import arguments as types
from grouper.kernels.arguments import ro, rw
from grouper.kernels.jit import inlined, kernel

_BLOCK = 32


@inlined
def _marked(marks, positions, start, stop, places, found, last):  # type: ignore[no-untyped-def]
    for place in range(start, stop):
        # Written each time and kept only where the code is marked: no branch to guess.
        places[min(found, last)] = place
        found += marks[positions[place]] != 0
    return found


@kernel(types.int64(ro(types.int32), ro(types.int32), rw(types.int32)))
def find_marked(
    marks: NDArray[np.int32], positions: NDArray[np.int32], places: NDArray[np.int32]
) -> int:
    """Places of the codes whose mark is not 0, in order.

    Args:
        marks: int32[], by entry of the dictionary.
        positions: the code lists of all cases one after the other.
        places: int32[m + 1]; the first m are filled as far as there are such codes.

    Returns:
        How many there are, also where that is more than m.
    """
    found = 0
    last = places.size - 1
    whole = positions.size - positions.size % _BLOCK
    for start in range(0, whole, _BLOCK):
        # Few codes are marked: most blocks are passed over by one look, many codes at a time.
        seen = np.int32(0)
        for i in range(_BLOCK):
            seen |= marks[positions[start + i]]
        if seen != 0:
            found = _marked(marks, positions, start, start + _BLOCK, places, found, last)
    total: int = _marked(marks, positions, whole, positions.size, places, found, last)
    return total


@kernel(types.int64(ro(types.int32), ro(types.int32), types.int64))
def count_kind(kinds: NDArray[np.int32], positions: NDArray[np.int32], kind: int) -> int:
    """How many of the codes are of a kind.

    Args:
        kinds: int32[], by entry of the dictionary.
        positions: the codes.
    """
    found = 0
    for place in range(positions.size):
        found += kinds[positions[place]] == kind
    return found


@kernel(types.void(ro(types.int32), ro(types.int32), rw(types.int32)))
def rows_of(places: NDArray[np.int32], offsets: NDArray[np.int32], rows: NDArray[np.int32]) -> None:
    """Write the row whose list holds each place.

    Args:
        places: rising.
        offsets: int32[n + 1], where each list begins.
        rows: int32[places], out.
    """
    row = 0
    for i in range(places.size):
        while offsets[row + 1] <= places[i]:
            row += 1
        rows[i] = row


@kernel(types.void(ro(types.uint8), types.int64, types.int32, rw(types.int32)))
def fill_nulls(
    valid: NDArray[np.uint8], first: int, missing: int, numbers: NDArray[np.int32]
) -> None:
    """Write `missing` where an Arrow column is null.

    Args:
        valid: the column's validity, a bit a row, the lowest first.
        first: bit of the first row.
        numbers: int32[rows], in and out.
    """
    for i in range(numbers.size):
        bit = first + i
        if not (valid[bit >> 3] >> np.uint8(bit & 7)) & 1:
            numbers[i] = missing
