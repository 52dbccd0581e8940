"""The engine and the plain grouper agree on random packs, random cases and any Arrow shape."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grouper.caseids import id_hashes
from grouper.grouping import group_batch
from grouper.scheme import Scheme, from_pack
from grouper.scheme.compile import compile_pack
from grouper.scheme.pack import Pack
from grouper.single import SingleGrouper
from tests.kernels import strategies
from tests.reference import Answer, Reference
from tests.scheme import builder

LISTS = {
    "list": pa.list_(pa.string()),
    "large": pa.large_list(pa.large_string()),
    "large text": pa.list_(pa.large_string()),
    "dictionary": pa.list_(pa.dictionary(pa.int8(), pa.string())),
    "large dictionary": pa.large_list(pa.dictionary(pa.int64(), pa.large_string())),
    "unsigned dictionary": pa.list_(pa.dictionary(pa.uint16(), pa.string())),
}
TEXTS = (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()))
INTEGERS = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32(), pa.uint64())
FILLER = {"case_id": "filler", "dx": ["A1", "filler", None], "px": ["01", "filler"]}

Cases = Sequence[dict[str, Any]]


def fits(kind: pa.DataType, values: Sequence[int | None]) -> bool:
    try:
        pa.array(values, kind)
    except (pa.ArrowInvalid, OverflowError):
        return False
    return True


@st.composite
def batches(draw: st.DrawFn, cases: Cases) -> pa.RecordBatch:
    """The cases as one record batch in a random shape."""
    before, after = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    rows = [*[FILLER] * before, *cases, *[FILLER] * after]
    columns = {}
    for name in ("dx", "px"):
        values = [row[name] for row in rows]
        if name == "px" and not any(values) and draw(st.booleans()):
            continue
        if not any(c is not None for v in values for c in v or ()) and draw(st.booleans()):
            columns[name] = pa.array(values, pa.list_(pa.null()))
            continue
        columns[name] = pa.array(values, LISTS[draw(st.sampled_from(sorted(LISTS)))])
    for name in ("case_id", "dept"):
        columns[name] = pa.array([r.get(name) for r in rows], draw(st.sampled_from(TEXTS)))
    for name in (*strategies.NUMBERS, "discharge"):
        values = [row.get(name) for row in rows]
        kinds = [kind for kind in INTEGERS if fits(kind, values)]
        if all(v is None for v in values):
            kinds.append(pa.null())
            if draw(st.booleans()):
                continue
        columns[name] = pa.array(values, draw(st.sampled_from(kinds)))
    batch = pa.RecordBatch.from_pydict(columns)
    return batch.slice(before, len(cases))


def engine(batch: pa.RecordBatch, scheme: Scheme, duplicates: Sequence[str] = ()) -> list[Answer]:
    hashes = np.stack(id_hashes(pa.array(duplicates, pa.string())), axis=1)
    grouped = group_batch(batch, scheme, np.ascontiguousarray(hashes))
    rows = grouped.table().to_pylist()
    return [Answer(**{k: v for k, v in row.items() if k != "case_id"}) for row in rows]


def unsplit(scheme: Scheme, pack: Pack) -> Scheme:
    """The scheme with the principal procedure left in the graphs."""
    return dataclasses.replace(scheme, compiled=compile_pack(pack, max_roots=0))


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_engine_and_reference_agree(data: st.DataObject) -> None:
    pack = data.draw(strategies.packs())
    cases = data.draw(st.lists(strategies.cases(), max_size=12))
    batch = data.draw(batches(cases))
    plain = Reference(pack)
    expected = [plain.group(case, ("twice",)) for case in cases]
    scheme = from_pack(pack)
    assert engine(batch, scheme, ("twice",)) == expected
    assert engine(batch, unsplit(scheme, pack), ("twice",)) == expected
    clinical = [plain.group(plain.translated(case), ("twice",)) for case in cases]
    edition = from_pack(pack, edition="clinical")
    assert engine(batch, edition, ("twice",)) == clinical
    one_by_one, mapped = SingleGrouper(scheme), SingleGrouper(edition)
    for case in cases:
        assert single(one_by_one, case) == plain.group(case)
        assert single(mapped, case) == plain.group(plain.translated(case))


def single(grouper: SingleGrouper, case: dict[str, Any]) -> Answer:
    found = grouper.group(case)
    return Answer(*(getattr(found, name) for name in Answer._fields))


def small_case(**values: object) -> dict[str, Any]:
    return {"case_id": "1", "dx": ["I63.900"], "px": [], **values}


def test_no_cases() -> None:
    scheme = from_pack(builder.pack())
    for kind in LISTS.values():
        columns = {"case_id": pa.array([], pa.string()), "dx": pa.array([], kind)}
        grouped = group_batch(pa.RecordBatch.from_pydict(columns), scheme)
        assert grouped.table().num_rows == 0
        assert grouped.counts() == {
            "grouped": 0, "ambiguous": 0, "ungrouped": 0, "invalid": 0,
            "unknown_dx": 0, "unknown_px": 0,
        }  # fmt: skip


@pytest.mark.parametrize("entries", [127, 128])
def test_null_codes_of_a_full_dictionary(entries: int) -> None:
    """The position that stands for null must not overflow the dictionary's index type."""
    scheme = from_pack(builder.pack())
    texts = ["I63.900", *(f"U{n}" for n in range(entries - 1))]
    indices = pa.array([0, None, entries - 1], pa.int8())
    values = pa.DictionaryArray.from_arrays(indices, pa.array(texts))
    lists = pa.ListArray.from_arrays(pa.array([0, 3], pa.int32()), values)
    batch = pa.RecordBatch.from_pydict({"case_id": pa.array(["1"]), "dx": lists})
    assert engine(batch, scheme) == [Answer("grouped", "B", "BR2", "BR25", "none")]


