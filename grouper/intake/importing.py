"""An import from its source to a folder of cases: whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from grouper.errors import OutputError
from grouper.intake.batches import Source
from grouper.intake.columns import Made, made_columns
from grouper.intake.fields import TABLES
from grouper.intake.join import Joined, TableCount
from grouper.intake.layout import Layout
from grouper.intake.report import as_json
from grouper.intake.stage import Stage, work_database
from grouper.parts import ParquetFile, disk_errors, part_name

REPORT, REJECTED = "_import.json", "_rejected.parquet"
"""Beside the parts; names with an underscore are no cases to whoever reads the folder."""

_STRETCH = 1 << 17
"""Settlements that are made into cases at a time; each stretch is a row group."""

_PART = 1 << 20
"""Settlements a part."""

_SHOWN = 10

Progress = Callable[[str, int], None]
"""Called with what is being done and the number of rows since the last call."""


@dataclass(frozen=True)
class Understood:
    """How a source was understood.

    Attributes:
        columns: columns of the case table, and what they are made of.
        fields: table to (field to the source's columns).
        unused: table to the source's columns that no field takes.
        absent: table to the fields that an import would use and that the source lacks.
        pieces: files and sheets that hold no known table.
        case_id: field that names a case.
        join: field that joins the tables; empty where documents do.
        notes: what else a reader should know.
    """

    columns: tuple[Made, ...]
    fields: Mapping[str, Mapping[str, tuple[str, ...]]]
    unused: Mapping[str, list[str]]
    absent: Mapping[str, list[str]]
    pieces: tuple[str, ...]
    case_id: str
    join: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Imported:
    """A finished import, or the beginning of one.

    Attributes:
        cases: number of cases.
        counts: what became of the rows of each table.
        understood: how the source was read.
        shown: the first cases; of a dry run only.
        rejected: the first rejected rows; of a dry run only.
    """

    cases: int
    counts: Mapping[str, TableCount]
    understood: Understood
    shown: pa.Table | None = None
    rejected: pa.Table | None = None


def try_import(source: Source, layout: Layout, work: Path, *, memory: str = "2GB") -> Imported:
    """Read the first ten settlements and what belongs to them; nothing is kept.

    Args:
        work: folder for the work database, which is gone afterwards.
    """
    with (
        _temporary(work / f".try.{secrets.token_hex(4)}") as folder,
        _joined(source, layout, folder, memory, 0, _SHOWN) as (stage, joined, understood),
    ):
        query = joined.cases(understood.columns, 0, joined.settlements)
        shown = joined.db.sql(query).to_arrow_table().cast(_schema(understood.columns))
        rejected = joined.db.sql(f"{_REJECTED_QUERY} LIMIT 20").to_arrow_table()
        return Imported(shown.num_rows, joined.counts(stage.read), understood, shown, rejected)


def import_cases(
    source: Source,
    layout: Layout,
    out: Path,
    *,
    memory: str = "2GB",
    threads: int = 0,
    progress: Progress = lambda _what, _rows: None,
) -> Imported:
    """Write the cases of a source into a new folder, in order of their ids.

    The folder holds `part-*.parquet` with the cases, `_rejected.parquet` (table, file, row,
    case_id, reason, detail) and `_import.json`, and appears under its name when it is complete.
    Where no settlement becomes a case it holds no part, and a later import may take its place.
    The same rows give the same bytes for any number of threads.

    Args:
        memory: limit of the work database, as `2GB`.
        threads: threads of the work database; 0 takes all processors.

    Raises:
        OutputError: the folder exists and holds something else, or cannot be written.
        CaseTableError: the source cannot be understood.
    """
    if out.exists() and (
        not out.is_dir() or {path.name for path in out.iterdir()} - {REPORT, REJECTED}
    ):
        raise OutputError(
            f"{out} exists already", hint="give another folder, or move this one away"
        )
    with (
        disk_errors(out.parent),
        _temporary(out.parent / f".{out.name}.{secrets.token_hex(4)}") as folder,
    ):
        result = folder / "result"
        result.mkdir()
        with _joined(source, layout, folder, memory, threads, 0, progress) as found:
            stage, joined, understood = found
            cases = _write_parts(joined, understood.columns, result, progress)
            counts = joined.counts(stage.read)
            _write_rejected(joined, result)
        done = Imported(cases, counts, understood)
        _write_report(done, result)
        if not cases:
            for part in result.glob("part-*"):
                part.unlink()
        if out.exists():
            shutil.rmtree(out)
        result.rename(out)
    return done


@contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    """A folder for as long as it is needed; what a killed import left beside it is taken away."""
    from filelock import FileLock, Timeout

    beside = f"{folder.name.rpartition('.')[0]}.*"
    try:
        folder.mkdir(parents=True)
        with FileLock(folder / _LOCK, blocking=False):
            for other in sorted(folder.parent.glob(beside)):
                if other != folder and (other / _LOCK).is_file():
                    with suppress(Timeout), FileLock(other / _LOCK, blocking=False):
                        shutil.rmtree(other, ignore_errors=True)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_LOCK = ".lock"


@contextmanager
def _joined(
    source: Source,
    layout: Layout,
    folder: Path,
    memory: str,
    threads: int,
    sample: int,
    progress: Progress = lambda _what, _rows: None,
) -> Iterator[tuple[Stage, Joined, Understood]]:
    with work_database(folder, memory, threads) as db:
        stage = Stage(db, source, layout)
        keys = stage.load(sample, progress)
        progress("joining", 0)
        joined = Joined(db, keys, layout, stage.found, ordered=source.ordered, files=stage.files)
        columns = made_columns(stage.found, keys.case_id)
        absent = {
            name: [f for f in table.fields if f in _EXPECTED[name] and f not in stage.found[name]]
            for name, table in TABLES.items()
            if name in stage.found
        }
        absent |= {name: [] for name in TABLES if name not in stage.found and name != "ventinfo"}
        notes = []
        if not source.ordered:
            notes.append(
                "a query has no ORDER BY: diagnoses without diag_srt_no and procedures without"
                " oprn_oprt_sn are ordered by their codes"
            )
        understood = Understood(
            columns,
            stage.found,
            stage.unused,
            absent,
            source.unused,
            keys.case_id,
            keys.join,
            tuple(notes),
        )
        yield stage, joined, understood


_EXPECTED: Mapping[str, frozenset[str]] = {
    "setlinfo": frozenset(
        (
            *("mdtrt_id", "psn_no", "fixmedins_code", "insutype", "insuplc", "setl_end_date"),
            *("adm_time", "dscg_time", "gend", "age", "nwb_age", "nwb_bir_wt", "act_ipt_days"),
            *("dscg_way", "dscg_caty", "vent_used_dura", "psn_selfpay", "psn_ownpay", "dcla_time"),
        )
    ),
    "diseinfo": frozenset(("diag_code", "maindiag_flag", "diag_type")),
    "oprninfo": frozenset(("oprn_oprt_code", "oprn_oprt_date", "oprn_oprt_type")),
    "iteminfo": frozenset(("med_chrgitm", "amt")),
    "payinfo": frozenset(("fund_pay_type", "fund_payamt")),
    "icuinfo": frozenset(("scs_cutd_inpool_time", "scs_cutd_exit_time", "scs_cutd_sum_dura")),
    "ventinfo": frozenset(("vent_used_dura",)),
}
"""What the interface asks for; the lack of it is worth telling."""


def _schema(made: tuple[Made, ...]) -> pa.Schema:
    return pa.schema([(one.column.name, one.column.type) for one in made])


def _write_parts(joined: Joined, made: tuple[Made, ...], folder: Path, progress: Progress) -> int:
    schema = _schema(made)
    amounts = [column.name for column in schema if pa.types.is_decimal(column.type)]
    plain = ("case_id", "person_id", *amounts)
    cases = 0
    for number, begin in enumerate(range(0, max(joined.settlements, 1), _PART)):
        path = folder / part_name(number)
        with ParquetFile(path, schema, plain=plain) as file:
            end = min(begin + _PART, joined.settlements)
            for start in range(begin, end, _STRETCH):
                query = joined.cases(made, start, min(start + _STRETCH, end))
                rows = joined.db.sql(query).to_arrow_table().cast(schema)
                for batch in rows.combine_chunks().to_batches():
                    file.write(batch)
                progress("writing", rows.num_rows)
                cases += rows.num_rows
    return cases


_REJECTED_QUERY = (
    'SELECT "table", file, row, case_id, reason, detail FROM rejected ORDER BY rank, seq, row'
)


def _write_rejected(joined: Joined, folder: Path) -> None:
    text = pa.string()
    schema = pa.schema(
        [
            ("table", text),
            ("file", text),
            ("row", pa.int64()),
            ("case_id", text),
            ("reason", text),
            ("detail", text),
        ]
    )
    reader = joined.db.sql(_REJECTED_QUERY).to_arrow_reader(_STRETCH)
    with ParquetFile(folder / REJECTED, schema, plain=("case_id",)) as file:
        for batch in reader:
            file.write(batch.cast(schema))


def _write_report(done: Imported, folder: Path) -> None:
    (folder / REPORT).write_text(as_json(done) + "\n", encoding="utf-8")
