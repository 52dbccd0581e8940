"""The kernels of checks and routing against plain Python."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from grouper.kernels.codefacts import find_saying, join_facts
from grouper.kernels.routing import find_pools, place_cases
from grouper.kernels.stays import (
    ADMISSION,
    CASE,
    COLUMNS,
    DISCHARGE,
    PERSON,
    PERSON_2,
    ROW,
    count_stays,
    order_several,
    place_stays,
)

POOLS, MONTHS, LEVELS, BY_POINTS = 3, 12, 4, 2
LISTS = st.lists(
    st.tuples(st.lists(st.integers(0, 4), max_size=9), st.integers(0, 15)), max_size=20
)


@given(lists=LISTS, said=st.lists(st.integers(0, 15), min_size=5, max_size=5))
def test_facts_are_joined_and_found(lists: list[tuple[list[int], int]], said: list[int]) -> None:
    entries = np.array([entry for codes, _ in lists for entry in codes], np.int32)
    offsets = np.cumsum([0, *(len(codes) for codes, _ in lists)]).astype(np.int32)
    flags, wanted = np.array(said, np.uint16), np.array([w for _, w in lists], np.uint16)
    every, principal = np.empty(len(lists), np.uint16), np.empty(len(lists), np.uint16)
    join_facts(flags, entries, offsets, every, principal)
    for row, (codes, _) in enumerate(lists):
        assert every[row] == np.bitwise_or.reduce([0, *(said[code] for code in codes)])
        assert principal[row] == (said[codes[0]] if codes else 0)
    places, rows = np.empty(len(entries), np.int64), np.empty(len(entries), np.int64)
    found = find_saying(flags, entries, offsets, wanted, places, rows)
    owners = [row for row, (codes, _) in enumerate(lists) for _ in codes]
    expected = [
        (place, row)
        for place, (entry, row) in enumerate(zip(entries.tolist(), owners, strict=True))
        if said[entry] & lists[row][1]
    ]
    assert list(zip(places[:found].tolist(), rows[:found].tolist(), strict=True)) == expected


CASES = st.lists(
    st.tuples(
        st.integers(0, 3), st.booleans(), st.booleans(), st.integers(0, 9), st.integers(0, 4),
        st.integers(0, POOLS - 1), st.integers(0, MONTHS - 1),
    ),
    max_size=20,
)  # fmt: skip


@given(cases=CASES, levels=st.lists(st.integers(1, LEVELS), min_size=5, max_size=5))
def test_cases_are_placed(
    cases: list[tuple[int, bool, bool, int, int, int, int]], levels: list[int]
) -> None:
    columns = np.array(cases, np.int32).reshape(-1, 7).T.copy()
    cell, account = np.empty(len(cases), np.int32), np.empty(len(cases), np.int32)
    place_cases(
        columns[0].astype(np.int8), *columns[1:3].astype(np.uint8), *columns[3:],
        np.array(levels, np.int32), BY_POINTS, LEVELS, POOLS, MONTHS, cell, account,
    )  # fmt: skip
    for i, (route, waiting, insured, kind, hospital, pool, month) in enumerate(cases):
        own = (hospital * POOLS + pool) * MONTHS + month
        paid = route == BY_POINTS
        simulated = kind * LEVELS + levels[hospital] - 1
        assert cell[i] == (simulated if paid or waiting else -1)
        assert account[i] == (own if paid else -2 - own if insured else -1)


@given(
    cases=st.lists(
        st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 1), st.integers(-1, 3)),
        max_size=20,
    ),
    home=st.lists(st.integers(-1, 3), min_size=3, max_size=3),
)
def test_pools_are_of_the_city_of_case_or_hospital(
    cases: list[tuple[bool, int, int, int]], home: list[int]
) -> None:
    pools = np.arange(8, dtype=np.int32).reshape(4, 2) * 10
    insured = np.array([c[0] for c in cases], np.uint8)
    hospital, insurance, city = (np.array([c[k] for c in cases], np.int32) for k in (1, 2, 3))
    pool = np.empty(len(cases), np.int32)
    lost = find_pools(insured, hospital, insurance, city, np.array(home, np.int32), pools, pool)
    where = [c if c >= 0 else home[h] for _, h, _, c in cases]
    none = [i for i, (c, place) in enumerate(zip(cases, where, strict=True)) if c[0] and place < 0]
    assert lost == (none[0] if none else -1)
    for i, (paid, _, kind, _) in enumerate(cases[: none[0] if none else len(cases)]):
        assert pool[i] == (pools[where[i], kind] if paid else 0)


STAYS = st.lists(
    st.tuples(
        st.booleans(), st.integers(0, 3), st.integers(0, 1), st.integers(0, 5), st.integers(0, 5),
        st.integers(0, 2),
    ),
    max_size=30,
)  # fmt: skip


@given(rows=STAYS, bits=st.integers(1, 4), first=st.integers(0, 99))
def test_stays_lie_by_bucket_and_those_of_one_person_in_order(
    rows: list[tuple[bool, int, int, int, int, int]], bits: int, first: int
) -> None:
    # Persons differ in their top bits, by which buckets are cut, and in their lowest.
    persons = [(p << 62) | p for p in range(4)]
    good = np.array([r[0] for r in rows], np.uint8)
    person = np.array([persons[r[1]] for r in rows], np.uint64)
    second, case = (np.array([r[k] for r in rows], np.uint64) for k in (2, 5))
    days = [np.array([r[k] for r in rows], np.int32) for k in (3, 4)]
    counts = np.zeros(1 << bits, np.int64)
    count_stays(good, person, bits, counts)
    kept = [i for i, row in enumerate(rows) if row[0]]
    buckets = [int(person[i]) >> (64 - bits) for i in kept]
    assert counts.tolist() == [buckets.count(bucket) for bucket in range(1 << bits)]
    stays = np.empty((len(kept), COLUMNS), np.int64)
    next_free = np.cumsum(counts) - counts
    place_stays(good, person, second, *days, case, first, bits, next_free, stays)
    placed = sorted(kept, key=lambda i: int(person[i]) >> (64 - bits))
    assert stays[:, ROW].tolist() == [first + i for i in placed]
    columns = [person.view(np.int64), second.view(np.int64), *days, case.view(np.int64)]
    for column, values in zip((PERSON, PERSON_2, ADMISSION, DISCHARGE, CASE), columns, strict=True):
        assert stays[:, column].tolist() == values[placed].tolist()
    slots = np.zeros(16, np.int32)
    spare, order = np.empty(len(kept), np.int64), np.empty(len(kept), np.int64)
    found = order[: order_several(stays, slots, spare, order)].tolist()
    owners = person[placed].tolist()
    assert set(found) == {i for i, owner in enumerate(owners) if owners.count(owner) > 1}
    key = [tuple(stays[i, [PERSON, PERSON_2, ADMISSION, DISCHARGE, CASE]].tolist()) for i in found]
    by_person: dict[int, list[tuple[int, ...]]] = {}
    for one in key:
        by_person.setdefault(one[0], []).append(one)
    assert all(of == sorted(of) for of in by_person.values())
    assert [p for p, of in by_person.items() for _ in of] == [one[0] for one in key]
