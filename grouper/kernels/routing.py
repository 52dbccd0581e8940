"""Where a case is counted: its cell and its account, from the codes of its columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grouper.kernels import arguments as types
from grouper.kernels.arguments import ro, rw
from grouper.kernels.jit import kernel

Codes = NDArray[np.int32]
Bytes = NDArray[np.uint8]


@kernel(
    types.void(
        ro(types.int8),
        ro(types.uint8),
        ro(types.uint8),
        ro(types.int32),
        ro(types.int32),
        ro(types.int32),
        ro(types.int32),
        ro(types.int32),
        types.int64,
        types.int64,
        types.int64,
        types.int64,
        rw(types.int32),
        rw(types.int32),
    )
)
def place_cases(
    route: NDArray[np.int8],
    waiting: Bytes,
    insured: Bytes,
    kind: Codes,
    hospital: Codes,
    pool: Codes,
    month: Codes,
    levels: Codes,
    by_points: int,
    most_levels: int,
    pools: int,
    months: int,
    cell: Codes,
    account: Codes,
) -> None:
    """Write the cell and the account of each case.

    Args:
        route: of each case; `by_points` is the one that is paid by points.
        waiting: 1 where a case is simulated by points.
        insured: 1 where a fund has to do with the case.
        kind, hospital, pool, month: codes; of cases that are not insured they may be anything.
        levels: level by hospital, from 1 to `most_levels`.
        pools, months: how many there are.
        cell: out: kind and level; -1 where the case is neither paid nor simulated by points.
        account: out: hospital, pool and month where the case is paid by points, -2 - that where
            it is insured, else -1.
    """
    for i in range(route.size):
        paid = route[i] == by_points
        cell[i] = account[i] = -1
        if paid or waiting[i]:
            cell[i] = kind[i] * most_levels + levels[hospital[i]] - 1
        if paid or insured[i]:
            own = (hospital[i] * pools + pool[i]) * months + month[i]
            account[i] = own if paid else -2 - own


@kernel(
    types.int64(
        ro(types.uint8),
        ro(types.int32),
        ro(types.int32),
        ro(types.int32),
        ro(types.int32),
        ro(types.int32, 2),
        rw(types.int32),
    )
)
def find_pools(
    insured: Bytes,
    hospital: Codes,
    insurance: Codes,
    city: Codes,
    home: Codes,
    pools: Codes,
    pool: Codes,
) -> int:
    """Write the pool of each insured case; return the first that has no city, or -1.

    Args:
        city: of each case, -1 where it names none; `home`: of each hospital.
        pools: int32[cities, insurances].
        pool: out; 0 where the case is not insured.
    """
    for i in range(insured.size):
        pool[i] = 0
        if insured[i]:
            where = city[i] if city[i] >= 0 else home[hospital[i]]
            if where < 0:
                return i
            pool[i] = pools[where, insurance[i]]
    return -1
