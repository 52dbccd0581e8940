"""Reading a workbook that came back, as it stands, without trusting any of it."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from openpyxl import load_workbook
from openpyxl.utils import get_column_letter
from openpyxl.utils.escape import unescape
from openpyxl.utils.exceptions import InvalidFileException

from grouper.appeals.layout import CASES_SHEET, FIELDS, FORMAT, HEAD_ROW, TICKET_SHEET
from grouper.errors import WorkbookError

_MOST_BYTES: Final = 4 << 30
"""Unpacked size of a workbook; no sheet that was sent comes near."""

_SEND_AGAIN: Final = "ask the hospital to fill in the workbook that it was sent, and nothing else"

_TICKET: Final = ("run", "engine", "scheme", "hospital", "month", "language", "cases", "digest")

Value = str | int | float | None


@dataclass(frozen=True, slots=True)
class Line:
    """A row with something in it.

    Attributes:
        row: as Excel counts, from 1.
        values: by column of `FIELDS`.
        formulas: positions of the cells that hold a formula or an error.
    """

    row: int
    values: tuple[Value, ...]
    formulas: frozenset[int]


@dataclass(frozen=True)
class Returned:
    """A workbook that came back.

    Attributes:
        file: its name.
        ticket: what the hidden sheet says.
        lines: the rows below the headings that are not empty.
    """

    file: str
    ticket: dict[str, str]
    lines: tuple[Line, ...]

    @property
    def hospital(self) -> str:
        """Whose workbook it is."""
        return self.ticket["hospital"]

    @property
    def month(self) -> str:
        """The month that it is about; empty for the year."""
        return self.ticket["month"]


def column_letter(place: int) -> str:
    """The letter of a column of `FIELDS`."""
    letter: str = get_column_letter(place + 1)
    return letter


def read_returned(path: Path) -> Returned:
    """Read a workbook.

    Raises:
        WorkbookError: it is none of ours, or its columns were changed.
    """
    with _opened(path) as book:
        ticket = _ticket(path, book)
        if CASES_SHEET not in book.sheetnames:
            raise _fault(path, f"the sheet '{CASES_SHEET}' is missing")
        sheet = book[CASES_SHEET]
        # What the file says of its size may be wrong after other programs have saved it.
        sheet.reset_dimensions()
        return Returned(path.name, ticket, tuple(_lines(path, sheet)))


def _fault(path: Path, message: str, hint: str = _SEND_AGAIN) -> WorkbookError:
    return WorkbookError(message, file=path.name, hint=hint)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if path.is_dir():
        raise _fault(path, "this is a folder", f"name the workbooks in it: {path}/*.xlsx")
    if not path.is_file():
        raise _fault(path, "there is no such file", "check the path")
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > _MOST_BYTES:
            raise _fault(path, f"the workbook unpacks to {size:,} bytes")
        with warnings.catch_warnings():
            # It warns of what it does not carry over; nothing is written back.
            warnings.simplefilter("ignore")
            book = load_workbook(path, read_only=True)
            try:
                yield book
            finally:
                book.close()
    except (zipfile.BadZipFile, InvalidFileException) as error:
        raise _fault(
            path,
            "this is not an Excel workbook (.xlsx)",
            "save it as .xlsx; an old .xls or a CSV file cannot be read back",
        ) from error
    except WorkbookError:
        raise
    except (KeyError, ValueError, TypeError, IndexError, SyntaxError, OSError) as error:
        # What a broken package makes the library stumble over.
        raise _fault(path, f"the workbook is damaged: {error}") from error


def _ticket(path: Path, book: Any) -> dict[str, str]:
    if TICKET_SHEET not in book.sheetnames:
        raise _fault(
            path, "the hidden sheet with the run's id is missing: this is another workbook"
        )
    rows = book[TICKET_SHEET].iter_rows(min_col=1, max_col=2, max_row=50, values_only=True)
    ticket = {str(row[0]): str(row[1] or "") for row in rows if len(row) > 1 and row[0]}
    if ticket.get("format") != str(FORMAT):
        raise _fault(
            path,
            f"the workbook has the layout {ticket.get('format', '')!r}, not '{FORMAT}'",
            "read it with the version of the engine that wrote it",
        )
    if absent := [name for name in _TICKET if name not in ticket]:
        raise _fault(path, f"the hidden sheet was altered: '{absent[0]}' is missing")
    return ticket


def _lines(path: Path, sheet: Any) -> Iterator[Line]:
    headed = False
    for number, row in enumerate(sheet.iter_rows(), 1):
        if number == HEAD_ROW:
            _check_head(path, [_value(cell) for cell in row])
            headed = True
        if number <= HEAD_ROW:
            continue
        values = [_value(cell) for cell in row]
        if len(values) > len(FIELDS) and any(v is not None for v in values[len(FIELDS) :]):
            place = next(i for i in range(len(FIELDS), len(values)) if values[i] is not None)
            raise _fault(
                path,
                f"sheet '{CASES_SHEET}', row {number}: something stands in column "
                f"{column_letter(place)}, which is no column of the sheet",
                "move it into the column of remarks",
            )
        values += [None] * (len(FIELDS) - len(values))
        wrong = frozenset(
            i for i, cell in enumerate(row[: len(FIELDS)]) if cell.data_type in ("f", "e")
        )
        if any(value is not None for value in values):
            yield Line(number, tuple(values[: len(FIELDS)]), wrong)
    if not headed:
        raise _fault(path, f"sheet '{CASES_SHEET}' has no headings")


def _check_head(path: Path, found: Sequence[Value]) -> None:
    wanted = [_flat(field.heading) for field in FIELDS]
    have = [_flat(str(value)) if value is not None else "" for value in found]
    while have and not have[-1]:
        have.pop()
    for place, heading in enumerate(wanted):
        mine = have[place] if place < len(have) else ""
        if mine != heading:
            raise _fault(
                path,
                f"sheet '{CASES_SHEET}', row {HEAD_ROW}, column {column_letter(place)}: the "
                f"heading is '{mine}' where '{heading}' was sent; columns were changed",
            )
    if len(have) > len(wanted):
        raise _fault(
            path,
            f"sheet '{CASES_SHEET}', row {HEAD_ROW}, column {column_letter(len(wanted))}: the "
            f"column '{have[len(wanted)]}' was added",
        )


def _flat(text: str) -> str:
    return " ".join(text.split())


def _value(cell: Any) -> Value:
    """A cell's value: a text without surrounding blanks, a number, or None where it is empty."""
    value = cell.value
    if value is None or isinstance(value, bool | int | float):
        return str(value).upper() if isinstance(value, bool) else value
    text = unescape(str(value)) if isinstance(value, str) else str(value)
    return text.replace("\r\n", "\n").replace("\r", "\n").strip() or None
