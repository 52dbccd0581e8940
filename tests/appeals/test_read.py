"""What comes back: answers that count, differences with their place, and nothing half done."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook
from openpyxl.utils.escape import unescape

from grouper.appeals.checked import STATES
from grouper.appeals.layout import HEAD_ROW
from grouper.appeals.receive import Reading, read_sheets
from grouper.cli.appeals import _tell
from grouper.errors import WorkbookError
from grouper.report import Run
from grouper.scheme import Scheme
from grouper.settlement.region import load_region
from tests.appeals.conftest import COLUMN, MONTH, put

Back = Callable[..., Path]
Read = Callable[..., Reading]

FIRST = HEAD_ROW + 1


@pytest.fixture
def read(run: Run, region: Path, scheme: Scheme, tmp_path: Path) -> Read:
    def reading(*files: Path) -> Reading:
        return read_sheets(run, region, scheme, files, tmp_path / "answers")

    return reading


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(folder / f"{name}.parquet").to_pylist()
    return found


def test_an_untouched_workbook_is_open_and_differs_nowhere(
    back: Back, read: Read, run: Run
) -> None:
    done = read(back(lambda book: None))
    assert done.differences == 0
    assert set(done.counts) == {"open"}
    answers = rows(done.folder, "answers")
    assert done.counts["open"] == len(answers)
    assert not list(done.folder.glob("changes*"))
    assert not (done.folder / "reviews.csv").exists()


def test_answers_corrections_and_reviews(
    back: Back, read: Read, run: Run, region: Path, cases: dict[str, dict[str, Any]]
) -> None:
    corrected: dict[str, list[str]] = {}
    reviews: dict[str, str] = {}

    def fill(book: Workbook) -> None:
        sheet = book.worksheets[0]
        for row in range(FIRST, sheet.max_row + 1):
            case_id = str(sheet.cell(row, COLUMN["case_id"]).value)
            odx = str(sheet.cell(row, COLUMN["odx"]).value or "").split("|")
            kind = cases[case_id]["class"]
            if kind in ("high", "unstable", "ungrouped", "ambiguous"):
                put(book, row, answer="异议 disputed", dispute="申请特病单议", remark="请单议")
                reviews[case_id] = "add" if kind == "high" else "whole_group"
            elif odx[0] and kind == "normal":
                # Another diagnosis becomes the principal one; the rest stays, the old one goes.
                pdx = str(sheet.cell(row, COLUMN["pdx"]).value)
                rest = [code for code in odx[1:] if code != pdx]
                wide = odx[0].translate({n: n + 0xFEE0 for n in range(0x21, 0x7F)})
                put(book, row, answer="Disputed", dispute="codes", new_pdx=wide)
                put(book, row, new_odx="；".join(rest) or "-", new_px="-")
                corrected[case_id] = [odx[0], *rest]
            else:
                put(book, row, answer="认可 accepted")

    done = read(back(fill, "H003"))
    answers = rows(done.folder, "answers")
    assert done.differences == 0
    assert sum(done.counts[state] for state in STATES) == len(answers)
    assert done.counts["accepted"] + done.counts["disputed"] == len(answers)
    assert {a["case_id"] for a in answers if a["review"]} == set(reviews)

    with (done.folder / "reviews.csv").open(encoding="utf-8", newline="") as file:
        assert {row["case_id"]: row["kind"] for row in csv.DictReader(file)} == reviews
    proposed = region.parent / "with-reviews"
    proposed.mkdir()
    for path in (region / "hospitals.csv", done.folder / "reviews.csv"):
        (proposed / path.name).write_bytes(path.read_bytes())
    assert all(review.approved is None for review in load_region(proposed).reviews)

    lists = {row["case_id"]: row for row in rows(done.folder, "corrected")}
    assert {case_id: row["dx"] for case_id, row in lists.items()} == corrected
    assert all(row["version"] == 2 and row["px"] == [] for row in lists.values())
    before = pq.read_table(region / "cases" / "part-00000.parquet").to_pylist()
    for row in before:
        if row["case_id"] in lists:
            same = {name: row[name] for name in row if name not in ("dx", "px")}
            assert same.items() <= lists[row["case_id"]].items()

    # A normal case of a group and level has one number of points, whoever has it.
    levels = {row["hospital_id"]: row["level"] for row in run.table("hospitals").to_pylist()}
    normal = {
        (case["drg"], levels[case["hospital_id"]]): case["points"]
        for case in cases.values()
        if case["class"] == "normal"
    }
    changes = rows(done.folder, "changes")
    assert {row["case_id"] for row in changes} == set(corrected)
    checked = 0
    for row in changes:
        assert row["old_drg"] == cases[row["case_id"]]["drg"]
        assert row["basis"] == "exact"
        assert row["old_points"] == cases[row["case_id"]]["points"]
        assert row["points_change"] == row["new_points"] - row["old_points"]
        assert row["value_change"] == row["new_value"] - row["old_value"]
        if row["new_class"] == "normal" and (row["new_drg"], levels["H003"]) in normal:
            assert row["new_points"] == normal[row["new_drg"], levels["H003"]]
            checked += 1
    assert checked > 5


_CODES: dict[str, object] = {"answer": "disputed", "dispute": "codes"}

FAULTY: tuple[tuple[dict[str, object], str, str], ...] = (
    ({"points": 999}, "protected_changed", "points"),
    ({"total_cost": "12"}, "protected_changed", "total_cost"),
    ({"drg": "XX11"}, "protected_changed", "drg"),
    ({"explanation": "."}, "protected_changed", "explanation"),
    ({"value": "=1+1"}, "formula", "value"),
    ({"answer": "=1+1"}, "formula", ""),
    ({"answer": "maybe"}, "unknown_answer", ""),
    ({"answer": "disputed", "dispute": "because"}, "unknown_dispute", ""),
    ({"answer": "disputed"}, "dispute_without_reason", ""),
    ({"answer": "disputed", "dispute": "other", "remark": "x" * 2_001}, "remark_too_long", ""),
    ({"dispute": "other"}, "answer_missing", ""),
    ({"answer": "accepted", "new_px": "36.0601"}, "accepted_with_corrections", ""),
    ({"answer": "disputed", "dispute": "data", "new_px": "36.0601"}, "codes_not_meant", ""),
    (_CODES, "codes_missing", ""),
    (_CODES | {"new_pdx": "-"}, "no_principal", ""),
    (_CODES | {"new_pdx": "ZZZ9.9"}, "unknown_code", ""),
    (_CODES | {"new_odx": "I10.x00 I10.x00"}, "bad_code", ""),
)


def test_each_faulty_row_is_told_and_none_is_taken(
    back: Back, read: Read, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every fault on a row of its own, then a row that is gone, and one that stands twice."""
    ids: list[str] = []
    last = FIRST + len(FAULTY)

    def spoil(book: Workbook) -> None:
        sheet = book.worksheets[0]
        ids.extend(unescape(str(sheet.cell(r, 1).value)) for r in range(FIRST, last + 2))
        for row, (values, _, _) in enumerate(FAULTY, FIRST):
            put(book, row, **values)
        put(book, last, answer="认可 accepted")
        sheet.append([cell.value for cell in sheet[last]])
        put(book, sheet.max_row, answer="异议 disputed", dispute="other")
        sheet.delete_rows(last + 1)
        sheet.append(["nobody's"])

    done = read(back(spoil))
    answers = {row["case_id"]: row for row in rows(done.folder, "answers")}
    assert sum(done.counts[state] for state in STATES) == len(answers)
    for case_id, (_, why, _) in zip(ids, FAULTY, strict=False):
        assert answers[case_id]["state"] == "refused"
        assert answers[case_id]["why"].startswith(f"{why}: ")
    assert any(row["why"].endswith(" (ZZZ9.9)") for row in answers.values())
    assert answers[ids[-2]]["why"].startswith("conflicting")
    assert answers[ids[-1]]["state"] == "missing"
    assert done.counts["refused"] == len(FAULTY) + 1
    _tell(done, "out")
    assert "each refused row stands with its reason in out/answers.csv" in capsys.readouterr().err

    found = rows(done.folder, "differences")
    cells = {(one["row"], one["field"]): one for one in found if one["column"]}
    wanted = [(row, field) for row, (_, _, field) in enumerate(FAULTY, FIRST) if field]
    assert list(cells) == wanted
    assert cells[FIRST, "points"]["found"] == "999"
    assert cells[FIRST + 4, "value"]["kind"] == "formula"
    others = [(one["kind"], one["case_id"]) for one in found if not one["column"]]
    assert others == [
        ("row_repeated", ids[-2]), ("row_added", "nobody's"), ("row_missing", ids[-1]),
    ]  # fmt: skip
    assert not (done.folder / "changes.csv").exists()


