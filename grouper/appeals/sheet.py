"""Writing a hospital's workbook: its cases, cells for its answers, and totals that tie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from xlsxwriter.utility import xl_col_to_name, xl_range

from grouper.appeals.layout import (
    ANSWER_WORDS,
    ANSWERS,
    CASES_SHEET,
    DISPUTE_WORDS,
    FIELDS,
    HEAD_ROW,
    MOST_REMARK,
    PROTECTED,
    REJECTED_SHEET,
    TICKET_SHEET,
    TOTAL_WORDS,
    TOTALS_SHEET,
)
from grouper.appeals.rows import Cells, clean
from grouper.report.columns import COLUMNS
from grouper.report.sheets import Workbook, word
from grouper.report.view import Drg, Hospital
from grouper.report.workbooks import REJECTED_COLUMNS
from grouper.settlement.numbers import FEN, SCALE

_RULES: Final = (
    "只填写黄色列：先选答复，异议须选理由；编码用 | 分隔，留空表示不变，- 表示删去全部。"
    "请勿增删行列或改动其他单元格，读回时逐格核对。"
    "    Fill in the yellow columns only. Codes are separated by |; blank leaves them, - removes "
    "all. Every other cell is compared with the run when the workbook is read."
)
_YELLOW: Final = "#FFF8DC"
_KIND_FORMATS: Final = {"money": "yuan", "points": "points4"}
_UNITS: Final = {"money": FEN, "points": SCALE}
_FREE: Final = {"autofilter": True, "format_columns": True, "format_rows": True}


@dataclass(frozen=True)
class Total:
    """What the cases of a pool and month add up to, and what the statement says.

    They differ by what came into a closed month, and money by the rounding of single cases.

    Attributes:
        points, stated_points: in 1e-8; value, gross: in fen.
    """

    pool: str
    month: str
    cases: int
    points: int
    value: int
    stated_cases: int
    stated_points: int
    gross: int


@dataclass(frozen=True)
class Content:
    """All that stands in a workbook.

    Attributes:
        ticket: what the hidden sheet says.
        rejected: [case_id, rule, field, value, message] of each rejected row.
        notes: sentences below the totals.
    """

    hospital_id: str
    name: str
    ticket: Mapping[str, str]
    cells: Sequence[Cells]
    totals: Sequence[Total]
    rejected: Sequence[Sequence[str]]
    notes: Sequence[str]


class _Nothing:
    """The tables of this workbook hold no numbers of hospitals or DRGs."""

    hospitals: tuple[Hospital, ...] = ()
    drgs: tuple[Drg, ...] = ()


class _Book(Workbook):
    """The formats that an appeal sheet adds; texts keep their quote when they are edited."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _Nothing(), streaming=True)
        edge = {"border": 1, "border_color": "#D5DDE2"}
        text = edge | {"num_format": "@", "quote_prefix": True, "valign": "top"}
        self.text = self.format(text)
        self.long = self.format(text | {"text_wrap": True})
        self.answer = self.format(
            edge | {"num_format": "@", "locked": False, "bg_color": _YELLOW, "text_wrap": True}
        )
        self.head = self._head
        self.answer_head = self.format(
            {
                "bold": True,
                "bg_color": "#F3DFA2",
                "border": 1,
                "border_color": "#B7C4CD",
                "text_wrap": True,
                "align": "center",
            }
        )
        self.left_title = self.format({"bold": True, "font_size": 14})

    def of(self, kind: str) -> Any:
        """The format of an amount."""
        return self._cells[kind]

    def tell(self, properties: Mapping[str, str]) -> None:
        """Say in the workbook's properties whose it is, for people."""
        for name, value in properties.items():
            self._book.set_custom_property(name, value)

    def plain_sheet(self, name: str) -> Any:
        """A sheet that is not for printing."""
        return self._book.add_worksheet(name)


def write_workbook(path: Path, content: Content) -> None:
    """Write the workbook of a hospital."""
    with _Book(path) as book:
        kept = ("run", "hospital", "month", "digest")
        book.tell({f"grouper_{name}": content.ticket[name] for name in kept})
        _cases(book, content)
        _totals(book, content)
        sheet = book.sheet(REJECTED_SHEET)
        _head(book, sheet, 0, [COLUMNS[n].zh + "\n" + COLUMNS[n].en for n in REJECTED_COLUMNS])
        sheet.set_column(0, len(REJECTED_COLUMNS) - 1, 24)
        for row, texts in enumerate(content.rejected, 1):
            for column, text in enumerate(texts):
                sheet.write_string(row, column, clean(text), book.text)
        sheet.protect("", _FREE)
        ticket = book.plain_sheet(TICKET_SHEET)
        for row, (name, value) in enumerate(content.ticket.items()):
            ticket.write_string(row, 0, name, book.text)
            ticket.write_string(row, 1, value, book.text)
        ticket.protect("")
        ticket.very_hidden()


def _head(book: _Book, sheet: Any, row: int, headings: Sequence[str]) -> None:
    sheet.set_row(row, 32)
    for column, heading in enumerate(headings):
        sheet.write_string(row, column, heading, book.head)


