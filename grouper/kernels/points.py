"""Points of cases, their sums, and the money that they are worth.

How a cell (a DRG at a hospital level, or one of the groups without a benchmark) turns cost into
points is a short list of rules in three tables with one row per rule; the rules of cell ``c`` are
the rows ``start[c]`` to ``start[c + 1] - 1``, and the first whose bounds hold the cost decides:

=========  =====================================================================
table      columns
=========  =====================================================================
bounds     int64 (rules, 7): COST, LOWEST, HIGHEST, CLASS, FIXED, CAP, WEIGHTED
terms      uint64 (rules, 12): four limbs each of A, C, B
=========  =====================================================================

A rule with FIXED >= 0 gives these points; else they are ``(cost * A + C) * F / B`` rounded half-up
once, at most CAP where CAP >= 0. In rules that are WEIGHTED, F is the case's own factor in 1e-8, in
the others one (B then holds the 1e8); there are none where ``factors`` is empty. All points are
integers of 1e-8, all money is in fen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grouper.kernels import arguments as types
from grouper.kernels.arguments import ro, rw
from grouper.kernels.jit import kernel
from grouper.kernels.wide import add_wide, divide_wide, half_up_product, multiply_wide

COST, LOWEST, HIGHEST, CLASS, FIXED, CAP, WEIGHTED = range(7)
BOUND_COLUMNS = 7
TERM_COLUMNS = 12
TOTAL_COST, COMPLIANT_COST = 0, 1
"""Values of COST: which of the two cost columns a rule looks at and computes with."""

NO_RULE = -1
"""Class of a case whose cell is negative: it has no points."""

_VALUE_DIVISOR = np.uint64(10**14)  # 1e-8 points times 1e-8 yuan, in fen
_SCALE = np.uint64(10**8)
_LOW32 = np.int64(0xFFFFFFFF)


@kernel(
    types.int64(
        ro(types.int32),
        ro(types.int64),
        ro(types.int64),
        ro(types.int64),
        ro(types.int32),
        ro(types.int64, 2),
        ro(types.uint64, 2),
        rw(types.int64),
        rw(types.int8),
    )
)
def case_points(
    cell: NDArray[np.int32],
    total: NDArray[np.int64],
    compliant: NDArray[np.int64],
    factors: NDArray[np.int64],
    start: NDArray[np.int32],
    bounds: NDArray[np.int64],
    terms: NDArray[np.uint64],
    points: NDArray[np.int64],
    kind: NDArray[np.int8],
) -> int:
    """Write class and points of every case; return the first row without an answer, or -1.

    A row has no answer when no rule of its cell holds its cost, or the points exceed 63 bits.
    """
    with_factor = factors.size > 0
    for i in range(cell.size):
        c = cell[i]
        if c < 0:
            points[i] = 0
            kind[i] = -1
            continue
        found = -1
        for r in range(start[c], start[c + 1]):
            cost = total[i] if bounds[r, COST] == TOTAL_COST else compliant[i]
            if bounds[r, LOWEST] <= cost <= bounds[r, HIGHEST]:
                found = r
                break
        if found < 0:
            return i
        kind[i] = bounds[found, CLASS]
        if bounds[found, FIXED] >= 0:
            points[i] = bounds[found, FIXED]
            continue
        cost = total[i] if bounds[found, COST] == TOTAL_COST else compliant[i]
        t = terms[found]
        n0, n1, n2, n3 = multiply_wide(t[0], t[1], t[2], t[3], np.uint64(cost))
        n0, n1, n2, n3 = add_wide(n0, n1, n2, n3, t[4], t[5], t[6], t[7])
        if with_factor:
            factor = np.uint64(factors[i]) if bounds[found, WEIGHTED] else _SCALE
            n0, n1, n2, n3 = multiply_wide(n0, n1, n2, n3, factor)
        one, sixty_three = np.uint64(1), np.uint64(63)
        n0, n1, n2, n3 = add_wide(
            n0,
            n1,
            n2,
            n3,
            (t[8] >> one) | (t[9] << sixty_three),
            (t[9] >> one) | (t[10] << sixty_three),
            (t[10] >> one) | (t[11] << sixty_three),
            t[11] >> one,
        )
        quotient, fits = divide_wide(n0, n1, n2, n3, t[8], t[9], t[10], t[11])
        if not fits:
            return i
        points[i] = np.int64(quotient)
        if bounds[found, CAP] >= 0 and points[i] > bounds[found, CAP]:
            points[i] = bounds[found, CAP]
    return -1


@kernel(
    types.void(
        ro(types.int32),
        ro(types.int64),
        rw(types.int64),
        rw(types.int64),
        rw(types.int64),
    )
)
def add_points(
    key: NDArray[np.int32],
    points: NDArray[np.int64],
    count: NDArray[np.int64],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
) -> None:
    """Add points to the sums of their keys; a negative key is passed over.

    A sum is ``high * 2**32 + low``, so that no batch can overflow it.
    """
    for i in range(key.size):
        k = key[i]
        if k >= 0:
            count[k] += 1
            low[k] += points[i] & _LOW32
            high[k] += points[i] >> 32


@kernel(
    types.int64(
        ro(types.int32),
        ro(types.int64),
        ro(types.int64),
        ro(types.int64),
        rw(types.int64),
        rw(types.int64),
    )
)
def case_values(
    key: NDArray[np.int32],
    points: NDArray[np.int64],
    point_value: NDArray[np.int64],
    total: NDArray[np.int64],
    value: NDArray[np.int64],
    gain: NDArray[np.int64],
) -> int:
    """Write value = points × point value in fen and gain = value - total; return -1, or a misfit.

    ``point_value`` is by key, in 1e-8 yuan; a negative key gives zeros.
    """
    for i in range(key.size):
        k = key[i]
        if k < 0:
            value[i] = 0
            gain[i] = 0
            continue
        money, fits = half_up_product(points[i], point_value[k], _VALUE_DIVISOR)
        if not fits:
            return i
        value[i] = money
        gain[i] = money - total[i]
    return -1
