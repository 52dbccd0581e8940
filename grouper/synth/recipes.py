"""Recipes: concrete codes and bounds that a path was found to work with.

Candidates are drawn from every path, cases are made of them as for the region itself, and the
engine groups them. A candidate whose case reaches the path's DRG is kept as a recipe. So a recipe
is a kind of patient; which group its cases fall into, the grouper decides anew each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from grouper.synth.catalogue import Catalogue, Int8Array, Int32Array
from grouper.synth.demand import DISCHARGES
from grouper.synth.medicine import FIELDS, OTHER_FIELD, USUAL_AGES, Ages
from grouper.synth.paths import (
    DISCHARGE_SHARES,
    NO_CODE,
    SLOTS,
    Numbers,
    Pools,
)
from grouper.synth.pathtable import PathTable

AGE_STEPS: Final = 4096
"""Resolution of an age distribution."""

NULL: Final = -(2**31)
"""A number that a case does not have."""

NEWBORN_DAYS: Final = 28
"""Days of age up to which a case is a newborn's (新生儿) and states the birth weight."""

_EXTRA_PROCEDURE: Final = 0.35


@dataclass(frozen=True)
class Recipes:
    """Kinds of patients, each with the codes that bring it to a group. First axis: recipes.

    Attributes:
        path: int32, the path it was drawn from.
        pdx, ppx: int32, principal codes; `ppx` -1 for none.
        optional: bool, whether it reaches its group without any procedure as well.
        others_dx, others_px: int32[recipes, SLOTS], further codes, -1 for none.
        sex_low, sex_high: int8.
        low, high: int32[recipes, numbers], bounds between which no rule tells cases apart;
            low above high where the case has no such number.
        discharge: int8, way of discharge; 0 where any will do.
    """

    path: Int32Array
    pdx: Int32Array
    ppx: Int32Array
    optional: npt.NDArray[np.bool_]
    others_dx: Int32Array
    others_px: Int32Array
    sex_low: Int8Array
    sex_high: Int8Array
    low: Int32Array
    high: Int32Array
    discharge: Int8Array

    def __len__(self) -> int:
        return len(self.path)

    def take(self, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> Recipes:
        """Some of the recipes."""
        return Recipes(*(getattr(self, f.name)[rows] for f in fields(self)))

    def packed(self) -> Recipes:
        """The same with the further codes first in their slots and the empty slots behind."""

        def pack(slots: Int32Array) -> Int32Array:
            order = np.argsort(slots == NO_CODE, axis=1, kind="stable")
            return np.take_along_axis(slots, order, axis=1)

        return replace(self, others_dx=pack(self.others_dx), others_px=pack(self.others_px))


def join(parts: Sequence[Recipes]) -> Recipes:
    """Recipes one after another."""
    return Recipes(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Recipes)))


def age_steps() -> npt.NDArray[np.int16]:
    """int16[27, AGE_STEPS], ages by the letter of the MDC, each as often as it occurs."""
    steps = np.empty((27, AGE_STEPS), np.int16)
    for number in range(27):
        ages: Ages = FIELDS.get(chr(65 + number), OTHER_FIELD).ages
        shares = np.cumsum([share for _, _, share in ages])
        places = (np.arange(AGE_STEPS) + 0.5) / AGE_STEPS * shares[-1]
        piece = np.searchsorted(shares, places)
        starts = np.array([start for start, _, _ in ages])
        widths = np.array([to - start + 1 for start, to, _ in ages])
        before = np.concatenate([[0.0], shares])[piece]
        inside = (places - before) / np.array([share for _, _, share in ages])[piece]
        steps[number] = starts[piece] + np.floor(inside * widths[piece])
    return steps


_OLDEST: Final = 120


