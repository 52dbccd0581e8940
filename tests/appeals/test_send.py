"""A hospital's workbook says what the run says, and nothing in it acts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from openpyxl.utils.escape import unescape

from grouper.appeals.gather import Scope, scheme_of
from grouper.appeals.layout import FIELDS, HEAD_ROW, PROTECTED
from grouper.appeals.send import send_sheets
from grouper.appeals.told import Teller
from grouper.errors import GrouperError, OutputError, RegionError, RunError
from grouper.execution import LocalRunner
from grouper.explain import explain_case
from grouper.report import Run
from grouper.scheme import Scheme
from tests.appeals.conftest import COLUMN, MONTH, NAME, WICKED


def rows_of(path: Path) -> list[dict[str, Any]]:
    sheet = load_workbook(path).worksheets[0]
    names = [field.name for field in FIELDS]
    rows = sheet.iter_rows(min_row=HEAD_ROW + 1, values_only=True)
    # The library leaves the escapes of the file format in texts.
    texts = ([unescape(v) if isinstance(v, str) else v for v in row] for row in rows)
    return [dict(zip(names, row, strict=True)) for row in texts]


def test_every_case_stands_in_its_hospitals_workbook_as_the_run_has_it(
    sent: Path, cases: dict[str, dict[str, Any]]
) -> None:
    found = {}
    for hospital in ("H001", "H002", "H003"):
        for row in rows_of(sent / f"{hospital}-{MONTH}.xlsx"):
            assert cases[row["case_id"]]["hospital_id"] == hospital
            found[row["case_id"]] = row
    wanted = {
        case_id: case
        for case_id, case in cases.items()
        if case["month"] == MONTH and case["route"] != "invalid"
    }
    assert set(found) == set(wanted)
    assert set(WICKED) <= set(found)
    for case_id, case in wanted.items():
        row = found[case_id]
        assert (row["drg"] or "") == (case["drg"] or "")
        for name in ("total_cost", "points", "extra_points", "value", "gain"):
            if case[name] is None:
                assert row[name] is None
            else:
                assert row[name] == pytest.approx(float(case[name]), abs=1e-9)


def test_only_answers_can_be_written_and_texts_stay_texts(sent: Path) -> None:
    book = load_workbook(sent / f"H001-{MONTH}.xlsx")
    sheet = book.worksheets[0]
    assert all(one.protection.sheet for one in book.worksheets)
    assert book["_grouper"].sheet_state == "veryHidden"
    assert NAME in str(sheet["A1"].value)
    for row in sheet.iter_rows(min_row=HEAD_ROW + 1):
        for field, cell in zip(FIELDS, row, strict=True):
            assert cell.protection.locked is not field.answer
            assert cell.data_type != "f"
            if isinstance(cell.value, str):
                assert cell.quotePrefix
    lists = [one for one in sheet.data_validations.dataValidation if one.type == "list"]
    assert [next(iter(one.sqref.ranges)).min_col for one in lists] == [
        COLUMN["answer"],
        COLUMN["dispute"],
    ]


def test_totals_tie_to_the_statement(run: Run, sent: Path) -> None:
    stated = {
        (row["hospital_id"], row["pool"]): row
        for row in run.table("hospital_months").to_pylist()
        if row["month"] == MONTH
    }
    for hospital in ("H001", "H002", "H003"):
        # The values that the formulas were written with; a spreadsheet computes the same.
        book = load_workbook(sent / f"{hospital}-{MONTH}.xlsx", data_only=True)
        rows = list(book.worksheets[1].iter_rows(min_row=2, values_only=True))
        pools = {"职工": "employee", "居民": "resident"}
        for row in rows[:2]:
            want = stated.pop((hospital, pools[str(row[0])]))
            assert row[2] == row[5] == want["cases"]
            assert row[3] == row[6] == pytest.approx(float(want["points"]), abs=1e-8)
            assert row[7] == pytest.approx(float(want["gross"]))
            assert row[8] == pytest.approx(float(str(row[7])) - float(str(row[4])), abs=0.005)
    assert not stated


def test_the_explanation_names_the_nodes_and_the_near_groups_are_true(
    sent: Path, scheme: Scheme, cases: dict[str, dict[str, Any]]
) -> None:
    tried = 0
    for row in rows_of(sent / f"H003-{MONTH}.xlsx"):
        run = cases[row["case_id"]]
        if run["status"] == "grouped":
            lines = row["explanation"].split("\n")[-3:]
            assert [line.split(" ")[0] for line in lines] == [run["mdc"], run["adrg"], run["drg"]]
        dx = [row["pdx"], *filter(None, (row["odx"] or "").split("|"))]
        px = (row["px"] or "").split("|")
        for line in (row["near"] or "").split("\n"):
            # Age and sex are not on the sheet, so only groups that do not ask for them.
            if line.startswith("principal diagnosis ") and tried < 12:
                code, _, rest = line.removeprefix("principal diagnosis ").partition(" → ")
                moved = [code, *(other for other in dx if other != code)]
                case = {"case_id": "1", "dx": moved, "px": px, "sex": 1, "age": 50}
                if explain_case(case, scheme).result.drg == rest[:4]:
                    tried += 1
    assert tried == 12


def test_uncertain_cases_say_so(sent: Path, cases: dict[str, dict[str, Any]]) -> None:
    told = {
        row["case_id"]: row["uncertain"] or ""
        for hospital in ("H001", "H002", "H003")
        for row in rows_of(sent / f"{hospital}-{MONTH}.xlsx")
    }
    for case_id, text in told.items():
        case = cases[case_id]
        assert ("ambiguous case" in text) is (case["status"] == "ambiguous")
        assert ("ungrouped" in text) is (case["status"] == "ungrouped")
        assert ("unstable group" in text) is (case["class"] == "unstable")
        assert ("high cost" in text) is (case["class"] == "high")
    whole = "\n".join(told.values())
    assert "high cost" in whole
    assert "close to the low" in whole


def test_excluded_complications_and_unknown_codes_are_named(scheme: Scheme) -> None:
    pack = scheme.pack
    # Codes of the pack are prefixes: any code that begins so belongs to them.
    pdx, code = next(
        (pdx.rstrip("%") + ".9", code.rstrip("%") + ".9")
        for code, name in pack.severity["CC"].items()
        for pdx, other in pack.exclusions.items()
        if name and name == other and code != pdx
    )
    teller = Teller(scheme, "en")
    facts = teller.facts({"case_id": "1", "dx": [pdx, code, "ZZZ9.9"], "px": None})
    assert facts is not None
    assert f"CC {code}" in teller.complications(facts)
    assert teller.unknown(facts) == ["ZZZ9.9"]


def test_the_same_run_gives_the_same_bytes(
    run: Run, region: Path, scheme: Scheme, sent: Path, tmp_path: Path
) -> None:
    scope = Scope(frozenset(["H001"]), MONTH)
    out = tmp_path / "again"
    done = send_sheets(run, region, scheme, out, LocalRunner(), scope=scope, language="en")
    assert done.workbooks == 1
    name = f"H001-{MONTH}.xlsx"
    assert (out / name).read_bytes() == (sent / name).read_bytes()


@pytest.mark.parametrize(
    ("scope", "kind", "text"),
    [
        (Scope(frozenset(["H9"])), RunError, "no hospital 'H9'"),
        (Scope(None, "2024-13"), RunError, "not a month"),
        (Scope(None, "2023-01"), RunError, "no hospital has a statement"),
    ],
)
def test_what_the_run_does_not_know_is_refused(
    run: Run, region: Path, scheme: Scheme, tmp_path: Path,
    scope: Scope, kind: type[GrouperError], text: str,
) -> None:  # fmt: skip
    out = tmp_path / "out"
    with pytest.raises(kind, match=text):
        send_sheets(run, region, scheme, out, LocalRunner(), scope=scope)
    assert not out.exists()


def test_another_region_scheme_or_folder_is_refused(
    run: Run, region: Path, scheme: Scheme, tmp_path: Path
) -> None:
    other = tmp_path / "region"
    shutil.copytree(region, other)
    path = other / "cases" / "part-00000.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(RegionError, match="has changed"):
        send_sheets(run, other, scheme, tmp_path / "out", LocalRunner())
    pack = tmp_path / "pack"
    shutil.copytree(scheme.source, pack)
    with (pack / "sets.csv").open("a", encoding="utf-8") as file:
        file.write("nothing,Z99.9\n")
    with pytest.raises(RunError, match="not the one"):
        scheme_of(run, str(pack))
    with pytest.raises(OutputError, match="already"):
        send_sheets(run, region, scheme, region, LocalRunner())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pack", "region"]


def test_columns_of_answers_follow_the_protected_ones() -> None:
    assert [field.answer for field in FIELDS] == sorted(field.answer for field in FIELDS)
    assert len(PROTECTED) + 6 == len(FIELDS)
