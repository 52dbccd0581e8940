"""The commands as a user types them: `web`, and `serve --web` beside the gRPC port."""

import re
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from grouper.cli import web as web_commands
from grouper.errors import GrouperError
from grouper.web.server import WebServer
from grouper.web.settings import AddressError, Tls, WebSettings

GROUPER = (sys.executable, "-m", "grouper")


@contextmanager
def started(*arguments: str | Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [*GROUPER, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_the_command_opens_a_page_and_ends_when_asked(run: Path) -> None:
    with started("web", "--listen", "127.0.0.1:0", "--run", run) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"open (http://127\.0\.0\.1:\d+/) in a browser; Ctrl-C stops\n", line)
        assert found, line
        with urllib.request.urlopen(f"{found[1]}zh/", timeout=30) as answer:
            assert "run-2024" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
        _, told = process.communicate()
        assert told == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--listen", "8051"], "HOST:PORT"),
        (["--listen", "127.0.0.1:99999"], "HOST:PORT"),
        (["--listen", "127.0.0.1:0", "--tls-cert", "x.pem"], "together"),
        (["--listen", "0.0.0.0:0"], "reached from outside"),
        (["--listen", "example.org:0"], "reached from outside"),
        (["--listen", "127.0.0.1:0", "--scheme", "atlantis"], "atlantis"),
    ],
)
def test_what_the_command_refuses(arguments: list[str], told: str) -> None:
    app = typer.Typer()
    web_commands.register(app)
    ended = CliRunner().invoke(app, arguments, env={"COLUMNS": "300"})
    if isinstance(ended.exception, GrouperError):
        assert told in str(ended.exception)
        assert ended.exception.hint
    else:
        assert ended.exit_code == 2
        assert told in ended.output


def test_a_missing_extra_is_told() -> None:
    code = (
        "import sys\nsys.modules['uvicorn'] = None\nfrom grouper.cli.app import main\n"
        "sys.argv = ['grouper', 'web']\nmain()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert "pip install 'drg-grouper[web]'" in ended.stderr


def test_a_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = WebSettings(host="127.0.0.1", port=taken.getsockname()[1])
        with pytest.raises(AddressError, match="cannot listen"), WebServer(settings):
            pass


def _certificates(folder: Path) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for name in ("server", "client"):
        openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2"),
            *("-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        )


def test_certificates_on_both_sides(tmp_path: Path) -> None:
    _certificates(tmp_path)
    tls = Tls(tmp_path / "server.pem", tmp_path / "server.key", tmp_path / "client.pem")
    settings = WebSettings(host="0.0.0.0", port=0, tls=tls)
    with WebServer(settings) as server:
        assert server.address == f"https://{socket.gethostname()}:{server.port}/"
        context = ssl.create_default_context(cafile=str(tmp_path / "server.pem"))
        url = f"https://127.0.0.1:{server.port}/health"
        with pytest.raises(OSError, match=r"certificate required|alert|reset|closed"):
            urllib.request.urlopen(url, context=context, timeout=30).read()
        context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
        with urllib.request.urlopen(url, context=context, timeout=30) as answer:
            assert answer.read() == b"ok\n"
    with pytest.raises(AddressError, match="there is no file"):
        WebSettings(host="0.0.0.0", port=0, tls=Tls(tmp_path / "x", tmp_path / "x", tmp_path / "x"))
    (tmp_path / "server.key").write_text("no key")
    with pytest.raises(GrouperError, match="certificate cannot be read"), WebServer(settings):
        pass
