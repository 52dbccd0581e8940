"""Which candidate recipes reach their group: the engine groups cases made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from grouper.grouping import UNGROUPED, group_batch
from grouper.scheme import Scheme
from grouper.synth.arrays import code_lists as list_array
from grouper.synth.arrays import integers, texts
from grouper.synth.bedside import Ward, code_lists, persons, stays
from grouper.synth.catalogue import Int32Array
from grouper.synth.paths import NO_CODE, Path
from grouper.synth.recipes import Kitchen, Recipes, join

# Rounds: candidates for a path, with how many recipes it is left out of the round, and how much the
# first codes of a pool are preferred, since a few diagnoses make up most of a ward's cases. What
# the usual codes do not reach, the later rounds look for among all.
_ROUNDS: Final = ((40, 1, 2.4), (200, 11, 1.5), (2000, 4, 1.0))
_MOST: Final = 96
_AT_ONCE: Final = 1 << 17


def proven(
    kitchen: Kitchen,
    ward: Ward,
    scheme: Scheme,
    paths: Sequence[Path],
    rng: np.random.Generator,
) -> Recipes:
    """Recipes whose cases reach the group of their path, sorted by path.

    A path that none of its candidates followed to the end has none here: an earlier node of the
    decision list takes all of its cases.
    """
    number = {drg: i for i, drg in enumerate(scheme.drgs)}
    target = np.array([number.get(path.drg, -1) for path in paths], np.int32)
    kept: list[Recipes] = []
    found = np.zeros(len(paths), np.int64)
    for tries, enough, skew in _ROUNDS:
        wanting = np.flatnonzero(found < enough)
        per_batch = max(1, _AT_ONCE // tries)
        for first in range(0, len(wanting), per_batch):
            chosen = np.repeat(wanting[first : first + per_batch], tries).astype(np.int32)
            drawn = kitchen.candidates(chosen, rng, skew=skew)
            recipes = _reaching(drawn, ward, scheme, target, rng)
            kept.append(recipes)
            found += np.bincount(recipes.path, minlength=len(paths))
    recipes = join(kept)
    recipes = recipes.take(np.argsort(recipes.path, kind="stable"))
    starts = np.searchsorted(recipes.path, np.arange(len(paths)))
    return recipes.take(np.arange(len(recipes)) - starts[recipes.path] < _MOST)


def _reaching(
    recipes: Recipes,
    ward: Ward,
    scheme: Scheme,
    target: Int32Array,
    rng: np.random.Generator,
) -> Recipes:
    """The candidates that reach their group, marked whether they do so without procedures too."""
    wanted = target[recipes.path]
    nothing = np.zeros(len(recipes), np.bool_)
    dressed = _answers(recipes, ward, scheme, nothing, rng) == wanted
    plain = _answers(recipes, ward, scheme, ~nothing, rng) == wanted
    plain &= recipes.optional
    return Recipes(
        **{
            **vars(recipes),
            "optional": plain,
            "ppx": np.where(dressed, recipes.ppx, NO_CODE).astype(np.int32),
        }
    ).take(dressed | plain)


def _answers(
    recipes: Recipes,
    ward: Ward,
    scheme: Scheme,
    bare: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> Int32Array:
    """Number of the DRG that one case of each recipe falls into, -1 for ungrouped."""
    rows = np.arange(len(recipes))
    sex, age = persons(ward, recipes, rows, rng)
    stay = stays(ward, recipes, rows, age, rng)
    level = np.full(len(recipes), 2, np.int8)
    dx, px = code_lists(ward, recipes, rows, age, level, bare, rng)
    columns = {
        "case_id": pa.array(rows.astype(np.str_)),
        "sex": pa.array(sex),
        "discharge": pa.array(stay.discharge),
        "dept": texts(ward.table.dept[recipes.path], ward.table.departments),
        "dx": list_array(dx, ward.codes.dx.texts),
        "px": list_array(px, ward.codes.px.texts),
    }
    for name, values in stay.numbers.items():
        columns[name] = integers(values, pa.int32())
    batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    grouped = group_batch(batch, scheme)
    return np.where(grouped.status == UNGROUPED, -1, grouped.drg).astype(np.int32)
