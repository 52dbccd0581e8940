"""Workbooks of a report: a statement per hospital, the region's summary, rows to send back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from grouper.execution import Runner
from grouper.report import region_pages
from grouper.report.capital import capital
from grouper.report.hospital_page import (
    CLEARING_COLUMNS,
    DRG_COLUMNS,
    MONTH_COLUMNS,
    HospitalPages,
)
from grouper.report.policy_tables import POLICY_TABLES, REGION_TABLES, odd_codes
from grouper.report.quality_page import FINDING_COLUMNS
from grouper.report.sheets import Workbook
from grouper.report.view import Drg, Hospital, Row, View
from grouper.report.words import WORDS

REJECTED_COLUMNS: Final = ("case_id", "rule", "field", "bad_value", "message")
SHEETS: Final = {
    "per_diem": "床日付费 Per diem",
    "incentive": "激励机制 Incentive",
    "quota": "定额 Quota",
    "simulation": "并列 Side by side",
    "late": "关账后变化 Late",
    "late_cases": "关账后到达 Late cases",
    "versions": "清单更正 Corrected lists",
    "odd_codes": "不规范编码 Odd codes",
}
"""Sheets of the tables that not every run has."""

REGION_SHEETS: Final = {
    "closed_months": "已关账月份 Closed months",
    "late_region": "关账后变化 Late",
    "annual_prepay": "一月预拨 Prepayment",
    "visits": "入院前门诊 Visits",
    "apart": "国谈药 Paid apart",
}

_DUE: Final = CLEARING_COLUMNS.split().index("due")
_PAID: Final = MONTH_COLUMNS.split().index("paid")
_SIGNERS: Final = ("制表 Prepared by", "复核 Checked by", "负责人 Approved by", "日期 Date")


@dataclass(frozen=True)
class Shelf:
    """What all statements share: where they go, and what numbers in their tables stand for."""

    folder: Path
    hospitals: tuple[Hospital, ...]
    drgs: tuple[Drg, ...]
    year: int
    run: str
    diseases: bool


@dataclass(frozen=True)
class Statement:
    """The tables of one hospital's workbook; its number is -1 where cases name no known one."""

    number: int
    months: list[Row]
    clearing: list[Row]
    drgs: list[Row]
    rejected: list[Row]
    findings: list[Row]
    further: dict[str, list[Row]] = field(default_factory=dict)


def write_workbooks(
    view: View, pages: HospitalPages, folder: Path, runner: Runner, advance: Callable[[int], None]
) -> int:
    """Write all workbooks into a new folder; return how many there are.

    Args:
        view: the run's hospitals and DRGs.
        pages: the tables of each hospital.
        folder: made here.
        runner: where the workbooks are written.
        advance: told about each finished workbook.
    """
    folder.mkdir()
    manifest = view.run.manifest
    hospitals, drgs = tuple(view.hospitals), tuple(view.drgs)
    shelf = Shelf(folder.resolve(), hospitals, drgs, manifest.year, manifest.run, view.run.diseases)
    books = 0
    for _ in runner.map(write_statement, shelf, _statements(view, pages)):
        advance(1)
        books += 1
    _region(view, pages, folder / "_region.xlsx")
    advance(1)
    return books + 1


def _statements(view: View, pages: HospitalPages) -> Iterator[Statement]:
    for number, hospital in enumerate(view.hospitals):
        key = hospital.hospital_id
        yield Statement(
            number,
            pages.months[key],
            pages.clearing[key],
            pages.drgs[key],
            pages.rejected[number],
            pages.quality.findings[number],
            {name: rows[key] for name, rows in pages.further.items() if rows[key]},
        )
    if pages.rejected[-1] or pages.quality.findings[-1]:
        yield Statement(-1, [], [], [], pages.rejected[-1], pages.quality.findings[-1])


