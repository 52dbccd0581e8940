"""Overlapping stays of a person, over inputs of any size: exact, and the same for any split.

A person is told by a 128-bit hash of the id. Each part leaves its stays in buckets by person; each
bucket is then looked at alone, so memory stays bounded and both steps run anywhere.

Two stays overlap when they have more in common than a day on which one ends and the other begins:
admission < the other's discharge, and the same the other way round. A stay within one day overlaps
one that began before and ended after it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.cases import CaseSource, Part, read_part
from grouper.execution import Runner
from grouper.grouping import id_hashes

Ints = NDArray[np.int64]
UInt64s = NDArray[np.uint64]
Places = NDArray[np.intp]
Mask = NDArray[np.bool_]

BUCKETS: Final = 32
_SHIFT: Final = np.uint64(64 - (BUCKETS.bit_length() - 1))
NEEDED: Final = ("case_id", "person_id", "admission_date", "discharge_date")

_STAYS: Final = pa.schema(
    [
        ("person", pa.uint64()),
        ("person_2", pa.uint64()),
        ("admission", pa.int32()),
        ("discharge", pa.int32()),
        ("row", pa.int64()),
        ("case_id", pa.string()),
    ]
)
_OVERLAPS: Final = pa.schema([("part", pa.int32()), ("row", pa.int64()), ("other", pa.string())])


class Stays:
    """The stays of a part, gathered batch by batch and left in the work folder by person."""

    def __init__(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in a batch; a stay without person or dates, or with dates out of order, is none."""
        first = self._rows
        self._rows += batch.num_rows
        columns = []
        for name in NEEDED[1:]:
            place = batch.schema.get_field_index(name)
            if place < 0 or pa.types.is_null(batch.schema.field(place).type):
                return
            columns.append(batch.column(place))
        person = columns[0].cast(pa.string())
        dates = [column.cast(pa.int32()) for column in columns[1:]]
        good = pc.and_(pc.less_equal(*dates), pc.not_equal(pc.utf8_trim_whitespace(person), ""))
        kept = np.flatnonzero(pc.fill_null(good, False).to_numpy(zero_copy_only=False))
        taken = pa.array(kept)
        hashes = id_hashes(pc.fill_null(person, ""))
        self._batches.append(
            pa.RecordBatch.from_arrays(
                [
                    *(pa.array(of[kept]) for of in hashes),
                    *(date.take(taken) for date in dates),
                    pa.array(first + kept),
                    batch.column("case_id").take(taken).cast(pa.string()),
                ],
                schema=_STAYS,
            )
        )

    def save(self, work: Path, number: int) -> None:
        """Leave the stays of part ``number`` in ``work``, one batch a bucket."""
        table = pa.Table.from_batches(self._batches, _STAYS).combine_chunks()
        bucket = (table.column("person").to_numpy() >> _SHIFT).astype(np.int8)
        order = np.argsort(bucket, kind="stable")
        bounds = np.searchsorted(bucket[order], np.arange(BUCKETS + 1))
        path = str(_stays_file(work, number))
        with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, _STAYS) as writer:
            for first, last in itertools.pairwise(bounds):
                mine = table.take(pa.array(order[first:last])).combine_chunks()
                batches = mine.to_batches() or [_none(_STAYS)]
                writer.write_batch(batches[0])


def _none(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in schema], schema=schema)


def _stays_file(work: Path, number: int) -> Path:
    return work / f"stays-{number:05d}.arrow"


def _overlaps_file(work: Path, bucket: int) -> Path:
    return work / f"overlaps-{bucket:02d}.arrow"


@dataclass(frozen=True)
class _Saved:
    work: str
    numbers: tuple[int, ...]


