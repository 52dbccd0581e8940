"""The kernel and the plain Python evaluation give the same points and classes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from grouper.kernels.points import add_points, case_points, case_values
from grouper.settlement.numbers import MAX_FEN, SCALE, half_up, rounded
from grouper.settlement.rules import ANY_COST, Rule, compile_rules

COSTS = st.integers(0, MAX_FEN)
EMPTY = np.zeros(0, np.int64)


@st.composite
def cells(draw: st.DrawFn) -> list[Rule]:
    """Rules that cover every cost, the last one all."""
    rules = []
    for _ in range(draw(st.integers(0, 3))):
        low, high = sorted((draw(COSTS), draw(COSTS)))
        rules.append(draw(rule(low, high)))
    return [*rules, draw(rule(0, ANY_COST))]


@st.composite
def rule(draw: st.DrawFn, low: int, high: int) -> Rule:
    source, kind = draw(st.integers(0, 1)), draw(st.integers(0, 6))
    weighted = draw(st.booleans())
    if draw(st.booleans()):
        exact = Fraction(draw(st.integers(0, 10**20)), draw(st.integers(1, 10**8)))
        return Rule(source, low, high, kind, fixed=rounded(exact), offset=exact, weighted=weighted)
    slope = Fraction(draw(st.integers(0, 10**20)), draw(st.integers(10**16, 10**35)))
    offset = Fraction(draw(st.integers(0, 10**13)), draw(st.integers(1, 10**9)))
    cap = draw(st.sampled_from([-1, 0, 10**10]))
    return Rule(source, low, high, kind, slope=slope, offset=offset, cap=cap, weighted=weighted)


def twin(
    rules: list[Rule], total: int, compliant: int, factor: int = SCALE
) -> tuple[int, int] | None:
    for one in rules:
        cost = (total, compliant)[one.cost]
        if one.lowest <= cost <= one.highest:
            points = one.points(cost, factor)
            return (points, one.kind) if points < 2**63 else None
    return None


@given(
    st.lists(cells(), min_size=1, max_size=4),
    st.lists(st.tuples(COSTS, COSTS, st.integers(0, 10**10)), max_size=20),
    st.booleans(),
)
def test_kernel_agrees_with_python(
    rules: list[list[Rule]], cases: list[tuple[int, int, int]], with_factors: bool
) -> None:
    table = compile_rules(rules, factors=with_factors)
    cell = np.array([i % len(rules) for i in range(len(cases))], np.int32)
    total, compliant, factors = (
        np.array([case[column] for case in cases], np.int64) for column in range(3)
    )
    if not with_factors or not cases:
        factors = EMPTY
    points, kind = np.zeros(len(cases), np.int64), np.zeros(len(cases), np.int8)
    bad = case_points(
        cell, total, compliant, factors, table.start, table.bounds, table.terms, points, kind
    )
    expected = [
        twin(rules[c], case[0], case[1], case[2] if with_factors else SCALE)
        for c, case in zip(cell, cases, strict=True)
    ]
    if None in expected:
        assert bad == expected.index(None)
    else:
        assert bad == -1
        assert list(zip(points.tolist(), kind.tolist(), strict=True)) == expected


@given(st.integers(0, 10**15), st.integers(0, 10**12), st.integers(0, MAX_FEN))
def test_value_is_rounded_half_up(points: int, value: int, total: int) -> None:
    money, gain = np.zeros(1, np.int64), np.zeros(1, np.int64)
    bad = case_values(
        np.zeros(1, np.int32),
        np.array([points]),
        np.array([value]),
        np.array([total]),
        money,
        gain,
    )
    expected = half_up(points * value, 10**14)
    assert bad == (0 if expected >= 2**63 else -1)
    if bad == -1:
        assert money[0] == expected
        assert gain[0] == expected - total


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-(2**62), 2**62)), max_size=30))
def test_sums_of_points_do_not_overflow(rows: list[tuple[int, int]]) -> None:
    key = np.array([row[0] for row in rows], np.int32)
    points = np.array([row[1] for row in rows], np.int64)
    count, low, high = (np.zeros(4, np.int64) for _ in range(3))
    add_points(key, points, count, low, high)
    for k in range(4):
        mine = [p for where, p in rows if where == k]
        assert count[k] == len(mine)
        assert (int(high[k]) << 32) + int(low[k]) == sum(mine)


@given(cells(), COSTS, st.integers(0, 10**10), st.fractions(0, 1, max_denominator=20))
def test_kept_rules_are_the_rules_times_what_is_kept(
    rules: list[Rule], cost: int, factor: int, keep: Fraction
) -> None:
    for one in rules:
        assert one.kept(keep).points(cost, factor) == one.points(cost, factor, keep)
