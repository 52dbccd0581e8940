"""Runs that have more than the usual tables are reported whole: late cases, visits, odd codes."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grouper.execution import LocalRunner
from grouper.indicators.stays import Stays
from grouper.indicators.supervise import supervise
from grouper.report import load_run
from grouper.report.columns import COLUMNS
from grouper.report.policy_tables import POLICY_TABLES, REGION_TABLES
from grouper.report.words import WORDS
from grouper.report.workbooks import REGION_SHEETS, SHEETS
from grouper.report.write import write_report
from grouper.run import rerun
from grouper.run.closing import close_month
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from tests.report.test_pages import column, data_of
from tests.settlement import golden
from tests.settlement.golden import case
from tests.settlement.regions import write_cases

JANUARY = [case("a1", "A", "D1", 10000), case("b1", "B", "D1", 10000)]
POLICY = """
extends = "guigang-points"
id = "visits"
[stay]
pre_admission_days = 3
negotiated_drugs_apart = true
"""


@pytest.fixture
def late(tmp_path: Path) -> Path:
    """A run whose January was closed: b1 is gone since, a9 came late, a1 was corrected."""
    settled = golden.settle(
        tmp_path / "old",
        "guigang-points",
        JANUARY,
        weights=[["BR19", "1", "", "1"]],
        hospitals=[["A", 1], ["B", 1]],
        budget=[["employee", "fund_total", 120000]],
        shares=[["employee", "01", 1]],
    )
    region = tmp_path / "old" / "region"
    close_month(settled, "2024-01", region)
    stay = {"person_id": "p1", "admission_date": date(2024, 1, 9)}
    later = {**case("a9", "A", "D1", 9000), "dx": ["D1", "X99.9"], **stay}
    amount = [Decimal("50.00"), Decimal("7.00")]
    visits = {
        "person_id": ["p1", "p2"],
        "hospital_id": ["A", "A"],
        "date": [date(2024, 1, 8)] * 2,
        "amount": pa.array(amount, pa.decimal128(18, 2)),
    }
    pq.write_table(pa.table(visits), region / "outpatient.parquet")
    drug = {"case_id": ["a9"], "item": ["x"], "kind": ["negotiated_drug"]}
    paid = pa.array([Decimal("30.00")], pa.decimal128(18, 2))
    apart = pa.table({**drug, "amount": paid, "cap": paid, "fund_paid": paid})
    pq.write_table(apart, region / "items.parquet")
    policy = tmp_path / "visits.toml"
    policy.write_text(POLICY)
    again = {**JANUARY[0], "version": 2, "total_cost": 12000}
    write_cases(region / "cases", [JANUARY[0], again, later])
    scheme = load_scheme(tmp_path / "old" / "pack")
    rerun(region, scheme, load_policy(str(policy)), tmp_path / "run", LocalRunner())
    return tmp_path / "run"


def test_late_cases_are_reported(late: Path) -> None:
    run = load_run(late)
    written = write_report(run)
    page = data_of(written.folder / "hospitals" / "A.html")
    assert column(page, "late_cases", "case_id") == ["a9"]
    assert column(page, "odd_codes", "code") == ["X99.9"]
    assert column(page, "versions", "version") == [2]
    assert column(page, "versions", "month_closed") == [True]
    page = data_of(written.folder / "hospitals" / "B.html")
    assert page["tables"]["late"]["rows"] == [["employee", "2024-01", -1, -100.0, -200000]]
    accounts = data_of(written.folder / "accounts.html")
    assert accounts["tables"]["closed_months"]["rows"] == [["employee", "2024-01", 2, 1, 1]]
    assert sum(column(accounts, "late_region", "cases")) == 0
    assert accounts["tables"]["visits"]["rows"][:2] == [
        ["merged", 1, "50.00"],
        ["no_stay", 1, "7.00"],
    ]
    assert accounts["tables"]["apart"]["rows"] == [[1, "30.00", 0, "0.00"]]
    assert accounts["tables"]["annual_prepay"]["rows"] == [["employee", "2.00"]]
    book = openpyxl.load_workbook(written.folder / "workbooks" / "_region.xlsx")
    # No total is promised where no column has one.
    assert [row[0].value for row in book["一月预拨 Prepayment"].rows][1:] == ["职工"]
    for table, kind in (("checks", "check"), ("warnings", "warning")):
        assert all(f"{kind}.{code}" in WORDS for code in column(accounts, table, kind))
    # A table of the run does not stand in the way of the region's file of visits.
    absent = supervise(Stays(run), late.parent / "old" / "region").absent
    assert all("outpatient.parquet" not in names for names in absent.values())
    quality = data_of(written.folder / "quality.html")
    assert quality["tables"]["odd_region"]["rows"] == [["dx", "unknown", "X99.9", 1, 1, 1]]
    for path in written.folder.rglob("*.html"):
        assert all(
            name in COLUMNS for table in data_of(path)["tables"].values() for name in table["cols"]
        )
    book = openpyxl.load_workbook(written.folder / "workbooks" / "A.xlsx", read_only=True)
    assert {SHEETS[name] for name in ("late_cases", "versions", "odd_codes")} < set(book.sheetnames)
    book = openpyxl.load_workbook(written.folder / "workbooks" / "_region.xlsx", read_only=True)
    assert {REGION_SHEETS["closed_months"], REGION_SHEETS["late_region"]} < set(book.sheetnames)


def test_every_further_table_has_words() -> None:
    assert set(SHEETS) == set(POLICY_TABLES)
    assert set(REGION_SHEETS) == set(REGION_TABLES)
    assert all(f"h.{name}" in WORDS for name in (*POLICY_TABLES, *REGION_TABLES))
    assert all(name in COLUMNS for of in POLICY_TABLES.values() for name in of.values())
    assert all(len(name) <= 31 for name in (*SHEETS.values(), *REGION_SHEETS.values()))


def test_a_version_that_changed_the_group_is_a_signal(tmp_path: Path) -> None:
    first = [{**case(name, "A", "D1", 10000), "version": 1} for name in ("a1", "a2")]
    again = [
        {**case("a1", "A", "D2", 10000), "version": 2},
        {**case("a2", "A", "D1", 11000), "version": 2},
    ]
    settled = golden.settle(
        tmp_path,
        "guigang-points",
        [*first, *again],
        weights=[["BR19", "1", "", "1"], ["BR29", "2", "", "1"]],
        hospitals=[["A", 1]],
        budget=[["employee", "fund_total", 120000]],
        shares=[["employee", "01", 1]],
    )
    seen = supervise(Stays(load_run(settled)))
    assert "edited" not in seen.absent
    rows = [row for batch in seen.cases() for row in batch.to_pylist()]
    assert [row["case_id"] for row in rows if row["signal"] == "edited"] == ["a1"]
