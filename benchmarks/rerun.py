"""`grouper rerun`: seconds, memory of all processes, and cost per case over growing regions.

    python benchmarks/rerun.py [--cases 1 5 10 20] [--workers 2]

Memory is the highest sum of PSS (shared pages divided among their users) over every process that
the command starts, Ray's own included, looked at five times a second. Seconds are of the whole
command and of the stages alone, as its log tells them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from common import machine, region, scheme_folder, table


def pss_of_session(leader: int) -> int:
    """Sum of PSS in bytes over the processes that carry the run's mark in their environment."""
    mark = f"GROUPER_BENCH={leader}".encode()
    total = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if mark not in (folder / "environ").read_bytes():
                continue
            for line in (folder / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        except OSError:
            continue
    return total


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds of a command, and the highest memory of all its processes in GB."""
    mark = os.getpid()
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.2):
            peak = max(peak, pss_of_session(mark))

    watcher = threading.Thread(target=watch)
    start = time.perf_counter()
    # Marked by its environment, because Ray's processes leave the tree of their parent.
    env = os.environ | {"GROUPER_BENCH": str(mark)}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    if code:
        raise SystemExit(f"{' '.join(command)} ended with {code}")
    return seconds, peak / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=float, nargs="*", default=[1, 5, 10], help="in millions")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--hospitals", type=int, default=450)
    parser.add_argument("--scheme", default="chs_drg_11")
    parser.add_argument("--policy", default="guigang-points")
    options = parser.parse_args()
    print(machine())
    folder = scheme_folder(options.scheme)
    rows = []
    for millions in options.cases:
        cases = int(millions * 1e6)
        source = region(folder, cases, options.hospitals, "--reviews", "--cities", "4")
        for workers in options.workers:
            with tempfile.TemporaryDirectory(dir=source.parent) as scratch:
                run = Path(scratch) / "run"
                command = [sys.executable, "-m", "grouper", "rerun", str(source)]
                command += ["--scheme", str(folder), "--policy", options.policy]
                command += ["--out", str(run), "--workers", str(workers)]
                seconds, memory = measured(command)
                size = sum(f.stat().st_size for f in run.rglob("*") if f.is_file()) / 1e6
                shutil.rmtree(run)
            per_case = f"{seconds / cases * 1e6:.2f}"
            rows.append(
                [
                    f"{millions:g} M",
                    str(workers),
                    f"{seconds:.1f}",
                    per_case,
                    f"{memory:.2f}",
                    f"{size:.0f}",
                ]
            )
    table(["cases", "workers", "seconds", "us a case", "memory GB", "run MB"], rows)


if __name__ == "__main__":
    main()