def write_statement(shelf: Shelf, of: Statement) -> str:
    """Write the workbook of a hospital; return its name."""
    known = of.number >= 0
    slug = shelf.hospitals[of.number].slug if known else "_unknown-hospital"
    path = shelf.folder / f"{slug}.xlsx"
    with Workbook(path, shelf) as book:
        if known:
            _statement_sheet(book, shelf, of)
            sheet = book.sheet("病种 Disease groups" if shelf.diseases else "病组 DRGs")
            book.table(sheet, 0, DRG_COLUMNS.split(), of.drgs, filtered=True)
        for name, rows in of.further.items():
            columns = list(POLICY_TABLES[name].values())
            book.table(book.sheet(SHEETS[name]), 0, columns, rows, filtered=True)
        rejected = book.sheet("退回病例 Rejected")
        book.table(rejected, 0, REJECTED_COLUMNS, of.rejected, total=False, filtered=True)
        if of.findings:
            findings = book.sheet("清单质控 Findings")
            book.table(
                findings, 0, FINDING_COLUMNS.split(), of.findings, total=False, filtered=True
            )
    return path.name


def _statement_sheet(book: Workbook, shelf: Shelf, of: Statement) -> None:
    hospital = shelf.hospitals[of.number]
    sheet = book.sheet("结算单 Statement")
    columns = MONTH_COLUMNS.split()
    last = len(columns) - 1
    sheet.set_row(0, 30)
    sheet.merge_range(0, 0, 0, last, "", book.title)
    kind = "DIP" if shelf.diseases else "DRG"
    title = f"{shelf.year} 年度 {kind} 付费结算单 Settlement statement"
    sheet.write_string(0, 0, title, book.title)
    level = WORDS[f"level.{hospital.level}"][0]
    sheet.write_string(1, 0, f"医疗机构 Hospital: {hospital.name}", book.section)
    about = f"编码 Id: {hospital.hospital_id}    等级 Level: {level}    单位 Unit: 元 CNY"
    sheet.write_string(2, 0, about, book.plain)
    sheet.write_string(3, 0, f"运行编号 Run: {shelf.run}", book.subtitle)
    sheet.write_string(5, 0, "一、月度结算 Months", book.section)
    below = book.table(sheet, 6, columns, of.months)
    paid = sum(row[_PAID] for row in of.months)
    sheet.write_string(below, 0, f"全年实付（大写）Paid: {capital(paid)}", book.plain)
    below += 2
    sheet.write_string(below, 0, "二、年终清算 Clearing", book.section)
    below = book.table(sheet, below + 1, CLEARING_COLUMNS.split(), of.clearing)
    due = sum(row[_DUE] for row in of.clearing)
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


def _region(view: View, pages: HospitalPages, path: Path) -> None:
    overview = region_pages.overview(view)["tables"]
    accounts = region_pages.accounts(view)["tables"]
    drgs = region_pages.drg_list(view)["tables"]
    rejected = region_pages.rejected(view)["tables"]
    parts: tuple[tuple[str, dict[str, Any]], ...] = (
        ("医疗机构 Hospitals", overview["hospitals"]),
        ("月度 Months", overview["months"]),
        ("病组 DRGs", drgs["drgs"]),
        ("大类 MDCs", overview["mdc"]),
        ("病例类型 Classes", overview["classes"]),
        ("预算 Budget", overview["budget"]),
        ("核对 Accounts", accounts["checks"]),
        ("退回 Rejected", rejected["by_hospital"]),
    )
    parts = (
        *parts,
        *((REGION_SHEETS[name], accounts[name]) for name in REGION_TABLES if name in accounts),
    )
    if pages.quality.checked:
        quality = pages.quality.region()["tables"]
        parts = (
            *parts,
            ("质控规则 Quality rules", quality["quality_rules"]),
            ("质控排名 Quality ranks", quality["quality_scores"]),
        )
    odd = odd_codes(view)
    if odd["rows"]:
        parts = (*parts, ("不规范编码 Odd codes", odd))
    indicators = pages.indicators.region()["tables"]
    parts = (
        *parts,
        ("指标 Indicators", indicators["indicators"]),
        ("监管信号 Signals", indicators["signals"]),
    )
    with Workbook(path, view) as book:
        for name, part in parts:
            sheet = book.sheet(name)
            book.table(sheet, 0, part["cols"], part["rows"], filtered=True)
