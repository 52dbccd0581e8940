"""What an operator sees: metrics of calls and streams, traces from request to task, clean logs."""

import gzip
import http.server
import io
import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pyarrow as pa
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from cluster.client import Client
from cluster.drg.v1 import grouping_service_pb2, run_service_pb2
from cluster.drg.v1.grouping_service_pb2_grpc import GroupingServiceStub
from cluster.errors import ServiceError
from cluster.server import grouping
from cluster.server.app import FrontEnd
from cluster.server.config import Limits, ServerConfig
from cluster.server.job import Reporter
from cluster.server.limits import Gate
from cluster.server.logs import JsonLines
from cluster.server.principals import Principal, Role
from cluster.server.register import Register, Spec
from tests.cluster.conftest import serving
from tests.cluster.region import make_region

NAMES = {"region": "region", "scheme": "chs-core", "policy": "guigang-points"}
GROUPING = "/drg.v1.GroupingService/"


def value(front: FrontEnd, name: str, **labels: str) -> float:
    return front.metrics.registry.get_sample_value(name, labels) or 0.0


def cases(rows: int) -> pa.Table:
    return pa.table(
        {
            "case_id": [str(row) for row in range(rows)],
            "dx": [["K35.900", "no such code"] if row else [] for row in range(rows)],
        }
    )


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FrontEnd, Client, Path]]:
    folder = tmp_path_factory.mktemp("watched")
    make_region(folder / "region", parts=2, rows=300)
    config = ServerConfig(
        port=0, data=folder, grace_seconds=1.0, traces=f"file:{folder / 'spans.jsonl'}"
    )
    with serving(config) as front, Client(f"127.0.0.1:{front.port}") as client:
        yield front, client, folder


def test_calls_streams_and_cases_are_counted(watched: tuple[FrontEnd, Client, Path]) -> None:
    front, client, _ = watched
    client.group_case(dx=["K35.900", "no such code"])
    with pytest.raises(ServiceError):
        client.group_case(dx=["K35.900"], scheme="atlantis")
    answers = list(client.group_batches([cases(5), cases(3)]))
    assert len(answers) == 2
    one, batch = GROUPING + "GroupCase", GROUPING + "GroupBatch"
    assert value(front, "drg_requests_total", method=one, code="OK") == 1
    assert value(front, "drg_requests_total", method=one, code="INVALID_ARGUMENT") == 1
    assert value(front, "drg_requests_total", method=batch, code="OK") == 1
    assert value(front, "drg_request_seconds_count", method=one) == 2
    for direction in ("received", "sent"):
        labels = {"method": batch, "direction": direction}
        assert value(front, "drg_stream_messages_total", **labels) == 2
    assert value(front, "drg_streams", method=batch) == 0
    assert value(front, "drg_cases_total", scheme="chs-core", status="grouped") == 7
    assert value(front, "drg_cases_total", scheme="chs-core", status="invalid") == 2
    assert value(front, "drg_unknown_codes_total", scheme="chs-core", list="dx") == 7


def test_a_trace_goes_from_the_request_to_its_tasks(
    watched: tuple[FrontEnd, Client, Path], caplog: pytest.LogCaptureFixture
) -> None:
    front, client, folder = watched
    with caplog.at_level(logging.INFO):
        run_id = client.start_run(**NAMES, out="run").run_id
        *_, last = client.watch_run(run_id)
    assert last.state == run_service_pb2.RUN_STATE_SUCCEEDED, last.failure
    spans = [json.loads(line) for line in (folder / "spans.jsonl").read_text().splitlines()]
    by_id = {span["context"]["span_id"]: span for span in spans}
    (run,) = [span for span in spans if span["name"] == "run"]
    assert run["attributes"] == {"run_id": run_id}
    assert by_id[run["parent_id"]]["name"] == "drg.v1.RunService/StartRun"
    tasks = [span for span in spans if span["name"].startswith("task ")]
    assert len(tasks) >= 6
    assert {span["parent_id"] for span in tasks} == {run["context"]["span_id"]}
    grouped = [span for span in tasks if "group" in span["name"]]
    assert {span["attributes"]["item"] for span in grouped} == {0, 1}
    batches = [span for span in spans if span["name"] == "group message"]
    assert by_id[batches[0]["parent_id"]]["name"] == "drg.v1.GroupingService/GroupBatch"
    assert value(front, "drg_runs", state="succeeded") == 1
    assert value(front, "drg_runs", state="queued") == 0
    assert value(front, "drg_run_stage_seconds_total", stage="group") > 0

    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    told = [(line["event"], line.get("run_id")) for line in lines]
    assert ("run started", run_id) in told
    assert ("run ended", run_id) in told
    text = json.dumps(lines) + (folder / "spans.jsonl").read_text()
    assert not re.search(r"K35|I21|J18|no such code", text)


def test_a_log_line_never_quotes_an_error() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    ours, other = logging.getLogger("cluster.test"), logging.getLogger("somebody.else")
    for log in (ours, other):
        log.addHandler(handler)
    try:
        try:
            raise ValueError("K35.900 of Zhang San")
        except ValueError:
            ours.exception("it went wrong")
        other.warning("K35.900 of %s", "Zhang San")
    finally:
        for log in (ours, other):
            log.removeHandler(handler)
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["event"], first["error"]) == ("it went wrong", "ValueError")
    assert first["frames"]
    assert "Zhang" not in stream.getvalue()
    assert "K35" not in stream.getvalue()
    assert second["event"].startswith("record of test_watched.py:")


