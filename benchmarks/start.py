"""How long a user waits before anything happens: help, and a file of one case, with a warm cache.

    python benchmarks/start.py

Bytecode is kept between the runs, as an installation keeps it. A worker's start is what its process
imports and loads beside Ray's own work.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from common import Timing, goal, machine, table, timed

GOALS = {"grouper --help": 0.3, "group a file of one case": 1.5}
"""Seconds."""


def main() -> None:
    print(machine())
    grouper = Path(sys.executable).with_name("grouper")
    with tempfile.TemporaryDirectory() as scratch:
        one = Path(scratch) / "one.parquet"
        pq.write_table(pa.table({"case_id": ["1"], "dx": [["K35.900"]], "px": [["47.0901"]]}), one)
        environment = os.environ | {"PYTHONPYCACHEPREFIX": str(Path(scratch) / "bytecode")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        commands = {
            "grouper --help": [str(grouper), "--help"],
            "group a file of one case": [
                *(str(grouper), "group", "--scheme", "chs-core", "--cases", str(one)),
                *("--out", str(Path(scratch) / "out.parquet")),
            ],
            "explain a case": [str(grouper), "explain", "--scheme", "chs-core", "--dx", "K35.900"],
            "import ray": [sys.executable, "-c", "import ray"],
            "a worker's start": [
                *(sys.executable, "-c", "from cluster.worker import Worker; Worker(None)")
            ],
        }
        rows, found = [], {}
        for name, command in commands.items():
            used: list[float] = []

            def run(command: list[str] = command, used: list[float] = used) -> None:
                before = _processor_seconds()
                subprocess.run(command, check=True, capture_output=True, env=environment)
                used.append(_processor_seconds() - before)

            timing = timed(run, 9)
            processor = Timing(tuple(used[1:]))
            found[name] = timing.best, processor.best
            rows.append([name, *(f"{t.best:.2f} {t.middle:.2f}" for t in (timing, processor))])
    table(["what", "seconds best, middle", "processor seconds best, middle"], rows)
    for name, aim in GOALS.items():
        elapsed, processor_seconds = found[name]
        told = f"{elapsed:.2f} s, {processor_seconds:.2f} of them the processor's"
        goal(name, f"{aim:g} s", told, met=elapsed <= aim)


def _processor_seconds() -> float:
    """What all ended child processes used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
