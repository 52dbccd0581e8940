"""Workbooks of a report: a statement per hospital, the region's summary, rows to send back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from grouper.report import region_pages
from grouper.report.capital import capital
from grouper.report.hospital_page import (
    CLEARING_COLUMNS,
    DRG_COLUMNS,
    MONTH_COLUMNS,
    HospitalPages,
)
from grouper.report.sheets import Workbook
from grouper.report.view import Hospital, Row, View
from grouper.report.words import WORDS

REJECTED_COLUMNS: Final = ("case_id", "rule", "field", "bad_value", "message")
_DUE: Final = CLEARING_COLUMNS.split().index("due")
_PAID: Final = MONTH_COLUMNS.split().index("paid")
_SIGNERS: Final = ("制表 Prepared by", "复核 Checked by", "负责人 Approved by", "日期 Date")


def write_workbooks(
    view: View, hospitals: HospitalPages, folder: Path, advance: Callable[[int], None]
) -> int:
    """Write all workbooks into a new folder; return how many there are.

    Args:
        view: the run's hospitals and DRGs.
        hospitals: the tables of each hospital.
        folder: made here.
        advance: told about each finished workbook.
    """
    folder.mkdir()
    for number, hospital in enumerate(view.hospitals):
        _statement(view, hospitals, number, folder / f"{hospital.slug}.xlsx")
        advance(1)
    _region(view, folder / "_region.xlsx")
    books = len(view.hospitals) + 1
    if hospitals.rejected[-1]:
        with Workbook(folder / "_unknown-hospital.xlsx", view) as book:
            _rejected(book, "退回病例 Rejected", hospitals.rejected[-1])
        books += 1
    advance(books - len(view.hospitals))
    return books


def _statement(view: View, pages: HospitalPages, number: int, path: Path) -> None:
    hospital = view.hospitals[number]
    key = hospital.hospital_id
    with Workbook(path, view) as book:
        _statement_sheet(book, view, hospital, pages.months[key], pages.clearing[key])
        sheet = book.sheet("病组 DRGs")
        book.table(sheet, 0, DRG_COLUMNS.split(), pages.drgs[key], filtered=True)
        _rejected(book, "退回病例 Rejected", pages.rejected[number])


def _statement_sheet(
    book: Workbook, view: View, hospital: Hospital, months: list[Row], clearing: list[Row]
) -> None:
    manifest = view.run.manifest
    sheet = book.sheet("结算单 Statement")
    columns = MONTH_COLUMNS.split()
    last = len(columns) - 1
    sheet.set_row(0, 30)
    sheet.merge_range(0, 0, 0, last, "", book.title)
    title = f"{manifest.year} 年度 DRG 付费结算单 Settlement statement"
    sheet.write_string(0, 0, title, book.title)
    level = WORDS[f"level.{hospital.level}"][0]
    sheet.write_string(1, 0, f"医疗机构 Hospital: {hospital.name}", book.section)
    about = f"编码 Id: {hospital.hospital_id}    等级 Level: {level}    单位 Unit: 元 CNY"
    sheet.write_string(2, 0, about, book.plain)
    sheet.write_string(3, 0, f"运行编号 Run: {manifest.run}", book.subtitle)
    sheet.write_string(5, 0, "一、月度结算 Months", book.section)
    below = book.table(sheet, 6, columns, months)
    paid = sum(row[_PAID] for row in months)
    sheet.write_string(below, 0, f"全年实付（大写）Paid: {capital(paid)}", book.plain)
    below += 2
    sheet.write_string(below, 0, "二、年终清算 Clearing", book.section)
    below = book.table(sheet, below + 1, CLEARING_COLUMNS.split(), clearing)
    due = sum(row[_DUE] for row in clearing)
    kind = "应补 Due to the hospital" if due >= 0 else "应退 To be recovered"
    sheet.write_string(below, 0, f"{kind}（大写）: {capital(abs(due))}", book.section)
    _sign(sheet, below + 3, book)
    # The two tables of this sheet share its columns, so these suit the wider of both.
    for i in range(last + 1):
        sheet.set_column(i, i, 12 if i < 3 else 18)


def _sign(sheet: Any, row: int, book: Workbook) -> None:
    for i, who in enumerate(_SIGNERS):
        sheet.write_string(row, i * 3, f"{who}: ____________", book.plain)
    sheet.write_string(row + 2, 0, "医疗机构（盖章）Hospital (seal):", book.plain)
    sheet.write_string(row + 2, 6, "医保经办机构（盖章）Insurance office (seal):", book.plain)


def _rejected(book: Workbook, name: str, rows: list[Row]) -> None:
    sheet = book.sheet(name)
    book.table(sheet, 0, REJECTED_COLUMNS, rows, total=False, filtered=True)


def _region(view: View, path: Path) -> None:
    overview = region_pages.overview(view)["tables"]
    accounts = region_pages.accounts(view)["tables"]
    drgs = region_pages.drg_list(view)["tables"]
    rejected = region_pages.rejected(view)["tables"]
    parts = (
        ("医疗机构 Hospitals", overview["hospitals"]),
        ("月度 Months", overview["months"]),
        ("病组 DRGs", drgs["drgs"]),
        ("大类 MDCs", overview["mdc"]),
        ("病例类型 Classes", overview["classes"]),
        ("预算 Budget", overview["budget"]),
        ("核对 Accounts", accounts["checks"]),
        ("退回 Rejected", rejected["by_hospital"]),
    )
    with Workbook(path, view) as book:
        for name, part in parts:
            sheet = book.sheet(name)
            book.table(sheet, 0, part["cols"], part["rows"], filtered=True)
