"""Cases over the wire: results, malformed requests, streams, health and reflection."""

import dataclasses
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from cluster import codec
from cluster.client import Client
from cluster.drg.v1 import case_pb2, explanation_pb2, grouping_service_pb2
from cluster.drg.v1.grouping_service_pb2_grpc import GroupingServiceStub
from cluster.errors import RequestError, ServiceError
from cluster.server.config import ServerConfig
from grouper.errors import CaseTableError
from grouper.explain import Explainer, model
from grouper.grouping import group
from grouper.scheme import load_scheme
from tests.cluster.conftest import serving


@pytest.fixture
def stub(address: str) -> Iterator[GroupingServiceStub]:
    with grpc.insecure_channel(address) as channel:
        yield GroupingServiceStub(channel)


def table(rows: int) -> pa.Table:
    return pa.table(
        {
            "case_id": [str(row) for row in range(rows)],
            "dx": [["K35.900", "I10.x00"] if row % 2 else ["no such code"] for row in range(rows)],
            "px": [["47.0901"]] * rows,
            "age": pa.array([row % 100 for row in range(rows)], pa.int16()),
        }
    )


def test_a_case_is_grouped(client: Client) -> None:
    response = client.group_case(case_id="7", dx=["K35.900"], px=["47.0901"], age=30, sex=1)
    assert response.scheme == "chs-core"
    assert response.result.case_id == "7"
    assert response.result.status == case_pb2.GROUP_STATUS_GROUPED
    assert response.result.mdc == "G"
    assert response.result.adrg == "GD2"
    assert response.result.severity == case_pb2.SEVERITY_NONE


def test_a_text_is_no_list_of_codes(client: Client) -> None:
    with pytest.raises(TypeError, match=r"dx is a list of codes: \['K35.900'\]"):
        client.group_case(dx="K35.900")


def test_a_case_without_a_group_is_a_result(client: Client) -> None:
    result = client.group_case(dx=["no such code"]).result
    assert result.status == case_pb2.GROUP_STATUS_UNGROUPED
    assert (result.mdc, result.adrg, result.drg, result.reason) == ("", "", "", "")


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (case_pb2.Case(dx=["K35.900"]), "no_id"),
        (case_pb2.Case(case_id="1"), "no_diagnosis"),
        (case_pb2.Case(case_id="1", dx=["  ", "K35.900"]), "no_diagnosis"),
    ],
)
def test_an_invalid_case_is_a_result(
    stub: GroupingServiceStub, case: case_pb2.Case, reason: str
) -> None:
    result = stub.GroupCase(grouping_service_pb2.GroupCaseRequest(case=case)).result
    assert result.status == case_pb2.GROUP_STATUS_INVALID
    assert result.reason == reason
    assert result.severity == case_pb2.SEVERITY_UNSPECIFIED


def test_a_request_without_a_case(stub: GroupingServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.GroupCase(grouping_service_pb2.GroupCaseRequest())
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    metadata = dict(caught.value.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("BAD_REQUEST", "drg-grouper")
    assert status.details[1].Unpack(bad_request)
    assert [violation.field for violation in bad_request.field_violations] == ["case"]


def test_an_unknown_scheme_names_what_there_is(client: Client) -> None:
    with pytest.raises(ServiceError) as caught:
        client.group_case(dx=["K35.900"], scheme="atlantis")
    assert caught.value.status == "INVALID_ARGUMENT"
    assert [one.field for one in caught.value.violations] == ["scheme"]
    assert "chs-core" in caught.value.hint


def test_an_attribute_that_is_a_field(client: Client) -> None:
    with pytest.raises(ServiceError) as caught:
        client.group_case(dx=["K35.900"], attributes={"age": 3})
    assert [one.field for one in caught.value.violations] == ["case.attributes['age']"]


def test_an_attribute_that_the_scheme_does_not_declare(client: Client) -> None:
    with pytest.raises(ServiceError) as caught:
        client.group_case(dx=["K35.900"], attributes={"birth_weigth": 2500})
    (violation,) = caught.value.violations
    assert violation.field == "case.attributes['birth_weigth']"
    assert violation.description == "the scheme declares no such attribute (it declares: none)"


def test_an_explanation_only_where_it_is_asked_for(client: Client) -> None:
    case = {"case_id": "1", "dx": ["K35.900", "J96.000", "no such code"], "px": ["47.0901"]}
    assert not client.group_case(**case).HasField("explanation")
    response = client.group_case(**case, age=30, explain=True, nearby=True)
    told = Explainer(load_scheme("chs-core")).explain({**case, "age": 30}, nearby=True)
    explanation = response.explanation
    assert explanation.drg_name == told.drg_name
    assert [note.known for note in explanation.diagnoses] == [True, True, False]
    assert [one.code for one in explanation.complications] == [c.code for c in told.complications]
    (walk,) = explanation.walks
    assert [node.code for node in walk.mdcs] == [node.code for node in told.walks[0].mdcs]
    assert walk.mdcs[-1].level == explanation_pb2.NODE_LEVEL_MDC
    assert walk.mdcs[-1].children[-1].children[-1].code == response.result.drg
    assert len(explanation.runners_up) == len(told.runners_up) > 0
    for there, here in zip(explanation.runners_up, told.runners_up, strict=True):
        assert explanation_pb2.Change.Name(there.change) == f"CHANGE_{here.change.upper()}"
        assert (there.drg, there.HasField("value")) == (here.drg, here.value is not None)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (model.CodeNote, explanation_pb2.CodeNote),
        (model.CodeChange, explanation_pb2.CodeChange),
        (model.Complication, explanation_pb2.Complication),
        (model.TestTrace, explanation_pb2.TestTrace),
        (model.NodeTrace, explanation_pb2.NodeTrace),
        (model.Walk, explanation_pb2.Walk),
        (model.RunnerUp, explanation_pb2.RunnerUp),
        (model.Explanation, explanation_pb2.Explanation),
    ],
)
def test_the_contract_has_the_fields_of_the_engine(told: type, message: type[Message]) -> None:
    theirs = {field.name for field in dataclasses.fields(told)} - {"scheme", "result"}
    assert set(message.DESCRIPTOR.fields_by_name) == theirs


