"""Tables of one row per case under pseudonyms, from a run or from cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from grouper.cases import COLUMNS, CaseSource, open_cases, read_part
from grouper.cases.names import column_names
from grouper.export.pseudonyms import DOMAINS, Pseudonyms
from grouper.parts import ParquetFile, file_digest
from grouper.report import Run
from grouper.settlement.plain import plain_batch

DATES: Final = ("day", "month", "year")
"""How exact dates leave."""

RECORDS: Final = ("cases", "grouped", "points", "bills", "rejected")
"""Tables of a run with a row per case (or more), so far as the run has them."""

LISTS: Final = ("groups", "hospitals", "benchmarks")
"""Tables of a run that hold no case and that the records refer to."""

_NEVER: Final = frozenset(("value",))
"""Column of `rejected`: the faulty value may be an id or a date."""

_MONTHS: Final = ("month", "settle_month")

Written = dict[str, dict[str, object]]
"""File to its rows and SHA-256."""


class Cover:
    """What becomes of each column on its way out.

    Args:
        pseudonyms: None where ids leave as they are.
        dates: one of `DATES`.
    """

    def __init__(self, pseudonyms: Pseudonyms | None, dates: str) -> None:
        self._pseudonyms = pseudonyms
        self._dates = dates

    def batch(self, batch: pa.RecordBatch, table: str) -> pa.RecordBatch:
        """The batch as it may leave."""
        hidden = _NEVER if table == "rejected" and self._pseudonyms is not None else frozenset()
        names = [name for name in batch.schema.names if name not in hidden]
        columns = [self._column(name, batch.column(name)) for name in names]
        return pa.RecordBatch.from_arrays(columns, names)

    def _column(self, name: str, column: pa.Array) -> pa.Array:
        if name in DOMAINS and self._pseudonyms is not None:
            return self._pseudonyms.column(name, column)
        if self._dates == "day":
            return column
        if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
            return pc.floor_temporal(column, unit=self._dates).cast(column.type)
        if self._dates == "year" and name in _MONTHS:
            return pc.utf8_slice_codeunits(column.cast(pa.string()), 0, 4)
        return column


def run_records(run: Run, cover: Cover, folder: Path) -> Written:
    """Write the records of a run, file by file as the run has them."""
    written: Written = {}
    for name in (*RECORDS, *LISTS):
        for file in run.files.get(name, ()):
            with pq.ParquetFile(file) as opened:
                schema = opened.schema_arrow
                batches = (cover.batch(batch, name) for batch in opened.iter_batches())
                place = Path(file.relative_to(run.folder))
                written[str(place)] = _write(
                    folder / place, cover.batch(_none(schema), name), batches
                )
    return written


def open_source(path: Path, encoding: str) -> CaseSource:
    """The cases of a file, a folder, or a region, with the registry's columns and no other.

    Raises:
        CaseTableError: they cannot be read.
    """
    names = {}
    if (path / "hospitals.csv").is_file():
        names, path = column_names(path), path / "cases"
    return open_cases(path, wanted=COLUMNS.values(), encoding=encoding, names=names)


def case_records(source: CaseSource, cover: Cover, folder: Path) -> Written:
    """Write cases, part by part."""
    columns = [column for name, column in COLUMNS.items() if name in source.columns]
    schema = pa.schema([(column.name, column.type) for column in columns])
    written: Written = {}
    for part in source.parts:
        batches = (
            cover.batch(plain_batch(batch, columns), "cases") for batch in read_part(source, part)
        )
        name = f"cases/part-{part.number:05d}.parquet"
        written[name] = _write(folder / name, cover.batch(_none(schema), "cases"), batches)
    return written


def _none(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)


def _write(
    path: Path, like: pa.RecordBatch, batches: Iterator[pa.RecordBatch]
) -> dict[str, object]:
    path.parent.mkdir(exist_ok=True)
    with ParquetFile(path, like.schema, plain=tuple(DOMAINS)) as file:
        for batch in batches:
            file.write(batch)
    return {"rows": file.rows, "sha256": file_digest(path)}
