"""The same answer, byte for byte, in this process and on Ray."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster.runner import RayRunner
from grouper.bulk import group_files
from grouper.cases import open_cases
from grouper.execution import LocalRunner, Runner
from grouper.grouping import columns_for
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from tests.cluster.region import make_region

SCHEMES = (
    *("changsha_2023", "chs_drg_10", "chs_drg_11"),
    *("fuzhou_2022", "guangxi_2022", "zhejiang_2022"),
)


@pytest.fixture(scope="module")
def ray_runner() -> Iterator[RayRunner]:
    with RayRunner(2) as runner:
        yield runner


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", SCHEMES)
def test_conformance_on_ray(shared: Path, tmp_path: Path, ray_runner: RayRunner, name: str) -> None:
    cases = pq.read_table(shared / "conformance" / f"{name}.parquet")
    given = cases.select([c for c in cases.column_names if not c.startswith("expect_")])
    folder = tmp_path / "cases"
    folder.mkdir()
    for number in range(8):
        piece = given.slice(number * 2500, 2500)
        pq.write_table(piece, folder / f"part-{number}.parquet", row_group_size=1000)
    scheme = load_scheme(shared / "schemes" / name)

    def grouped(runner: Runner, out: Path) -> dict[str, bytes]:
        source = open_cases(folder, wanted=columns_for(scheme))
        group_files(source, scheme, out, runner)
        return bytes_of(out)

    here = grouped(LocalRunner(), tmp_path / "here")
    assert len(here) == 8
    assert grouped(ray_runner, tmp_path / "there") == here
    answers = pa.concat_tables(pq.read_table(tmp_path / "there" / part) for part in sorted(here))
    for column in ("status", "mdc", "adrg", "drg"):
        expected = cases[f"expect_{column}"].to_pylist()
        assert answers[column].to_pylist() == [value or "" for value in expected]


@pytest.mark.parametrize("stage", ["survey", "group", "points", "values"])
def test_a_run_that_loses_workers_gives_the_same_bytes(
    tmp_path: Path, ray_runner: RayRunner, stage: str
) -> None:
    region = make_region(tmp_path / "region", parts=12, rows=500)
    rules = (load_scheme("chs-core"), load_policy("guigang-points"))
    killed: list[int] = []

    def kill(at: str, done: int, total: int) -> None:
        if at == stage and done in (1, 4, 9):
            alive = [pid for pid in ray_runner.crew.pids() if pid not in killed]
            killed.append(alive[0])
            os.kill(killed[-1], signal.SIGKILL)

    rerun(region, *rules, tmp_path / "disturbed", ray_runner, progress=kill)
    rerun(region, *rules, tmp_path / "undisturbed", LocalRunner())
    assert len(set(killed)) == 3
    disturbed, undisturbed = bytes_of(tmp_path / "disturbed"), bytes_of(tmp_path / "undisturbed")
    del disturbed["log.jsonl"], undisturbed["log.jsonl"]
    assert disturbed == undisturbed
