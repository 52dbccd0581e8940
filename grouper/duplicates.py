"""Case ids that stand more than once, over inputs of any size.

An id is told by a 128-bit hash. Each part leaves its hashes in buckets; each bucket is then sorted
alone, so memory stays bounded and both steps run anywhere.

Where lists carry versions (column ``version``, empty: 1), the highest version of an id counts:
lists of lower versions are superseded (已被更新版本取代), and only lists of the same version are
repeated. Repeated lists that differ in any column conflict (版本冲突). Whether a list counts
follows from the lists alone, whatever their order and their files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from grouper.caseids import (
    CONFLICTING,
    REPEATED,
    SUPERSEDED,
    id_hashes,
    list_keys,
    repeated_among,
    several_times,
)
from grouper.cases import CaseSource, Part, read_part
from grouper.execution import Runner
from grouper.kernels.arrays import readonly
from grouper.kernels.ids import count_buckets, find_among, mark, scatter

VERSION = "version"
"""Column of the case table: the version of a list."""

UInt64Array = npt.NDArray[np.uint64]

BUCKETS = 32
_BITS = BUCKETS.bit_length() - 1
_TASK_BYTES = 4 << 20
"""Hashes of a quarter of a million ids: so many are sorted at once, where buckets are enough."""
NO_DUPLICATES: UInt64Array = np.empty((0, 2), np.uint64)


class HashedIds:
    """The hashes of a part's ids, gathered batch by batch and left in the work folder."""

    def __init__(self) -> None:
        self._first: list[UInt64Array] = []
        self._second: list[UInt64Array] = []
        self._versions: list[pa.Array | None] = []

    def add(self, case_id: pa.Array, version: pa.Array | None = None) -> None:
        """Take in a batch; nulls are no ids.

        Args:
            version: the batch's own column, where lists carry versions.
        """
        first, second = id_hashes(case_id)
        if case_id.null_count:
            known = case_id.is_valid()
            version = None if version is None else version.filter(known)
            mask = known.to_numpy(zero_copy_only=False)
            first, second = first[mask], second[mask]
        self._first.append(first)
        self._second.append(second)
        self._versions.append(version)

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
        bounds = np.zeros(BUCKETS + 1, np.int64)
        for first in self._first:
            count_buckets(readonly(first), _BITS, bounds[1:])
        np.cumsum(bounds, out=bounds)
        ordered = np.empty((2, bounds[-1]), np.uint64)
        next_free = bounds[:-1].copy()
        for first, second in zip(self._first, self._second, strict=True):
            scatter(readonly(first), readonly(second), _BITS, next_free, ordered[0], ordered[1])
        with Path(_hashes_file(work, number)).open("wb") as file:
            file.write(bounds.data)
            file.write(ordered.data)
        if any(version is not None for version in self._versions):
            numbers = np.concatenate(list(map(_numbers, self._versions, map(len, self._first))))
            bucket = np.concatenate(self._first) >> np.uint64(64 - _BITS)
            # In the order in which `scatter` leaves them: by bucket, each in its own order.
            np.save(_versions_file(work, number), numbers[np.argsort(bucket, kind="stable")])


def _numbers(version: pa.Array | None, rows: int) -> npt.NDArray[np.int64]:
    if version is None:
        return np.ones(rows, np.int64)
    numbers: npt.NDArray[np.int64] = pc.fill_null(version.cast(pa.int64()), 1).to_numpy(
        zero_copy_only=False
    )
    return numbers


def _hashes_file(work: str, number: int) -> str:
    """Where each bucket begins (int64[BUCKETS + 1]), all first hashes, all second ones.

    A plain text: each bucket names the files of all parts anew.
    """
    return f"{work}/ids-{number:05d}.hashes"


def _versions_file(work: str, number: int) -> Path:
    return Path(work) / f"ids-{number:05d}.versions.npy"


@dataclass(frozen=True)
class _Saved:
    work: str
    parts: tuple[int, ...]
    versioned: bool


