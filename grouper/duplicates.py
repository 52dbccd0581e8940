"""Case ids that stand more than once, over inputs of any size.

An id is told by a 128-bit hash. Each part leaves its hashes in buckets; each bucket is then sorted
alone, so memory stays bounded and both steps run anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from grouper.cases import CaseSource, Part, read_part
from grouper.execution import Runner
from grouper.grouping import id_hashes
from grouper.kernels.arrays import readonly
from grouper.kernels.ids import mark, scatter

UInt64Array = npt.NDArray[np.uint64]

BUCKETS = 32
_BITS = BUCKETS.bit_length() - 1
NO_DUPLICATES: UInt64Array = np.empty((0, 2), np.uint64)


class HashedIds:
    """The hashes of a part's ids, gathered batch by batch and left in the work folder."""

    def __init__(self) -> None:
        self._first: list[UInt64Array] = []
        self._second: list[UInt64Array] = []

    def add(self, case_id: pa.Array) -> None:
        """Take in a batch; nulls are no ids."""
        first, second = id_hashes(case_id.drop_null() if case_id.null_count else case_id)
        self._first.append(first)
        self._second.append(second)

    def among(self, wanted: UInt64Array) -> UInt64Array:
        """First hashes of those ids that are wanted (uint64[k, 2], sorted), once each."""
        found = [np.empty(0, np.uint64)]
        for first, second in zip(self._first, self._second, strict=True):
            marks = np.zeros(len(first), np.int8)
            mark(readonly(first), readonly(second), readonly(wanted), marks, 1)
            found.append(first[marks > 0])
        return np.unique(np.concatenate(found))

    def save(self, work: str, number: int) -> None:
        """Leave the hashes of part `number` in `work`, ordered by bucket."""
        first = np.concatenate([*self._first, np.empty(0, np.uint64)])
        second = np.concatenate([*self._second, np.empty(0, np.uint64)])
        counts = np.bincount((first >> np.uint64(64 - _BITS)).astype(np.intp), minlength=BUCKETS)
        bounds = np.zeros(BUCKETS + 1, np.int64)
        np.cumsum(counts, out=bounds[1:])
        ordered = np.empty((len(first), 2), np.uint64)
        scatter(readonly(first), readonly(second), _BITS, bounds[:-1].copy(), ordered)
        np.save(_pairs_file(work, number), ordered)
        np.save(_bounds_file(work, number), bounds)


def _pairs_file(work: str, number: int) -> Path:
    return Path(work) / f"ids-{number:05d}.npy"


def _bounds_file(work: str, number: int) -> Path:
    return Path(work) / f"ids-{number:05d}.bounds.npy"


@dataclass(frozen=True)
class _Saved:
    work: str
    parts: tuple[int, ...]


def _bucket_duplicates(shared: _Saved, bucket: int) -> UInt64Array:
    """Pairs that stand more than once in a bucket, once each, sorted."""
    pieces: list[UInt64Array] = []
    for number in shared.parts:
        bounds = np.load(_bounds_file(shared.work, number))
        pairs = np.load(_pairs_file(shared.work, number), mmap_mode="r")
        pieces.append(np.asarray(pairs[bounds[bucket] : bounds[bucket + 1]]))
    pairs = np.concatenate(pieces) if pieces else NO_DUPLICATES
    ordered = np.sort(pairs[:, 0])
    suspects = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(suspects):
        return NO_DUPLICATES
    found, times = np.unique(pairs[np.isin(pairs[:, 0], suspects)], axis=0, return_counts=True)
    return found[times > 1]


def duplicates_among(numbers: Sequence[int], runner: Runner, work: Path) -> UInt64Array:
    """Ids that stand more than once in the parts that have left their hashes in `work`.

    The files of the hashes are removed.

    Returns:
        uint64[k, 2], hash pairs, sorted; for `group_batch`.
    """
    try:
        # Buckets are the top bits of the hash, so the results one after the other are sorted.
        saved = _Saved(str(work), tuple(numbers))
        return np.concatenate(list(runner.map(_bucket_duplicates, saved, range(BUCKETS))))
    finally:
        for number in numbers:
            _pairs_file(str(work), number).unlink(missing_ok=True)
            _bounds_file(str(work), number).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Hashing:
    source: CaseSource
    work: str
    wanted: UInt64Array


def _hash_part(shared: _Hashing, part: Part) -> UInt64Array:
    ids = HashedIds()
    for batch in read_part(shared.source, part, ("case_id",)):
        ids.add(batch.column("case_id"))
    ids.save(shared.work, part.number)
    return ids.among(shared.wanted)


def find_duplicates(
    source: CaseSource,
    runner: Runner,
    work: Path,
    wanted: UInt64Array = NO_DUPLICATES,
    found: Callable[[UInt64Array], None] | None = None,
) -> UInt64Array:
    """Ids that stand more than once among all cases of a source.

    Args:
        source: the cases.
        runner: where the parts are read.
        work: an existing folder for intermediate files; they are removed again.
        wanted: hash pairs of ids that are looked for on the way, sorted.
        found: told the first hashes of those that each part has.

    Returns:
        uint64[k, 2], hash pairs, sorted; for `group_batch`.
    """
    hashing = _Hashing(source, str(work), wanted)
    for mine in runner.map(_hash_part, hashing, source.parts):
        if found is not None:
            found(mine)
    return duplicates_among([part.number for part in source.parts], runner, work)
