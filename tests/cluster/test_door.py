"""Who may call what: certificates, tokens and roles, over real sockets and real handshakes."""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from cluster.channel import Credentials
from cluster.client import Client
from cluster.codec import decode
from cluster.drg.v1 import grouping_service_pb2, run_service_pb2
from cluster.errors import ConfigError, ServiceError
from cluster.server.app import FrontEnd
from cluster.server.config import Limits, ServerConfig, TlsFiles
from cluster.server.principals import ALLOWED, PrincipalEntry
from tests.cluster.certificates import Authority, Pair
from tests.cluster.conftest import serving
from tests.cluster.region import make_region

ROLES = ("bureau", "hospital:H1", "hospital:H2", "reader")
NAMES = {"region": "region", "scheme": "chs-core", "policy": "guigang-points"}


def token_of(role: str) -> str:
    return f"secret of {role}"


def entry(role: str) -> PrincipalEntry:
    digest = hashlib.sha256(token_of(role).encode()).hexdigest()
    return PrincipalEntry(name=role.replace(":", "-"), role=role, token_sha256=digest)


@dataclass(frozen=True)
class Hall:
    """A server behind TLS, with its run, and how to get in."""

    front: FrontEnd
    root: Path
    data: Path
    state: Path
    run_id: str

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.front.port}"

    def client(self, role: str) -> Client:
        known = Credentials(ca=self.root, token=token_of(role) if role else "")
        return Client(self.address, credentials=known)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "root")


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.sign("localhost")


@pytest.fixture(scope="module")
def hall(
    authority: Authority, pair: Pair, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hall]:
    data = tmp_path_factory.mktemp("hall")
    make_region(data / "region", parts=2, rows=400)
    config = ServerConfig(
        host="0.0.0.0",
        port=0,
        data=data,
        state=data / "state",
        grace_seconds=1.0,
        tls=TlsFiles(certificate=pair.certificate, key=pair.key),
        principals=tuple(entry(role) for role in ROLES),
    )
    with serving(config) as front:
        hall = Hall(front, authority.file, data, config.state, "")
        with hall.client("bureau") as client:
            run_id = client.start_run(**NAMES, out="run", request_id="the-run").run_id
            *_, last = client.watch_run(run_id)
            assert last.state == run_service_pb2.RUN_STATE_SUCCEEDED, last.failure
        yield Hall(front, authority.file, data, config.state, run_id)


def cases(rows: int = 3) -> pa.Table:
    return pa.table({"case_id": [str(n) for n in range(rows)], "dx": [["K35.900"]] * rows})


def call(client: Client, method: str, run_id: str) -> Any:
    """Calls a method by its name in the contract, to its end."""
    calls = {
        "GroupCase": lambda: client.group_case(dx=["K35.900"]),
        "GroupBatch": lambda: list(client.group_batches([cases()])),
        "ListSchemes": client.schemes,
        "StartRun": lambda: client.start_run(**NAMES, out="run", request_id="the-run"),
        "CancelRun": lambda: client.cancel_run(run_id),
        "GetRun": lambda: client.get_run(run_id),
        "ListRuns": lambda: list(client.list_runs()),
        "WatchRun": lambda: list(client.watch_run(run_id)),
        "GetRunManifest": lambda: client.manifest(run_id),
        "ReadRunTable": lambda: list(client.table(run_id, "clearing")),
    }
    return calls[method]()


