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
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.caseids import id_hashes
from grouper.execution import Runner

Ints = NDArray[np.int64]
UInt64s = NDArray[np.uint64]
Places = NDArray[np.intp]

BUCKETS: Final = 32
_SHIFT: Final = np.uint64(64 - (BUCKETS.bit_length() - 1))
NEEDED: Final = ("person_id", "admission_date", "discharge_date")

_COLUMNS: Final = 6
_PERSON, _PERSON_2, _ADMISSION, _DISCHARGE, _ROW, _CASE = range(_COLUMNS)
"""Columns of a table of stays, int64[stays, 6]: two hashes, two days, place in the part, a hash."""


class Stays:
    """The stays of a part, gathered batch by batch and left in the work folder by person."""

    def __init__(self) -> None:
        self._batches: list[Ints] = []
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
        dates = [column.cast(pa.int32()) for column in columns[1:]]
        good = pc.and_(pc.less_equal(*dates), pc.not_equal(pc.utf8_trim_whitespace(person), ""))
        kept = np.flatnonzero(pc.fill_null(good, False).to_numpy(zero_copy_only=False))
        hashes = id_hashes(pc.fill_null(person, ""))
        if case_hash is None:
            case_hash, _ = id_hashes(pc.fill_null(batch.column("case_id").cast(pa.string()), ""))
        stays = np.empty((len(kept), _COLUMNS), np.int64)
        for at, values in ((_PERSON, hashes[0]), (_PERSON_2, hashes[1]), (_CASE, case_hash)):
            stays[:, at] = values[kept].view(np.int64)
        for at, date in ((_ADMISSION, dates[0]), (_DISCHARGE, dates[1])):
            stays[:, at] = pc.fill_null(date, 0).to_numpy(zero_copy_only=False)[kept]
        stays[:, _ROW] = first + kept
        self._batches.append(stays)

    def save(self, work: Path, number: int) -> list[Path]:
        """Leave the stays of part ``number`` in ``work``, ordered by bucket; return the files."""
        stays = np.concatenate([np.empty((0, _COLUMNS), np.int64), *self._batches])
        bucket = (stays[:, _PERSON].view(np.uint64) >> _SHIFT).astype(np.int8)
        order = np.argsort(bucket, kind="stable")
        files = [_stays_file(work, number), _bounds_file(work, number)]
        np.save(files[0], stays[order])
        np.save(files[1], np.searchsorted(bucket[order], np.arange(BUCKETS + 1)))
        return files


def _stays_file(work: Path, number: int) -> Path:
    return work / f"stays-{number:05d}.npy"


def _bounds_file(work: Path, number: int) -> Path:
    return work / f"stays-{number:05d}.bounds.npy"


def _overlaps_file(work: Path, bucket: int) -> Path:
    return work / f"overlaps-{bucket:02d}.npy"


@dataclass(frozen=True)
class _Saved:
    work: str
    numbers: tuple[int, ...]


def _bucket_overlaps(shared: _Saved, bucket: int) -> int:
    """Write the overlapping stays of a bucket, by part and row; return how many."""
    work = Path(shared.work)
    pieces = [np.empty((0, _COLUMNS), np.int64)]
    parts = [np.empty(0, np.int64)]
    for number in shared.numbers:
        first, last = np.load(_bounds_file(work, number))[bucket : bucket + 2]
        pieces.append(np.load(_stays_file(work, number), mmap_mode="r")[first:last])
        parts.append(np.full(last - first, number, np.int64))
    stays = np.concatenate(pieces)
    several = _several(stays[:, _PERSON])
    stays, part = stays[several], np.concatenate(parts)[several]
    person, person_2, admission, discharge, row, case = stays.T
    one, other = overlapping(person, person_2, admission, discharge, case)
    found = np.stack([part[one], row[one], part[other], row[other]], axis=1)
    np.save(_overlaps_file(work, bucket), found[np.lexsort((found[:, 1], found[:, 0]))])
    return len(found)


def _several(person: Ints) -> Places:
    """Rows of the persons with more than one stay."""
    order = np.argsort(person)
    ordered = person[order]
    same = ordered[1:] == ordered[:-1]
    twice = np.zeros(len(person), np.bool_)
    twice[1:] = same
    twice[:-1] |= same
    found: Places = order[twice]
    return found