class Kitchen:
    """Draws candidate recipes from paths.

    Args:
        light: int32, procedures for patients who need none, as often as hospitals write them.
    """

    def __init__(
        self,
        codes: Catalogue,
        table: PathTable,
        pools: Pools,
        numbers: Numbers,
        light: Int32Array,
    ) -> None:
        self.codes = codes
        self.table = table
        self.numbers = numbers
        self.pool_codes, self.pool_starts = pools.arrays()
        self.light = light
        self.ages = age_steps()
        self._skew = 1.0
        dx = codes.dx.texts
        self.youngest, self.oldest = _usual_ages(codes)
        self.newborn = np.array([text.startswith("P") for text in dx])

    def candidates(
        self, path: Int32Array, rng: np.random.Generator, *, skew: float = 1.0
    ) -> Recipes:
        """One candidate for each entry of `path` that the sexes allow.

        Args:
            skew: above 1 the first codes of a pool are drawn most.
        """
        self._skew = skew
        table, codes = self.table, self.codes
        pdx = self._pick(table.pdx[path], rng)
        free = table.ppx[path] == NO_CODE
        ppx = self._procedure(path, free, rng)
        others_dx = self._slots(table.others_dx[path], rng)
        others_px = self._slots(table.others_px[path], rng)
        extra = table.surgical[path] & (rng.random(len(path)) < _EXTRA_PROCEDURE)
        second = self._procedure(path, free, rng)
        room = others_px[:, -1] == NO_CODE
        others_px[:, -1] = np.where(extra & room & (second != ppx), second, others_px[:, -1])
        sexes = np.stack(
            [codes.dx.sex[pdx], np.where(ppx == NO_CODE, 0, codes.px.sex[ppx])]
            + [np.where(o == NO_CODE, 0, codes.dx.sex[o]) for o in others_dx.T]
            + [np.where(o == NO_CODE, 0, codes.px.sex[o]) for o in others_px.T]
        )
        sex_low = np.maximum(table.sex_low[path], sexes.max(axis=0)).astype(np.int8)
        men = np.where(sexes == 1, 1, 2).min(axis=0)
        sex_high = np.minimum(table.sex_high[path], men).astype(np.int8)
        low, high = self._bounds(path, pdx, rng)
        recipes = Recipes(
            path=path,
            pdx=pdx,
            ppx=ppx,
            optional=~table.needs_px[path],
            others_dx=others_dx,
            others_px=others_px,
            sex_low=sex_low,
            sex_high=sex_high,
            low=low,
            high=high,
            discharge=self._discharge(path, rng),
        )
        return recipes.take(sex_low <= sex_high).packed()

    def _procedure(
        self, path: Int32Array, free: npt.NDArray[np.bool_], rng: np.random.Generator
    ) -> Int32Array:
        """Principal procedures; a light one where the rules ask for none."""
        asked = self._pick(np.where(free, 0, self.table.ppx[path]), rng)
        return np.where(free, self.light[rng.integers(0, len(self.light), len(path))], asked)

    def _pick(self, pool: Int32Array, rng: np.random.Generator) -> Int32Array:
        start = self.pool_starts[pool]
        size = self.pool_starts[pool + 1] - start
        place = np.floor(rng.random(len(pool)) ** self._skew * size).astype(np.int32)
        return np.where(size > 0, self.pool_codes[start + place], NO_CODE).astype(np.int32)

    def _slots(self, slots: Int32Array, rng: np.random.Generator) -> Int32Array:
        found = np.full(slots.shape[:2], NO_CODE, np.int32)
        turn = rng.integers(0, 1 << 16, len(slots))
        for slot in range(SLOTS):
            first, count, offset = slots[:, slot].T
            used = np.flatnonzero(first != NO_CODE)
            if len(used):
                pool = first[used] + (turn[used] + offset[used]) % count[used]
                found[used, slot] = self._pick(pool.astype(np.int32), rng)
        return found

    def _bounds(
        self, path: Int32Array, pdx: Int32Array, rng: np.random.Generator
    ) -> tuple[Int32Array, Int32Array]:
        """Bounds of every number: the piece that the rules do not divide, around a likely value."""
        low = np.empty((len(path), len(self.numbers.names)), np.int32)
        high = np.empty_like(low)
        values: dict[str, npt.NDArray[np.number]] = {}
        for n, name in enumerate(self.numbers.names):
            least, most = self.table.low[n][path], self.table.high[n][path]
            if name == "age":
                least, most = self._plausible_ages(least, most, path, pdx)
            value = self._likely(name, path, pdx, least, most, rng)
            inside = (value >= least) & (value <= most)
            value = np.where(inside, value, rng.integers(least, most, endpoint=True))
            values[name] = value
            low[:, n], high[:, n] = _piece(value, self.numbers.cuts[n], least, most)
            if name not in ("age", "los", "icu_hours"):
                absent = self._absent(name, values, rng) & ~self.table.needed[n][path]
                low[absent, n], high[absent, n] = 1, 0
        return low, high

    def _absent(
        self, name: str, values: dict[str, npt.NDArray[np.number]], rng: np.random.Generator
    ) -> npt.NDArray[np.bool_]:
        """Whether a case has no such number: days of age past the first year, and so on."""
        if name == "age_days":
            return values["age"] > 0
        if name == "weight":
            return (values["age"] > 0) | (values["age_days"] > NEWBORN_DAYS)
        return rng.random(len(values["age"])) < 0.5

    def _plausible_ages(
        self, least: Int32Array, most: Int32Array, path: Int32Array, pdx: Int32Array
    ) -> tuple[Int32Array, Int32Array]:
        """The path's ages as far as they fit the principal diagnosis."""
        infant = self.table.needed[self.numbers.names.index("age_days")][path]
        start, end = self.youngest[pdx], np.where(infant, 0, self.oldest[pdx])
        start = np.minimum(start, end)
        start, end = np.maximum(least, start), np.minimum(most, end)
        fits = start <= end
        return np.where(fits, start, least), np.where(fits, end, most)

    def _likely(
        self,
        name: str,
        path: Int32Array,
        pdx: Int32Array,
        least: Int32Array,
        most: Int32Array,
        rng: np.random.Generator,
    ) -> npt.NDArray[np.number]:
        count = len(path)
        match name:
            case "age":
                return self.ages[self.table.letter[path], rng.integers(0, AGE_STEPS, count)]
            case "age_days":
                early = self.newborn[pdx] & (rng.random(count) < 0.9)
                days = np.floor(rng.exponential(4.0, count))
                return np.where(early, days, rng.integers(0, 365, count))
            case "weight":
                return np.rint(rng.normal(3150, 480, count))
            case "los":
                return np.rint(rng.lognormal(2.0, 0.5, count))
            case "icu_hours":
                return np.where(rng.random(count) < 0.95, 0, rng.integers(6, 200, count))
        return rng.integers(least, most, endpoint=True)

    def _discharge(self, path: Int32Array, rng: np.random.Generator) -> Int8Array:
        allowed = self.table.discharge[path]
        every = sum(1 << code for code in DISCHARGES)
        values = np.array(sorted(DISCHARGES), np.int8)
        shares = np.array([DISCHARGE_SHARES.get(int(v), 1e-6) for v in values])
        waits = rng.exponential(1.0, (len(path), len(values))) / shares
        waits[(allowed[:, None] >> values & 1) == 0] = np.inf
        chosen = values[waits.argmin(axis=1)]
        return np.where(allowed == every, 0, chosen).astype(np.int8)


