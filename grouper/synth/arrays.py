"""Arrow arrays straight from numpy buffers: dictionaries, lists, money, fixed-width ids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from grouper.cases import MONEY
from grouper.synth.bedside import Lists
from grouper.synth.recipes import NULL

Mask = npt.NDArray[np.bool_]


def texts(
    positions: npt.NDArray[np.integer], values: Sequence[str], null: Mask | None = None
) -> pa.Array:
    """A dictionary column: `values[position]`, null where the mask says."""
    indices = pa.array(positions.astype(np.int32, copy=False), mask=null)
    return pa.DictionaryArray.from_arrays(indices, pa.array(values, pa.string()))


def code_lists(lists: Lists, values: Sequence[str], null: Mask | None = None) -> pa.Array:
    """A column of code lists as dictionaries that hold only the codes in use.

    Args:
        null: entries (not lists) that are null.
    """
    used = np.zeros(len(values), np.bool_)
    used[lists.codes] = True
    chosen = np.flatnonzero(used)
    position = np.zeros(len(values), np.int32)
    position[chosen] = np.arange(len(chosen))
    entries = texts(position[lists.codes], [values[i] for i in chosen.tolist()], null)
    return pa.ListArray.from_arrays(pa.array(lists.offsets), entries)


def integers(values: npt.NDArray[np.integer], kind: pa.DataType) -> pa.Array:
    """An integer column of the type; `NULL` becomes null."""
    missing = values == NULL
    if missing.any():
        return pa.array(np.where(missing, 0, values).astype(kind.to_pandas_dtype()), kind, missing)
    return pa.array(values.astype(kind.to_pandas_dtype()), kind)


def money(fen: npt.NDArray[np.int64], null: Mask | None = None) -> pa.Array:
    """Fen as decimal128(18,2) yuan."""
    words = np.empty((len(fen), 2), np.int64)
    words[:, 0] = fen
    words[:, 1] = fen >> 63
    validity = None
    if null is not None and null.any():
        validity = pa.py_buffer(np.packbits(~null, bitorder="little").tobytes())
    return pa.Array.from_buffers(MONEY, len(fen), [validity, pa.py_buffer(words)])


def dates(days: npt.NDArray[np.integer]) -> pa.Array:
    """Days since 1970-01-01 as date32."""
    return pa.array(days.astype(np.int32), pa.int32()).view(pa.date32())


def numbered(prefix: str, numbers: npt.NDArray[np.int64], digits: int) -> npt.NDArray[np.uint8]:
    """uint8[rows, width], ids such as `P000000042` as bytes."""
    head = np.frombuffer(prefix.encode(), np.uint8)
    found = np.empty((len(numbers), len(head) + digits), np.uint8)
    found[:, : len(head)] = head
    rest = numbers.copy()
    for place in range(found.shape[1] - 1, len(head) - 1, -1):
        rest, digit = np.divmod(rest, 10)
        found[:, place] = digit + ord("0")
    return found


def ids(letters: npt.NDArray[np.uint8], null: Mask | None = None) -> pa.Array:
    """A string column of ids of one width."""
    count, width = letters.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    validity = None
    if null is not None and null.any():
        validity = pa.py_buffer(np.packbits(~null, bitorder="little").tobytes())
    data = pa.py_buffer(np.ascontiguousarray(letters))
    return pa.Array.from_buffers(pa.string(), count, [validity, pa.py_buffer(offsets), data])
