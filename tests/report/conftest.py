"""A settled region whose hospitals have the names that break careless pages."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from grouper.cli import report as commands
from grouper.execution import open_runner
from grouper.report import Run, load_run
from grouper.report.write import write_report
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from grouper.synth import synthesize

NAMES = (
    '"Ren\'ai" <b>Hospital</b> & Branch',
    '=HYPERLINK("http://example.invalid","click")',
    "</script><script>window.hacked=1</script>",
    "@SUM(1+1)",
    "长沙市第一人民医院",
)
WICKED_ID = "../H<1>"
WHAT_IF = """
extends = "guigang-points"
id = "what-if"
[low]
ratio = 0.5
[coefficient]
kind = "none"
[quality]
report = false
"""


def command(*words: object) -> Result:
    """A command about runs in this process; an error of the engine is its exception."""
    app = typer.Typer()
    commands.register(app)
    return CliRunner().invoke(app, [str(word) for word in words], env={"NO_COLOR": "1"})


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 hospitals and 6,000 cases; the first hospital's id is no file name."""
    folder = tmp_path_factory.mktemp("report") / "region"
    synthesize(load_scheme("chs-core"), cases=6_000, hospitals=12, seed=5, out=folder, reviews=True)
    first = _rename_hospitals(folder / "hospitals.csv")
    for name in ("deductions.csv", "payments.csv"):
        path = folder / name
        if path.is_file():
            path.write_text(path.read_text("utf-8").replace(f"{first},", f"{WICKED_ID},"), "utf-8")
    for path in sorted((folder / "cases").glob("*.parquet")):
        table = pq.read_table(path)
        place = table.schema.get_field_index("hospital_id")
        ids = table.column(place).cast(pa.string())
        ids = pc.if_else(pc.equal(ids, first), WICKED_ID, ids)
        pq.write_table(table.set_column(place, "hospital_id", ids), path)
    return folder


def _rename_hospitals(path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    first = rows[0]["hospital_id"]
    rows[0]["hospital_id"] = WICKED_ID
    for row, name in zip(rows, NAMES, strict=False):
        row["name"] = name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return first


def settle(region: Path, out: Path, policy: str | Path = "guigang-points") -> Path:
    runner = open_runner(1, None)
    try:
        rerun(region, load_scheme("chs-core"), load_policy(str(policy)), out, runner)
    finally:
        runner.close()
    return out


@pytest.fixture(scope="session")
def folder(region: Path) -> Path:
    """The run folder; tests that alter it take a `copy`."""
    return settle(region, region.parent / "run")


@pytest.fixture(scope="session")
def run(folder: Path) -> Run:
    return load_run(folder)


@pytest.fixture(scope="session")
def other(region: Path) -> Run:
    """The same cases under another policy."""
    policy = region.parent / "what-if.toml"
    policy.write_text(WHAT_IF, encoding="utf-8")
    return load_run(settle(region, region.parent / "other", policy))


@pytest.fixture(scope="session")
def report(run: Run) -> Path:
    return write_report(run).folder


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A run folder of its own, without a report."""
    target = tmp_path / "copy"
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("report"))
    return target
