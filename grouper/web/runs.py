"""The runs that the page shows: those of a server's register, and run folders on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from grouper.errors import RunError
from grouper.run.folder import LOG, MANIFEST, Manifest, holds_export, read_manifest
from grouper.run.quote import Prices, read_prices
from grouper.run.work import WORK

_DEPTH: Final = 3
_MOST_FOLDERS: Final = 2_000
_MOST_RUNS: Final = 200
_FRESH_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How far a run is, as a server's register tells it.

    Attributes:
        name: what people call it.
        folder: its run folder.
        address: where it lies in an object store; then no folder of this machine is looked at.
        state: `queued`, `running`, `succeeded`, `failed` or `cancelled`.
        estimated_end, started, ended: seconds since 1970, None where unknown.
        failure, hint: why it failed, and what to do.
    """

    name: str
    folder: Path
    state: str
    stage: str = ""
    parts_done: int = 0
    parts_total: int = 0
    cases_done: int = 0
    cases_total: int = 0
    estimated_end: float | None = None
    started: float | None = None
    ended: float | None = None
    failure: str = ""
    hint: str = ""
    address: str = ""


RunSource = Callable[[], Sequence[RunStatus]]
"""Asks a register for its runs, the newest first; called from any thread."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A finished stage of a run: its name, parts and seconds."""

    name: str
    parts: int
    seconds: float


@dataclass(frozen=True)
class ShownRun:
    """A run as the page shows it.

    Attributes:
        key: names it in addresses; follows from its folder.
        status: what the register or, without one, the folder says.
        manifest: of a finished run.
        fault: why its folder cannot be read; empty where it can.
        named: whether it was named when the page was started.
    """

    key: str
    status: RunStatus
    manifest: Manifest | None
    stages: tuple[Stage, ...]
    fault: str = ""
    named: bool = False

    @property
    def report(self) -> Path | None:
        """Folder of its report, where `grouper report` has written one."""
        folder = self.status.folder / "report"
        return folder if (folder / "index.html").is_file() else None

    @property
    def counts(self) -> dict[str, dict[str, Any]]:
        """The manifest's counts by stage."""
        stages = self.manifest.stages if self.manifest else []
        return {stage["stage"]: stage["counts"] for stage in stages}

    @property
    def failing(self) -> list[dict[str, object]]:
        """Equations that do not hold."""
        checks = self.manifest.checks if self.manifest else []
        return [check for check in checks if not check.get("holds")]


class RunBook:
    """Finds runs, and reads what they pay.

    Args:
        runs: folders that were named one by one.
        data: folder below which others are looked for.
        source: a server's register.
    """

    def __init__(
        self, runs: Sequence[Path], data: Path | None, source: RunSource | None = None
    ) -> None:
        self._named = tuple(run.resolve() for run in runs)
        self._data = data
        self._source = source
        self._lock = threading.Lock()
        self._listed: tuple[float, list[ShownRun]] = (0.0, [])
        self._manifests: dict[Path, tuple[tuple[int, int], Manifest]] = {}
        self._prices: dict[Path, tuple[tuple[int, int], Prices]] = {}

    def listed(self) -> list[ShownRun]:
        """All runs: the register's, then the folders that were named, then those found."""
        with self._lock:
            asked, found = self._listed
            if time.monotonic() - asked > _FRESH_SECONDS or not asked:
                found = list(self._look())
                self._listed = (time.monotonic(), found)
            return found

    def find(self, key: str) -> ShownRun | None:
        """The run of a key."""
        return next((run for run in self.listed() if run.key == key), None)

    def prices(self, run: ShownRun) -> Prices:
        """What a finished run pays for a case.

        Raises:
            RunError: its folder is incomplete, altered, or of another version.
        """
        folder = run.status.folder
        stamp = _stamp(folder / MANIFEST)
        with self._lock:
            known = self._prices.get(folder)
            if stamp is not None and known is not None and known[0] == stamp:
                return known[1]
            prices = read_prices(folder)
            if stamp is not None:
                self._prices[folder] = (stamp, prices)
            return prices

    def _look(self) -> Iterator[ShownRun]:
        seen: set[Path] = set()
        for status in self._source() if self._source else ():
            if status.folder not in seen and len(seen) < _MOST_RUNS:
                seen.add(status.folder)
                yield self._shown(status)
        for folder in (*self._named, *self._below()):
            folder = folder.resolve()
            if folder not in seen and len(seen) < _MOST_RUNS:
                seen.add(folder)
                yield self._shown(_status(folder))

    def _below(self) -> Iterator[Path]:
        if self._data is None:
            return
        visited = 0
        waiting = [(self._data, 0)]
        while waiting and visited < _MOST_FOLDERS:
            folder, depth = waiting.pop(0)
            visited += 1
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError:
                continue
            names = {entry.name for entry in entries}
            if WORK in names or {MANIFEST, "benchmarks.parquet"} <= names:
                if LOG in names or not holds_export(folder):
                    yield folder
            elif depth < _DEPTH:
                waiting += [
                    (Path(entry.path), depth + 1)
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
                ]

    def _shown(self, status: RunStatus) -> ShownRun:
        key = hashlib.sha256(str(status.folder).encode()).hexdigest()[:12]
        fault = ""
        manifest: Manifest | None = None
        stages: tuple[Stage, ...] = ()
        if status.address:
            return ShownRun(key, status, None, ())
        try:
            manifest = self._manifest(status.folder)
            stages = tuple(_stages(status.folder / LOG))
        except RunError as error:
            fault = str(error)
        except OSError as error:
            fault = f"{status.folder} cannot be read: {error.strerror}"
        named = status.folder in self._named
        return ShownRun(key, status, manifest, stages, fault, named)

    def _manifest(self, folder: Path) -> Manifest | None:
        stamp = _stamp(folder / MANIFEST)
        if stamp is None:
            return None
        known = self._manifests.get(folder)
        if known is not None and known[0] == stamp:
            return known[1]
        manifest = read_manifest(folder)
        if manifest is not None:
            self._manifests[folder] = (stamp, manifest)
        return manifest


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _status(folder: Path) -> RunStatus:
    """What a folder alone says of its run."""
    if (folder / MANIFEST).is_file():
        state = "succeeded"
    else:
        state = "unfinished" if (folder / WORK).is_dir() else "missing"
    return RunStatus(folder.name, folder, state)


def _stages(log: Path) -> Iterator[Stage]:
    try:
        text = log.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            row = json.loads(line)
            yield Stage(str(row["stage"]), int(row["parts"]), float(row["seconds"]))
        except (ValueError, KeyError, TypeError):
            # A run that is writing this moment, or a line that is no stage.
            continue