@dataclass(frozen=True)
class _Buckets:
    """The ids of some neighbouring buckets in the files of all parts."""

    saved: _Saved
    buckets: range

    @cached_property
    def bounds(self) -> list[tuple[int, int, int]]:
        """Where the buckets begin and end in each part, and how many rows the part has."""
        found = []
        for part in self.saved.parts:
            ends = np.fromfile(_hashes_file(self.saved.work, part), np.int64, BUCKETS + 1)
            start, end = ends[self.buckets.start], ends[self.buckets.stop]
            found.append((int(start), int(end), int(ends[-1])))
        return found

    @cached_property
    def first(self) -> list[UInt64Array]:
        """The first hashes of each part."""
        places = zip(self.saved.parts, self.bounds, strict=True)
        return [self._read(part, start, end) for part, (start, end, _) in places]

    def rows(self, wanted: UInt64Array) -> tuple[UInt64Array, npt.NDArray[np.int64]]:
        """Hash pairs and versions of those whose first hash is wanted (sorted)."""
        pairs, versions = [NO_DUPLICATES], [np.empty(0, np.int64)]
        for part, first, bounds in zip(self.saved.parts, self.first, self.bounds, strict=True):
            places = np.empty(len(first), np.int64)
            places = places[: find_among(readonly(first), readonly(wanted), places)]
            if not len(places):
                continue
            start, end, rows = bounds
            second = self._read(part, rows + start, rows + end)
            pairs.append(np.stack([first[places], second[places]], axis=1))
            if self.saved.versioned:
                versions.append(_versions(self.saved.work, part, rows)[start:end][places])
        return np.concatenate(pairs), np.concatenate(versions)

    def _read(self, part: int, start: int, end: int) -> UInt64Array:
        path = _hashes_file(self.saved.work, part)
        return np.fromfile(path, np.uint64, end - start, offset=8 * (BUCKETS + 1 + start))


def _bucket_duplicates(shared: _Saved, buckets: range) -> UInt64Array:
    """What stands more than once in some buckets, once each, sorted."""
    ids = _Buckets(shared, buckets)
    suspects = several_times(np.concatenate([NO_DUPLICATES[:, 0], *ids.first]))
    if not len(suspects):
        return np.empty((0, 3), np.uint64) if shared.versioned else NO_DUPLICATES
    pairs, version = ids.rows(suspects)
    if shared.versioned:
        return _fates(pairs, version)
    found, times = np.unique(pairs, axis=0, return_counts=True)
    return found[times > 1]


def _versions(work: str, number: int, rows: int) -> npt.NDArray[np.int64]:
    path = _versions_file(work, number)
    return np.load(path, mmap_mode="r") if path.exists() else np.ones(rows, np.int64)