METHODS = [
    method.name
    for module in (grouping_service_pb2, run_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
HOSPITALS_MAY = {"GroupCase", "GroupBatch", "ListSchemes", "ReadRunTable"}
READERS_MAY = {*METHODS} - {"StartRun", "CancelRun"}


def test_every_method_of_the_contract_has_its_roles() -> None:
    own = {name.rpartition("/")[2] for name in ALLOWED if name.startswith("/drg.v1.")}
    assert own == set(METHODS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("role", ["bureau", "hospital:H1", "reader", ""])
def test_roles(hall: Hall, role: str, method: str) -> None:
    may = {"bureau": {*METHODS}, "reader": READERS_MAY, "hospital:H1": HOSPITALS_MAY, "": set()}
    with hall.client(role) as client:
        if method in may[role]:
            call(client, method, hall.run_id)
            return
        with pytest.raises(ServiceError) as caught:
            call(client, method, hall.run_id)
    expected = ("PERMISSION_DENIED", "FORBIDDEN") if role else ("UNAUTHENTICATED", "UNKNOWN_CALLER")
    assert (caught.value.status, caught.value.reason) == expected
    assert caught.value.hint


@pytest.mark.parametrize("value", ["Bearer wrong", "Basic c2VjcmV0", "Bearer", "", "bearer  "])
def test_tokens_that_are_not_known(hall: Hall, value: str) -> None:
    secret = grpc.ssl_channel_credentials(hall.root.read_bytes())
    with grpc.secure_channel(hall.address, secret) as channel:
        ask = channel.unary_unary("/drg.v1.GroupingService/ListSchemes")
        with pytest.raises(grpc.RpcError) as caught:
            ask(b"", metadata=(("authorization", value),))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_health_is_open_and_reflection_is_not(hall: Hall) -> None:
    secret = grpc.ssl_channel_credentials(hall.root.read_bytes())
    with grpc.secure_channel(hall.address, secret) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = health.Check(health_pb2.HealthCheckRequest(service="drg.v1.RunService"))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        question = reflection_pb2.ServerReflectionRequest(list_services="")
        with pytest.raises(grpc.RpcError) as caught:
            list(reflection.ServerReflectionInfo(iter([question])))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        known = (("authorization", f"Bearer {token_of('reader')}"),)
        assert list(reflection.ServerReflectionInfo(iter([question]), metadata=known))


@pytest.mark.parametrize("table", ["clearing", "hospital_months"])
def test_a_hospital_reads_its_own_statements(hall: Hall, table: str) -> None:
    whole = pq.read_table(hall.data / "run" / f"{table}.parquet")
    for role in ("hospital:H1", "hospital:H2"):
        with hall.client(role) as client:
            own = pa.concat_tables(client.table(hall.run_id, table))
        mine = pa.compute.equal(whole["hospital_id"], role.partition(":")[2])
        assert 0 < own.num_rows < whole.num_rows
        assert own.equals(whole.filter(mine))


@pytest.mark.parametrize("table", ["grouped", "points"])
def test_a_hospital_reads_its_own_cases(hall: Hall, table: str) -> None:
    region = pq.read_table(hall.data / "region" / "cases", columns=["case_id", "hospital_id"])
    whole = pq.read_table(hall.data / "run" / table)
    seen = set()
    for number in (1, 2):
        mine = region.filter(pa.compute.equal(region["hospital_id"], f"H{number}"))["case_id"]
        with hall.client(f"hospital:H{number}") as client:
            own = pa.concat_tables(client.table(hall.run_id, table))
        assert own["case_id"].to_pylist() == mine.to_pylist()
        assert own.equals(whole.filter(pa.compute.is_in(whole["case_id"], mine.combine_chunks())))
        assert not seen & set(own["case_id"].to_pylist())
        seen |= set(own["case_id"].to_pylist())


@pytest.mark.parametrize("table", ["months", "statistics", "benchmarks", "rejected", "nothing"])
def test_a_hospital_reads_nothing_else(hall: Hall, table: str) -> None:
    with hall.client("hospital:H1") as client, pytest.raises(ServiceError) as caught:
        list(client.table(hall.run_id, table))
    assert caught.value.status == "PERMISSION_DENIED"


def test_a_run_folder_that_was_altered_gives_no_cases(hall: Hall) -> None:
    """Whose a case is stands in another file: where both do not agree, nothing is given out."""
    path = hall.data / "run" / "cases" / "part-00000.parquet"
    whole = path.read_bytes()
    table = pq.read_table(path)
    try:
        for changed in (table.slice(1), table.take(pa.array(range(len(table))[::-1]))):
            pq.write_table(changed, path)
            with hall.client("hospital:H1") as client, pytest.raises(ServiceError, match="altered"):
                list(client.table(hall.run_id, "points"))
    finally:
        path.write_bytes(whole)


def test_who_did_what_is_written_down(hall: Hall) -> None:
    with hall.client("reader") as client:
        list(client.table(hall.run_id, "clearing"))
    with hall.client("hospital:H2") as client, pytest.raises(ServiceError):
        client.get_run(hall.run_id)
    text = (hall.state / "audit.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    keys = ("principal", "method", "run_id", "detail", "code")
    told = [tuple(line[key] for key in keys) for line in lines]
    assert ("bureau", "StartRun", hall.run_id, "the-run", "OK") in told
    assert ("reader", "ReadRunTable", hall.run_id, "clearing", "OK") in told
    assert ("hospital-H2", "GetRun", hall.run_id, "", "PERMISSION_DENIED") in told
    assert not re.search(r"secret|K35|\d-\d{3}", text)
    assert (hall.state / "audit.jsonl").stat().st_mode & 0o077 == 0


def test_plaintext_does_not_get_through_an_encrypted_door(hall: Hall) -> None:
    known = Credentials(token=token_of("bureau"), encrypted=False)
    with Client(hall.address, 0.8, known) as client, pytest.raises(ServiceError) as caught:
        client.schemes()
    assert caught.value.status in ("UNAVAILABLE", "DEADLINE_EXCEEDED")


def test_a_client_trusts_only_its_root(hall: Hall, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    known = Credentials(ca=stranger.file, token=token_of("bureau"))
    with Client(hall.address, 0.8, known) as client, pytest.raises(ServiceError) as caught:
        client.schemes()
    assert caught.value.status in ("UNAVAILABLE", "DEADLINE_EXCEEDED")


def test_a_client_never_sends_plaintext_away() -> None:
    with pytest.raises(ConfigError, match="without encryption"):
        Client("example.org:443", credentials=Credentials(token="secret", encrypted=False))


def test_client_certificates(
    authority: Authority, pair: Pair, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = ServerConfig(
        port=0,
        data=tmp_path,
        grace_seconds=1.0,
        tls=TlsFiles(certificate=pair.certificate, key=pair.key, client_ca=authority.file),
        principals=(
            PrincipalEntry(name="h1", role="hospital:H1", subject="hospital one"),
            PrincipalEntry(name="office", role="bureau", subject="office"),
        ),
    )
    stranger = Authority(tmp_path_factory.mktemp("stranger"), "stranger").sign("office")
    shown = {
        "hospital": authority.sign("hospital one"),
        "office": authority.sign("office"),
        "unlisted": authority.sign("somebody"),
        "expired": authority.sign("office", days=-1),
        "stranger": stranger,
        "none": None,
    }
    expected = {"hospital": "PERMISSION_DENIED", "office": "", "unlisted": "UNAUTHENTICATED"}
    with serving(config) as front:
        for name, own in shown.items():
            known = Credentials(
                ca=authority.file,
                certificate=own.certificate if own else None,
                key=own.key if own else None,
            )
            with Client(f"127.0.0.1:{front.port}", 0.8, known) as client:
                try:
                    assert list(client.list_runs()) == []
                    status = ""
                except ServiceError as error:
                    status = error.status
            # Whoever fails the handshake does not get as far as a role.
            closed = {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
            assert status in ({expected[name]} if name in expected else closed), name


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tls": None}, "without encryption"),
        ({"principals": ()}, "anybody could call"),
        ({"tls": {"certificate": "/nowhere", "key": "/nowhere"}}, "cannot read /nowhere"),
    ],
)
def test_doors_that_do_not_open(
    pair: Pair, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    settings = {
        "host": "0.0.0.0",
        "port": 0,
        "data": tmp_path,
        "tls": {"certificate": pair.certificate, "key": pair.key},
        "principals": (entry("bureau"),),
    }
    with pytest.raises(ConfigError, match=told), serving(ServerConfig(**(settings | change))):
        pass


def test_a_certificate_and_a_key_that_do_not_belong_together(
    authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    other = authority.sign("localhost")
    tls = TlsFiles(certificate=pair.certificate, key=other.key)
    with (
        pytest.raises(ConfigError, match="not usable"),
        serving(ServerConfig(port=0, data=tmp_path, tls=tls)),
    ):
        pass


def limited(folder: Path, **limits: Any) -> ServerConfig:
    return ServerConfig(
        port=0,
        data=folder,
        grace_seconds=1.0,
        principals=tuple(entry(role) for role in ROLES),
        limits=Limits(**limits),
    )


def _known(role: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token_of(role)}"),)


def _refusal(error: grpc.RpcError) -> tuple[str, float | None]:
    metadata = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    found = any(detail.Unpack(retry) for detail in status.details)
    return info.reason, retry.retry_delay.ToNanoseconds() / 1e9 if found else None


def test_calls_of_one_principal_over_time(tmp_path: Path) -> None:
    config = limited(tmp_path, requests_per_second=2, burst=3)
    with (
        serving(config) as front,
        grpc.insecure_channel(
            f"127.0.0.1:{front.port}", options=(("grpc.enable_retries", 0),)
        ) as channel,
    ):
        ask = channel.unary_unary("/drg.v1.GroupingService/ListSchemes")
        for _ in range(3):
            ask(b"", metadata=_known("reader"))
        with pytest.raises(grpc.RpcError) as caught:
            ask(b"", metadata=_known("reader"))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        reason, delay = _refusal(caught.value)
        assert reason == "LIMIT_REACHED"
        assert delay is not None
        assert 0 < delay <= 0.5
        ask(b"", metadata=_known("bureau"))  # others have calls of their own
        # The client waits as it is told, and gets through.
        known = Credentials(token=token_of("reader"), encrypted=False)
        with Client(f"127.0.0.1:{front.port}", credentials=known) as client:
            for _ in range(4):
                assert client.schemes()


def test_streams_of_one_principal_at_once(tmp_path: Path) -> None:
    config = limited(tmp_path, streams_per_principal=2)
    with serving(config) as front, grpc.insecure_channel(f"127.0.0.1:{front.port}") as channel:
        watch = channel.stream_stream("/drg.v1.GroupingService/GroupBatch")
        end = threading.Event()

        def silent() -> Iterator[bytes]:
            end.wait()
            yield from ()

        open_streams = [watch(silent(), metadata=_known("reader")) for _ in range(2)]
        time.sleep(0.5)
        with pytest.raises(grpc.RpcError) as caught:
            list(watch(iter(()), metadata=_known("reader")))
        assert _refusal(caught.value) == ("LIMIT_REACHED", 1.0)
        assert list(watch(iter(()), metadata=_known("bureau"))) == []
        end.set()
        for stream in open_streams:
            assert list(stream) == []
        assert list(watch(iter(()), metadata=_known("reader"))) == []


def test_length_and_silence_of_a_stream(tmp_path: Path) -> None:
    config = limited(tmp_path, stream_messages=2, idle_seconds=0.4)
    known = Credentials(token=token_of("bureau"), encrypted=False)
    with serving(config) as front, Client(f"127.0.0.1:{front.port}", credentials=known) as client:
        assert len(list(client.group_batches([cases()] * 2))) == 2
        with pytest.raises(ServiceError) as caught:
            list(client.group_batches([cases()] * 3))
        assert (caught.value.status, caught.value.reason) == ("RESOURCE_EXHAUSTED", "LIMIT_REACHED")

        def slow() -> Iterator[pa.Table]:
            yield cases()
            time.sleep(1.5)
            yield cases()

        with pytest.raises(ServiceError) as caught:
            list(client.group_batches(slow()))
        assert (caught.value.status, caught.value.reason) == ("DEADLINE_EXCEEDED", "STREAM_IDLE")


def test_size_of_a_message(tmp_path: Path) -> None:
    with (
        serving(limited(tmp_path, message_bytes=1 << 16)) as front,
        grpc.insecure_channel(f"127.0.0.1:{front.port}") as channel,
    ):
        ask = channel.unary_unary("/drg.v1.GroupingService/ListSchemes")
        with pytest.raises(grpc.RpcError) as caught:
            ask(bytes(1 << 17), metadata=_known("bureau"))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert ask(b"", metadata=_known("bureau"))


def _compressed(kind: str) -> bytes:
    """80 million equal characters in a few kilobytes."""
    table = pa.table({"case_id": ["1"], "dx": [["K" * 80_000_000]]})
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=kind)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write(table)
    return bytes(sink.getvalue())


def _repeated() -> bytes:
    """One text of a megabyte, named a hundred thousand times."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), ["K" * 1_000_000])
    table = pa.table({"case_id": text, "dx": pa.array([["K35.900"]] * 100_000)})
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write(table)
    return bytes(sink.getvalue())


@pytest.mark.parametrize(
    "make", [lambda: _compressed("lz4"), lambda: _compressed("zstd"), _repeated]
)
def test_what_grows_when_it_is_unpacked(hall: Hall, make: Any) -> None:
    data = make()
    assert len(data) < 3 << 20
    secret = grpc.ssl_channel_credentials(hall.root.read_bytes())
    with grpc.secure_channel(hall.address, secret) as channel:
        send = channel.stream_stream(
            "/drg.v1.GroupingService/GroupBatch",
            request_serializer=grouping_service_pb2.GroupBatchRequest.SerializeToString,
        )
        request = grouping_service_pb2.GroupBatchRequest(arrow_ipc=data)
        with pytest.raises(grpc.RpcError, match="once unpacked"):
            list(send(iter([request]), metadata=_known("bureau")))


def test_compressed_cases_are_taken(hall: Hall) -> None:
    table = cases(5000)
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write(table)
    assert decode(bytes(sink.getvalue()), "arrow_ipc").equals(table)
