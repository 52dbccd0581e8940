"""Case ids: their hashes, versions of a list, and what becomes of ids that stand more than once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from grouper.codelists import text_buffers
from grouper.kernels.arrays import readonly
from grouper.kernels.ids import hash_strings, mark

UInt64Array = npt.NDArray[np.uint64]

REASON: Final = (
    "",
    "no_id",
    "duplicate_id",
    "no_diagnosis",
    "superseded",
    "conflicting_version",
)
REPEATED, SUPERSEDED, CONFLICTING = (
    REASON.index(name) for name in ("duplicate_id", "superseded", "conflicting_version")
)
"""Reasons of a case whose id stands more than once."""


def list_keys(second: UInt64Array, version: pa.Array | None) -> UInt64Array:
    """The second hash of each case id with the version of its list; the first stays as it is.

    Version 1, and none, leave the hash of the id; other versions of an id differ from each other.
    """
    if version is None or pa.types.is_null(version.type):
        return second
    number = pc.fill_null(version.cast(pa.int64()), 1).to_numpy(zero_copy_only=False)
    key: UInt64Array = second ^ ((number - 1).view(np.uint64) * _SPREAD)
    return key


_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)


def repeated_among(
    hashes: tuple[UInt64Array, UInt64Array],
    duplicates: UInt64Array,
    version: pa.Array | None = None,
) -> npt.NDArray[np.int8]:
    """Position in `REASON` of each case whose id stands more than once, 0 of all others.

    Args:
        hashes: of the ids (`id_hashes`).
        duplicates, version: as for `GroupedBatch.mark_duplicates`.
    """
    first, second = hashes
    reason = np.zeros(len(first), np.int8)
    if duplicates.shape[1] == _WITHOUT_VERSIONS:
        mark(readonly(first), readonly(second), readonly(duplicates), reason, REPEATED)
        return reason
    key = list_keys(second, version)
    for code in (REPEATED, SUPERSEDED, CONFLICTING):
        mine = np.ascontiguousarray(duplicates[duplicates[:, 2] == code, :_WITHOUT_VERSIONS])
        if len(mine):
            mark(readonly(first), readonly(key), readonly(mine), reason, code)
    return reason


_WITHOUT_VERSIONS: Final = 2
"""Columns of a table of ids; a third says what became of each list."""


def id_hashes(case_id: pa.Array) -> tuple[UInt64Array, UInt64Array]:
    """Both hashes of each id; those of a null mean nothing."""
    if not (pa.types.is_string(case_id.type) or pa.types.is_large_string(case_id.type)):
        case_id = case_id.cast(pa.string())
    first, second = np.empty(len(case_id), np.uint64), np.empty(len(case_id), np.uint64)
    text, bounds = text_buffers(case_id)
    hash_strings(text, bounds, first, second)
    return first, second


def several_times(hashes: UInt64Array) -> UInt64Array:
    """The hashes that stand more than once, once each, sorted."""
    ordered = np.sort(hashes)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def repeated_ids(columns: Iterable[pa.Array]) -> UInt64Array:
    """Hash pairs of the ids that stand more than once in these columns: uint64[k, 2], sorted."""
    pairs = [np.empty((0, 2), np.uint64)]
    for column in columns:
        found = np.stack(id_hashes(column), axis=1)
        known = (
            column.is_valid().to_numpy(zero_copy_only=False) if column.null_count else slice(None)
        )
        pairs.append(found[known])
    whole = np.concatenate(pairs)
    suspects = several_times(whole[:, 0])
    if not len(suspects):
        return whole[:0]
    found, times = np.unique(whole[np.isin(whole[:, 0], suspects)], axis=0, return_counts=True)
    return np.ascontiguousarray(found[times > 1])