def _fates(pairs: UInt64Array, version: npt.NDArray[np.int64]) -> UInt64Array:
    """uint64[k, 3]: keys of lists (`caseids.list_keys`) that do not count, and why; sorted."""
    order = np.lexsort((version, pairs[:, 1], pairs[:, 0]))
    pairs, version = pairs[order], version[order]
    new_id = np.ones(len(pairs), np.bool_)
    new_id[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    new_list = new_id.copy()
    new_list[1:] |= version[1:] != version[:-1]
    starts = np.flatnonzero(new_list)
    times = np.diff(np.append(starts, len(pairs)))
    # Of each id the last list has the highest version.
    highest = np.append(new_id[starts][1:], True)
    reason = np.where(times > 1, REPEATED, np.where(highest, 0, SUPERSEDED)).astype(np.uint64)
    kept = reason > 0
    starts = starts[kept]
    key = list_keys(pairs[starts, 1], pa.array(version[starts]))
    found = np.stack([pairs[starts, 0], key, reason[kept]], axis=1)
    return np.ascontiguousarray(found[np.lexsort((found[:, 1], found[:, 0]))])


def bucket_ranges(buckets: int, tasks: int) -> list[range]:
    """Buckets shared out alike among so many tasks; among one at least, and never more than fit."""
    tasks = min(max(tasks, 1), buckets)
    return [range(*cut) for cut in pairwise(buckets * task // tasks for task in range(tasks + 1))]


def duplicates_among(numbers: Sequence[int], runner: Runner, work: Path) -> UInt64Array:
    """Ids that stand more than once in the parts that have left their hashes in `work`.

    The files of the hashes are removed.

    Returns:
        uint64[k, 2], hash pairs, sorted; uint64[k, 3] where a part has versions. For `group_batch`.
    """
    versioned = any(_versions_file(str(work), number).exists() for number in numbers)
    try:
        # Buckets are the top bits of the hash, so the results one after the other are sorted.
        saved = _Saved(str(work), tuple(numbers), versioned)
        size = sum(Path(_hashes_file(str(work), number)).stat().st_size for number in numbers)
        some = bucket_ranges(BUCKETS, size // _TASK_BYTES)
        return np.concatenate(list(runner.map(_bucket_duplicates, saved, some)))
    finally:
        for number in numbers:
            for file in (_hashes_file, _versions_file):
                Path(file(str(work), number)).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Hashing:
    source: CaseSource
    work: str
    wanted: UInt64Array


def version_of(batch: pa.RecordBatch) -> pa.Array | None:
    """The versions of a batch's lists; None where it has none."""
    place = batch.schema.get_field_index(VERSION)
    return None if place < 0 else batch.column(place)


def _hash_part(shared: _Hashing, part: Part) -> UInt64Array:
    ids = HashedIds()
    for batch in read_part(shared.source, part, ("case_id", VERSION)):
        ids.add(batch.column("case_id"), version_of(batch))
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
        source: the cases, read with the column ``version`` where versions count.
        runner: where the parts are read.
        work: an existing folder for intermediate files; they are removed again.
        wanted: hash pairs of ids that are looked for on the way, sorted.
        found: told the first hashes of those that each part has.

    Returns:
        uint64[k, 2], hash pairs, sorted; uint64[k, 3] where lists carry versions. For
        `group_batch`.
    """
    hashing = _Hashing(source, str(work), wanted)
    for mine in runner.map(_hash_part, hashing, source.parts):
        if found is not None:
            found(mine)
    repeated = duplicates_among([part.number for part in source.parts], runner, work)
    return with_conflicts(source, repeated, runner)


@dataclass(frozen=True)
class _Comparing:
    source: CaseSource
    repeated: UInt64Array


def _contents(shared: _Comparing, part: Part) -> UInt64Array:
    """uint64[rows, 4]: key and content of the part's lists that are repeated."""
    found = [np.empty((0, 4), np.uint64)]
    mine = False
    for batch in read_part(shared.source, part, ("case_id", VERSION)):
        mine = mine or bool(_rows_among(batch, shared.repeated).any())
    if not mine:
        return found[0]
    for batch in read_part(shared.source, part):
        rows = batch.filter(pa.array(_rows_among(batch, shared.repeated)))
        if rows.num_rows:
            first, second = id_hashes(rows.column("case_id"))
            key = list_keys(second, version_of(rows))
            found.append(np.stack([first, key, *id_hashes(content_of(rows))], axis=1))
    return np.concatenate(found)


def _rows_among(batch: pa.RecordBatch, lists: UInt64Array) -> npt.NDArray[np.bool_]:
    case_id = batch.column("case_id")
    marks = repeated_among(id_hashes(case_id), lists, version_of(batch)) > 0
    if case_id.null_count:
        marks &= case_id.is_valid().to_numpy(zero_copy_only=False)
    return marks


def content_of(rows: pa.RecordBatch) -> pa.Array:
    """All columns of each row but its version as one text, by which rows are compared."""
    texts = []
    for name in sorted(rows.schema.names):
        column = rows.column(name)
        if name == VERSION or pa.types.is_null(column.type):
            continue
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            # The reader gives the texts of a list as a dictionary, which cannot be joined.
            inside = pa.list_(pa.string())
            column = pc.binary_join(pa.array(column.to_pylist(), inside), "|")
        text = column.cast(pa.string())
        there = pc.fill_null(pc.not_equal(text, ""), False)
        texts.append(pc.if_else(there, pc.binary_join_element_wise(name, text, "="), ""))
    return pc.binary_join_element_wise(*texts, "\x1f")


def with_conflicts(source: CaseSource, found: UInt64Array, runner: Runner) -> UInt64Array:
    """Tell repeated lists whose contents differ from those that are the same.

    Args:
        source: all columns that count as content.
        found: of `duplicates_among`; without versions it stays as it is.
    """
    if found.shape[1] == NO_DUPLICATES.shape[1] or not (found[:, 2] == REPEATED).any():
        return found
    repeated = np.ascontiguousarray(found[found[:, 2] == REPEATED])
    rows = np.concatenate(list(runner.map(_contents, _Comparing(source, repeated), source.parts)))
    rows = np.unique(rows, axis=0)
    keys, contents = np.unique(rows[:, :2], axis=0, return_counts=True)
    differ = {(int(first), int(key)) for first, key in keys[contents > 1]}
    for row in found:
        if (int(row[0]), int(row[1])) in differ:
            row[2] = CONFLICTING
    return found
