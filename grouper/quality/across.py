"""Overlapping stays of a person, over inputs of any size: exact, and the same for any split.

A person is told by a 128-bit hash of the id. Each part leaves its stays in buckets by person; each
bucket is then looked at alone, so memory stays bounded and both steps run anywhere.

Two stays overlap when they have more in common than a day on which one ends and the other begins:
admission < the other's discharge, and the same the other way round. A stay within one day overlaps
one that began before and ended after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.caseids import id_hashes
from grouper.codelists import text_buffers
from grouper.duplicates import bucket_ranges
from grouper.execution import Runner
from grouper.kernels.stays import (
    COLUMNS,
    ROW,
    count_stays,
    find_partners,
    order_several,
    place_stays,
)

Ints = NDArray[np.int64]
UInt64s = NDArray[np.uint64]
Places = NDArray[np.intp]

_BITS: Final = 5
BUCKETS: Final = 1 << _BITS
NEEDED: Final = ("person_id", "admission_date", "discharge_date")

_BOUNDS: Final = np.dtype(np.int64).itemsize * (BUCKETS + 1)
_STAY: Final = np.dtype(np.int64).itemsize * COLUMNS


class _Batch(NamedTuple):
    """Which rows of a batch are stays, and what is known of them."""

    good: NDArray[np.uint8]
    person: UInt64s
    person_2: UInt64s
    admission: NDArray[np.int32]
    discharge: NDArray[np.int32]
    case: UInt64s
    first: int


class Stays:
    """The stays of a part, gathered batch by batch and left in the work folder by person."""

    def __init__(self) -> None:
        self._batches: list[_Batch] = []
        self._rows = 0

    def add(self, batch: pa.RecordBatch, case_hash: UInt64s | None = None) -> None:
        """Take in a batch; a stay without person or dates, or with dates out of order, is none.

        Args:
            batch: with ``case_id`` and the columns of `NEEDED`.
            case_hash: the first hash of each case id, where it is known already.
        """
        first = self._rows
        self._rows += batch.num_rows
        columns = []
        for name in NEEDED:
            place = batch.schema.get_field_index(name)
            if place < 0 or pa.types.is_null(batch.schema.field(place).type):
                return
            columns.append(batch.column(place))
        person = columns[0].cast(pa.string())
        admission, discharge = (
            pc.fill_null(date.cast(pa.int32()), 0).to_numpy() for date in columns[1:]
        )
        good = _named(person) & (admission <= discharge)
        for column in columns:
            if column.null_count:
                good &= column.is_valid().to_numpy(zero_copy_only=False)
        if case_hash is None:
            case_hash, _ = id_hashes(pc.fill_null(batch.column("case_id").cast(pa.string()), ""))
        self._batches.append(
            _Batch(good.view(np.uint8), *id_hashes(person), admission, discharge, case_hash, first)
        )

    def save(self, work: Path, number: int) -> list[Path]:
        """Leave the stays of part ``number`` in ``work``, ordered by bucket; return the files."""
        counts = np.zeros(BUCKETS, np.int64)
        for batch in self._batches:
            count_stays(batch.good, batch.person, _BITS, counts)
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        stays = np.empty((bounds[-1], COLUMNS), np.int64)
        next_free = bounds[:-1].copy()
        for batch in self._batches:
            place_stays(*batch, _BITS, next_free, stays)
        path = _stays_file(work, number)
        with path.open("wb") as file:
            bounds.tofile(file)
            stays.tofile(file)
        return [path]


def _named(person: pa.Array) -> NDArray[np.bool_]:
    """Which ids are more than blanks; those that are null may be either."""
    text, bounds = text_buffers(person)
    starts = np.minimum(bounds[:-1], len(text) - 1)
    # What begins with a visible ASCII character is no blank, and almost all ids do.
    named: NDArray[np.bool_] = (text[starts] - 33 < 94) & (bounds[1:] > bounds[:-1])
    rest = np.flatnonzero(~named)
    if len(rest):
        trimmed = pc.utf8_trim_whitespace(person.take(pa.array(rest)))
        told = pc.fill_null(pc.not_equal(trimmed, ""), False)
        named[rest] = told.to_numpy(zero_copy_only=False)
    return named


def _stays_file(work: Path, number: int) -> Path:
    return work / f"stays-{number:05d}.bin"


def _bucket(work: Path, number: int, bucket: int) -> Ints:
    """The stays of a part and bucket."""
    with _stays_file(work, number).open("rb", buffering=0) as file:
        file.seek(bucket * np.dtype(np.int64).itemsize)
        first, last = np.fromfile(file, np.int64, 2).tolist()
        file.seek(_BOUNDS + first * _STAY)
        return np.fromfile(file, np.int64, (last - first) * COLUMNS).reshape(-1, COLUMNS)


def _overlaps_file(work: Path, bucket: int) -> Path:
    return work / f"overlaps-{bucket:02d}.bin"


@dataclass(frozen=True)
class _Saved:
    work: str
    numbers: tuple[int, ...]


def _bucket_overlaps(shared: _Saved, buckets: range) -> int:
    """Write the overlapping stays of each bucket, by part and row; return how many."""
    return sum(_write_overlaps(shared, bucket) for bucket in buckets)


def _write_overlaps(shared: _Saved, bucket: int) -> int:
    work = Path(shared.work)
    pieces = [_bucket(work, number, bucket) for number in shared.numbers]
    part = np.repeat(np.array(shared.numbers, np.int64), [len(piece) for piece in pieces])
    stays = np.concatenate([np.empty((0, COLUMNS), np.int64), *pieces])
    one, other = overlapping(stays)
    row = stays[:, ROW]
    found = np.stack([part[one], row[one], part[other], row[other]], axis=1)
    found[np.lexsort((found[:, 1], found[:, 0]))].tofile(_overlaps_file(work, bucket))
    return len(found)


def overlapping(stays: Ints) -> tuple[Places, Places]:
    """Which stays overlap another of the same person, and for each one that it overlaps.

    Of the stays that began no later, the one that ended last is told, else the next to begin.

    Args:
        stays: int64[stays, 6], columns as in `kernels.stays`; the hash of the case decides between
            stays of equal dates.
    """
    order = np.empty(len(stays), np.int64)
    slots = np.zeros(1 << (2 * len(stays)).bit_length(), np.int32)
    order = order[: order_several(stays, slots, np.empty_like(order), order)]
    partner = np.empty(len(order), np.int64)
    find_partners(stays, order, partner)
    found = partner >= 0
    return order[found], partner[found]


def find_overlaps(numbers: Sequence[int], runner: Runner, work: Path) -> int:
    """Look for overlaps among the parts that have left their stays in ``work``.

    Returns:
        The number of stays that overlap another; `overlaps_of` reads them by part.
    """
    shared = _Saved(str(work), tuple(numbers))
    return sum(runner.map(_bucket_overlaps, shared, bucket_ranges(BUCKETS, len(numbers))))


def overlaps_of(work: Path, part: int) -> Ints:
    """The stays of a part that overlap another.

    Returns:
        int64[found, 3], rising: row in the part, and part and row of the other stay.
    """
    found = [np.empty((0, 3), np.int64)]
    for bucket in range(BUCKETS):
        stays = np.fromfile(_overlaps_file(work, bucket), np.int64).reshape(-1, 4)
        first, last = np.searchsorted(stays[:, 0], (part, part + 1))
        found.append(stays[first:last, 1:])
    whole = np.concatenate(found)
    rising: Ints = whole[np.argsort(whole[:, 0])]
    return rising
