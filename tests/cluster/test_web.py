"""The page to try beside the service: `serve --web`, and the register's runs on it."""

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from cluster.server.config import ServerConfig
from cluster.server.register import Register, Spec, State
from cluster.web import page_beside


def test_the_page_beside_the_service(tmp_path: Path) -> None:
    arguments = ("--listen", "127.0.0.1:0", "--web", "--web-listen", "127.0.0.1:0")
    command = [sys.executable, "-m", "grouper", "serve", *arguments, "--data", str(tmp_path)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("serving on 127.0.0.1:")
        line = process.stdout.readline()
        found = re.fullmatch(r"the page to try: (http://127\.0\.0\.1:\d+/)\n", line)
        assert found, line
        with urllib.request.urlopen(f"{found[1]}en/runs", timeout=30) as answer:
            assert "There is no run yet" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_the_runs_of_the_register(tmp_path: Path) -> None:
    settings = ServerConfig(data=tmp_path, state=tmp_path / "state")
    with page_beside(settings, "127.0.0.1:0", ()) as address:
        register = Register(tmp_path / "state")
        try:
            spec = Spec("r", "chs-core", "p", str(tmp_path / "year <b>2024"))
            record = register.add("one", spec)
            register.begin(record.run_id)
            register.progress(
                record.run_id, stage="group", parts_done=3, parts_total=8, cases_done=1500,
                cases_total=4000, estimated_end=None,
            )  # fmt: skip
            stored = register.add("two", Spec("r", "chs-core", "p", "s3://bucket/drg/stored"))
            register.end(stored.run_id, State.SUCCEEDED)
            with urllib.request.urlopen(f"{address}en/runs", timeout=30) as answer:
                text = answer.read().decode()
            (key,) = re.findall(r'runs/(\w+)">stored<', text)
            with urllib.request.urlopen(f"{address}en/runs/{key}", timeout=30) as answer:
                one = answer.read().decode()
        finally:
            register.close()
    assert "year &lt;b&gt;2024" in text
    assert "group 3/8" in text
    assert "1,500/4,000" in text
    assert 'data-live="yes"' in text
    assert "<code>s3://bucket/drg/stored</code>" in one
    assert "It lies in an object store" in one
