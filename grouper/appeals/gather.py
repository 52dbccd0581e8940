"""A run's cases beside the lists they were made from, hospital by hospital."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from grouper.cases import COLUMNS, CaseSource, Column, open_cases, read_part
from grouper.cases.names import column_names
from grouper.errors import RegionError, RunError
from grouper.grouping import columns_for
from grouper.parts import ParquetFile, file_digest
from grouper.report import Run
from grouper.scheme import Scheme, builtin_names, load_scheme
from grouper.settlement.plain import plain_batch

_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])")

_ROWS: Final = 65_536

_OWN: Final = (
    ("case_id", "hospital_id", "pool", "month", "discharge_date", "total_cost"),
    ("status", "mdc", "drg"),
    ("route", "class", "reason", "points", "extra_points", "value", "gain"),
)
"""What is taken from the run's tables `cases`, `grouped` and `points`."""

RUN_COLUMNS: Final = tuple(name for names in _OWN for name in names)

_NEVER: Final = frozenset(("case_id", "discharge_date", "hospital_id", "settle_month"))


@dataclass(frozen=True)
class Scope:
    """Which cases: of one hospital, of one month, or all."""

    hospitals: frozenset[str] | None = None
    month: str | None = None

    def check(self, run: Run) -> None:
        """Refuse a hospital or month that the run does not know.

        Raises:
            RunError: it does not.
        """
        known = set(run.table("hospitals").column("hospital_id").to_pylist())
        for hospital in sorted((self.hospitals or set()) - known):
            raise RunError(
                f"the run has no hospital '{hospital}'",
                hint="its hospitals: grouper sql RUN 'select hospital_id, name from hospitals'",
            )
        if self.month is None:
            return
        if not _MONTH.fullmatch(self.month):
            raise RunError(f"'{self.month}' is not a month", hint="write it like 2024-03")
        months = set(run.table("hospital_months").column("month").to_pylist())
        if self.month not in months:
            raise RunError(
                f"no hospital has a statement of {self.month}",
                hint=f"the run has {', '.join(sorted(months))}",
            )


def scheme_of(run: Run, named: str | None) -> Scheme:
    """The scheme that the run was grouped by.

    Args:
        run: the run.
        named: folder or name of the pack; None: the built-in one of the run's id.

    Raises:
        RunError: no pack was named, or another one.
        PackError: there is no such pack.
    """
    known = run.manifest.scheme
    if named is None and known["id"] not in builtin_names():
        raise RunError(
            f"the run was grouped by '{known['id']}', which does not come with this package",
            hint="name its folder: --scheme PACK",
        )
    edition = run.manifest.policy["keys"].get("edition", "")
    scheme = load_scheme(known["id"] if named is None else named, edition=edition)
    if scheme.digest != known["digest"]:
        raise RunError(
            f"the pack '{scheme.id}' is not the one that the run was grouped by ({known['id']})",
            hint="name the same pack as for grouper rerun; after a change of the pack settle again",
        )
    return scheme


def open_lists(run: Run, region: Path, wanted: Collection[Column], encoding: str) -> CaseSource:
    """The lists of the region that the run was made from; files that came later are left out.

    Raises:
        RegionError: a file is missing or was changed since.
        CaseTableError: a file cannot be read.
    """
    inputs = run.manifest.inputs
    for name in ("columns.toml", *sorted(n for n in inputs if n.startswith("cases/"))):
        path = region / name
        there = path.is_file()
        if name not in inputs:
            fault = "has come since the run was made" if there else ""
        elif not there:
            fault = "is missing, and the run was made from it"
        else:
            fault = "" if file_digest(path) == inputs[name] else "has changed since the run"
        if fault:
            raise RegionError(
                f"the file {fault}",
                file=name,
                hint="name the region folder of this run, or settle the region again",
            )
    source = open_cases(
        region / "cases", wanted=wanted, encoding=encoding, names=column_names(region)
    )
    parts = tuple(part for part in source.parts if f"cases/{part.name}" in inputs)
    return replace(source, parts=parts)