def _bucket_overlaps(shared: _Saved, bucket: int) -> int:
    """Write the overlapping stays of a bucket, by part and row; return how many."""
    work = Path(shared.work)
    pieces, parts = [], []
    for number in shared.numbers:
        with pa.OSFile(str(_stays_file(work, number))) as file:
            piece = pa.ipc.open_file(file).get_batch(bucket)
        pieces.append(piece)
        parts.append(np.full(piece.num_rows, number, np.int32))
    stays = pa.Table.from_batches(pieces, _STAYS).combine_chunks()
    person, person_2, admission, discharge = (
        stays.column(name).to_numpy() for name in _STAYS.names[:4]
    )
    ids = stays.column("case_id").combine_chunks()
    row, other = overlapping(person, person_2, admission, discharge, ids)
    part = np.concatenate([np.empty(0, np.int32), *parts])[row]
    place = stays.column("row").to_numpy()[row]
    order = np.lexsort((place, part))
    columns = [pa.array(part[order]), pa.array(place[order]), ids.take(pa.array(other[order]))]
    path = str(_overlaps_file(work, bucket))
    with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, _OVERLAPS) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=_OVERLAPS))
    return len(row)


def overlapping(
    person: UInt64s, person_2: UInt64s, admission: Ints, discharge: Ints, case_id: pa.Array
) -> tuple[Places, Places]:
    """Which stays overlap another of the same person, and for each one that it overlaps.

    Of the stays that began no later, the one that ended last is told, else the next to begin.

    Args:
        person, person_2: hashes of the person.
        admission, discharge: days, in order.
        case_id: decides between stays of equal dates.
    """
    several = _several(person)
    if not len(several):
        return several, several
    ids = case_id.take(pa.array(several))
    first_hash, second_hash = id_hashes(pc.fill_null(ids, ""))
    keys = (second_hash, first_hash, discharge[several], admission[several])
    order = several[np.lexsort((*keys, person_2[several], person[several]))]
    new = np.ones(len(order), np.bool_)
    new[1:] = (person[order[1:]] != person[order[:-1]]) | (
        person_2[order[1:]] != person_2[order[:-1]]
    )
    rank = np.cumsum(new)
    # Days of different persons are put far apart, so that they can stand on one line.
    base = rank * (int(discharge.max()) - int(admission.min()) + 2) - int(admission.min())
    begins, ends = admission[order] + base, discharge[order] + base
    found, other = _on_a_line(begins.astype(np.int64), ends.astype(np.int64))
    return order[found], order[other]


def _several(person: UInt64s) -> Places:
    """Rows of the persons with more than one stay."""
    ordered = np.sort(person)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(twice):
        return np.empty(0, np.intp)
    place = np.minimum(np.searchsorted(twice, person), len(twice) - 1)
    return np.flatnonzero(twice[place] == person)


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
    saved = _Saved(str(work), tuple(numbers))
    found = sum(runner.map(_bucket_overlaps, saved, range(BUCKETS)))
    for number in numbers:
        _stays_file(work, number).unlink(missing_ok=True)
    return found


def overlaps_of(work: Path, part: int) -> tuple[Places, pa.Array]:
    """The rows of a part that overlap another stay, rising, and the case id of that stay."""
    rows: list[Ints] = [np.empty(0, np.int64)]
    others = [pa.array([], pa.string())]
    for bucket in range(BUCKETS):
        with pa.memory_map(str(_overlaps_file(work, bucket))) as file:
            batch = pa.ipc.open_file(file).get_batch(0)
            first, last = np.searchsorted(batch.column("part").to_numpy(), (part, part + 1))
            rows.append(batch.column("row").to_numpy()[first:last].copy())
            taken = pa.array(np.arange(first, last))
            others.append(batch.column("other").take(taken))
    found = np.concatenate(rows)
    order = np.argsort(found)
    return found[order], pa.concat_arrays(others).take(pa.array(order))


@dataclass(frozen=True)
class _Reading:
    source: CaseSource
    work: str


def _gather_part(shared: _Reading, part: Part) -> None:
    stays = Stays()
    for batch in read_part(shared.source, part, NEEDED):
        stays.add(batch)
    stays.save(Path(shared.work), part.number)


def gather_stays(source: CaseSource, runner: Runner, work: Path) -> None:
    """Leave the stays of all parts of a source in ``work``, for `find_overlaps`."""
    for _ in runner.map(_gather_part, _Reading(source, str(work)), source.parts):
        pass