def test_text_that_looks_like_a_formula_is_quoted_for_people(back: Back, read: Read) -> None:
    def remark(book: Workbook) -> None:
        put(book, FIRST, answer="accepted", remark="=cmd")
        book.worksheets[0].cell(FIRST, COLUMN["remark"]).data_type = "s"

    done = read(back(remark))
    assert [r["remark"] for r in rows(done.folder, "answers") if r["remark"]] == ["=cmd"]
    text = (done.folder / "answers.csv").read_text(encoding="utf-8")
    assert '"\'=cmd"' in text
    assert '"\'=1+1"' in text


def _hidden(name: str, value: str) -> Callable[[Workbook], None]:
    def edit(book: Workbook) -> None:
        for row in book["_grouper"].iter_rows():
            if row[0].value == name:
                row[1].value = value

    return edit


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda b: b.remove(b["_grouper"]), "hidden sheet"),
        (lambda b: b.remove(b.worksheets[0]), "is missing"),
        (_hidden("run", "0" * 32), "is of run 0000"),
        (_hidden("hospital", "H002"), "not that of this hospital"),
        (_hidden("digest", "0"), "not that of this hospital"),
        (_hidden("format", "9"), "layout '9'"),
        (lambda b: put(b, HEAD_ROW, drg="DRG?"), "column I: the heading is 'DRG\\?'"),
        (lambda b: b.worksheets[0].insert_cols(3), "column C: the heading is ''"),
        (lambda b: b.worksheets[0].delete_cols(2), "column B: the heading is"),
        (lambda b: b.worksheets[0].cell(FIRST, 40).__setattr__("value", "x"), "column AN"),
        (lambda b: b.worksheets[0].delete_rows(1), "columns were changed"),
    ],
)
def test_a_workbook_that_was_taken_apart_is_refused_whole(
    back: Back, read: Read, tmp_path: Path, edit: Callable[[Workbook], None], text: str
) -> None:
    with pytest.raises(WorkbookError, match=text):
        read(back(edit))
    assert [path.name for path in tmp_path.iterdir()] == ["back.xlsx"]


