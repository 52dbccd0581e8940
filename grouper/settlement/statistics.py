"""Means and CV of the groups from integer sums (settlement.md sections 4 and 12).

A *cell* is a kind at a hospital level: kinds 0 to D-1 are the scheme's DRGs, D the ambiguous and
D+1 the ungrouped cases; cell = kind * 3 + level - 1. All parts add into the same cells, so the
sums do not depend on how the cases were split.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from grouper.settlement.region import LEVELS

Ints = NDArray[np.int64]
_DIGIT = 32


def cell_count(drgs: int) -> int:
    """Number of cells of a scheme with so many DRGs."""
    return (drgs + 2) * len(LEVELS)


@dataclass(frozen=True, slots=True)
class CellSums:
    """Sums of one part: arrays by cell. ``squares`` in digits of 32 bits, lowest first."""

    count: Ints
    total: Ints
    squares: Ints

    @staticmethod
    def empty(cells: int) -> CellSums:
        """Zero sums."""
        return CellSums(
            np.zeros(cells, np.int64), np.zeros(cells, np.int64), np.zeros((cells, 4), np.int64)
        )


class CellTotals(Protocol):
    """Exact sums by cell."""

    def of(self, cell: int) -> Sums:
        """The exact sums of one cell."""


class SumTable:
    """Sums that were computed cell by cell, as after trimming."""

    def __init__(self, sums: Mapping[int, Sums]) -> None:
        self._sums = sums

    def of(self, cell: int) -> Sums:
        """The exact sums of one cell."""
        return self._sums.get(cell, Sums())


class SumTotal:
    """Adds up the sums of parts; every digit is kept apart, so nothing can overflow."""

    def __init__(self, cells: int) -> None:
        self._count = np.zeros(cells, np.int64)
        self._total = np.zeros((cells, 2), np.int64)
        self._squares = np.zeros((cells, 4), np.int64)
        self._sums: list[Sums] = []

    def add(self, part: CellSums) -> None:
        """Add a part."""
        self._count += part.count
        self._total[:, 0] += part.total & 0xFFFFFFFF
        self._total[:, 1] += part.total >> _DIGIT
        self._squares += part.squares
        self._sums = []

    def of(self, cell: int) -> Sums:
        """The exact sums of one cell."""
        if not self._sums:
            numbers = (self._count.tolist(), _numbers(self._total), _numbers(self._squares))
            self._sums = list(map(Sums, *numbers))
        return self._sums[cell]


def _numbers(digits: Ints) -> list[int]:
    """The numbers whose digits stand in rows, lowest first."""
    number = np.zeros(len(digits), object)
    for column in digits.T[::-1]:
        number = (number << _DIGIT) + column.astype(object)
    found: list[int] = number.tolist()
    return found


@dataclass(frozen=True, slots=True)
class Sums:
    """n, Σx and Σx² of costs in fen, exact."""

    count: int = 0
    total: int | Fraction = 0
    squares: int | Fraction = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.count + other.count, self.total + other.total, self.squares + other.squares
        )

    @property
    def mean(self) -> Fraction | None:
        """Mean cost in fen; None without cases or where every cost is zero."""
        return Fraction(self.total, self.count) if self.total > 0 else None

    def steady(self, max_cv: Fraction) -> bool:
        """Whether CV ≤ max_cv: n·Σx² − (Σx)² ≤ max_cv²·(Σx)², without a root."""
        spread = self.count * self.squares - self.total**2
        return spread * max_cv.denominator**2 <= max_cv.numerator**2 * self.total**2

    @property
    def cv(self) -> float | None:
        """Coefficient of variation, population sd / mean, for display."""
        if self.total == 0:
            return None
        return math.sqrt((self.count * self.squares - self.total**2) / self.total**2)


@dataclass(frozen=True, slots=True)
class Group:
    """Statistics of one DRG, region and levels.

    Attributes:
        sums: sums over the population, by level; level 0 is the region.
        means: mean cost in fen by level, blended over the years; None without one.
    """

    sums: tuple[Sums, ...]
    means: tuple[Fraction | None, ...]


@dataclass(frozen=True, slots=True)
class Population:
    """The statistics that benchmarks are made of.

    Attributes:
        groups: one entry per DRG of the scheme.
        mean: M, mean total cost in fen of all cases of route ``drg``, grouped or not; None if 0.
        count: number of these cases.
        explained: RIV = (SST − ΣSSW) / SST over the grouped cases; None where all costs are equal.
    """

    groups: tuple[Group, ...]
    mean: Fraction | None
    count: int
    explained: Fraction | None

    @property
    def group_rate(self) -> Fraction:
        """Share of the cases that are grouped (入组率)."""
        return Fraction(sum(group.sums[0].count for group in self.groups), max(self.count, 1))


def population(drgs: int, years: Sequence[tuple[Fraction, CellTotals]]) -> Population:
    """Statistics from the sums of one or several years.

    Args:
        drgs: number of DRGs of the scheme.
        years: the years with their blending weights; a mean is blended over the years that have
            cases of the group.
    """
    weights = [weight for weight, _ in years]
    cells = [[sums.of(cell) for cell in range(cell_count(drgs))] for _, sums in years]
    groups = []
    for drg in range(drgs):
        own = slice(drg * len(LEVELS), (drg + 1) * len(LEVELS))
        by_year = [[_whole(year[own]), *year[own]] for year in cells]
        places = list(zip(*by_year, strict=True))
        sums = tuple(place[0] if len(place) == 1 else _whole(place) for place in places)
        groups.append(Group(sums, tuple(_blend(weights, place) for place in places)))
    overall = [_whole(year) for year in cells]
    return Population(
        tuple(groups),
        _blend(weights, overall),
        sum(sums.count for sums in overall),
        explained([group.sums[0] for group in groups]),
    )


def _whole(parts: Iterable[Sums]) -> Sums:
    """The sums of all parts together."""
    rows = [(part.count, part.total, part.squares) for part in parts]
    count, total, squares = zip(*rows, strict=True) if rows else ((), (), ())
    return Sums(sum(count), sum(total), sum(squares))


def explained(groups: Sequence[Sums]) -> Fraction | None:
    """RIV, the share of the variance of cost that the groups explain.

    Returns:
        (SST − ΣSSW) / SST; None where there is no case or all costs are equal.
    """
    known = [group for group in groups if group.count]
    whole = _whole(known)
    if not whole.count:
        return None
    spread = _spread(whole)
    within = sum((_spread(group) for group in known), Fraction(0))
    return (spread - within) / spread if spread else None


def _spread(sums: Sums) -> Fraction:
    """Σ(x − mean)² = Σx² − (Σx)²/n."""
    return Fraction(sums.count * sums.squares - sums.total**2, sums.count)


def _blend(weights: Sequence[Fraction], years: Sequence[Sums]) -> Fraction | None:
    """Weighted mean of the yearly means, over the years that have one."""
    known = zip(weights, (sums.mean for sums in years), strict=True)
    present = [(weight, mean) for weight, mean in known if mean is not None and weight > 0]
    if len(present) < 2:
        return present[0][1] if present else None
    whole = sum((weight for weight, _ in present), Fraction(0))
    return sum((weight * mean for weight, mean in present), Fraction(0)) / whole
