"""Who may call changes while the server serves: its file is taken up without a restart."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from cluster.channel import Credentials
from cluster.client import Client
from cluster.errors import ConfigError, ServiceError
from cluster.server import app
from cluster.server.config import ServerConfig
from tests.cluster.conftest import serving
from tests.cluster.test_commands import server


def entry(name: str, role: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f'[[principals]]\nname = "{name}"\nrole = "{role}"\ntoken_sha256 = "{digest}"\n'


def status(address: str, token: str) -> str:
    with Client(address, credentials=Credentials(token=token, encrypted=False)) as client:
        try:
            list(client.list_runs())
        except ServiceError as error:
            return error.status
    return "OK"


def wait_for(address: str, token: str, wanted: str) -> None:
    end = time.monotonic() + 10
    while (found := status(address, token)) != wanted:
        assert time.monotonic() < end, found
        time.sleep(0.05)


def test_a_changed_file_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_WATCH_SECONDS", 0.05)
    file = tmp_path / "principals.toml"
    file.write_text(entry("office", "bureau"))
    config = ServerConfig(port=0, data=tmp_path, grace_seconds=1.0, principals_file=file)
    with serving(config) as front:
        address = f"127.0.0.1:{front.port}"
        assert (status(address, "office"), status(address, "new")) == ("OK", "UNAUTHENTICATED")
        with Client(address, credentials=Credentials(token="office", encrypted=False)) as client:
            file.write_text(entry("new", "reader"))
            wait_for(address, "new", "OK")
            with pytest.raises(ServiceError, match="not known"):
                client.schemes()  # a token that was taken away counts no more, also on a connection
        for faulty in ("not toml", "", entry("new", "king")):
            file.write_text(faulty)
            time.sleep(0.2)
            assert status(address, "new") == "OK"
            assert status(address, "office") == "UNAUTHENTICATED"
        file.unlink()
        time.sleep(0.2)
        file.write_text(entry("new", "hospital:H1"))
        wait_for(address, "new", "PERMISSION_DENIED")


def test_a_signal_has_the_file_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "principals.toml"
    file.write_text(entry("office", "bureau"))
    monkeypatch.setenv("GROUPER_SERVER_PRINCIPALS_FILE", str(file))
    with server(tmp_path) as (address, process):
        file.write_text(entry("new", "bureau"))
        os.kill(process.pid, 1)
        wait_for(address, "new", "OK")
        assert process.poll() is None


def test_a_file_that_names_nobody_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / "principals.toml"
    file.write_text("")
    with pytest.raises(ConfigError, match="names nobody"):
        ServerConfig(data=tmp_path, principals_file=file)
