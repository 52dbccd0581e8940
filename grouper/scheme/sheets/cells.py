"""Workbooks and CSV files as sheets of texts."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from grouper.errors import PackError

_BOOKS = (".xlsx", ".xlsm")
_TEXTS = (".csv",)
_OLD_BOOKS = (".xls", ".et", ".ods")
_MOST_BYTES = 64 << 20
_MOST_UNPACKED = 1 << 30
_NAMELESS = re.compile(r"(?:(?:sheet|工作表|表)\s*[0-9]*)?", re.IGNORECASE)
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")


class Row(NamedTuple):
    """A row that holds something: its number from 1 and its cells as texts."""

    number: int
    cells: Sequence[str]


@dataclass(frozen=True)
class Sheet:
    """One table of the source.

    Attributes:
        file: the file's name.
        name: the sheet's name; empty for a CSV file.
        rows: the rows that hold something.
        numbers: (row, column from 0) of cells that the workbook holds as numbers, not as text.
    """

    file: str
    name: str
    rows: Sequence[Row]
    numbers: frozenset[tuple[int, int]] = field(default_factory=frozenset)

    @property
    def place(self) -> str:
        """How messages name it."""
        return f"{self.file}[{self.name}]" if self.name else self.file

    @property
    def title(self) -> str:
        """What it is called: the sheet, or where that says nothing (Sheet1) the file."""
        return Path(self.file).stem if _NAMELESS.fullmatch(self.name) else self.name


def read_sheets(source: Path, encoding: str = "utf-8") -> list[Sheet]:
    """All sheets of a workbook, of a CSV file, or of the files of a folder by name.

    Args:
        encoding: of CSV files, `utf-8` or `gb18030`.

    Raises:
        PackError: nothing there, or a file that is no workbook and no table.
    """
    if source.is_dir():
        files = sorted(
            p
            for p in source.iterdir()
            if p.suffix.lower() in (*_BOOKS, *_TEXTS, *_OLD_BOOKS)
            and not p.name.startswith(("~$", ".", "_"))
        )
        if not files:
            raise PackError(
                "the folder holds no table",
                file=str(source),
                hint="put the workbooks (.xlsx) or CSV files of the scheme there",
            )
    elif source.is_file():
        files = [source]
    else:
        raise PackError("no such file or folder", file=str(source), hint="check the path")
    return [sheet for file in files for sheet in _read_file(file, encoding)]


def _read_file(file: Path, encoding: str) -> list[Sheet]:
    ending = file.suffix.lower()
    if ending not in (*_BOOKS, *_TEXTS):
        known = "open it in a spreadsheet program and save it as .xlsx"
        hint = known if ending in _OLD_BOOKS else "a workbook (.xlsx), a CSV file, or their folder"
        raise PackError(f"unknown kind of file {ending!r}", file=file.name, hint=hint)
    size = file.stat().st_size
    if size > _MOST_BYTES:
        raise PackError(
            f"the file has {size >> 20} MB; tables of a scheme have at most {_MOST_BYTES >> 20}",
            file=file.name,
            hint="check that this is the right file; cut a very large list into several files",
        )
    try:
        if ending in _TEXTS:
            return [_read_csv(file.name, file.read_bytes(), encoding)]
        return list(_read_book(file))
    except OSError as error:
        raise PackError(
            f"cannot be read: {error.strerror or error}",
            file=file.name,
            hint="check the file's permissions, or copy it again",
        ) from error


def _read_csv(name: str, data: bytes, encoding: str) -> Sheet:
    try:
        text = data.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except UnicodeDecodeError as error:
        hint = (
            "if the file is in the Chinese national encoding, say so: --encoding gb18030"
            if encoding.lower().startswith("utf")
            else "leave --encoding away if the file is UTF-8; else save it again as CSV"
        )
        line = data.count(b"\n", 0, error.start) + 1
        raise PackError(f"not {encoding.upper()} text", file=name, line=line, hint=hint) from None
    except LookupError:
        raise PackError(
            f"unknown encoding {encoding!r}", file=name, hint="utf-8 or gb18030"
        ) from None
    rows: list[Row] = []
    reader = csv.reader(io.StringIO(text, newline=""))
    start = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(Row(start, cells))
            start = reader.line_num + 1
    except csv.Error as error:
        raise PackError(
            f"not a CSV table: {error}",
            file=name,
            line=reader.line_num,
            hint="save it again as comma-separated text",
        ) from None
    return Sheet(name, "", rows)


def _read_book(file: Path) -> Iterator[Sheet]:
    # Imported here: most commands read no workbook.
    from openpyxl import load_workbook

    _check_book(file)
    try:
        book = load_workbook(file, read_only=True, data_only=True)
        try:
            for sheet in book.worksheets:
                # The size that a workbook states of itself is often wrong.
                sheet.reset_dimensions()
                rows: list[Row] = []
                numbers: set[tuple[int, int]] = set()
                for number, cells in enumerate(sheet.iter_rows(), 1):
                    texts = [_of_cell(cell) for cell in cells]
                    if any(texts):
                        rows.append(Row(number, texts))
                        numbers.update(
                            (number, at)
                            for at, cell in enumerate(cells)
                            if isinstance(cell.value, int | float)
                            and not isinstance(cell.value, bool)
                        )
                yield Sheet(file.name, sheet.title, rows, frozenset(numbers))
        finally:
            book.close()
    except PackError:
        raise
    except Exception as error:
        raise PackError(
            f"the workbook is damaged: {type(error).__name__}: {error}"[:200],
            file=file.name,
            hint="open it in a spreadsheet program and save it again as .xlsx",
        ) from error


def _check_book(file: Path) -> None:
    told, hint = "", ""
    with file.open("rb") as raw:
        start = raw.read(len(_OLE))
    if start == _OLE:
        told = "an old workbook (.xls), or one with a password"
        hint = "open it, take the password away, and save it as .xlsx"
    elif not zipfile.is_zipfile(file):
        told, hint = "not a workbook", "export it again as .xlsx, or name a CSV file .csv"
    else:
        with zipfile.ZipFile(file) as packed:
            if "[Content_Types].xml" not in packed.namelist():
                told, hint = "not a workbook", "a zip file is unpacked first; give its folder"
            elif sum(part.file_size for part in packed.infolist()) > _MOST_UNPACKED:
                told = "the workbook is too large when it is unpacked"
                hint = "check that this is the right file; take pictures and empty rows away"
    if told:
        raise PackError(told, file=file.name, hint=hint)


def _of_cell(cell: Any) -> str:
    value = cell.value
    # Nearly all cells are text, and looking up a format costs more than the rest.
    if isinstance(value, str):
        return value.strip()
    return _text(value, cell.number_format if isinstance(value, float) else "")


def _text(value: object, form: str) -> str:
    """A cell as a text; a number as its format shows it, so that 37.5100 keeps its zeros."""
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"  # a yes or no, and never a number
        case datetime() | date():
            return value.isoformat()[:10]
        case int():
            return str(value)
        case float():
            decimals = len(form.partition(".")[2]) if form.strip("0.") == "" else 0
            if decimals:
                whole = len(form.partition(".")[0])
                return f"{value:0{whole + 1 + decimals}.{decimals}f}"
            return str(int(value)) if value.is_integer() else repr(value)
        case _:
            return str(value).strip()
