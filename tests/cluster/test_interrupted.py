"""A run that is stopped at any point goes on, and ends with the bytes of an undisturbed one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from tests.cluster.interrupted import contents
from tests.cluster.region import make_region
from tests.conftest import PROJECT


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_region(tmp_path_factory.mktemp("interrupted") / "region", parts=2, rows=120)


def test_killed_at_many_points_and_after_power_loss(region: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("interrupted.py")
    ended = subprocess.run(
        [sys.executable, script, region, tmp_path, "13"],
        cwd=PROJECT, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [line for line in told if not line["same"]] == []
    kinds = [line["what"].split(":")[0].split(" /")[0] for line in told]
    assert kinds.count("killed") >= 5
    assert "killed often" in kinds
    assert {"all harmed 0", "all harmed 1", "all harmed 2"} <= set(kinds)
    assert {line["ended"] for line in told} <= {"made", "resumed", "verified"}


def _may_mount() -> bool:
    """Whether this user gets a mount namespace of its own."""
    asked = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    return asked.returncode == 0


@pytest.mark.parametrize(("size", "later"), [("200k", "20m"), ("30000", "")])
def test_a_full_disk_is_told_and_the_run_goes_on(
    region: Path, tmp_path: Path, size: str, later: str
) -> None:
    """A disk that has no room, and a system that lets no file grow further."""
    mounted = bool(later)
    if mounted and not _may_mount():
        pytest.skip("a mount namespace of one's own is not allowed here")
    script = Path(__file__).with_name("full.py")
    ended = subprocess.run(
        [*(("unshare", "-rm") if mounted else ()),
         sys.executable, script, region, tmp_path / "disk", size, later],
        cwd=PROJECT, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    (code, _, errors), (again, told, _) = map(json.loads, ended.stdout.splitlines())
    assert code == 1, errors
    assert "cannot be written: " in errors
    assert "make room and give the same command again" in errors
    assert "Traceback" not in errors
    assert (again, "settled (resumed)" in told) == (0, True)
    rules = (load_scheme("chs-core"), load_policy("guigang-points"))
    rerun(region, *rules, tmp_path / "whole", LocalRunner())
    out = tmp_path / "disk-kept" if mounted else tmp_path / "disk" / "run"
    assert contents(out) == contents(tmp_path / "whole")