def list_columns(scheme: Scheme) -> tuple[Column, ...]:
    """The columns of the lists that a sheet needs beside the run's tables."""
    names = ("hospital_id", "settle_month", "discharge_date", "compliant_cost", "age", "los")
    wanted = {column.name: column for column in columns_for(scheme)}
    wanted |= {name: COLUMNS[name] for name in ("dx", "px", *names, "tcm_flag", "version")}
    return tuple(wanted.values())


@contextmanager
def gathered(
    run: Run,
    source: CaseSource,
    columns: Collection[Column],
    scope: Scope,
    work: Path,
) -> Iterator[Iterator[tuple[str, pa.Table]]]:
    """(hospital, its cases) in the order of the ids; the cases by pool, month and id.

    A table has `RUN_COLUMNS`, and those of the lists. Cases that the run rejected are left out.

    Args:
        run: the run.
        source: of `open_lists`.
        columns: what is read of the lists.
        scope: which cases.
        work: a folder for what does not fit in memory; its files are removed.
    """
    lists = work / "lists.parquet"
    columns = tuple(columns)
    schema = pa.schema([(column.name, column.type) for column in columns])
    with ParquetFile(lists, schema) as file:
        for part in source.parts:
            for batch in read_part(source, part, [column.name for column in columns]):
                file.write(_within(plain_batch(batch, columns), scope))
    connection = run.connect()
    try:
        connection.execute(f"SET temp_directory='{_quoted(work / 'spill')}'")
        reader = connection.sql(_query(lists, schema.names, scope)).to_arrow_reader(_ROWS)
        yield _by_hospital(reader)
    finally:
        connection.close()
        lists.unlink(missing_ok=True)
        shutil.rmtree(work / "spill", ignore_errors=True)


def _within(batch: pa.RecordBatch, scope: Scope) -> pa.RecordBatch:
    if scope.hospitals is not None:
        wanted = pa.array(sorted(scope.hospitals), pa.string())
        batch = batch.filter(pc.is_in(batch.column("hospital_id"), wanted))
    if scope.month is not None:
        batch = batch.filter(pc.equal(batch.column("settle_month"), scope.month))
    return batch


def _query(lists: Path, names: Collection[str], scope: Scope) -> str:
    own = ", ".join(
        f'{table}."{name}"' for table, mine in zip("cgp", _OWN, strict=True) for name in mine
    )
    more = ", ".join(f'l."{name}"' for name in names if name not in _NEVER)
    where = ["p.route <> 'invalid'", "c.case_id IS NOT NULL"]
    if scope.hospitals is not None:
        where.append(f"c.hospital_id IN ({', '.join(map(_literal, sorted(scope.hospitals)))})")
    if scope.month is not None:
        where.append(f"c.month = {_literal(scope.month)}")
    # Of several versions of a case the run settles the highest.
    return f"""
        WITH l AS (
            SELECT * FROM read_parquet('{_quoted(lists)}')
            QUALIFY row_number() OVER (PARTITION BY case_id ORDER BY coalesce(version, 1) DESC) = 1
        )
        SELECT {own}, l.case_id IS NOT NULL AS listed, {more}
        FROM (cases c POSITIONAL JOIN grouped g POSITIONAL JOIN points p)
        LEFT JOIN l ON l.case_id = c.case_id
        WHERE {" AND ".join(where)}
        ORDER BY c.hospital_id, c.pool NULLS FIRST, c.month, c.case_id
    """


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _by_hospital(reader: pa.RecordBatchReader) -> Iterator[tuple[str, pa.Table]]:
    pending: list[pa.RecordBatch] = []
    current: str | None = None
    for batch in reader:
        ids = batch.column(batch.schema.get_field_index("hospital_id")).cast(pa.string())
        begin = 0
        while begin < batch.num_rows:
            hospital = ids[begin].as_py()
            end = begin + int(pc.sum(pc.equal(ids.slice(begin), hospital)).as_py())
            if hospital != current and current is not None:
                yield current, pa.Table.from_batches(pending)
                pending = []
            current = hospital
            pending.append(batch.slice(begin, end - begin))
            begin = end
    if current is not None:
        yield current, pa.Table.from_batches(pending)
