"""Reading cases: Parquet, CSV or Arrow IPC, in parts that follow from the input alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from grouper.cases.csvfiles import csv_schema, read_csv
from grouper.cases.given import plain_schema, without_views
from grouper.cases.registry import (
    COLUMNS,
    GROUPING_REQUIRED,
    Column,
    Kind,
    check_columns,
)
from grouper.errors import CaseTableError

PART_ROWS = 1 << 19
"""Row groups of one file are joined into parts of at least so many cases; a part is one task."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the input that one task works on.

    Attributes:
        number: position among all parts, from 0.
        path: the file.
        form: `parquet`, `csv` or `ipc`.
        row_groups: row groups of a Parquet file; empty for the whole of another file.
        rows: number of cases where the file says so without being read, else -1.
    """

    number: int
    path: str
    form: str
    row_groups: tuple[int, ...] = ()
    rows: int = -1

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return Path(self.path).name


@dataclass(frozen=True)
class CaseSource:
    """Where cases come from: a file or a folder of files, cut into parts.

    Attributes:
        parts: in the order of the files' names; the cut follows from the input alone.
        columns: wanted columns that the input has (our name to the file's).
        absent: wanted columns that no file has; they read as null.
        encoding: of CSV files.
    """

    parts: tuple[Part, ...]
    columns: Mapping[str, str]
    wanted: Mapping[str, Column]
    absent: tuple[str, ...] = ()
    encoding: str = "utf-8"
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of cases, -1 where only reading would tell."""
        return -1 if any(p.rows < 0 for p in self.parts) else sum(p.rows for p in self.parts)


FORMS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".arrow": "ipc",
    ".ipc": "ipc",
    ".feather": "ipc",
    ".arrows": "ipc",
}
"""What a case file is, by the end of its name."""

UNREAD_FORMS = frozenset((".xlsx", ".xlsm", ".xls", ".et", ".ods", ".txt", ".jsonl", ".gz", ".zip"))
"""Ends of names that lists come in, and that no reader takes: passed over, cases would be lost."""


def is_text_encoding(name: str) -> bool:
    """Whether texts can be read in it: Python also has codecs that no file of texts is in."""
    try:
        "a".encode(name).decode(name)
    except (LookupError, ValueError):
        return False
    return True


def open_cases(
    path: str | Path,
    *,
    wanted: Iterable[Column] | None = None,
    required: Collection[str] = GROUPING_REQUIRED,
    encoding: str = "utf-8",
    names: Mapping[str, str] | None = None,
) -> CaseSource:
    """Look at a file or folder of cases and cut it into parts, without reading the cases.

    Raises:
        CaseTableError: nothing there, an unknown kind of file or encoding, a file that cannot be
            read, or columns that break the registry.
    """
    if not is_text_encoding(encoding):
        raise CaseTableError(f"unknown encoding {encoding!r}", hint="use utf-8 or gb18030")
    wanted = tuple(COLUMNS.values() if wanted is None else wanted)
    columns: dict[str, str] = {}
    parts: list[Part] = []
    for file in _files(Path(path)):
        form = FORMS[file.suffix.lower()]
        schema, groups = _look(file, form, wanted, encoding, names or {})
        present = check_columns(schema, wanted, required=required, names=names, file=file.name)
        columns |= present
        if form == "parquet":
            parts.extend(_parquet_parts(len(parts), file, groups))
        else:
            parts.append(Part(len(parts), str(file), form))
    absent = tuple(c.name for c in wanted if c.name not in columns)
    by_name = {c.name: c for c in wanted}
    return CaseSource(tuple(parts), columns, by_name, absent, encoding, dict(names or {}))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        # Excel locks an open file by a small one beside it.
        named = sorted(p for p in path.iterdir() if not p.name.startswith((".", "_", "~$")))
        found = [p for p in named if p.suffix.lower() in FORMS]
        if unread := [p.name for p in named if p.suffix.lower() in UNREAD_FORMS]:
            raise CaseTableError(
                "a folder of cases cannot hold this kind of file",
                file=unread[0],
                hint="save it as CSV, give it to `grouper cases import`, or take it away",
            )
        if not found:
            raise CaseTableError(
                "the folder holds no case file",
                file=str(path),
                hint=f"put files there that end in {', '.join(sorted(FORMS))}",
            )
    elif not path.exists():
        raise CaseTableError("no such file or folder", file=str(path), hint="check the path")
    elif path.suffix.lower() not in FORMS:
        raise CaseTableError(
            f"unknown kind of file {path.suffix!r}",
            file=path.name,
            hint="save it as CSV, or give it to `grouper cases import`"
            if path.suffix.lower() in UNREAD_FORMS
            else f"name it by what it is: {', '.join(sorted(FORMS))}",
        )
    else:
        found = [path]
    for file in found:
        if file.stat().st_size == 0:
            raise CaseTableError(
                "the file is empty", file=file.name, hint="export it again, or take it away"
            )
    return found


def _parquet_parts(first: int, file: Path, rows: Sequence[int]) -> Iterator[Part]:
    number, start, gathered = first, 0, 0
    for group, count in enumerate(rows):
        gathered += count
        if gathered >= PART_ROWS or group == len(rows) - 1:
            groups = tuple(range(start, group + 1))
            yield Part(number, str(file), "parquet", groups, gathered)
            number, start, gathered = number + 1, group + 1, 0
    if not rows:
        yield Part(number, str(file), "parquet", (), 0)


