"""Runs over the wire: started, watched, cancelled, interrupted, and read."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster.client import Client
from cluster.drg.v1 import run_service_pb2
from cluster.errors import ServiceError
from cluster.server.config import ServerConfig
from grouper import __version__
from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.run.folder import Manifest
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from tests.cluster.conftest import serving
from tests.cluster.region import make_region
from tests.cluster.test_commands import server

NAMES = {"region": "region", "scheme": "chs-core", "policy": "guigang-points"}


@pytest.fixture(scope="module")
def region(data_folder: Path) -> Path:
    return make_region(data_folder / "region")


@pytest.fixture(scope="module")
def expected(region: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("expected") / "run"
    policy = load_policy("guigang-points")
    rerun(region, load_scheme("chs-core"), policy, out, LocalRunner())
    return tables_of(out)


def tables_of(run: Path) -> dict[str, bytes]:
    """Every file of a run folder but the log, which holds times."""
    files = (path for path in sorted(run.rglob("*")) if path.is_file())
    return {str(p.relative_to(run)): p.read_bytes() for p in files if p.name != "log.jsonl"}


def last_state(client: Client, run_id: str) -> run_service_pb2.Run:
    *_, last = client.watch_run(run_id)
    return last


def test_a_run_from_start_to_its_tables(
    client: Client, data_folder: Path, region: Path, expected: dict[str, bytes]
) -> None:
    started = client.start_run(**NAMES, out="first")
    assert started.spec == run_service_pb2.RunSpec(**NAMES, out="first", encoding="utf-8")
    states = list(client.watch_run(started.run_id))
    last = states[-1]
    assert last.state == run_service_pb2.RUN_STATE_SUCCEEDED, last.failure
    assert last.attempts == 1
    assert last.progress.parts_done == last.progress.parts_total > 0
    assert (last.progress.cases_done, last.progress.cases_total) == (4000, 4000)
    assert last.end_time.seconds >= last.create_time.seconds
    assert tables_of(data_folder / "first") == expected
    assert client.get_run(started.run_id) == last

    manifest = client.manifest(started.run_id)
    assert manifest["checks"]
    assert all(check["holds"] for check in manifest["checks"])
    clearing = pa.concat_tables(client.table(started.run_id, "clearing"))
    assert clearing.equals(pq.read_table(data_folder / "first" / "clearing.parquet"))
    points = pa.concat_tables(client.table(started.run_id, "points"))
    assert points.num_rows == 4000
    empty = pa.concat_tables(client.table(started.run_id, "rejected"))
    assert empty.column_names[0] == "case_id"
    with pytest.raises(ServiceError) as caught:
        list(client.table(started.run_id, "nothing"))
    assert caught.value.status == "NOT_FOUND"
    for name in ("../first/clearing", "", "CLEARING"):
        with pytest.raises(ServiceError) as caught:
            list(client.table(started.run_id, name))
        assert [one.field for one in caught.value.violations] == ["table"]


def test_the_same_request_is_the_same_run(client: Client, region: Path) -> None:
    first = client.start_run(**NAMES, out="twice", request_id="twice")
    again = client.start_run(**NAMES, out="twice", request_id="twice")
    assert first.run_id == again.run_id
    with pytest.raises(ServiceError) as caught:
        client.start_run(**NAMES, out="other", request_id="twice")
    assert (caught.value.status, caught.value.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    client.cancel_run(first.run_id)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"region": ""}, "spec.region"),
        ({"region": "no such region"}, "spec.region"),
        ({"region": "../elsewhere"}, "spec.region"),
        ({"region": "/etc"}, "spec.region"),
        ({"out": ""}, "spec.out"),
        ({"out": "."}, "spec.out"),
        ({"out": "../out"}, "spec.out"),
        ({"out": "region/cases/run"}, "spec.out"),
        ({"out": "region/history"}, "spec.out"),
        ({"out": ".grouper/run"}, "spec.out"),
        ({"policy": ""}, "spec.policy"),
        ({"scheme": "/etc"}, "spec.scheme"),
        ({"out": "x" * 300}, "spec.out"),
        ({"region": "x" * 300}, "spec.region"),
        ({"policy": "x" * 300}, "spec.policy"),
        ({"encoding": "klingon"}, "spec.encoding"),
        ({"encoding": "rot13"}, "spec.encoding"),
        ({"encoding": "a\0b"}, "spec.encoding"),
        ({"request_id": "with space"}, "request_id"),
        ({"request_id": "x" * 65}, "request_id"),
    ],
)
def test_malformed_starts(client: Client, region: Path, change: dict[str, str], field: str) -> None:
    with pytest.raises(ServiceError) as caught:
        client.start_run(**{**NAMES, "out": "never", **change})
    assert caught.value.status == "INVALID_ARGUMENT"
    assert [one.field for one in caught.value.violations] == [field]


def test_a_path_outside_is_named_with_the_data_folder(
    client: Client, data_folder: Path, region: Path
) -> None:
    with pytest.raises(ServiceError) as caught:
        client.start_run(**{**NAMES, "region": "/etc"}, out="never")
    outside = f"/etc does not lie below the server's data folder {data_folder}"
    assert caught.value.message == f"region: {outside}"
    assert "grouper serve --data" in caught.value.hint


def test_what_a_run_would_refuse_is_not_taken_in(
    client: Client, data_folder: Path, region: Path
) -> None:
    """In the words of a run on this machine; the same request as before is not looked at again."""
    (data_folder / "low.toml").write_text(
        'extends = "guigang-points"\nid = "low"\n[low]\nratio = 1'
    )
    (data_folder / "wrong.toml").write_text('id = "wrong"\n[low]\nratio = "much"')
    (data_folder / "a file").write_text("")
    (data_folder / "low-run").mkdir()
    manifest = Manifest("1", __version__, {}, {"digest": "of another"}, 2024, {})
    (data_folder / "low-run" / "manifest.json").write_text(manifest.text())
    for change, reason, words in (
        ({"policy": "guigang-pints"}, "BAD_POLICY", "there is no policy 'guigang-pints'"),
        ({"policy": "wrong.toml"}, "BAD_POLICY", f"{data_folder / 'wrong.toml'}: low.ratio: must"),
        ({"scheme": "chs-cor"}, "BAD_PACK", "no scheme pack 'chs-cor'"),
        ({"out": "region"}, "BAD_OUTPUT", "holds something that is not a run"),
        ({"out": "a file"}, "BAD_OUTPUT", "is a file"),
        ({"out": "a file/run"}, "BAD_OUTPUT", "cannot be written"),
        ({"out": "low-run", "policy": "low.toml"}, "RUN_FAILED", "of other inputs, scheme, policy"),
    ):
        with pytest.raises(ServiceError) as caught:
            client.start_run(**{**NAMES, "out": "never", **change})
        assert (caught.value.status, caught.value.reason) == ("FAILED_PRECONDITION", reason)
        assert words in caught.value.message
        assert caught.value.hint
    assert not (data_folder / "never").exists()
    low = {**NAMES, "policy": "low.toml"}
    first = client.start_run(**low, out="low", request_id="low")
    client.cancel_run(first.run_id)
    (data_folder / "low.toml").write_text("no longer a policy")
    assert client.start_run(**low, out="low", request_id="low").run_id == first.run_id


def test_a_run_that_cannot_work_fails_with_the_engines_words(
    client: Client, data_folder: Path, region: Path
) -> None:
    (data_folder / "bare").mkdir()
    started = client.start_run(**{**NAMES, "region": "bare"}, out="failing")
    last = last_state(client, started.run_id)
    assert last.state == run_service_pb2.RUN_STATE_FAILED
    assert last.failure.reason == "BAD_CASES"
    assert last.failure.hint
    with pytest.raises(ServiceError) as caught:
        client.manifest(started.run_id)
    assert caught.value.status == "FAILED_PRECONDITION"


@pytest.mark.parametrize("method", ["get_run", "cancel_run", "manifest"])
def test_an_unknown_run(client: Client, method: str) -> None:
    with pytest.raises(ServiceError) as caught:
        getattr(client, method)("nothing")
    assert caught.value.status == "NOT_FOUND"


def test_watching_an_unknown_run(client: Client) -> None:
    with pytest.raises(ServiceError) as caught:
        list(client.watch_run("nothing"))
    assert caught.value.status == "NOT_FOUND"


def test_watching_where_no_server_is() -> None:
    with Client("127.0.0.1:1") as nowhere, pytest.raises(ServiceError) as caught:
        list(nowhere.watch_run("run"))
    assert caught.value.status == "UNAVAILABLE"


def test_runs_are_listed_in_pages(client: Client, region: Path) -> None:
    for number in range(3):
        run = client.start_run(**NAMES, out=f"listed-{number}")
        client.cancel_run(run.run_id)
    few = [run.run_id for run in client.list_runs(page_size=2)]
    assert few == [run.run_id for run in client.list_runs()]
    assert len(few) == len(set(few)) >= 3


@pytest.fixture(scope="module")
def slow_region(data_folder: Path) -> Path:
    return make_region(data_folder / "slow", parts=24, rows=1000, seed=2)


@pytest.fixture(scope="module")
def slow_expected(slow_region: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    rerun(slow_region, load_scheme("chs-core"), load_policy("guigang-points"), out, LocalRunner())
    return tables_of(out)


def _child_of(run_id: str, data: Path) -> int:
    """The process of a run, by the run folder that it has open as its lock."""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            command = (process / "cmdline").read_bytes()
            files = [str(link.readlink()) for link in (process / "fd").iterdir()]
        except OSError:
            continue
        if b"cluster.server.job" in command and any(str(data) in file for file in files):
            return int(process.name)
    raise LookupError(run_id)


def _at_work(states: Iterator[run_service_pb2.Run]) -> run_service_pb2.Run:
    return next(run for run in states if run.progress.stage == "group" and run.progress.parts_done)


def test_a_killed_process_goes_on_from_its_parts(
    client: Client, data_folder: Path, slow_region: Path, slow_expected: dict[str, bytes]
) -> None:
    started = client.start_run(**{**NAMES, "region": "slow"}, out="killed")
    states = client.watch_run(started.run_id)
    assert _at_work(states).progress.estimated_end_time.seconds > time.time() - 60
    os.kill(_child_of(started.run_id, data_folder / "killed"), signal.SIGKILL)
    *_, last = states
    assert last.state == run_service_pb2.RUN_STATE_SUCCEEDED, last.failure
    assert last.attempts == 2
    assert tables_of(data_folder / "killed") == slow_expected


def test_a_run_at_work_is_cancelled(client: Client, slow_region: Path) -> None:
    started = client.start_run(**{**NAMES, "region": "slow"}, out="cancelled")
    states = client.watch_run(started.run_id)
    _at_work(states)
    assert client.cancel_run(started.run_id).cancel_requested
    *_, last = states
    assert last.state == run_service_pb2.RUN_STATE_CANCELLED
    assert client.cancel_run(started.run_id).state == run_service_pb2.RUN_STATE_CANCELLED


def test_a_run_goes_on_when_the_server_comes_back(
    slow_region: Path, slow_expected: dict[str, bytes], tmp_path: Path
) -> None:
    """Stopped in good order, then killed, then back."""
    data = slow_region.parent
    config = ServerConfig(port=0, data=data, state=tmp_path / "state", grace_seconds=1.0)
    with serving(config) as front, Client(f"127.0.0.1:{front.port}") as client:
        started = client.start_run(**{**NAMES, "region": "slow"}, out="back")
        _at_work(client.watch_run(started.run_id))
    with (
        server(data, "--state", str(tmp_path / "state")) as (address, process),
        Client(address) as client,
    ):
        states = client.watch_run(started.run_id)
        next(run for run in states if run.progress.parts_done > 12)
        process.kill()
        process.wait()
    with serving(config) as front, Client(f"127.0.0.1:{front.port}") as client:
        assert (
            client.start_run(
                **{**NAMES, "region": "slow"}, out="back", request_id=started.request_id
            ).run_id
            == started.run_id
        )
        last = last_state(client, started.run_id)
    assert last.state == run_service_pb2.RUN_STATE_SUCCEEDED, last.failure
    assert last.attempts == 3
    assert tables_of(data / "back") == slow_expected
