"""Small CSV tables of a region folder: every fault is told with file and line."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from grouper.counted import counted
from grouper.errors import RegionError
from grouper.settlement.numbers import FEN, SCALE, decimal_text

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?")
_YUAN = re.compile(r"(\d+)(?:\.(\d{0,2}))?", re.ASCII)
"""Most amounts; everything else goes the exact and slower way."""
_LONGEST = 100
"""Characters of a number; Python itself refuses some thousands of digits."""

TRUE = frozenset({"1", "true", "yes", "y", "是"})
_FALSE = frozenset({"0", "false", "no", "n", "否"})


K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table; its readers raise `RegionError` with file and line."""

    file: str
    line: int
    fields: dict[str, str]

    def error(self, message: str, hint: str = "") -> RegionError:
        """An error at this line."""
        return RegionError(message, file=self.file, line=self.line, hint=hint)

    def text(self, column: str) -> str:
        """The field without surrounding blanks, empty where the column is absent."""
        return self.fields.get(column, "")

    def needed(self, column: str) -> str:
        """A field that must not be empty."""
        value = self.text(column)
        if not value:
            raise self.error(f"'{column}' is empty", "fill it in or delete the line")
        return value

    def decimal(self, column: str, default: Fraction | None = None) -> Fraction:
        """A plain decimal; ``default`` where the field is empty."""
        text = self.text(column)
        if not text and default is not None:
            return default
        value = decimal_text(text) if len(text) <= _LONGEST else None
        if value is None:
            raise self.error(f"'{column}' is not a number: '{text:.100}'", "write it like 1234.50")
        return value

    def fen(self, column: str, default: Fraction | None = None) -> int:
        """An amount in yuan with at most two places, as fen."""
        text = self.fields.get(column, "")
        if len(text) <= _LONGEST and (found := _YUAN.fullmatch(text)):
            whole, places = found.groups(default="")
            return int(whole + places.ljust(2, "0"))
        amount = self.decimal(column, default) * FEN
        if amount.denominator != 1:
            raise self.error(
                f"'{column}' has a fraction of a fen: '{self.text(column)}'",
                "amounts are yuan with at most two places",
            )
        return amount.numerator

    def eight(self, column: str, default: Fraction | None = None) -> int:
        """Points, a point value or a coefficient with at most eight places, in units of 1e-8."""
        value = self.decimal(column, default) * SCALE
        if value.denominator != 1:
            raise self.error(
                f"'{column}' has more than eight places: '{self.text(column)}'",
                "round it to eight places",
            )
        return value.numerator

    def month(self, column: str) -> str:
        """A month ``YYYY-MM``."""
        value = self.needed(column)
        if not _MONTH.fullmatch(value):
            raise self.error(f"'{column}' is not a month: '{value}'", "write it like 2024-03")
        return value

    def date(self, column: str) -> str:
        """A date ``YYYY-MM-DD``, or a month, which stands for its first day; may be empty."""
        value = self.text(column)
        if not value:
            return ""
        if not _DATE.fullmatch(value):
            raise self.error(f"'{column}' is not a date: '{value}'", "write it like 2024-03-01")
        return value if len(value) > len("2024-03") else f"{value}-01"

    def flag(self, column: str) -> bool | None:
        """A boolean; None where the field is empty."""
        value = self.text(column).lower()
        if not value:
            return None
        if value in TRUE or value in _FALSE:
            return value in TRUE
        raise self.error(f"'{column}' is not a flag: '{value}'", "write true or false")

    def choice(self, column: str, allowed: tuple[str, ...]) -> str:
        """One of the allowed words."""
        value = self.needed(column)
        if value not in allowed:
            raise self.error(f"'{column}' is '{value}'", f"allowed are {', '.join(allowed)}")
        return value


def read_rows(folder: Path, name: str, columns: tuple[str, ...]) -> Iterator[Row]:
    """Rows of a CSV file of the region, in UTF-8 or GB18030; none where the file is missing.

    Args:
        folder: the region folder.
        name: file name.
        columns: the columns that must be there; others are carried along.

    Raises:
        RegionError: neither UTF-8 nor GB18030, the table in another form, no header, a needed
            column is missing, a line of another width.
    """
    path = folder / name
    if not path.exists():
        _misnamed(folder, name)
        return
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        header = [field.strip() for field in next(reader, [])]
        if missing := [column for column in columns if column not in header]:
            raise RegionError(
                f"column '{missing[0]}' is missing",
                file=name,
                line=1,
                hint=f"the header must name {', '.join(columns)}, with commas between them",
            )
        counts = Counter(filter(None, header))
        if doubled := sorted(field for field, times in counts.items() if times > 1):
            raise RegionError(
                f"column '{doubled[0]}' stands twice",
                file=name,
                line=1,
                hint="leave one of them out, or give it another name",
            )
        for fields in reader:
            if not any(field.strip() for field in fields):
                continue
            if len(fields) != len(header):
                raise RegionError(
                    f"{counted(len(fields), 'field')} where the header has {len(header)}",
                    file=name,
                    line=reader.line_num,
                    hint="a field that holds a comma must stand in double quotes",
                )
            yield Row(
                name,
                reader.line_num,
                {key: field.strip() for key, field in zip(header, fields, strict=True)},
            )
    except csv.Error as cause:
        raise RegionError(
            f"not a CSV line: {cause}",
            file=name,
            line=reader.line_num,
            hint="see that each double quote has its second one; within a field it is doubled",
        ) from cause


_OTHER_FORMS = frozenset({".xlsx", ".xlsm", ".xls", ".et", ".txt", ".csv.csv", ".csv"})
_ALIKE = 0.85
"""A missing or exchanged letter, as in `deduction.csv`; `budget_2023.csv` is another thing."""


def _misnamed(folder: Path, name: str) -> None:
    """Fail where the table lies there in a form, or a letter beside its name, and goes unread."""
    stem = name.removesuffix(".csv")
    for path in sorted(folder.glob("*")):
        other, dot, form = path.name.casefold().partition(".")
        alike = get_close_matches(other, [stem], cutoff=_ALIKE)
        if alike and dot + form in _OTHER_FORMS and path.is_file():
            raise RegionError(
                f"this table is read from {name} alone",
                file=path.name,
                hint=f"save it as CSV under the name {name}, or take it away",
            )


def _text(path: Path) -> str:
    """The text of a table: a Chinese Excel saves CSV in GB18030, and no command asks which."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as first:
        try:
            return data.decode("gb18030")
        except UnicodeDecodeError:
            raise RegionError(
                "this is neither UTF-8 nor GB18030",
                file=path.name,
                line=data[: first.start].count(b"\n") + 1,
                hint="save the file as CSV in UTF-8",
            ) from None


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A table as `read_rows` reads it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def once(rows: Iterable[Row], key: Callable[[Row], K], what: str) -> None:
    """Fail where two rows have the same key.

    Raises:
        RegionError: it names both lines.
    """
    seen: dict[K, int] = {}
    for row in rows:
        place = seen.setdefault(key(row), row.line)
        if place != row.line:
            raise row.error(f"this {what} already stands in line {place}", "keep one of the two")
