"""From the tables of the interface to cases: every form gives the same, every row is counted."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grouper.cases import open_cases
from grouper.intake.fields import TABLES
from grouper.intake.importing import try_import
from grouper.intake.layout import load_layout
from grouper.intake.sources import open_source
from tests.intake.lists import (
    A2,
    Tables,
    diagnosis,
    documents,
    imported,
    lists,
    settlement,
    write_csv,
    write_json,
    write_parquet,
)


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
