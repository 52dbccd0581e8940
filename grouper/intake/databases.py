"""Databases: PostgreSQL through ADBC, and DuckDB files; one query a table, in one snapshot."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from grouper.errors import CaseTableError, MissingExtraError
from grouper.intake.batches import ROWS, Batch, Source, in_order
from grouper.intake.fields import table_of
from grouper.intake.layout import Layout
from grouper.intake.values import column

SUFFIXES = (".duckdb", ".ddb", ".db")
_POSTGRES = re.compile(r"postgres(ql)?://", re.IGNORECASE)
_TABLES = (
    "SELECT table_catalog, table_schema, table_name FROM information_schema.tables"
    " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
    " ORDER BY table_schema, table_name"
)

Ask = Callable[[str], pa.RecordBatchReader]


def is_database(source: str) -> bool:
    """Whether the source is a database."""
    return bool(_POSTGRES.match(source)) or Path(source).suffix.lower() in SUFFIXES


def open_database(source: str, layout: Layout) -> Source:
    """A database: the queries of the layout, or the tables that are called as the interface's.

    Raises:
        CaseTableError: it cannot be opened, or a query fails.
        MissingExtraError: the driver is not installed.
    """
    connect = _postgres if _POSTGRES.match(source) else _duckdb
    told = re.sub(r"//[^@/]*@", "//", source)
    with connect(source, told) as ask:
        queries = {name: t.query for name, t in layout.tables.items() if t.query}
        if not queries:
            queries = _by_name(ask)
        columns = {
            name: tuple(ask(f"SELECT * FROM ({_bare(q)}) AS t LIMIT 0").schema.names)
            for name, q in queries.items()
        }

    def batches() -> Iterator[Batch]:
        with connect(source, told) as ask:
            for name in in_order(queries):
                first = 1
                for rows in _rechunked(ask(queries[name])):
                    yield Batch(name, f"query of {name}", first, rows)
                    first += rows.num_rows

    ordered = all(re.search(r"\border\s+by\b", q, re.IGNORECASE) for q in queries.values())
    return Source(told, batches, columns, ordered=ordered)


def _bare(query: str) -> str:
    return query.strip().rstrip(";")


def _by_name(ask: Ask) -> dict[str, str]:
    queries: dict[str, str] = {}
    for row in ask(_TABLES).read_all().to_pylist():
        name = table_of(row["table_name"])
        if name is not None:
            place = ".".join(map(column, row.values()))
            queries.setdefault(name, f"SELECT * FROM {place}")
    return queries


def _rechunked(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader:
        held.append(batch)
        rows += batch.num_rows
        if rows >= ROWS:
            yield _stored(pa.Table.from_batches(held))
            held, rows = [], 0
    if held:
        yield _stored(pa.Table.from_batches(held))


def _stored(rows: pa.Table) -> pa.Table:
    """Columns as they are stored: PostgreSQL's numeric, which has no limit, comes as text."""
    for at, field in enumerate(rows.schema):
        if isinstance(field.type, pa.BaseExtensionType):
            plain = rows.column(at).cast(field.type.storage_type)
            rows = rows.set_column(at, field.name, plain)
    return rows


@contextmanager
def _postgres(source: str, told: str) -> Iterator[Ask]:
    try:
        from adbc_driver_manager import Error
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        raise MissingExtraError("database", "reading PostgreSQL") from error
    try:
        connection = dbapi.connect(source)
    except Error as error:
        raise _cannot_open(told, error) from error
    try:
        with connection, connection.cursor() as cursor:
            # All queries see one state of the database, and none can change it.
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

            def ask(query: str) -> pa.RecordBatchReader:
                cursor.execute(_bare(query))
                return cast(pa.RecordBatchReader, cursor.fetch_record_batch())

            yield ask
    except Error as error:
        raise _failed(told, error) from error


@contextmanager
def _duckdb(source: str, told: str) -> Iterator[Ask]:
    import duckdb

    if not Path(source).is_file():
        raise CaseTableError("no such database", file=source, hint="check the path")
    try:
        connection = duckdb.connect(source, read_only=True)
    except duckdb.Error as error:
        raise _cannot_open(told, error) from error

    def ask(query: str) -> pa.RecordBatchReader:
        found: Any = connection.sql(_bare(query))
        return found.to_arrow_reader(ROWS)

    try:
        yield ask
    except duckdb.Error as error:
        raise _failed(told, error) from error
    finally:
        connection.close()


def _cannot_open(told: str, error: Exception) -> CaseTableError:
    return CaseTableError(
        f"the database cannot be opened: {_first_line(error)}",
        file=told,
        hint="check address, user and password (PGPASSWORD or ~/.pgpass), or the file",
    )


def _failed(told: str, error: Exception) -> CaseTableError:
    return CaseTableError(
        f"a query fails: {_first_line(error)}",
        file=told,
        hint="mend the query in the layout: [tables.NAME] query = ...",
    )


def _first_line(error: Exception) -> str:
    # A driver may repeat the address with its password.
    return re.sub(r"//[^@/\s]*@", "//", str(error).strip().partition("\n")[0])
