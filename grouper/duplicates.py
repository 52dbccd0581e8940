"""Case ids that stand more than once, over inputs of any size.

An id is told by a 128-bit hash. Each part writes its hashes in buckets; each bucket is then sorted
alone, so memory stays bounded and both steps run anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from grouper.cases import CaseSource, Part, read_part
from grouper.execution import Runner
from grouper.grouping import id_hashes
from grouper.kernels.arrays import readonly
from grouper.kernels.ids import scatter

UInt64Array = npt.NDArray[np.uint64]

BUCKETS = 32

NO_DUPLICATES: UInt64Array = np.empty((0, 2), np.uint64)


@dataclass(frozen=True)
class _Hashing:
    source: CaseSource
    work: str


def _hash_part(shared: _Hashing, part: Part) -> int:
    """Write the part's hashes, ordered by bucket, and where each bucket begins."""
    columns: list[tuple[UInt64Array, UInt64Array]] = []
    for batch in read_part(shared.source, part, ("case_id",)):
        case_id = batch.column("case_id")
        if case_id.null_count:
            case_id = case_id.drop_null()
        columns.append(id_hashes(case_id))
    first = np.concatenate([c[0] for c in columns]) if columns else np.empty(0, np.uint64)
    second = np.concatenate([c[1] for c in columns]) if columns else np.empty(0, np.uint64)
    counts = np.bincount((first >> np.uint64(64 - _BITS)).astype(np.intp), minlength=BUCKETS)
    bounds = np.zeros(BUCKETS + 1, np.int64)
    np.cumsum(counts, out=bounds[1:])
    ordered = np.empty((len(first), 2), np.uint64)
    scatter(readonly(first), readonly(second), _BITS, bounds[:-1].copy(), ordered)
    np.save(_file(shared.work, part.number), ordered)
    np.save(_bounds_file(shared.work, part.number), bounds)
    return len(first)


_BITS = BUCKETS.bit_length() - 1


def _file(work: str, number: int) -> Path:
    return Path(work) / f"ids-{number:05d}.npy"


def _bounds_file(work: str, number: int) -> Path:
    return Path(work) / f"ids-{number:05d}.bounds.npy"


@dataclass(frozen=True)
class _Bucket:
    work: str
    parts: tuple[int, ...]


def _bucket_duplicates(shared: _Bucket, bucket: int) -> UInt64Array:
    """Pairs that stand more than once in a bucket, once each, sorted."""
    pieces: list[UInt64Array] = []
    for number in shared.parts:
        bounds = np.load(_bounds_file(shared.work, number))
        pairs = np.load(_file(shared.work, number), mmap_mode="r")
        pieces.append(np.asarray(pairs[bounds[bucket] : bounds[bucket + 1]]))
    pairs = np.concatenate(pieces) if pieces else NO_DUPLICATES
    ordered = np.sort(pairs[:, 0])
    suspects = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(suspects):
        return NO_DUPLICATES
    found, times = np.unique(pairs[np.isin(pairs[:, 0], suspects)], axis=0, return_counts=True)
    return found[times > 1]


def find_duplicates(source: CaseSource, runner: Runner, work: Path) -> UInt64Array:
    """Hash pairs of the ids that stand more than once among all cases.

    Args:
        work: an existing folder for intermediate files; they are removed again.

    Returns:
        uint64[k, 2], sorted; for `group_batch`.
    """
    numbers = tuple(part.number for part in source.parts)
    try:
        for _ in runner.map(_hash_part, _Hashing(source, str(work)), source.parts):
            pass
        found = list(_by_bucket(runner, _Bucket(str(work), numbers)))
    finally:
        for number in numbers:
            _file(str(work), number).unlink(missing_ok=True)
            _bounds_file(str(work), number).unlink(missing_ok=True)
    return np.concatenate(found)


def _by_bucket(runner: Runner, shared: _Bucket) -> Iterator[UInt64Array]:
    # Buckets are the top bits of the hash, so the results one after the other are sorted.
    yield from runner.map(_bucket_duplicates, shared, range(BUCKETS))
