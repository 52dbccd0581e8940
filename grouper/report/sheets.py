"""A table of a page as a table of a workbook: the same columns, headings in both languages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol, Self

import xlsxwriter

from grouper.report.columns import COLUMNS
from grouper.report.view import Drg, Hospital, Row
from grouper.report.words import WORDS

_FORMATS: Final[Mapping[str, str]] = {
    "int": "#,##0",
    "money": "#,##0.00;[Red]-#,##0.00",
    "yuan": "#,##0.00;[Red]-#,##0.00",
    "points": "#,##0.0000",
    "points4": "#,##0.00000000",
    "value": "0.00000000",
    "coef": "0.00000000",
    "ratio": "0.0000",
    "pct": "0.00%",
    "exact": "@",
}
_MONEY: Final = ("money", "yuan")
_WIDTHS: Final[Mapping[str, float]] = {
    "int": 10,
    "money": 18,
    "yuan": 18,
    "points": 16,
    "points4": 20,
    "value": 14,
    "coef": 13,
    "ratio": 11,
    "pct": 11,
    "hospital": 30,
    "drg": 40,
    "text": 26,
    "level": 8,
    "bool": 8,
}
_LONGEST_TEXT: Final = 32_767
LAST_ROW: Final = 1_048_575


class Index(Protocol):
    """What numbers in columns of hospitals and DRGs stand for."""

    @property
    def hospitals(self) -> Sequence[Hospital]:
        """All hospitals."""

    @property
    def drgs(self) -> Sequence[Drg]:
        """All DRGs."""


class Workbook:
    """A workbook under construction; the same tables give the same bytes.

    Texts are written as texts: a name that looks like a formula or a link stays a name.
    """

    def __init__(self, path: Path, index: Index, *, streaming: bool = False) -> None:
        """Begin a workbook.

        Args:
            path: its name.
            index: what numbers stand for.
            streaming: keep no rows in memory; rows are then written in their order.
        """
        self._index = index
        options = {"strings_to_formulas": False, "strings_to_urls": False}
        self._book = xlsxwriter.Workbook(str(path), options | {"constant_memory": streaming})
        self._book.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC)})
        self._book.set_calc_mode("auto")
        base = {"font_name": "Microsoft YaHei", "font_size": 10, "valign": "vcenter"}
        make: Callable[[dict[str, Any]], Any] = lambda more: self._book.add_format(base | more)  # noqa: E731
        self.format = make
        self.title = make({"bold": True, "font_size": 16, "align": "center"})
        self.subtitle = make({"font_color": "#6A7884"})
        self.section = make({"bold": True, "font_size": 12})
        self.plain = make({})
        self._head = make(
            {
                "bold": True,
                "bg_color": "#E3EBF0",
                "border": 1,
                "border_color": "#B7C4CD",
                "text_wrap": True,
                "align": "center",
            }
        )
        edge = {"border": 1, "border_color": "#D5DDE2"}
        self._cells = {kind: make(edge | {"num_format": f}) for kind, f in _FORMATS.items()}
        self._text = make(edge)
        sums = edge | {"bold": True, "bg_color": "#F2F5F7", "top": 2}
        self._totals = {kind: make(sums | {"num_format": f}) for kind, f in _FORMATS.items()}
        self._total_text = make(sums)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._book.close()

    def sheet(self, name: str, *, landscape: bool = True) -> Any:
        """A new sheet, set up for A4."""
        sheet = self._book.add_worksheet(name)
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(0.5, 0.5, 0.6, 0.6)
        sheet.set_footer("&L&8&F&R&8&P / &N")
        if landscape:
            sheet.set_landscape()
        return sheet

    def table(
        self,
        sheet: Any,
        top: int,
        columns: Sequence[str],
        rows: Sequence[Row],
        *,
        total: bool = True,
        filtered: bool = False,
    ) -> int:
        """Write a table with its headings and totals; return the row below it.

        Args:
            sheet: a sheet of this workbook.
            top: row of the headings, from 0.
            columns: names in the registry of columns.
            rows: values as pages have them, money in fen.
            total: whether a row of sums closes it.
            filtered: whether to freeze the headings and to add filters.
        """
        for i, name in enumerate(columns):
            shown = COLUMNS[name]
            kind = shown.kind
            sheet.set_column(i, i, _WIDTHS.get(kind, 16))
            unit = "(元)" if kind == "money" else ""
            sheet.write_string(top, i, f"{shown.zh}{unit}\n{shown.en}", self._head)
        sheet.set_row(top, 32)
        rows = rows[: LAST_ROW - top - 1]
        for r, row in enumerate(rows, top + 1):
            for i, (name, value) in enumerate(zip(columns, row, strict=True)):
                self._write(sheet, r, i, COLUMNS[name].kind, value)
        end = top + len(rows)
        if filtered:
            sheet.freeze_panes(top + 1, 1)
            sheet.repeat_rows(top)
            if rows:
                sheet.autofilter(top, 0, end, len(columns) - 1)
        if not total or not any(COLUMNS[name].summed for name in columns) or not rows:
            return end + 1
        for i, name in enumerate(columns):
            shown = COLUMNS[name]
            if i == 0:
                sheet.write_string(end + 1, 0, "合计 Total", self._total_text)
            elif shown.summed:
                column = xlsxwriter.utility.xl_col_to_name(i)
                whole = sum(row[i] or 0 for row in rows)
                whole = whole / 100 if shown.kind in _MONEY else whole
                sheet.write_formula(
                    end + 1,
                    i,
                    f"=SUM({column}{top + 2}:{column}{end + 1})",
                    self._totals[shown.kind],
                    whole,
                )
            else:
                sheet.write_blank(end + 1, i, None, self._total_text)
        return end + 2

    def _write(self, sheet: Any, row: int, column: int, kind: str, value: Any) -> None:
        if value is None:
            sheet.write_blank(row, column, None, self._text)
        elif kind in _MONEY:
            sheet.write_number(row, column, value / 100, self._cells[kind])
        elif kind in self._cells and kind != "exact":
            sheet.write_number(row, column, value, self._cells[kind])
        else:
            text = self._words(kind, value)[:_LONGEST_TEXT]
            sheet.write_string(row, column, text, self._text)

    def _words(self, kind: str, value: Any) -> str:
        if kind == "hospital":
            return self._index.hospitals[value].name if value >= 0 else WORDS["unknown_hospital"][0]
        if kind == "drg":
            drg = self._index.drgs[value]
            return f"{drg.code} {drg.name}".strip("- ") or WORDS["ungrouped_cases"][0]
        if kind == "level":
            return WORDS[f"level.{value}"][0]
        if kind == "both":
            return str(value[0])
        if kind == "bool":
            return WORDS["yes" if value else "no"][0]
        if kind.startswith("word:"):
            return word(kind.removeprefix("word:"), value)
        return str(value)


def word(prefix: str, code: str, language: int = 0) -> str:
    """A code of the run's tables in Chinese (0) or English (1); itself where it has no word."""
    if prefix == "column":
        return COLUMNS[code].en if language else COLUMNS[code].zh
    if prefix == "pool" and "/" in code:
        city, _, insurance = code.rpartition("/")
        return f"{city}/{word(prefix, insurance, language)}"
    return WORDS.get(f"{prefix}.{code}", (code, code))[language]