def test_null_within_a_dictionary() -> None:
    scheme = from_pack(builder.pack())
    values = pa.DictionaryArray.from_arrays(
        pa.array([1, 0], pa.int32()), pa.array(["I63.900", None])
    )
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), values)
    batch = pa.RecordBatch.from_pydict({"case_id": pa.array(["1", "2"]), "dx": lists})
    assert [a.status for a in engine(batch, scheme)] == ["invalid", "grouped"]


@pytest.mark.parametrize("kind", [pa.int32(), pa.int64()])
def test_the_least_integer_is_a_value(kind: pa.DataType) -> None:
    """-2**31 marks null inside the engine; a case that holds it must not lose its value."""
    rows = [("mdc", "B", "true"), ("adrg", "BA1", "age < 0"), ("drg", "BA19", "true")]
    pack = builder.bare([(level, code, code, when) for level, code, when in rows])
    columns = {"case_id": ["1"], "dx": [["X"]], "age": pa.array([-(2**31)], kind)}
    batch = pa.RecordBatch.from_pydict({k: pa.array(v) for k, v in columns.items()})
    assert engine(batch, from_pack(pack))[0].drg == "BA19"


def test_unknown_codes_are_counted() -> None:
    scheme = from_pack(builder.pack())
    cases = [small_case(dx=["I63.900", "G%", "U1", "U1", None, " "], px=["01.2300", "9", ""])]
    columns = {k: pa.array([c[k] for c in cases]) for k in cases[0]}
    plain = group_batch(pa.RecordBatch.from_pydict(columns), scheme)
    assert (plain.unknown_dx, plain.unknown_px) == (2, 1)
    columns["dx"] = columns["dx"].cast(pa.list_(pa.dictionary(pa.int32(), pa.string())))
    coded = group_batch(pa.RecordBatch.from_pydict(columns), scheme)
    assert (coded.unknown_dx, coded.unknown_px) == (2, 1)
