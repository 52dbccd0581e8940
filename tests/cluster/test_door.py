"""Who may call what: every role and method, and what a hospital sees; over real TLS."""

import json
import re
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from cluster.client import Client
from cluster.drg.v1 import grouping_service_pb2, run_service_pb2
from cluster.errors import ServiceError
from cluster.server.principals import ALLOWED
from tests.cluster.hall import NAMES, Hall, cases, token_of


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
