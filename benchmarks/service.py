"""The service over loopback: latency and rate of `GroupCase`, and cases a second of `GroupBatch`.

    python benchmarks/service.py [--seconds 5]

The rate is held against an empty method of a bare server in the same run; the clients run in a
process of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.dataset
from common import machine, region, scheme_folder, table

from cluster.client import Client
from cluster.drg.v1 import case_pb2, grouping_service_pb2
from cluster.drg.v1.grouping_service_pb2_grpc import GroupingServiceStub

EMPTY = "/bench.Echo/Empty"

BARE = """
import asyncio, sys, grpc

async def main():
    server = grpc.aio.server()
    async def empty(request, context):
        return b""
    handler = grpc.unary_unary_rpc_method_handler(empty)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bench.Echo", {"Empty": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"serving on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()

asyncio.run(main())
"""


@contextmanager
def server(command: list[str]):
    """A server process; gives its address."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        for line in process.stdout:
            if "serving on " in line:
                yield line.split("serving on ")[1].split()[0].rstrip(",")
                break
    finally:
        process.terminate()
        process.wait()


def request() -> grouping_service_pb2.GroupCaseRequest:
    case = case_pb2.Case(
        case_id="1",
        dx=["I21.900", "J96.000", "I10.x00x002", "E11.900"],
        px=["36.0601"],
        sex=1,
        age=60,
    )
    return grouping_service_pb2.GroupCaseRequest(case=case, scheme="chs-core")


async def rate(call, seconds: float, parallel: int = 32) -> float:
    """Calls a second with so many under way at once."""
    end = time.perf_counter() + seconds
    done = 0

    async def one() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await call()
            done += 1

    start = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(parallel)))
    return done / (time.perf_counter() - start)


async def latency(call, per_second: int, seconds: float) -> list[float]:
    """Milliseconds of calls that begin at a fixed rate, whatever the earlier ones do."""
    found: list[float] = []

    async def one() -> None:
        start = time.perf_counter()
        await call()
        found.append((time.perf_counter() - start) * 1e3)

    begin = time.perf_counter()
    calls = []
    for i in range(int(per_second * seconds)):
        await asyncio.sleep(max(0.0, begin + i / per_second - time.perf_counter()))
        calls.append(asyncio.create_task(one()))
    await asyncio.gather(*calls)
    return found


async def unary(address: str, empty: str, seconds: float) -> list[list[str]]:
    async with (
        grpc.aio.insecure_channel(address) as channel,
        grpc.aio.insecure_channel(empty) as bare,
    ):
        group, message = GroupingServiceStub(channel).GroupCase, request()
        nothing = bare.unary_unary(EMPTY)
        await rate(lambda: group(message), 1)
        empty_rate, group_rate = 0.0, 0.0
        for _ in range(3):
            empty_rate = max(empty_rate, await rate(lambda: nothing(b""), seconds / 3))
            group_rate = max(group_rate, await rate(lambda: group(message), seconds / 3))
        waits = await latency(lambda: group(message), 200, seconds)
    return [
        ["empty method, calls/s", f"{empty_rate:,.0f}"],
        ["GroupCase, calls/s", f"{group_rate:,.0f} ({group_rate / empty_rate:.0%} of empty)"],
        ["GroupCase at 200/s, 99 % within", f"{np.percentile(waits, 99):.1f} ms"],
    ]


def batches(address: str, cases: int) -> list[str]:
    folder = scheme_folder("chs_drg_11")
    source = region(folder, cases, 20) / "cases"
    names = ["case_id", "dx", "px", "sex", "age", "age_days", "weight"]
    read = pa.dataset.dataset(source).to_table(columns=names).to_batches(max_chunksize=16_384)
    with Client(address) as client:
        list(client.group_batches(read[:2], scheme="chs-core"))
        start = time.perf_counter()
        rows = sum(b.num_rows for b in client.group_batches(read, scheme="chs-core"))
        seconds = time.perf_counter() - start
    return ["GroupBatch, cases/s", f"{rows / seconds:,.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--cases", type=int, default=1_000_000)
    options = parser.parse_args()
    print(machine())
    grouper = [str(Path(sys.executable).with_name("grouper")), "serve", "--listen", "127.0.0.1:0"]
    with server(grouper) as address, server([sys.executable, "-c", BARE]) as empty:
        rows = asyncio.run(unary(address, empty, options.seconds))
        rows.append(batches(address, options.cases))
    table(["what", "measured"], rows)


if __name__ == "__main__":
    main()
