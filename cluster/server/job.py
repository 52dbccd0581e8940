"""One run in a process of its own: `python -m cluster.server.job`, started by the supervisor.

The order comes as a JSON line on standard input, reports go as JSON lines to standard output. When
standard input ends, the server is gone, and so is this process.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any, TextIO

from cluster.tracing import TracedRunner, Tracing
from grouper.cases import open_cases
from grouper.errors import GrouperError, RunError
from grouper.execution import open_runner
from grouper.run import rerun
from grouper.run.work import locked
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from grouper.stores import between

_REPORT_SECONDS = 0.2
_GRACE_SECONDS = 15.0
_SHARES = {"survey": 0.07, "group": 0.67, "points": 0.02, "values": 0.24}
"""Shares of the stages in the time of a run, for the estimate of its end: what `log.jsonl` says of
600,000 made-up cases under `guigang-points` with one worker."""


class Reporter:
    """Says how far the run got, not more often than anyone looks."""

    def __init__(
        self, out: TextIO, rows: list[int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._out = out
        self._cases = [0, *accumulate(rows)]
        # The wall clock may be set while a run works; how long it took must not follow that.
        self._clock = clock
        self._started = clock()
        self._stage = ""
        self._said = 0.0
        self._ends: float | None = None

    def say(self, event: str, **fields: Any) -> None:
        """One line to the supervisor."""
        self._out.write(json.dumps({"event": event, **fields}) + "\n")
        self._out.flush()

    def progress(self, stage: str, done: int, total: int) -> None:
        """The engine's progress: a stage, its finished parts, and all its parts."""
        now = self._clock()
        if stage == self._stage and done < total and now - self._said < _REPORT_SECONDS:
            return
        self._stage, self._said = stage, now
        known = total == len(self._cases) - 1
        self.say(
            "progress",
            stage=stage,
            parts_done=done,
            parts_total=total,
            cases_done=self._cases[done] if known else 0,
            cases_total=self._cases[-1] if known else 0,
            estimated_end=self._estimate(now, stage, done / total if total else 1.0),
        )

    def _estimate(self, now: float, stage: str, fraction: float) -> float | None:
        before = 0.0
        for name, share in _SHARES.items():
            if name == stage:
                finished = before + share * fraction
                if finished:
                    left = (now - self._started) * (1 - finished) / finished
                    self._ends = time.time() + left
                break
            before += share
        return self._ends  # of a stage that takes next to no time: as it was told before


def main() -> None:
    """Runs the order; the exit code says nothing, the last line says all."""
    # The reports keep the real standard output to themselves; whatever else prints goes to the log.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGTERM, _exit)
    order = json.loads(sys.stdin.readline() or "null")
    if order is None:
        return
    threading.Thread(target=_end_with_server, daemon=True).start()
    try:
        _run(order, out)
    except GrouperError as error:
        place = f"{error.where()}: " if error.where() else ""
        failure = {"reason": error.code, "message": place + error.message, "hint": error.hint}
        out.write(json.dumps({"event": "failed", **failure}) + "\n")
        out.flush()


def _run(order: dict[str, Any], out: TextIO) -> None:
    tracing = Tracing(order["traces"], "drg-grouper run")
    try:
        with tracing.span("run", order["traceparent"], run_id=order["run_id"]):
            _settle(order, out, tracing)
    finally:
        tracing.close()


def _settle(order: dict[str, Any], out: TextIO, tracing: Tracing) -> None:
    work, encoding = Path(order["work"]), order["encoding"]
    scheme = load_scheme(order["scheme"])
    policy = load_policy(order["policy"])
    with between(order["region"], order["out"], work) as (region, out_folder):
        source = open_cases(region / "cases", wanted=(), encoding=encoding)
        rows = [part.rows for part in source.parts]
        reporter = Reporter(out, [] if min(rows, default=-1) < 0 else rows)
        _wait_for_folder(out_folder)
        runner = open_runner(order["workers"], order["ray"])
        if tracing.on:
            runner = TracedRunner(runner, tracing)
        try:
            rerun(
                *(region, scheme, policy, out_folder, runner),
                encoding=encoding,
                progress=reporter.progress,
            )
        finally:
            runner.close()
    reporter.say("succeeded")


def _wait_for_folder(run: Path) -> None:
    """Waits where the process of a server that was killed has not ended yet.

    Where it does not end, the run says itself that somebody else works in its folder.
    """
    end = time.monotonic() + _GRACE_SECONDS + 5
    while time.monotonic() < end:
        try:
            with locked(run):
                return
        except (FileNotFoundError, NotADirectoryError):
            return  # nobody has begun there, or it is no folder, which the run itself tells
        except RunError:
            time.sleep(0.2)


def _exit(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _end_with_server() -> None:
    """Ends this process when the server does; nothing else ever comes on standard input."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
