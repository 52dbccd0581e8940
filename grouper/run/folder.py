"""The run folder: whose it is, whether it is complete, and what is written last."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from grouper.errors import OutputError, RunError
from grouper.parts import ParquetFile, file_digest, sync_folder, unwritable
from grouper.run.work import WORK, write_whole
from grouper.stores import within_region

MANIFEST: Final = "manifest.json"
LOG: Final = "log.jsonl"
_TABLES: Final = ("cases", "grouped", "points")
_RECORDS: Final = ("done", "facts", "rejected")
_MARK: Final = "run"
_FAILED, _BEFORE = "failed", "failed_before"


@dataclass
class Manifest:
    """What a run says of itself. It holds no clock time and no path.

    Attributes:
        stages: per stage its counts and the digests of the files that it wrote.
        checks: the equations of `settlement.checks` with both sides.
    """

    run: str
    engine: str
    scheme: dict[str, Any]
    policy: dict[str, Any]
    year: int
    inputs: dict[str, str]
    stages: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, object]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def stage(self, name: str, counts: Mapping[str, Any], digests: Mapping[str, str]) -> None:
        """Add a stage."""
        self.stages.append(
            {"stage": name, "counts": dict(sorted(counts.items())), "digests": dict(digests)}
        )

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of every output file, by name."""
        return {name: digest for stage in self.stages for name, digest in stage["digests"].items()}

    def text(self) -> str:
        """The manifest as JSON."""
        return json.dumps(self.__dict__, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def read_manifest(run: Path) -> Manifest | None:
    """The manifest of a run folder; None where there is none.

    Raises:
        RunError: there is one, and it is not a manifest.
    """
    try:
        return Manifest(**json.loads((run / MANIFEST).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as cause:
        if holds_export(run):
            raise RunError(
                f"{run} holds an export, not a run",
                hint="name the run that it was made from; to write, choose another --out",
            ) from None
        raise RunError(
            f"{run / MANIFEST} is not a manifest: {cause}",
            hint="delete the folder, or choose another --out",
        ) from cause


def holds_export(folder: Path) -> bool:
    """Whether the manifest is that of an export, whose tables have the names of a run's."""
    try:
        told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and "files" in told and "stages" not in told


def verify(run: Path, manifest: Manifest) -> None:
    """Compare every output file with the manifest.

    Raises:
        RunError: a file is missing or altered.
    """
    for name, digest in sorted(manifest.digests.items()):
        path = run / name
        if not path.is_file():
            fault = "is missing"
        elif file_digest(path) != digest:
            fault = "was altered"
        else:
            continue
        raise RunError(
            f"{name} {fault}: the run folder is no longer what its manifest says",
            hint=f"delete {run} to compute the run again, or choose another --out",
        )


def admit(run: Path, region: Path) -> None:
    """See that a folder may hold a run of a region, and make what its lock needs.

    Raises:
        OutputError: the folder holds something else, lies among the region's files, or cannot be
            written.
    """
    if fault := within_region(os.path.realpath(run), os.path.realpath(region)):
        raise OutputError(f"{run} {fault}", hint="choose another --out")
    try:
        if run.exists() and not run.is_dir():
            raise OutputError(f"{run} is a file", hint="name a folder")
        marked = (run / WORK / _MARK).is_file()
        if not marked and run.is_dir() and any(path.name != WORK for path in run.iterdir()):
            raise OutputError(
                f"{run} holds something that is not a run",
                hint="choose another --out, or an empty folder",
            )
        (run / WORK).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(run, error) from error


def prepare(run: Path, run_id: str) -> bool:
    """Make the locked folder ready for a run; return whether an unfinished one is taken up.

    The folder of another run of which no part was finished is emptied and used, and that of one
    that failed at its inputs: nothing is lost.

    Raises:
        RunError: the folder belongs to another run.
        OutputError: it cannot be written.
    """
    mark, failed, before = (run / WORK / name for name in (_MARK, _FAILED, _BEFORE))
    try:
        known = mark.read_text(encoding="utf-8") if mark.is_file() else ""
        if known and known != run_id:
            made = {WORK, LOG, *_TABLES}
            if failed.is_file():
                made |= set(failed.read_text(encoding="utf-8").splitlines())
            elif _with_parts(run):
                raise _other(run, known, "an unfinished run")
            if {path.name for path in run.iterdir()} - made:
                raise _other(run, known, "an unfinished run")
            _empty(run)
            for told in (failed, before):
                told.unlink(missing_ok=True)
        elif failed.is_file():
            failed.replace(before)
        if known != run_id:
            # First of all: a folder without it that holds anything else is not taken up again.
            write_whole(mark, run_id.encode())
            sync_folder(run)
        for folder in (*_TABLES, *(f"{WORK}/{name}" for name in _RECORDS)):
            (run / folder).mkdir(exist_ok=True)
    except OSError as error:
        raise unwritable(run, error) from error
    return known == run_id


def names_in(run: Path) -> set[str]:
    """What a run folder holds."""
    return {path.name for path in run.iterdir()}


def note_failure(run: Path, manifest: Manifest, found: set[str]) -> None:
    """Remember that a run failed at its inputs, and what it has written.

    Once they are mended it is another run, which may have the folder.

    Args:
        found: what the folder held when the run was begun or taken up.
    """
    # The manifest tells of whole stages only.
    names = {name.partition("/")[0] for name in manifest.digests} | (names_in(run) - found)
    if (before := run / WORK / _BEFORE).is_file():
        names.update(before.read_text(encoding="utf-8").splitlines())
    write_whole(run / WORK / _FAILED, "\n".join(sorted(names)).encode())


def _with_parts(run: Path) -> bool:
    """Whether a run has finished any part."""
    kept = (*_TABLES, *(f"{WORK}/{name}" for name in _RECORDS))
    return any(path.is_file() for name in kept for path in (run / name).rglob("*"))


def _empty(run: Path) -> None:
    """Remove all but the marks, which tell what the folder is if this is cut short."""
    for path in (*(run / WORK).iterdir(), *run.iterdir()):
        if path.is_dir() and path.name != WORK:
            shutil.rmtree(path)
        elif path.parent == run and path.is_file():
            path.unlink()


def belongs(run: Path, manifest: Manifest, run_id: str) -> None:
    """Refuse a folder with the finished run of other inputs.

    Raises:
        RunError: the manifest is of another run.
    """
    if manifest.run != run_id:
        raise _other(run, manifest.run, "a run")


def _other(run: Path, known: str, what: str) -> RunError:
    return RunError(
        f"{run} holds {what} of other inputs, scheme, policy or engine (id {known})",
        hint="choose another --out, or delete that folder",
    )


def write_table(run: Path, name: str, table: pa.Table) -> dict[str, str]:
    """Write one of the driver's tables; return its digest by name."""
    path = run / f"{name}.parquet"
    with ParquetFile(path, table.schema, plain=()) as out:
        for batch in table.combine_chunks().to_batches():
            out.write(batch)
    return {path.name: file_digest(path)}


def finish(run: Path, manifest: Manifest) -> None:
    """Write the manifest, which makes the run a finished one, and clear the work files."""
    folders = _of_tables(run)
    for folder in folders:
        _sweep(folder)
        sync_folder(folder)  # a manifest on disk vouches for the files that it names
    write_whole(run / MANIFEST, manifest.text().encode())
    clear_work(run)


def _of_tables(run: Path) -> list[Path]:
    return [run, *(path for path in run.iterdir() if path.is_dir() and path.name != WORK)]


def _sweep(folder: Path) -> None:
    """Remove temporary files of processes that were lost while they wrote."""
    for path in folder.glob(".*"):
        if path.is_file():
            path.unlink(missing_ok=True)


def clear_work(run: Path) -> None:
    """Remove the work files of a finished run."""
    shutil.rmtree(run / WORK, ignore_errors=True)
