"""Workbooks: one sheet a table, the first row its columns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from grouper.errors import CaseTableError
from grouper.intake.batches import PLACE, ROWS

_EXACT = 10**15
"""Excel keeps fifteen digits; a longer number is not the one that was typed."""


def sheet_names(file: Path) -> list[str]:
    """Names of the sheets.

    Raises:
        CaseTableError: no workbook.
    """
    book = _open(file)
    try:
        return list(book.sheetnames)
    finally:
        book.close()


def sheet_header(file: Path, sheet: str) -> list[str]:
    """Names of the columns; empty for an empty sheet."""
    book = _open(file)
    try:
        first = next(book[sheet].iter_rows(max_row=1, values_only=True), ())
        return [_cell(value, file, sheet, 1) or "" for value in first]
    finally:
        book.close()


def read_sheet(file: Path, sheet: str) -> Iterator[pa.Table]:
    """The rows of a sheet as texts with their numbers in it, without those that are empty.

    Raises:
        CaseTableError: a number of more than fifteen digits, which Excel has cut.
    """
    book = _open(file)
    try:
        rows = book[sheet].iter_rows(values_only=True)
        header = [_cell(value, file, sheet, 1) or "" for value in next(rows, ())]
        kept = [at for at, name in enumerate(header) if name]
        columns: list[list[str | None]] = [[] for _ in kept]
        numbers: list[int] = []
        for number, row in enumerate(rows, 2):
            if all(value is None for value in row):
                continue
            numbers.append(number)
            for values, at in zip(columns, kept, strict=True):
                values.append(_cell(row[at], file, sheet, number) if at < len(row) else None)
            if len(numbers) == ROWS:
                yield _table(header, kept, columns, numbers)
                columns, numbers = [[] for _ in kept], []
        yield _table(header, kept, columns, numbers)
    finally:
        book.close()


def _table(
    header: list[str], kept: list[int], columns: list[list[str | None]], numbers: list[int]
) -> pa.Table:
    arrays = [pa.array(values, pa.string()) for values in columns]
    arrays.append(pa.array(numbers, pa.int64()))
    return pa.Table.from_arrays(arrays, names=[*(header[at] for at in kept), PLACE])


def _cell(value: Any, file: Path, sheet: str, row: int) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "1" if value else "0"
        case str():
            return value
        case int() if abs(value) >= _EXACT:
            raise CaseTableError(
                f"sheet {sheet}, row {row}: the number {value} has more digits than Excel keeps",
                file=file.name,
                hint="format the column as text before the numbers are put in, or export CSV",
            )
        case float():
            if abs(value) >= _EXACT:
                return _cell(int(value), file, sheet, row)
            return str(int(value)) if value.is_integer() else f"{value:.6f}".rstrip("0")
        case datetime():
            nearest = value + timedelta(microseconds=500_000)
            return nearest.strftime("%Y-%m-%d %H:%M:%S")
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)


def _open(file: Path) -> Any:
    from zipfile import BadZipFile

    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        return openpyxl.load_workbook(file, read_only=True, data_only=True)
    except (BadZipFile, InvalidFileException, KeyError, OSError, ValueError) as error:
        raise CaseTableError(
            "cannot be read as a workbook",
            file=file.name,
            hint="save it as .xlsx; a file with a password has to be opened and saved without",
        ) from error
