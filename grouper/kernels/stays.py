"""Stays by person: gathered in buckets, and those of persons who have more than one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grouper.kernels import arguments as types
from grouper.kernels.arguments import ro, rw
from grouper.kernels.jit import inlined, kernel

Bytes = NDArray[np.uint8]
Int64Array = NDArray[np.int64]
UInt64Array = NDArray[np.uint64]
Days = NDArray[np.int32]

COLUMNS = 6
PERSON, PERSON_2, ADMISSION, DISCHARGE, ROW, CASE = range(COLUMNS)
"""Columns of a table of stays, int64[stays, 6]: two hashes, two days, place in the part, a hash."""


@kernel(types.void(ro(types.uint8), ro(types.uint64), types.int64, rw(types.int64)))
def count_stays(good: Bytes, person: UInt64Array, bits: int, counts: Int64Array) -> None:
    """Add to `counts` (int64[2**bits]) the stays of each bucket: the top `bits` of the person."""
    shift = np.uint64(64 - bits)
    for i in range(good.size):
        counts[np.int64(person[i] >> shift)] += good[i]


@kernel(
    types.void(
        ro(types.uint8),
        ro(types.uint64),
        ro(types.uint64),
        ro(types.int32),
        ro(types.int32),
        ro(types.uint64),
        types.int64,
        types.int64,
        rw(types.int64),
        rw(types.int64, 2),
    )
)
def place_stays(
    good: Bytes,
    person: UInt64Array,
    person_2: UInt64Array,
    admission: Days,
    discharge: Days,
    case: UInt64Array,
    first: int,
    bits: int,
    next_free: Int64Array,
    stays: Int64Array,
) -> None:
    """Write the stays of a batch where those of their bucket stand.

    Args:
        good: uint8[rows], 1 where the row is a stay.
        first: number of the first row in its part.
        next_free: int64[2**bits], where the next stay of each bucket goes; counted on.
        stays: int64[stays, 6], out.
    """
    shift = np.uint64(64 - bits)
    for i in range(good.size):
        if good[i]:
            bucket = np.int64(person[i] >> shift)
            place = next_free[bucket]
            stays[place, PERSON] = np.int64(person[i])
            stays[place, PERSON_2] = np.int64(person_2[i])
            stays[place, ADMISSION] = admission[i]
            stays[place, DISCHARGE] = discharge[i]
            stays[place, ROW] = first + i
            stays[place, CASE] = np.int64(case[i])
            next_free[bucket] = place + 1


@inlined
def _before(stays, one, other):  # type: ignore[no-untyped-def]
    """Whether one stay comes before another: by person, admission, discharge and case."""
    for column in (PERSON, PERSON_2, ADMISSION, DISCHARGE, CASE):
        if stays[one, column] != stays[other, column]:
            return stays[one, column] < stays[other, column]
    return False


@inlined
def _sort(stays, order, start, end, spare):  # type: ignore[no-untyped-def]
    """Sort `order[start:end]` by merging ever longer runs."""
    width = 1
    while width < end - start:
        low = start
        while low + width < end:
            middle, high = low + width, min(low + 2 * width, end)
            for at in range(low, middle):
                spare[at] = order[at]
            left, right, to = low, middle, low
            while left < middle and right < high:
                if _before(stays, order[right], spare[left]):
                    order[to] = order[right]
                    right += 1
                else:
                    order[to] = spare[left]
                    left += 1
                to += 1
            while left < middle:
                order[to] = spare[left]
                left, to = left + 1, to + 1
            low = high
        width *= 2


@kernel(types.int64(ro(types.int64, 2), rw(types.int32), rw(types.int64), rw(types.int64)))
def order_several(
    stays: Int64Array, slots: NDArray[np.int32], spare: Int64Array, order: Int64Array
) -> int:
    """Order the stays of the persons who have several: by person, days and case.

    Persons are told apart by slots first, so a few who have one stay are among them.

    Args:
        slots: int32[2**k], zeros.
        spare: int64[stays], room to sort in.
        order: int64[stays], out: rows of the stays.

    Returns:
        How many there are.
    """
    size, count = slots.size, stays.shape[0]
    keep = np.int64(size - 1)
    for i in range(count):
        slots[stays[i, PERSON] & keep] += 1
    total = 0
    for slot in range(size):
        met = slots[slot]
        slots[slot] = total if met > 1 else -1
        total += met if met > 1 else 0
    for i in range(count):
        slot = stays[i, PERSON] & keep
        if slots[slot] >= 0:
            order[slots[slot]] = i
            slots[slot] += 1
    start = 0
    for slot in range(size):
        if slots[slot] > start:
            _sort(stays, order, start, slots[slot], spare)
            start = slots[slot]
    return total


@inlined
def _another(stays, order, i):  # type: ignore[no-untyped-def]
    """Whether a stay is of another person than the one before it."""
    one, other = order[i - 1], order[i]
    return i > 0 and (
        stays[one, PERSON] != stays[other, PERSON] or stays[one, PERSON_2] != stays[other, PERSON_2]
    )


@kernel(types.void(ro(types.int64, 2), ro(types.int64), rw(types.int64)))
def find_partners(stays: Int64Array, order: Int64Array, partner: Int64Array) -> None:
    """Find another stay of the same person that each overlaps.

    Of the stays that began no later it is the one that ended last, else the next to begin. A stay
    within one day overlaps those that began before and ended after it.

    Args:
        order: rows of the stays by person, admission and discharge.
        partner: int64[order], out: the row of the other stay, -1 for none.
    """
    furthest = last = within = -1
    for i in range(order.size + 1):
        if i == order.size or _another(stays, order, i):
            waits = last >= 0 and partner[last] < 0 <= within
            if waits and stays[within, ADMISSION] < stays[order[last], DISCHARGE]:
                partner[last] = within
            furthest = last = within = -1
        if i == order.size:
            break
        row = order[i]
        begin, end = stays[row, ADMISSION], stays[row, DISCHARGE]
        partner[i] = -1
        if furthest >= 0 and stays[furthest, DISCHARGE] > begin:
            partner[i] = furthest
        if begin == end:
            within = row if within < 0 else within
            continue
        if last >= 0 and partner[last] < 0:
            if begin < stays[order[last], DISCHARGE]:
                partner[last] = row
            elif within >= 0 and stays[within, ADMISSION] < stays[order[last], DISCHARGE]:
                partner[last] = within
        last, within = i, -1
        if furthest < 0 or end > stays[furthest, DISCHARGE]:
            furthest = row
