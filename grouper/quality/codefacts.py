"""What single codes say about a case: sex, age, symptom, ventilation; and which codes are known.

The facts stand in ``code_facts.csv`` by prefix: codes of one sex after the list of ICD-10 volume 2
(conditions limited to one sex) and the chapters of ICD-9-CM-3 on the organs of one sex; ages are
full years. Of the ages the longest prefix holds, everything else adds up along the prefixes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntFlag
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.codelists import CodeLists, build_index, kinds_of, read_codes
from grouper.execution import Constant
from grouper.kernels.codefacts import find_saying, join_facts
from grouper.kernels.codes import CodeIndex
from grouper.kernels.layout import UNKNOWN
from grouper.quality.thresholds import Thresholds
from grouper.scheme import Scheme
from grouper.scheme.compile import CodeTable
from grouper.scheme.layers import read_layers
from grouper.scheme.tables import COLUMNS, Form, read_rows

Flags = NDArray[np.uint16]
Ages = NDArray[np.int16]
Places = NDArray[np.intp]

NO_LOWEST, NO_HIGHEST = -1, 32_000


class Fact(IntFlag):
    """What is known of a code."""

    MALE = 1
    FEMALE = 2
    AGED = 4
    """It is met at certain ages only."""
    AGED_AS_PRINCIPAL = 8
    """The same, where it is the principal diagnosis."""
    SYMPTOM = 16
    FACTOR = 32
    """External cause or contact with health services (V to Z)."""
    SUSPECTED = 64
    VENTILATION = 128
    SHORT_VENTILATION = 256
    LONG_VENTILATION = 512
    RETIRED = 1024
    """A code of another edition, which the scheme maps to one of its own."""
    CODE = 2048
    """It is a code at all, not a blank."""
    UNKNOWN = 4096
    """The scheme knows it nowhere."""


@dataclass(frozen=True)
class _Line:
    prefix: str
    facts: Fact
    ages: tuple[int, int] | None


@cache
def _lines(codes: str) -> tuple[_Line, ...]:
    """The lines of code_facts.csv for ``dx`` or ``px``."""
    text = (files("grouper.quality") / "code_facts.csv").read_text(encoding="utf-8")
    return tuple(_line(row) for row in csv.DictReader(text.splitlines()) if row["list"] == codes)


@cache
def _by_prefix(codes: str) -> Mapping[str, tuple[_Line, ...]]:
    found: dict[str, tuple[_Line, ...]] = {}
    for line in _lines(codes):
        found[line.prefix] = (*found.get(line.prefix, ()), line)
    return found


def person_of(codes: str, code: str) -> tuple[Fact, int, int]:
    """What a code of ``dx`` or ``px`` says of its patient.

    Returns:
        `Fact.MALE`, `Fact.FEMALE`, `Fact.AGED` and `Fact.AGED_AS_PRINCIPAL` as they hold, and the
        lowest and highest age in full years.
    """
    facts, lowest, highest = Fact(0), NO_LOWEST, NO_HIGHEST
    known = _by_prefix(codes)
    for prefix in _prefixes(code):
        for line in known.get(prefix, ()):
            facts |= line.facts
            if line.ages is not None:
                lowest, highest = line.ages
    return facts, lowest, highest


def _line(row: Mapping[str, str]) -> _Line:
    facts = Fact(0)
    for word in (row["sex"], row["kind"]):
        if word:
            facts |= Fact[word.upper()]
    if row["age_as"]:
        facts |= Fact.AGED if row["age_as"] == "any" else Fact.AGED_AS_PRINCIPAL
    ages = None
    if row["age_from"] or row["age_to"]:
        ages = int(row["age_from"] or NO_LOWEST), int(row["age_to"] or NO_HIGHEST)
    return _Line(row["prefix"], facts, ages)


@dataclass(frozen=True)
class CodeFacts(Constant):
    """The facts of one list of codes as arrays by kind of code.

    Attributes:
        index: codes to kinds.
        flags: uint16[kinds], `Fact`.
        lowest, highest: int16[kinds], full years.
        successors: code of another edition to the scheme's own; `-` where it is dropped.
    """

    index: CodeIndex
    flags: Flags
    lowest: Ages
    highest: Ages
    successors: Mapping[str, str]


def facts_of(scheme: Scheme, thresholds: Thresholds) -> Mapping[str, CodeFacts]:
    """The facts of a scheme's diagnoses (``dx``) and procedures (``px``), made once."""
    return {
        codes: _facts_of(codes, thresholds, scheme.source, scheme.digest) for codes in ("dx", "px")
    }


