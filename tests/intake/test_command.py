"""`grouper cases …` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
from typer.testing import CliRunner

from grouper.cases import COLUMNS
from grouper.cli.cases import cases_app
from grouper.errors import CaseTableError
from grouper.intake.fields import TABLES
from tests.intake.lists import lists, write_csv


def test_the_command_tells_what_it_understood_and_did(tmp_path: Path) -> None:
    run = CliRunner()
    source = write_csv(tmp_path / "in", lists())
    (source / "diseinfo.csv").rename(tmp_path / "others.csv")
    words = ["import", str(source), "--table", f"diseinfo={tmp_path / 'others.csv'}"]
    tried = run.invoke(cases_app, [*words, "--dry-run"])
    assert tried.exit_code == 0, tried.output
    for told in ("cases by mdtrt_id", "payments of other funds", "[funds]", "J96.000", "1500.30"):
        assert told in tried.output
    done = run.invoke(cases_app, [*words, "--out", str(tmp_path / "cases")])
    assert "2 cases of 2 settlements" in done.output
    assert (tmp_path / "cases" / "part-00000.parquet").is_file()
    told = json.loads((tmp_path / "cases" / "_import.json").read_text("utf-8"))
    assert told["tables"]["diseinfo"]["read"] == 6
    assert told["columns"]["total_cost"] == {
        "from": ["iteminfo.amt"],
        "how": "sum of the fee items",
    }


def test_lists_that_give_no_case_end_with_an_error_and_their_reasons(tmp_path: Path) -> None:
    run, out, tables = CliRunner(), tmp_path / "cases", lists()
    whole = write_csv(tmp_path / "whole", tables)
    strange = [row | {"mdtrt_id": "nobody's"} for row in tables["diseinfo"]]
    words = ["import", str(write_csv(tmp_path / "in", tables | {"diseinfo": strange}))]
    for form in ([], ["--json"]):
        done = run.invoke(cases_app, [*words, *form, "--out", str(out)])
        assert isinstance(done.exception, CaseTableError)
        assert f"{out}/_rejected.parquet" in done.exception.hint
        assert {path.name for path in out.iterdir()} == {"_import.json", "_rejected.parquet"}
        assert pq.read_table(out / "_rejected.parquet")["reason"].to_pylist()[0] == "no_diagnosis"
    assert run.invoke(cases_app, ["import", str(whole), "--out", str(out)]).exit_code == 0
    assert (out / "part-00000.parquet").is_file()


def test_what_alone_gives_no_column_is_told(tmp_path: Path) -> None:
    tables = lists()
    for row in tables["setlinfo"]:
        for name in ("psn_part_amt", "psn_selfpay", "hifp_pay", "setl_end_date"):
            row.pop(name, None)
        row["psn_cash_pay"] = "1"
    tables.pop("payinfo", None)
    source = write_csv(tmp_path / "in", tables)
    done = CliRunner().invoke(cases_app, ["import", str(source), "--dry-run"])
    assert "not used, setlinfo.psn_cashpay alone gives no patient_cash" in done.output
    assert "no column settle_month, which `grouper rerun` needs" in done.output


def test_what_is_not_understood_ends_with_2(tmp_path: Path) -> None:
    run = CliRunner()
    assert run.invoke(cases_app, ["import", str(tmp_path)]).exit_code == 2
    words = ["import", str(tmp_path), "--dry-run", "--table", "diseinfo"]
    assert run.invoke(cases_app, words).exit_code == 2


def test_the_fields_name_the_columns_that_they_give() -> None:
    run = CliRunner()
    rows = json.loads(run.invoke(cases_app, ["fields", "--json"]).output)
    assert [(r["table"], r["field"]) for r in rows] == [
        (table.name, field) for table in TABLES.values() for field in table.fields
    ]
    given = {column for row in rows for column in row["columns"]}
    assert set(COLUMNS) - given <= {"principal_count"}
    assert "诊断代码" in run.invoke(cases_app, ["fields"]).output
