"""Where marked codes stand in the code lists of a batch."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from grouper.kernels.jit import kernel, ro, rw


@kernel(types.int64(ro(types.int8), ro(types.int32), rw(types.int32)))
def find_marked(
    marks: NDArray[np.int8], positions: NDArray[np.int32], places: NDArray[np.int32]
) -> int:
    """Places of the codes whose mark is not 0, in order.

    Args:
        marks: int8[], by entry of the dictionary.
        positions: the code lists of all cases one after the other.
        places: int32[m + 1]; the first m are filled as far as there are such codes.

    Returns:
        How many there are, also where that is more than m.
    """
    found = 0
    last = places.size - 1
    for place in range(positions.size):
        # Written each time and kept only where the code is marked: no branch to guess.
        places[min(found, last)] = place
        found += marks[positions[place]] != 0
    return found
