"""Hashes of case ids, for finding ids that stand more than once in inputs of any size.

Two independent 64-bit hashes make 128 bits: among a billion ids the chance that two different ones
agree in all of them is below 1e-20.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from grouper.kernels import arguments as types
from grouper.kernels.arguments import ro, rw
from grouper.kernels.jit import inlined, kernel
from grouper.kernels.words import load_reversed

UInt64Array = npt.NDArray[np.uint64]

_MULTIPLY_1 = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLY_2 = np.uint64(0xD6E8FEB86659FD93)
_START_1 = np.uint64(0x243F6A8885A308D3)
_START_2 = np.uint64(0x13198A2E03707344)
_KEEP = np.array([(1 << (8 * n)) - 1 for n in range(8)], np.uint64)


@inlined
def _mixed(state: np.uint64) -> np.uint64:
    """A bijection of 64-bit words in which each input bit changes about half of the output."""
    state ^= state >> np.uint64(32)
    state *= _MULTIPLY_2
    state ^= state >> np.uint64(29)
    state *= _MULTIPLY_1
    return state ^ (state >> np.uint64(32))


@kernel(
    types.void(ro(types.uint8), ro(types.int32), rw(types.uint64), rw(types.uint64)),
    types.void(ro(types.uint8), ro(types.int64), rw(types.uint64), rw(types.uint64)),
)
def hash_strings(
    text: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int32] | npt.NDArray[np.int64],
    first: UInt64Array,
    second: UInt64Array,
) -> None:
    """Hash each string of an Arrow column; `offsets` has one entry more than the outputs."""
    for i in range(len(first)):
        at, end = np.int64(offsets[i]), np.int64(offsets[i + 1])
        one = _START_1 ^ np.uint64(end - at)
        two = _START_2 ^ np.uint64(end - at)
        while at < end:
            left = min(end - at, np.int64(8))
            if left == 8:
                word = load_reversed(text, at)
            elif end >= 8:
                # The bytes before it are the upper ones of the word.
                word = load_reversed(text, end - 8) & _KEEP[left]
            else:
                word = np.uint64(0)
                for byte in range(at, end):
                    word = (word << np.uint64(8)) | np.uint64(text[byte])
            one = _mixed(one ^ word)
            two = (two ^ _mixed(word + _MULTIPLY_2)) * _MULTIPLY_1
            two ^= two >> np.uint64(31)
            at += left
        first[i] = one
        second[i] = _mixed(two)


def _near(wanted: UInt64Array) -> tuple[int, npt.NDArray[np.uint8]]:
    """Which low bits the wanted hashes have: most others have none of these, and need no search.

    The top bits would not do: hashes of one bucket have them in common.

    Returns:
        The mask of the low bits, and uint8[mask + 1], 1 where a hash with these may be wanted.
    """
    bits = min(max((len(wanted) << 6).bit_length(), 10), 22)
    mask = (1 << bits) - 1
    near = np.zeros(mask + 1, np.uint8)
    near[wanted & np.uint64(mask)] = 1
    return mask, near


@kernel(types.void(ro(types.uint64), types.int64, rw(types.int64)))
def count_buckets(first: UInt64Array, bits: int, counts: npt.NDArray[np.int64]) -> None:
    """Add to `counts` (int64[2**bits]) how many hashes each bucket has: the top `bits` of each."""
    shift = np.uint64(64) - np.uint64(bits)
    for i in range(len(first)):
        counts[np.int64(first[i] >> shift)] += 1


@kernel(
    types.void(
        ro(types.uint64),
        ro(types.uint64),
        types.int64,
        rw(types.int64),
        rw(types.uint64),
        rw(types.uint64),
    )
)
def scatter(
    first: UInt64Array,
    second: UInt64Array,
    bits: int,
    next_free: npt.NDArray[np.int64],
    first_out: UInt64Array,
    second_out: UInt64Array,
) -> None:
    """Order hash pairs by bucket: the top `bits` (at least one) of `first`.

    Args:
        next_free: int64[2**bits], where each bucket begins in the outputs; counted on.
    """
    shift = np.uint64(64) - np.uint64(bits)
    for i in range(len(first)):
        bucket = np.int64(first[i] >> shift)
        place = next_free[bucket]
        first_out[place] = first[i]
        second_out[place] = second[i]
        next_free[bucket] = place + 1


def find_among(values: UInt64Array, wanted: UInt64Array, places: npt.NDArray[np.int64]) -> int:
    """Places of the values that stand in `wanted` (sorted), in order.

    Args:
        places: int64[values], filled from its start.

    Returns:
        How many there are.
    """
    return _find_among(values, wanted, *_near(wanted), places)


@kernel(
    types.int64(ro(types.uint64), ro(types.uint64), types.int64, ro(types.uint8), rw(types.int64))
)
def _find_among(
    values: UInt64Array,
    wanted: UInt64Array,
    mask: int,
    near: npt.NDArray[np.uint8],
    places: npt.NDArray[np.int64],
) -> int:
    low_bits = np.uint64(mask)
    found = 0
    for i in range(len(values)):
        if not near[np.int64(values[i] & low_bits)]:
            continue
        k = np.searchsorted(wanted, values[i])
        if k < len(wanted) and wanted[k] == values[i]:
            places[found] = i
            found += 1
    return found


def mark(
    first: UInt64Array,
    second: UInt64Array,
    wanted: UInt64Array,
    marks: npt.NDArray[np.int8],
    value: int,
) -> None:
    """Set `marks[i] = value` where the pair stands in `wanted` (uint64[k, 2], sorted by pair)."""
    _mark(first, second, wanted, *_near(wanted[:, 0]), marks, value)


@kernel(
    types.void(
        ro(types.uint64),
        ro(types.uint64),
        ro(types.uint64, 2),
        types.int64,
        ro(types.uint8),
        rw(types.int8),
        types.int8,
    )
)
def _mark(
    first: UInt64Array,
    second: UInt64Array,
    wanted: UInt64Array,
    mask: int,
    near: npt.NDArray[np.uint8],
    marks: npt.NDArray[np.int8],
    value: int,
) -> None:
    low_bits = np.uint64(mask)
    for i in range(len(first)):
        if not near[np.int64(first[i] & low_bits)]:
            continue
        low, high = 0, wanted.shape[0]
        while low < high:
            middle = (low + high) >> 1
            if wanted[middle, 0] < first[i] or (
                wanted[middle, 0] == first[i] and wanted[middle, 1] < second[i]
            ):
                low = middle + 1
            else:
                high = middle
        if low < wanted.shape[0] and wanted[low, 0] == first[i] and wanted[low, 1] == second[i]:
            marks[i] = value
