"""serve, submit and demo as a user types them."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.region import make_region

GROUPER = (sys.executable, "-m", "grouper")


def grouper(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*GROUPER, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )


@contextmanager
def server(data: Path, *arguments: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    command = [*GROUPER, "serve", "--listen", "127.0.0.1:0", "--data", str(data), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.match(r"serving on (127\.0\.0\.1:\d+), ", line)
    try:
        assert found, line
        yield found[1], process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def submit(data: Path, address: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    names = ["--scheme", "chs-core", "--policy", "guigang-points", "--out", str(data / "run")]
    return grouper("submit", data / "region", *names, "--server", address, *arguments)


def test_submit_and_follow(tmp_path: Path) -> None:
    make_region(tmp_path / "region", parts=2)
    with server(tmp_path) as (address, process):
        ended = submit(tmp_path, address, "--follow", "--request-id", "once")
        assert ended.returncode == 0, ended.stderr
        assert "stage values" in ended.stderr
        assert all(f"H{number}" in ended.stdout for number in range(4))
        assert all(f"Hospital {number}" in ended.stdout for number in range(4))
        assert "24 of 24" in ended.stdout
        again = submit(tmp_path, address, "--request-id", "once")
        assert again.stdout.split()[1] == ended.stdout.split()[1]
        wrong = grouper(
            *("submit", "elsewhere", "--scheme", "chs-core", "--policy", "guigang-points"),
            *("--out", tmp_path / "other", "--server", address),
        )
        assert wrong.returncode == 1
        assert "spec.region: no such folder below the data folder" in wrong.stderr
        failing = grouper(
            *("submit", tmp_path / "region", "--scheme", "chs-core", "--policy", "no-such"),
            *("--out", tmp_path / "other", "--server", address, "--follow"),
        )
        assert failing.returncode == 1
        assert "no-such" in failing.stderr
        second = grouper(
            "serve", "--listen", address, "--data", tmp_path, "--state", tmp_path / "s"
        )
        assert second.returncode == 1
        assert "is another server there?" in second.stderr
        same = grouper("serve", "--listen", "127.0.0.1:0", "--data", tmp_path)
        assert same.returncode == 1
        assert "another server owns the register" in same.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    logs = [path.read_text() for path in (tmp_path / ".grouper" / "logs").iterdir()]
    assert logs
    assert not re.search(r"K35|I21|J18", "".join(logs))


def test_demo(tmp_path: Path) -> None:
    for told in ("made up 3,000 cases of 5 hospitals", "is there from an earlier demo"):
        ended = grouper("demo", "--out", tmp_path / "demo", "--cases", "3000", "--hospitals", "5")
        assert ended.returncode == 0, ended.stderr
        assert told in ended.stdout
        assert "Hospital statements" in ended.stdout
        assert "Accounts that close" in ended.stdout
        assert str(tmp_path / "demo" / "run") in ended.stdout


def test_nobody_listens() -> None:
    ended = submit(Path(), "127.0.0.1:9")
    assert ended.returncode == 1
    assert "grouper serve" in ended.stderr


@pytest.mark.parametrize(
    ("listen", "code", "told"),
    [
        ("50051", 2, "HOST:PORT"),
        ("127.0.0.1:99999", 2, "HOST:PORT"),
        ("0.0.0.0:0", 1, "without encryption"),
        ("example.org:0", 1, "without encryption"),
    ],
)
def test_where_a_server_may_listen(tmp_path: Path, listen: str, code: int, told: str) -> None:
    ended = grouper("serve", "--listen", listen, "--data", tmp_path)
    assert (ended.returncode, told in ended.stderr) == (code, True), ended.stderr


def test_a_scheme_that_is_not_there(tmp_path: Path) -> None:
    ended = grouper("serve", "--listen", "127.0.0.1:0", "--data", tmp_path, "--scheme", "atlantis")
    assert ended.returncode == 1
    assert "chs-core" in ended.stderr
    assert not ended.stdout