def test_a_list_too_long_to_explain(client: Client) -> None:
    codes = ["K35.900"] * 300
    assert client.group_case(dx=codes).result.mdc == "G"
    with pytest.raises(ServiceError, match="300 codes; at most 200 are explained") as caught:
        client.group_case(dx=codes, explain=True, nearby=True)
    assert (caught.value.status, caught.value.reason) == ("INVALID_ARGUMENT", "BAD_REQUEST")


def test_the_schemes_are_listed(client: Client) -> None:
    (scheme,) = client.schemes()
    assert (scheme.id, scheme.digest) == ("chs-core", load_scheme("chs-core").digest)


def test_a_stream_gives_what_the_engine_gives(client: Client) -> None:
    cases = table(40_000)
    batches = cases.to_batches(max_chunksize=9_000)
    answers = pa.concat_tables(client.group_batches(batches, scheme="chs-core"))
    assert answers.equals(group(cases, load_scheme("chs-core")))


def test_a_large_table_is_cut_to_messages(client: Client) -> None:
    cases = table(300_000)
    answers = list(client.group_batches([cases]))
    assert len(answers) > 3
    assert sum(answer.num_rows for answer in answers) == cases.num_rows


def test_an_answer_that_is_larger_than_its_request_fits_in_a_message(client: Client) -> None:
    rows = 100_000
    cases = pa.table({"case_id": [f"{row:06}" for row in range(rows)], "dx": [["K35"]] * rows})
    (answer,) = client.group_batches([cases])
    assert answer["case_id"].equals(cases["case_id"])
    # Compressed, a message may hold ids that no answer can.
    ids = pa.array([f"{row:x}".zfill(64) for row in range(rows)])
    assert len(codec.encode_answer(pa.table({"case_id": ids}))) < codec.MESSAGE_BYTES
    random = pa.array([hashlib.sha512(b"%d" % row).hexdigest() for row in range(rows)])
    with pytest.raises(RequestError, match="the answer would have"):
        codec.encode_answer(pa.table({"case_id": random}))


def test_string_views_are_sent_as_strings(client: Client) -> None:
    views = pa.table({"case_id": pa.array(["1"], pa.string_view()), "dx": [["K35.900"]]})
    assert next(client.group_batches([views]))["mdc"].to_pylist() == ["G"]
    with pytest.raises(CaseTableError, match="no table of cases but list"):
        list(client.group_batches([[{"case_id": "1"}]]))


def test_an_empty_table_has_an_empty_answer(client: Client) -> None:
    (answer,) = client.group_batches([table(0)])
    assert answer.num_rows == 0
    assert answer.column_names[0] == "case_id"


def test_no_messages_no_answers(client: Client) -> None:
    assert list(client.group_batches([])) == []


def test_an_id_twice_in_a_message_is_invalid(client: Client) -> None:
    cases = pa.table({"case_id": ["a", "a", "b"], "dx": [["K35.900"]] * 3})
    (answer,) = client.group_batches([cases])
    assert answer["status"].to_pylist() == ["invalid", "invalid", "grouped"]


def _truncated() -> bytes:
    return codec.encode(table(1000))[:-2000]


