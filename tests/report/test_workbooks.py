"""Workbooks, opened with a second library."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet

from grouper.report import Run
from grouper.report.capital import capital
from grouper.report.view import unique_slugs
from tests.report.conftest import NAMES, WICKED_ID


def slug_of(run: Run, hospital: str) -> str:
    ids = sorted(run.table("hospitals").column("hospital_id").to_pylist())
    return dict(zip(ids, unique_slugs(ids), strict=True))[hospital]


def header_row(sheet: Worksheet, text: str, after: int = 1) -> int:
    for row in range(after, sheet.max_row + 1):
        if str(sheet.cell(row, 1).value).startswith(text):
            return row
    raise AssertionError(f"no row {text}")


def test_a_statement_has_the_amounts_of_its_table(run: Run, report: Path) -> None:
    for hospital in run.table("hospitals").column("hospital_id").to_pylist():
        path = report / "workbooks" / f"{slug_of(run, hospital)}.xlsx"
        sheet = load_workbook(path)["结算单 Statement"]
        top = header_row(sheet, "统筹池")
        rows = [
            row
            for row in run.table("hospital_months").to_pylist()
            if row["hospital_id"] == hospital
        ]
        for offset, row in enumerate(rows, 1):
            assert sheet.cell(top + offset, 2).value == row["month"]
            assert sheet.cell(top + offset, 3).value == row["cases"]
            paid = Decimal(str(sheet.cell(top + offset, 12).value)).quantize(Decimal("0.01"))
            assert paid == row["paid"]
        total = sheet.cell(top + len(rows) + 1, 12)
        assert total.value == f"=SUM(L{top + 1}:L{top + len(rows)})"
        cached = load_workbook(path, data_only=True)["结算单 Statement"].cell(total.row, 12).value
        assert round(Decimal(cached), 2) == sum(row["paid"] for row in rows)
        due = sum(
            row["due"]
            for row in run.table("clearing").to_pylist()
            if row["hospital_id"] == hospital
        )
        texts = {str(cell.value) for row in sheet.iter_rows() for cell in row if cell.value}
        assert any(capital(abs(int(due * 100))) in text for text in texts)
        assert any("盖章" in text for text in texts)


def test_names_stay_texts(run: Run, report: Path) -> None:
    region = load_workbook(report / "workbooks" / "_region.xlsx")["医疗机构 Hospitals"]
    cells = {region.cell(row, 1).value: region.cell(row, 1) for row in range(2, 14)}
    for name in NAMES:
        assert cells[name].data_type == "s"
        assert cells[name].hyperlink is None
    assert (report / "workbooks" / f"{slug_of(run, WICKED_ID)}.xlsx").is_file()
    assert not list(report.parent.parent.glob("*.xlsx"))


def test_rejected_rows_go_back_to_their_hospital(run: Run, report: Path) -> None:
    known = set(run.table("hospitals").column("hospital_id").to_pylist())
    expected: dict[str, set[str]] = {}
    cases, points = run.table("cases").to_pylist(), run.table("points").to_pylist()
    for case, point in zip(cases, points, strict=True):
        if point["route"] == "invalid":
            owner = case["hospital_id"]
            file = slug_of(run, owner) if owner in known else "_unknown-hospital"
            expected.setdefault(file, set()).add(case["case_id"] or "")
    assert expected
    found = {}
    for path in (report / "workbooks").glob("*.xlsx"):
        book = load_workbook(path)
        if "退回病例 Rejected" in book.sheetnames:
            sheet = book["退回病例 Rejected"]
            rows = list(sheet.iter_rows(min_row=2, values_only=True))
            if rows:
                found[path.stem] = {str(row[0] or "") for row in rows}
    assert found == expected


@pytest.mark.parametrize(
    ("fen", "text"),
    [
        (0, "零元整"),
        (5, "伍分"),
        (10, "壹角整"),
        (100, "壹元整"),
        (1001, "壹拾元零壹分"),
        (100305, "壹仟零叁元零伍分"),
        (140_800_000, "壹佰肆拾万捌仟元整"),
        (1_000_000_010_000, "壹佰亿零壹佰元整"),
        (123_456_789_012, "壹拾贰亿叁仟肆佰伍拾陆万柒仟捌佰玖拾元壹角贰分"),
        (100_000_000_000_000, "壹万亿元整"),
        (-635_50, "负陆佰叁拾伍元伍角整"),
    ],
)
def test_amounts_in_capitals(fen: int, text: str) -> None:
    assert capital(fen) == text
