"""What an importer hands back: the rows of a pack, and what it could not read."""

from __future__ import annotations

from dataclasses import dataclass

from grouper.scheme.identity import Identity
from grouper.scheme.write import Rows


@dataclass(frozen=True, slots=True)
class Unread:
    """Something of the source that could not be read as it stands.

    Attributes:
        file: the file, with the sheet in brackets where it has several; empty for the whole source.
        line: line or row from 1; 0 where it is the whole file.
        lost: whether it is missing in the pack.
        kind: a stable word for findings that may be many; empty for single ones.
    """

    file: str
    line: int
    message: str
    lost: bool = True
    kind: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}" if place else self.message


@dataclass(frozen=True)
class Imported:
    """An imported scheme.

    Attributes:
        rows: the rows of the pack's files.
        unread: what could not be read.
    """

    identity: Identity
    rows: Rows
    unread: tuple[Unread, ...]