def _wild_offsets() -> bytes:
    """A list column whose offsets point far outside of its values."""
    codes = 12_345
    data = codec.encode(pa.table({"case_id": ["1"], "dx": [[""] * codes]}))
    offset = codes.to_bytes(4, "little")
    at = data.rindex(offset)
    return data[:at] + (1_000_000_000).to_bytes(4, "little") + data[at + 4 :]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "not one complete Arrow IPC stream"),
        (b"PAR1 is something else", "not one complete Arrow IPC stream"),
        (_truncated(), "not one complete Arrow IPC stream"),
        (_wild_offsets(), "not one complete Arrow IPC stream"),
        (codec.encode(table(1)) * 2, "bytes stand behind its end"),
        (codec.encode(pa.table({"x": pa.array(["1"], pa.string_view())})), "arrow_ipc: columns of"),
        (bytes(codec.MESSAGE_BYTES + 1), "at most"),
        (codec.encode(pa.table({"case_id": ["1"]})), "dx is missing"),
        (codec.encode(pa.table({"case_id": ["1"], "dx": [["A"]], "age": ["x"]})), "age has the"),
        (codec.encode(pa.table({"case_id": pa.nulls(200_000), "dx": pa.nulls(200_000)})), "at mo"),
    ],
    ids=["empty", "noise", "truncated", "offsets", "two", "view", "large", "no dx", "type", "rows"],
)
def test_malformed_bytes(stub: GroupingServiceStub, data: bytes, told: str) -> None:
    request = grouping_service_pb2.GroupBatchRequest(arrow_ipc=data)
    with pytest.raises(grpc.RpcError) as caught:
        list(stub.GroupBatch(iter([request])))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert told in caught.value.details()
    assert "grpc-status-details-bin" in dict(caught.value.trailing_metadata())


def test_a_stream_survives_none_of_its_messages_but_the_server_does(client: Client) -> None:
    with pytest.raises(ServiceError, match="dx is missing"):
        list(client.group_batches([table(10), pa.table({"case_id": ["1"]}), table(10)]))
    assert client.group_case(dx=["K35.900"]).result.mdc == "G"


def test_messages_before_the_one_that_fails_are_answered(client: Client) -> None:
    batches = [table(rows) for rows in (30_000, 1, 20_000, 2)]
    answers = client.group_batches([*batches, pa.table({"case_id": ["1"]}), table(3)])
    scheme = load_scheme("chs-core")
    for batch in batches:
        assert next(answers) == group(batch, scheme)
    with pytest.raises(ServiceError, match="dx is missing"):
        next(answers)


def test_an_error_of_the_callers_own_iterator_is_the_callers(client: Client) -> None:
    def batches() -> Iterator[pa.Table]:
        yield table(10)
        raise LookupError("the caller's own")

    with pytest.raises(LookupError, match="the caller's own"):
        list(client.group_batches(batches()))


def test_the_input_is_read_only_as_far_as_answers_are_taken(client: Client) -> None:
    read = 0

    def batches() -> Iterator[pa.Table]:
        nonlocal read
        for _ in range(1000):
            read += 1
            yield table(1000)

    answers = client.group_batches(batches())
    for _ in range(3):
        next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert read <= 3 + 5


def test_many_callers_at_once(client: Client) -> None:
    def call(number: int) -> str:
        return client.group_case(case_id=str(number), dx=["K35.900"]).result.case_id

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(call, range(400))) == [str(number) for number in range(400)]


@pytest.mark.parametrize("service", ["", "drg.v1.GroupingService", "drg.v1.RunService"])
def test_health(address: str, service: str) -> None:
    with grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        response = health.Check(health_pb2.HealthCheckRequest(service=service))
        assert response.status == health_pb2.HealthCheckResponse.SERVING


def test_health_turns_before_the_end(tmp_path: Path) -> None:
    config = ServerConfig(
        host="127.0.0.1", port=0, data=tmp_path, state=tmp_path / "state", grace_seconds=2.0
    )
    with serving(config) as front:
        channel = grpc.insecure_channel(f"127.0.0.1:{front.port}")
        watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
        pool = ThreadPoolExecutor(1)
        following = pool.submit(next, watched)
    assert following.result().status == health_pb2.HealthCheckResponse.NOT_SERVING
    channel.close()
    pool.shutdown()


def test_reflection_names_the_services(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (response,) = stub.ServerReflectionInfo(iter([request]))
        names = {service.name for service in response.list_services_response.service}
    assert {"drg.v1.GroupingService", "drg.v1.RunService", "grpc.health.v1.Health"} <= names


@pytest.mark.parametrize(
    "name",
    [
        *("changsha_2023", "chs_drg_10", "chs_drg_11"),
        *("fuzhou_2022", "guangxi_2022", "zhejiang_2022"),
    ],
)
def test_conformance_over_the_wire(shared: Path, tmp_path: Path, name: str) -> None:
    cases = pq.read_table(shared / "conformance" / f"{name}.parquet")
    given = cases.select([c for c in cases.column_names if not c.startswith("expect_")])
    config = ServerConfig(
        host="127.0.0.1",
        port=0,
        data=tmp_path,
        state=tmp_path / "state",
        schemes=(str(shared / "schemes" / name),),
    )
    with serving(config) as front, Client(f"127.0.0.1:{front.port}") as client:
        answers = pa.concat_tables(client.group_batches([given]))
    assert answers.num_rows == cases.num_rows
    for column in ("status", "mdc", "adrg", "drg"):
        expected = cases[f"expect_{column}"].to_pylist()
        assert answers[column].to_pylist() == [value or "" for value in expected]
