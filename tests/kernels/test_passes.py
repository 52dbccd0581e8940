"""The small passes over a batch against plain Python."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from grouper.kernels.answers import NAMED, count_status, name_answers
from grouper.kernels.arrays import readonly
from grouper.kernels.layout import MISSING
from grouper.kernels.marked import count_kind, fill_nulls, find_marked, rows_of

Lists = list[list[int]]
LISTS = st.lists(st.lists(st.integers(0, 5), max_size=12), max_size=30)
MARKS = st.lists(st.sampled_from([0, 0, 0, 1, 3]), min_size=6, max_size=6)


def flat(lists: Lists) -> tuple[np.ndarray, np.ndarray]:
    codes = [code for one in lists for code in one]
    offsets = np.cumsum([0, *map(len, lists)])
    return readonly(np.array(codes, np.int32)), readonly(offsets.astype(np.int32))


@given(lists=LISTS, marks=MARKS, room=st.integers(0, 40))
def test_marked_codes_are_found_with_their_rows(lists: Lists, marks: list[int], room: int) -> None:
    positions, offsets = flat(lists)
    expected = [place for place, code in enumerate(positions.tolist()) if marks[code]]
    places = np.empty(room + 1, np.int32)
    found = find_marked(readonly(np.array(marks, np.int32)), positions, places)
    assert found == len(expected)
    kept = places[: min(found, room)]
    assert kept.tolist() == expected[:room]
    rows = np.empty(len(kept), np.int32)
    rows_of(readonly(kept), offsets, rows)
    row_of = [row for row, one in enumerate(lists) for _ in one]
    assert rows.tolist() == [row_of[place] for place in kept.tolist()]


@given(lists=LISTS, kinds=MARKS)
def test_codes_of_a_kind_are_counted(lists: Lists, kinds: list[int]) -> None:
    positions, _ = flat(lists)
    expected = sum(kinds[code] == 1 for code in positions.tolist())
    assert count_kind(readonly(np.array(kinds, np.int32)), positions, 1) == expected


@given(
    numbers=st.lists(st.one_of(st.none(), st.integers(-9, 9)), max_size=40), cut=st.integers(0, 9)
)
def test_nulls_are_missing(numbers: list[int | None], cut: int) -> None:
    column = pa.array([*numbers, None], pa.int32()).slice(cut)
    row = np.zeros(len(column), np.int32)
    fill_nulls(np.frombuffer(column.buffers()[0], np.uint8), column.offset, MISSING, row)
    assert row.tolist() == [MISSING if n is None else 0 for n in column.to_pylist()]


@given(
    cases=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from([0, 0, 1, 3])), max_size=20
    )
)
def test_answers_are_named_and_counted(cases: list[tuple[int, int, int]]) -> None:
    outcome = readonly(np.array([c[0] for c in cases], np.int32))
    severity = readonly(np.array([c[1] for c in cases], np.int8))
    reason = readonly(np.array([c[2] for c in cases], np.int8))
    texts = np.array([[2, 0, 0, 1], [0, 1, 1, 2], [0, 1, 2, 3], [0, 3, 2, 1]], np.int32)
    named = np.empty((NAMED, len(cases)), np.int32)
    name_answers(outcome, severity, reason, readonly(texts), 3, 9, named)
    expected = [
        (texts[0, o] if not r else 3, *texts[1:, o].tolist(), s if not r else 9, r)
        for o, s, r in cases
    ]
    assert [tuple(column) for column in named.T.tolist()] == expected
    counts = np.ones(4, np.int64)
    count_status(outcome, reason, readonly(texts[0].astype(np.int8)), 3, counts)
    assert counts.tolist() == [1 + sum(e[0] == status for e in expected) for status in range(4)]
