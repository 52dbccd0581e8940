"""A cluster that already runs: found by its address, and its nodes may fall away."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from tests.cluster.region import make_region
from tests.cluster.test_commands import GROUPER
from tests.cluster.test_run_service import tables_of
from tests.cluster.typed import typed

# On loopback and behind a token, and without what the tests of the local runner have set.
ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")} | {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}

# Who starts a run knows the token, and finds out alone that the cluster asks for it.
CALLER = {name: text for name, text in ENVIRONMENT.items() if name != "RAY_AUTH_MODE"}


class Nodes(NamedTuple):
    """Two nodes of one CPU each: their address, and what kills the second one."""

    address: str
    kill: Callable[[], None]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    script = Path(__file__).with_name("nodes.py")
    with (tmp_path_factory.mktemp("ray") / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, script], env=ENVIRONMENT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout
    address = stdout.readline().strip()
    assert address.startswith("127.0.0.1:"), address

    def kill() -> None:
        stdin.write("\n")
        stdin.flush()
        assert stdout.readline() == "killed\n"

    yield Nodes(address, kill)
    process.communicate(timeout=60)


def test_a_cluster_by_its_address(cluster: Nodes, tmp_path: Path) -> None:
    region = make_region(tmp_path / "region", parts=6, rows=500)
    group = ("group", "--scheme", "chs-core", "--cases")
    # The workers stand where the cluster was started, and take relative paths as the caller does.
    ended = subprocess.run(
        [*GROUPER, *group, "region/cases", "--out", "there", "--ray", cluster.address],
        env=CALLER, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    typed(*group, region / "cases", "--out", tmp_path / "here")
    parts = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert len(parts) == 6
    for part in parts:
        there, here = (tmp_path / out / part for out in ("there", "here"))
        assert there.read_bytes() == here.read_bytes()
        assert pq.read_metadata(there).num_rows == 500


def test_a_driver_and_a_node_that_fall_away(cluster: Nodes, tmp_path: Path) -> None:
    region = make_region(tmp_path / "region", parts=20, rows=1000)
    command = [*GROUPER, "rerun", str(region), "--scheme", "chs-core", "--policy"]
    command += ["guigang-points", "--out", str(tmp_path / "disturbed"), "--ray", cluster.address]
    grouped = tmp_path / "disturbed" / "grouped"
    for parts, kill in ((3, None), (8, cluster.kill)):
        run = subprocess.Popen(
            command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while run.poll() is None and len(list(grouped.glob("part-*"))) < parts:
            time.sleep(0.01)
        assert run.poll() is None
        if kill is None:
            run.kill()
            run.communicate()
        else:
            kill()
    told, errors = run.communicate(timeout=200)
    assert run.returncode == 0, errors
    assert "settled (resumed)" in told
    rules = (load_scheme("chs-core"), load_policy("guigang-points"))
    rerun(region, *rules, tmp_path / "undisturbed", LocalRunner())
    assert tables_of(tmp_path / "disturbed") == tables_of(tmp_path / "undisturbed")
