"""The run folder while a run is under way: whole files, resumed parts, one process at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pickle
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

from grouper.errors import RunError
from grouper.parts import file_digest, sync_folder, unwritable

WORK = ".work"
_DIGEST = 32


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
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritable(path, error) from error


@dataclass(frozen=True)
class Done:
    """The record of a finished task.

    Attributes:
        result: what the task returned.
        digests: of each file that it wrote, by name relative to the run folder: SHA-256, and of
            files in the work folder, which no one else reads, XXH3.
    """

    result: Any
    digests: dict[str, str]

    @property
    def published(self) -> dict[str, str]:
        """Digests of the files that stay in the run folder."""
        return {name: digest for name, digest in self.digests.items() if not name.startswith(WORK)}


class Linked(NamedTuple):
    """A file that another run wrote, and its SHA-256."""

    path: Path
    digest: str


def _work_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()


def _digest(run: Path, name: str) -> str:
    """The digest of a file of a run as its record keeps it."""
    return (_work_digest if name.startswith(WORK) else file_digest)(run / name)


def record_path(run: Path, stage: str, number: int) -> Path:
    """Where the record of a task lies."""
    return run / WORK / "done" / f"{stage}-{number:05d}"


def record(run: Path, stage: str, number: int, done: Done) -> None:
    """Keep the record of a finished task; its files are already under their names."""
    data = pickle.dumps(done, protocol=5)
    write_whole(record_path(run, stage, number), hashlib.sha256(data).digest() + data)


def recorded(run: Path, stage: str, number: int) -> Done | None:
    """The record of a task, if it is finished and all its files are as it left them."""
    try:
        kept = record_path(run, stage, number).read_bytes()
    except OSError:
        return None
    seal, data = kept[:_DIGEST], kept[_DIGEST:]
    if hashlib.sha256(data).digest() != seal:
        return None  # not as it was written: a disk that lost power, or a foreign file
    done = pickle.loads(data)
    if not isinstance(done, Done):
        return None
    for name, digest in done.digests.items():
        try:
            if _digest(run, name) != digest:
                return None
        except OSError:
            return None
    return done


def once(
    run: str,
    stage: str,
    number: int,
    work: Callable[[Path], tuple[Any, Sequence[Path | Linked]]],
) -> Done:
    """The record of a task: as it was kept, or made by doing the work.

    Args:
        run: the run folder.
        stage: name of the stage.
        number: number of the task in its stage.
        work: does it; returns the result and the files that it wrote or linked.
    """
    folder = Path(run)
    done = recorded(folder, stage, number)
    if done is None:
        result, files = work(folder)
        digests = {}
        for file in files:
            if isinstance(file, Linked):
                digests[str(file.path.relative_to(folder))] = file.digest
            else:
                name = str(file.relative_to(folder))
                digests[name] = _digest(folder, name)
        done = Done(result, digests)
        record(folder, stage, number, done)
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
