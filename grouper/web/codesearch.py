"""Finding diagnosis and procedure codes by code, by name, or by the characters of a short form."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from grouper.scheme import Scheme
from grouper.scheme.codes import PREFIX_MARK, code_map

Kind = Literal["dx", "px"]

_CODE_LIKE = re.compile(r"[a-z]?\d[\dxa-z.+*]*|[a-z]\d?")
_LONGEST_QUERY = 64
_GAP = 6  # 心梗 is 心肌梗死: the characters of a short form stand near each other


@dataclass(frozen=True, slots=True)
class Entry:
    """A code that a scheme knows.

    Attributes:
        levels: `MCC`, `CC`, both, or empty.
        plain, lower_name: code (without its dots) and name as they are searched.
    """

    kind: Kind
    code: str
    name: str
    levels: tuple[str, ...]
    plain: str
    lower_name: str

    @property
    def length(self) -> tuple[int, int]:
        """Short names are the usual ones; the unspecific code stands before its subdivisions."""
        return len(self.name), len(self.code)


class CodeSearch:
    """The codes of one scheme, searched."""

    def __init__(self, scheme: Scheme) -> None:
        pack = scheme.pack
        severity = {level: code_map(table) for level, table in pack.severity.items()}
        self._entries: list[Entry] = []
        self._by_code: dict[str, Entry] = {}
        lists: tuple[tuple[Kind, Mapping[str, str], Iterable[str]], ...] = (
            ("dx", pack.dx, scheme.compiled.dx.codes),
            ("px", pack.px, scheme.compiled.px.codes),
        )
        for kind, names, known in lists:
            for code, name in _codes(names, known):
                levels = tuple(
                    level
                    for level in ("MCC", "CC")
                    if kind == "dx" and severity[level].best(code) is not None
                )
                entry = Entry(kind, code, name, levels, _plain(code), normal(name))
                self._entries.append(entry)
                self._by_code.setdefault(code, entry)
        self._by_name: dict[str, Entry] = {}
        for entry in self._entries:
            if entry.lower_name:
                self._by_name.setdefault(entry.lower_name, entry)

    def get(self, text: str) -> Entry | None:
        """The entry of exactly this code (small and capital letters are one), or of this name."""
        found = self._by_code.get(text) or self._by_name.get(normal(text))
        if found is None:
            plain = _plain(text)
            near = (e for e in self._entries if e.plain == plain)
            found = next(near, None) if plain else None
        return found

    def find(self, text: str, *, most: int = 20, kind: Kind | None = None) -> list[Entry]:
        """The best entries for what somebody typed, best first.

        A code or the beginning of one (dots may be left out) comes first, then names that begin
        with the text, that hold all its words, and that hold its characters in order (心梗).
        """
        text = normal(text)[:_LONGEST_QUERY]
        if not text:
            return []
        ranked = sorted(
            (
                (rank, entry.length, number)
                for number, entry in enumerate(self._entries)
                if (kind is None or entry.kind == kind) and (rank := _rank(entry, text)) is not None
            ),
        )
        found = [self._entries[number] for *_, number in ranked[:most]]
        if len(found) < most and len(text) > 1 and not _CODE_LIKE.fullmatch(text):
            seen = {(entry.kind, entry.code) for entry in found}
            spread = self._spread(text, kind)
            found += [e for e in spread if (e.kind, e.code) not in seen][: most - len(found)]
        return found

    def _spread(self, text: str, kind: Kind | None) -> Iterator[Entry]:
        """Names that hold the characters of the text in order, the closest first."""
        pattern = re.compile(f".{{0,{_GAP}}}?".join(map(re.escape, text.replace(" ", ""))))
        matches = (
            (match.end() - match.start(), entry.length, number)
            for number, entry in enumerate(self._entries)
            if (kind is None or entry.kind == kind)
            and (match := pattern.search(entry.lower_name)) is not None
        )
        for *_, number in sorted(matches):
            yield self._entries[number]


def normal(text: str) -> str:
    """Text as it is searched: full-width forms, case and outer blanks make no difference."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _plain(code: str) -> str:
    return unicodedata.normalize("NFKC", code).casefold().strip().replace(".", "")


def _codes(names: Mapping[str, str], known: Iterable[str]) -> Iterator[tuple[str, str]]:
    yield from names.items()
    for code in sorted(known):
        if code not in names and not code.endswith(PREFIX_MARK):
            yield code, ""


def _rank(entry: Entry, text: str) -> int | None:
    plain = text.replace(".", "")
    if plain and entry.plain.startswith(plain):
        return 0 if len(entry.plain) == len(plain) else 1
    name = entry.lower_name
    if text in name:
        if name == text:
            return 2
        return 3 if name.startswith(text) else 4
    if " " in text and all(t in name or t.replace(".", "") in entry.plain for t in text.split()):
        return 5
    return None
