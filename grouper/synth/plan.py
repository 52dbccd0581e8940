"""The plan of a region: how often each recipe comes, in which hospital, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from grouper.scheme import Scheme
from grouper.scheme.pack import Pack, Weight
from grouper.synth.bedside import Ward, ward
from grouper.synth.beside import beside
from grouper.synth.catalogue import catalogue
from grouper.synth.hospitals import Hospital, make_hospitals
from grouper.synth.medicine import FIELDS, OTHER_FIELD
from grouper.synth.paths import NO_CODE, FloatArray, Path, Pools, find_paths, numbers_of
from grouper.synth.pathtable import path_table
from grouper.synth.prove import proven
from grouper.synth.recipes import Kitchen, Recipes, age_steps

PLAN_STREAM: Final = 0
"""First number of the seed sequence of the plan; the streams of the cases follow."""

MEAN_COST: Final = 9_200_00
"""Mean cost of a stay in fen, in the base year."""

STRAY_SHARE: Final = 0.008
RAREST_DRG: Final = 1e-5
"""Share of cases that every DRG of the pack has at least."""

_AMBIGUOUS_FACTOR: Final = 0.03
_ADRG_SPREAD: Final = 0.95
_WEIGHT_POWER: Final = -0.75
_PROCEDURE_FACTOR: Final = 0.6
_UNSTABLE: Final = 0.03
# What a hospital of level 1, 2, 3 does with heavier weights, operations and complications.
_LEVEL_POWER: Final = (-0.7, -0.05, 0.25)
_LEVEL_SURGERY: Final = (0.25, 0.9, 1.2)
_LEVEL_STATE: Final = ((1.1, 0.8, 0.35), (1.0, 1.0, 0.85), (0.95, 1.05, 1.2))
_STATE_COST: Final = (0.93, 1.06, 1.28)
_STATE_WEIGHT: Final = (0.82, 1.12, 1.75)


@dataclass(frozen=True)
class Plan:
    """Everything that cases are drawn from. Paths are those with at least one recipe.

    Attributes:
        first, count: int32[paths], where the recipes of a path lie.
        chances: float64[hospitals * paths], running sum of the chance of each pair.
        mean_cost: float64[paths], fen, for a hospital of factor 1.
        spread: float64[paths], sigma of the logarithm of the cost.
        thresholds: float64[paths], multiple of the mean from which a cost counts as high.
        unstable: bool[paths], whether the group is likely to be an unstable one.
        stray: bool[paths], cases that belong nowhere.
        winter: int8[paths], 1 where the cold months bring more.
        reached, drgs: how many DRGs have a recipe, and how many the pack has.
    """

    ward: Ward
    recipes: Recipes
    hospitals: tuple[Hospital, ...]
    cities: tuple[str, ...]
    first: npt.NDArray[np.int32]
    count: npt.NDArray[np.int32]
    chances: FloatArray
    mean_cost: FloatArray
    spread: FloatArray
    thresholds: FloatArray
    unstable: npt.NDArray[np.bool_]
    stray: npt.NDArray[np.bool_]
    winter: npt.NDArray[np.int8]
    reached: int
    drgs: int


def make_plan(scheme: Scheme, *, hospitals: int, cities: int, seed: int) -> Plan:
    """Derive recipes from a scheme's rules, prove them, and spread them over hospitals.

    Args:
        scheme: any pack; its rules are read, its grouping is used only to try the recipes.
        hospitals, cities: how many.
        seed: the same seed gives the same plan.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, PLAN_STREAM])))
    pack = scheme.pack
    codes = catalogue(pack)
    numbers = numbers_of(pack)
    pools = Pools(rng)
    paths = find_paths(pack, codes, pools)
    besides = beside(codes, rng)
    weights, unstable = _weights(paths, pack.weights, rng)
    table = path_table(paths, numbers)
    place = ward(codes, numbers, table, besides, _los(paths, weights), age_steps())
    kitchen = Kitchen(codes, table, pools, numbers, besides.light[:, 0])
    recipes = proven(kitchen, place, scheme, paths, rng)
    count = np.bincount(recipes.path, minlength=len(paths)).astype(np.int32)
    share = _shares(paths, weights, count > 0, rng)
    places, names = make_hospitals(hospitals, cities, rng)
    costs = _costs(paths, pack, weights)
    reached = {path.drg for path, n in zip(paths, count, strict=True) if n and path.drg}
    return Plan(
        ward=place,
        recipes=recipes,
        hospitals=places,
        cities=names,
        first=(np.cumsum(count) - count).astype(np.int32),
        count=count,
        chances=_chances(paths, share, weights, places, rng),
        mean_cost=costs * (MEAN_COST / float((share * costs).sum())),
        spread=_spread(paths, unstable, rng),
        thresholds=_thresholds(weights),
        unstable=unstable,
        stray=np.array([not path.drg for path in paths], np.bool_),
        winter=np.array([path.field.winter for path in paths], np.int8),
        reached=len(reached),
        drgs=len(scheme.drgs),
    )