@lru_cache(maxsize=8)
def _facts_of(codes: str, thresholds: Thresholds, source: str, _digest: str) -> CodeFacts:
    # The digest tells apart what one folder held one after the other.
    return code_facts(codes, thresholds, successors(source, codes))


def code_facts(codes: str, thresholds: Thresholds, successors: Mapping[str, str]) -> CodeFacts:
    """The facts of the diagnoses (``dx``) or procedures (``px``)."""
    lines = list(_lines(codes))
    if codes == "dx":
        lines += [_Line(prefix, Fact.SUSPECTED, None) for prefix in thresholds.suspected]
    by_prefix: dict[str, list[_Line]] = {}
    for line in lines:
        by_prefix.setdefault(line.prefix, []).append(line)
    accepted = thresholds.accepted_principals if codes == "dx" else ()
    keys = [f"{prefix}%" for prefix in sorted({*by_prefix, *accepted})]
    keys += [code for code in sorted(successors) if code]
    kinds = np.arange(2, 2 + len(keys), dtype=np.int32)
    flags = np.zeros(2 + len(keys), np.uint16)
    lowest = np.full(2 + len(keys), NO_LOWEST, np.int16)
    highest = np.full(2 + len(keys), NO_HIGHEST, np.int16)
    flags[UNKNOWN] = Fact.CODE
    for kind, key in zip(kinds.tolist(), keys, strict=True):
        facts = Fact.CODE
        for prefix in _prefixes(key.removesuffix("%")):
            for line in by_prefix.get(prefix, ()):
                facts |= line.facts
                if line.ages is not None:
                    lowest[kind], highest[kind] = line.ages
        if any(key.startswith(prefix) for prefix in accepted):
            facts &= ~(Fact.SYMPTOM | Fact.FACTOR | Fact.SUSPECTED)
        if key in successors:
            facts |= Fact.RETIRED
        flags[kind] = facts
    # Kinds are looked up in the scheme's way, and that is told by the table of codes alone.
    none = np.empty((0, 0), np.uint64)
    index = build_index(CodeTable(tuple(keys), kinds, np.empty(0, np.int32), none))
    return CodeFacts(index, flags, lowest, highest, dict(successors))


def _prefixes(code: str) -> Iterator[str]:
    """The prefixes of a code, the shortest first."""
    return (code[:length] for length in range(1, len(code) + 1))


def successors(source: str, codes: str) -> dict[str, str]:
    """Codes of other editions and the scheme's own for each (`dx_map.csv`, `px_map.csv`)."""
    name = f"{codes}_map.csv"
    found: dict[str, str] = {}
    for layer in reversed(read_layers(Path(source))):
        if name in layer.identity.replace:
            found.clear()
        further = ("change",) if layer.identity.extends else ()
        for line in read_rows(
            Form(layer.file(name), COLUMNS[name], further), layer.contents[name] or b"from,to\n"
        ):
            if line.cells.get("change") == "drop":
                found.pop(line.cells["from"], None)
            else:
                found[line.cells["from"]] = line.cells["to"]
    return found


