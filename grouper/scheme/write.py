"""Writing a pack: what an overlay amounts to, or what an importer has gathered."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from grouper.newfolder import new_folder
from grouper.scheme.identity import Identity
from grouper.scheme.tables import COLUMNS, Tables

Rows = Mapping[str, Iterable[Sequence[str]]]
"""File name to rows, each with the cells of `COLUMNS`."""


def table_rows(tables: Tables) -> Rows:
    """The cells of rows that were read."""
    return {
        name: [[line.cells[column] for column in columns] for line in tables[name]]
        for name, columns in COLUMNS.items()
    }


def write_pack(folder: Path, identity: Identity, rows: Rows) -> None:
    """Write a full pack, whole or not at all.

    Args:
        folder: a new or empty folder.
        rows: files that are not named are written with their header only.

    Raises:
        OutputError: the folder holds something already, or cannot be written.
    """
    with new_folder(folder) as work:
        _write(work / "scheme.toml", _toml(identity))
        for name, columns in COLUMNS.items():
            _write(work / name, _csv(columns, rows.get(name, ())))


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _toml(identity: Identity) -> str:
    lines = [f"id = {_quoted(identity.id)}"]
    for key in ("title", "base"):
        value = getattr(identity, key)
        if value:
            lines.append(f"{key} = {_quoted(value)}")
    for key in ("valid_from", "valid_to"):
        day = getattr(identity, key)
        if day is not None:
            lines.append(f"{key} = {day.isoformat()}")
    lines.append(f"retry_other_procedures = {str(bool(identity.retry_other_procedures)).lower()}")
    if identity.attributes:
        lines.append("\n[attributes]")
        lines += [f"{_quoted(n)} = {_quoted(text)}" for n, text in identity.attributes.items()]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # A JSON string is a TOML basic string, save for the one control character that JSON lets pass.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
