"""Case files in CSV: the types that columns are parsed as, and cells in another form."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pacsv

from grouper.cases.cells import plain_texts, read_cells
from grouper.cases.registry import CODES, Column, Kind

if TYPE_CHECKING:
    from grouper.cases.files import CaseSource, Part

_CSV_BLOCK = 16 << 20


def csv_schema(
    file: Path, wanted: Sequence[Column], encoding: str, names: Mapping[str, str]
) -> pa.Schema:
    """The columns of a file: wanted ones as they are parsed, codes as lists, others as texts."""
    header = _csv_header(file, encoding)
    types = _csv_types(header, wanted, names)
    lists = {names.get(c.name, c.name) for c in wanted if c.kind is Kind.CODES}
    return pa.schema(
        [(name, CODES if name in lists else types.get(name, pa.string())) for name in header]
    )


def _csv_header(file: Path, encoding: str) -> list[str]:
    try:
        with file.open("rb") as raw:
            text = io.TextIOWrapper(raw, encoding="utf-8-sig" if encoding == "utf-8" else encoding)
            return next(csv.reader(text), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise pa.ArrowInvalid(str(error)) from error


def _csv_types(
    header: Sequence[str], wanted: Sequence[Column], names: Mapping[str, str]
) -> dict[str, pa.DataType]:
    """The type that each wanted column of a CSV file is parsed as."""
    ours = {names.get(c.name, c.name): c for c in wanted}
    types: dict[str, pa.DataType] = {}
    for name in header:
        column = ours.get(name)
        if column is None:
            continue
        if column.kind is Kind.CODES:
            types[name] = pa.string()
        elif column.kind is Kind.INTEGER:
            types[name] = pa.int64()
        else:
            types[name] = column.type
    return types


_CELL = re.compile(r"In CSV column #(\d+): ")


def read_csv(source: CaseSource, part: Part, chosen: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    """The wanted columns of a file.

    Columns are parsed by their types; one that has a cell in another form is read as text.

    Raises:
        CaseTableError: a cell is nothing that its column takes.
        pyarrow.ArrowInvalid: the file is no CSV table.
    """
    header = _csv_header(Path(part.path), source.encoding)
    types = _csv_types(header, list(source.wanted.values()), source.names)
    ours = {theirs: name for name, theirs in chosen.items() if theirs in types}
    as_text = {name for name, kind in types.items() if pa.types.is_string(kind)}
    done = 0

    def meant(array: pa.Array, name: str, first: int) -> pa.Array:
        column = source.wanted[ours[name]]
        if pa.types.is_string(types[name]):
            return plain_texts(array, column.kind)
        if array.type == types[name]:
            return array
        return read_cells(array, column, types[name], file=part.name, name=name, first=first)

    while True:
        parsed = types | dict.fromkeys(as_text, pa.string())
        row = 2
        try:
            for number, batch in enumerate(_csv_batches(source, part, parsed, list(ours))):
                if number >= done:
                    read = [meant(*pair, row) for pair in zip(batch.columns, ours, strict=True)]
                    yield pa.RecordBatch.from_arrays(read, list(ours.values()))
                    done = number + 1
                row += batch.num_rows
            return
        except pa.ArrowInvalid as error:
            refused = header[int(cell[1])] if (cell := _CELL.match(str(error))) else ""
            if refused not in ours or refused in as_text:
                raise
            as_text.add(refused)


def _csv_batches(
    source: CaseSource, part: Part, types: Mapping[str, pa.DataType], columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    yield from pacsv.open_csv(
        part.path,
        read_options=pacsv.ReadOptions(
            encoding=source.encoding, block_size=_CSV_BLOCK, use_threads=False
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=types, include_columns=columns, strings_can_be_null=True
        ),
    )
