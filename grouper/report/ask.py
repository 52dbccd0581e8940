"""Questions in SQL to a run: reading only, over a view of each of its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from grouper.errors import OutputError, RunError
from grouper.parts import EXCEL_MARK

if TYPE_CHECKING:
    from grouper.report.load import Run

_READS = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
_ROWS = 65_536


class Answer:
    """Rows that are read as they are asked for; the connection lives as long as the answer."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, relation: Any) -> None:
        self._connection = connection
        self._relation = relation
        self.columns: tuple[str, ...] = tuple(relation.columns)
        self.types: tuple[str, ...] = tuple(str(kind) for kind in relation.types)

    def head(self, rows: int) -> list[tuple[Any, ...]]:
        """The first rows as Python values."""
        with _understood():
            return list(self._relation.limit(rows).fetchall())

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows as Arrow batches."""
        with _understood():
            yield from self._relation.to_arrow_reader(_ROWS)

    def to_arrow_table(self) -> pa.Table:
        """All rows as one Arrow table."""
        with _understood():
            return self._relation.to_arrow_reader(_ROWS).read_all()

    def write(self, path: Path) -> int:
        """Write all rows as CSV or Parquet, by the file's name; return how many there are.

        Raises:
            OutputError: neither kind, or the file cannot be written.
        """
        if path.suffix not in {".csv", ".parquet"}:
            raise OutputError(
                f"{path.name} is neither .csv nor .parquet", hint="name the file one of them"
            )
        rows = 0
        try:
            with _understood(), ExitStack() as into:
                reader = self._relation.to_arrow_reader(_ROWS)
                file = into.enter_context(path.open("wb"))
                if path.suffix == ".csv":
                    file.write(EXCEL_MARK)
                    writer: Any = pacsv.CSVWriter(file, reader.schema)
                else:
                    writer = pq.ParquetWriter(file, reader.schema, compression="zstd")
                with writer:
                    for batch in reader:
                        writer.write_batch(batch)
                        rows += batch.num_rows
        except OSError as error:
            raise OutputError(
                f"{path} cannot be written: {error.strerror or error}",
                hint="check the folder and the free space",
            ) from error
        return rows


def answer(run: Run, query: str) -> Answer:
    """Ask a run; only questions that read are answered.

    Raises:
        RunError: the query writes, holds several statements, or DuckDB does not understand it.
    """
    connection = run.connect()
    # The views read the run's files and nothing else; settings are locked against the query.
    folder = str(run.folder.resolve()).replace("'", "''")
    connection.execute(f"SET allowed_directories=['{folder}', '{run.folder}']")
    connection.execute("SET enable_external_access=false")
    connection.execute("SET lock_configuration=true")
    with _understood(run):
        statements = connection.extract_statements(query)
        if len(statements) != 1 or statements[0].type not in _READS:
            raise RunError(
                "one question that reads is answered: SELECT, WITH, DESCRIBE, SUMMARIZE or SHOW",
                hint="a run folder is never changed; use --out FILE to keep the answer",
            )
        return Answer(connection, connection.sql(query))


class _understood:  # noqa: N801 - reads as a word at its place
    """Turns what DuckDB says into an error of the engine, with the names that there are."""

    def __init__(self, run: Run | None = None) -> None:
        self._run = run

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if not isinstance(error, duckdb.Error):
            return
        text = str(error).strip()
        hint = ""
        if self._run is not None and isinstance(error, duckdb.ProgrammingError):
            hint = (
                f'tables are {", ".join(self._run.tables)}; "describe clearing" names the columns'
                " of one, docs/regions-and-runs.md says what they mean"
            )
        raise RunError(text, hint=hint) from error
