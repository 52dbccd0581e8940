"""Settings by file and environment, `grouper doctor`, and the commands for a running server."""

import re
import urllib.request
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer

from cluster import errors, remote
from cluster.doctor import doctor
from cluster.errors import ConfigError, ServiceError
from cluster.server.config import Limits, ServerConfig, TlsFiles, load_config
from cluster.server.metrics import Metrics
from cluster.server.register import Register
from grouper import errors as engine_errors
from grouper.errors import GrouperError
from tests.cluster.certificates import Authority
from tests.cluster.region import make_region
from tests.cluster.test_commands import server, submit
from tests.conftest import PROJECT


def test_the_later_source_wins(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text('listen = "127.0.0.1:1"\nworkers = 2\n[limits]\nstreams = 3\nburst = 4\n')
    environment = {
        "GROUPER_SERVER_WORKERS": "5",
        "GROUPER_SERVER_LIMITS__STREAMS": "6",
        "GROUPER_SERVER_SCHEMES": "chs-core,other",
        "GROUPER_CACHE": "elsewhere",
    }
    config = load_config(file, environment, {"listen": "127.0.0.1:7", "data": tmp_path})
    assert (config.port, config.workers) == (7, 5)
    assert (config.limits.streams, config.limits.burst) == (6, 4)
    assert config.schemes == ("chs-core", "other")
    assert config.state == tmp_path / ".grouper"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("wokers = 2", "wokers"),
        ("workers = 0", "workers"),
        ('limits = {streams = "many"}', "limits.streams"),
        ('listen = "nowhere"', ""),
        ('data = "/no/such/folder"', "data"),
        ('traces = "ftp://host"', "traces"),
        ('metrics = "9464"', "metrics"),
        ('buckets = ["bucket"]', "buckets"),
        ('[[principals]]\nname = "a"\nrole = "bureau"', "principals.0"),
        ('[[principals]]\nname = "a"\nrole = "king"\nsubject = "a"', "principals.0.role"),
        ('[[principals]]\nname = "a"\nrole = "bureau"\nsubject = "a"', "principals"),
        (
            2 * f'[[principals]]\nname = "a"\nrole = "bureau"\ntoken_sha256 = "{"0" * 64}"\n',
            "principals",
        ),
        ('principals_file = "/no/such/file"', ""),
        ("not toml", ""),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, text: str, key: str) -> None:
    file = tmp_path / "server.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file, {}, {})
    assert caught.value.key == key
    assert caught.value.message


def test_a_doctor_finds_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority = Authority(tmp_path, "root")
    pair, old = authority.sign("localhost", days=90), authority.sign("localhost", days=-1)
    settings = tmp_path / "server.toml"
    text = f'data = "{tmp_path}"\n[tls]\ncertificate = "{{}}"\nkey = "{{}}"\n'
    settings.write_text(text.format(pair.certificate, pair.key))
    with closing(Register(tmp_path / ".grouper")):
        doctor(settings)
    told = capsys.readouterr().out
    assert "certificate good for" in told
    assert "a server works with the register" in told
    assert "FAULT" not in told
    settings.write_text(text.format(old.certificate, old.key))
    with pytest.raises(typer.Exit) as caught:
        doctor(settings, "127.0.0.1:9")
    assert caught.value.exit_code == 1
    told = capsys.readouterr().out
    assert re.search(r"FAULT +settings .*ran out", told)
    assert re.search(r"FAULT +server ", told)
    assert "grouper serve" in told
    settings.write_text("schemas = []")
    with pytest.raises(typer.Exit):
        doctor(settings)
    assert f"{settings}: schemas: " in capsys.readouterr().out


def test_commands_for_a_running_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    region = make_region(tmp_path / "region", parts=1)
    monkeypatch.setenv("GROUPER_SERVER_TRACES", f"file:{tmp_path / 'spans.jsonl'}")
    with server(tmp_path, "--metrics", "127.0.0.1:0") as (address, _):
        run_id = submit(tmp_path, address).stdout.split()[1]
        remote.watch(run_id, address)
        assert "Hospital statements" in capsys.readouterr().out
        remote.runs(address)
        assert re.search(rf"{run_id}  succeeded", capsys.readouterr().out)
        remote.fetch(run_id, "clearing", tmp_path / "c.parquet", address)
        assert pq.read_table(tmp_path / "c.parquet").equals(
            pq.read_table(tmp_path / "run" / "clearing.parquet")
        )
        remote.cancel(run_id, address)
        (region / "cases.csv").write_text("case_id,dx\n1,K35.900|I10.x00\n2,no such code\n")
        for cases, rows in ((region / "cases", 1000), (region / "cases.csv", 2)):
            remote.send(cases, tmp_path / "sent.parquet", server=address)
            sent = pq.read_table(tmp_path / "sent.parquet")
            assert sent.num_rows == rows
        assert sent["status"].to_pylist() == ["grouped", "ungrouped"]
        with pytest.raises(ServiceError, match="no run"):
            remote.fetch("nothing", "clearing", tmp_path / "n.parquet", address)
        assert not list(tmp_path.glob(".n.parquet*"))
    assert (tmp_path / "spans.jsonl").stat().st_size


def test_metrics_over_http(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.grouped("chs-core", {"grouped": 2, "invalid": 1, "unknown_dx": 3})
    scrapes = metrics.serve("127.0.0.1:0")
    try:
        port = scrapes.server_address[1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read().decode()
        with pytest.raises(ConfigError, match="cannot listen"):
            metrics.serve(f"127.0.0.1:{port}")
    finally:
        scrapes.shutdown()
        scrapes.server_close()
    assert 'drg_cases_total{scheme="chs-core",status="grouped"} 2.0' in text
    assert 'drg_unknown_codes_total{list="dx",scheme="chs-core"} 3.0' in text


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_reason_of_the_service_is_listed(name: str) -> None:
    text = (PROJECT / name).read_text(encoding="utf-8")
    ours = {
        value
        for module in (errors, engine_errors)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, GrouperError)
    }
    reasons = {kind.code for kind in ours} - {"ERROR", "SERVICE"}  # a base, and the client's own
    assert {reason for reason in reasons if f"`{reason}`" not in text} == set()


def test_every_setting_is_told() -> None:
    text = (PROJECT / "docs" / "service.md").read_text(encoding="utf-8")
    keys = {*ServerConfig.model_fields} - {"host", "port", "limits", "tls"} | {"listen"}
    keys |= {f"limits.{key}" for key in Limits.model_fields}
    keys |= {f"tls.{key}" for key in TlsFiles.model_fields}
    assert {key for key in keys if f"`{key}`" not in text} == set()
