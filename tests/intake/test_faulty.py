"""Faulty rows are told and counted; faulty files and layouts say what to do."""

from __future__ import annotations

import json
from pathlib import Path

import openpyxl
import pytest

from grouper.errors import CaseTableError, OutputError
from grouper.intake.layout import load_layout
from grouper.intake.sources import open_source
from tests.intake.lists import (
    diagnosis,
    documents,
    icu,
    imported,
    lists,
    settlement,
    write_csv,
    write_json,
)


def test_rows_that_do_not_join_are_told_and_counted(tmp_path: Path) -> None:
    tables = lists()
    faults = {
        "B1": ({"insutype": "333"}, "unknown_code", "insutype=333"),
        "B2": (
            {
                "adm_time": "24/12/31",
                "dscg_time": "24年12月31日",
                "setl_end_date": "31/12/2024",
                "psn_ownpay": "1.234",
            },
            "unreadable",
            "setl_end_date=31/12/2024; adm_time=24/12/31; dscg_time=24年12月31日; psn_ownpay=1.234",
        ),
        "B3": ({}, "no_diagnosis", ""),
        "B4": ({}, "no_principal", ""),
        "B5": ({}, "several_principals", "2 of 2 diagnoses"),
        "B6": ({}, "unknown_code", "payinfo row 5: fund_pay_type=777777"),
        "B7": ({}, "unreadable_detail", "iteminfo row 5: amt=ten"),
        "B8": ({}, "unreadable_detail", "icuinfo row 4: ends before it begins"),
    }
    tables["setlinfo"] += [settlement(name, **changed) for name, (changed, _, _) in faults.items()]
    tables["setlinfo"] += [settlement("B9"), settlement("B9", age="57"), settlement("")]
    for name in ("B1", "B2", "B5", "B6", "B7", "B8", "B9"):
        tables["diseinfo"].append(diagnosis(name, "I10.x00", "1"))
    tables["diseinfo"] += [
        diagnosis("B5", "I11.900", "1"),
        diagnosis("B4", "I11.900"),
        diagnosis("A1", " "),
        diagnosis("C1", "I11.900", "1"),
        diagnosis("", "I11.900", "1"),
    ]
    tables["iteminfo"] += [
        {"mdtrt_id": "B7", "med_chrgitm": "1", "amt": "ten"},
        {"mdtrt_id": "A1", "med_chrgitm": "2", "amt": "-"},
    ]
    tables["payinfo"].append(
        {"mdtrt_id": "B6", "fund_pay_type": "777777", "fund_payamt": "1"},
    )
    tables["icuinfo"].append(icu("B8", "2024-03-02 10:00:00", "2024-03-01 10:00:00", ""))
    source = write_csv(tmp_path / "in", tables)
    with (source / "setlinfo.csv").open("a") as file:
        file.write("short,row\n")
    cases, rejected, done = imported(source, tmp_path / "cases")
    assert [case["case_id"] for case in cases] == ["A1", "A2"]
    main = {
        row["case_id"]: (row["reason"], row["detail"])
        for row in rejected
        if row["table"] == "setlinfo" and row["case_id"]
    }
    expected = {name: (reason, detail) for name, (_, reason, detail) in faults.items()}
    assert main == expected | {"B9": ("several_settlements", "2 rows")}
    others = [(r["table"], r["row"], r["reason"]) for r in rejected if r["table"] != "setlinfo"]
    assert others == [
        ("diseinfo", 17, "no_code"),
        ("diseinfo", 18, "no_settlement"),
        ("diseinfo", 19, "no_id"),
        ("iteminfo", 6, "no_value"),
    ]
    nameless = [r["reason"] for r in rejected if r["table"] == "setlinfo" and not r["case_id"]]
    assert nameless == ["damaged", "no_id"]
    for name, one in done.counts.items():
        parts = one.used + one.left_out + one.with_rejected_case + sum(one.rejected.values())
        assert one.read == parts, name
    assert done.counts["setlinfo"].read == 14


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_rows_are_told_as_a_spreadsheet_numbers_them(tmp_path: Path, form: str) -> None:
    """The header is row 1; damaged rows and empty ones of a workbook count."""
    tables = lists()
    tables["diseinfo"] = [diagnosis(f"{at}", "I10.x00") for at in range(1, 8)]
    source = write_csv(tmp_path / "in", tables)
    file = source / "diseinfo.csv"
    lines = [row.split(",") for row in file.read_text().splitlines()]
    if form == "csv":
        for at in (2, 5):
            lines[at] = ["damaged"]
        file.write_text("".join(f"{','.join(line)}\n" for line in lines))
    else:
        book = openpyxl.Workbook()
        for at, line in enumerate(lines, 1):
            for column, text in enumerate(line if at not in (3, 6) else [], 1):
                book.active.cell(at, column, text)
        book.active.title = "diseinfo"
        book.save(file.with_suffix(".xlsx"))
        file.unlink()
    _, rejected, _ = imported(source, tmp_path / "cases")
    rows = [(r["row"], r["reason"]) for r in rejected if r["table"] == "diseinfo"]
    expected = [(at, "no_settlement") for at in (2, 4, 5, 7, 8)]
    expected += [(at, "damaged") for at in (3, 6) if form == "csv"]
    assert sorted(rows) == sorted(expected)


