"""From the tables of the interface to cases: every form gives the same, every row is counted."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grouper.cases import open_cases
from grouper.errors import CaseTableError, OutputError
from grouper.intake.fields import TABLES
from grouper.intake.importing import try_import
from grouper.intake.layout import load_layout
from grouper.intake.sources import open_source
from tests.intake.lists import (
    Tables,
    diagnosis,
    documents,
    icu,
    imported,
    lists,
    settlement,
    write_csv,
    write_json,
    write_parquet,
)

A2 = {
    "case_id": "A2",
    "person_id": "PA2",
    "hospital_id": "H1",
    "insurance": "employee",
    "city": "450800",
    "settle_month": "2024-03",
    "admission_date": date(2024, 3, 1),
    "discharge_date": date(2024, 3, 5),
    "admission_time": datetime(2024, 3, 1, 10),  # noqa: DTZ001
    "discharge_time": datetime(2024, 3, 5, 9, 30),  # noqa: DTZ001
    "sex": 1,
    "age": 56,
    "age_days": None,
    "weight": None,
    "los": 4,
    "discharge": 1,
    "dept": "A03",
    "icu_hours": 12,
    "vent_hours": 26,
    "dx": ["I63.900", "I10.x00", "J96.000"],
    "principal_count": 1,
    "px": ["36.0601", "38.9300"],
    "total_cost": Decimal("1500.30"),
    "self_pay": Decimal("50.50"),
    "patient_cash": Decimal("200.30"),
    "fund_paid": Decimal("1300.00"),
    "other_funds": Decimal("49.80"),
    "items_total": Decimal("1500.30"),
    "surgery_fee": Decimal("500.20"),
    "upload_date": date(2024, 3, 7),
    "px_dates": [date(2024, 3, 3), date(2024, 3, 2)],
}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, object]], bytes]:
    folder = tmp_path_factory.mktemp("first")
    cases, _, _ = imported(write_csv(folder / "in", lists()), folder / "cases")
    return cases, (folder / "cases" / "part-00000.parquet").read_bytes()


def test_every_field_comes_out_exact(first: tuple[list[dict[str, object]], bytes]) -> None:
    infant, grown = first[0]
    assert grown == A2
    told = {name: infant[name] for name in ("case_id", "sex", "age", "age_days", "weight", "px")}
    assert told == {
        "case_id": "A1", "sex": 2, "age": 0, "age_days": 12, "weight": 3201, "px": [],
    }  # fmt: skip
    assert (infant["insurance"], infant["icu_hours"]) == ("resident", 0)
    assert infant["fund_paid"] == Decimal("0.00")


def _workbook(path: Path, tables: Tables) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    names = {table.name: table.zh for table in TABLES.values()}
    for name, rows in tables.items():
        sheet = book.create_sheet(names[name])
        sheet.append(list(rows[0]))
        for row in rows:
            cells = [datetime.fromisoformat(v) if k == "adm_time" else v for k, v in row.items()]
            sheet.append(cells)
    book.create_sheet("remarks")
    book.save(path)
    return path


@pytest.mark.parametrize("form", ["gb18030", "parquet", "xlsx", "array", "lines", "folder"])
def test_every_form_gives_the_same_bytes(
    form: str, first: tuple[list[dict[str, object]], bytes], tmp_path: Path
) -> None:
    source, options = tmp_path / "in", {}
    match form:
        case "gb18030":
            write_csv(source, lists(), "gb18030")
            options = {"encoding": "gb18030"}
        case "parquet":
            write_parquet(source, lists())
        case "xlsx":
            source = _workbook(tmp_path / "lists.xlsx", lists())
        case "array":
            source = write_json(tmp_path / "lists.json", documents(lists()))
        case "lines":
            source = tmp_path / "lists.jsonl"
            for number, one in enumerate(documents(lists())):
                write_json(tmp_path / f"{number}.part", one)
            parts = [p.read_text("utf-8") for p in sorted(tmp_path.glob("*.part"))]
            source.write_text("\n\n".join(parts), "utf-8")
        case "folder":
            source.mkdir()
            for number, one in enumerate(documents(lists())):
                write_json(source / f"{number}.json", one["input"])
    cases, rejected, done = imported(source, tmp_path / "cases", **options)
    assert cases == first[0]
    assert rejected == []
    assert (tmp_path / "cases" / "part-00000.parquet").read_bytes() == first[1]
    assert done.counts["diseinfo"].left_out == 2
    assert {p.name[0] for p in tmp_path.iterdir()} & {"."} == set(), "nothing temporary stays"
    assert open_cases(tmp_path / "cases").rows == 2, "what stands beside the parts is no case"


def test_typed_columns_and_another_split_give_the_same_bytes(
    first: tuple[list[dict[str, object]], bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "in" / "setlinfo"
    folder.mkdir(parents=True)
    tables = lists()
    main = tables.pop("setlinfo")
    write_parquet(tmp_path / "in", {n: rows[::-1] for n, rows in tables.items() if n != "diseinfo"})
    write_csv(tmp_path / "in", {"diseinfo": tables["diseinfo"]})
    for number, row in enumerate(main):
        typed = row | {
            "adm_time": datetime.fromisoformat(row["adm_time"]),
            "setl_end_date": date.fromisoformat(row["setl_end_date"]),
            "gend": 1 if row["gend"] == "1" else 2,
            "psn_selfpay": Decimal(row["psn_selfpay"]),
            "psn_ownpay": float(row["psn_ownpay"]),
            "age": float(row["age"]) if row["age"] else None,
        }
        rows = pa.Table.from_pylist([typed])
        pq.write_table(rows.append_column("more", pa.array([1])), folder / f"{number}.parquet")
    cases, _, done = imported(tmp_path / "in", tmp_path / "cases", threads=1)
    assert cases == first[0]
    assert (tmp_path / "cases" / "part-00000.parquet").read_bytes() == first[1]
    assert done.understood.unused["setlinfo"] == ["more"]


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


def test_what_a_killed_import_left_is_taken_away(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in", lists())
    left = tmp_path / ".cases.0badcafe"
    left.mkdir()
    (left / "work.duckdb").write_bytes(b"half")
    (left / ".lock").touch()
    (tmp_path / ".cases.mine").mkdir()
    imported(source, tmp_path / "cases")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".cases.mine", "cases", "in"]


def test_versions_of_a_list_are_cases_of_their_own(tmp_path: Path) -> None:
    tables = {
        "setlinfo": [
            settlement("A1", version="2"),
            settlement("A1", version="1"),
            settlement("A2", version="1"),
            settlement("A2", version="1", age="57"),
        ],
        "diseinfo": [
            diagnosis("A1", "I10.x00", "1") | {"version": "1"},
            diagnosis("A1", "I11.900", "1") | {"version": "2"},
            diagnosis("A2", "I11.900", "1") | {"version": "1"},
        ],
    }
    cases, rejected, _ = imported(write_csv(tmp_path / "in", tables), tmp_path / "cases")
    assert [(c["case_id"], c["version"], c["dx"]) for c in cases] == [
        ("A1", 1, ["I10.x00"]),
        ("A1", 2, ["I11.900"]),
    ]
    assert {r["reason"] for r in rejected} == {"conflicting_versions"}
    tables["diseinfo"] = [diagnosis("A1", "I10.x00", "1"), diagnosis("A2", "I10.x00", "1")]
    _, rejected, _ = imported(write_csv(tmp_path / "in2", tables), tmp_path / "cases2")
    told = [(r["case_id"], r["reason"]) for r in rejected if r["table"] == "setlinfo"]
    assert told[0] == ("A1", "ambiguous_version")


def test_a_layout_names_columns_codes_and_files(tmp_path: Path) -> None:
    main = [
        {"序号": "1", "JZ": "A1", "清单": "L1", "险": "城镇", "性别": "F", "总费用": "10.00"},
        {"序号": "2", "JZ": "A2", "清单": "L2", "险": "310", "性别": "男", "总费用": "20.00"},
    ]
    rows = [{"清单": "L1", "诊断代码": "I10.x00"}, {"清单": "L2", "诊断代码": "I11.900"}]
    rows.insert(1, {"清单": "L1", "诊断代码": "A00.000"})
    write_csv(tmp_path / "in", {"main": main, "dx-2024": rows})
    path = tmp_path / "layout.toml"
    path.write_text(
        'case_id = "mdtrt_id"\njoin = "setl_id"\nprincipal = "first"\n'
        '[insurance]\n"城镇" = "resident"\n[values.gend]\nF = "2"\n'
        '[tables.setlinfo]\nfile = "main.csv"\n'
        '[tables.setlinfo.columns]\nmdtrt_id = "JZ"\nsetl_id = "清单"\ninsutype = "险"\n'
        '[tables.diseinfo]\nfile = "dx-*.csv"\n[tables.diseinfo.columns]\nsetl_id = "清单"\n',
        "utf-8",
    )
    layout = load_layout(path)
    cases, _, done = imported(tmp_path / "in", tmp_path / "cases", layout)
    assert [(c["case_id"], c["insurance"], c["sex"], c["dx"]) for c in cases] == [
        ("A1", "resident", 2, ["I10.x00", "A00.000"]),
        ("A2", "employee", 1, ["I11.900"]),
    ]
    assert done.understood.join == "setl_id"
    assert done.understood.unused["setlinfo"] == ["序号"]


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


def test_a_trial_reads_ten_cases_and_keeps_nothing(tmp_path: Path) -> None:
    tables = lists()
    tables["setlinfo"] += [settlement(f"D{n:02}") for n in range(20)]
    tables["diseinfo"] += [diagnosis(f"D{n:02}", "I10.x00", "1") for n in range(20)]
    layout = load_layout()
    for source in (
        write_csv(tmp_path / "in", tables),
        write_json(tmp_path / "lists.json", documents(tables)),
    ):
        tried = try_import(open_source(str(source), layout), layout, tmp_path)
        assert tried.shown is not None
        assert tried.shown.column("case_id").to_pylist() == ["A1", "A2"] + [
            f"D{n:02}" for n in range(8)
        ]
        assert tried.counts["diseinfo"].used == 12
        assert tried.understood.absent["setlinfo"] == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "lists.json"]


def test_cells_are_read_as_in_the_csv_files_of_cases(tmp_path: Path) -> None:
    tables = lists()
    tables["setlinfo"][0] |= {
        "adm_time": "2024.3.1 10:00",
        "dscg_time": "２０２４／３／５ 9:30:00",
        "setl_end_date": "２０２４年３月６日",
        "dcla_time": "20240307 8:00",
        "insutype": "３１０",
        "age": "５６",
        "nwb_age": "－",
        "act_ipt_days": "\u200b4.0",
        "vent_used_dura": "１／２／３０",
        "psn_selfpay": "￥100.00",
        "psn_ownpay": "50.5 元",
    }
    tables["setlinfo"][1]["nwb_bir_wt"] = "3,201"
    tables["diseinfo"][2] |= {"diag_code": "Ｉ６３.900", "maindiag_flag": "１"}
    tables["oprninfo"][0]["oprn_oprt_date"] = "2024.3.2"
    tables["iteminfo"][0]["amt"] = "１，０００．１０"
    tables["payinfo"][0]["fund_payamt"] = "1,300元"
    cases, rejected, _ = imported(write_csv(tmp_path / "in", tables), tmp_path / "cases")
    assert rejected == []
    assert cases[1] == A2
    assert cases[0]["weight"] == 3201


def test_what_may_mean_two_things_is_no_value(tmp_path: Path) -> None:
    refused = {
        "adm_time": [
            *("2024111", "24.1.20", "20.1.2024", "epoch", "infinity", "-2024-01-05"),
            *("2024-01-05 (BC)", "2024-01-05 08:30:00 UTC"),
        ],
        "psn_selfpay": ["1.2万元", "1,00元", "1e20"],
        "act_ipt_days": ["4元", "NaN"],
    }
    cells = [(field, text) for field, texts in refused.items() for text in texts]
    rows = [settlement(f"E{at:02}", **{field: text}) for at, (field, text) in enumerate(cells)]
    source = write_csv(tmp_path / "in", lists() | {"setlinfo": rows})
    _, rejected, _ = imported(source, tmp_path / "cases")
    assert [(r["reason"], r["detail"]) for r in rejected[: len(rows)]] == [
        ("unreadable", f"{field}={text}") for field, text in cells
    ]


def test_numbers_that_no_column_holds_are_unreadable(tmp_path: Path) -> None:
    """Of a stay that is told by its days alone, the days that no column holds are none."""
    faults = {"age": "99999", "act_ipt_days": "40000", "gend": "300", "dscg_way": "999"}
    tables = lists()
    tables["setlinfo"] += [settlement(f"F{name}", **{name: text}) for name, text in faults.items()]
    cases, rejected, _ = imported(write_csv(tmp_path / "in", tables), tmp_path / "cases")
    assert {case["case_id"] for case in cases} == {"A1", "A2"}
    told = {row["detail"] for row in rejected if row["table"] == "setlinfo"}
    assert told == {f"{name}={text}" for name, text in faults.items()}
    for row in tables["setlinfo"]:
        del row["act_ipt_days"]
    tables["setlinfo"][0]["dscg_time"] = "9999-12-31"
    cases, _, _ = imported(write_csv(tmp_path / "in", tables), tmp_path / "again")
    assert {case["case_id"]: case["los"] for case in cases}["A2"] is None


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


def test_a_hundred_thousand_columns_are_looked_through_at_once(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in", lists())
    names = ",".join(f"c{at}" for at in range(100_000))
    (source / "oprninfo.csv").write_text(f"mdtrt_id,oprn_oprt_code,{names}\n")
    layout = load_layout()
    found = open_source(str(source), layout)
    assert len(found.columns["oprninfo"]) == 100_002
