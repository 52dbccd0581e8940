"""What the benchmark scripts share: where data lies, how time is taken, how a table is printed."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

K = TypeVar("K")

PROJECT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("GROUPER_SHARED", PROJECT.parent / "shared"))
DATA = Path(os.environ.get("GROUPER_BENCH_DATA", PROJECT / ".bench"))
"""Synthetic regions are kept here between runs."""


def machine() -> str:
    """The processor and how much of it there is."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            x.split(":")[1].strip() for x in info.read_text().splitlines() if "model name" in x
        ]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def scheme_folder(name: str) -> Path:
    """A pack of the shared schemes; the built-in one where they are missing."""
    folder = SHARED / "schemes" / name
    if folder.is_dir():
        return folder
    print(f"{folder} is missing: chs-core is measured instead", file=sys.stderr)
    return Path("chs-core")


def region(scheme: Path, cases: int, hospitals: int, *options: str) -> Path:
    """A synthetic region, made on first use and kept."""
    words = "-".join(o.strip("-") for o in options)
    folder = DATA / f"{scheme.name}-{cases}-{hospitals}{'-' + words if words else ''}"
    if not (folder / "hospitals.csv").exists():
        command = [sys.executable, "-m", "grouper", "synth", "--scheme", str(scheme)]
        command += ["--cases", str(cases), "--hospitals", str(hospitals), "--seed", "7"]
        command += ["--out", str(folder), *options]
        subprocess.run(command, check=True, stdout=sys.stderr)
    return folder


@dataclass(frozen=True)
class Timing:
    """Seconds of several runs after a warm-up."""

    runs: tuple[float, ...]

    @property
    def best(self) -> float:
        return min(self.runs)

    @property
    def middle(self) -> float:
        return median(self.runs)


def timed(work: Callable[[], object], runs: int = 5) -> Timing:
    """Run once unmeasured, then `runs` times."""
    work()
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return Timing(tuple(found))


def alternating(
    works: Mapping[K, Callable[[], object]],
    runs: int = 5,
    ready: Callable[[], object] = lambda: None,
) -> dict[K, Timing]:
    """Run several works in turn, so that a drift of the machine's speed meets all of them alike.

    Args:
        ready: what is done before each work and not measured.
    """
    found: dict[K, list[float]] = {name: [] for name in works}
    for work in works.values():
        ready()
        work()
    for _ in range(runs):
        for name, work in works.items():
            ready()
            start = time.perf_counter()
            work()
            found[name].append(time.perf_counter() - start)
    return {name: Timing(tuple(times)) for name, times in found.items()}


def of(whole: Timing, part: Timing) -> float:
    """How many times `part` goes into `whole`: the middle of the ratios turn by turn."""
    return median(a / b for a, b in zip(whole.runs, part.runs, strict=True))


_SPIN = """
import os, sys
os.sched_setaffinity(0, [int(sys.argv[1])])
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while True:
    pass
"""


@contextmanager
def awake() -> Iterator[None]:
    """Keep processors from falling asleep: on each a process spins that gives way to any other.

    The host of a virtual machine may give a sleeping processor to another guest, and take
    milliseconds to give it back.
    """
    spinning = [
        subprocess.Popen([sys.executable, "-c", _SPIN, str(cpu)])
        for cpu in sorted(os.sched_getaffinity(0))
    ]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def table(header: list[str], rows: list[list[str]]) -> None:
    """Print a table in Markdown."""
    widths = [max(len(r[i]) for r in [header, *rows]) for i in range(len(header))]
    for row in [header, ["-" * w for w in widths], *rows]:
        print("| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |")


def goal(what: str, aim: str, found: str, *, met: bool) -> None:
    """Print a goal beside what was found in this run."""
    print(f"goal {'met' if met else 'MISSED'}: {what}: {found} (aim: {aim})")