def _look(
    file: Path, form: str, wanted: Sequence[Column], encoding: str, names: Mapping[str, str]
) -> tuple[pa.Schema, list[int]]:
    try:
        if form == "parquet":
            with pq.ParquetFile(file) as parquet:
                meta = parquet.metadata
                return plain_schema(parquet.schema_arrow), [
                    meta.row_group(i).num_rows for i in range(meta.num_row_groups)
                ]
        if form == "csv":
            return csv_schema(file, wanted, encoding, names), []
        with pa.memory_map(str(file)) as stream:
            return plain_schema(_open_ipc(stream).schema), []
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(file, form, encoding, error) from error


_FORM_NAMES = {"parquet": "Parquet", "csv": "CSV", "ipc": "Arrow IPC"}


_WORKBOOK: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


def _unreadable(file: Path, form: str, encoding: str, error: Exception) -> CaseTableError:
    text, name = str(error), file.name
    if isinstance(error, PermissionError):
        return CaseTableError("may not be read", file=name, hint="see its permissions")
    if "Empty CSV" in text:
        return CaseTableError(
            "there is no row below the header", file=name, hint="export it again, or take it away"
        )
    if form == "csv" and ("UTF8" in text or "UTF-8" in text or "codec can't decode" in text):
        with file.open("rb") as data:
            head = data.read(4)
        if head in _WORKBOOK:
            return CaseTableError(
                "a workbook, not CSV", file=name, hint="open it and save it as CSV"
            )
        kind = "UTF-8" if encoding.lower().startswith("utf") else encoding
        hint = "save the file as UTF-8, and give no --encoding"
        if kind == "UTF-8" and not head.startswith(_UTF_16):
            hint = "if the file is in the Chinese national encoding, say so: --encoding gb18030"
        return CaseTableError(f"not {kind} text", file=name, hint=hint)
    hint = "the file may be incomplete: copy or export it again"
    if form == "csv":
        hint = "mend the row, or export the file again"
    return CaseTableError(
        f"cannot be read as {_FORM_NAMES[form]}: {text.splitlines()[0]}", file=name, hint=hint
    )


def _open_ipc(stream: pa.NativeFile) -> pa.RecordBatchFileReader | pa.RecordBatchStreamReader:
    magic = stream.read(6)
    stream.seek(0)
    return pa.ipc.open_file(stream) if magic == b"ARROW1" else pa.ipc.open_stream(stream)


def read_part(
    source: CaseSource, part: Part, columns: Collection[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The cases of a part as batches that hold the wanted columns under our names.

    Text columns of a Parquet file arrive as dictionaries, which differ from batch to batch, and so
    do code columns where the file has them so; code columns of a CSV file stay texts like `A|B`
    (`split_codes`). A wanted column that the file lacks is left out.

    Args:
        columns: only these of the source's columns.

    Raises:
        CaseTableError: the file cannot be read to its end.
    """
    chosen = {
        name: source.names.get(name, name)
        for name in source.wanted
        if name in source.columns and (columns is None or name in columns)
    }
    try:
        match part.form:
            case "parquet":
                yield from _read_parquet(part, chosen)
            case "csv":
                yield from read_csv(source, part, chosen)
            case _:
                yield from _read_ipc(part, chosen)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError, UnicodeDecodeError) as error:
        raise _unreadable(Path(part.path), part.form, source.encoding, error) from error


# A column with nearly as many values as rows gains nothing from a dictionary.
_NEVER_DICTIONARY = frozenset(("case_id", "person_id"))


def _read_parquet(part: Part, chosen: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(part.path) as plain:
        meta, schema = plain.metadata, plain.schema
        theirs = {t: ours for ours, t in chosen.items()}
        paths = [schema.column(i).path for i in range(len(schema))]
        dictionaries = [
            path
            for path in paths
            if (ours := theirs.get(path.split(".")[0])) is not None
            and ours not in _NEVER_DICTIONARY
            and _is_coded(meta, part, paths.index(path), COLUMNS.get(ours, _INTEGER).kind)
        ]
        present = [t for t in theirs if t in plain.schema_arrow.names]
    with pq.ParquetFile(part.path, metadata=meta, read_dictionary=dictionaries) as file:
        for group in part.row_groups:
            table = file.read_row_group(group, columns=present, use_threads=False)
            table = table.rename_columns([theirs[n] for n in table.column_names])
            yield from without_views(table).combine_chunks().to_batches()


def _is_coded(meta: pq.FileMetaData, part: Part, position: int, kind: Kind) -> bool:
    """Whether a column is read as a dictionary.

    Codes that the file holds one by one are looked up for less than a dictionary of them costs.
    """
    if kind is not Kind.CODES:
        return kind is Kind.TEXT
    return any(meta.row_group(i).column(position).has_dictionary_page for i in part.row_groups)


_INTEGER = Column("", Kind.INTEGER, pa.int32(), "", "", "", "")


def _read_ipc(part: Part, chosen: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(part.path) as stream:
        reader = _open_ipc(stream)
        ours = [name for name, theirs in chosen.items() if theirs in reader.schema.names]
        theirs = [chosen[name] for name in ours]
        batches: Iterable[pa.RecordBatch] = (
            (reader.get_batch(i) for i in range(reader.num_record_batches))
            if isinstance(reader, pa.RecordBatchFileReader)
            else reader
        )
        for batch in batches:
            yield without_views(batch.select(theirs).rename_columns(ours))
        if isinstance(reader, pa.RecordBatchStreamReader) and stream.tell() < stream.size():
            # As `cat a b > c` leaves it: the cases behind the end would be lost without a word.
            raise CaseTableError(
                f"{stream.size() - stream.tell():,} bytes stand behind the end of the stream",
                file=part.name,
                hint="give each stream as a file of its own",
            )


def split_codes(array: pa.Array) -> pa.Array:
    """`A|B|C` to a list of codes; null stays null."""
    return pc.split_pattern(array, "|")
