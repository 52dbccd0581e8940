"""The interface's JSON (transactions 4101 and 4101A): objects, arrays, lines, folders of files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from grouper.errors import CaseTableError
from grouper.intake.batches import DOCUMENT, LABEL, PLACE, Batch, Damaged, Source
from grouper.intake.fields import TABLES

SUFFIXES = (".json", ".jsonl", ".ndjson")
_CHUNK = 1 << 20
_DOCUMENTS = 1 << 14
_DEEP = "nested too deeply for a settlement list"

Node = dict[str, Any]


def open_documents(
    files: Sequence[Path],
    encoding: str,
    names: Mapping[str, Mapping[str, str]],
    unused: Sequence[str] = (),
) -> Source:
    """A source of settlement lists as documents, one or many a file.

    Args:
        names: table to (name in the documents to field).
    """
    seen: dict[str, dict[str, None]] = {}
    what = str(files[0]) if len(files) == 1 else f"{len(files):,} files of JSON"

    def batches() -> Iterator[Batch]:
        number = 0
        gathered = _Gathered(names, seen)
        for file in files:
            for row, found in _documents_of(file, encoding):
                number += 1
                gathered.add(number, file.name, row, found)
                if gathered.full:
                    yield from gathered.batches()
        yield from gathered.batches()

    return Source(what, batches, {}, documents=True, unused=tuple(unused), seen=seen)


class _Gathered:
    """Rows of documents until they are enough for batches."""

    def __init__(
        self, names: Mapping[str, Mapping[str, str]], seen: dict[str, dict[str, None]]
    ) -> None:
        self._names, self._seen = names, seen
        self._rows: dict[str, list[list[str | None]]] = {}
        self._places: dict[str, list[tuple[int, str, int]]] = {}
        self._damaged: list[Damaged] = []
        self._documents = 0

    @property
    def full(self) -> bool:
        """Whether the rows are enough for a batch."""
        return self._documents >= _DOCUMENTS

    def add(self, number: int, label: str, row: int, found: Node | Damaged) -> None:
        """Take the nodes of a document."""
        self._documents += 1
        if isinstance(found, Damaged):
            self._damaged.append(replace(found, label=label))
            return
        for table in TABLES:
            for one in _rows_of(found, table):
                self._take(table, one, (number, label, row))

    def _take(self, table: str, row: Node, place: tuple[int, str, int]) -> None:
        known = self._names[table]
        columns = self._rows.setdefault(table, [[] for _ in known])
        seen = self._seen.setdefault(table, {})
        for key in row:
            if key not in seen:
                seen[key] = None
        for values, name in zip(columns, known, strict=True):
            values.append(_text(row.get(name)))
        self._places.setdefault(table, []).append(place)

    def batches(self) -> Iterator[Batch]:
        """The rows as batches, one a table, and begin anew."""
        damaged = tuple(self._damaged)
        if damaged and "setlinfo" not in self._rows:
            yield Batch("setlinfo", "", 1, pa.table({}), damaged)
        for table, columns in self._rows.items():
            numbers, labels, rows = zip(*self._places[table], strict=True)
            arrays = {
                name: _texts(values)
                for name, values in zip(self._names[table], columns, strict=True)
                if any(value is not None for value in values)
            }
            own = {
                DOCUMENT: pa.array(numbers, pa.int64()),
                PLACE: pa.array(rows, pa.int64()),
                LABEL: pa.array(labels, pa.string()),
            }
            mine = damaged if table == "setlinfo" else ()
            yield Batch(table, "", 1, pa.table(arrays | own), mine)
        self._rows, self._places, self._damaged, self._documents = {}, {}, [], 0


def _texts(values: list[str | None]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:  # half a character, which JSON can write and UTF-8 cannot
        whole = [text and text.encode("utf-8", "replace").decode() for text in values]
        return pa.array(whole, pa.string())


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    return json.dumps(value, ensure_ascii=False)


def _rows_of(document: Node, table: str) -> list[Node]:
    found = document.get(table)
    if isinstance(found, dict):
        found = [found]
    if not isinstance(found, list):
        return []
    rows = [row for row in found if isinstance(row, dict) and row]
    if table == "setlinfo" and "fixmedins_code" in document:
        # The envelope names the sending hospital, the list itself need not.
        rows = [{"fixmedins_code": document["fixmedins_code"]} | row for row in rows]
    return rows


def _list_in(value: Any, row: int) -> Node | Damaged:
    """The settlement list in a document: the object itself, or the input of a transaction."""
    if isinstance(value, dict):
        inner = value.get("input", value.get("data"))
        if isinstance(inner, str):
            inner = _decoded(inner)
        if isinstance(inner, dict):
            inner = inner.get("data", inner)
        if isinstance(inner, dict) and "setlinfo" in inner and "setlinfo" not in value:
            outer = {k: v for k, v in value.items() if k == "fixmedins_code"}
            value = outer | inner
        found: Node = value
        if isinstance(found.get("setlinfo"), dict | list):
            return found
    return Damaged(row, "no settlement list: there is no node setlinfo")


def _decoded(text: str) -> Any:
    try:
        return json.loads(text, parse_float=str, parse_int=str)
    except (json.JSONDecodeError, RecursionError):
        return None


def _documents_of(file: Path, encoding: str) -> Iterator[tuple[int, Node | Damaged]]:
    """The documents of a file with their numbers from 1.

    Raises:
        CaseTableError: the file is not text of this encoding, or an array breaks off.
    """
    name = "utf-8-sig" if encoding == "utf-8" else encoding
    try:
        with file.open(encoding=name) as stream:
            read = _lines if file.suffix.lower() != ".json" else _values
            yield from read(stream, file.name)
    except UnicodeDecodeError as error:
        raise CaseTableError(
            f"not {encoding} text",
            file=file.name,
            hint="if the file is in the Chinese national encoding, say so: --encoding gb18030",
        ) from error
    except OSError as error:
        raise CaseTableError(
            f"cannot be read: {error.strerror}", file=file.name, hint="check the path"
        ) from error


def _lines(stream: TextIO, _: str) -> Iterator[tuple[int, Node | Damaged]]:
    for row, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_float=str, parse_int=str)
        except json.JSONDecodeError as error:
            yield row, Damaged(row, f"not JSON: {error.msg} at column {error.colno}")
        except RecursionError:
            yield row, Damaged(row, _DEEP)
        else:
            yield row, _list_in(value, row)


def _values(stream: TextIO, file: str) -> Iterator[tuple[int, Node | Damaged]]:
    """One object, objects one after the other, or an array of them, without holding the file."""
    decoder = json.JSONDecoder(parse_float=str, parse_int=str)
    text = stream.read(_CHUNK).lstrip()
    array = text.startswith("[")
    position, row, lines = (1 if array else 0), 0, 0
    while True:
        position = _skip(text, position)
        if position >= len(text) or (array and text[position] == "]"):
            more = "" if array and position < len(text) else stream.read(_CHUNK)
            if not more:
                if row == 0 and not array:
                    yield 1, Damaged(1, "the file is empty")
                if array and position >= len(text):
                    raise _broken(file, "the array has no end", lines + text.count("\n") + 1)
                return
            lines += text.count("\n")
            text, position = more, 0
            continue
        try:
            value, end = decoder.raw_decode(text, position)
        except RecursionError as error:
            raise _broken(file, _DEEP, lines + text.count("\n", 0, position) + 1) from error
        except json.JSONDecodeError as error:
            more = stream.read(max(_CHUNK, len(text)))
            if more:
                lines += text.count("\n", 0, position)
                text, position = text[position:] + more, 0
                continue
            if not array and row == 0:
                yield 1, Damaged(1, f"not JSON: {error.msg} in line {error.lineno}")
                return
            raise _broken(file, f"not JSON: {error.msg}", lines + error.lineno) from error
        row += 1
        position = end
        yield row, _list_in(value, row)


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n,":
        position += 1
    return position


def _broken(file: str, told: str, line: int) -> CaseTableError:
    error = CaseTableError(told, file=file, hint="the file may be incomplete: export it again")
    error.line = line
    return error
