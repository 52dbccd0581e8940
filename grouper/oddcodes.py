"""Codes that a scheme does not know, or would have written otherwise, counted by hospital.

What is odd follows from the scheme (`scheme.editions`): *unknown* codes stand nowhere in it,
*retired* ones only in its maps, *grey* ones in its own list though its map names another for them.
Odd codes stay in their lists and count; retired ones are mapped where that was asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from grouper.codelists import CodeLists
from grouper.errors import OutputError
from grouper.grouping import GroupedBatch
from grouper.kernels.arrays import readonly
from grouper.kernels.marked import find_marked
from grouper.scheme.compile import CodeTable
from grouper.scheme.editions import ODD

ODD_CODES = pa.schema(
    [
        ("hospital_id", pa.string()),
        ("list", pa.string()),
        ("kind", pa.string()),
        ("code", pa.string()),
        ("codes", pa.int64()),
        ("cases", pa.int64()),
    ]
)
"""Key `hospital_id, list, kind, code`; `list` is dx or px, `kind` unknown, retired or grey, `codes`
how often the code stands in the lists, `cases` in how many cases."""

Int32Array = npt.NDArray[np.int32]

_KEY = ["hospital_id", "list", "kind", "code"]
_KEPT = 1 << 20


class OddCodes:
    """Counts of odd codes, gathered batch by batch."""

    def __init__(self) -> None:
        self._met: list[pa.Table] = []
        self._counted: list[pa.Table] = []
        self._cases = 0

    def add(self, batch: pa.RecordBatch, grouped: GroupedBatch) -> None:
        """Take in a batch and what `group_batch` made of it."""
        for mine in grouped.lists:
            compiled = mine.scheme.compiled
            for name, lists, table in (
                ("dx", mine.dx, compiled.dx),
                ("px", mine.px, compiled.px),
            ):
                found = _odd(batch, name, lists.whole or lists, table, mine.rows, self._cases)
                if found is not None:
                    self._met.append(found)
        self._cases += batch.num_rows
        if sum(map(len, self._met)) > _KEPT:
            self._count()

    def _count(self) -> None:
        if self._met:
            met = pa.concat_tables(self._met)
            counts = met.group_by(_KEY, use_threads=False).aggregate(
                [("row", "count"), ("row", "count_distinct")]
            )
            self._counted.append(counts.rename_columns(ODD_CODES.names).cast(ODD_CODES))
            self._met = []

    def table(self) -> pa.Table:
        """The counts, as `ODD_CODES`, sorted by their key."""
        self._count()
        return join_odd_codes(self._counted)


def join_odd_codes(tables: Iterable[pa.Table]) -> pa.Table:
    """The counts of several parts added up."""
    whole = pa.concat_tables([ODD_CODES.empty_table(), *tables])
    summed = whole.group_by(_KEY, use_threads=False).aggregate([("codes", "sum"), ("cases", "sum")])
    summed = summed.rename_columns(ODD_CODES.names).cast(ODD_CODES)
    return summed.sort_by([(name, "ascending") for name in _KEY]).combine_chunks()


def count_odd_codes(table: pa.Table) -> Counter[tuple[str, str]]:
    """How many codes are odd, by (kind, list)."""
    found: Counter[tuple[str, str]] = Counter()
    whole = table.group_by(["kind", "list"], use_threads=False).aggregate([("codes", "sum")])
    for row in whole.to_pylist():
        found[row["kind"], row["list"]] = row["codes_sum"]
    return found


def _odd(
    batch: pa.RecordBatch,
    name: str,
    lists: CodeLists,
    table: CodeTable,
    among: npt.NDArray[np.intp] | None,
    before: int,
) -> pa.Table | None:
    """The odd codes of one list: a row for each, with its case's number among all."""
    if not len(lists.positions):
        return None
    marks = table.odd[lists.kinds]
    if not marks.any():
        return None
    places, rows = _marked(marks, lists)
    if not len(places):
        return None
    column = batch.column(batch.schema.get_field_index(name))
    if among is not None:
        column = column.take(pa.array(among))
    codes = _codes_at(column, places, rows, lists)
    kinds = marks[lists.positions[places]]
    if len(table.retired) and (kinds == 1).any():
        unmapped = pc.is_in(codes, value_set=pa.array(table.retired, pa.string()))
        kinds[unmapped.to_numpy(zero_copy_only=False) & (kinds == 1)] = 2
    cases = rows if among is None else among[rows]
    return pa.table(
        {
            "hospital_id": _hospitals(batch, cases),
            "list": pa.array([name]).take(pa.array(np.zeros(len(rows), np.int8))),
            "kind": pa.array(ODD).take(pa.array(kinds - 1)),
            "code": codes,
            "row": pa.array(cases.astype(np.int64) + before),
        }
    )


def _marked(marks: npt.NDArray[np.int8], lists: CodeLists) -> tuple[Int32Array, Int32Array]:
    """Places and rows of the marked codes."""
    room = 1024 + len(lists.positions) // 16
    while True:
        places = np.empty(room + 1, np.int32)
        found = find_marked(readonly(marks), readonly(lists.positions), places)
        if found <= room:
            places = places[:found]
            rows = np.searchsorted(lists.offsets, places, side="right") - 1
            return places, rows.astype(np.int32)
        room = found


def _codes_at(
    column: pa.Array,
    places: Int32Array,
    rows: Int32Array,
    lists: CodeLists,
) -> pa.Array:
    """The codes at these places of all lists one after the other, as they were written."""
    if pa.types.is_string(column.type):
        # Joined texts are cut again, but only those with an odd code.
        mine, where = np.unique(rows, return_inverse=True)
        cut = pc.split_pattern(column.take(pa.array(mine)), "|")
        within = places - lists.offsets[rows]
        offsets = cut.offsets.to_numpy(zero_copy_only=False)
        values, taken = cut.values, offsets[where] + within
    else:
        values, taken = column.flatten(), places
    return values.take(pa.array(taken)).cast(pa.string())


def _hospitals(batch: pa.RecordBatch, rows: npt.NDArray[np.signedinteger]) -> pa.Array:
    place = batch.schema.get_field_index("hospital_id")
    if place < 0 or pa.types.is_null(batch.column(place).type):
        return pa.array([""]).take(pa.array(np.zeros(len(rows), np.int8)))
    return pc.fill_null(batch.column(place).take(pa.array(rows)).cast(pa.string()), "")


def write_odd_codes(table: pa.Table, path: Path) -> None:
    """Write the counts as `X.csv`, else as Parquet.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".csv":
            pacsv.write_csv(table, path)
        else:
            pq.write_table(table, path)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}",
            hint="check the folder's permissions and the free space",
        ) from error
