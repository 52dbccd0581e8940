"""Opening a run folder: whole and unaltered, or an error that names the table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from grouper.errors import RunError
from grouper.parts import file_digest
from grouper.run.folder import Manifest, read_manifest
from grouper.run.work import WORK

PARTED: Final = ("cases", "grouped", "points")
"""Tables of one row per case, in the order of the input, part by part."""

IN_PARTS: Final = (*PARTED, "findings")
"""Tables that are folders of parts."""

TABLES: Final = (
    *PARTED,
    "statistics",
    "benchmarks",
    "months",
    "hospital_months",
    "clearing",
    "rejected",
    "hospitals",
    "groups",
    "budget",
)
"""Tables that every run has."""


@dataclass(frozen=True)
class Fault:
    """A file of a run folder that is not what the manifest says.

    Attributes:
        table: the table that it belongs to.
        file: name relative to the run folder.
        what: ``is missing``, ``was altered`` or ``is not of this run``.
    """

    table: str
    file: str
    what: str


@dataclass(frozen=True)
class Run:
    """A finished run, ready to be read.

    Attributes:
        folder: the run folder.
        manifest: what the run says of itself.
        files: the Parquet files of each table in their order, as the manifest names them.
    """

    folder: Path
    manifest: Manifest
    files: dict[str, list[Path]] = field(repr=False)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables, as `sql` knows them."""
        return tuple(sorted(self.files))

    @property
    def diseases(self) -> bool:
        """Whether its cases are grouped by disease (DIP, 按病种分值付费)."""
        return bool(self.manifest.policy["keys"]["groups"]["by"] == "dip")

    def table(self, name: str) -> pa.Table:
        """A table, whole, as Arrow.

        Raises:
            RunError: the run has no such table.
        """
        if name not in self.files:
            raise RunError(
                f"the run has no table '{name}'", hint=f"it has {', '.join(self.tables)}"
            )
        return pa.concat_tables(pq.read_table(file) for file in self.files[name])

    def sql(self, query: str) -> pa.Table:
        """The answer to a question in SQL; every table of the run is a view.

        Raises:
            RunError: the question changes something, or DuckDB does not understand it.
        """
        from grouper.report.ask import answer

        return answer(self, query).to_arrow_table()

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A new DuckDB connection in memory with a view of each table."""
        connection = duckdb.connect()
        for name, files in self.files.items():
            listed = ", ".join(f"'{str(file).replace(chr(39), chr(39) * 2)}'" for file in files)
            connection.execute(f'CREATE VIEW "{name}" AS SELECT * FROM read_parquet([{listed}])')
        return connection

    @cached_property
    def counts(self) -> dict[str, dict[str, Any]]:
        """The manifest's counts by stage."""
        return {stage["stage"]: stage["counts"] for stage in self.manifest.stages}


def load_run(folder: str | Path, *, verify: bool = True) -> Run:
    """Open a run folder.

    Args:
        folder: what ``grouper rerun`` has written.
        verify: compare every file with its digest in the manifest.

    Raises:
        RunError: the folder is no finished run, or a table is missing or altered.

    >>> run = load_run("run-2024")                                    # doctest: +SKIP
    >>> run.sql("select month, point_value from months").to_pandas()  # doctest: +SKIP
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    files: dict[str, list[Path]] = defaultdict(list)
    for name in sorted(manifest.digests):
        files[table_of(name)].append(folder / name)
    run = Run(folder, manifest, dict(files))
    absent = [name for name in TABLES if name not in files]
    if absent:
        raise RunError(
            f"the run in {folder} was made without the tables {', '.join(absent)}",
            hint="settle it again with this version: grouper rerun … --out a new folder",
        )
    if verify:
        require_unaltered(run)
    return run


def table_of(name: str) -> str:
    """The table that a file of the run folder belongs to."""
    head, slash, _ = name.partition("/")
    return head if slash else name.removesuffix(".parquet")


def _manifest(folder: Path) -> Manifest:
    if not folder.is_dir():
        raise RunError(f"there is no run folder {folder}", hint="name what `rerun` has written")
    manifest = read_manifest(folder)
    if manifest is not None:
        return manifest
    if (folder / WORK).is_dir():
        raise RunError(
            f"{folder} holds an unfinished run: it has no manifest.json yet",
            hint="give `grouper rerun` the same inputs and --out again; it takes the run up",
        )
    raise RunError(
        f"{folder} is not a run folder: it has no manifest.json",
        hint="name the folder that `grouper rerun --out` has written",
    )


def faults(run: Run) -> list[Fault]:
    """Every file that is missing, altered, or does not belong to the run."""
    found = []
    for name, digest in sorted(run.manifest.digests.items()):
        path = run.folder / name
        if not path.is_file():
            found.append(Fault(table_of(name), name, "is missing"))
        elif file_digest(path) != digest:
            found.append(Fault(table_of(name), name, "was altered"))
    for name in IN_PARTS:
        found += [
            Fault(name, f"{name}/{path.name}", "is not of this run")
            for path in sorted((run.folder / name).glob("*.parquet"))
            if f"{name}/{path.name}" not in run.manifest.digests
        ]
    return found


def require_unaltered(run: Run) -> None:
    """Refuse a run folder that is no longer what its manifest says.

    Raises:
        RunError: it names every table that does not match, and the first file of each.
    """
    found = faults(run)
    if found:
        raise RunError(
            f"{run.folder} is not what its manifest says: {_told(found)}",
            hint="nothing was made of it; settle the region again into a new folder",
        )


def _told(found: Iterable[Fault]) -> str:
    by_table: dict[str, list[Fault]] = defaultdict(list)
    for fault in found:
        by_table[fault.table].append(fault)
    told = []
    for table, mine in sorted(by_table.items()):
        more = f" and {len(mine) - 1} more" if len(mine) > 1 else ""
        told.append(f"table '{table}' ({mine[0].file} {mine[0].what}{more})")
    return ", ".join(told)
