"""Code strings to kinds: a hash table over UTF-8 bytes, probed linearly.

Keys are the codes as a pack writes them. A key that ends in `%` is a prefix: a code that is no key
itself has the kind of the longest prefix that matches it. A code is told by three words and its
length: its bytes up to 24, of which almost every code has fewer; of a longer one the third word is
a 64-bit hash of all bytes from the 17th on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grouper.kernels import arguments as types
from grouper.kernels.arguments import ro, rw
from grouper.kernels.jit import inlined, kernel
from grouper.kernels.layout import BLANK, UNKNOWN
from grouper.kernels.words import load_word

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Int32Array = npt.NDArray[np.int32]

SLOT_WORDS = 4
"""Words of a slot: the three of the code, and its kind plus one above its length (32 bits each)."""


class CodeIndex(NamedTuple):
    """The hash table.

    Attributes:
        slots: uint64[2**n, 4], in each a key or, where its last word is 0, none.
        lengths: int32[], byte lengths of the prefixes (without `%`), longest first.
        kinds: int32[], every kind by its number, and `BLANK` behind them.
    """

    slots: Words
    lengths: Int32Array
    kinds: Int32Array


_INDEX = types.NamedTuple([ro(types.uint64, 2), ro(types.int32), ro(types.int32)], CodeIndex)
_LENGTH_BITS = np.uint64(32)
_LENGTH_KEEP = np.uint64(0xFFFFFFFF)
_PERCENT = np.uint64(ord("%"))
_SEPARATOR = np.uint8(ord("|"))
_ODD_1 = np.uint64(0x9E3779B97F4A7C15)
_ODD_2 = np.uint64(0xC2B2AE3D27D4EB4F)
_ODD_3 = np.uint64(0x165667B19E3779F9)
_KEEP = np.array([(1 << (8 * n)) - 1 for n in range(9)], np.uint64)
_TAIL_START = np.uint64(0xCBF29CE484222325)
_TAIL_PRIME = np.uint64(0x100000001B3)


@inlined
def _word(text, start, length):  # type: ignore[no-untyped-def]
    """The first eight of `length` bytes as a word; none for a length below one."""
    kept = max(min(length, 8), 0)
    if start + 8 <= len(text):
        return load_word(text, start) & _KEEP[kept]
    word = np.uint64(0)
    for i in range(kept):
        word |= np.uint64(text[start + i]) << np.uint64(8 * i)
    return word


@inlined
def _tail(text, start, length, mark):  # type: ignore[no-untyped-def]
    """The third word of a code; `mark` is a further byte behind it, or 0."""
    if length + (mark != 0) <= 24:
        word = _word(text, start + 16, length - 16)
        if mark != 0 and length >= 16:
            word |= mark << np.uint64(8 * (length - 16))
        return word
    state = _TAIL_START
    for at in range(start + 16, start + length):
        state = (state ^ np.uint64(text[at])) * _TAIL_PRIME
    if mark != 0:
        state = (state ^ mark) * _TAIL_PRIME
    return state


@inlined
def _slot(one, two, three, length, size):  # type: ignore[no-untyped-def]
    state = one * _ODD_1 ^ (two ^ np.uint64(length)) * _ODD_2 ^ three * _ODD_3
    state = (state ^ (state >> np.uint64(32))) * _ODD_1
    return np.int64((state >> np.uint64(32)) & np.uint64(size - 1))


@inlined
def _find(slots, one, two, three, length):  # type: ignore[no-untyped-def]
    """Kind of the key with these words and length, or -1."""
    slot = _slot(one, two, three, length, slots.shape[0])
    while True:
        last = slots[slot, 3]
        if last == 0:
            return np.int64(-1)
        if (
            slots[slot, 0] == one
            and slots[slot, 1] == two
            and slots[slot, 2] == three
            and np.int64(last & _LENGTH_KEEP) == length
        ):
            return np.int64(last >> _LENGTH_BITS) - 1
        slot = (slot + 1) & (slots.shape[0] - 1)


@kernel(types.void(ro(types.uint8), ro(types.int32), ro(types.int32), rw(types.uint64, 2)))
def build_table(text: Bytes, bounds: Int32Array, kinds: Int32Array, slots: Words) -> None:
    """Fill the zeroed `slots` (uint64[2**n, 4]), of which there are more than keys.

    With four times as many and more, few keys stand behind their place: a step that the processor
    does not foresee costs more than a table that does not fit its cache.

    Args:
        text: all keys one after the other.
        bounds: where each key begins; one entry more than `kinds`.
        kinds: int32[keys].
    """
    for key in range(len(kinds)):
        start, end = np.int64(bounds[key]), np.int64(bounds[key + 1])
        n = end - start
        one, two = _word(text, start, n), _word(text, start + 8, n - 8)
        three = _tail(text, start, n, np.uint64(0))
        slot = _slot(one, two, three, n, slots.shape[0])
        while slots[slot, 3] != 0:
            slot = (slot + 1) & (slots.shape[0] - 1)
        slots[slot, 0], slots[slot, 1], slots[slot, 2] = one, two, three
        slots[slot, 3] = (np.uint64(kinds[key] + 1) << _LENGTH_BITS) | np.uint64(n)


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
def _unlisted(slots, lengths, text, start, end):  # type: ignore[no-untyped-def]
    """The kind of a code that is no key: of a blank, of its longest prefix, or unknown."""
    if _is_blank(text, start, end):
        return np.int64(BLANK)
    for i in range(len(lengths)):
        n = np.int64(lengths[i])
        if n <= end - start:
            one, two = _word(text, start, n), _word(text, start + 8, n - 8)
            if n < 8:
                one |= _PERCENT << np.uint64(8 * n)
            elif n < 16:
                two |= _PERCENT << np.uint64(8 * (n - 8))
            three = _tail(text, start, n, _PERCENT)
            kind = _find(slots, one, two, three, n + 1)
            if kind >= 0:
                return kind
    return np.int64(UNKNOWN)


@inlined
def _listed(slots, text, start, end):  # type: ignore[no-untyped-def]
    """The kind of a code that is a key, or -1."""
    n = end - start
    one, two = _word(text, start, n), _word(text, start + 8, n - 8)
    return _find(slots, one, two, _tail(text, start, n, np.uint64(0)), n)


@kernel(
    types.void(_INDEX, ro(types.uint8), ro(types.int32), rw(types.int32)),
    types.void(_INDEX, ro(types.uint8), ro(types.int64), rw(types.int32)),
)
def look_up(
    index: CodeIndex,
    text: Bytes,
    bounds: Int32Array | npt.NDArray[np.int64],
    found: Int32Array,
) -> None:
    """Write the kind of each string.

    Nulls are not seen here: the caller sets their kind to `BLANK`.

    Args:
        text: all strings one after the other.
        bounds: where each string begins; one entry more than `found`.
        found: int32[n], out.
    """
    slots, lengths, _ = index
    left = 0
    for i in range(len(found)):
        start, n = np.int64(bounds[i]), np.int64(bounds[i + 1]) - np.int64(bounds[i])
        kind = np.int64(-1)
        if n <= 16 and start + 16 <= len(text):
            one = load_word(text, start) & _KEEP[min(n, np.int64(8))]
            two = load_word(text, start + 8) & _KEEP[max(n - 8, np.int64(0))]
            kind = _find(slots, one, two, np.uint64(0), n)
        found[i] = kind
        left += 1 if kind < 0 else 0
    # Apart, because most codes are short and listed, and their loop is the faster for it.
    for i in range(len(found) if left else 0):
        if found[i] < 0:
            start, end = np.int64(bounds[i]), np.int64(bounds[i + 1])
            kind = _listed(slots, text, start, end)
            if kind < 0:
                kind = _unlisted(slots, lengths, text, start, end)
            found[i] = kind


@kernel(
    types.int64(
        _INDEX,
        ro(types.uint8),
        ro(types.int32),
        rw(types.int32),
        rw(types.int32),
    )
)
def look_up_joined(
    index: CodeIndex,
    text: Bytes,
    bounds: Int32Array,
    found: Int32Array,
    ends: Int32Array,
) -> int:
    """Write the kinds of the codes in strings like `A|B|C`, case after case.

    Args:
        found: int32[], out; room for one code more than there are bytes in the strings.
        ends: int32[n + 1], out: where the codes of each string begin in `found`.

    Returns:
        The number of codes. An empty string has none.
    """
    slots, lengths, _ = index
    codes = 0
    ends[0] = 0
    for i in range(len(bounds) - 1):
        start, end = np.int64(bounds[i]), np.int64(bounds[i + 1])
        at = start
        while at < end or (at == end and at > start and text[at - 1] == _SEPARATOR):
            stop = at
            while stop < end and text[stop] != _SEPARATOR:
                stop += 1
            kind = _listed(slots, text, at, stop)
            if kind < 0:
                kind = _unlisted(slots, lengths, text, at, stop)
            found[codes] = kind
            codes += 1
            at = stop + 1
        ends[i + 1] = codes
    return codes