def _cases(book: _Book, content: Content) -> None:
    sheet = book.sheet(CASES_SHEET)
    title = f"申诉表 Appeal sheet    {content.name}    {content.hospital_id}"
    month = content.ticket["month"]
    sheet.set_row(0, 24)
    sheet.write_string(0, 0, clean(f"{title}    {month}".rstrip()), book.left_title)
    sheet.write_string(1, 0, _RULES, book.subtitle)
    head = HEAD_ROW - 1
    sheet.set_row(head, 32)
    for column, field in enumerate(FIELDS):
        sheet.set_column(column, column, field.width)
        shown = book.answer_head if field.answer else book.head
        sheet.write_string(head, column, field.heading, shown)
    first = len(PROTECTED)
    amounts = {kind: book.of(name) for kind, name in _KIND_FORMATS.items()}
    for row, cells in enumerate(content.cells, HEAD_ROW):
        for column, (field, value) in enumerate(zip(PROTECTED, cells, strict=True)):
            if value is None:
                sheet.write_blank(row, column, None, book.text)
            elif isinstance(value, int):
                number = value / _UNITS[field.kind]
                sheet.write_number(row, column, number, amounts[field.kind])
            else:
                sheet.write_string(row, column, value, book.long if field.told else book.text)
        for column in range(first, len(FIELDS)):
            sheet.write_blank(row, column, None, book.answer)
    last = HEAD_ROW + max(len(content.cells), 1) - 1
    _validate(sheet, last)
    sheet.freeze_panes(HEAD_ROW, 1)
    sheet.repeat_rows(head)
    sheet.autofilter(head, 0, last, len(FIELDS) - 1)
    sheet.protect("", _FREE)


def _validate(sheet: Any, last: int) -> None:
    place = {field.name: len(PROTECTED) + i for i, field in enumerate(ANSWERS)}
    for name, known in (("answer", ANSWER_WORDS), ("dispute", DISPUTE_WORDS)):
        sheet.data_validation(
            HEAD_ROW,
            place[name],
            last,
            place[name],
            {
                "validate": "list",
                "source": list(known.values()),
                "error_title": "请从列表选择 Choose from the list",
                "error_message": " / ".join(known.values()),
            },
        )
    sheet.data_validation(
        HEAD_ROW,
        place["remark"],
        last,
        place["remark"],
        {"validate": "length", "criteria": "<=", "value": MOST_REMARK},
    )
    for name in ("new_pdx", "new_odx", "new_px"):
        sheet.data_validation(
            HEAD_ROW,
            place[name],
            last,
            place[name],
            {"validate": "length", "criteria": "<=", "value": MOST_REMARK},
        )


def _totals(book: _Book, content: Content) -> None:
    sheet = book.sheet(TOTALS_SHEET)
    _head(book, sheet, 0, [f"{zh}\n{en}" for zh, en in TOTAL_WORDS.values()])
    sheet.set_column(0, len(TOTAL_WORDS) - 1, 20)
    last = HEAD_ROW + max(len(content.cells), 1) - 1
    column = {field.name: i for i, field in enumerate(PROTECTED)}

    def over(name: str) -> str:
        place = xl_range(HEAD_ROW, column[name], last, column[name])
        first, _, end = place.partition(":")
        return f"'{CASES_SHEET}'!{_fixed(first)}:{_fixed(end)}"

    drg = word("route", "drg")
    for row, total in enumerate(content.totals, 1):
        matching = f'{over("pool")},$A{row + 1},{over("month")},$B{row + 1},{over("route")},"{drg}"'
        sheet.write_string(row, 0, clean(word("pool", total.pool)), book.text)
        sheet.write_string(row, 1, total.month, book.text)
        sheet.write_formula(row, 2, f"=COUNTIFS({matching})", book.of("int"), total.cases)
        points, value = total.points / SCALE, total.value / FEN
        for place, name, kind, known in (
            (3, "points", "points4", points),
            (4, "value", "yuan", value),
        ):
            formula = f"=SUMIFS({over(name)},{matching})"
            sheet.write_formula(row, place, formula, book.of(kind), known)
        sheet.write_number(row, 5, total.stated_cases, book.of("int"))
        sheet.write_number(row, 6, total.stated_points / SCALE, book.of("points4"))
        sheet.write_number(row, 7, total.gross / FEN, book.of("yuan"))
        gap = (total.gross - total.value) / FEN
        shown = f"=ROUND(H{row + 1}-E{row + 1},2)"
        sheet.write_formula(row, 8, shown, book.of("yuan"), gap)
    below = len(content.totals) + 1
    if content.totals:
        sheet.write_string(below, 0, "合计 Total", book.text)
        sheet.write_string(below, 1, "", book.text)
        for place, kind in enumerate(
            ("int", "points4", "yuan", "int", "points4", "yuan", "yuan"), 2
        ):
            letter = xl_col_to_name(place)
            known = _whole(content.totals, place)
            formula = f"=SUM({letter}2:{letter}{below})"
            sheet.write_formula(below, place, formula, book.of(kind), known)
    for row, note in enumerate(content.notes, below + 2):
        sheet.write_string(row, 0, clean(note), book.plain)
    sheet.protect("", _FREE)


def _fixed(cell: str) -> str:
    letters = cell.rstrip("0123456789")
    return f"${letters}${cell[len(letters) :]}"


def _whole(totals: Sequence[Total], place: int) -> float:
    value, gross = sum(t.value for t in totals), sum(t.gross for t in totals)
    sums = (
        sum(t.cases for t in totals),
        sum(t.points for t in totals) / SCALE,
        value / FEN,
        sum(t.stated_cases for t in totals),
        sum(t.stated_points for t in totals) / SCALE,
        gross / FEN,
        (gross - value) / FEN,
    )
    return sums[place - 2]
