"""What users do wrong in a region: each fault is told with its place."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grouper.errors import CaseTableError, GrouperError, InputsError, RegionError, RunError
from grouper.parts import ParquetFile
from grouper.scheme import Scheme
from grouper.settlement.region import load_region
from tests.settlement.regions import random_region, settle, write_cases, write_csv
from tests.settlement.test_runs import contents


def budget(*lines: tuple[str, str, str, str]) -> Callable[[Path], None]:
    header = ["pool", "line", "effective_month", "amount"]
    return lambda region: write_csv(region / "budget.csv", header, lines)


def reviews(*lines: tuple[str, ...]) -> Callable[[Path], None]:
    header = ["case_id", "kind", "unreasonable_cost", "approved", "decision_month"]
    return lambda region: write_csv(region / "reviews.csv", header, lines)


def deductions(*lines: tuple[str, ...]) -> Callable[[Path], None]:
    header = ["hospital_id", "month", "pool", "money", "points", "reason"]
    return lambda region: write_csv(region / "deductions.csv", header, lines)


FUND = ("employee", "fund_total", "2024-01", "100")
OTHER = ("resident", "fund_total", "2024-01", "100")

FAULTS: dict[str, tuple[Callable[[Path], Any], type[GrouperError], str]] = {
    "no hospitals": (
        lambda r: (r / "hospitals.csv").unlink(),
        RegionError,
        "hospitals.csv: the file is missing",
    ),
    "level 4": (
        lambda r: write_csv(r / "hospitals.csv", ["hospital_id", "level"], [["H", 4]]),
        RegionError,
        "hospitals.csv:2: level is '4'",
    ),
    "hospital twice": (
        lambda r: write_csv(r / "hospitals.csv", ["hospital_id", "level"], [["H", 1], ["H", 1]]),
        RegionError,
        "hospitals.csv:3: this hospital already stands in line 2",
    ),
    "no cases folder": (
        lambda r: shutil.rmtree(r / "cases"),
        CaseTableError,
        "no such file or folder",
    ),
    "budget line twice": (
        budget(FUND, OTHER, FUND),
        RegionError,
        "budget.csv:4: this budget line already stands in line 2",
    ),
    "no budget": (lambda r: (r / "budget.csv").unlink(), RegionError, "has no budget"),
    "pool without budget": (budget(FUND), RegionError, "pool 'resident' has no budget"),
    "budget too late": (
        budget(("employee", "fund_total", "2024-05", "100"), OTHER),
        RegionError,
        "pool 'employee' has no fund_total in 2024-01",
    ),
    "budget eaten up": (
        budget(FUND, OTHER, ("employee", "reserve", "2024-01", "-100")),
        RegionError,
        "the budget of pool 'employee' in 2024-01 is 0.00",
    ),
    "fraction of a fen": (
        budget(("employee", "fund_total", "2024-01", "1.005"), OTHER),
        RegionError,
        "budget.csv:2: 'amount' has a fraction of a fen",
    ),
    "not a month": (
        budget(("employee", "fund_total", "2024-13", "1"), OTHER),
        RegionError,
        "budget.csv:2: 'effective_month' is not a month: '2024-13'",
    ),
    "review of no case": (
        reviews(("nobody", "add", "0", "true", "2024-03")),
        RegionError,
        "reviews.csv:2: there is no case 'nobody'",
    ),
    "review twice": (
        reviews(
            ("c00001", "add", "0", "true", "2024-03"), ("c00001", "add", "0", "true", "2024-03")
        ),
        RegionError,
        "reviews.csv:3: this case already stands in line 2",
    ),
    "review kind": (
        reviews(("c00001", "more", "0", "true", "2024-03")),
        RegionError,
        "reviews.csv:2: 'kind' is 'more'",
    ),
    "unreasonable": (
        reviews(("c00001", "whole_group", "99999999", "true", "2024-03")),
        RegionError,
        "exceeds its cost",
    ),
    "deduction of no hospital": (
        deductions(("nobody", "2024-03", "employee", "1", "", "x")),
        RegionError,
        "deductions.csv:2: unknown hospital 'nobody'",
    ),
    "deduction of no pool": (
        deductions(("H1", "2024-03", "employe", "1", "", "x")),
        RegionError,
        "deductions.csv:2: pool 'employe' has no budget",
    ),
    "deduction of another year": (
        deductions(("H1", "2025-03", "employee", "1", "", "x")),
        RegionError,
        "deductions.csv:2: the month 2025-03 lies outside the year 2024",
    ),
    "missing column": (
        lambda r: write_csv(r / "budget.csv", ["pool", "line", "amount"], []),
        RegionError,
        "budget.csv:1: column 'effective_month' is missing",
    ),
    "no text": (
        lambda r: (r / "budget.csv").write_bytes(b"pool,line\n\xff\xff,x\n"),
        RegionError,
        "budget.csv:2: this is neither UTF-8 nor GB18030",
    ),
    "a column twice": (
        lambda r: write_csv(r / "month_shares.csv", ["pool", "month", "amount", "pool"], []),
        RegionError,
        "month_shares.csv:1: column 'pool' stands twice",
    ),
    "a quote too many": (
        lambda r: (r / "budget.csv").write_text('pool,line,effective_month,amount\n"employee'),
        RegionError,
        "budget.csv:2: not a CSV line",
    ),
    "a workbook for a table": (
        lambda r: (r / "reviews.csv").rename(r / "reviews.xlsx"),
        RegionError,
        "reviews.xlsx: this table is read from reviews.csv alone",
    ),
    "capitals": (
        lambda r: (r / "hospitals.csv").rename(r / "Hospitals.CSV"),
        RegionError,
        "Hospitals.CSV: this table is read from hospitals.csv alone",
    ),
    "an ending twice": (
        lambda r: (r / "month_shares.csv").rename(r / "Month_Shares.csv.csv"),
        RegionError,
        "Month_Shares.csv.csv: this table is read from month_shares.csv alone",
    ),
    "a letter less": (
        lambda r: (r / "deductions.csv").rename(r / "deduction.csv"),
        RegionError,
        "deduction.csv: this table is read from deductions.csv alone",
    ),
    "payments in another form": (
        lambda r: (r / "payments.xls").write_bytes(b""),
        RegionError,
        "payments.xls: this table is read from payments.csv alone",
    ),
    "a score for a coefficient": (
        lambda r: write_csv(
            r / "hospitals.csv", ["hospital_id", "level", "assessment"], [["H1", 2, "97.55"]]
        ),
        RegionError,
        "hospitals.csv:2: assessment is 97.55",
    ),
    "shares of nothing": (
        lambda r: write_csv(
            r / "month_shares.csv",
            ["pool", "month", "amount"],
            [["employee", "2023-01", 0], ["resident", "2023-01", 0]],
        ),
        RegionError,
        "add up to 0.00",
    ),
    "a number of thousands of digits": (
        budget(("employee", "fund_total", "2024-01", "9" * 5000)),
        RegionError,
        "'amount' is not a number: '999",
    ),
    "a month without share": (
        lambda r: write_csv(
            r / "month_shares.csv",
            ["pool", "month", "amount"],
            [["employee", "2023-01", 5], ["resident", "2023-01", 5]],
        ),
        RegionError,
        "no share for it",
    ),
    "a copy of the case file": (
        lambda r: shutil.copy(r / "cases" / "part-00000.parquet", r / "cases" / "copy.parquet"),
        RunError,
        "no case is valid and paid by points",
    ),
    "truncated part": (
        lambda r: (r / "cases" / "part-00000.parquet").write_bytes(
            (r / "cases" / "part-00000.parquet").read_bytes()[:500]
        ),
        CaseTableError,
        "cannot be read as Parquet",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told(region: Path, scheme: Scheme, tmp_path: Path, fault: str) -> None:
    break_it, kind, text = FAULTS[fault]
    break_it(region)
    with pytest.raises(kind) as caught:
        settle(region, scheme, tmp_path / "a")
    assert text in str(caught.value)
    assert caught.value.hint


def test_tables_of_a_chinese_excel_are_read(tmp_path: Path) -> None:
    table = "hospital_id,name,level\r\nH1,东江医院,2\r\n"
    (tmp_path / "hospitals.csv").write_bytes(table.encode("gb18030"))
    assert [hospital.name for hospital in load_region(tmp_path).hospitals] == ["东江医院"]


def test_month_without_points(scheme: Scheme, tmp_path: Path) -> None:
    region, cases = random_region(tmp_path / "region", 1, 100)
    for case in cases:
        if case["settle_month"] == "2024-04":
            case["dx"], case["total_cost"] = ["U"], 0
    write_cases(region / "cases", cases)
    (region / "reviews.csv").unlink()
    for _ in range(2):
        with pytest.raises(RunError, match="no points in 2024-04"):
            settle(region, scheme, tmp_path / "a")
    for case in cases:
        case["total_cost"] = case["total_cost"] or 100000
    write_cases(region / "cases", cases)
    assert settle(region, scheme, tmp_path / "a").state == "made", "the mended run has the folder"
    settle(region, scheme, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize("table", ["benchmarks", "hospitals"])
def test_a_run_that_fails_while_its_tables_are_written_leaves_its_folder(
    region: Path, scheme: Scheme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    made = ParquetFile.__init__

    def refuse(self: ParquetFile, path: Path, *given: Any, **named: Any) -> None:
        if path.stem == table:
            raise InputsError("a sum does not fit its column")
        made(self, path, *given, **named)

    with monkeypatch.context() as broken:
        broken.setattr(ParquetFile, "__init__", refuse)
        for _ in range(2):
            with pytest.raises(InputsError):
                settle(region, scheme, tmp_path / "a")
    (region / "reviews.csv").unlink()
    assert settle(region, scheme, tmp_path / "a").state == "made"


def test_absurd_budget(region: Path, scheme: Scheme, tmp_path: Path) -> None:
    budget(*((pool, "fund_total", "2024-01", "9" * 16) for pool in ("employee", "resident")))(
        region
    )
    with pytest.raises(
        InputsError, match=r"point value of pool 'employee' in 2024-01 is .* too large"
    ):
        settle(region, scheme, tmp_path / "a")


def test_all_costs_zero(scheme: Scheme, tmp_path: Path) -> None:
    region, cases = random_region(tmp_path / "region", 1, 40)
    for case in cases:
        case["total_cost"] = 0
    write_cases(region / "cases", cases)
    (region / "reviews.csv").unlink()
    with pytest.raises(RunError, match="mean cost of all cases is zero"):
        settle(region, scheme, tmp_path / "a")
    for case in cases:
        case["total_cost"] = 100000
    write_cases(region / "cases", cases)
    assert settle(region, scheme, tmp_path / "a").state == "made"
