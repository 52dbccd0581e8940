"""The work database: rows of every table as typed values, on disk and within a memory limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grouper.cases import COLUMNS
from grouper.errors import CaseTableError, OutputError
from grouper.intake.batches import DOCUMENT, LABEL, PLACE, Batch, Source
from grouper.intake.columns import columns_by_field
from grouper.intake.fields import TABLES, As
from grouper.intake.layout import Layout
from grouper.intake.match import Keys, choose_keys, matched
from grouper.intake.values import (
    SQL_TYPES,
    Reading,
    add_functions,
    column,
    fitting,
    mapped,
    plain,
    quoted,
    trimmed,
)

if TYPE_CHECKING:
    import duckdb

_GIVES = columns_by_field()
_NUMBERS = (As.WHOLE, As.FLOOR, As.NEAREST)

# What a row needs besides its fields: where it stood, and what of it could not be read.
_PLACES = ("_seq", "_file", "_row", "_document")
_OWN = "_seq BIGINT, _file INTEGER, _row BIGINT, _document BIGINT, _bad VARCHAR, _unknown VARCHAR"


@contextmanager
def work_database(folder: Path, memory: str, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in a folder, that spills there and stays below the memory limit.

    Raises:
        OutputError: the disk is full, or the memory limit too small.
    """
    import duckdb

    config = {
        "memory_limit": memory,
        "temp_directory": str(folder / "spill"),
        "preserve_insertion_order": "true",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    if threads:
        config["threads"] = str(threads)
    try:
        connection = duckdb.connect(str(folder / "work.duckdb"), config=config)
    except (duckdb.InvalidInputException, duckdb.ParserException, duckdb.CatalogException) as error:
        raise OutputError(
            f"the memory limit {memory!r} is not understood", hint="write it as 2GB or 500MB"
        ) from error
    try:
        yield connection
    except duckdb.OutOfMemoryException as error:
        raise OutputError(
            f"the import does not fit into {memory} of memory",
            hint="give it more: --memory 4GB, or check the free space of the output's disk",
        ) from error
    except (duckdb.IOException, duckdb.TransactionException) as error:
        raise OutputError(
            f"the work database cannot be written: {str(error).partition(chr(10))[0]}",
            hint="make room on the disk of the output folder and give the same command again",
        ) from error
    finally:
        connection.close()


class Stage:
    """Rows of a source on their way into the work database.

    Attributes:
        files: labels of the pieces, in the order of their first row.
        read: table to the number of rows that were read, damaged ones included.
        found: table to (field to the source's columns), filled by `load`.
        unused: table to the source's columns that no field takes.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection, source: Source, layout: Layout) -> None:
        """Make the empty tables."""
        self.db = db
        self.files: list[str] = []
        self.read: dict[str, int] = {}
        self.found: dict[str, dict[str, tuple[str, ...]]] = {}
        self.unused: dict[str, list[str]] = {}
        self._source, self._layout = source, layout
        self._reading = Reading(layout)
        self._sequence = 0
        self._numbers: dict[str, int] = {}
        add_functions(db)
        for name, table in TABLES.items():
            fields = ", ".join(f"{f.name} {SQL_TYPES[f.read]}" for f in table.fields.values())
            db.execute(f"CREATE TABLE in_{name} ({_OWN}, {fields})")
        db.execute(
            'CREATE TABLE rejected (rank INTEGER, seq BIGINT, "table" VARCHAR, file VARCHAR,'
            " row BIGINT, case_id VARCHAR, reason VARCHAR, detail VARCHAR)"
        )

    def load(
        self, sample: int = 0, progress: Callable[[str, int], None] = lambda _what, _rows: None
    ) -> Keys:
        """Read the source to its end, or only what concerns its first cases.

        Args:
            sample: number of settlements to stop at; 0 reads all.

        Raises:
            CaseTableError: a source that cannot be read, or tables without common keys.
        """
        keys = None if self._source.documents else self._keys(self._source.columns)
        # One transaction, so that rows go to their place at once and not through a log.
        self.db.execute("BEGIN")
        for batch in self._source.batches():
            if not sample:
                self._take(batch)
            elif self._source.documents:
                if self.read and batch.table == "setlinfo":
                    break
                self._take(_first_documents(batch, sample))
            elif batch.table == "setlinfo":
                self._take(_first_rows(batch, sample - self.read.get("setlinfo", 0)))
            else:
                self._take(batch, keys)
            progress("reading", batch.rows.num_rows)
        self.db.execute("COMMIT")
        if keys is None:
            keys = self._keys(self._source.seen)
        return keys

    def _keys(self, columns: Any) -> Keys:
        if not columns.get("setlinfo"):
            raise CaseTableError(
                "there is no settlement list in it",
                file=self._source.what,
                hint="a list is an object with the node setlinfo",
            )
        for name, present in columns.items():
            if name not in TABLES:
                continue
            self.found[name] = matched(name, present, self._layout)
            used = {theirs for all_of in self.found[name].values() for theirs in all_of}
            self.unused[name] = [one for one in present if one not in used]
        self._told_columns_exist(columns)
        return choose_keys(
            self.found, self._layout, documents=self._source.documents, file=self._source.what
        )

    def _told_columns_exist(self, columns: Any) -> None:
        for name, table in self._layout.tables.items():
            present = {one.lower() for one in columns.get(name, ())}
            for ours, theirs in table.columns.items():
                if present and theirs.lower() not in present:
                    raise CaseTableError(
                        f"{name} has no column {theirs}, which the layout maps to {ours};"
                        f" it has {', '.join(columns[name])}",
                        file=self._source.what,
                        column=theirs,
                        hint="mend the name in the layout",
                    )

    def _take(self, batch: Batch, only: Keys | None = None) -> None:
        rows = self._with_files(batch)
        for one in batch.damaged:
            self.db.execute(
                "INSERT INTO rejected VALUES (?, ?, ?, ?, ?, NULL, 'damaged', ?)",
                [
                    _rank(batch.table),
                    self._sequence,
                    batch.table,
                    one.label or batch.label,
                    one.row,
                    one.told,
                ],
            )
        if rows.num_rows == 0:
            self._count(batch.table, len(batch.damaged))
            return
        used = matched(batch.table, rows.schema.names, self._layout).values()
        known = {DOCUMENT, PLACE, "_file"}.union(*used)
        rows = rows.select([at for at, name in enumerate(rows.schema.names) if name in known])
        rows = rows.append_column("_at", pa.array(np.arange(rows.num_rows)))
        self.db.register("arriving", rows)
        query = self._select(batch.table, rows.schema, batch.first)
        if only is not None:
            mine = matched(batch.table, rows.schema.names, self._layout)
            wanted = f"{only.join} IN (SELECT {only.join} FROM in_setlinfo)"
            query += f" WHERE {wanted if only.join in mine else 'false'}"
        ((taken,),) = self.db.execute(f"INSERT INTO in_{batch.table} BY NAME {query}").fetchall()
        self._count(batch.table, taken + len(batch.damaged))
        self.db.unregister("arriving")
        self._sequence += batch.rows.num_rows

    def _with_files(self, batch: Batch) -> pa.Table:
        """The rows with the number of the file that each comes from."""
        rows = batch.rows
        if LABEL in rows.column_names:
            labels = rows.column(LABEL).combine_chunks()
            for label in labels.unique().to_pylist():
                if self._numbers.setdefault(label, len(self.files)) == len(self.files):
                    self.files.append(label)
            distinct = labels.dictionary_encode()
            known = pa.array([self._numbers[one] for one in distinct.dictionary.to_pylist()])
            files = known.take(distinct.indices)
        else:
            number = self._numbers.setdefault(batch.label, len(self.files))
            if number == len(self.files):
                self.files.append(batch.label)
            files = pa.array(np.full(rows.num_rows, number))
        return rows.append_column("_file", files.cast(pa.int64()))

    def _count(self, table: str, rows: int) -> None:
        self.read[table] = self.read.get(table, 0) + rows

    def _select(self, table: str, schema: pa.Schema, first: int) -> str:
        """The rows that arrive, as values of the fields.

        In steps, because an expression is written out wherever it is used: text, trimmed text,
        text that means something, text of the interface, that in plain characters, value.
        """
        place = PLACE if PLACE in schema.names else f"_at + {first}"
        document = DOCUMENT if DOCUMENT in schema.names else "NULL::BIGINT"
        steps: list[list[str]] = [
            [
                f"_at + {self._sequence} AS _seq",
                "_file",
                f"{place} AS _row",
                f"{document} AS _document",
            ],
            *([*_PLACES] for _ in range(5)),
        ]
        bad: dict[bool, list[tuple[str, str, str]]] = {False: [], True: []}
        found = matched(table, schema.names, self._layout)
        for name, theirs in found.items():
            read = TABLES[table].fields[name].read
            kinds = [_plain(schema.field(one).type) for one in theirs]
            said = self._layout.values.get(name, {})
            there, value = self._steps(name, theirs, kinds, read, said, steps)
            for one in _GIVES.get((table, name), ()) if read in _NUMBERS else ():
                value = fitting(value, COLUMNS[one])
            steps[-1].append(f"{value} AS {name}")
            if read not in (As.TEXT, As.CODE):
                steps[-1].append(there)
                bad[read in (As.INSURANCE, As.FUND)].append((name, there, theirs[0]))
        query = "arriving"
        for step in steps:
            query = f"(SELECT {', '.join(step)} FROM {query})"
        kept = ", ".join([*_PLACES, *found])
        faults = f"{_told(bad[False])} AS _bad, {_told(bad[True])} AS _unknown"
        return f"SELECT {kept}, {faults} FROM {query}"

    def _steps(
        self,
        name: str,
        theirs: Sequence[str],
        kinds: Sequence[pa.DataType],
        read: As,
        said: Mapping[str, str],
        steps: list[list[str]],
    ) -> tuple[str, str]:
        """Add the steps of a field; gives the column that tells an absent value, and the value."""
        source = f"s_{name}"
        steps[0].append(f"{column(theirs[0])} AS {source}")
        for step in steps[1:-1]:
            step.append(source)
        direct = len(theirs) == 1 and not said
        typed = self._reading.typed(source, kinds[0], read) if direct else None
        if typed is not None:
            return source, typed
        texts = [f"t{at}_{name}" for at in range(len(theirs))]
        for text, one, kind in zip(texts, theirs, kinds, strict=True):
            steps[0].append(f"{self._reading.raw(column(one), kind)} AS {text}")
            steps[1].append(f"{trimmed(text)} AS {text}")
        steps[2].append(f"{self._reading.meant(texts)} AS t_{name}")
        steps[3].append(f"{mapped(f't_{name}', said, f't_{name}')} AS t_{name}")
        steps[4] += [f"t_{name}", f"{plain(f't_{name}')} AS p_{name}"]
        kind = kinds[0] if direct else pa.string()
        return f"t_{name}", self._reading.value(f"t_{name}", f"p_{name}", source, kind, read)


def _told(fields: list[tuple[str, str, str]]) -> str:
    """The values that are there and could not be read, as a text; empty where there are none."""
    if not fields:
        return "''"
    unread = {ours: f"{ours} IS NULL AND {there} IS NOT NULL" for ours, there, _ in fields}
    parts = ", ".join(
        f"CASE WHEN {unread[ours]} THEN {quoted(theirs + '=')} || left({there}::VARCHAR, 60) END"
        for ours, there, theirs in fields
    )
    return f"CASE WHEN {' OR '.join(unread.values())} THEN concat_ws('; ', {parts}) ELSE '' END"


def _rank(table: str) -> int:
    return list(TABLES).index(table)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _first_rows(batch: Batch, rows: int) -> Batch:
    kept = batch.rows.slice(0, max(rows, 0))
    return replace(batch, rows=kept, damaged=batch.damaged if kept.num_rows else ())


def _first_documents(batch: Batch, documents: int) -> Batch:
    rows = batch.rows
    return replace(batch, rows=rows.filter(pc.less_equal(rows.column(DOCUMENT), documents)))
