"""Weight, base points, coefficient, stability and bounds of every DRG (settlement.md section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from grouper.errors import RunError
from grouper.settlement.numbers import SCALE, half_up, p8
from grouper.settlement.policy import High, Policy
from grouper.settlement.region import LEVELS
from grouper.settlement.statistics import Group, Population

BASE = 100
"""Base points of a DRG of weight 1 (基准点数 = 权重 × 100)."""


class PublishedWeight(Protocol):
    """What a scheme publishes about a DRG (weights.csv)."""

    @property
    def weight(self) -> Fraction | None:
        """Relative weight; None where none was published."""

    @property
    def basic(self) -> bool | None:
        """Basic group (基础病组)."""

    @property
    def stable(self) -> bool | None:
        """Stable group (稳定病组)."""


@dataclass(frozen=True, slots=True)
class LevelBenchmark:
    """What holds for a DRG at one hospital level.

    Attributes:
        coefficient: in 1e-8.
        mean: mean cost of the level in fen, exact; of the nearest level where the policy says so.
        own_mean: mean cost of the level's own cases.
        high_above: exact bound in fen above which a case is high; None without one.
        low_below: exact bound in fen below which a case is low; None without one.
        inversion: in a stable group that is not basic, its mean lies above that of the next higher
            level that has cases.
    """

    coefficient: int
    mean: Fraction | None
    own_mean: Fraction | None
    high_above: Fraction | None
    low_below: Fraction | None
    inversion: bool


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What holds for a DRG.

    Attributes:
        weight: relative weight, exact; None where there is none.
        base_points: in 1e-8; None without a weight.
        stable: whether its cases are paid by base points.
        reason: why it is unstable; empty for a stable group.
        basic: whether all levels share one coefficient.
        multiple: T, the high multiple that its base points fall under.
        region_mean: m in fen, exact.
        levels: one entry per hospital level.
    """

    drg: str
    weight: Fraction | None
    base_points: int | None
    stable: bool
    reason: str
    basic: bool
    multiple: Fraction
    region_mean: Fraction | None
    levels: tuple[LevelBenchmark, ...]


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """All benchmarks of a run; ``mean`` is M in fen."""

    drgs: tuple[Benchmark, ...]
    mean: Fraction
    warnings: tuple[str, ...]


def make_benchmarks(
    drgs: Sequence[str],
    published: Mapping[str, PublishedWeight],
    statistics: Population,
    policy: Policy,
) -> Benchmarks:
    """Benchmarks of all DRGs of a scheme.

    Args:
        drgs: DRG codes, in the order of ``statistics.groups``.
        published: the scheme's weight table; empty where it has none.
        statistics: sums and means of the population.
        policy: how weights, stability and coefficients are made.

    Raises:
        RunError: weights must be calibrated or unstable cases be paid, and M is zero or unknown.
    """
    if statistics.mean is None:
        raise RunError(
            "the mean cost of all cases is zero, so no case can be compared with it",
            hint="check total_cost, and that some case goes the DRG route",
        )
    calibrate = policy.weights.origin == "calibrated"
    warnings = []
    if not calibrate and not any(entry.weight is not None for entry in published.values()):
        if policy.weights.origin == "published":
            raise RunError(
                "the policy wants published weights, and the scheme has none",
                hint='set weights.origin = "calibrated", or add weights.csv to the pack',
            )
        calibrate = True
        warnings.append("weights_calibrated: the scheme publishes no weights")
    made = tuple(
        _benchmark(drg, published.get(drg), group, statistics.mean, policy, calibrate)
        for drg, group in zip(drgs, statistics.groups, strict=True)
    )
    return Benchmarks(made, statistics.mean, tuple(warnings))


def _benchmark(
    drg: str,
    published: PublishedWeight | None,
    group: Group,
    overall: Fraction,
    policy: Policy,
    calibrate: bool,
) -> Benchmark:
    region_mean = group.means[0]
    if calibrate:
        weight = None if region_mean is None else region_mean / overall
        places = policy.weights.places
        if weight is not None and places is not None:
            weight = Fraction(
                half_up(weight.numerator * 10**places, weight.denominator), 10**places
            )
    else:
        weight = published.weight if published else None
    base_points = None if weight is None else p8(weight * BASE)
    reason = _unstable_reason(weight, published, group, policy)
    basic = bool(published and published.basic)
    multiple = high_multiple(policy.high, base_points or 0)
    return Benchmark(
        drg,
        weight,
        base_points,
        not reason,
        reason,
        basic,
        multiple,
        region_mean,
        _levels(group, not reason, basic, multiple, policy),
    )


def _unstable_reason(
    weight: Fraction | None, published: PublishedWeight | None, group: Group, policy: Policy
) -> str:
    rule = policy.stability
    if weight is None:
        return "no_weight"
    if rule.use_flag and published is not None and published.stable is not None:
        return "" if published.stable else "published_unstable"
    region = group.sums[0]
    if rule.literal:
        return "few_cases" if region.count <= 1 else ""
    if region.count < rule.min_cases:
        return "few_cases"
    return "" if region.steady(rule.max_cv) else "high_cv"


def high_multiple(high: High, base_points: int) -> Fraction:
    """T of a group with these base points (1e-8)."""
    for row in high.multiples:
        if row.up_to is None or base_points <= row.up_to * SCALE:
            return row.times
    raise AssertionError("the policy model lets the last row hold for all")


def _levels(
    group: Group, stable: bool, basic: bool, multiple: Fraction, policy: Policy
) -> tuple[LevelBenchmark, ...]:
    region = group.means[0]
    made = []
    for level in LEVELS:
        own = group.means[level]
        mean = own
        if mean is None and policy.coefficient.fallback == "nearest":
            mean = _nearest(group, level)
        coefficient = SCALE
        if stable and policy.coefficient.kind == "level":
            if basic:
                coefficient = p8(policy.coefficient.basic_value)
            elif mean is not None and region is not None:
                coefficient = p8(mean / region)
            elif group.sums[level].count and region is not None:
                coefficient = 0
        high_mean = mean if policy.high.mean == "level" else region
        low_mean = mean if policy.low.mean == "level" else region
        high = policy.high.enabled and stable and high_mean is not None
        low = policy.low.enabled and stable and low_mean is not None and region is not None
        above = next((m for m in group.means[level + 1 :] if m is not None), None)
        made.append(
            LevelBenchmark(
                coefficient,
                mean,
                own,
                multiple * high_mean if high and high_mean is not None else None,
                policy.low.ratio * low_mean if low and low_mean is not None else None,
                stable and not basic and own is not None and above is not None and own > above,
            )
        )
    return tuple(made)


def _nearest(group: Group, level: int) -> Fraction | None:
    known = [other for other in LEVELS if group.means[other] is not None]
    nearest = min(known, key=lambda other: (abs(other - level), other), default=None)
    return None if nearest is None else group.means[nearest]
