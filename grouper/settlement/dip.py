"""DIP (按病种分值付费): disease groups from the cases themselves (settlement.md section 10).

A group is the subcategory of the principal diagnosis (its first characters as written) with the set
of procedures done: ``I21.9:36.0600+88.5500``. A group with too few cases falls into the
comprehensive group (综合病种) of its category, with or without procedures: ``I21:+``, ``I21:-``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.settlement.policy import Groups

CATEGORY_CHARACTERS = 3


@dataclass(frozen=True)
class Catalogue:
    """The disease groups of a population.

    Attributes:
        codes: all groups, sorted; a group's number is its position.
        rules: how keys are made.
    """

    codes: tuple[str, ...]
    rules: Groups

    def number(self, key: str) -> int:
        """The group of a case: its own, its comprehensive group, or -1."""
        index = self._index
        if (found := index.get(key)) is not None:
            return found
        return index.get(comprehensive(key), -1)

    @property
    def _index(self) -> Mapping[str, int]:
        found: dict[str, int] | None = self.__dict__.get("_numbers")
        if found is None:
            found = {code: i for i, code in enumerate(self.codes)}
            object.__setattr__(self, "_numbers", found)
        return found

    def __getstate__(self) -> dict[str, object]:
        return {"codes": self.codes, "rules": self.rules}


def comprehensive(key: str) -> str:
    """The comprehensive group of a key."""
    diagnosis, _, procedures = key.partition(":")
    return f"{diagnosis[:CATEGORY_CHARACTERS]}:{'+' if procedures else '-'}"


def make_catalogue(cases: Mapping[str, int], rules: Groups) -> Catalogue:
    """The groups of a population.

    Args:
        cases: number of cases by key.
        rules: the fewest cases of a group of its own.
    """
    codes = set()
    for key, count in cases.items():
        codes.add(key if count >= rules.dip_min_cases else comprehensive(key))
    return Catalogue(tuple(sorted(codes)), rules)


def dip_keys(batch: pa.RecordBatch, rules: Groups) -> pa.DictionaryArray:
    """The key of every case; null where there is no principal diagnosis."""
    diagnosis = _plain(pc.list_element(_padded(batch.column("dx")), 0))
    diagnosis = pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(diagnosis), 0, rules.dip_characters)
    diagnosis = pc.if_else(pc.equal(diagnosis, ""), pa.scalar(None, pa.string()), diagnosis)
    keys = pc.binary_join_element_wise(diagnosis, _procedures(batch), ":")
    return keys.dictionary_encode()


def count_keys(keys: pa.DictionaryArray, counted: NDArray[np.bool_]) -> Counter[str]:
    """Number of cases by key, of the cases that count."""
    values = pc.value_counts(keys.filter(pa.array(counted)).cast(pa.string()).drop_null())
    return Counter(dict(zip(values.field(0).to_pylist(), values.field(1).to_pylist(), strict=True)))


def kinds_of(keys: pa.DictionaryArray, catalogue: Catalogue) -> NDArray[np.int32]:
    """Number of the group of every case, -1 for none."""
    numbers = [catalogue.number(key) for key in keys.dictionary.to_pylist()]
    table = np.array([*numbers, -1], np.int32)
    positions = pc.fill_null(keys.indices, len(numbers)).to_numpy(zero_copy_only=False)
    found: NDArray[np.int32] = table[positions]
    return found


def _plain(column: pa.Array) -> pa.Array:
    return column if column.type == pa.string() else column.cast(pa.string())


def _padded(lists: pa.Array) -> pa.Array:
    """The lists with an empty text appended, so that each has a first element."""
    rows = len(lists)
    offsets, values = _flat(lists)
    ends = offsets[1:] + np.arange(1, rows + 1)
    positions = np.full(len(values) + rows, len(values), np.int64)
    inner = np.ones(len(positions), np.bool_)
    inner[ends - 1] = False
    positions[inner] = np.arange(len(values))
    padded = pa.concat_arrays([values, pa.array([""], pa.string())]).take(pa.array(positions))
    bounds = pa.array(np.concatenate([[0], ends]).astype(np.int32))
    return pa.ListArray.from_arrays(bounds, padded)


def _flat(lists: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """Offsets and plain values of lists; a null list is an empty one."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(lists) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets, _plain(lists.flatten())


def _procedures(batch: pa.RecordBatch) -> pa.Array:
    """The set of procedures of every case in order of code, joined by ``+``; empty for none."""
    position = batch.schema.get_field_index("px")
    if position < 0 or pa.types.is_null(batch.column(position).type):
        return pa.array([""] * batch.num_rows, pa.string())
    offsets, values = _flat(batch.column(position))
    coded = values.dictionary_encode()
    texts = [(text or "").strip() for text in coded.dictionary.to_pylist()]
    ranks = np.empty(len(texts) + 1, np.int64)
    ranks[np.argsort(np.array(texts, object), kind="stable")] = np.arange(len(texts))
    ranks[len(texts)] = -1
    blank = np.array([not text for text in texts] + [True])
    codes = pc.fill_null(coded.indices, len(texts)).to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
    keep = ~blank[codes]
    pairs = np.unique(np.stack([rows[keep], ranks[codes[keep]]]), axis=1)
    ordered = pa.array([texts[i] for i in np.argsort(ranks[:-1])], pa.string())
    bounds = np.zeros(batch.num_rows + 1, np.int64)
    np.cumsum(np.bincount(pairs[0], minlength=batch.num_rows), out=bounds[1:])
    lists = pa.ListArray.from_arrays(
        pa.array(bounds.astype(np.int32)), ordered.take(pa.array(pairs[1]))
    )
    return pc.binary_join(lists, "+")
