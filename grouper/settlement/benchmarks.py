"""Weight, base points, coefficient, stability and bounds of every DRG (settlement.md section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Protocol

from grouper.errors import InputsError, PolicyError
from grouper.settlement.numbers import SCALE, half_up, p8, p8_ratio
from grouper.settlement.policy import High, Policy, Weights
from grouper.settlement.region import LEVELS
from grouper.settlement.statistics import Group, Population

_NOTHING = Fraction(0)


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


class LevelBenchmark(NamedTuple):
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
        PolicyError: as `check_weights`, and no weight is left to be multiplied.
        InputsError: weights must be calibrated or unstable cases be paid, and M is zero or unknown.
    """
    check_weights(drgs, published, policy.weights)
    if statistics.mean is None:
        if not statistics.count:
            raise InputsError(
                "no case is valid and paid by points, so there is nothing to compare with",
                hint="where one file lies in cases/ twice, no case_id of it counts; else check"
                " hospital_id, insurance, settle_month and total_cost, and the policy's `reject`",
            )
        raise InputsError(
            "the mean cost of all cases is zero, so no case can be compared with it",
            hint="check total_cost, and that some case goes the DRG route",
        )
    calibrate = policy.weights.origin == "calibrated"
    warnings = []
    if not calibrate and not any(entry.weight is not None for entry in published.values()):
        calibrate = True
        warnings.append("weights_calibrated: the scheme publishes no weights")
    weights = make_weights(drgs, published, statistics, policy.weights, calibrate=calibrate)
    made = tuple(
        _benchmark(drg, weights.get(drg), published.get(drg), group, policy)
        for drg, group in zip(drgs, statistics.groups, strict=True)
    )
    return Benchmarks(made, statistics.mean, tuple(warnings))


def check_weights(
    drgs: Sequence[str], published: Mapping[str, PublishedWeight], rules: Weights
) -> None:
    """See that the scheme has what a policy says of its weights.

    Raises:
        PolicyError: it publishes no weights, or a changed or frozen DRG is unknown.
    """
    if rules.origin == "published" and all(entry.weight is None for entry in published.values()):
        raise PolicyError(
            "the policy wants published weights, and the scheme has none",
            key="weights.origin",
            hint='set it to "calibrated", or add weights.csv to the pack',
        )
    for name in (*rules.changes, *rules.frozen) if rules.changes else ():
        if name not in drgs:
            raise PolicyError(
                f"the scheme has no DRG '{name}'",
                key="weights.changes" if name in rules.changes else "weights.frozen",
                hint="name a DRG of the scheme",
            )


def make_weights(
    drgs: Sequence[str],
    published: Mapping[str, PublishedWeight],
    statistics: Population,
    rules: Weights,
    *,
    calibrate: bool,
) -> dict[str, Fraction]:
    """Relative weights by DRG, exact (Art. 10).

    After changes by hand the weights that are neither changed nor frozen are multiplied so that the
    total weight, Σ cases × weight over the population, stays the same.

    Raises:
        PolicyError: no weight is left to be multiplied.
    """
    weights: dict[str, Fraction] = {}
    for drg, group in zip(drgs, statistics.groups, strict=True):
        entry = published.get(drg)
        if calibrate:
            mean = group.means[0]
            if mean is not None and statistics.mean is not None:
                weights[drg] = mean / statistics.mean
        elif entry is not None and entry.weight is not None:
            weights[drg] = entry.weight
    if rules.changes:
        cases = {drg: g.sums[0].count for drg, g in zip(drgs, statistics.groups, strict=True)}
        weights = _rescaled(weights, cases, rules)
    if rules.places is not None and (calibrate or rules.changes):
        unit = 10**rules.places
        weights = {
            drg: Fraction(half_up(weight.numerator * unit, weight.denominator), unit)
            for drg, weight in weights.items()
        }
    return weights


def _rescaled(
    weights: dict[str, Fraction], cases: Mapping[str, int], rules: Weights
) -> dict[str, Fraction]:
    fixed = {*rules.changes, *rules.frozen}
    after = weights | dict(rules.changes)
    total = sum((cases[drg] * weight for drg, weight in weights.items()), Fraction(0))
    held = sum((cases[drg] * w for drg, w in after.items() if drg in fixed), Fraction(0))
    free = sum((cases[drg] * w for drg, w in after.items() if drg not in fixed), Fraction(0))
    if free <= 0 or total <= held:
        raise PolicyError(
            "the changed weights leave nothing for the others",
            key="weights.changes",
            hint="lower the changes, or freeze fewer DRGs",
        )
    factor = (total - held) / free
    return {drg: w if drg in fixed else w * factor for drg, w in after.items()}


def _benchmark(
    drg: str,
    weight: Fraction | None,
    published: PublishedWeight | None,
    group: Group,
    policy: Policy,
) -> Benchmark:
    region_mean = group.means[0]
    base_points = None if weight is None else p8(weight * policy.groups.points_per_weight)
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
        if stable and policy.coefficient.kind != "none":
            if basic:
                coefficient = p8(policy.coefficient.basic_value)
            elif mean is not None and region is not None:
                coefficient = p8_ratio(mean, region)
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


def hospital_coefficients(
    benchmarks: Benchmarks,
    means: Mapping[tuple[int, int], Fraction],
    levels: Sequence[int],
    policy: Policy,
) -> list[list[int]]:
    """Coefficients in 1e-8 by group and hospital, or a blend of level and hospital (Jinhua).

    A hospital without cases of a group has the coefficient of its level; a group that is unstable
    or basic has one for all.

    Args:
        benchmarks: of the run.
        means: mean cost in fen by group and hospital.
        levels: level by hospital.
        policy: whether and how level and hospital are blended.

    Returns:
        A row per group, and two rows of 1 for ambiguous and ungrouped cases.
    """
    part = policy.coefficient.level_part if policy.coefficient.kind == "blend" else Fraction(0)
    table = []
    for kind, drg in enumerate(benchmarks.drgs):
        row = [drg.levels[level - 1].coefficient for level in levels]
        region = drg.region_mean
        if drg.stable and not drg.basic and region is not None:
            # k = a + b × mean; plain integers, as there are half a million of them.
            b = (1 - part) / region
            by_level = [part * _own(level, region) if part else _NOTHING for level in drg.levels]
            for hospital, level in enumerate(levels):
                mean = means.get((kind, hospital))
                if mean is not None:
                    a = by_level[level - 1]
                    below = b.denominator * mean.denominator
                    above = a.numerator * below + b.numerator * mean.numerator * a.denominator
                    row[hospital] = half_up(above * SCALE, below * a.denominator)
        table.append(row)
    return [*table, [SCALE] * len(levels), [SCALE] * len(levels)]


def _own(level: LevelBenchmark, region: Fraction) -> Fraction:
    """The coefficient of a level before it is rounded; as it is where the level has no mean."""
    return Fraction(level.coefficient, SCALE) if level.mean is None else level.mean / region
