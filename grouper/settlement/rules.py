"""How a cell turns cost into points: short lists of rules, in Python and as arrays for the kernel.

The kernel and `Rule.points` are two evaluations of the same numbers; property tests compare them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from grouper.errors import InputsError
from grouper.kernels.points import (
    BOUND_COLUMNS,
    COMPLIANT_COST,
    TERM_COLUMNS,
    TOTAL_COST,
)
from grouper.kernels.wide import WIDE_BITS
from grouper.settlement.benchmarks import Benchmark, Benchmarks, LevelBenchmark
from grouper.settlement.numbers import FEN, MAX_FEN, SCALE, half_up, rounded
from grouper.settlement.policy import BY_HOSPITAL, Policy
from grouper.settlement.prices import NO_PRICE, PriceList
from grouper.settlement.region import LEVELS

CLASSES: Final = ("normal", "high", "low", "band", "unstable", "ungrouped", "ambiguous")
NORMAL, HIGH, LOW, BAND, UNSTABLE, UNGROUPED, AMBIGUOUS = range(len(CLASSES))

ANY_COST = 2**63 - 1
COST_COLUMN: Final = {"total_cost": TOTAL_COST, "compliant_cost": COMPLIANT_COST}
"""Values of COST by name of the column."""
_NO_TERMS = bytes(8 * TERM_COLUMNS)
_FACTOR_BITS = 40
_WHOLE = Fraction(1)


class Rule(NamedTuple):
    """Points of the cases of one class in one cell.

    Attributes:
        cost: which cost counts, `TOTAL_COST` or `COMPLIANT_COST`.
        lowest, highest: costs in fen that the rule holds for, both included.
        kind: position in `CLASSES`.
        fixed: points in 1e-8, or -1 where they follow from the cost.
        slope, offset: points = cost × slope + offset, exact, in 1e-8 per fen and 1e-8; where the
            points are fixed, offset is what they are rounded from.
        cap: most points, or -1.
        weighted: whether the case's own factor multiplies the points, as its coefficient does.
    """

    cost: int
    lowest: int
    highest: int
    kind: int
    fixed: int = -1
    slope: Fraction = Fraction(0)
    offset: Fraction = Fraction(0)
    cap: int = -1
    weighted: bool = False

    def points(self, cost: int, factor: int = SCALE, keep: Fraction = _WHOLE) -> int:
        """Points in 1e-8, rounded once.

        Args:
            cost: fen.
            factor: the case's own factor in 1e-8.
            keep: what a readmission leaves of the points.
        """
        # Plain integers over one denominator: a year has tens of thousands of reviewed cases.
        slope, offset = self.slope, self.offset
        above = cost * slope.numerator * offset.denominator + offset.numerator * slope.denominator
        below = slope.denominator * offset.denominator
        if self.weighted:
            above, below = above * factor, below * SCALE
        if 0 <= self.cap * below < above:
            above, below = self.cap, 1
        return half_up(above * keep.numerator, below * keep.denominator)

    def kept(self, keep: Fraction) -> Rule:
        """The rule of stays of which a readmission leaves a part.

        Rounding keeps order, so the cap may be rounded on its own.
        """
        return self._replace(
            fixed=rounded(self.offset * keep) if self.fixed >= 0 else -1,
            slope=self.slope * keep,
            offset=self.offset * keep,
            cap=rounded(self.cap * keep) if self.cap >= 0 else -1,
        )


@dataclass(frozen=True, slots=True)
class RuleTable:
    """The rules of all cells as the kernel takes them (`grouper.kernels.points`)."""

    start: NDArray[np.int32]
    bounds: NDArray[np.int64]
    terms: NDArray[np.uint64]


def cell_rules(benchmarks: Benchmarks, policy: Policy) -> list[list[Rule]]:
    """The rules of every cell, in the order of the cells (`settlement.statistics`)."""
    shares, mean = policy.ungroupable, benchmarks.mean
    unstable = [_by_cost(UNSTABLE, shares.unstable_share, mean)]
    ambiguous = [_by_cost(AMBIGUOUS, shares.ambiguous_share, mean)]
    ungrouped = [_by_cost(UNGROUPED, shares.ungrouped_share, mean)]
    cells = [
        _stable(benchmark, level, policy) if benchmark.stable else unstable
        for benchmark in benchmarks.drgs
        for level in benchmark.levels
    ]
    return [*cells, *[ambiguous] * len(LEVELS), *[ungrouped] * len(LEVELS)]


def price_rules(prices: PriceList) -> list[list[Rule]]:
    """The rule of every slot (group × classes + class): a price in yuan is as many points.

    A case without a price has left the payment before; its slot has no rule.
    """
    unit = SCALE // FEN
    return [
        [] if fen == NO_PRICE else [_full(TOTAL_COST, 0, NORMAL, Fraction(fen * unit))]
        for fen in prices.prices.reshape(-1).tolist()
    ]


def by_cost_slope(mean: Fraction) -> Fraction:
    """Points (1e-8) per fen of whole-group treatment (整组单议): cost / M × 100."""
    return Fraction(100 * SCALE) / mean


def whole_group_rules(mean: Fraction) -> RuleTable:
    """One cell, in which every cost is paid by whole-group treatment."""
    return compile_rules([[_by_cost(UNGROUPED, _WHOLE, mean)]])


def _by_cost(kind: int, share: Fraction, mean: Fraction) -> Rule:
    return Rule(TOTAL_COST, 0, ANY_COST, kind, slope=share * by_cost_slope(mean))


def _stable(benchmark: Benchmark, level: LevelBenchmark, policy: Policy) -> list[Rule]:
    base = benchmark.base_points
    assert base is not None  # a group without a weight is unstable
    # A coefficient by hospital comes with the case, as its factor.
    by_hospital = policy.coefficient.kind in BY_HOSPITAL
    full = Fraction(base) if by_hospital else Fraction(base * level.coefficient, SCALE)
    rules = []
    if level.high_above is not None:
        rules.append(_high(benchmark, level, full, policy))
    if level.low_below is not None:
        divisor = level.mean if policy.low.points_mean == "level" else benchmark.region_mean
        assert divisor is not None  # a bound needs both means
        last = _last_below(level.low_below, inclusive=policy.low.inclusive)
        whole = full if policy.low.with_coefficient else Fraction(base)
        most = -1 if policy.low.with_coefficient else base
        rules.append(
            Rule(
                COST_COLUMN[policy.low.cost],
                0,
                last,
                LOW,
                slope=whole / divisor,
                cap=most,
                weighted=policy.low.with_coefficient,
            )
        )
    mean = level.mean if policy.bands.mean == "level" else benchmark.region_mean
    if mean is not None:
        rules.extend(
            Rule(
                COST_COLUMN[policy.bands.cost],
                _first_above(band.above * mean),
                _last_below(band.up_to * mean, inclusive=True),
                BAND,
                slope=Fraction(base) / mean,
                offset=base * band.add,
            )
            for band in policy.bands.rows
        )
    rules.append(_full(TOTAL_COST, 0, NORMAL, full))
    return rules


def _high(benchmark: Benchmark, level: LevelBenchmark, full: Fraction, policy: Policy) -> Rule:
    bound = level.high_above
    mean = level.mean if policy.high.mean == "level" else benchmark.region_mean
    assert bound is not None
    assert mean is not None
    cost = COST_COLUMN[policy.high.cost]
    first = (
        -(-bound.numerator // bound.denominator) if policy.high.inclusive else _first_above(bound)
    )
    if policy.high.pay == "review":
        return _full(cost, first, HIGH, full)
    # P·k·(r − T + factor), r = cost / mean
    offset = full * (policy.high.factor - benchmark.multiple)
    return Rule(cost, first, ANY_COST, HIGH, slope=full / mean, offset=offset, weighted=True)


def _full(cost: int, first: int, kind: int, exact: Fraction) -> Rule:
    return Rule(cost, first, ANY_COST, kind, fixed=rounded(exact), offset=exact, weighted=True)


def _first_above(bound: Fraction) -> int:
    """The least whole fen above a bound: cost > bound is cost >= floor(bound) + 1."""
    return bound.numerator // bound.denominator + 1


def _last_below(bound: Fraction, *, inclusive: bool) -> int:
    """The largest whole fen below a bound, or not above it."""
    if inclusive:
        return bound.numerator // bound.denominator
    return -(-bound.numerator // bound.denominator) - 1


def normal_points(base: int, coefficient: int) -> int:
    """P × k, both in 1e-8, rounded to 1e-8."""
    return half_up(base * coefficient, SCALE)


def high_points(
    base: int,
    coefficient: int,
    cost: int,
    unreasonable: int,
    mean: Fraction,
    multiple: Fraction,
    factor: int = SCALE,
    keep: Fraction = _WHOLE,
) -> int:
    """Points of an approved high case: P·k·(1 + x), x = (cost − unreasonable)/l − T, at least 0."""
    whole = mean.numerator * multiple.denominator
    over = (cost - unreasonable) * mean.denominator * multiple.denominator
    over = max(over - multiple.numerator * mean.numerator, 0)
    above = base * coefficient * factor * (whole + over) * keep.numerator
    return half_up(above, SCALE**2 * whole * keep.denominator)


def compile_rules(cells: Sequence[Sequence[Rule]], *, factors: bool = False) -> RuleTable:
    """The rules as arrays.

    Args:
        cells: rules by cell.
        factors: whether cases have factors, in 1e-8; then no points are fixed beforehand.

    Raises:
        InputsError: the exact fractions of a rule are too long for the kernel.
    """
    start = np.zeros(len(cells) + 1, np.int32)
    np.cumsum([len(rules) for rules in cells], out=start[1:])
    bounds, terms = [], bytearray()
    for rule in (rule for rules in cells for rule in rules):
        # Points beyond 63 bits are left to the terms, where the kernel says that they do not fit.
        fixed = 0 <= rule.fixed <= ANY_COST and not factors
        # In the order of the columns: COST, LOWEST, HIGHEST, CLASS, FIXED, CAP, WEIGHTED.
        points, cap = rule.fixed if fixed else -1, min(rule.cap, ANY_COST)
        bounds.append((rule.cost, rule.lowest, rule.highest, rule.kind, points, cap, rule.weighted))
        terms += _NO_TERMS if fixed else _terms(rule, factors=factors)
    return RuleTable(
        start,
        np.array(bounds, np.int64).reshape(-1, BOUND_COLUMNS),
        np.frombuffer(terms, "<u8").astype(np.uint64).reshape(-1, TERM_COLUMNS),
    )


def _terms(rule: Rule, *, factors: bool) -> bytes:
    slope, offset = rule.slope, rule.offset
    below = slope.denominator * offset.denominator * (SCALE if factors else 1)
    a = slope.numerator * offset.denominator
    c = offset.numerator * slope.denominator
    largest = abs(a) * max(MAX_FEN, 1) + abs(c)
    if (
        max(largest.bit_length() + (_FACTOR_BITS if factors else 0), below.bit_length())
        > WIDE_BITS - 2
    ):
        raise InputsError(
            "the exact mean of a group has more digits than the engine computes with",
            hint="blend fewer years of history, or give blending weights with fewer digits",
        )
    return _limbs(a) + _limbs(c) + _limbs(below)


def _limbs(number: int) -> bytes:
    return number.to_bytes(WIDE_BITS // 8, "little", signed=True)


def too_large(case_id: str) -> InputsError:
    """What to tell of a case whose points do not fit 63 bits."""
    return InputsError(
        f"the points of case '{case_id}' are too large to be computed",
        hint="its cost is absurd beside the mean of all cases: correct it",
    )
