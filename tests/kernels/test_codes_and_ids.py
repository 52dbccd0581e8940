"""The kernels for codes and ids against plain Python twins."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from grouper.caseids import id_hashes
from grouper.codelists import build_index, kinds_of, read_codes
from grouper.kernels.arrays import readonly
from grouper.kernels.ids import count_buckets, find_among, mark, scatter
from grouper.kernels.layout import BLANK, UNKNOWN
from grouper.scheme.compile import CodeTable

LETTERS = st.one_of(
    st.text(alphabet="I21.9x%\u3000 术", max_size=6),
    st.text(alphabet="I%术", min_size=20, max_size=30),
)


@given(
    written=st.dictionaries(LETTERS.filter(str.strip), st.integers(2, 9), max_size=12),
    codes=st.lists(st.one_of(st.none(), LETTERS), max_size=20),
    large=st.booleans(),
    cut=st.integers(0, 3),
)
def test_kind_of_a_code(
    written: dict[str, int], codes: list[str | None], large: bool, cut: int
) -> None:
    table = CodeTable(
        tuple(written),
        np.array(list(written.values()), np.int32),
        np.zeros(10, np.int32),
        np.zeros((10, 1), np.uint64),
    )

    def twin(code: str | None) -> int:
        if code is None or (code not in written and not code.strip()):
            return BLANK
        if code in written:
            return written[code]
        for length in range(len(code), -1, -1):
            if code[:length] + "%" in written:
                return written[code[:length] + "%"]
        return UNKNOWN

    index = build_index(table)
    strings = pa.array(codes, pa.large_string() if large else pa.string()).slice(cut)
    found = kinds_of(strings, index).tolist()
    assert found == [twin(code) for code in codes[cut:]] + [BLANK]

    joined = pa.array([None, "|".join(code or "" for code in codes), ""], pa.string())
    lists = read_codes(joined, 3, index)
    assert (
        lists.kinds[lists.positions].tolist()
        == [twin(code or "") for code in codes or [""]][: int(lists.offsets[2])]
    )
    assert lists.offsets.tolist() == [
        0,
        0,
        *[max(len(codes), 1) if any(codes[:1]) or len(codes) > 1 else 0] * 2,
    ]


@given(ids=st.lists(st.text(max_size=20), max_size=30), bits=st.integers(1, 6))
def test_hashes_are_ordered_by_bucket(ids: list[str], bits: int) -> None:
    first, second = id_hashes(pa.array(ids, pa.string()))
    buckets = [int(h) >> (64 - bits) for h in first]
    counts = np.zeros(1 << bits, np.int64)
    count_buckets(readonly(first), bits, counts)
    assert counts.tolist() == [buckets.count(bucket) for bucket in range(1 << bits)]
    out = np.empty((2, len(ids)), np.uint64)
    starts = np.cumsum(counts) - counts
    scatter(readonly(first), readonly(second), bits, starts, out[0], out[1])
    expected = [
        p
        for _, p in sorted(
            zip(buckets, zip(first, second, strict=True), strict=True), key=lambda x: x[0]
        )
    ]
    assert [tuple(row) for row in out.T] == expected


@given(
    values=st.lists(st.integers(0, 40), max_size=30),
    wanted=st.sets(st.integers(0, 40)),
    spread=st.booleans(),
)
def test_what_is_wanted_is_found_in_order(
    values: list[int], wanted: set[int], spread: bool
) -> None:
    shift = np.uint64(58 if spread else 0)
    there = np.array(values, np.uint64) << shift
    sought = np.array(sorted(wanted), np.uint64) << shift
    places = np.empty(len(values), np.int64)
    found = find_among(readonly(there), readonly(sought), places)
    expected = np.flatnonzero(np.isin(there, sought))
    assert places[:found].tolist() == expected.tolist()


@given(ids=st.lists(st.text(max_size=30), min_size=1, max_size=20), cut=st.integers(0, 3))
def test_an_id_has_the_same_hash_wherever_it_stands(ids: list[str], cut: int) -> None:
    whole = id_hashes(pa.array(ids, pa.string()).slice(cut))
    alone = [id_hashes(pa.array([text], pa.large_string())) for text in ids[cut:]]
    assert [h.tolist() for h in whole] == [[int(a[k][0]) for a in alone] for k in (0, 1)]


@given(ids=st.lists(st.text(max_size=3), max_size=30), wanted=st.sets(st.text(max_size=3)))
def test_marking_is_membership(ids: list[str], wanted: set[str]) -> None:
    pairs = np.stack(id_hashes(pa.array(sorted(wanted), pa.string())), axis=1).reshape(-1, 2)
    ordered = np.ascontiguousarray(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))])
    first, second = id_hashes(pa.array(ids, pa.string()))
    marks = np.zeros(len(ids), np.int8)
    mark(readonly(first), readonly(second), readonly(ordered), marks, 7)
    assert marks.tolist() == [7 if i in wanted else 0 for i in ids]


def test_hashes_of_near_ids_differ() -> None:
    ids = [f"{i:09d}" for i in range(100_000)] + [f"{i}" for i in range(100_000)]
    first, second = id_hashes(pa.array(ids))
    assert len(np.unique(first)) == len(np.unique(second)) == len(ids)
