"""What callers may take: calls, streams, sizes, and bytes that grow when they are unpacked."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.rpc import error_details_pb2, status_pb2

from cluster.channel import Credentials
from cluster.client import Client
from cluster.codec import decode
from cluster.drg.v1 import grouping_service_pb2
from cluster.errors import ServiceError
from cluster.server.config import Limits, ServerConfig
from tests.cluster.conftest import serving
from tests.cluster.hall import ROLES, Hall, cases, entry, known_by, token_of


def limited(folder: Path, **limits: Any) -> ServerConfig:
    return ServerConfig(
        port=0,
        data=folder,
        grace_seconds=1.0,
        principals=tuple(entry(role) for role in ROLES),
        limits=Limits(**limits),
    )


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
            ask(b"", metadata=known_by("reader"))
        with pytest.raises(grpc.RpcError) as caught:
            ask(b"", metadata=known_by("reader"))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        reason, delay = _refusal(caught.value)
        assert reason == "LIMIT_REACHED"
        assert delay is not None
        assert 0 < delay <= 0.5
        ask(b"", metadata=known_by("bureau"))  # others have calls of their own
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

        open_streams = [watch(silent(), metadata=known_by("reader")) for _ in range(2)]
        time.sleep(0.5)
        with pytest.raises(grpc.RpcError) as caught:
            list(watch(iter(()), metadata=known_by("reader")))
        assert _refusal(caught.value) == ("LIMIT_REACHED", 1.0)
        assert list(watch(iter(()), metadata=known_by("bureau"))) == []
        end.set()
        for stream in open_streams:
            assert list(stream) == []
        assert list(watch(iter(()), metadata=known_by("reader"))) == []


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
            ask(bytes(1 << 17), metadata=known_by("bureau"))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert ask(b"", metadata=known_by("bureau"))
        known = Credentials(token=token_of("bureau"), encrypted=False)
        with Client(f"127.0.0.1:{front.port}", credentials=known) as client:
            with pytest.raises(ServiceError) as refused:
                client.group_case(dx=["K35.900"] * 9_000)
            assert "limits.message_bytes" in refused.value.hint


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
            list(send(iter([request]), metadata=known_by("bureau")))


def test_compressed_cases_are_taken(hall: Hall) -> None:
    table = cases(5000)
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write(table)
    assert decode(bytes(sink.getvalue()), "arrow_ipc").equals(table)
