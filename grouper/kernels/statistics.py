"""Integer sums per cell and per account: what every mean, CV and total is made of.

A *cell* is a DRG at a hospital level; an *account* is a hospital, pool and month. Both are dense
integer codes, negative where a case does not belong to any.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grouper.kernels import arguments as types
from grouper.kernels.arguments import ro, rw
from grouper.kernels.jit import kernel
from grouper.kernels.wide import multiply

SQUARE_LIMBS = 4
_LOW32 = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)


@kernel(
    types.void(
        ro(types.int32),
        ro(types.int64),
        rw(types.int64),
        rw(types.int64),
        rw(types.int64, 2),
    )
)
def add_cells(
    cell: NDArray[np.int32],
    cost: NDArray[np.int64],
    count: NDArray[np.int64],
    total: NDArray[np.int64],
    squares: NDArray[np.int64],
) -> None:
    """Add count, Σ cost and Σ cost² of each cell.

    ``squares`` holds the sum in four digits of 32 bits, lowest first, each summed on its own in an
    int64, so that 2**31 cases fit; the digits are joined where the sums are made exact integers.
    Costs are between 0 and 2**43 fen, so that the plain sum of a batch fits as well.
    """
    for i in range(cell.size):
        c = cell[i]
        if c >= 0:
            x = np.uint64(cost[i])
            high, low = multiply(x, x)
            count[c] += 1
            total[c] += cost[i]
            squares[c, 0] += np.int64(low & _LOW32)
            squares[c, 1] += np.int64(low >> _S32)
            squares[c, 2] += np.int64(high & _LOW32)
            squares[c, 3] += np.int64(high >> _S32)


@kernel(
    types.void(
        ro(types.int32),
        ro(types.int64, 2),
        rw(types.int64, 2),
    )
)
def add_accounts(
    account: NDArray[np.int32], amounts: NDArray[np.int64], sums: NDArray[np.int64]
) -> None:
    """Add one case and its amounts, (amounts, cases), to the sums of its account.

    ``sums`` is (accounts, 1 + amounts): the number of cases, then the amounts.
    """
    for i in range(account.size):
        a = account[i]
        if a >= 0:
            sums[a, 0] += 1
            for j in range(amounts.shape[0]):
                sums[a, 1 + j] += amounts[j, i]


@kernel(
    types.void(
        ro(types.int32),
        ro(types.uint32, 2),
        ro(types.int32, 2),
        rw(types.int64, 2),
        rw(types.int64, 2),
    ),
    types.void(
        ro(types.int32),
        ro(types.uint32, 2),
        ro(types.int64, 2),
        rw(types.int64, 2),
        rw(types.int64, 2),
    ),
)
def add_sums(
    account: NDArray[np.int32],
    low: NDArray[np.uint32],
    high: NDArray[np.signedinteger],
    low_sums: NDArray[np.int64],
    high_sums: NDArray[np.int64],
) -> None:
    """Add the two halves of sums, (accounts, columns), to those of all accounts."""
    for i in range(account.size):
        a = account[i]
        for j in range(low.shape[1]):
            low_sums[a, j] += np.int64(low[i, j])
            high_sums[a, j] += np.int64(high[i, j])
