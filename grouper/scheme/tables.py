"""The CSV files of a pack as rows that know their file and line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from grouper.counted import counted
from grouper.errors import PackError

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "groups.csv": ("level", "node", "code", "name", "when"),
    "sets.csv": ("set", "code"),
    "sites.csv": ("family", "site", "code"),
    "severity.csv": ("code", "level", "exclusion"),
    "exclusions.csv": ("pdx", "exclusion"),
    "dx.csv": ("code", "name"),
    "px.csv": ("code", "name"),
    "dx_map.csv": ("from", "to"),
    "px_map.csv": ("from", "to"),
    "weights.csv": ("drg", "weight", "basic", "stable"),
}
OPTIONAL_FILES = frozenset(("weights.csv",))
FILES: tuple[str, ...] = ("scheme.toml", *COLUMNS)


class Line(NamedTuple):
    """One data row: its file, its line number and its cells by column name."""

    file: str
    number: int
    cells: dict[str, str]

    def fault(self, message: str, *, rule: str = "", hint: str) -> PackError:
        """An error at this row."""
        return PackError(message, file=self.file, line=self.number, rule=rule, hint=hint)

    def code(self, column: str) -> str:
        """The cell of a column that may not be empty.

        Raises:
            PackError: it is.
        """
        code = self.cells[column]
        if not code.strip():
            raise self.fault(f"{column} is empty", hint="drop the line")
        return code


Tables = dict[str, list[Line]]
"""The rows of every CSV file by the file's name; none where an optional file is absent."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is read.

    Attributes:
        file: its name in messages.
        columns: the columns it must have.
        further: columns it may have; they read as empty where they are absent.
    """

    file: str
    columns: tuple[str, ...]
    further: tuple[str, ...] = ()

    @property
    def header(self) -> str:
        """The header line to write."""
        return ",".join((*self.further, *self.columns))


def decode(file: str, data: bytes) -> str:
    """The text of a file.

    Raises:
        PackError: it is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PackError(
            "not UTF-8 text", file=file, line=line, hint="save the file as UTF-8"
        ) from None


def read_rows(form: Form, data: bytes) -> Iterator[Line]:
    """The data rows of a CSV file.

    Raises:
        PackError: it is no such table.
    """
    # Rows of a real table are short: csv's own limit keeps a garbage file from being one cell.
    reader = csv.reader(io.StringIO(decode(form.file, data), newline=""), strict=True)
    try:
        header = next(reader, None)
        _check_header(form, header)
        assert header is not None
        width = len(header)
        absent = dict.fromkeys((c for c in form.further if c not in header), "")
        for row in reader:
            if not row:
                continue
            if len(row) != width:
                raise PackError(
                    f"{counted(len(row), 'cell')} where the header has {width}",
                    file=form.file,
                    line=reader.line_num,
                    hint='a cell that holds a comma stands in double quotes: "…"',
                )
            yield Line(form.file, reader.line_num, dict(zip(header, row, strict=True), **absent))
    except csv.Error as error:
        raise PackError(
            f"not a CSV table: {error}",
            file=form.file,
            line=reader.line_num,
            hint="save it as comma-separated UTF-8 text; a double quote within a cell is doubled",
        ) from None


def _check_header(form: Form, header: list[str] | None) -> None:
    if header is None:
        raise PackError(
            "the file is empty", file=form.file, hint=f"its first line is {form.header}"
        )
    missing = [column for column in form.columns if column not in header]
    told = "a column stands twice in the header" if len(set(header)) != len(header) else ""
    if missing:
        told = f"the header lacks {', '.join(missing)}"
    if told:
        raise PackError(told, file=form.file, line=1, hint=f"the first line is {form.header}")
