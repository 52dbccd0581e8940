"""`grouper rerun`: seconds after start-up, memory of all processes, cost per case as regions grow.

    python benchmarks/rerun.py [--cases 1 5 10 20] [--workers 2] [--hospitals 450] [--runs 3]

A region has 45 hospitals a million cases (450 for ten million), or as many as are named. Workers
are started first and settle the first region unmeasured; then each region is settled in turn, anew
and under another policy with `--reuse`, as often as `--runs` says, and the middle counts. A turn
takes minutes, in which the speed of a shared machine drifts: so before and after each region the
first one is settled anew twice, and what a case costs is the middle of the ratios to these four.
Beside the seconds stands what share of the processors' time other guests of the host took. A run
that lost more than `--stolen` of it says nothing of the program: it is told and made again, three
times in all, and the one that lost least counts. Processor seconds are those of all processes. What
the start costs a user is shown by the whole command over a region of 500 cases. Memory is the
highest sum of PSS (shared pages divided among their users) over this process and all that it
started, Ray's own included, looked at every two seconds, because a process stands still while it is
looked at.
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
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

from common import goal, machine, region, scheme_folder, table

from grouper import load_policy, load_scheme
from grouper.execution import Runner, open_runner
from grouper.run import rerun
from grouper.scheme import Scheme

POLICIES = Path(__file__).resolve().parent / "policies"
POLICY, OTHER = "four-cities.toml", "four-cities-what-if.toml"
FURTHER = ("--reviews", "--cities", "4")
_PAUSE = 2.0
_TRIES = 3
_NEAR = 2
"""How often the first region is settled between two others."""


def processes(mark: str) -> Iterator[Path]:
    """This process, and those that carry the mark in their environment."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            # Ray's processes leave the tree of their parent, but keep its environment.
            mine = folder.name == str(os.getpid())
            if mine or mark.encode() in (folder / "environ").read_bytes():
                yield folder