@dataclass(frozen=True)
class CodeList:
    """The codes of a batch, one after the other.

    Attributes:
        said: uint16[], `Fact` of each entry; entries are those of the column's dictionary, or the
            codes themselves where it has none.
        entries: int32[codes], entry of each code.
        entry_kinds: int32[], kinds of the entries (positions in `CodeFacts`).
        offsets: int32[rows + 1], where the list of each row begins.
        column: the column itself, for its texts; None where it is absent.
    """

    said: Flags
    entries: NDArray[np.int32]
    entry_kinds: NDArray[np.int32]
    offsets: NDArray[np.int32]
    column: pa.Array | None

    @cached_property
    def _facts(self) -> tuple[Flags, Flags]:
        rows = len(self.offsets) - 1
        every, principal = np.empty(rows, np.uint16), np.empty(rows, np.uint16)
        join_facts(self.said, self.entries, self.offsets, every, principal)
        return every, principal

    @property
    def of_row(self) -> Flags:
        """uint16[rows], everything that some code of the row says."""
        return self._facts[0]

    @property
    def principal(self) -> Flags:
        """uint16[rows], what the first code says; 0 where there is none."""
        return self._facts[1]

    def saying(self, wanted: Flags) -> tuple[Places, Places]:
        """Where the codes stand that say what is wanted of their row, rising, and these rows.

        Args:
            wanted: uint16[rows], one fact of these is enough; 0 passes the row over.
        """
        places, rows = np.empty(len(self.entries), np.int64), np.empty(len(self.entries), np.int64)
        found = find_saying(self.said, self.entries, self.offsets, wanted, places, rows)
        return places[:found], rows[:found]

    def with_fact(self, fact: Fact) -> tuple[Places, Places]:
        """Where the codes stand that say this, rising, and the row of each."""
        return self.saying(self.of_row & np.uint16(fact))

    def flags(self, places: Places) -> Flags:
        """What the codes at these places say."""
        found: Flags = self.said[self.entries[places]]
        return found

    def kinds(self, places: Places) -> NDArray[np.int32]:
        """The kinds of the codes at these places."""
        found: NDArray[np.int32] = self.entry_kinds[self.entries[places]]
        return found

    def texts(self, places: Places, rows: Places) -> pa.Array:
        """The codes at these places, of these rows, as they are written."""
        if self.column is None or not len(places):
            return pa.array([""] * len(places), pa.string())
        if pa.types.is_string(self.column.type):
            joined = self.column.take(pa.array(rows)).to_pylist()
            inside = (places - self.offsets[rows]).tolist()
            return pa.array(
                [text.split("|")[at] for text, at in zip(joined, inside, strict=True)], pa.string()
            )
        dictionary = _dictionary(self.column)
        if dictionary is None:
            values = self.column.flatten().take(pa.array(places))
        else:
            entries = self.entries[places]
            values = dictionary.take(pa.array(entries, mask=entries == len(dictionary)))
        return pc.fill_null(values.cast(pa.string()), "")


def _dictionary(column: pa.Array) -> pa.Array | None:
    """The dictionary of a column of lists of codes; None where it has none."""
    lists = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    if lists and pa.types.is_dictionary(column.type.value_type):
        return column.values.dictionary
    return None


def read_list(column: pa.Array | None, rows: int, facts: CodeFacts, own: CodeLists) -> CodeList:
    """Look up a column of codes.

    Args:
        column: lists of codes, or texts like ``A|B``; None counts as null.
        rows: number of rows.
        facts: what is known of codes.
        own: the same codes as the scheme knows them.
    """
    dictionary = None if column is None else _dictionary(column)
    if dictionary is not None:
        # Each distinct code is looked at once.
        kinds, unknown, entries = kinds_of(dictionary, facts.index), own.kinds, own.positions
    else:
        said = read_codes(column, rows, facts.index)
        kinds, unknown = said.kinds[said.positions], own.kinds[own.positions]
        entries = np.arange(len(kinds), dtype=np.int32)
    flags = _joined(facts.flags[kinds], unknown == UNKNOWN)
    return CodeList(flags, entries, kinds, own.offsets, column)


def _joined(flags: Flags, unknown: NDArray[np.bool_]) -> Flags:
    """The facts, together with what the scheme knows.

    A code of another edition is a retired one only where the scheme does not know it itself.
    """
    retired = (flags & Fact.RETIRED) > 0
    flags[retired & ~unknown] &= ~np.uint16(Fact.RETIRED)
    flags[unknown & ~retired] |= np.uint16(Fact.UNKNOWN)
    return flags
