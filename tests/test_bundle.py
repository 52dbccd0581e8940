"""The offline folder installs, and groups, where no network is."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grouper.cachedir import cache_root
from tests.conftest import PROJECT

BUNDLE = PROJECT / "cluster" / "deploy" / "bundle.py"
CASES = "case_id,dx,px\n1,K35.900,47.0901\n"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine's bundle; its wheels come from where this environment's came from."""
    out = tmp_path_factory.mktemp("offline") / "grouper-offline"
    command = [sys.executable, BUNDLE, out, "--extras"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode and not os.environ.get("CI"):
        pytest.skip(f"the wheels cannot be had here: {made.stderr[-300:]}")
    assert made.returncode == 0, made.stderr
    return out


def alone(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with an empty environment and no network."""
    refused = ["unshare", "--user", "--map-root-user", "--net"]
    home = environment.pop("HOME", "/nonexistent")
    # Kernels are kept by what they are made of, so those of this machine serve the new place.
    environment |= {"GROUPER_CACHE": str(cache_root()), "PIP_NO_COMPILE": "1"}
    return subprocess.run(
        [*refused, *map(str, words)],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": home, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_sums_name_every_file_and_no_address(bundle: Path) -> None:
    lines = (bundle / "SHA256SUMS").read_text().splitlines()
    known = dict(reversed(line.split("  ", 1)) for line in lines)
    files = {str(p.relative_to(bundle)): p for p in bundle.rglob("*") if p.is_file()}
    assert set(known) == set(files) - {"SHA256SUMS"}
    assert all(
        hashlib.sha256(files[name].read_bytes()).hexdigest() == known[name] for name in known
    )
    assert "://" not in (bundle / "requirements.lock").read_text()
    assert not list(bundle.glob("wheels/ray-*"))


@pytest.mark.timeout(600)
def test_installs_and_groups_without_a_network(bundle: Path, tmp_path: Path) -> None:
    if alone("true").returncode:
        pytest.skip("this machine lets nobody make a network namespace")
    # The folder is moved, as it would be on its way to another machine.
    moved = tmp_path / "moved"
    shutil.move(bundle, moved)
    base = str(Path(sys.executable).resolve())
    refused = alone(base, "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 2)")
    assert refused.returncode
    installed = alone(moved / "install.sh", tmp_path / "place", PYTHON=base, HOME=str(tmp_path))
    assert installed.returncode == 0, installed.stderr
    (tmp_path / "cases.csv").write_text(CASES)
    out = tmp_path / "grouped.parquet"
    grouped = alone(
        tmp_path / "place" / "bin" / "grouper", "group", "--scheme", "chs-core",
        "--cases", tmp_path / "cases.csv", "--out", out, HOME=str(tmp_path),
    )  # fmt: skip
    assert grouped.returncode == 0, grouped.stderr
    assert "1 case: 1 grouped" in grouped.stdout
    assert (tmp_path / "place" / "share" / "docs" / "service.md").is_file()
    (moved / "LICENSE").write_text("another one")
    altered = alone(moved / "install.sh", tmp_path / "other", PYTHON=base)
    assert altered.returncode == 1
    assert "the folder is not as it was made" in altered.stderr
    assert not (tmp_path / "other").exists()


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    done = subprocess.run(
        [sys.executable, BUNDLE, tmp_path / "out"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "is there already" in done.stderr


@pytest.mark.parametrize("unit", ["grouper.service", "grouper-backup.service"])
def test_units_are_well_formed(unit: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = (PROJECT / "cluster" / "deploy" / "systemd" / unit).read_text()
    # The program is not installed here; everything else is looked at.
    (tmp_path / unit).write_text(text.replace("/opt/grouper/bin/grouper", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
