"""What stands beside the codes that matter: companions, complications, light procedures.

The codes here are chosen so that no rule asks for them beside a principal code; complications are
the exception, since they are what splits the groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from grouper.synth.catalogue import OPERATING_ROOM, Catalogue, Int32Array, Mask
from grouper.synth.medicine import COMPANIONS, COMPLICATIONS, LIGHT_PROCEDURES, NOT_BESIDE
from grouper.synth.paths import FloatArray

LETTERS: Final = 27
CHILD_UNDER: Final = 15

PROFILES: Final = 1024
"""Ready lists of companions per chapter; a case takes the beginning of one."""
COMPANIONS_EACH: Final = 14
LIGHT_EACH: Final = 6

# Shares by position of the codes of one category: the first is the common one.
_WITHIN_CATEGORY: Final = (0.62, 0.22, 0.10, 0.06)
_OWN_CHAPTER_CODES: Final = 48
_OWN_CHAPTER_SHARE: Final = 0.45
_SEVERE_BOOST: Final = 30.0
_OWN_CHAPTER_BOOST: Final = 6.0


@dataclass(frozen=True)
class Beside:
    """Codes to stand beside a principal code.

    Rows of the first two go by `2 * chapter + child`, the chapter being the letter of the
    principal diagnosis (26 for none).

    Attributes:
        companions: int32[54, PROFILES, COMPANIONS_EACH], diagnoses without severity, none twice.
        complications: int32[2, 54, PROFILES], CC and MCC codes.
        light: int32[PROFILES, LIGHT_EACH], procedures, none twice.
        light_pool: int32, the procedures among them, the frequent ones first.
    """

    companions: Int32Array
    complications: Int32Array
    light: Int32Array
    light_pool: Int32Array


def beside(codes: Catalogue, rng: np.random.Generator) -> Beside:
    """Draw the lists for a catalogue."""
    plain = codes.mute_dx & (codes.mcc < 0) & (codes.cc < 0) & (codes.dx.sex == 0)
    by_letter = _by_letter(codes.dx.texts)
    companions = np.empty((2 * LETTERS, PROFILES, COMPANIONS_EACH), np.int32)
    complications = np.empty((2, 2 * LETTERS, PROFILES), np.int32)
    everywhere = codes.mute_dx & (codes.dx.sex == 0)
    everywhere[[text[0] in NOT_BESIDE for text in codes.dx.texts]] = False
    fallback = np.flatnonzero(plain & everywhere).astype(np.int32)
    for letter in range(LETTERS):
        own = by_letter[letter]
        allowed = codes.mute_dx & (own | everywhere)
        for child in range(2):
            row = 2 * letter + child
            pool, shares = _companions(codes, plain & (own | everywhere), own, child == 1, rng)
            if len(pool) < 2 * COMPANIONS_EACH:
                pool, shares = _widen(pool, shares, fallback)
            companions[row] = _draw_lists(pool, shares, PROFILES, COMPANIONS_EACH, rng)
            for level, has in enumerate(((codes.cc >= 0) & (codes.mcc < 0), codes.mcc >= 0)):
                weights = _severe(codes, has & allowed, own)
                complications[level, row] = _draw(weights, PROFILES, rng, fallback)
    light_pool, light_shares = _light(codes)
    light = _draw_lists(light_pool, light_shares, PROFILES, LIGHT_EACH, rng)
    order = np.argsort(-light_shares, kind="stable")
    return Beside(companions, complications, light, light_pool[order])


def _by_letter(texts: Sequence[str]) -> list[Mask]:
    first = np.array([ord(text[0]) - 65 for text in texts])
    return [first == letter for letter in range(LETTERS)]


def _companions(
    codes: Catalogue, allowed: Mask, own: Mask, child: bool, rng: np.random.Generator
) -> tuple[Int32Array, FloatArray]:
    """Frequent companions, and some of the principal diagnosis' own chapter."""
    pool: list[int] = []
    shares: list[float] = []
    for category, adults, children in COMPANIONS:
        share = children if child else adults
        found = codes.dx.starting(category)
        found = found[allowed[found]][: len(_WITHIN_CATEGORY)]
        if share and len(found):
            parts = np.array(_WITHIN_CATEGORY[: len(found)])
            pool.extend(found.tolist())
            shares.extend((share * parts / parts.sum()).tolist())
    others = np.flatnonzero(own & allowed)
    others = others[~np.isin(others, pool)]
    others = rng.permutation(others)[:_OWN_CHAPTER_CODES]
    if len(others):
        tail = 1.0 / np.arange(2, len(others) + 2)
        total = sum(shares) or 1.0
        pool.extend(others.tolist())
        shares.extend((_OWN_CHAPTER_SHARE * total * tail / tail.sum()).tolist())
    return np.array(pool, np.int32), np.array(shares)


def _widen(
    pool: Int32Array, shares: FloatArray, fallback: Int32Array
) -> tuple[Int32Array, FloatArray]:
    """A pool too small for lists without repetition takes codes of other chapters."""
    more = fallback[~np.isin(fallback, pool)][: 4 * COMPANIONS_EACH]
    small = (shares.mean() if len(shares) else 1.0) * 0.2
    return (
        np.concatenate([pool, more]).astype(np.int32),
        np.concatenate([shares, np.full(len(more), small)]),
    )


def _severe(codes: Catalogue, allowed: Mask, own: Mask) -> FloatArray:
    weights = np.where(allowed & (codes.dx.sex == 0), 1.0, 0.0)
    for category in COMPLICATIONS:
        found = codes.dx.starting(category)
        weights[found] *= _SEVERE_BOOST / max(1, len(found)) ** 0.5
    weights[own] *= _OWN_CHAPTER_BOOST
    return weights


def _draw(
    weights: FloatArray, count: int, rng: np.random.Generator, fallback: Int32Array
) -> Int32Array:
    if not weights.any():
        return rng.choice(fallback, count).astype(np.int32)
    steps = np.cumsum(weights)
    places = rng.random(count) * steps[-1]
    found: Int32Array = np.searchsorted(steps, places, side="right").astype(np.int32)
    return found


def _draw_lists(
    pool: Int32Array, shares: FloatArray, lists: int, length: int, rng: np.random.Generator
) -> Int32Array:
    """Weighted draws without repetition: the smallest of exponential waiting times come first."""
    waits = rng.exponential(1.0, (lists, len(pool))) / np.maximum(shares, 1e-9)
    if len(pool) <= length:
        order = np.argsort(waits, axis=1, kind="stable")
        return pool[np.resize(order, (lists, length))]
    first = np.argpartition(waits, length, axis=1)[:, :length]
    order = np.argsort(np.take_along_axis(waits, first, axis=1), axis=1, kind="stable")
    chosen: Int32Array = pool[np.take_along_axis(first, order, axis=1)]
    return chosen


def _light(codes: Catalogue) -> tuple[Int32Array, FloatArray]:
    """Frequent procedures outside the operating room that no rule asks for beside another."""
    allowed = codes.mute_px & ~codes.px.within(OPERATING_ROOM) & (codes.px.sex == 0)
    pool: list[int] = []
    shares: list[float] = []
    for rubric, share in LIGHT_PROCEDURES:
        found = codes.px.starting(rubric)
        found = found[allowed[found]][:6]
        tail = 1.0 / np.arange(1, len(found) + 1)
        pool.extend(found.tolist())
        shares.extend((share * tail / max(tail.sum(), 1.0)).tolist())
    return np.array(pool, np.int32), np.array(shares)
