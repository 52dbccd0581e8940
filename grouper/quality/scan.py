"""Checking a part in two steps: what each case breaks by itself, then what it breaks with others.

Between the steps everything lies in a work folder: the rows (id, hospital, whether it was
uploaded), what was found, and the stays by person (`quality.across`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.caseids import SUPERSEDED, id_hashes, repeated_among
from grouper.grouping import GroupedBatch
from grouper.parts import ParquetFile
from grouper.quality.across import Stays, overlaps_of
from grouper.quality.evaluate import Found, Plan, evaluate
from grouper.quality.findings import (
    PLAIN,
    WRITTEN,
    Hospitals,
    count,
    hospitals_of,
    table_of,
    uploaded_of,
)
from grouper.quality.registry import DUPLICATE, OVERLAP, RULES
from grouper.quality.scores import Tally

UInt64s = NDArray[np.uint64]
Ints = NDArray[np.int64]

_ROWS: Final = pa.schema(
    [
        ("case_id", pa.string()),
        ("hospital_id", pa.dictionary(pa.int32(), pa.string())),
        ("uploaded", pa.bool_()),
        ("version", pa.int64()),
    ]
)
_FOUND: Final = pa.schema([("row", pa.int64()), ("rule", pa.int8()), ("value", pa.string())])
_RULE_LIST: Final = tuple(RULES.values())
_RULE_PLACE: Final = {code: i for i, code in enumerate(RULES)}


def _rows_file(work: Path, number: int) -> Path:
    return work / f"rows-{number:05d}.arrow"


def _found_file(work: Path, number: int) -> Path:
    return work / f"found-{number:05d}.arrow"


class Scan:
    """The first step: takes in the batches of a part.

    Attributes:
        files: what it has left in the work folder, once it is closed.
    """

    def __init__(
        self, plan: Plan, work: Path, number: int, duplicates: UInt64s | None = None
    ) -> None:
        """Begin a part; the folder exists.

        Args:
            plan: what is checked.
            work, number: the work folder, and the number of the part.
            duplicates: as for `Merging`, where they are known by now.
        """
        self._plan = plan
        self._duplicates = duplicates
        self._work = work
        self._number = number
        self._stays = Stays()
        self._open = ExitStack()
        self.files = [_rows_file(work, number), _found_file(work, number)]
        self._rows, self._found = (
            self._writer(path, schema)
            for path, schema in zip(self.files, (_ROWS, _FOUND), strict=True)
        )

    def _writer(self, path: Path, schema: pa.Schema) -> pa.ipc.RecordBatchStreamWriter:
        file = self._open.enter_context(pa.OSFile(str(path), "wb"))
        return self._open.enter_context(pa.ipc.new_stream(file, schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._open.close()
        if kind is None:
            self.files += self._stays.save(self._work, self._number)

    def add(self, batch: pa.RecordBatch, grouped: GroupedBatch | None = None) -> None:
        """Take in a batch.

        Args:
            batch: the columns of `registry.COLUMNS_READ` that there are.
            grouped: the same cases as they were grouped, where they were.
        """
        case_id = batch.column("case_id")
        if not pa.types.is_string(case_id.type):
            case_id = case_id.cast(pa.string())
        columns = [case_id, _hospital_id(batch), pa.array(uploaded_of(batch)), _version(batch)]
        rows = pa.RecordBatch.from_arrays(columns, schema=_ROWS)
        hashes = None if grouped is None else grouped.hashes
        found = list(evaluate(batch, self._plan, grouped))
        if self._duplicates is not None and DUPLICATE in self._plan.rules:
            found.append(_duplicates(rows, self._duplicates, hashes))
        self._rows.write_batch(rows)
        self._found.write_batch(_kept(found))
        if OVERLAP in self._plan.rules:
            self._stays.add(batch, None if hashes is None else hashes[0])


def _hospital_id(batch: pa.RecordBatch) -> pa.Array:
    place = batch.schema.get_field_index("hospital_id")
    if place < 0:
        return pa.nulls(batch.num_rows, _ROWS.field("hospital_id").type)
    column = batch.column(place)
    if not pa.types.is_dictionary(column.type):
        return column.cast(pa.string()).dictionary_encode()
    # In the order in which they are met, as if they had come as plain texts.
    rows, size = len(column), len(column.dictionary)
    code = pc.fill_null(column.indices.cast(pa.int32()), size).to_numpy()
    first = np.full(size + 1, rows)
    first[code[::-1]] = np.arange(rows)[::-1]
    order = np.argsort(first[:size])[: np.count_nonzero(first[:size] < rows)]
    met = np.zeros(size + 1, np.int32)
    met[order] = np.arange(len(order))
    texts = column.dictionary.take(pa.array(order)).cast(pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(met[code], mask=code == size), texts)


def _version(batch: pa.RecordBatch) -> pa.Array:
    place = batch.schema.get_field_index("version")
    if place < 0:
        return pa.nulls(batch.num_rows, pa.int64())
    return batch.column(place).cast(pa.int64())


def _kept(found: Sequence[Found]) -> pa.RecordBatch:
    rows = [np.empty(0, np.int64), *(hit.rows for hit in found)]
    rules = [np.full(len(hit.rows), _RULE_PLACE[hit.rule.code], np.int8) for hit in found]
    values = [pa.array([], pa.string()), *(hit.value.cast(pa.string()) for hit in found)]
    return pa.RecordBatch.from_arrays(
        [
            pa.array(np.concatenate(rows)),
            pa.array(np.concatenate([np.empty(0, np.int8), *rules])),
            pa.concat_arrays(values),
        ],
        schema=_FOUND,
    )


@dataclass(frozen=True)
class Merging:
    """What the second step works with.

    Attributes:
        work: the folder that `Scan` has filled; `across.find_overlaps` has been there.
        duplicates: what stands more than once (`duplicates.duplicates_among`); None where `Scan`
            was told.
    """

    plan: Plan
    work: str
    duplicates: UInt64s | None = None


def merge_part(shared: Merging, number: int, path: Path) -> Tally:
    """The second step: write the findings of a part to a file; return its counts."""
    work, plan = Path(shared.work), shared.plan
    tally = Tally()
    overlaps = np.empty((0, 3), np.int64)
    if OVERLAP in plan.rules:
        overlaps = overlaps_of(work, number)
    others = _case_ids(work, overlaps[:, 1:])
    first = 0
    with (
        pa.memory_map(str(_rows_file(work, number))) as rows_file,
        pa.memory_map(str(_found_file(work, number))) as found_file,
        ParquetFile(path, WRITTEN, plain=PLAIN) as out,
    ):
        pieces = zip(pa.ipc.open_stream(rows_file), pa.ipc.open_stream(found_file), strict=True)
        for batch, kept in pieces:
            found = _restored(kept)
            if shared.duplicates is not None and DUPLICATE in plan.rules:
                found.append(_duplicates(batch, shared.duplicates))
            if len(overlaps):
                here = slice(*np.searchsorted(overlaps[:, 0], (first, first + batch.num_rows)))
                found.append(Found(RULES[OVERLAP], overlaps[here, 0] - first, others[here]))
            found = sorted((hit for hit in found if len(hit.rows)), key=_order)
            hospitals: Hospitals = hospitals_of(batch)
            count(tally, hospitals, batch.column("uploaded").to_numpy(False), found, plan)
            out.write(table_of(batch.column("case_id"), hospitals, found, plan))
            first += batch.num_rows
    return tally


def _case_ids(work: Path, places: Ints) -> pa.Array:
    """The case ids at these places: part, row in the part."""
    order = np.argsort(places[:, 0], kind="stable")
    ids = [pa.array([], pa.string())]
    for number in np.unique(places[:, 0]).tolist():
        rows = places[order[places[order, 0] == number], 1]
        with pa.memory_map(str(_rows_file(work, number))) as file:
            case_id = pa.ipc.open_stream(file).read_all().column("case_id")
            ids.append(case_id.take(pa.array(rows)).combine_chunks())
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return pa.concat_arrays(ids).take(pa.array(back))


def _order(hit: Found) -> int:
    return _RULE_PLACE[hit.rule.code]


def _restored(kept: pa.RecordBatch) -> list[Found]:
    rule = kept.column("rule").to_numpy()
    row = kept.column("row").to_numpy()
    found = []
    for place in np.unique(rule).tolist():
        mine = np.flatnonzero(rule == place)
        value = kept.column("value").take(pa.array(mine))
        found.append(Found(_RULE_LIST[place], row[mine], value))
    return found


def _duplicates(
    batch: pa.RecordBatch, duplicates: UInt64s, hashes: tuple[UInt64s, UInt64s] | None = None
) -> Found:
    """The cases of some `_ROWS` that are repeated; earlier versions of a case are none."""
    case_id = batch.column("case_id")
    rows = np.empty(0, np.intp)
    if len(duplicates):
        marks = repeated_among(hashes or id_hashes(case_id), duplicates, batch.column("version"))
        if case_id.null_count:
            marks[case_id.is_null().to_numpy(zero_copy_only=False)] = 0
        rows = np.flatnonzero((marks > 0) & (marks != SUPERSEDED))
    return Found(RULES[DUPLICATE], rows, case_id.take(pa.array(rows)).cast(pa.string()))