def _usual_ages(codes: Catalogue) -> tuple[Int32Array, Int32Array]:
    """Youngest and oldest age for each principal diagnosis."""
    youngest = np.zeros(len(codes.dx.texts), np.int32)
    oldest = np.full(len(codes.dx.texts), _OLDEST, np.int32)
    for prefix, start, end in sorted(USUAL_AGES, key=lambda row: len(row[0])):
        youngest[codes.dx.starting(prefix)] = start
        oldest[codes.dx.starting(prefix)] = end
    youngest, oldest = np.maximum(youngest, codes.dx.youngest), np.minimum(oldest, codes.dx.oldest)
    # Where both leave no age, what the rules of data quality allow is meant.
    odd = youngest > oldest
    youngest[odd], oldest[odd] = codes.dx.youngest[odd], np.minimum(codes.dx.oldest, _OLDEST)[odd]
    return youngest, oldest


def _piece(
    value: npt.NDArray[np.number], cuts: Int32Array, least: Int32Array, most: Int32Array
) -> tuple[Int32Array, Int32Array]:
    """The piece between two cuts that holds the value, within the bounds."""
    place = np.searchsorted(cuts, value, side="right")
    edges = np.concatenate([[-(2**31) + 1], cuts, [2**31 - 1]]).astype(np.int64)
    low = np.maximum(edges[place], least)
    high = np.minimum(edges[place + 1] - 1, most)
    return low.astype(np.int32), high.astype(np.int32)