def pss(mark: str) -> int:
    """Sum of PSS in bytes."""
    total = 0
    for folder in processes(mark):
        with suppress(OSError):
            for line in (folder / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def processor_seconds(mark: str) -> float:
    """Processor seconds of all processes so far."""
    ticks = 0
    for folder in processes(mark):
        with suppress(OSError):
            words = (folder / "stat").read_text().rpartition(")")[2].split()
            ticks += int(words[11]) + int(words[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def stolen() -> tuple[int, int]:
    """Ticks of all processors that other guests of the host took, and all ticks so far."""
    ticks = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[7], sum(ticks)


class Measured(NamedTuple):
    """Seconds, those of processors, the highest memory in GB, and the share of stolen time."""

    seconds: float
    processor: float
    memory: float
    theft: float

    def told(self) -> str:
        """Seconds and stolen share."""
        return f"{self.seconds:.2f} s, {self.theft:.0%} stolen"


def measured(work: Callable[[], object], mark: str) -> Measured:
    """What a work takes."""
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(_PAUSE):
            peak = max(peak, pss(mark))

    watcher = threading.Thread(target=watch)
    watcher.start()
    before, used = stolen(), processor_seconds(mark)
    start = time.perf_counter()
    try:
        work()
    finally:
        seconds = time.perf_counter() - start
        done.set()
        watcher.join()
    after = stolen()
    theft = (after[0] - before[0]) / max(after[1] - before[1], 1)
    return Measured(seconds, processor_seconds(mark) - used, peak / 1e9, theft)


def undisturbed(
    ready: Callable[[], None], work: Callable[[], None], mark: str, most: float
) -> Measured:
    """What a work takes, of several tries that lost too much the one that lost least."""
    tries: list[Measured] = []
    for _ in range(_TRIES):
        ready()
        tries.append(measured(work, mark))
        if tries[-1].theft <= most:
            break
        print(f"  disturbed: {tries[-1].told()}", file=sys.stderr)
    return min(tries, key=lambda one: one.theft)


@dataclass
class Figures:
    """What was measured of a region in each turn.

    Attributes:
        near: what the first region's runs anew took before and after this one's.
        further: runs anew and with `--reuse` of the first region beside others.
    """

    millions: float
    hospitals: int
    source: Path
    anew: list[Measured] = field(default_factory=list)
    reused: list[Measured] = field(default_factory=list)
    near: list[list[Measured]] = field(default_factory=list)
    further: list[tuple[Measured, Measured]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Of a run anew."""
        return median(one.seconds for one in self.anew)

    @property
    def memory(self) -> float:
        """The highest, in GB."""
        return max(one.memory for one in (*self.anew, *self.reused))

    def beside(self, what: str) -> float:
        """How many times the seconds or processor seconds of the first region, turn by turn."""
        return median(
            getattr(one, what) / fmean(getattr(other, what) for other in near)
            for one, near in zip(self.anew, self.near, strict=True)
        )

    def share(self) -> float:
        """Seconds with `--reuse` of those anew just before."""
        pairs = [*zip(self.anew, self.reused, strict=True), *self.further]
        return median(again.seconds / anew.seconds for anew, again in pairs)

    def rows(self, workers: int, first: Figures) -> Iterator[list[str]]:
        """Two rows of the table."""
        size = self.millions / first.millions
        for what, runs in (("anew", self.anew), ("--reuse", self.reused)):
            costs = [[getattr(one, w) for one in runs] for w in ("seconds", "processor")]
            yield [
                *(f"{self.millions:g} M", str(self.hospitals), str(workers), what),
                " ".join(f"{one.seconds:.1f} ({one.theft:.0%})" for one in runs),
                *(f"{median(cost) / self.millions:.2f}" for cost in costs),
                f"{self.beside('seconds') / size:.2f}" if what == "anew" else "",
                f"{self.memory:.2f}",
            ]


class Course:
    """Regions that are settled in turns."""

    def __init__(
        self,
        found: list[Figures],
        scheme: Scheme,
        runner: Runner,
        scratch: Path,
        mark: str,
        stolen: float,
    ) -> None:
        """Settle the first region once, unmeasured."""
        self._found, self._scheme, self._runner = found, scheme, runner
        self._outs = scratch / "anew", scratch / "reused"
        self._mark, self._stolen = mark, stolen
        self._both(found[0])

    def turn(self) -> None:
        """Measure every region once, and the first one beside each."""
        before = self._near()
        for of in self._found:
            anew, reused = self._both(of)
            of.anew.append(anew)
            of.reused.append(reused)
            after = self._near()
            of.near.append(before + after or [anew])
            before = after

    def _near(self) -> list[Measured]:
        first = self._found[0]
        pairs = [self._both(first) for _ in range(_NEAR if len(self._found) > 1 else 0)]
        first.further += pairs
        return [anew for anew, _ in pairs]

    def _both(self, of: Figures) -> tuple[Measured, Measured]:
        """A region anew, and under another policy with `--reuse`."""
        anew = self._one(of, POLICY, self._outs[0], None)
        reused = self._one(of, OTHER, self._outs[1], self._outs[0])
        told = f"{of.millions:g} M: {anew.told()}; --reuse {reused.told()}"
        print(told, file=sys.stderr)
        return anew, reused

    def _one(self, of: Figures, policy: str, out: Path, reuse: Path | None) -> Measured:
        def ready() -> None:
            # Not part of a run: the folder that goes is another region's, and what the disk still
            # writes is another run's.
            shutil.rmtree(out, ignore_errors=True)
            os.sync()

        def work() -> None:
            rules = load_policy(POLICIES / policy)
            rerun(of.source, self._scheme, rules, out, self._runner, reuse=reuse)

        return undisturbed(ready, work, self._mark, self._stolen)


def started(small: Path, scheme: Path, scratch: Path, workers: int) -> float:
    """Seconds of the command over the smallest region, with a warm cache."""
    seconds = 0.0
    for number in range(2):
        command = [sys.executable, "-m", "grouper", "rerun", str(small), "--scheme", str(scheme)]
        command += ["--policy", str(POLICIES / POLICY), "--out", str(scratch / f"start-{number}")]
        start = time.perf_counter()
        subprocess.run(
            [*command, "--workers", str(workers)], check=True, capture_output=True, text=True
        )
        seconds = time.perf_counter() - start
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=float, nargs="*", default=[1, 5, 10, 20], help="millions")
    parser.add_argument("--workers", type=int, nargs="*", default=[2])
    parser.add_argument("--hospitals", type=int, help="in every region; 45 a million cases if not")
    parser.add_argument("--scheme", default="chs_drg_11")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--stolen", type=float, default=0.05)
    options = parser.parse_args()
    print(machine())
    folder = scheme_folder(options.scheme)
    scheme = load_scheme(folder)
    small = region(folder, 500, 8, *FURTHER)
    counts = [(millions, options.hospitals or round(45 * millions)) for millions in options.cases]
    sources = [region(folder, int(m * 1e6), hospitals, *FURTHER) for m, hospitals in counts]
    mark = f"GROUPER_BENCH={os.getpid()}"
    os.environ.update([mark.split("=")])
    rows = []
    for workers in options.workers:
        with tempfile.TemporaryDirectory(dir=small.parent) as place:
            scratch = Path(place)
            print(f"start and end: {started(small, folder, scratch, workers):.1f} s")
            found = [Figures(*of, source) for of, source in zip(counts, sources, strict=True)]
            runner = open_runner(workers)
            course = Course(found, scheme, runner, scratch, mark, options.stolen)
            for _ in range(options.runs):
                course.turn()
            runner.close()
        rows += [row for of in found for row in of.rows(workers, found[0])]
        goals(f"{workers} workers", found)
    head = ["cases", "hospitals", "workers", "grouping", "seconds of each run (stolen)"]
    table([*head, "us a case", "of processors", "beside the first", "memory GB"], rows)


def goals(said: str, found: list[Figures]) -> None:
    """Print the goals beside what was found."""
    for of in found:
        if of.millions == 10:
            goal(f"10 M cases, {said}", "30 s", f"{of.seconds:.1f} s", met=of.seconds <= 30)
            goal(f"memory, {said}", "under 4 GB", f"{of.memory:.2f} GB", met=of.memory < 4)
    for what in ("seconds", "processor") if len(found) > 1 else ():
        each = [of.beside(what) * found[0].millions / of.millions for of in found]
        spread = max(each) / min(each) - 1
        told = f"same {what} a case, {said}"
        goal(told, "within 15 %", f"{spread:.0%}", met=spread <= 0.15)
    for of in found:
        told = f"--reuse, {of.millions:g} M cases, {said}"
        goal(told, "0.50 of anew", f"{of.share():.2f}", met=of.share() <= 0.5)


if __name__ == "__main__":
    main()