def _weights(
    paths: Sequence[Path], published: Mapping[str, Weight], rng: np.random.Generator
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Weight of each path's DRG, made up from surgery and severity where none was published."""
    groups = sorted({path.adrg for path in paths})
    own = dict(zip(groups, np.exp(0.35 * rng.standard_normal(len(groups))), strict=True))
    odd = dict(zip(groups, rng.random(len(groups)) < _UNSTABLE, strict=True))
    weights = np.empty(len(paths))
    unstable = np.zeros(len(paths), np.bool_)
    for i, path in enumerate(paths):
        row = published.get(path.drg)
        if row is not None and row.weight:
            weights[i] = float(row.weight)
        else:
            kind = 1.7 if path.surgical else 1.1 if path.ppx != NO_CODE else 0.7
            early = 6.0 if path.letter == "A" and path.surgical else 1.0
            weights[i] = kind * early * own[path.adrg] * _STATE_WEIGHT[path.state]
        unstable[i] = odd[path.adrg] if row is None or row.stable is None else not row.stable
    return weights, unstable


def _los(paths: Sequence[Path], weights: FloatArray) -> FloatArray:
    factor = np.array([path.field.los for path in paths])
    days: FloatArray = (1.6 + 5.6 * np.sqrt(weights)) * factor
    return days


def _shares(
    paths: Sequence[Path],
    weights: FloatArray,
    usable: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> FloatArray:
    """Share of the region's cases by path: MDC by table, ADRG with a long tail, then the prior."""
    groups: dict[str, list[int]] = {}
    for i, path in enumerate(paths):
        groups.setdefault(path.adrg, []).append(i)
    tail = np.exp(_ADRG_SPREAD * rng.standard_normal(len(groups)))
    share = np.zeros(len(paths))
    by_letter: dict[str, float] = {}
    for (name, rows), luck in zip(groups.items(), tail, strict=True):
        prior = np.array([paths[i].prior for i in rows]) * usable[rows]
        if not prior.any():
            continue
        one = paths[rows[0]]
        mean = float((prior * weights[rows]).sum() / prior.sum())
        size = luck * mean**_WEIGHT_POWER
        size *= _PROCEDURE_FACTOR if one.ppx != NO_CODE else 1.0
        size *= _AMBIGUOUS_FACTOR if name[1:3] == "QY" or one.drg[1:3] == "QY" else 1.0
        share[rows] = size * prior / prior.sum()
        by_letter[one.letter] = by_letter.get(one.letter, 0.0) + size
    for i, path in enumerate(paths):
        if share[i]:
            share[i] *= FIELDS.get(path.letter, OTHER_FIELD).share / by_letter[path.letter]
    stray = np.array([not path.drg for path in paths]) & usable
    share /= share[~stray].sum()
    share[stray] = STRAY_SHARE / max(1, int(stray.sum()))
    return _floor(paths, share)


def _floor(paths: Sequence[Path], share: FloatArray) -> FloatArray:
    """Raise the rarest DRGs, so that a large region has each of them."""
    totals: dict[str, float] = {}
    for path, part in zip(paths, share, strict=True):
        totals[path.drg] = totals.get(path.drg, 0.0) + part
    factors = np.array([max(1.0, RAREST_DRG / (totals[path.drg] or 1.0)) for path in paths])
    raised: FloatArray = share * factors
    raised /= raised.sum()
    return raised


def _chances(
    paths: Sequence[Path],
    share: FloatArray,
    weights: FloatArray,
    hospitals: Sequence[Hospital],
    rng: np.random.Generator,
) -> FloatArray:
    """Running sum over hospital and path: each hospital has a mix of its own."""
    surgical = np.array([path.surgical for path in paths])
    state = np.array([path.state for path in paths])
    relative = weights / float((share * weights).sum())
    by_level = []
    for power, surgery, states in zip(_LEVEL_POWER, _LEVEL_SURGERY, _LEVEL_STATE, strict=True):
        mix = np.clip(relative, 0.1, 12.0) ** power
        by_level.append(share * mix * np.where(surgical, surgery, 1.0) * np.array(states)[state])
    letters = sorted({path.letter for path in paths})
    letter = np.array([letters.index(path.letter) for path in paths])
    chances = np.empty((len(hospitals), len(paths)))
    for row, hospital in enumerate(hospitals):
        leaning = np.exp(0.45 * rng.standard_normal(len(letters)))
        mix = by_level[hospital.level - 1] * leaning[letter]
        chances[row] = hospital.size * mix / mix.sum()
    running: FloatArray = np.cumsum(chances.ravel())
    running /= running[-1]
    return running


def _costs(paths: Sequence[Path], pack: Pack, weights: FloatArray) -> FloatArray:
    """Relative mean cost: the weight, and within a DRG of several states the severity."""
    states: dict[str, set[int]] = {}
    for path in paths:
        states.setdefault(path.drg, set()).add(path.state)
    costs = weights.copy()
    for i, path in enumerate(paths):
        if len(states[path.drg]) > 1 and pack.weights:
            costs[i] *= _STATE_COST[path.state]
    return costs


def _spread(
    paths: Sequence[Path], unstable: npt.NDArray[np.bool_], rng: np.random.Generator
) -> FloatArray:
    groups = sorted({path.drg for path in paths})
    usual = dict(zip(groups, rng.uniform(0.32, 0.58, len(groups)), strict=True))
    return np.where(unstable, 1.1, np.array([usual[path.drg] for path in paths]))


def _thresholds(weights: FloatArray) -> FloatArray:
    """Multiples of the mean above which a case may ask for review, by base points."""
    return np.select(
        [weights <= 1, weights <= 2, weights <= 3, weights <= 5], [3.0, 2.5, 2.0, 1.5], 1.3
    )