def overlapping(
    person: Ints, person_2: Ints, admission: Ints, discharge: Ints, case: Ints
) -> tuple[Places, Places]:
    """Which stays overlap another of the same person, and for each one that it overlaps.

    Of the stays that began no later, the one that ended last is told, else the next to begin.

    Args:
        person, person_2: hashes of the person.
        admission, discharge: days, in order.
        case: a hash of the case id; decides between stays of equal dates.
    """
    if not len(person):
        return np.empty(0, np.intp), np.empty(0, np.intp)
    order = _ordered(person, person_2, admission, discharge, case)
    new = np.ones(len(order), np.bool_)
    new[1:] = (person[order[1:]] != person[order[:-1]]) | (
        person_2[order[1:]] != person_2[order[:-1]]
    )
    rank = np.cumsum(new)
    # Days of different persons are put far apart, so that they can stand on one line.
    base = rank * (int(discharge.max()) - int(admission.min()) + 2) - int(admission.min())
    found, other = _on_a_line(admission[order] + base, discharge[order] + base)
    return order[found], order[other]


def _ordered(person: Ints, person_2: Ints, admission: Ints, discharge: Ints, case: Ints) -> Places:
    """The stays by person, admission, discharge and case."""
    by_person = np.argsort(person, kind="stable")
    same = person[by_person[1:]] == person[by_person[:-1]]
    rank = np.concatenate([[0], np.cumsum(~same)])
    low = int(admission.min())
    span = int(discharge.max()) - low + 1
    told_apart = (person_2[by_person[1:]] == person_2[by_person[:-1]])[same].all()
    if not told_apart or int(rank[-1] + 1) * span * span >= 2**63:
        return np.lexsort((case, discharge, admission, person_2, person))
    # Person and days as one number: one sort instead of four.
    key = (rank * span + admission[by_person] - low) * span + discharge[by_person] - low
    inside = np.argsort(key)
    if (key[inside[1:]] == key[inside[:-1]]).any():
        inside = np.lexsort((case[by_person], key))
    found: Places = by_person[inside]
    return found


def _on_a_line(begins: Ints, ends: Ints) -> tuple[Places, Places]:
    """The intervals that overlap another, and one that each overlaps; they come by begin, end."""
    count = len(begins)
    long = np.flatnonzero(ends > begins)
    within = np.flatnonzero(ends == begins)
    partner = np.full(count, -1, np.intp)
    if not len(long):
        return np.empty(0, np.intp), np.empty(0, np.intp)
    reach = np.maximum.accumulate(ends[long])
    leads = np.ones(len(long), np.bool_)
    leads[1:] = reach[1:] > reach[:-1]
    furthest = np.maximum.accumulate(np.where(leads, np.arange(len(long)), 0))
    # Against an earlier one: the one that reaches furthest. Against a later one: the next.
    back = np.flatnonzero(reach[:-1] > begins[long[1:]])
    ahead = np.flatnonzero(begins[long[1:]] < ends[long[:-1]])
    partner[long[ahead]] = long[ahead + 1]
    partner[long[back + 1]] = long[furthest[back]]
    if len(within):
        before = np.searchsorted(begins[long], begins[within], side="left") - 1
        inside = (before >= 0) & (reach[np.maximum(before, 0)] > begins[within])
        partner[within[inside]] = long[furthest[before[inside]]]
        after = np.searchsorted(begins[within], begins[long], side="right")
        holds = (after < len(within)) & (partner[long] < 0)
        holds[holds] = begins[within[after[holds]]] < ends[long[holds]]
        partner[long[holds]] = within[after[holds]]
    found = np.flatnonzero(partner >= 0)
    return found, partner[found]


def find_overlaps(numbers: Sequence[int], runner: Runner, work: Path) -> int:
    """Look for overlaps among the parts that have left their stays in ``work``.

    Returns:
        The number of stays that overlap another; `overlaps_of` reads them by part.
    """
    return sum(runner.map(_bucket_overlaps, _Saved(str(work), tuple(numbers)), range(BUCKETS)))


def overlaps_of(work: Path, part: int) -> Ints:
    """The stays of a part that overlap another.

    Returns:
        int64[found, 3], rising: row in the part, and part and row of the other stay.
    """
    found = [np.empty((0, 3), np.int64)]
    for bucket in range(BUCKETS):
        stays = np.load(_overlaps_file(work, bucket))
        first, last = np.searchsorted(stays[:, 0], (part, part + 1))
        found.append(stays[first:last, 1:])
    whole = np.concatenate(found)
    rising: Ints = whole[np.argsort(whole[:, 0])]
    return rising
