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
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.codelists import build_index, read_codes
from grouper.kernels.arrays import readonly
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
class CodeFacts:
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
    index = build_index(CodeTable(tuple(keys), readonly(kinds), np.empty(0, np.int32), none))
    return CodeFacts(index, flags, lowest, highest, dict(successors))


def _prefixes(code: str) -> Iterator[str]:
    """The prefixes of a code, the shortest first."""
    return (code[:length] for length in range(1, len(code) + 1))


def successors(scheme: Scheme, codes: str) -> dict[str, str]:
    """Codes of other editions and the scheme's own for each (`dx_map.csv`, `px_map.csv`)."""
    name = f"{codes}_map.csv"
    found: dict[str, str] = {}
    for layer in reversed(read_layers(Path(scheme.source))):
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
        flags: uint16[codes], `Fact`.
        entries: int32[codes], position of each in the dictionary.
        entry_kinds: int32[], kinds of the dictionary's entries (positions in `CodeFacts`).
        offsets: int32[rows + 1], where the list of each row begins.
        column: the column itself, for its texts; None where it is absent.
    """

    flags: Flags
    entries: NDArray[np.int32]
    entry_kinds: NDArray[np.int32]
    offsets: NDArray[np.int32]
    column: pa.Array | None

    @cached_property
    def of_row(self) -> Flags:
        """uint16[rows], everything that some code of the row says."""
        found = np.zeros(len(self.offsets) - 1, np.uint16)
        some = self._some
        if len(some):
            found[some] = np.bitwise_or.reduceat(self.flags, self.offsets[some])
        return found

    @cached_property
    def principal(self) -> Flags:
        """uint16[rows], what the first code says; 0 where there is none."""
        found = np.zeros(len(self.offsets) - 1, np.uint16)
        found[self._some] = self.flags[self.offsets[self._some]]
        return found

    @cached_property
    def _some(self) -> Places:
        """Rows that have a code."""
        return np.flatnonzero(self.offsets[1:] != self.offsets[:-1])

    def places(self, rows: Places, fact: Fact) -> Places:
        """Where the codes of these rows stand that say this."""
        starts = self.offsets[rows].astype(np.intp)
        lengths = self.offsets[rows + 1] - starts
        first = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
        places = first + np.arange(len(first))
        found: Places = places[(self.flags[places] & fact) > 0]
        return found

    def with_fact(self, fact: Fact) -> Places:
        """Where the codes stand that say this."""
        return self.places(np.flatnonzero(self.of_row & fact), fact)

    def kinds(self, places: Places) -> NDArray[np.int32]:
        """The kinds of the codes at these places."""
        found: NDArray[np.int32] = self.entry_kinds[self.entries[places]]
        return found

    def rows_of(self, places: Places) -> Places:
        """The row of each code."""
        rows: Places = np.searchsorted(self.offsets, places, side="right") - 1
        return rows

    def texts(self, places: Places) -> pa.Array:
        """The codes at these places, as they are written."""
        if self.column is None or not len(places):
            return pa.array([""] * len(places), pa.string())
        if pa.types.is_string(self.column.type):
            rows = self.rows_of(places)
            joined = self.column.take(pa.array(rows)).to_pylist()
            inside = (places - self.offsets[rows]).tolist()
            return pa.array(
                [text.split("|")[at] for text, at in zip(joined, inside, strict=True)], pa.string()
            )
        values = self.column.flatten().take(pa.array(places)).cast(pa.string())
        return pc.fill_null(values, "")


def read_list(column: pa.Array | None, rows: int, facts: CodeFacts, known: CodeIndex) -> CodeList:
    """Look up a column of codes.

    Args:
        column: lists of codes, or texts like ``A|B``; None counts as null.
        rows: number of rows.
        facts: what is known of codes.
        known: the codes of the scheme.
    """
    said = read_codes(column, rows, facts.index)
    own = read_codes(column, rows, known)
    same_entries = len(said.kinds) == len(own.kinds)
    if same_entries and np.array_equal(said.positions, own.positions):
        # A dictionary: each distinct code is looked at once.
        flags = _joined(facts.flags[said.kinds], own.kinds == UNKNOWN)[said.positions]
    else:
        unknown = own.kinds[own.positions] == UNKNOWN
        flags = _joined(facts.flags[said.kinds[said.positions]], unknown)
    return CodeList(flags, said.positions, said.kinds, said.offsets, column)


def _joined(flags: Flags, unknown: NDArray[np.bool_]) -> Flags:
    """The facts, together with what the scheme knows.

    A code of another edition is a retired one only where the scheme does not know it itself.
    """
    retired = (flags & Fact.RETIRED) > 0
    flags[retired & ~unknown] &= ~np.uint16(Fact.RETIRED)
    flags[unknown & ~retired] |= np.uint16(Fact.UNKNOWN)
    return flags


@dataclass(frozen=True)
class _Known:
    dx: CodeIndex
    px: CodeIndex


# Keyed by content: the same scheme arrives anew with every task on a worker.
_known: dict[str, _Known] = {}


def known_codes(scheme: Scheme) -> _Known:
    """The codes that a scheme knows, as hash tables of this process."""
    found = _known.get(scheme.digest)
    if found is None:
        found = _Known(build_index(scheme.compiled.dx), build_index(scheme.compiled.px))
        if scheme.digest:
            _known[scheme.digest] = found
    return found
