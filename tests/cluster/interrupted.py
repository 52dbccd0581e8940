"""Runs that are killed: `python interrupted.py REGION FOLDER [EVERY]`, a JSON line for each.

EVERY leaves points out: 1, the default, kills a run before each change that it makes to its folder,
and harms each file of it alone.

The engine is loaded once and forked for each run, so that a kill costs a tenth of a second. Where
to kill is counted by Python's own audit events, as the engine goes about its files: each of them is
a place where the power could go. The product knows nothing of this.
"""

import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from grouper.errors import GrouperError
from grouper.execution import LocalRunner
from grouper.kernels import load_all
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy

_CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir")


def main() -> None:
    region, folder = map(Path, sys.argv[1:3])
    every = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    scheme, policy = load_scheme("chs-core"), load_policy("guigang-points")
    load_all()

    def settle(out: Path, kill_at: int = 0) -> str:
        """How a run ended: the last event before it was killed, or what it says of itself."""

        def run(told: Callable[[str], None]) -> None:
            if kill_at:
                _kill_at(kill_at, out, told)
            told(rerun(region, scheme, policy, out, LocalRunner()).state)

        return _forked(run)

    whole = folder / "whole"
    settle(whole)
    expected = contents(whole)

    def tell(what: str, out: Path, ended: str) -> None:
        same = contents(out) == expected
        print(json.dumps({"what": what, "ended": ended, "same": same}), flush=True)
        shutil.rmtree(out)

    count = 1
    while (event := settle(out := folder / f"killed-{count}", count)) != "made":
        tell(f"killed: {event}", out, settle(out))
        count += every
    last = count
    for first in range(1, last, 5 * every):  # killed again and again, each time a little later
        later = first
        while (ended := settle(folder / "often", later)) not in ("made", "resumed", "verified"):
            later += 9
        tell("killed often", folder / "often", ended)
    late = folder / "late"
    settle(late, last - every - 3)
    for what, harms in _harms(late, alone=every == 1):
        out = folder / "harmed"
        shutil.copytree(late, out)
        for path, harm in harms:
            harm(out / path)
        tell(what, out, settle(out))


def contents(run: Path) -> dict[str, str]:
    """Digest of every file of a run folder but the log, which holds times."""
    files = (path for path in sorted(run.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name != "log.jsonl"
    }


def _forked(work: Callable[[Callable[[str], None]], None]) -> str:
    """What the last line of a forked process said before it ended or was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.close(reading)
            work(lambda text: _say(writing, text))
            code = 0
        except GrouperError as error:
            _say(writing, f"error: {error}")
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as lines:
        said = lines.read().splitlines()
    os.waitpid(child, 0)
    return said[-1] if said else "died"


def _say(pipe: int, text: str) -> None:
    os.write(pipe, f"{text}\n".encode())


def _kill_at(number: int, out: Path, told: Callable[[str], None]) -> None:
    """Kills this process before the change of that number below the run folder."""
    left = number
    place = str(out)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event not in _CHANGES or not str(arguments[0]).startswith(place):
            return
        left -= 1
        if not left:
            told(f"{event} {str(arguments[0]).removeprefix(place)}")
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


_Harm = tuple[Path, Callable[[Path], None]]


def _harms(run: Path, *, alone: bool) -> Iterator[tuple[str, list[_Harm]]]:
    """What power loss may leave of files: a part of them, zeros, or nothing."""
    kept = {"run", "lock"}  # synced with its name before anything else is written; and empty
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and path.name not in kept]
    harms = (cut, zeroed, missing)
    for turn in range(3):
        chosen = [
            (path.relative_to(run), harms[(number + turn) % 3]) for number, path in enumerate(files)
        ]
        yield f"all harmed {turn}", chosen
        if alone:
            yield from ((f"{harm.__name__} {path}", [(path, harm)]) for path, harm in chosen)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def missing(path: Path) -> None:
    path.unlink()


if __name__ == "__main__":
    main()
