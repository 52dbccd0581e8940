"""Simulated hospitals on loopback: calls, streams, broken bytes and runs at once, nothing lost.

    python benchmarks/soak.py [--hospitals 300] [--seconds 300]

While hospitals call, the bureau starts one run after the other, processes of runs are killed, and
hospitals read their statements of the last run. Every answer is checked against the engine, and
every run against an undisturbed one, byte by byte. A refused call (a limit, a server that is busy)
must say so in a status; what is neither answered rightly nor refused is lost, and the script ends
with 1.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import grpc
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cluster import codec
from cluster.channel import Credentials
from cluster.client import Client
from cluster.drg.v1 import grouping_service_pb2, run_service_pb2
from cluster.errors import ServiceError
from cluster.server.app import FrontEnd
from cluster.server.config import ServerConfig
from cluster.server.principals import PrincipalEntry
from grouper.execution import LocalRunner
from grouper.grouping import group
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from tests.cluster.conftest import serving
from tests.cluster.interrupted import contents
from tests.cluster.region import make_region

CODES = ("K35.900", "I21.900", "J18.900", "O82.900", "no such code")
THREADS = 16
NAMES = {"region": "region", "scheme": "chs-core", "policy": "guigang-points"}


class Bureau:
    """Starts run after run, kills the process of every second one, and compares what comes out."""

    def __init__(self, folder: Path, end: float) -> None:
        region = make_region(folder / "region", parts=6, rows=500)
        rules = (load_scheme("chs-core"), load_policy("guigang-points"))
        rerun(region, *rules, folder / "undisturbed", LocalRunner())
        self.expected = contents(folder / "undisturbed")
        self.statements = pq.read_table(folder / "undisturbed" / "clearing.parquet")
        self.folder = folder
        self.end = end
        self.counts: Counter[str] = Counter()
        self.finished = ""

    def work(self, front: FrontEnd) -> None:
        """At least one run, and then until the end."""
        known = Credentials(token="token bureau", encrypted=False)
        with Client(f"127.0.0.1:{front.port}", credentials=known) as client:
            number = 0
            while not number or time.monotonic() < self.end:
                number += 1
                out = f"run-{number}"
                run = client.start_run(**NAMES, out=out, request_id=out)
                again = client.start_run(**NAMES, out=out, request_id=out)
                killed = again.run_id != run.run_id or number % 2 == 0
                for state in client.watch_run(run.run_id):
                    if not killed and state.progress.stage == "group":
                        killed = self._kill(front)
                good = state.state == run_service_pb2.RUN_STATE_SUCCEEDED
                same = good and contents(self.folder / out) == self.expected
                self.counts["runs" if same else "lost"] += 1
                if same:
                    self.finished = run.run_id

    def _kill(self, front: FrontEnd) -> bool:
        child = front._supervisor._child
        if child is not None:
            os.kill(child[1].pid, signal.SIGKILL)
            self.counts["killed processes"] += 1
        return child is not None


def soak(hospitals: int, seconds: float, folder: Path) -> Counter[str]:
    """Counts of answers by kind; `lost` must stay 0."""
    scheme = load_scheme("chs-core")
    cases = pa.table(
        {
            "case_id": [str(n) for n in range(2000)],
            "dx": [[CODES[n % len(CODES)]] for n in range(2000)],
        }
    )
    expected = group(cases, scheme)
    adrgs = dict(zip(CODES, expected["adrg"].to_pylist(), strict=False))
    names = [f"H{number}" for number in range(hospitals)]
    entries = tuple(
        PrincipalEntry(
            name=name,
            role=name if name == "bureau" else f"hospital:{name}",
            token_sha256=hashlib.sha256(f"token {name}".encode()).hexdigest(),
        )
        for name in (*names, "bureau")
    )
    config = ServerConfig(port=0, data=folder, grace_seconds=1.0, principals=entries)
    counts: Counter[str] = Counter()
    lock = threading.Lock()
    end = time.monotonic() + seconds
    bureau = Bureau(folder, end)

    def work(mine: list[str], address: str, number: int) -> None:
        done: Counter[str] = Counter()
        while time.monotonic() < end:
            for name in mine:
                number += 1
                known = Credentials(token=f"token {name}", encrypted=False)
                with Client(address, credentials=known) as client:
                    try:
                        done[one_visit(client, name, number)] += 1
                    except ServiceError as error:
                        done[f"refused {error.status}"] += 1
                if time.monotonic() > end:
                    break
        with lock:
            counts.update(done)

    def one_visit(client: Client, name: str, number: int) -> str:
        if number % 11 == 0:
            try:
                list(client._grouping.GroupBatch(iter([broken(number)])))
            except grpc.RpcError as error:
                bad = error.code() is grpc.StatusCode.INVALID_ARGUMENT
                return "broken bytes" if bad else "lost"
            return "lost"
        if number % 13 == 0 and bureau.finished:
            own = pa.concat_tables(client.table(bureau.finished, "clearing"))
            mine = pa.compute.equal(bureau.statements["hospital_id"], name)
            return "statements" if own.equals(bureau.statements.filter(mine)) else "lost"
        if number % 5 == 0:
            answers = pa.concat_tables(client.group_batches(cases.to_batches(max_chunksize=700)))
            return "streams" if answers.equals(expected) else "lost"
        if number % 7 == 0:
            try:
                list(client.list_runs())
            except ServiceError as error:
                return "denied" if error.status == "PERMISSION_DENIED" else "lost"
            return "lost"
        code = CODES[number % len(CODES)]
        found = client.group_case(case_id=str(number), dx=[code]).result
        return "calls" if (found.case_id, found.adrg) == (str(number), adrgs[code]) else "lost"

    whole = codec.encode(cases.slice(0, 20))

    def broken(number: int) -> grouping_service_pb2.GroupBatchRequest:
        data = bytearray(whole)
        del data[7 * number % len(data) // 2 :]
        return grouping_service_pb2.GroupBatchRequest(arrow_ipc=bytes(data))

    with serving(config) as front:
        address = f"127.0.0.1:{front.port}"
        share = [names[number::THREADS] for number in range(THREADS)]
        # Each begins elsewhere in the round of visits, so that a short soak has all kinds of them.
        threads = [
            threading.Thread(target=work, args=(mine, address, first))
            for first, mine in enumerate(share)
            if mine
        ]
        threads.append(threading.Thread(target=bureau.work, args=(front,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return counts + bureau.counts


def main() -> None:
    """Prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hospitals", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=300.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts = soak(given.hospitals, given.seconds, Path(folder))
    for kind, number in sorted(counts.items()):
        print(f"{kind:24} {number:>10,}")
    print(f"{'lost':24} {counts['lost']:>10,}")
    sys.exit(1 if counts["lost"] else 0)


if __name__ == "__main__":
    main()
