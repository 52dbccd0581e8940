"""From what a batch breaks to rows that go back to the hospitals, and to counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.quality.evaluate import FINDINGS, Found, Plan
from grouper.quality.registry import RULES
from grouper.quality.scores import CASES, FIRST_RULE, PASSED, UPLOADED, WARNED, Tally

Mask = NDArray[np.bool_]

UNKNOWN_HOSPITAL = ""
"""Stands for cases without a hospital_id."""

_TEXT = pa.dictionary(pa.int32(), pa.string())
PLAIN = ("case_id", "value")
WRITTEN = pa.schema([(f.name, f.type if f.name in PLAIN else _TEXT) for f in FINDINGS])
"""`FINDINGS` with repeated texts as dictionaries; readers of the file see plain strings."""


@dataclass(frozen=True)
class Hospitals:
    """The hospital of each case of a batch: positions in ``ids``."""

    ids: tuple[str, ...]
    code: NDArray[np.int32]


def hospitals_of(batch: pa.RecordBatch) -> Hospitals:
    """The hospitals of a batch."""
    place = batch.schema.get_field_index("hospital_id")
    if place < 0 or pa.types.is_null(batch.schema.field(place).type):
        return Hospitals((UNKNOWN_HOSPITAL,), np.zeros(batch.num_rows, np.int32))
    column = batch.column(place)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    texts = [text or UNKNOWN_HOSPITAL for text in column.dictionary.to_pylist()]
    texts.append(UNKNOWN_HOSPITAL)
    distinct = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    places = np.array([distinct[text] for text in texts], np.int32)
    code = pc.fill_null(column.indices.cast(pa.int32()), len(texts) - 1).to_numpy()
    return Hospitals(tuple(distinct), places[code])


def uploaded_of(batch: pa.RecordBatch) -> Mask:
    """Which cases have an upload_date."""
    place = batch.schema.get_field_index("upload_date")
    if place < 0:
        return np.zeros(batch.num_rows, np.bool_)
    mask: Mask = batch.column(place).is_valid().to_numpy(zero_copy_only=False)
    return mask


def table_of(
    case_id: pa.Array, hospitals: Hospitals, found: Sequence[Found], plan: Plan
) -> pa.RecordBatch:
    """The findings of a batch as rows of `WRITTEN`, by case in the order of the input."""
    if not found:
        return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in WRITTEN], schema=WRITTEN)
    rows = np.concatenate([hit.rows for hit in found])
    which = np.repeat(np.arange(len(found)), [len(hit.rows) for hit in found])
    order = np.lexsort((which, rows))
    rows, which = rows[order], which[order].astype(np.int32)
    value = pa.concat_arrays([hit.value.cast(pa.string()) for hit in found])
    rules = [hit.rule for hit in found]

    def told(texts: Sequence[str]) -> pa.Array:
        # Parquet's bytes depend on chance where a dictionary holds a text twice.
        distinct = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        places = np.array([distinct[text] for text in texts], np.int32)
        return pa.DictionaryArray.from_arrays(
            pa.array(places[which]), pa.array(list(distinct), pa.string())
        )

    columns = [
        case_id.take(pa.array(rows)).cast(pa.string()),
        pa.DictionaryArray.from_arrays(
            pa.array(hospitals.code[rows]), pa.array(hospitals.ids, pa.string())
        ),
        told([rule.code for rule in rules]),
        told([plan.severity(rule) for rule in rules]),
        told([rule.field for rule in rules]),
        value.take(pa.array(order)),
        told([rule.en for rule in rules]),
        told([rule.zh for rule in rules]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=WRITTEN)


def count(
    tally: Tally, hospitals: Hospitals, uploaded: Mask, found: Sequence[Found], plan: Plan
) -> None:
    """Add a batch to the counts of its hospitals."""
    places = {code: FIRST_RULE + i for i, code in enumerate(RULES)}
    size = len(hospitals.ids)
    counts = np.zeros((size, FIRST_RULE + len(RULES)), np.int64)
    rejected = np.zeros(len(hospitals.code), np.bool_)
    warned = np.zeros(len(hospitals.code), np.bool_)

    def by_hospital(rows: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.bincount(hospitals.code[rows], minlength=size)

    for hit in found:
        warned[hit.rows] = True
        if plan.severity(hit.rule) == "reject":
            rejected[hit.rows] = True
        counts[:, places[hit.rule.code]] = by_hospital(hit.rows)
    counts[:, CASES] = np.bincount(hospitals.code, minlength=size)
    # Few cases break a rule: the others are what is left.
    counts[:, WARNED] = by_hospital(np.flatnonzero(warned))
    counts[:, PASSED] = counts[:, CASES] - by_hospital(np.flatnonzero(rejected))
    counts[:, UPLOADED] = by_hospital(np.flatnonzero(uploaded))
    used = np.flatnonzero(counts[:, CASES])
    tally.add([hospitals.ids[i] for i in used.tolist()], counts[used])
