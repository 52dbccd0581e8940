"""The same run on 1, 2 and 4 Ray nodes of this machine: equal bytes, and the driver's own work.

    python benchmarks/scaling.py [--cases N] [--nodes 1 2 4]

Each node is a raylet with one CPU and its own workers, and the driver connects to them as to any
cluster. A machine with fewer cores than nodes shows no speed; it shows that the result is the same
and that the driver's own seconds do not grow with the nodes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import machine, region, scheme_folder, table

POLICY = Path(__file__).resolve().parent / "policies" / "four-cities.toml"


def digest(run: Path) -> str:
    """One digest over every file of a run but its log."""
    whole = hashlib.sha256()
    for path in sorted(run.rglob("*")):
        if path.is_file() and path.name != "log.jsonl":
            whole.update(str(path.relative_to(run)).encode())
            whole.update(path.read_bytes())
    return whole.hexdigest()[:16]


def driver_seconds(command: list[str]) -> tuple[float, float]:
    """Seconds of a command, and the processor seconds of its own process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=float, default=5, help="in millions")
    parser.add_argument("--nodes", type=int, nargs="*", default=[1, 2, 4])
    options = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    scheme = scheme_folder("chs_drg_11")
    cases = int(options.cases * 1e6)
    source = region(scheme, cases, 450, "--reviews", "--cities", "4")
    parts = len(list((source / "cases").iterdir()))
    print(machine(), f"{cases:,} cases in {parts} files", sep="; ")
    rows = []
    with tempfile.TemporaryDirectory(dir=source.parent) as scratch:
        for nodes in options.nodes:
            cluster = Cluster()
            for _ in range(nodes):
                cluster.add_node(num_cpus=1, object_store_memory=256 << 20)
            run = Path(scratch) / f"run-{nodes}"
            command = [sys.executable, "-m", "grouper", "rerun", str(source)]
            command += ["--scheme", str(scheme), "--policy", str(POLICY), "--out", str(run)]
            try:
                seconds, own = driver_seconds([*command, "--ray", cluster.address])
            finally:
                cluster.shutdown()
            rows.append([str(nodes), f"{seconds:.1f}", f"{own:.1f}", digest(run)])
            print("  ".join(rows[-1]), file=sys.stderr)
    table(["nodes", "seconds", "driver's own", "digest of the run"], rows)
    if len({row[-1] for row in rows}) > 1:
        raise SystemExit("the runs differ")


if __name__ == "__main__":
    main()
