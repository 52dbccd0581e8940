"""How long a user waits before anything happens: help, and a file of one case, with a warm cache.

python benchmarks/start.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from common import machine, table, timed


def main() -> None:
    print(machine())
    grouper = Path(sys.executable).with_name("grouper")
    with tempfile.TemporaryDirectory() as scratch:
        one = Path(scratch) / "one.parquet"
        pq.write_table(pa.table({"case_id": ["1"], "dx": [["K35.900"]], "px": [["47.0901"]]}), one)
        commands = {
            "grouper --help": ["--help"],
            "group a file of one case": [
                *("group", "--scheme", "chs-core", "--cases", str(one)),
                *("--out", str(Path(scratch) / "out.parquet")),
            ],
            "explain a case": ["explain", "--scheme", "chs-core", "--dx", "K35.900"],
        }
        rows = []
        for name, words in commands.items():
            command = [str(grouper), *words]

            def run(command: list[str] = command) -> None:
                subprocess.run(command, check=True, capture_output=True)

            timing = timed(run, 9)
            rows.append([name, f"{timing.best:.2f}", f"{timing.middle:.2f}"])
    table(["command", "seconds best", "seconds middle"], rows)


if __name__ == "__main__":
    main()
