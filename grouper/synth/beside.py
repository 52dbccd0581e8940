"""What stands beside the codes that matter: companions, complications, light procedures.

The codes here are chosen so that no rule asks for them beside a principal code; complications are
the exception, since they are what splits the groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from grouper.synth.catalogue import OPERATING_ROOM, Catalogue, Codes, Int8Array, Int32Array, Mask
from grouper.synth.medicine import COMPANIONS, COMPLICATIONS, LIGHT_PROCEDURES, NOT_BESIDE
from grouper.synth.paths import NO_CODE, FloatArray

CHAPTERS: Final = 27
BANDS: Final = (45, 15, 0)
"""Ages from which each band of companions holds."""

PROFILES: Final = 1024
"""Ready lists of companions per chapter; a case takes the beginning of one."""
COMPANIONS_EACH: Final = 14
LIGHT_EACH: Final = 6

_OWN_CHAPTER_CATEGORIES: Final = 30
_OWN_CHAPTER_SHARE: Final = 0.35
_COMMON_SEVERE: Final = 0.65
_OWN_SEVERE: Final = 0.25


def bank_row(chapter: Int8Array, age: Int32Array) -> Int32Array:
    """Row of the companions for a chapter of the principal diagnosis and an age."""
    band = (age < BANDS[0]).astype(np.int32) + (age < BANDS[1])
    rows: Int32Array = len(BANDS) * chapter.astype(np.int32) + band
    return rows


@dataclass(frozen=True)
class Beside:
    """Codes to stand beside a principal code; rows of the first two go by `bank_row`.

    Attributes:
        companions: int32[rows, PROFILES, COMPANIONS_EACH], diagnoses without severity, each of
            another category.
        complications: int32[2, rows, PROFILES], CC and MCC codes.
        light: int32[PROFILES, LIGHT_EACH], procedures, each of another rubric; -1 where the pack
            leaves no procedure that changes nothing.
    """

    companions: Int32Array
    complications: Int32Array
    light: Int32Array


class _Families:
    """Families of codes of which a case has at most one code each."""

    def __init__(self, usual: FloatArray) -> None:
        self._usual = usual
        self._codes: list[Int32Array] = []
        self._shares: list[float] = []

    def __len__(self) -> int:
        return len(self._shares)

    def add(self, codes: Int32Array, share: float) -> None:
        """Add a family; an empty one is passed over."""
        if len(codes) and share > 0:
            self._codes.append(codes)
            self._shares.append(share)

    @property
    def total(self) -> float:
        """Sum of the shares."""
        return sum(self._shares)

    @property
    def codes(self) -> Int32Array:
        """int32, all codes."""
        return np.concatenate([np.empty(0, np.int32), *self._codes])

    def lists(self, count: int, length: int, rng: np.random.Generator) -> Int32Array:
        """int32[count, length], lists without a family twice where there are families enough.

        The families of the smallest exponential waiting times come first, which is drawing by
        share without replacement.
        """
        waits = rng.exponential(1.0, (count, len(self))) / np.array(self._shares)
        order = np.argsort(waits, axis=1, kind="stable")
        if len(self) < length:
            order = np.tile(order, (1, -(-length // len(self))))
        family = order[:, :length]
        running = np.cumsum(self._usual[self.codes])
        sizes = np.array([len(codes) for codes in self._codes])
        last = np.cumsum(sizes) - 1
        below = np.concatenate([[0.0], running[last[:-1]]])
        width = running[last] - below
        places = below[family] + rng.random(family.shape) * width[family]
        inside = np.minimum(np.searchsorted(running, places, side="right"), last[family])
        chosen: Int32Array = self.codes[inside]
        return chosen


def beside(codes: Catalogue, rng: np.random.Generator) -> Beside:
    """Draw the lists for a catalogue."""
    dx = codes.dx
    plain = codes.mute_dx & (codes.mcc < 0) & (codes.cc < 0) & dx.anyone
    letters = chapters(dx.texts)
    everywhere = codes.mute_dx & dx.anyone
    everywhere[[text[0] in NOT_BESIDE for text in dx.texts]] = False
    rows = CHAPTERS * len(BANDS)
    companions = np.empty((rows, PROFILES, COMPANIONS_EACH), np.int32)
    complications = np.empty((2, rows, PROFILES), np.int32)
    for chapter in range(CHAPTERS):
        own = letters == chapter
        allowed = codes.mute_dx & dx.anyone & (own | everywhere)
        first = chapter * len(BANDS)
        for band in range(len(BANDS)):
            families = _companions(dx, plain & (own | everywhere), own, band, rng)
            if len(families) < COMPANIONS_EACH:
                _widen(families, dx, plain & everywhere)
            companions[first + band] = families.lists(PROFILES, COMPANIONS_EACH, rng)
        for level, has in enumerate(((codes.cc >= 0) & (codes.mcc < 0), codes.mcc >= 0)):
            weights = _severe(dx, has & allowed, own)
            if not weights.any():
                weights = (plain & everywhere).astype(np.float64)
            running = np.cumsum(weights)
            places = rng.random((len(BANDS), PROFILES)) * running[-1]
            drawn = np.searchsorted(running, places, side="right")
            last = len(dx.texts) - 1
            complications[level, first : first + len(BANDS)] = np.minimum(drawn, last)
    light = np.full((PROFILES, LIGHT_EACH), NO_CODE, np.int32)
    procedures = _light(codes)
    if len(procedures):
        light = procedures.lists(PROFILES, LIGHT_EACH, rng)
    return Beside(companions, complications, light)


def _companions(
    dx: Codes, allowed: Mask, own: Mask, band: int, rng: np.random.Generator
) -> _Families:
    """Frequent companions, and some categories of the principal diagnosis' own chapter."""
    families = _Families(dx.usual)
    for category, *shares in COMPANIONS:
        families.add(_of(dx.starting(category), allowed), shares[band])
    frequent = np.zeros(len(dx.texts), np.bool_)
    frequent[families.codes] = True
    others = np.unique(dx.category[own & allowed & ~frequent])
    others = rng.permutation(others)[:_OWN_CHAPTER_CATEGORIES]
    tail = 1.0 / np.arange(2, len(others) + 2)
    total = families.total or 1.0
    for category_number, part in zip(others, tail / max(tail.sum(), 1e-9), strict=True):
        members = np.flatnonzero((dx.category == category_number) & allowed).astype(np.int32)
        families.add(members, total * _OWN_CHAPTER_SHARE * float(part))
    return families


