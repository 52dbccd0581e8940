"""The run folder while a run is under way: whole files, resumed parts, one process at a time."""

from __future__ import annotations

import fcntl
import os
import pickle
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grouper.errors import OutputError, RunError
from grouper.parts import file_digest

WORK = ".work"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that after a crash it is either whole or not there.

    Raises:
        OutputError: the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(
            f"{path.name} cannot be written: {error.strerror or error}",
            hint="check the folder's permissions and the free space",
        ) from error


@dataclass(frozen=True)
class Done:
    """The record of a finished task.

    Attributes:
        result: what the task returned.
        digests: SHA-256 of each file that it wrote, by name relative to the run folder.
    """

    result: Any
    digests: dict[str, str]


def record_path(run: Path, stage: str, number: int) -> Path:
    """Where the record of a task lies."""
    return run / WORK / "done" / f"{stage}-{number:05d}"


def record(run: Path, stage: str, number: int, done: Done) -> None:
    """Keep the record of a finished task; its files are already under their names."""
    write_whole(record_path(run, stage, number), pickle.dumps(done, protocol=5))


def recorded(run: Path, stage: str, number: int) -> Done | None:
    """The record of a task, if it is finished and all its files are as it left them."""
    try:
        done = pickle.loads(record_path(run, stage, number).read_bytes())
    except (OSError, EOFError, pickle.PickleError, AttributeError, ValueError):
        return None
    if not isinstance(done, Done):
        return None
    for name, digest in done.digests.items():
        try:
            if file_digest(run / name) != digest:
                return None
        except OSError:
            return None
    return done


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold the run folder; the lock falls with the process.

    Raises:
        RunError: another process is working in the folder.
    """
    with (run / WORK / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(
                f"another process is working in {run}",
                hint="wait until it has ended, or choose another --out",
            ) from None
        yield
