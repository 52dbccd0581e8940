"""The service over loopback: latency and rate of `GroupCase`, and cases a second of `GroupBatch`.

    python benchmarks/service.py [--seconds 10]

Rate and latency are held against an empty method of a bare server in the same turns; latency with
processors that are kept awake and with such as fall asleep between two calls, because a virtual
machine waits for its host when it wakes. Server and client are processes of their own, one client
for each stream of `GroupBatch`. Its cases are read before the clock starts, as `grouper send` reads
them (codes as dictionaries), and as plain strings.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import grpc
import numpy as np
import pyarrow as pa
from common import awake, goal, machine, region, scheme_folder, table

from cluster.client import Client
from cluster.drg.v1 import case_pb2, grouping_service_pb2
from cluster.drg.v1.grouping_service_pb2_grpc import GroupingServiceStub
from grouper.cases import CaseSource, open_cases, read_part
from grouper.grouping import columns_for
from grouper.scheme import load_scheme

EMPTY = "/bench.Echo/Empty"
PER_SECOND, MILLISECONDS, SHARE, CASES = 200, 5.0, 0.6, 500_000
"""The goals."""
TURNS = 10

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


async def unary(
    address: str, empty: str, seconds: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Calls a second, and latency at a fixed rate with processors awake and not.

    The empty method and `GroupCase` are called in turn, a row of the result each time.
    """
    async with (
        grpc.aio.insecure_channel(address) as channel,
        grpc.aio.insecure_channel(empty) as bare,
    ):
        group, message = GroupingServiceStub(channel).GroupCase, request()
        nothing = bare.unary_unary(EMPTY)
        await rate(lambda: group(message), 1)
        calls = (lambda: nothing(b""), lambda: group(message))
        turns = [[await rate(call, seconds / TURNS) for call in calls] for _ in range(TURNS)]

        async def waits() -> np.ndarray:
            """The time within which 99 % of the calls of all turns were answered."""
            each = [  # (calls, milliseconds) of each turn
                [await latency(call, PER_SECOND, seconds / TURNS) for call in calls]
                for _ in range(TURNS)
            ]
            return np.percentile(np.concatenate(each, axis=1), 99, axis=1)

        asleep = await waits()
        with awake():
            return np.array(turns), await waits(), asleep


def batches(source: CaseSource, *, plain: bool) -> Iterator[pa.RecordBatch]:
    """The cases as a client has them."""
    for part in source.parts:
        for batch in read_part(source, part):
            if plain:
                lists = {name: batch.column(name).cast(pa.list_(pa.string())) for name in CODES}
                for name, column in lists.items():
                    at = batch.schema.get_field_index(name)
                    batch = batch.set_column(at, name, column)
            yield batch


CODES = ("dx", "px")
_barrier: Barrier


def _together(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier


def stream(address: str, scheme: str, cases: Path, plain: bool) -> tuple[float, float, int, int]:
    """Send all cases; when it began and ended, the cases, and the messages."""
    loaded = load_scheme(scheme)
    source = open_cases(cases, wanted=columns_for(loaded))
    read = list(batches(source, plain=plain))
    with Client(address) as client:
        list(client.group_batches(read[:1], scheme=loaded.id))
        _barrier.wait()
        start = time.perf_counter()
        answers = [table.num_rows for table in client.group_batches(read, scheme=loaded.id)]
        return start, time.perf_counter(), sum(answers), len(answers)


def batch_rate(
    address: str, scheme: str, cases: Path, streams: int, *, plain: bool
) -> tuple[float, float]:
    """Cases a second, and cases a message."""
    context = get_context("spawn")
    barrier = context.Barrier(streams)
    with ProcessPoolExecutor(streams, context, _together, (barrier,)) as pool:
        every = [pool.submit(stream, address, scheme, cases, plain) for _ in range(streams)]
        starts, ends, rows, messages = zip(*(one.result() for one in every), strict=True)
    return sum(rows) / (max(ends) - min(starts)), sum(rows) / sum(messages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 2])
    options = parser.parse_args()
    print(machine())
    published = str(scheme_folder("chs_drg_11"))
    cases = region(Path(published), options.cases, 20) / "cases"
    schemes = list(dict.fromkeys(("chs-core", published)))
    grouper = [str(Path(sys.executable).with_name("grouper")), "serve", "--listen", "127.0.0.1:0"]
    grouper += [word for scheme in schemes for word in ("--scheme", scheme)]
    with (
        tempfile.TemporaryDirectory() as data,
        server([*grouper, "--data", data]) as address,
        server([sys.executable, "-c", BARE]) as empty,
    ):
        turns, waits, asleep = asyncio.run(unary(address, empty, options.seconds))
        empty_rate, group_rate = np.median(turns, axis=0)
        share = np.median(turns[:, 1] / turns[:, 0])
        table(
            ["method", "calls/s", f"99 % within, at {PER_SECOND}/s", "processors fall asleep"],
            [
                [name, f"{rate:,.0f}", f"{wait:.1f} ms", f"{slept:.1f} ms"]
                for name, rate, wait, slept in zip(
                    ("empty, of a bare server", "GroupCase"),
                    (empty_rate, group_rate),
                    waits,
                    asleep,
                    strict=True,
                )
            ],
        )
        rows, sent = [], []
        for streams in options.streams:
            for scheme in schemes:
                for plain in (False, True):
                    speed, size = batch_rate(address, scheme, cases, streams, plain=plain)
                    if streams == 1 and not plain:
                        sent.append(speed)
                    columns = "strings" if plain else "dictionaries"
                    name = Path(scheme).name
                    rows.append([name, columns, str(streams), f"{size:,.0f}", f"{speed:,.0f}"])
        table(["GroupBatch by", "codes as", "streams", "cases a message", "cases/s"], rows)
    goal("GroupCase", f"{SHARE:.0%} of the empty method", f"{share:.0%}", met=share >= SHARE)
    aim = f"99 % within {MILLISECONDS:g} ms at {PER_SECOND}/s"
    goal("GroupCase", aim, f"{waits[1]:.1f} ms", met=waits[1] <= MILLISECONDS)
    if sent:
        least = min(sent)
        goal("GroupBatch, one stream", f"{CASES:,} cases/s", f"{least:,.0f}", met=least >= CASES)


if __name__ == "__main__":
    main()
