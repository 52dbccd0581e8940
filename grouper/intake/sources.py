"""Finding the tables of a source, whatever it is, and reading them as batches."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from grouper.counted import counted
from grouper.errors import CaseTableError
from grouper.intake import databases, documents
from grouper.intake.batches import PLACE, ROWS, Batch, Damaged, Source, in_order
from grouper.intake.fields import TABLES, table_of
from grouper.intake.layout import Layout
from grouper.intake.match import names_in_documents
from grouper.intake.sheets import read_sheet, sheet_header, sheet_names

_TEXT = (".csv", ".tsv", ".txt")
_BOOKS = (".xlsx", ".xlsm")
_FLAT = (".parquet", *_TEXT, *_BOOKS)
_BLOCK = 16 << 20


@dataclass(frozen=True)
class _Piece:
    """A file, or a sheet of one, that holds rows of a table; the first is under the header."""

    table: str
    label: str
    columns: tuple[str, ...]
    read: Callable[[], Iterator[pa.Table | Damaged]]
    first: int = 2


def open_source(
    source: str, layout: Layout, *, encoding: str = "utf-8", tables: Mapping[str, str] | None = None
) -> Source:
    """Look at a source without reading its rows.

    Args:
        source: folder, file, workbook, database file or address of a database.
        encoding: of CSV and JSON.
        tables: table to the file, folder or pattern that holds it, where names do not tell.

    Raises:
        CaseTableError: nothing there, nothing that is understood, or a required table is absent.
    """
    tables = dict(tables or {})
    if databases.is_database(source):
        found = databases.open_database(source, layout)
    else:
        root = Path(source)
        if not root.exists():
            raise CaseTableError("no such file or folder", file=source, hint="check the path")
        tables = {n: t.file for n, t in layout.tables.items() if t.file} | tables
        every = [root] if root.is_file() else _files(root)
        lists = [file for file in every if file.suffix.lower() in documents.SUFFIXES]
        if lists and not tables:
            names = {name: names_in_documents(name, layout) for name in TABLES}
            others = [file.name for file in every if file not in lists]
            return documents.open_documents(lists, encoding, names, others)
        found = _flat(root, every, layout, encoding, tables)
    missing = [name for name, t in TABLES.items() if t.required and name not in found.columns]
    if missing:
        unused = f"; not understood: {', '.join(found.unused[:5])}" if found.unused else ""
        raise CaseTableError(
            f"there is no {' and no '.join(missing)}{unused}",
            file=source,
            hint=f"name files or sheets after the tables, or say --table {missing[0]}=FILE",
        )
    return found


def _files(root: Path) -> list[Path]:
    known = (*_FLAT, *documents.SUFFIXES)
    return sorted(
        file
        for file in root.rglob("*")
        if file.suffix.lower() in known and file.is_file() and file.name[0] not in "._~"
    )


def _flat(
    root: Path, every: Sequence[Path], layout: Layout, encoding: str, tables: Mapping[str, str]
) -> Source:
    named: list[tuple[str | None, Path]] = []
    base = root if root.is_dir() else root.parent
    for name, pattern in tables.items():
        if name not in TABLES:
            raise CaseTableError(
                f"there is no table {name!r}", file=pattern, hint=f"there are {', '.join(TABLES)}"
            )
        named.extend((name, file) for file in _matching(base, pattern))
    taken = {file for _, file in named}
    named.extend((None, file) for file in every if file not in taken)
    pieces: list[_Piece] = []
    unused: list[str] = []
    for wanted, file in named:
        for piece in _pieces(wanted, file, layout, encoding, root):
            if isinstance(piece, str):
                unused.append(piece)
            elif piece.table not in tables or wanted:
                pieces.append(piece)
    columns: dict[str, tuple[str, ...]] = {}
    for piece in pieces:
        before = columns.get(piece.table, ())
        columns[piece.table] = tuple(dict.fromkeys((*before, *piece.columns)))

    def batches() -> Iterator[Batch]:
        for name in in_order(columns):
            for piece in pieces:
                if piece.table == name:
                    yield from _numbered(piece)

    return Source(str(root), batches, columns, unused=tuple(unused))


def _matching(base: Path, pattern: str) -> list[Path]:
    path = Path(pattern)
    found = path if path.is_absolute() or path.exists() else base / path
    if found.is_dir():
        files = _files(found)
    elif found.exists():
        files = [found]
    else:
        files = [] if path.is_absolute() else sorted(base.glob(pattern))
    if not files:
        raise CaseTableError("no such file", file=pattern, hint="check the path or pattern")
    return files


def _pieces(
    wanted: str | None, file: Path, layout: Layout, encoding: str, root: Path
) -> Iterator[_Piece | str]:
    kind = file.suffix.lower()
    if file.stat().st_size == 0:
        raise CaseTableError(
            "the file is empty", file=file.name, hint="export it again, or take it away"
        )
    if kind in _BOOKS:
        sheets = {t.sheet: n for n, t in layout.tables.items() if t.sheet}
        names = sheet_names(file)
        for sheet in names:
            table = sheets.get(sheet) or table_of(sheet)
            if wanted is not None and len(names) == 1:
                table = wanted
            if table is None or (wanted is not None and table != wanted):
                yield f"{file.name}[{sheet}]"
                continue
            header = sheet_header(file, sheet)
            yield _Piece(
                table,
                f"{file.name}[{sheet}]",
                tuple(name for name in header if name),
                lambda sheet=sheet: read_sheet(file, sheet),  # type: ignore[misc]
            )
        return
    inside = file.relative_to(root).parts if file.is_relative_to(root) else (file.name,)
    table = wanted or table_of(file.stem) or next(filter(None, map(table_of, inside[:-1])), None)
    if table is None or kind not in _FLAT:
        yield file.name
        return
    try:
        if kind == ".parquet":
            columns = tuple(pq.read_schema(file).names)
            yield _Piece(table, file.name, columns, lambda: _read_parquet(file), 1)
        else:
            delimiter, columns = _header(file, encoding)
            _no_twice(columns, file)
            yield _Piece(
                table, file.name, columns, lambda: _read_csv(file, encoding, delimiter, columns)
            )
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(file, error) from error


def _no_twice(columns: Sequence[str], file: Path) -> None:
    for name, times in Counter(columns).items():
        if times > 1:
            raise CaseTableError(
                f"the column {name} stands {times} times",
                file=file.name,
                column=name,
                hint="give each column a name of its own",
            )


def _numbered(piece: _Piece) -> Iterator[Batch]:
    first = piece.first
    damaged: list[Damaged] = []
    passed: list[int] = []
    for found in piece.read():
        if isinstance(found, Damaged):
            damaged.append(found)
            passed.append(found.row)
            continue
        if passed and found.num_rows:
            # Damaged rows count, too: the rows between and behind them keep their numbers.
            numbers = np.arange(first, first + found.num_rows + len(passed))
            numbers = np.setdiff1d(numbers, passed)[: found.num_rows]
            found = found.append_column(PLACE, pa.array(numbers))
            following = int(numbers[-1]) + 1
            passed = [row for row in passed if row >= following]
        else:
            following = first + found.num_rows
        yield Batch(piece.table, piece.label, first, found, tuple(damaged))
        first, damaged = following, []


def _read_parquet(file: Path) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(batch_size=ROWS):
                yield pa.Table.from_batches([batch])
            if parquet.metadata.num_rows == 0:
                yield parquet.schema_arrow.empty_table()
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(file, error) from error


def _header(file: Path, encoding: str) -> tuple[str, tuple[str, ...]]:
    name = "utf-8-sig" if encoding == "utf-8" else encoding
    with file.open("rb") as raw, io.TextIOWrapper(raw, encoding=name, newline="") as text:
        line = text.readline()
    delimiter = max(",\t;|", key=lambda one: (line.count(one), one == ","))
    return delimiter, tuple(name.strip() for name in next(csv.reader([line], delimiter=delimiter)))


def _read_csv(
    file: Path, encoding: str, delimiter: str, columns: Sequence[str]
) -> Iterator[pa.Table | Damaged]:
    """The rows as texts; a row with too few or too many values is damaged."""
    damaged: list[Damaged] = []

    def bad(row: pacsv.InvalidRow) -> str:
        values = counted(row.actual_columns, "value")
        columns = counted(row.expected_columns, "column")
        told = f"{values} in {columns}: {row.text[:200]}"
        damaged.append(Damaged(row.number or 0, told))
        return "skip"

    try:
        reader = pacsv.open_csv(
            file,
            read_options=pacsv.ReadOptions(
                encoding="utf8" if encoding == "utf-8" else encoding,
                block_size=_BLOCK,
                use_threads=False,
                column_names=list(columns),
                skip_rows=1,
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=bad
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
            ),
        )
        for batch in reader:
            yield from damaged
            damaged.clear()
            yield pa.Table.from_batches([batch])
        if damaged:
            yield from damaged
            yield reader.schema.empty_table()
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        if isinstance(error, pa.ArrowInvalid) and "Empty CSV" in str(error):
            yield pa.table({name: pa.array([], pa.string()) for name in columns})
            return
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> CaseTableError:
    if isinstance(error, PermissionError):
        return CaseTableError("may not be read", file=file.name, hint="see its permissions")
    text = str(error).partition("\n")[0]
    if any(word in text for word in ("UTF8", "UTF-8", "codec can't decode")):
        return CaseTableError(
            "the text is not in the encoding that was said",
            file=file.name,
            hint="say --encoding gb18030 for the Chinese national encoding, else utf-8",
        )
    return CaseTableError(
        f"cannot be read: {text}",
        file=file.name,
        hint="the file may be incomplete: copy or export it again",
    )
