"""Two runs against each other: nothing is explained twice, and nothing left out."""

from __future__ import annotations

import errno
from decimal import Decimal
from pathlib import Path
from unittest import mock

import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook

from grouper.compare import Comparison, compare_runs
from grouper.compare.told import yuan
from grouper.compare.write import write_comparison
from grouper.errors import OutputError
from grouper.report import Run, load_run
from tests.report.conftest import NAMES, command, settle
from tests.test_cli import grouper


@pytest.fixture(scope="module")
def found(run: Run, other: Run) -> Comparison:
    return compare_runs(run, other)


def value_of(run: Run) -> int:
    values = run.table("points").column("value").to_pylist()
    return int(sum(value or Decimal(0) for value in values) * 100)


def test_a_run_against_itself(run: Run) -> None:
    same = compare_runs(run, run)
    assert same.causes == []
    assert same.migration == []
    assert same.differing == []
    assert same.total[4] == same.total[7] == 0
    assert all(row[-1] == row[-2] == 0 for row in same.by_hospital)


def test_every_cut_adds_up_to_the_whole(found: Comparison, run: Run, other: Run) -> None:
    change = value_of(other) - value_of(run)
    assert found.total[7] == change
    assert sum(cause.effect for cause in found.causes) == change
    for rows, at in (
        (found.by_pool, 8),
        (found.by_level, 8),
        (found.by_drg, 8),
        (found.by_hospital, 9),
    ):
        assert sum(row[at] for row in rows) == change
    paid = sum(row[11] for row in found.by_hospital)
    stated = {(row[0], row[1]): row[4] for row in found.statement}
    assert paid == stated["month", "paid"]
    assert sum(row[12] for row in found.by_hospital) == stated["year", "due"]


def test_causes_name_what_was_changed(found: Comparison) -> None:
    kinds = {cause.kind for cause in found.causes}
    assert {"class", "coefficient", "point_value"} <= kinds
    assert not kinds & {"moved", "weight", "route", "cases"}
    assert any(cause.detail == "normal → low" for cause in found.causes)
    levels = {c.detail: c.points for c in found.causes if c.kind == "coefficient"}
    assert levels["3"] < 0 < levels["1"]
    assert "coefficient.kind level → none" in found.differing


def test_points_by_coefficient_against_the_cases(found: Comparison, run: Run, other: Run) -> None:
    """Cases that stay normal lose the coefficient, and nothing else."""
    before, after = run.table("points").to_pylist(), other.table("points").to_pylist()
    changed = sum(
        b["points"] + b["extra_points"] - a["points"] - a["extra_points"]
        for a, b in zip(before, after, strict=True)
        if a["class"] == b["class"] and a["class"] in {"normal", "high"}
    )
    told = sum(c.points for c in found.causes if c.kind in {"coefficient", "rule"})
    others = sum(
        b["points"] + b["extra_points"] - a["points"] - a["extra_points"]
        for a, b in zip(before, after, strict=True)
        if a["class"] == b["class"] and a["class"] not in {"normal", "high", ""}
    )
    assert told == pytest.approx(float(changed + others), abs=0.5)


def test_other_cases_find_each_other_by_id(region: Path, run: Run, tmp_path: Path) -> None:
    """Half of the cases, settled alone: those of the other half stand in one run only."""
    half = tmp_path / "half"
    half.mkdir()
    for path in region.iterdir():
        if path.is_file():
            (half / path.name).write_bytes(path.read_bytes())
    (half / "cases").mkdir()
    for path in sorted((region / "cases").glob("*.parquet")):
        table = pq.read_table(path)
        pq.write_table(table.slice(0, table.num_rows // 2), half / "cases" / path.name)
    reviewed = half / "reviews.csv"
    reviewed.unlink(missing_ok=True)
    less = load_run(settle(half, tmp_path / "run"))
    found = compare_runs(run, less)
    assert not found.same_cases
    assert found.total[0] == sum(run.table("months").column("cases").to_pylist())
    assert found.total[1] == sum(less.table("months").column("cases").to_pylist())
    assert sum(cause.effect for cause in found.causes) == value_of(less) - value_of(run)
    assert "cases" in {cause.kind for cause in found.causes}


def test_another_scheme_moves_cases(region: Path, run: Run, shared: Path, tmp_path: Path) -> None:
    from grouper.execution import open_runner
    from grouper.run import rerun
    from grouper.scheme import load_scheme
    from grouper.settlement.policyfile import load_policy

    runner = open_runner(1, None)
    scheme = load_scheme(shared / "schemes" / "chs_drg_11")
    rerun(region, scheme, load_policy("guigang-points"), tmp_path / "run", runner)
    runner.close()
    found = compare_runs(run, load_run(tmp_path / "run"))
    grouped_a = run.table("grouped").column("drg").to_pylist()
    grouped_b = load_run(tmp_path / "run").table("grouped").column("drg").to_pylist()
    moved = sum((a or "-") != (b or "-") for a, b in zip(grouped_a, grouped_b, strict=True))
    assert found.moved == moved > 0
    assert "moved" in {cause.kind for cause in found.causes}
    assert sum(cause.effect for cause in found.causes) == found.total[7]


def test_the_workbook_and_the_command(run: Run, other: Run, tmp_path: Path) -> None:
    done = grouper("compare", run.folder, other.folder, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "原因" in done.stdout
    assert any(name in done.stdout for name in NAMES)
    book = load_workbook(tmp_path / "out" / "compare.xlsx")
    sheet = book["机构 Hospitals"]
    names = {sheet.cell(row, 1).value for row in range(2, 14)}
    assert set(NAMES) <= names
    assert all(
        sheet.cell(row, 1).data_type == "s" for row in range(2, 14) if sheet.cell(row, 1).value
    )


def test_money_is_told_to_the_fen() -> None:
    assert [yuan(fen) for fen in (0, -5, 123_456, -7_507_295_774_354_704)] == [
        *("0.00", "-0.05", "1,234.56", "-75,072,957,743,547.04"),
    ]


def test_a_comparison_is_written_again_over_an_earlier_one(
    found: Comparison, tmp_path: Path
) -> None:
    page = write_comparison(found, tmp_path)
    first = page.read_bytes()
    assert write_comparison(found, tmp_path).read_bytes() == first


def test_a_comparison_that_was_not_written_whole_is_written_again(
    found: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(Path, "write_bytes", mock.Mock(side_effect=OSError(errno.ENOSPC, "full")))
        with pytest.raises(OutputError, match="cannot be written: full"):
            write_comparison(found, tmp_path)
    assert write_comparison(found, tmp_path).is_file()


def test_a_folder_of_something_else_is_left_alone(found: Comparison, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("x")
    with pytest.raises(OutputError, match="something else"):
        write_comparison(found, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert (tmp_path / "index.html").read_text() == "x"
    done = command("compare", found.a.folder, found.b.folder, "--out", tmp_path)
    assert isinstance(done.exception, OutputError)
    assert not done.output  # before anything is computed
