"""serve, submit and demo as a user types them."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.follow import hospital_names
from tests.cluster.interrupted import contents
from tests.cluster.region import make_region
from tests.cluster.typed import typed

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
        below = ("--out", "run", "--scheme", "chs-core", "--policy", "guigang-points", "--follow")
        assert "24 of 24" in typed("submit", "region", *below, "--server", address)
        other = ("--out", tmp_path / "other", "--server", address)
        policy = ("--scheme", "chs-core", "--policy")
        wrong = typed("submit", "elsewhere", *policy, "guigang-points", *other, code=1)
        assert "region: there is no folder elsewhere below the server's data folder" in wrong
        failing = typed(
            "submit", tmp_path / "region", *policy, "no-such", *other, "--follow", code=1
        )
        assert "no-such" in failing
        assert "taken in" not in failing
        late = typed("cancel", ended.stdout.split()[1], "--server", address)
        assert late.endswith("has already succeeded\n")
        second = ("serve", "--listen", address, "--data", tmp_path, "--state", tmp_path / "s")
        told = typed(*second, code=1)
        assert told.startswith(f"error: cannot listen on {address}: Address already in use")
        assert "is another server there?" in told
        same = ("serve", "--listen", "127.0.0.1:0", "--data", tmp_path)
        assert "another server owns the register" in typed(*same, code=1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    logs = [path.read_text() for path in (tmp_path / ".grouper" / "logs").iterdir()]
    assert logs
    assert not re.search(r"K35|I21|J18", "".join(logs))


def test_demo(tmp_path: Path) -> None:
    """On local Ray behind the server, and with the bytes of this process."""
    for told, workers in (("made up 3,000 cases of 5 hospitals", "2"), ("earlier demo", "1")):
        ended = typed(
            "demo", "--out", tmp_path / "demo", "--cases", "3000", "--hospitals", "5",
            "--workers", workers,
        )  # fmt: skip
        assert told in ended
        assert "Hospital statements" in ended
        assert "Accounts that close" in ended
        assert str(tmp_path / "demo" / "run") in ended
    names = ("--scheme", "chs-core", "--policy", "guigang-points", "--out", tmp_path / "here")
    typed("rerun", tmp_path / "demo" / "region", *names)
    assert contents(tmp_path / "here") == contents(tmp_path / "demo" / "run")


def test_nobody_listens() -> None:
    names = ("--scheme", "chs-core", "--policy", "guigang-points", "--out", "run")
    assert "grouper serve" in typed("submit", "region", *names, "--server", "127.0.0.1:9", code=1)


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
    assert told in typed("serve", "--listen", listen, "--data", tmp_path, code=code)


def test_a_scheme_that_is_not_there(tmp_path: Path) -> None:
    told = typed(
        "serve", "--listen", "127.0.0.1:0", "--data", tmp_path, "--scheme", "atlantis", code=1
    )
    assert "chs-core" in told
    assert "serving on" not in told


def test_hospitals_of_a_chinese_excel_are_shown_by_name(tmp_path: Path) -> None:
    table = "hospital_id,name,level\r\nH1,东江医院,2\r\n"
    (tmp_path / "hospitals.csv").write_bytes(table.encode("gb18030"))
    assert hospital_names(tmp_path) == {"H1": "东江医院"}
    assert hospital_names(tmp_path / "none") == {}
