"""From recipes to patients: person, stay, diagnoses and procedures of many cases at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from grouper.synth.beside import COMPANIONS_EACH, LIGHT_EACH, PROFILES, Beside, bank_row, chapters
from grouper.synth.catalogue import Catalogue, Int8Array, Int32Array
from grouper.synth.paths import DISCHARGE_SHARES, NO_CODE, SLOTS, FloatArray, Numbers
from grouper.synth.pathtable import PathTable
from grouper.synth.recipes import AGE_STEPS, NULL, Recipes

Rows = npt.NDArray[np.integer]

STEPS: Final = 1 << 16
"""Resolution of a small distribution; one draw is one 16-bit random number."""

MEN: Final = 0.515
WITHOUT_PROCEDURE: Final = 0.42
"""Share of cases without any procedure where the rules ask for none."""

_MEAN_COMPANIONS: Final = (3.1, 3.5, 4.1)
_LIGHT_SURGICAL: Final = (0.42, 0.31, 0.17, 0.10)
_LIGHT_MEDICAL: Final = (0.45, 0.30, 0.16, 0.09)
_SECOND_MCC: Final = 0.15
_SECOND_CC: Final = 0.35
# How often a complication is drawn again where the principal diagnosis excludes it.
_REDRAWS: Final = 6
_DEATHS: Final = (0.002, 0.008, 0.055)
_INTENSIVE_CARE: Final = (0.012, 0.045, 0.20)


@dataclass(frozen=True)
class Lists:
    """Code lists of many cases: int32 offsets[cases + 1] into int32 codes of the catalogue."""

    offsets: Int32Array
    codes: Int32Array


@dataclass(frozen=True)
class Ward:
    """Everything that patients are drawn from.

    Attributes:
        chapter: int8[diagnoses], letter of the code.
        los: float64[paths], mean length of stay in days.
        ages: int16[27, AGE_STEPS].
        companions: int8[3, STEPS], number of companions by hospital level.
        light: int8[2, STEPS], number of light procedures without and with an operation.
        discharge: int8[3, STEPS], way of discharge by state.
    """

    codes: Catalogue
    numbers: Numbers
    table: PathTable
    beside: Beside
    los: FloatArray
    ages: npt.NDArray[np.int16]
    chapter: Int8Array
    companions: Int8Array
    light: Int8Array
    discharge: Int8Array


def ward(
    codes: Catalogue,
    numbers: Numbers,
    table: PathTable,
    besides: Beside,
    los: FloatArray,
    ages: npt.NDArray[np.int16],
) -> Ward:
    """Prepare the small distributions."""
    companions = [spread(_poisson(mean, COMPANIONS_EACH - 2)) for mean in _MEAN_COMPANIONS]
    ways = np.array(sorted(DISCHARGE_SHARES), np.int8)
    discharge = []
    for deaths in _DEATHS:
        shares = DISCHARGE_SHARES | {5: deaths}
        discharge.append(ways[spread([shares[int(way)] for way in ways])])
    return Ward(
        codes=codes,
        numbers=numbers,
        table=table,
        beside=besides,
        los=los,
        ages=ages,
        chapter=chapters(codes.dx.texts),
        companions=np.stack(companions),
        light=np.stack([spread(_LIGHT_MEDICAL), spread(_LIGHT_SURGICAL)]),
        discharge=np.stack(discharge),
    )


def spread(shares: npt.ArrayLike) -> Int8Array:
    """int8[STEPS], positions 0, 1, 2 … each as often as its share says."""
    steps = np.cumsum(np.asarray(shares, np.float64))
    places = (np.arange(STEPS) + 0.5) / STEPS * steps[-1]
    found: Int8Array = np.searchsorted(steps, places).astype(np.int8)
    return found


def _poisson(mean: float, most: int) -> FloatArray:
    counts = np.arange(most + 1)
    factorials = np.cumprod(np.maximum(counts, 1).astype(np.float64))
    shares: FloatArray = mean**counts / factorials
    return shares


def lot(rng: np.random.Generator, count: int) -> npt.NDArray[np.uint16]:
    """uint16[count], a place in a small distribution for each case."""
    return rng.integers(0, STEPS, count, dtype=np.uint16)


def persons(
    ward: Ward, recipes: Recipes, rows: Rows, rng: np.random.Generator
) -> tuple[Int8Array, Int32Array]:
    """Sex and age of each case."""
    count = len(rows)
    low, high = recipes.sex_low[rows], recipes.sex_high[rows]
    either = np.where(lot(rng, count) < MEN * STEPS, 1, 2)
    sex = np.clip(either, low, high).astype(np.int8)
    letter = ward.table.letter[recipes.path[rows]]
    age = ward.ages[letter, rng.integers(0, AGE_STEPS, count, dtype=np.uint16)].astype(np.int32)
    return sex, within(age, recipes.low[rows, 0], recipes.high[rows, 0], rng)


def within(
    values: npt.NDArray[np.number], low: Int32Array, high: Int32Array, rng: np.random.Generator
) -> Int32Array:
    """The values, those outside the bounds replaced by even draws; `NULL` where low > high."""
    found = np.asarray(values).astype(np.int32)
    outside = np.flatnonzero((found < low) | (found > high))
    if len(outside):
        least, most = low[outside], high[outside]
        drawn = rng.integers(least, np.maximum(least, most), endpoint=True)
        found[outside] = np.where(least <= most, drawn, NULL)
    return found


@dataclass(frozen=True)
class Stay:
    """A stay: int32 numbers by column (`NULL` where missing), way of discharge, its unusualness.

    Attributes:
        numbers: every column of `Numbers`, `age` included.
        discharge: int8.
        unusual: float64, standard normal; how far above the usual the length of stay lies.
    """

    numbers: dict[str, Int32Array]
    discharge: Int8Array
    unusual: FloatArray


def stays(
    ward: Ward, recipes: Recipes, rows: Rows, age: Int32Array, rng: np.random.Generator
) -> Stay:
    """Days, birth weight, length of stay, intensive care and discharge of each case."""
    count = len(rows)
    path = recipes.path[rows]
    state = ward.table.state[path]
    unusual = rng.standard_normal(count)
    numbers = {"age": age}
    for n, name in enumerate(ward.numbers.names[1:], 1):
        low, high = recipes.low[rows, n], recipes.high[rows, n]
        match name:
            case "age_days":
                value = _few(low <= high, np.floor(rng.exponential(4.0, count)))
            case "weight":
                value = _few(low <= high, np.rint(rng.normal(3150, 480, count)))
            case "los":
                days = np.rint(ward.los[path] * np.exp(0.42 * unusual - 0.09))
                value = np.clip(days, low, high)
            case "icu_hours":
                chance = np.array(_INTENSIVE_CARE)[state] * STEPS
                hours = np.rint(np.exp(3.9 + 0.8 * rng.standard_normal(count)))
                hours = np.minimum(hours, 24.0 * numbers["los"])
                value = np.clip(np.where(lot(rng, count) < chance, hours, 0), low, high)
            case _:
                value = _few(low <= high, rng.integers(low, np.maximum(low, high), endpoint=True))
        numbers[name] = within(value, low, high, rng)
    ways = ward.discharge[state, lot(rng, count)]
    fixed = recipes.discharge[rows]
    return Stay(numbers, np.where(fixed == 0, ways, fixed).astype(np.int8), unusual)


def _few(wanted: npt.NDArray[np.bool_], values: npt.NDArray[np.number]) -> FloatArray:
    return np.where(wanted, values, -1.0)


def code_lists(
    ward: Ward,
    recipes: Recipes,
    rows: Rows,
    age: Int32Array,
    level: Int8Array,
    bare: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[Lists, Lists]:
    """Diagnoses and procedures of each case.

    Args:
        level: level of the hospital, 1 to 3; larger hospitals write down more companions.
        bare: cases that shall have no procedure.
    """
    pdx = recipes.pdx[rows]
    path = recipes.path[rows]
    kind = bank_row(ward.chapter[pdx], age)
    diagnoses = _diagnoses(ward, recipes, rows, path, pdx, kind, level, rng)
    return diagnoses, _procedures(ward, recipes, rows, path, bare, rng)


def _diagnoses(
    ward: Ward,
    recipes: Recipes,
    rows: Rows,
    path: Int32Array,
    pdx: Int32Array,
    kind: Int32Array,
    level: Int8Array,
    rng: np.random.Generator,
) -> Lists:
    count = len(rows)
    table = ward.table
    severe = table.state[path] == 2
    mccs = severe + (severe & (lot(rng, count) < _SECOND_MCC * STEPS)).astype(np.int32)
    most = table.cc_high[path].astype(np.int32)
    further = np.where(lot(rng, count) < _SECOND_CC * STEPS, 1, 0)
    ccs = np.minimum(table.cc_low[path] + further, most)
    asked = np.count_nonzero(recipes.others_dx != NO_CODE, axis=1).astype(np.int32)[rows]
    companions = ward.companions[level - 1, lot(rng, count)]
    ahead = 1 + asked + mccs + ccs
    lists, owner, place = _frame(ahead + companions)
    profile = rng.integers(0, PROFILES, count)
    place -= ahead[owner]
    np.maximum(place, 0, out=place)
    bank = ward.beside.companions
    lists.codes[:] = bank[kind[owner], profile[owner], place]
    category = ward.codes.dx.category
    again = np.flatnonzero(category[lists.codes] == category[pdx][owner])
    lists.codes[again] = bank[kind[owner[again]], profile[owner[again]], COMPANIONS_EACH - 1]
    start = lists.offsets[:-1]
    lists.codes[start] = pdx
    _fill(lists, start + 1, asked, recipes.others_dx, rows)
    at = start + 1 + asked
    for number, wanted in ((1, mccs), (0, ccs)):
        for nth in range(2):
            chosen = np.flatnonzero(wanted > nth)
            if len(chosen):
                drawn = _complications(ward, number, pdx[chosen], kind[chosen], rng)
                lists.codes[at[chosen] + nth] = drawn
        at = at + wanted
    return lists


def _procedures(
    ward: Ward,
    recipes: Recipes,
    rows: Rows,
    path: Int32Array,
    bare: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> Lists:
    count = len(rows)
    ppx = recipes.ppx[rows]
    asked = np.count_nonzero(recipes.others_px != NO_CODE, axis=1).astype(np.int32)[rows]
    light = ward.light[ward.table.surgical[path].astype(np.int8), lot(rng, count)]
    bank = ward.beside.light
    if bank[0, 0] == NO_CODE:
        light = np.zeros_like(light)
    ahead = (ppx != NO_CODE) + asked
    empty = bare | (ppx == NO_CODE)
    lists, owner, place = _frame(np.where(empty, 0, ahead + light))
    profile = rng.integers(0, PROFILES, count)
    place -= ahead[owner]
    np.maximum(place, 0, out=place)
    lists.codes[:] = bank[profile[owner], place]
    again = np.flatnonzero(lists.codes == ppx[owner])
    lists.codes[again] = bank[profile[owner[again]], LIGHT_EACH - 1]
    used = np.flatnonzero(~empty)
    start = lists.offsets[:-1][used]
    lists.codes[start] = ppx[used]
    _fill(lists, start + 1, asked[used], recipes.others_px, rows[used])
    return lists


def _frame(lengths: npt.NDArray[np.integer]) -> tuple[Lists, Int32Array, Int32Array]:
    """Empty lists of these lengths, with the case and the place within the list of each entry."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    owner = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    place = np.arange(offsets[-1], dtype=np.int32) - offsets[owner]
    return Lists(offsets, np.empty(offsets[-1], np.int32)), owner, place


def _fill(
    lists: Lists, start: Int32Array, asked: Int32Array, slots: Int32Array, rows: Rows
) -> None:
    for slot in range(SLOTS):
        chosen = np.flatnonzero(asked > slot)
        if not len(chosen):
            return
        lists.codes[start[chosen] + slot] = slots[rows[chosen], slot]


def _complications(
    ward: Ward, level: int, pdx: Int32Array, kind: Int32Array, rng: np.random.Generator
) -> Int32Array:
    """CC (level 0) or MCC codes, mostly such as the principal diagnosis does not exclude."""
    bank = ward.beside.complications[level]
    lists = ward.codes.mcc if level else ward.codes.cc
    excluded_by = ward.codes.excludes[pdx]
    drawn: Int32Array = bank[kind, rng.integers(0, PROFILES, len(pdx))]
    for _ in range(_REDRAWS):
        excluded = np.flatnonzero((lists[drawn] == excluded_by) | (drawn == pdx))
        if not len(excluded):
            break
        drawn[excluded] = bank[kind[excluded], rng.integers(0, PROFILES, len(excluded))]
    return drawn
