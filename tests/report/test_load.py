"""A run folder that is incomplete or altered is said to be so, with the table at fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grouper.errors import RunError
from grouper.report import Run, load_run
from grouper.report.facts import Facts
from grouper.report.load import TABLES


def test_every_table_can_be_read(run: Run) -> None:
    assert set(TABLES) <= set(run.tables)
    assert run.table("cases").num_rows == run.counts["survey"]["cases"]
    assert run.table("hospital_months").column_names[:3] == ["hospital_id", "pool", "month"]
    with pytest.raises(RunError, match="no table 'nothing'"):
        run.table("nothing")


def test_an_altered_table_is_named(copy: Path) -> None:
    path = copy / "months.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(RunError, match=r"table 'months' \(months.parquet was altered\)") as told:
        load_run(copy)
    assert told.value.hint


def test_all_tables_at_fault_are_named(copy: Path) -> None:
    (copy / "clearing.parquet").unlink()
    (copy / "points" / "part-00000.parquet").write_bytes(b"")
    with pytest.raises(RunError) as told:
        load_run(copy)
    assert "table 'clearing' (clearing.parquet is missing)" in told.value.message
    assert "table 'points' (points/part-00000.parquet was altered)" in told.value.message


def test_a_part_that_was_put_beside_is_noticed(copy: Path) -> None:
    part = copy / "points" / "part-00000.parquet"
    (copy / "points" / "part-00099.parquet").write_bytes(part.read_bytes())
    with pytest.raises(RunError, match=r"part-00099\.parquet is not of this run"):
        load_run(copy)


def test_an_unfinished_run_and_no_run(copy: Path, tmp_path: Path) -> None:
    (copy / "manifest.json").unlink()
    with pytest.raises(RunError, match="not a run folder"):
        load_run(copy)
    (copy / ".work").mkdir()
    with pytest.raises(RunError, match="unfinished run"):
        load_run(copy)
    with pytest.raises(RunError, match="no run folder"):
        load_run(tmp_path / "nowhere")


def test_a_run_without_the_names_is_refused_with_what_it_lacks(copy: Path) -> None:
    path = copy / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    manifest["stages"] = [s for s in manifest["stages"] if s["stage"] != "hospitals"]
    path.write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(RunError, match="without the tables hospitals"):
        load_run(copy)


def test_statements_that_contradict_the_cases_make_no_page(copy: Path, run: Run) -> None:
    files = dict(run.files)
    files["hospital_months"] = files["hospital_months"] * 2
    with pytest.raises(RunError, match="hospital_months has"):
        Facts(Run(run.folder, run.manifest, files))
    files = dict(run.files) | {"points": [*run.files["points"], *run.files["points"]]}
    with pytest.raises(RunError, match="not one row for each case"):
        Facts(Run(run.folder, run.manifest, files))
