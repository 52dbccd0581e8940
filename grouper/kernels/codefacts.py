"""What the codes of each case say together, and where the codes stand that say something."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grouper.kernels import arguments as types
from grouper.kernels.arguments import ro, rw
from grouper.kernels.jit import kernel

Flags = NDArray[np.uint16]
Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]


@kernel(
    types.void(
        ro(types.uint16), ro(types.int32), ro(types.int32), rw(types.uint16), rw(types.uint16)
    )
)
def join_facts(
    said: Flags, entries: Int32Array, offsets: Int32Array, every: Flags, principal: Flags
) -> None:
    """Join what the codes of each row say.

    Args:
        said: uint16[], what each entry of the dictionary says.
        entries: the code lists of all rows one after the other, as entries.
        offsets: int32[rows + 1], where the list of each row begins.
        every: uint16[rows], out: what some code says.
        principal: uint16[rows], out: what the first code says; 0 where there is none.
    """
    for row in range(every.size):
        start, end = offsets[row], offsets[row + 1]
        principal[row] = said[entries[start]] if end > start else 0
        found = np.uint16(0)
        at = start
        # Four codes at a time, the last one again where fewer are left: lengths cannot be guessed.
        while at < end:
            for more in range(4):
                found |= said[entries[min(at + more, end - 1)]]
            at += 4
        every[row] = found


@kernel(
    types.int64(
        ro(types.uint16),
        ro(types.int32),
        ro(types.int32),
        ro(types.uint16),
        rw(types.int64),
        rw(types.int64),
    )
)
def find_saying(
    said: Flags,
    entries: Int32Array,
    offsets: Int32Array,
    wanted: Flags,
    places: Int64Array,
    rows: Int64Array,
) -> int:
    """Find the codes that say what is wanted of their row.

    Args:
        said, entries, offsets: as for `join_facts`.
        wanted: uint16[rows], one fact of these is enough; 0 passes the row over.
        places, rows: int64[codes], out: where these codes stand, rising, and the row of each.

    Returns:
        How many there are.
    """
    found = 0
    for row in range(wanted.size):
        if wanted[row]:
            for at in range(offsets[row], offsets[row + 1]):
                if said[entries[at]] & wanted[row]:
                    places[found] = at
                    rows[found] = row
                    found += 1
    return found
