"""`grouper backup` and `grouper restore`: the register, the logs and the runs of a server.

A backup is a folder: the register as one consistent snapshot, taken while the server works, the
audit log, every finished run, and `backup.json` with the digest of each file. It appears whole or
not at all, and so does what is restored from it.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from grouper import __version__
from grouper.errors import OutputError, RunError
from grouper.newfolder import new_folder
from grouper.parts import file_digest
from grouper.run.folder import LOG, MANIFEST, Manifest, read_manifest
from grouper.run.work import WORK

INDEX: Final = "backup.json"
REGISTER: Final = "runs.sqlite"
_DATA, _STATE = "data", "state"
_WORKING = (f"{REGISTER}-wal", f"{REGISTER}-shm", "owner.lock")
"""Files that belong to the server that works now."""
_TRANSFERS = "transfers"
"""Copies of what lies in a store; they vanish when their run has ended."""

_AGAIN = "delete the run and compute it again, then make the backup"


@dataclass(frozen=True)
class BackedUp:
    """What a backup holds.

    Attributes:
        runs: finished runs.
        files: all files; ``linked``: those taken from the earlier backup without copying.
        left_out: folders of runs that are not finished, or whose manifest is damaged.
    """

    runs: int
    files: int
    linked: int
    left_out: tuple[str, ...]


def back_up(
    data: Path, state: Path, to: Path, *, inputs: bool = False, previous: Path | None = None
) -> BackedUp:
    """Back a server's folder up into a new folder; the server may go on working.

    Args:
        data: its data folder.
        state: its folder of the register and the logs.
        to: the backup, a new folder.
        inputs: whether everything else below `data` (regions, packs, policies) is kept as well.
        previous: an earlier backup on the same disk; files that have not changed are linked.

    Raises:
        OutputError: a folder is missing or holds nothing of a server, or `to` cannot be written.
        RunError: a finished run is no longer what its manifest says.
    """
    if not data.is_dir():
        raise OutputError(f"{data} is not a folder", hint="name the server's data folder")
    if to.resolve().is_relative_to(data.resolve()):
        raise OutputError(f"{to} lies inside {data}", hint="keep the backup on another disk")
    unfinished = []
    runs = 0
    with new_folder(to) as work:
        copies = _Copies(work, previous)
        for source, name in _state_files(state, work):
            copies.keep(source, f"{_STATE}/{name}")
        for folder, manifest in _run_folders(data, state):
            place = str(folder.relative_to(data))
            if manifest is None:
                unfinished.append(place)
                continue
            runs += 1
            for file, digest in sorted(manifest.digests.items()):
                copies.keep(folder / file, f"{_DATA}/{place}/{file}", digest)
            for file in (LOG, MANIFEST):
                if (folder / file).is_file():
                    copies.keep(folder / file, f"{_DATA}/{place}/{file}")
        if inputs:
            for source in _inputs(data, state, unfinished):
                name = f"{_DATA}/{source.relative_to(data)}"
                if name not in copies.files:
                    copies.keep(source, name)
        if not copies.files and not unfinished:
            raise OutputError(
                f"{data} holds no run, and {state} no register",
                hint="name the server's data folder, and its state folder by --state",
            )
        index = {
            "engine": __version__,
            "data": str(data.resolve()),
            "files": copies.files,
            "left_out": sorted(unfinished),
        }
        text = json.dumps(index, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        (work / INDEX).write_text(text, encoding="utf-8")
        _sync(work)
    return BackedUp(runs, len(copies.files), copies.linked, tuple(sorted(unfinished)))


class _Copies:
    """The files of a backup while it is made.

    Attributes:
        files: SHA-256 by name.
        linked: how many are links to the earlier backup.
    """

    def __init__(self, work: Path, previous: Path | None) -> None:
        self.files: dict[str, str] = {}
        self.linked = 0
        self._work = work
        self._previous = previous
        self._known: dict[str, str] = {} if previous is None else _index(previous)["files"]

    def keep(self, source: Path, name: str, digest: str | None = None) -> None:
        """Copy or link a file.

        Args:
            digest: what a manifest says of the file.

        Raises:
            RunError: the file is not what the manifest says.
        """
        target = self._work / name
        if self._previous is not None and name in self._known:
            now = digest or file_digest(source)
            if self._known[name] == now and _linked(self._previous / name, target):
                self.linked += 1
                self.files[name] = now
                return
        if digest is not None and not source.is_file():
            raise RunError(f"{source} is missing: its manifest names it", hint=_AGAIN)
        found = _kept(source, target)
        if digest is not None and found != digest:
            raise RunError(f"{source} was altered: its manifest says otherwise", hint=_AGAIN)
        self.files[name] = found


def restore(backup: Path, data: Path, state: Path) -> int:
    """Restore a backup into a new data folder; return the number of files.

    The server that starts there takes up what was queued or under way, as after any stop.

    Args:
        backup: a folder that `back_up` made.
        data: the data folder, new or empty.
        state: the folder of the register, inside `data` or elsewhere, new or empty.

    Raises:
        OutputError: a folder holds something, or is not a backup.
        RunError: a file of the backup is missing or was altered.
    """
    index = _index(backup)
    files: dict[str, str] = index["files"]
    inside = state.resolve().is_relative_to(data.resolve())
    with ExitStack() as stack:
        work = stack.enter_context(new_folder(data))
        if inside:
            other = work / state.resolve().relative_to(data.resolve())
        else:
            other = stack.enter_context(new_folder(state))
        _fill(backup, files, work, other)
        if f"{_STATE}/{REGISTER}" in files and "data" in index:
            _move(other / REGISTER, index["data"], str(data.resolve()))
        if not inside:
            _sync(other)
        _sync(work)
    return len(files)


def _move(register: Path, old: str, new: str) -> None:
    """Have the register name its files in the new data folder: the old one may still be served."""
    with closing(sqlite3.connect(register)) as db, db:
        for column in ("region", "scheme", "policy", "out"):
            db.execute(
                f"update runs set {column} = ? || substr({column}, ?)"
                f" where substr({column}, 1, ?) = ?",
                (new, len(old) + 1, len(old) + 1, f"{old}/"),
            )


def _fill(backup: Path, files: dict[str, str], data: Path, state: Path) -> None:
    data.mkdir(exist_ok=True)
    state.mkdir(parents=True, exist_ok=True)
    for name, digest in sorted(files.items()):
        kind, _, rest = name.partition("/")
        source = backup / name
        if not source.is_file():
            raise RunError(f"{name} is missing in the backup", hint="use another backup")
        if _kept(source, (state if kind == _STATE else data) / rest) != digest:
            raise RunError(f"{name} was altered in the backup", hint="use another backup")


def _index(backup: Path) -> dict[str, Any]:
    try:
        found = json.loads((backup / INDEX).read_text(encoding="utf-8"))
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name in found["files"]):
            raise ValueError("a name leaves the folder")
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = (error.strerror or error) if isinstance(error, OSError) else error
        raise OutputError(
            f"{backup} is not a backup: {why}", hint=f"a backup holds {INDEX}"
        ) from None
    return dict(found)


def _state_files(state: Path, work: Path) -> Iterator[tuple[Path, str]]:
    """The files of the state folder, the register as a snapshot."""
    if not state.is_dir():
        return
    snapshot = work / f".{REGISTER}"
    if (state / REGISTER).is_file():
        try:
            with (
                closing(sqlite3.connect(f"file:{state / REGISTER}?mode=ro", uri=True)) as live,
                closing(sqlite3.connect(snapshot)) as copy,
            ):
                live.backup(copy)
        except sqlite3.Error as error:
            raise OutputError(
                f"the register {state / REGISTER} cannot be read: {error}",
                hint="work as the server's user: even who reads it writes files beside it",
            ) from error
        yield snapshot, REGISTER
        snapshot.unlink()
    for path in sorted(state.rglob("*")):
        name = path.relative_to(state)
        if name.parts[0] == _TRANSFERS or path.name in (REGISTER, *_WORKING):
            continue
        if path.is_file():
            yield path, str(name)


def _run_folders(data: Path, state: Path) -> Iterator[tuple[Path, Manifest | None]]:
    """Run folders below the data folder with their manifests; None: not finished, or damaged."""
    for place, folders, names in os.walk(data):
        folder = Path(place)
        folders[:] = sorted(f for f in folders if folder / f != state)
        if WORK in folders or (MANIFEST in names and not _of_another_kind(folder / MANIFEST)):
            folders.clear()
            try:
                yield folder, read_manifest(folder)
            except RunError:
                yield folder, None


def _of_another_kind(manifest: Path) -> bool:
    """Whether a manifest is whole and not that of a run: of an export, or of answers."""
    try:
        return "stages" not in json.loads(manifest.read_text(encoding="utf-8"))
    except ValueError:
        return False


def _inputs(data: Path, state: Path, unfinished: Collection[str]) -> Iterator[Path]:
    """Every other file below the data folder."""
    for place, folders, names in os.walk(data):
        folder = Path(place)
        left = {state, *(data / run for run in unfinished)}
        folders[:] = sorted(f for f in folders if folder / f not in left)
        yield from (folder / name for name in sorted(names) if (folder / name).is_file())


def _kept(source: Path, target: Path) -> str:
    """Copy a file and return the digest of the copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return file_digest(target)


def _linked(source: Path, target: Path) -> bool:
    """Link a file of the earlier backup; whether that could be."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        target.hardlink_to(source)
    return target.exists()


def _sync(folder: Path) -> None:
    """Have the disk hold every file before the folder gets its name."""
    for path in (folder, *folder.rglob("*")):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
