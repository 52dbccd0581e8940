"""Code strings to kinds: a hash table over UTF-8 bytes, probed linearly.

Keys are the codes as a pack writes them. A key that ends in `%` is a prefix: a code that is no key
itself has the kind of the longest prefix that matches it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types

from grouper.kernels.jit import inlined, kernel, ro, rw
from grouper.kernels.layout import BLANK, UNKNOWN


class CodeIndex(NamedTuple):
    """The hash table.

    Attributes:
        data: uint8[], bytes of all keys one after the other.
        offsets: int32[keys + 1], where each begins.
        kinds: int32[keys].
        slots: int32[2**n], position of a key plus one; 0 is free.
        lengths: int32[], byte lengths of the prefixes (without `%`), longest first.
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int32]
    kinds: npt.NDArray[np.int32]
    slots: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int32]


_INDEX = types.NamedTuple(
    [ro(types.uint8), ro(types.int32), ro(types.int32), ro(types.int32), ro(types.int32)],
    CodeIndex,
)

_FNV_START = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_PERCENT = np.uint8(ord("%"))


@inlined
def _step(state: np.uint64, byte: np.uint8) -> np.uint64:
    return (state ^ np.uint64(byte)) * _FNV_PRIME


@inlined
def _slot(state, size):  # type: ignore[no-untyped-def]
    # The low bits of this hash are its weakest; fold the high ones in.
    return np.int64((state ^ (state >> np.uint64(29))) & np.uint64(size - 1))


@kernel(types.void(ro(types.uint8), ro(types.int32), rw(types.int32)))
def fill_slots(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int32], slots: npt.NDArray[np.int32]
) -> None:
    """Enter all keys into the zeroed `slots`; there are more slots than keys."""
    for key in range(len(offsets) - 1):
        state = _FNV_START
        for at in range(offsets[key], offsets[key + 1]):
            state = _step(state, data[at])
        slot = _slot(state, len(slots))
        while slots[slot] != 0:
            slot = (slot + 1) & (len(slots) - 1)
        slots[slot] = key + 1


@inlined
def _find(index, state, text, start, length, mark):  # type: ignore[no-untyped-def]
    """Position of the key that equals `text[start:start+length]` (plus `%`, if `mark`), or -1."""
    slot = _slot(state, len(index.slots))
    while True:
        key = index.slots[slot] - 1
        if key < 0:
            return -1
        begin = index.offsets[key]
        if index.offsets[key + 1] - begin == length + mark:
            same = mark == 0 or index.data[begin + length] == _PERCENT
            at = 0
            while same and at < length:
                same = index.data[begin + at] == text[start + at]
                at += 1
            if same:
                return key
        slot = (slot + 1) & (len(index.slots) - 1)


@inlined
def _is_blank(text, start, end):  # type: ignore[no-untyped-def]
    """Only spaces, tabs and line ends, or the ideographic space U+3000 (E3 80 80)."""
    at = start
    while at < end:
        byte = text[at]
        if byte == 32 or 9 <= byte <= 13:
            at += 1
        elif byte == 0xE3 and at + 2 < end and text[at + 1] == 0x80 and text[at + 2] == 0x80:
            at += 3
        else:
            return False
    return True


@inlined
def kind_of(index, text, start, end):  # type: ignore[no-untyped-def]
    """The kind of the code `text[start:end]`."""
    state = _FNV_START
    for at in range(start, end):
        state = _step(state, text[at])
    key = _find(index, state, text, start, end - start, 0)
    if key >= 0:
        return index.kinds[key]
    if _is_blank(text, start, end):
        return BLANK
    for i in range(len(index.lengths)):
        length = index.lengths[i]
        if length <= end - start:
            state = _FNV_START
            for at in range(start, start + length):
                state = _step(state, text[at])
            key = _find(index, _step(state, _PERCENT), text, start, length, 1)
            if key >= 0:
                return index.kinds[key]
    return UNKNOWN


@kernel(
    types.void(_INDEX, ro(types.uint8), ro(types.int32), rw(types.int32)),
    types.void(_INDEX, ro(types.uint8), ro(types.int64), rw(types.int32)),
)
def look_up(
    index: CodeIndex,
    text: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int32] | npt.NDArray[np.int64],
    kinds: npt.NDArray[np.int32],
) -> None:
    """Write the kind of each string; `offsets` has one entry more than `kinds`.

    Nulls are not seen here: the caller sets their kind to `BLANK`.
    """
    for i in range(len(kinds)):
        kinds[i] = kind_of(index, text, np.int64(offsets[i]), np.int64(offsets[i + 1]))
