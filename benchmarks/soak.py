"""Simulated hospitals on loopback: unary calls, streams and reads at once, and nothing lost.

    python benchmarks/soak.py [--hospitals 200] [--seconds 60]

Every answer is checked against the engine. A refused call (a limit, a server that is busy) must say
so in a status; what is neither answered rightly nor refused is lost, and the script ends with 1.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cluster.channel import Credentials
from cluster.client import Client
from cluster.errors import ServiceError
from cluster.server.config import ServerConfig
from cluster.server.principals import PrincipalEntry
from grouper.grouping import group
from grouper.scheme import load_scheme
from tests.cluster.conftest import serving

CODES = ("K35.900", "I21.900", "J18.900", "O82.900", "no such code")
THREADS = 16


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
    names = [f"h{number}" for number in range(hospitals)]
    entries = tuple(
        PrincipalEntry(
            name=name,
            role=f"hospital:{name}",
            token_sha256=hashlib.sha256(f"token {name}".encode()).hexdigest(),
        )
        for name in names
    )
    config = ServerConfig(port=0, data=folder, grace_seconds=1.0, principals=entries)
    counts: Counter[str] = Counter()
    lock = threading.Lock()
    end = time.monotonic() + seconds

    def work(mine: list[str], address: str) -> None:
        done: Counter[str] = Counter()
        number = 0
        while time.monotonic() < end:
            for name in mine:
                number += 1
                known = Credentials(token=f"token {name}", encrypted=False)
                with Client(address, credentials=known) as client:
                    try:
                        done[one_visit(client, number)] += 1
                    except ServiceError as error:
                        done[f"refused {error.status}"] += 1
                if time.monotonic() > end:
                    break
        with lock:
            counts.update(done)

    def one_visit(client: Client, number: int) -> str:
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

    with serving(config) as front:
        address = f"127.0.0.1:{front.port}"
        share = [names[number::THREADS] for number in range(THREADS)]
        threads = [threading.Thread(target=work, args=(mine, address)) for mine in share if mine]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return counts


def main() -> None:
    """Prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hospitals", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts = soak(given.hospitals, given.seconds, Path(folder))
    for kind, number in sorted(counts.items()):
        print(f"{kind:24} {number:>10,}")
    print(f"{'lost':24} {counts['lost']:>10,}")
    sys.exit(1 if counts["lost"] else 0)


if __name__ == "__main__":
    main()
