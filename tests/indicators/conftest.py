"""A settled region, the same one in other parts, and its stays as plain rows."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grouper.execution import LocalRunner
from grouper.report import Run, load_run
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from grouper.synth import synthesize


def settle(region: Path, out: Path) -> Run:
    rerun(region, load_scheme("chs-core"), load_policy("guigang-points"), out, LocalRunner())
    return load_run(out)


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("indicators") / "region"
    synthesize(load_scheme("chs-core"), cases=4_000, hospitals=5, seed=9, out=folder, reviews=True)
    _crowd(folder / "cases" / "part-00000.parquet")
    return folder


def _crowd(path: Path) -> None:
    """Fewer persons, so that people come back, and days of upload."""
    table = pq.read_table(path)
    chance = random.Random(1)
    persons = [f"P{chance.randrange(900)}" for _ in range(table.num_rows)]
    persons[3] = None
    late = [chance.choice([5, 40, 90, None]) for _ in persons]
    days = table.column("discharge_date").cast(pa.int32()).to_pylist()
    upload = [None if n is None else day + n for day, n in zip(days, late, strict=True)]
    table = table.set_column(
        table.schema.get_field_index("person_id"), "person_id", pa.array(persons)
    )
    pq.write_table(
        table.append_column("upload_date", pa.array(upload, pa.int32()).cast(pa.date32())), path
    )


@pytest.fixture(scope="session")
def run(region: Path) -> Run:
    return settle(region, region.parent / "run")


@pytest.fixture(scope="session")
def other(region: Path) -> Run:
    """The same cases in another order and other parts."""
    folder = region.parent / "other"
    shutil.copytree(region, folder)
    path = folder / "cases" / "part-00000.parquet"
    table = pq.read_table(path)
    order = list(range(table.num_rows))
    random.Random(4).shuffle(order)
    table = table.take(pa.array(order))
    path.unlink()
    for i in range(3):
        part = table.slice(i * 1500, 1500)
        pq.write_table(part, folder / "cases" / f"p{i}.parquet", row_group_size=333)
    return settle(folder, region.parent / "other-run")


@pytest.fixture(scope="session")
def rows(run: Run) -> list[dict[str, Any]]:
    """The cases of route ``drg`` with everything that the run says of them."""
    tables = [run.table(name).to_pylist() for name in ("cases", "grouped", "points")]
    levels = {row["hospital_id"]: row["level"] for row in run.table("hospitals").to_pylist()}
    weights = {row["drg"]: row["weight"] for row in run.table("benchmarks").to_pylist()}
    found = []
    for case, group, points in zip(*tables, strict=True):
        if points["route"] == "drg":
            more = {"level": levels[case["hospital_id"]], "weight": weights.get(group["drg"])}
            found.append(case | group | points | more)
    return found