def _widen(families: _Families, dx: Codes, allowed: Mask) -> None:
    """Too few families for lists without repetition: take some of other chapters."""
    share = 0.2 * (families.total or 1.0) / max(1, len(families))
    for category in np.unique(dx.category[allowed])[:: max(1, len(families))]:
        families.add(np.flatnonzero((dx.category == category) & allowed).astype(np.int32), share)
        if len(families) >= 3 * COMPANIONS_EACH:
            return
    if not len(families):
        families.add(np.zeros(1, np.int32), 1.0)


def _of(codes: Int32Array, allowed: Mask) -> Int32Array:
    chosen: Int32Array = codes[allowed[codes]]
    return chosen


def _severe(dx: Codes, allowed: Mask, own: Mask) -> FloatArray:
    """Chances of the codes of a level: the frequent ones, the own chapter's, and the rest."""
    common = np.zeros(len(dx.texts))
    for category in COMPLICATIONS:
        members = _of(dx.starting(category), allowed)
        common[members] = dx.usual[members] / max(float(dx.usual[members].sum()), 1e-9)
    mine, rest = dx.usual * (allowed & own), dx.usual * allowed
    shares = (_COMMON_SEVERE, _OWN_SEVERE, 1.0 - _COMMON_SEVERE - _OWN_SEVERE)
    parts: Iterable[npt.NDArray[np.float64]] = (
        share * part / max(float(part.sum()), 1e-9)
        for share, part in zip(shares, (common, mine, rest), strict=True)
    )
    weights: FloatArray = np.sum(list(parts), axis=0)
    return weights


def _light(codes: Catalogue) -> _Families:
    """Frequent procedures outside the operating room that no rule asks for beside another."""
    allowed = codes.mute_px & ~codes.px.within(OPERATING_ROOM) & codes.px.anyone
    families = _Families(codes.px.usual)
    for rubric, share in LIGHT_PROCEDURES:
        families.add(_of(codes.px.starting(rubric), allowed), share)
    return families


def chapters(texts: Sequence[str]) -> Int8Array:
    """int8[codes], number of the chapter's letter; 26 for none."""
    numbers = np.array([ord(text[0]) - 65 for text in texts])
    return np.where((numbers >= 0) & (numbers < CHAPTERS - 1), numbers, CHAPTERS - 1).astype(
        np.int8
    )