def test_documents_that_are_no_lists_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    good, other = documents(lists())
    write_json(folder / "0.json", good)
    (folder / "1.json").write_text('{"setlinfo": {"mdtrt_id": "X"', "utf-8")
    write_json(folder / "2.json", {"infno": "2208", "input": {"data": {}}})
    (folder / "3.jsonl").write_text("{nothing}\n" + write_json(tmp_path / "x", other).read_text())
    cases, rejected, done = imported(folder, tmp_path / "cases")
    assert [case["case_id"] for case in cases] == ["A1", "A2"]
    assert [(r["file"], r["row"], r["reason"]) for r in rejected] == [
        ("1.json", 1, "damaged"),
        ("2.json", 1, "damaged"),
        ("3.jsonl", 1, "damaged"),
    ]
    assert done.counts["setlinfo"].read == 5
    (folder / "4.json").write_text('[{"setlinfo": {"mdtrt_id": "X"}},\n {"setlinfo"', "utf-8")
    with pytest.raises(CaseTableError, match=r"4\.json:2: not JSON"):
        imported(folder, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_odd_documents_are_told_or_read(tmp_path: Path) -> None:
    good, other = documents(lists())
    good["input"]["setlinfo"]["dscg_caty"] = "\ud800"
    source = tmp_path / "lists.jsonl"
    source.write_text(f"{'[' * 100_000}\n{json.dumps(good)}\n{json.dumps(other)}\n")
    cases, rejected, done = imported(source, tmp_path / "cases")
    assert [case["dept"] for case in cases] == ["A03", "?"]
    assert [(row["row"], row["reason"]) for row in rejected] == [(1, "damaged")]
    assert done.counts["setlinfo"].read == 3
    source = tmp_path / "lists.json"
    source.write_text(f"[{json.dumps(good)},\n{'[' * 100_000}")
    with pytest.raises(CaseTableError, match=r"lists\.json:2: nested too deeply"):
        imported(source, tmp_path / "more")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[tables.diagnoses]\n", "there is no such table"),
        ('[tables.diseinfo.columns]\ncode = "x"\n', "diseinfo has no such field"),
        ('[insurance]\n310 = "worker"\n', r"insurance\.310: "),
        ('[tables.setlinfo.columns]\ngend = "SEX"\n', "setlinfo has no column SEX"),
        ("case_id = 3\n", "case_id: Input should be a valid string"),
        ("nonsense", "this is not TOML"),
    ],
)
def test_faults_of_a_layout_name_the_key(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "layout.toml"
    path.write_text(text, "utf-8")
    source = write_csv(tmp_path / "in", lists())
    with pytest.raises(CaseTableError, match=told):
        imported(source, tmp_path / "cases", load_layout(path))


def test_faults_of_a_source_say_what_to_do(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in", lists())
    out = tmp_path / "cases"
    out.mkdir()
    (out / "part-00000.parquet").touch()
    with pytest.raises(OutputError, match="exists already"):
        imported(source, out)
    with pytest.raises(OutputError, match="'much' is not understood"):
        imported(source, tmp_path / "new", memory="much")
    (source / "oprninfo.csv").write_bytes("mdtrt_id,手术操作代码\nA1,切\n".encode("gb18030"))
    with pytest.raises(CaseTableError, match="gb18030"):
        imported(source, tmp_path / "new")
    (source / "oprninfo.csv").write_text("x" * 200_000)
    with pytest.raises(CaseTableError, match="cannot be read: field larger"):
        imported(source, tmp_path / "new")
    (source / "oprninfo.csv").unlink()
    write_csv(source, {"diseinfo": [{"mdtrt_id": "A1", "diag_code": "I10.x00"}]})
    with pytest.raises(CaseTableError, match="no maindiag_flag"):
        imported(source, tmp_path / "new")
    (source / "diseinfo.csv").unlink()
    with pytest.raises(CaseTableError, match="there is no diseinfo"):
        imported(source, tmp_path / "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cases", "in"]


def test_a_hundred_thousand_columns_are_looked_through_at_once(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in", lists())
    names = ",".join(f"c{at}" for at in range(100_000))
    (source / "oprninfo.csv").write_text(f"mdtrt_id,oprn_oprt_code,{names}\n")
    layout = load_layout()
    found = open_source(str(source), layout)
    assert len(found.columns["oprninfo"]) == 100_002