def test_rows_of_another_hospital_twice_and_damaged_files_write_nothing(
    back: Back, read: Read, tmp_path: Path, cases: dict[str, dict[str, Any]]
) -> None:
    other = next(i for i, case in cases.items() if i and case["hospital_id"] == "H002")
    foreign = back(lambda book: book.worksheets[0].append([other]), name="foreign.xlsx")
    with pytest.raises(WorkbookError, match=f"'{other}' is of hospital 'H002'"):
        read(foreign)
    one, two = back(lambda _: None, name="one.xlsx"), back(lambda _: None, name="two.xlsx")
    with pytest.raises(WorkbookError, match=r"twice, in one\.xlsx"):
        read(one, two)
    text, cut = tmp_path / "text.xlsx", tmp_path / "cut.xlsx"
    text.write_text("case_id")
    cut.write_bytes(one.read_bytes()[:5_000])
    with pytest.raises(WorkbookError, match="2 workbooks cannot be read"):
        read(one, text, cut)
    with pytest.raises(WorkbookError, match="no such file"):
        read(tmp_path / "absent.xlsx")
    with pytest.raises(WorkbookError, match="this is a folder"):
        read(tmp_path)
    assert not (tmp_path / "answers").exists()
    assert not list(tmp_path.glob(".*"))


def test_workbooks_of_several_hospitals_are_read_at_once(back: Back, read: Read) -> None:
    done = read(back(lambda _: None), back(lambda _: None, "H002", "second.xlsx"))
    assert done.workbooks == 2
    assert {row["hospital_id"] for row in rows(done.folder, "answers")} == {"H001", "H002"}
    assert MONTH in (done.folder / "manifest.json").read_text(encoding="utf-8")
