"""Lists that come into a region: which of them are added, and why others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grouper.cases import CaseSource, Column, read_part
from grouper.cases.money import fen_column
from grouper.cases.registry import Kind
from grouper.duplicates import VERSION, content_of
from grouper.errors import CaseTableError
from grouper.settlement.plain import plain_batch
from grouper.settlement.region import Region

REASONS: Final = {
    "no_id": "the list has no case_id",
    "unknown_hospital": "the hospital is not in hospitals.csv",
    "other_month": "settle_month is not the month that is added",
    "bad_value": "a value is not what the column holds",
    "bad_version": "a version is a number from 1",
    "repeated": "the same list stands in the files before",
    "already_there": "the region has this list already",
    "conflicting_version": "the same case and version, and other content: give it a higher version",
    "other_hospital": "the region has this case of another hospital",
    "older_version": "the region has a later version of the case",
}
"""Why a list is rejected, by reason."""

REJECTED: Final = ("case_id", "version", "hospital_id", "file", "reason", "message")


class Lists:
    """The lists that were given, and what is wrong with each; the first fault is its reason."""

    def __init__(self, table: pa.Table, files: list[str], faulty: np.ndarray[Any, Any]) -> None:
        self.table = table
        self._files = files
        self._reason: list[str] = [""] * table.num_rows
        self._tell(faulty, "bad_value")

    @classmethod
    def read(cls, sources: Sequence[CaseSource], columns: Sequence[Column]) -> Lists:
        """All lists of the sources, in the types of the registry."""
        schema = pa.schema([(column.name, column.type) for column in columns])
        batches, files, faulty = [], [], [np.empty(0, np.bool_)]
        for source in sources:
            for part in source.parts:
                for batch in read_part(source, part):
                    batches.append(plain_batch(batch, columns))
                    files += [part.name] * batch.num_rows
                    faulty.append(_faulty(batch, batches[-1], columns))
        table = pa.Table.from_batches(batches, schema).combine_chunks()
        if not table.num_rows:
            raise CaseTableError("there is no case in these files", hint="check the path")
        place = table.schema.get_field_index(VERSION)
        version = pc.fill_null(table[VERSION], 1)
        return cls(table.set_column(place, VERSION, version), files, np.concatenate(faulty))

    def _tell(self, broken: Any, reason: str) -> None:
        for row in np.flatnonzero(np.asarray(broken)).tolist():
            self._reason[row] = self._reason[row] or reason

    def check(self, region: Region, month: str) -> None:
        """The rules that a list breaks by itself."""
        hospitals = pa.array(list(region.hospital_index), pa.string())
        empty = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(self.table["case_id"]), ""), True)
        self._tell(empty, "no_id")
        self._tell(pc.invert(pc.is_in(self.table["hospital_id"], hospitals)), "unknown_hospital")
        other = pc.fill_null(pc.not_equal(self.table["settle_month"], month), True)
        self._tell(other, "other_month")
        self._tell(pc.less(self.table[VERSION], 1), "bad_version")

    def ids(self) -> pa.Array:
        """The ids of the lists that are not rejected so far."""
        good = pa.array([not reason for reason in self._reason])
        return pc.unique(self.table["case_id"].filter(good))

    def compare(self, old: pa.Table, columns: Sequence[Column]) -> None:
        """The rules between the lists, and between them and those that are there."""
        there: dict[str, list[tuple[int, str, str]]] = {}
        for key, version, hospital, text in _identities(old, columns):
            there.setdefault(key, []).append((version, hospital, text))
        groups: dict[tuple[str, int], list[tuple[int, str]]] = {}
        for row, (key, version, hospital, text) in enumerate(_identities(self.table, columns)):
            if self._reason[row]:
                continue
            known = there.get(key, [])
            same = [content for number, _, content in known if number == version]
            if same:
                self._reason[row] = "already_there" if text in same else "conflicting_version"
            elif any(owner != hospital for _, owner, _ in known):
                self._reason[row] = "other_hospital"
            elif any(number > version for number, _, _ in known):
                self._reason[row] = "older_version"
            else:
                groups.setdefault((key, version), []).append((row, text))
        for rows in groups.values():
            differ = len({text for _, text in rows}) > 1
            for place, (row, _) in enumerate(rows):
                if differ or place:
                    self._reason[row] = "conflicting_version" if differ else "repeated"
        owners: dict[str, set[str]] = {}
        pairs = zip(*(self.table[n].to_pylist() for n in ("case_id", "hospital_id")), strict=True)
        mine = [(row, pair) for row, pair in enumerate(pairs) if not self._reason[row]]
        for _, (key, hospital) in mine:
            owners.setdefault(key, set()).add(hospital)
        for row, (key, _) in mine:
            if len(owners[key]) > 1:
                self._reason[row] = "conflicting_version"

    def taken(self) -> pa.Table:
        """The lists that are added, sorted by case and version."""
        good = self.table.filter(pa.array([not reason for reason in self._reason]))
        return good.sort_by([("case_id", "ascending"), (VERSION, "ascending")])

    def counts(self) -> Counter[str]:
        """Number of rejected lists by reason."""
        return Counter(reason for reason in self._reason if reason)

    def rejected(self) -> list[tuple[str, ...]]:
        """Rows of `rejected.csv`, in the order of the files."""
        texts = [
            [("" if v is None else str(v)) for v in self.table[name].to_pylist()]
            for name in ("case_id", VERSION, "hospital_id")
        ]
        return [
            (*(column[row] for column in texts), self._files[row], reason, REASONS[reason])
            for row, reason in enumerate(self._reason)
            if reason
        ]


def _faulty(batch: pa.RecordBatch, plain: pa.RecordBatch, columns: Sequence[Column]) -> Any:
    """Rows in which a value was given that the registry's type cannot hold."""
    bad = np.zeros(batch.num_rows, np.bool_)
    for column in columns:
        place = batch.schema.get_field_index(column.name)
        if place < 0 or pa.types.is_null(batch.column(place).type):
            continue
        if column.kind is Kind.MONEY:
            bad |= fen_column(batch.column(place))[1] > 0
        elif column.kind is Kind.INTEGER:
            lost = pc.and_(batch.column(place).is_valid(), plain.column(column.name).is_null())
            bad |= lost.to_numpy(zero_copy_only=False)
    return bad


def _identities(lists: pa.Table, columns: Sequence[Column]) -> Iterator[tuple[str, int, str, str]]:
    """Case, version, hospital and content of each list."""
    names = [column.name for column in columns]
    for batch in lists.select(names).to_batches():
        keys = [batch.column(name).to_pylist() for name in ("case_id", VERSION, "hospital_id")]
        yield from zip(*keys, content_of(batch).to_pylist(), strict=True)
