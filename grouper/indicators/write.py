"""Writing the tables of indicators and supervision."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from grouper.errors import OutputError
from grouper.indicators.supervise import CASES, RATES, Supervised
from grouper.newfolder import new_folder
from grouper.parts import ParquetFile
from grouper.report.spreadsheet import write_for_people


def write_tables(folder: Path, tables: dict[str, pa.Table]) -> None:
    """Write tables as Parquet files of a folder.

    Raises:
        OutputError: the folder cannot be written.
    """
    for name, table in tables.items():
        write_batches(folder, name, table.schema, table.to_batches())


def write_batches(
    folder: Path,
    name: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    plain: Iterable[str] = (),
) -> int:
    """Write one table batch by batch; return its rows."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise OutputError(
            f"{folder} cannot be written: {cause.strerror or cause}",
            hint="name a folder that is yours to write",
        ) from cause
    with ParquetFile(folder / f"{name}.parquet", schema, plain=plain) as file:
        for batch in batches:
            file.write(batch)
    return file.rows


def write_sample(path: Path, rows: pa.Table) -> None:
    """Write a sample as CSV, or as Parquet where the file is named so.

    Raises:
        OutputError: the file is named otherwise, or cannot be written.
    """
    if path.suffix == ".parquet":
        write_batches(path.parent, path.stem, rows.schema, rows.to_batches(), ("case_id",))
        return
    if path.suffix != ".csv":
        raise OutputError(
            f"{path.name} is neither .csv nor .parquet", hint="name the file one of them"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_for_people(rows, path)
    except OSError as cause:
        raise OutputError(
            f"{path} cannot be written: {cause.strerror or cause}",
            hint="check the folder and the free space",
        ) from cause


def write_supervision(folder: Path, found: Supervised) -> dict[str, int]:
    """Write ``signals``, ``rates``, ``cases`` and ``case_mix_rises``; return the rows of these.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
    """
    ids = ("case_id", "other_case_id", "shows")
    with new_folder(folder, mark="signals.parquet") as making:
        rows = {
            "rates": write_batches(making, "rates", RATES, found.rates()),
            "cases": write_batches(making, "cases", CASES, found.cases(), ids),
        }
        rises = found.case_mix_rises()
        write_tables(making, {"case_mix_rises": rises, "signals": found.signals_table()})
    return rows | {"case_mix_rises": rises.num_rows}