def test_spans_arrive_at_a_collector(tmp_path: Path) -> None:
    """OTLP over HTTP as the exporter sends it, and the status of a call that failed."""
    received: list[tuple[str, str, bytes]] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["content-length"]))
            received.append((self.path, self.headers["content-encoding"] or "", data))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever).start()
    try:
        traces = f"http://127.0.0.1:{collector.server_port}"
        config = ServerConfig(port=0, data=tmp_path, grace_seconds=1.0, traces=traces)
        with serving(config) as front, Client(f"127.0.0.1:{front.port}") as client:
            client.group_case(dx=["K35.900"])
            with pytest.raises(ServiceError):
                client.get_run("nothing")
    finally:
        collector.shutdown()
        collector.server_close()
    assert {path for path, _, _ in received} == {"/v1/traces"}
    spans = []
    for _, encoding, data in received:
        plain = gzip.decompress(data) if encoding == "gzip" else data
        request = trace_service_pb2.ExportTraceServiceRequest.FromString(plain)
        (resource,) = request.resource_spans
        assert {one.key: one.value.string_value for one in resource.resource.attributes} == {
            "service.name": "drg-grouper server"
        }
        spans += [span for scope in resource.scope_spans for span in scope.spans]
        assert b"K35" not in plain
    names = [span.name for span in spans]
    assert names == ["drg.v1.GroupingService/GroupCase", "drg.v1.RunService/GetRun"]


def test_a_call_whose_caller_left_is_not_worked_on(
    watched: tuple[FrontEnd, Client, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threads are busy; what waits behind them is taken back when its caller goes."""
    front, _, _ = watched
    begun: list[int] = []
    go = threading.Event()

    def slow(data: bytes, *rest: object) -> tuple[bytes, dict[str, int]]:
        begun.append(len(data))
        go.wait(20)
        return b"", {}

    monkeypatch.setattr(grouping, "group_message", slow)
    number = front._executor._max_workers  # type: ignore[attr-defined]
    request = grouping_service_pb2.GroupBatchRequest(arrow_ipc=b"1")
    late = grouping_service_pb2.GroupBatchRequest(arrow_ipc=b"too late")
    with grpc.insecure_channel(f"127.0.0.1:{front.port}") as channel:
        stub = GroupingServiceStub(channel)
        busy = [stub.GroupBatch(iter([request])) for _ in range(number)]
        _until(lambda: len(begun) == number)
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.GroupBatch(iter([late]), timeout=0.5))
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        cancelled = stub.GroupBatch(iter([late]))
        time.sleep(0.3)
        cancelled.cancel()
        labels = {"method": GROUPING + "GroupBatch", "code": "CANCELLED"}
        _until(lambda: value(front, "drg_requests_total", **labels) == 2)
        go.set()
        for call in busy:
            list(call)
    assert begun == [1] * number


def _until(met: object, seconds: float = 15.0) -> None:
    assert callable(met)
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def test_slow_readers_and_half_closed_callers_hold_up_nobody(
    watched: tuple[FrontEnd, Client, Path],
) -> None:
    front, client, _ = watched
    taken = 0

    def many() -> Iterator[pa.Table]:
        nonlocal taken
        for _ in range(500):
            taken += 1
            yield cases(20_000)

    reading = client.group_batches(many())
    next(reading)  # and then it reads no more
    ended = threading.Event()

    def half() -> Iterator[grouping_service_pb2.GroupBatchRequest]:
        yield from ()
        ended.set()

    with grpc.insecure_channel(f"127.0.0.1:{front.port}") as channel:
        assert list(GroupingServiceStub(channel).GroupBatch(half())) == []
        started = time.monotonic()
        with Client(f"127.0.0.1:{front.port}") as other:
            for _ in range(20):
                assert other.group_case(dx=["K35.900"]).result.mdc == "G"
        assert time.monotonic() - started < 10
    assert ended.is_set()
    assert taken < 20
    reading.close()  # type: ignore[attr-defined]
    _until(lambda: value(front, "drg_streams", method=GROUPING + "GroupBatch") == 0)


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_the_wall_clock_jumps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, jump: float) -> None:
    wall = time.time
    clock = iter(range(100))
    out = io.StringIO()
    reporter = Reporter(out, [10, 10], lambda: float(next(clock)))
    reporter.progress("group", 1, 2)
    monkeypatch.setattr(time, "time", lambda: wall() + jump)
    reporter.progress("group", 2, 2)
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    left = told[1]["estimated_end"] - time.time()
    assert 0 < left < 2

    gate = Gate(Limits(requests_per_second=1, burst=1))
    hospital = Principal("h1", Role.HOSPITAL, "H1")
    gate.take_call(hospital)
    with pytest.raises(Exception, match="more calls than"):
        gate.take_call(hospital)

    register = Register(tmp_path)
    try:
        register.add("first", Spec("r", "s", "p", "o1"))
        monkeypatch.setattr(time, "time", lambda: wall() - jump)
        register.add("second", Spec("r", "s", "p", "o2"))
        assert [record.request_id for record in register.page(5, "")[0]] == ["second", "first"]
        first = register.next_queued()
        assert first is not None
        assert first.request_id == "first"
    finally:
        register.close()
