"""Trimming of a group's costs, exact on integers (裁剪, settlement.md section 4)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from grouper.settlement.amounts import Ints
from grouper.settlement.policy import Trim
from grouper.settlement.statistics import Sums


def quantile(ordered: Ints, q: Fraction) -> Fraction:
    """The linear quantile of rising integers: between the neighbours of position (n − 1)·q."""
    place = (len(ordered) - 1) * q
    below = place.numerator // place.denominator
    low = int(ordered[below])
    if place == below:
        return Fraction(low)
    return low + (place - below) * (int(ordered[below + 1]) - low)


def fences(ordered: Ints, rule: Trim) -> tuple[Fraction, Fraction]:
    """Lower and upper bound of the costs that are kept as they are."""
    if rule.method == "percentile":
        return quantile(ordered, rule.low), quantile(ordered, rule.high)
    first, third = quantile(ordered, Fraction(1, 4)), quantile(ordered, Fraction(3, 4))
    return first - rule.lo_k * (third - first), third + rule.hi_k * (third - first)


def trimmed(costs: Ints, levels: Ints, rule: Trim) -> dict[int, Sums]:
    """Sums by level of a group's costs after trimming.

    Args:
        costs: costs in fen, in any order.
        levels: level of each cost.
        rule: how to trim.

    Returns:
        Sums by level; a winsorised cost counts as the bound, which may be a fraction of a fen.
    """
    order = np.argsort(costs, kind="stable")
    kept, kept_levels = costs[order], levels[order]
    below: dict[int, int] = {}
    above: dict[int, int] = {}
    low = high = Fraction(0)
    while rule.method != "none" and len(kept):
        low, high = fences(kept, rule)
        first = int(np.searchsorted(kept, -(-low.numerator // low.denominator), "left"))
        last = int(np.searchsorted(kept, high.numerator // high.denominator, "right"))
        if rule.action == "winsorise":
            below, above = _count(kept_levels[:first]), _count(kept_levels[last:])
            kept, kept_levels = kept[first:last], kept_levels[first:last]
            break
        if first >= last:
            break  # bounds between two costs would leave the group without any
        nothing = first == 0 and last == len(kept)
        kept, kept_levels = kept[first:last], kept_levels[first:last]
        if nothing or rule.until_cv is None or _sums(kept).steady(rule.until_cv):
            break
    result = {}
    for level in sorted({*_count(kept_levels), *below, *above}):
        sums = _sums(kept[kept_levels == level])
        for count, bound in ((below.get(level, 0), low), (above.get(level, 0), high)):
            sums = sums + Sums(count, count * bound, count * bound * bound)
        result[level] = sums
    return result


def _sums(costs: Ints) -> Sums:
    whole = costs.tolist()
    return Sums(len(whole), sum(whole), sum(cost * cost for cost in whole))


def _count(levels: Ints) -> dict[int, int]:
    found, counts = np.unique(levels, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))
