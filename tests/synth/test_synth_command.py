"""`grouper synth` as a user types it."""

from __future__ import annotations

from pathlib import Path

import typer
from typer.testing import CliRunner

from grouper.cli import synth as synth_commands

app = typer.Typer()
synth_commands.register(app)
app.command()(lambda: None)  # with one command only, typer would not expect its name


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["synth", "--scheme", "chs-core", *words])
    return result.exit_code, result.output


def test_it_says_what_was_made(tmp_path: Path) -> None:
    out = tmp_path / "region"
    code, text = run("--cases", "400", "--hospitals", "5", "--seed", "2", "--out", str(out))
    assert code == 0
    assert "400 cases (2 of them faulty) of 5 hospitals" in text
    assert f"written to {out}" in text
    assert (out / "cases" / "part-00000.parquet").exists()
    assert not (out / "reviews.csv").exists()


def test_options_bring_the_further_tables(tmp_path: Path) -> None:
    out = tmp_path / "region"
    code, text = run(
        *("--cases", "400", "--hospitals", "5", "--out", str(out)),
        *("--reviews", "--history", "1", "--cities", "2", "--year", "2023"),
    )
    assert code == 0
    assert "pool Dongjiang/employee" in text
    assert (out / "history" / "2022-part-00000.parquet").exists()
    assert (out / "reviews.csv").exists()


def test_misuse_ends_with_2(tmp_path: Path) -> None:
    assert run("--cases", "0", "--hospitals", "5", "--out", str(tmp_path / "r"))[0] == 2
    assert run("--hospitals", "5", "--out", str(tmp_path / "r"))[0] == 2
