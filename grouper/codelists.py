"""Code columns as the kernels take them, whatever Arrow shape they arrive in.

A list of dictionary-encoded strings keeps its dictionary: each distinct code is looked up once a
batch. Plain strings, and texts like `A|B` from CSV, are looked up where they stand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from grouper.kernels.arrays import readonly
from grouper.kernels.codes import SLOT_WORDS, CodeIndex, build_table, look_up, look_up_joined
from grouper.kernels.layout import BLANK, UNKNOWN
from grouper.kernels.marked import count_kind
from grouper.scheme.codes import PREFIX_MARK
from grouper.scheme.compile import CodeTable

Int32Array = npt.NDArray[np.int32]
Bounds = npt.NDArray[np.int32] | npt.NDArray[np.int64]

_NO_TEXT = np.zeros(8, np.uint8)
_NO_BOUNDS = np.zeros(1, np.int32)


@dataclass(frozen=True)
class CodeLists:
    """The codes of a batch.

    Attributes:
        positions: int32[], the lists one after the other, as positions in `kinds`.
        offsets: int32[n + 1], where the list of each case begins.
        kinds: int32[], kind of each dictionary entry; the last one stands for null.
        unknown: how many codes the pack knows nowhere.
        whole: the same with the codes that were taken out; None where none was.
    """

    positions: Int32Array
    offsets: Int32Array
    kinds: Int32Array
    unknown: int
    whole: CodeLists | None = None


def build_index(table: CodeTable) -> CodeIndex:
    """The hash table of a scheme's codes."""
    text, bounds = text_buffers(pa.array(table.codes, pa.string()))
    slots = np.zeros((1 << (4 * len(table.codes) + 1).bit_length(), SLOT_WORDS), np.uint64)
    build_table(text, bounds.astype(np.int32), readonly(table.kind_of), slots)
    prefixes = {len(c.encode()) - 1 for c in table.codes if c.endswith(PREFIX_MARK)}
    lengths = np.array(sorted(prefixes, reverse=True), np.int32)
    kinds = np.arange(table.kind_of.max(initial=UNKNOWN) + 2, dtype=np.int32)
    kinds[-1] = BLANK
    return CodeIndex(readonly(slots), readonly(lengths), readonly(kinds))


def read_codes(
    column: pa.Array | None, rows: int, index: CodeIndex, dropped: int = -1
) -> CodeLists:
    """The codes of a column: lists of strings, or strings joined by `|`; None counts as null.

    Args:
        dropped: kind of the codes that are taken out of their lists; -1 where none is.
    """
    found = _read_codes(column, rows, index)
    if dropped < 0 or dropped not in found.kinds:
        return found
    keep = found.kinds[found.positions] != dropped
    before = np.concatenate([[0], np.cumsum(keep)]).astype(np.int32)
    return CodeLists(
        np.ascontiguousarray(found.positions[keep]),
        before[found.offsets],
        found.kinds,
        found.unknown,
        found,
    )


def _read_codes(column: pa.Array | None, rows: int, index: CodeIndex) -> CodeLists:
    if column is None or pa.types.is_null(column.type):
        return CodeLists(np.empty(0, np.int32), np.zeros(rows + 1, np.int32), _blank(), 0)
    if pa.types.is_string(column.type):
        return _joined(column, index)
    values, offsets = _flattened(column)
    if pa.types.is_null(values.type):
        return CodeLists(np.zeros(len(values), np.int32), offsets, _blank(), 0)
    if not pa.types.is_dictionary(values.type):
        return _by_kind(kinds_of(values, index)[:-1], offsets, index)
    kinds = kinds_of(values.dictionary, index)
    positions = values.indices
    if positions.null_count:
        # A full dictionary of 8-bit positions has no room for one more.
        positions = pc.fill_null(positions.cast(pa.int32()), len(kinds) - 1)
    positions = positions.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    unknown = 0
    if np.any(kinds == UNKNOWN):
        unknown = count_kind(readonly(kinds), readonly(positions), UNKNOWN)
    return CodeLists(positions, offsets, kinds, unknown)


def _blank() -> Int32Array:
    return np.full(1, BLANK, np.int32)


def _by_kind(kinds: Int32Array, offsets: Int32Array, index: CodeIndex) -> CodeLists:
    """Lists whose codes were looked up already: the kinds themselves are the dictionary."""
    return CodeLists(kinds, offsets, index.kinds, int(np.count_nonzero(kinds == UNKNOWN)))


def _flattened(lists: pa.Array) -> tuple[pa.Array, Int32Array]:
    """The values of all lists one after the other, and where each list begins among them."""
    if lists.null_count:
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
        offsets = np.zeros(len(lists) + 1, np.int32)
        np.cumsum(lengths, out=offsets[1:])
        return lists.flatten(), offsets
    offsets = lists.offsets.to_numpy(zero_copy_only=False)
    values = lists.values
    if offsets[0] != 0 or offsets[-1] != len(values):
        values = values.slice(offsets[0], offsets[-1] - offsets[0])
        offsets = offsets - offsets[0]
    return values, offsets.astype(np.int32, copy=False)


def _joined(column: pa.Array, index: CodeIndex) -> CodeLists:
    text, bounds = text_buffers(column)
    found = np.empty(int(bounds[-1] - bounds[0]) + len(column) + 1, np.int32)
    offsets = np.empty(len(column) + 1, np.int32)
    count = look_up_joined(index, text, readonly(bounds.astype(np.int32)), found, offsets)
    return _by_kind(found[:count].copy(), offsets, index)


def kinds_of(strings: pa.Array, index: CodeIndex) -> Int32Array:
    """The kind of each string, and of null behind them."""
    kinds = np.empty(len(strings) + 1, np.int32)
    kinds[-1] = BLANK
    if len(strings):
        text, bounds = text_buffers(strings)
        look_up(index, text, bounds, kinds[:-1])
        if strings.null_count:
            kinds[:-1][strings.is_null().to_numpy(zero_copy_only=False)] = BLANK
    return kinds


def text_buffers(strings: pa.Array) -> tuple[npt.NDArray[np.uint8], Bounds]:
    """A column of strings without a copy: the bytes, and where each string begins among them."""
    if not len(strings):
        return readonly(_NO_TEXT), readonly(_NO_BOUNDS)
    _, offsets, data = strings.buffers()
    own = slice(strings.offset, strings.offset + len(strings) + 1)
    bounds: Bounds
    if pa.types.is_large_string(strings.type):
        bounds = np.frombuffer(offsets, np.int64, own.stop)[own]
    else:
        bounds = np.frombuffer(offsets, np.int32, own.stop)[own]
    bounds.flags.writeable = False
    text = np.frombuffer(data, np.uint8) if data is not None and data.size else _NO_TEXT
    return readonly(text), bounds
