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
from grouper.kernels.marked import find_marked, rows_of
from grouper.parts import EXCEL_MARK
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
Int64Array = npt.NDArray[np.int64]

_KEY = ["hospital_id", "list", "kind", "code"]


class OddCodes:
    """Counts of odd codes, gathered batch by batch."""

    def __init__(self) -> None:
        self._counted: list[pa.Table] = []

    def add(self, batch: pa.RecordBatch, grouped: GroupedBatch) -> None:
        """Take in a batch and what `group_batch` made of it."""
        for mine in grouped.lists:
            compiled = mine.scheme.compiled
            for name, lists, table in (
                ("dx", mine.dx, compiled.dx),
                ("px", mine.px, compiled.px),
            ):
                found = _odd(batch, name, lists.whole or lists, table, mine.rows)
                if found is not None:
                    self._counted.append(found)

    def table(self) -> pa.Table:
        """The counts, as `ODD_CODES`, sorted by their key."""
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
) -> pa.Table | None:
    """The odd codes of one list, as `ODD_CODES`."""
    if not len(lists.positions):
        return None
    marks = table.odd.astype(np.int32)[lists.kinds]
    if not marks.any():
        return None
    places, rows = _marked(marks, lists)
    if not len(places):
        return None
    column = batch.column(batch.schema.get_field_index(name))
    kinds = marks[lists.positions[places]]
    if _is_coded(column):
        codes = _coded_at(column.values.dictionary, lists.positions[places], marks)
    else:
        mine = column if among is None else column.take(pa.array(among))
        codes = _codes_at(mine, places, rows, lists)
    hospitals = _hospitals(batch, rows if among is None else among[rows])
    order, starts, cases = _counts(codes, hospitals, rows)
    one = order[starts]
    code = _texts(codes, one)
    kinds = kinds[one]
    if len(table.retired) and (kinds == 1).any():
        unmapped = pc.is_in(code, value_set=pa.array(table.retired, pa.string()))
        kinds[unmapped.to_numpy(zero_copy_only=False) & (kinds == 1)] = 2
    count = len(one)
    columns = [
        _texts(hospitals, one),
        pa.array([name] * count, pa.string()),
        pa.array(ODD).take(pa.array(kinds - 1)),
        code,
        pa.array(np.diff(np.append(starts, len(order)))),
        pa.array(cases),
    ]
    return pa.Table.from_arrays(columns, schema=ODD_CODES)


def _counts(
    codes: pa.DictionaryArray, hospitals: pa.DictionaryArray, rows: npt.NDArray[np.signedinteger]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Int64Array]:
    """Occurrences by hospital and code: their order, where each pair begins, and its cases.

    Args:
        rows: of the occurrences, rising.
    """
    size = len(codes.dictionary)
    key = hospitals.indices.to_numpy().astype(np.int64) * size + codes.indices.to_numpy()
    order = np.argsort(key, kind="stable")
    ordered, row = key[order], rows[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(new)
    new[1:] |= row[1:] != row[:-1]
    return order, starts, np.add.reduceat(new, starts, dtype=np.int64)


def _texts(coded: pa.DictionaryArray, places: npt.NDArray[np.intp]) -> pa.Array:
    return coded.take(pa.array(places)).cast(pa.string())


def _marked(marks: Int32Array, lists: CodeLists) -> tuple[Int32Array, Int32Array]:
    """Places and rows of the marked codes."""
    room = 1024 + len(lists.positions) // 16
    while True:
        places = np.empty(room + 1, np.int32)
        found = find_marked(readonly(marks), readonly(lists.positions), places)
        if found <= room:
            places = places[:found]
            rows = np.empty(found, np.int32)
            rows_of(readonly(places), readonly(lists.offsets), rows)
            return places, rows
        room = found


def _is_coded(column: pa.Array) -> bool:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        coded: bool = pa.types.is_dictionary(column.type.value_type)
        return coded
    return False


def _coded_at(dictionary: pa.Array, positions: Int32Array, marks: Int32Array) -> pa.DictionaryArray:
    """The codes at these positions of a dictionary, each text having one number."""
    marked = np.flatnonzero(marks[: len(dictionary)])
    texts = _coded(dictionary.take(pa.array(marked)))
    numbers = np.zeros(len(marks), np.int32)
    numbers[marked] = texts.indices.to_numpy()
    return pa.DictionaryArray.from_arrays(numbers[positions], texts.dictionary)


def _codes_at(
    column: pa.Array,
    places: Int32Array,
    rows: Int32Array,
    lists: CodeLists,
) -> pa.DictionaryArray:
    """The codes at these places of all lists, plain or joined, one after the other."""
    if pa.types.is_string(column.type):
        # Joined texts are cut again, but only those with an odd code.
        mine, where = np.unique(rows, return_inverse=True)
        cut = pc.split_pattern(column.take(pa.array(mine)), "|")
        within = places - lists.offsets[rows]
        offsets = cut.offsets.to_numpy(zero_copy_only=False)
        values, taken = cut.values, offsets[where] + within
    else:
        values, taken = column.flatten(), places
    return _coded(values.take(pa.array(taken)))


def _coded(texts: pa.Array) -> pa.DictionaryArray:
    return texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()


def _hospitals(batch: pa.RecordBatch, rows: npt.NDArray[np.signedinteger]) -> pa.DictionaryArray:
    """The hospital of each row; without a text where none is given."""
    place = batch.schema.get_field_index("hospital_id")
    if place < 0 or pa.types.is_null(batch.column(place).type):
        return pa.DictionaryArray.from_arrays(np.zeros(len(rows), np.int32), pa.array([""]))
    found = batch.column(place).take(pa.array(rows))
    return _coded(pc.fill_null(found.cast(pa.string()), "") if found.null_count else found)


def write_odd_codes(table: pa.Table, path: Path) -> None:
    """Write the counts as `X.csv`, else as Parquet.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".csv":
            with path.open("wb") as file:
                file.write(EXCEL_MARK)
                pacsv.write_csv(table, file)
        else:
            pq.write_table(table, path)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}",
            hint="check the folder's permissions and the free space",
        ) from error
