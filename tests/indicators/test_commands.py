"""`grouper quality`, `indicators`, `supervise` and `sample` as a user types them."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from grouper.cli import quality as quality_commands
from grouper.errors import PolicyError, RunError
from grouper.report import Run

app = typer.Typer()
quality_commands.register(app)


def run_words(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_quality_of_a_region(region: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = run_words("quality", region, "--scheme", "chs-core", "--out", out)
    assert "4,000 cases of 5 hospitals and of 1 that the region does not know" in text
    assert "not evaluated: ventilation_differs (no column vent_hours)" in text
    names = pq.read_table(out / "scores.parquet").column("name").to_pylist()
    assert any(names)


def test_quality_of_plain_cases(region: Path, tmp_path: Path) -> None:
    text = run_words("quality", region / "cases", "--scheme", "chs-core", "--out", tmp_path / "out")
    assert "duplicate_id" in text


def test_a_policy_may_not_name_an_unknown_rule(region: Path, tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text('extends = "guigang-points"\nid = "p"\nreject = ["los_difers"]\n')
    with pytest.raises(PolicyError, match="no data-quality rule 'los_difers'") as caught:
        run_words(
            "quality", region, "--scheme", "chs-core", "--out", tmp_path / "out", "--policy", policy
        )
    assert "los_differs" in str(caught.value)


def test_indicators(run: Run, other: Run, tmp_path: Path) -> None:
    assert "cmi" in run_words("indicators", run.folder)
    text = run_words(
        "indicators", run.folder, "--before", other.folder, "--policy", "beihai-monitoring",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert "+0.00 %" in text
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "changes.parquet", "indicators.parquet",
    }  # fmt: skip


def test_supervise_and_sample(run: Run, region: Path, tmp_path: Path) -> None:
    text = run_words("supervise", run.folder, "--region", region, "--out", tmp_path / "out")
    assert "split_admission" in text
    assert "not evaluated: edited (no version)" in text
    path = tmp_path / "sample.csv"
    text = run_words("sample", run.folder, "--share", "0.2", "--seed", "4", "--out", path)
    assert f"stays written to {path}" in text
    assert len(path.read_text().splitlines()) > 700


def test_a_share_that_is_no_number(run: Run) -> None:
    result = CliRunner().invoke(app, ["sample", str(run.folder), "--share", "much"])
    assert result.exit_code == 2
    assert "is not a share such as 0.1" in result.output


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run folder"):
        run_words("indicators", tmp_path / "nowhere")
