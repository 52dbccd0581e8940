"""`grouper rerun`: seconds, memory of all processes, and cost per case over growing regions.

    python benchmarks/rerun.py [--cases 1 5 10 20] [--workers 2] [--hospitals 450]

A region has 45 hospitals a million cases (450 for ten million), or as many as are named. Each size
is settled anew, and again under another policy with `--reuse`. Memory is the highest sum of PSS
(shared pages divided among their users) over every process that the command starts, Ray's own
included, looked at five times a second. Start-up is what the command takes for a region of 500
cases; it is taken off in the second column of seconds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from common import goal, machine, region, scheme_folder, table


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


POLICIES = Path(__file__).resolve().parent / "policies"


def settled(
    source: Path, scheme: Path, policy: str, out: Path, workers: int, *options: str
) -> tuple[float, float]:
    """Seconds and memory of a run."""
    command = [sys.executable, "-m", "grouper", "rerun", str(source), "--scheme", str(scheme)]
    command += ["--policy", str(POLICIES / policy), "--out", str(out), "--workers", str(workers)]
    return measured([*command, *options])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=float, nargs="*", default=[1, 5, 10], help="in millions")
    parser.add_argument("--workers", type=int, nargs="*", default=[2])
    parser.add_argument("--hospitals", type=int, help="in every region; 45 a million cases if not")
    parser.add_argument("--scheme", default="chs_drg_11")
    options = parser.parse_args()
    print(machine())
    scheme = scheme_folder(options.scheme)
    further = ("--reviews", "--cities", "4")
    small = region(scheme, 500, 8, *further)
    rows = []
    found: dict[tuple[int, float, str], tuple[float, float]] = {}
    for workers in options.workers:
        with tempfile.TemporaryDirectory() as scratch:
            place = Path(scratch)
            start, _ = settled(small, scheme, "four-cities.toml", place / "warm", workers)
            start, _ = settled(small, scheme, "four-cities.toml", place / "start", workers)
        for millions in options.cases:
            cases = int(millions * 1e6)
            hospitals = options.hospitals or round(45 * millions)
            source = region(scheme, cases, hospitals, *further)
            with tempfile.TemporaryDirectory(dir=source.parent) as scratch:
                anew, again = Path(scratch) / "anew", Path(scratch) / "again"
                works = {
                    "anew": lambda s=source, o=anew, w=workers: settled(
                        s, scheme, "four-cities.toml", o, w
                    ),
                    "--reuse": lambda s=source, o=again, r=anew, w=workers: settled(
                        s, scheme, "four-cities-what-if.toml", o, w, "--reuse", str(r)
                    ),
                }
                for what, work in works.items():
                    seconds, memory = work()
                    net = seconds - start
                    found[workers, millions, what] = net, memory
                    rows.append(
                        [
                            f"{millions:g} M",
                            str(hospitals),
                            str(workers),
                            what,
                            f"{seconds:.1f}",
                            f"{net:.1f}",
                            f"{net / cases * 1e6:.2f}",
                            f"{memory:.2f}",
                        ]
                    )
                    print("  ".join(rows[-1]), file=sys.stderr)
    head = ["cases", "hospitals", "workers", "grouping", "seconds", "after start", "us a case"]
    table([*head, "memory GB"], rows)
    for workers in options.workers:
        goals(workers, {key[1:]: value for key, value in found.items() if key[0] == workers})


def goals(workers: int, found: dict[tuple[float, str], tuple[float, float]]) -> None:
    """Print the goals: seconds after start-up and memory by millions of cases and grouping."""
    said = f"{workers} workers"
    if (10, "anew") in found:
        seconds, memory = found[10, "anew"]
        goal(f"10 M cases, {said}", "30 s after start-up", f"{seconds:.1f} s", met=seconds <= 30)
        goal(f"memory, {said}", "4 GB", f"{memory:.2f} GB", met=memory < 4)
    each = {
        millions: net / millions for (millions, what), (net, _) in found.items() if what == "anew"
    }
    if len(each) > 1:
        spread = max(each.values()) / min(each.values()) - 1
        goal(f"same cost a case, {said}", "within 15 %", f"{spread:.0%}", met=spread <= 0.15)
    for (millions, what), (seconds, _) in found.items():
        if what == "--reuse":
            share = seconds / found[millions, "anew"][0]
            told = f"--reuse, {millions:g} M cases, {said}"
            goal(told, "0.50 of anew", f"{share:.2f}", met=share <= 0.5)


if __name__ == "__main__":
    main()
