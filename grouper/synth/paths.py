"""The ways into each DRG: which codes to draw from, which numbers, which complications.

A path is one DRG alternative under one ADRG node, met in one way (`demand.py`) with one state of
complication. Everything here follows from reading the rules; whether a path leads where it should
is found out by grouping cases drawn from it (`recipes.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from grouper.scheme import rules
from grouper.scheme.pack import Adrg, Drg, Mdc, Pack
from grouper.synth.catalogue import OPERATING_ROOM, Catalogue, Int32Array, every_rule
from grouper.synth.demand import DISCHARGES, NOTHING, Demand, Range, both, demands
from grouper.synth.medicine import (
    FIELDS,
    LIGHT_PROCEDURES,
    NOT_BESIDE,
    OTHER_FIELD,
    PRINCIPALS,
    Field,
)

FloatArray = npt.NDArray[np.float64]

SLOTS: Final = 6
"""Other codes of a kind that a path can ask for."""

NO_CODE: Final = -1
STATES: Final = (0.60, 0.28, 0.12)
"""Shares of cases without complication, with a CC, and with an MCC."""

_FREQUENT_BOOST: Final = 8.0
DISCHARGE_SHARES: Final = {1: 0.925, 2: 0.025, 3: 0.01, 4: 0.03, 5: 0.007, 9: 0.003}
_LOWEST: Final = {"age": 0, "age_days": 0, "weight": 500, "los": 1, "icu_hours": 0}
_HIGHEST: Final = {"age": 97, "age_days": 364, "weight": 5000, "los": 90, "icu_hours": 600}


@dataclass(frozen=True)
class Numbers:
    """The integer columns that cases of a scheme carry, `sex` apart.

    Attributes:
        names: the columns; the pack's own attributes last.
        cuts: per column the values at which some rule begins to tell cases apart.
        low, high: per column the ordinary bounds.
    """

    names: tuple[str, ...]
    cuts: tuple[Int32Array, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]


@dataclass(frozen=True)
class Path:
    """One way into a DRG.

    Attributes:
        drg: its code; empty for cases that belong nowhere.
        adrg, letter: codes of its ADRG and MDC.
        state: 0 without complication, 1 with a CC, 2 with an MCC.
        prior: share among the paths of its ADRG.
        pdx, ppx: pools of principal codes; for `ppx` -1 where the rules ask for no procedure.
        others_dx, others_px: (first pool, number of pools, offset) of each further code.
        surgical: whether it needs the operating room; dept: department of discharge.
    """

    drg: str
    adrg: str
    letter: str
    demand: Demand
    state: int
    prior: float
    pdx: int
    ppx: int
    others_dx: tuple[tuple[int, int, int], ...]
    others_px: tuple[tuple[int, int, int], ...]
    surgical: bool
    dept: str

    @property
    def field(self) -> Field:
        """How the cases of its MDC look."""
        return FIELDS.get(self.letter, OTHER_FIELD)

    def bounds(self, number: str) -> Range:
        """What the path asks of a number."""
        return self.demand.numbers.get(number, _ANY)

    @property
    def complications(self) -> tuple[int, int]:
        """Fewest and most CC codes."""
        if self.state == 0 or self.demand.cc is False:
            return (0, 0)
        return (1 if self.state == 1 or self.demand.cc else 0, 2)


_ANY: Final = Range()


class Pools:
    """Code lists to draw from, each kept once.

    Args:
        rng: for the order of the codes.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._known: dict[object, int] = {}
        self._lists: list[Int32Array] = []

    def add(self, key: object, codes: Int32Array, likely: FloatArray) -> int:
        """Number of the pool; a new one is put in order, since its first codes are drawn most.

        Args:
            likely: float64[all codes], how likely each is to come early.
        """
        if key not in self._known:
            self._known[key] = len(self._lists)
            waits = self._rng.exponential(1.0, len(codes)) / likely[codes]
            self._lists.append(codes[np.argsort(waits, kind="stable")])
        return self._known[key]

    def find(self, key: object) -> int | None:
        """Number of the pool with this key."""
        return self._known.get(key)

    def size(self, pool: int) -> int:
        """How many codes it has."""
        return len(self._lists[pool])

    def arrays(self) -> tuple[Int32Array, Int32Array]:
        """All codes one after another, and where each pool begins."""
        starts = np.zeros(len(self._lists) + 1, np.int32)
        starts[1:] = np.cumsum([len(codes) for codes in self._lists])
        return np.concatenate([*self._lists, np.zeros(1, np.int32)]), starts


def numbers_of(pack: Pack) -> Numbers:
    """The numbers that cases carry, with the values at which rules tell them apart."""
    cuts: dict[str, set[int]] = {name: set() for name in (*_LOWEST, *pack.attributes)}
    for atom in (atom for rule in every_rule(pack) for atom in rules.atoms(rule)):
        if isinstance(atom, rules.Compare) and atom.number in cuts:
            if atom.comparison in ("<", ">=", "==", "!="):
                cuts[atom.number].add(atom.value)
            if atom.comparison in ("<=", ">", "==", "!="):
                cuts[atom.number].add(atom.value + 1)
    low = {name: min([0, *(c - 1 for c in cuts[name])]) for name in pack.attributes} | _LOWEST
    high = {name: max([20, *(2 * c for c in cuts[name])]) for name in pack.attributes} | _HIGHEST
    return Numbers(
        names=tuple(cuts),
        cuts=tuple(np.array(sorted(values), np.int32) for values in cuts.values()),
        low=tuple(low[name] for name in cuts),
        high=tuple(high[name] for name in cuts),
    )


def find_paths(pack: Pack, codes: Catalogue, pools: Pools) -> list[Path]:
    """All paths of a pack, and one for cases that belong nowhere."""
    finder = _Finder(pack, codes, pools)
    paths: list[Path] = []
    for mdc in pack.mdcs:
        into_mdc = demands(mdc.when)
        for adrg in mdc.adrgs:
            into_adrg = both(into_mdc, demands(adrg.when))
            barred = [NOTHING]
            for drg in adrg.drgs:
                ways = both(both(into_adrg, barred), demands(drg.when))
                barred = both(barred, demands(drg.when, False))
                paths.extend(finder.paths(mdc, adrg, drg, ways))
    paths.append(finder.stray())
    return paths


class _Finder:
    def __init__(self, pack: Pack, codes: Catalogue, pools: Pools) -> None:
        atoms = (atom for rule in every_rule(pack) for atom in rules.atoms(rule))
        self.departments = {atom.name for atom in atoms if isinstance(atom, rules.Dept)}
        self.codes = codes
        self.pools = pools
        self.theatre = codes.px.within(OPERATING_ROOM)
        self.likely = codes.dx.usual.copy()
        for category in PRINCIPALS:
            self.likely[codes.dx.starting(category)] *= _FREQUENT_BOOST
        ordinary = np.ones(len(codes.dx.texts), np.bool_)
        ordinary[codes.strays] = False
        ordinary[[text[0] in NOT_BESIDE for text in codes.dx.texts]] = False
        self.ordinary = ordinary
        light = np.zeros(len(codes.px.texts), np.bool_)
        for rubric, _ in LIGHT_PROCEDURES:
            light[codes.px.starting(rubric)] = True
        self.light = light & ~self.theatre & codes.mute_px

    def paths(self, mdc: Mdc, adrg: Adrg, drg: Drg, ways: Sequence[Demand]) -> Iterable[Path]:
        simple = sum(_simplicity(way) for way in ways)
        for way in ways:
            pdx, ppx = self._principal(way), self._procedure(way)
            if pdx is None or ppx is None or len(way.dx_in) > SLOTS or len(way.px_in) > SLOTS:
                continue
            surgical = self._in_theatre(way, ppx)
            for state, share in enumerate(STATES):
                if not _allows(way, state):
                    continue
                others_dx, others_px = self._other_dx(way, state), self._other_px(way)
                if others_dx is None or others_px is None:
                    continue
                yield Path(
                    drg=drg.code,
                    adrg=adrg.code,
                    letter=mdc.code,
                    demand=way,
                    state=state,
                    prior=share * _simplicity(way) / simple * _mass(mdc.code, way),
                    pdx=pdx,
                    ppx=ppx,
                    others_dx=others_dx,
                    others_px=others_px,
                    surgical=surgical,
                    dept=self._department(mdc.code, way, surgical),
                )

    def stray(self) -> Path:
        """Cases whose principal diagnosis no category takes."""
        pool = self.pools.add("stray", self.codes.strays, self.codes.dx.usual)
        dept = self._department("", NOTHING, False)
        return Path("", "", "", NOTHING, 0, 1.0, pool, NO_CODE, (), (), False, dept)

    def _department(self, letter: str, way: Demand, surgical: bool) -> str:
        """The needed department, else the MDC's usual one unless some rule asks for that one."""
        if way.dept is not None:
            return way.dept
        field = FIELDS.get(letter, OTHER_FIELD)
        usual = field.surgical if surgical else field.medical
        choices = (usual, usual.split(".")[0], f"{usual}.99", f"{usual}.98")
        return next((d for d in choices if d not in self.departments), usual)

    def _principal(self, way: Demand) -> int | None:
        key = ("pdx", way.pdx_in, way.pdx_out)
        pool = self.pools.find(key)
        if pool is None:
            mask = self.codes.dx.choose(way.pdx_in, way.pdx_out)
            if not way.pdx_in:
                mask &= self.ordinary
            pool = self.pools.add(key, np.flatnonzero(mask).astype(np.int32), self.likely)
        return pool if self.pools.size(pool) else None

    def _procedure(self, way: Demand) -> int | None:
        """Pool of principal procedures; where none is asked for, of those that change nothing."""
        if not way.needs_procedure:
            return NO_CODE
        key = ("ppx", way.ppx_in, way.ppx_out)
        pool = self.pools.find(key)
        if pool is None:
            mask = self.codes.px.choose(way.ppx_in, way.ppx_out)
            if not way.ppx_in:
                mask &= self.light
            found = np.flatnonzero(mask).astype(np.int32)
            pool = self.pools.add(key, found, self.codes.px.usual)
        return pool if self.pools.size(pool) else None

    def _other_dx(self, way: Demand, state: int) -> tuple[tuple[int, int, int], ...] | None:
        slots: list[tuple[int, int, int]] = []
        barred = self.codes.dx.choose((), way.dx_out)
        for name in way.dx_in:
            key = ("dx", name, way.dx_out, state)
            pool = self.pools.find(key)
            if pool is None:
                mask = self.codes.dx.within(name) & barred
                pool = self.pools.add(key, self._fitting(mask, state), self.codes.dx.usual)
            if not self.pools.size(pool):
                return None
            slots.append((pool, 1, 0))
        for family, wanted in way.sites:
            by_site = self.codes.sites.get(family, {})
            if len(by_site) < wanted:
                return None
            first = None
            for site, members in by_site.items():
                mask = np.zeros(len(barred), np.bool_)
                mask[members] = True
                fitting = self._fitting(mask, state)
                place = ("site", family, site, state)
                pool = self.pools.add(place, fitting, self.codes.dx.usual)
                first = pool if first is None else first
            assert first is not None
            slots.extend((first, len(by_site), offset) for offset in range(wanted))
        return tuple(slots) if len(slots) <= SLOTS else None

    def _fitting(self, mask: npt.NDArray[np.bool_], state: int) -> Int32Array:
        """The codes that do not raise the state of complication, where there are such."""
        fitting = mask & (self.codes.mcc < 0) if state < 2 else mask
        if state == 0:
            fitting = fitting & (self.codes.cc < 0)
        return np.flatnonzero(fitting if fitting.any() else mask).astype(np.int32)

    def _other_px(self, way: Demand) -> tuple[tuple[int, int, int], ...] | None:
        slots: list[tuple[int, int, int]] = []
        for name in way.px_in:
            key = ("px", name, way.px_out)
            pool = self.pools.find(key)
            if pool is None:
                mask = self.codes.px.choose((name,), way.px_out)
                found = np.flatnonzero(mask).astype(np.int32)
                pool = self.pools.add(key, found, self.codes.px.usual)
            if not self.pools.size(pool):
                return None
            slots.append((pool, 1, 0))
        return tuple(slots)

    def _in_theatre(self, way: Demand, ppx: int) -> bool:
        if ppx == NO_CODE:
            return False
        wanted = self.codes.px.choose(way.ppx_in, way.ppx_out)
        if not way.ppx_in:
            wanted = self.codes.px.within(way.px_in[0])
        return bool(self.theatre[wanted].mean() > 0.5) if self.theatre.any() else True


def _simplicity(way: Demand) -> float:
    """How likely a way is beside others: the fewer codes it asks for, the likelier."""
    return 1.0 / (1 + way.further_codes) ** 2


def _allows(way: Demand, state: int) -> bool:
    if state == 2:
        return way.mcc is not False
    if way.mcc is True or (state == 0 and way.cc is True):
        return False
    return not (state == 1 and way.cc is False)


def _mass(letter: str, way: Demand) -> float:
    """Roughly which share of an MDC's cases meets the numbers that a way asks for."""
    mass = 1.0
    for name, bounds in way.numbers.items():
        if name == "age":
            mass *= sum(
                share
                * max(0.0, min(bounds.high, to) - max(bounds.low, start) + 1)
                / (to - start + 1)
                for start, to, share in FIELDS.get(letter, OTHER_FIELD).ages
            )
        elif name == "weight":
            mass *= _birth_weight_below(bounds.high) - _birth_weight_below(bounds.low)
        elif name not in ("age_days", "sex") and not bounds.missing:
            mass *= 0.3
    if way.discharge != DISCHARGES:
        mass *= sum(share for code, share in DISCHARGE_SHARES.items() if code in way.discharge)
    return max(mass, 0.005)


def _birth_weight_below(grams: float) -> float:
    return 0.5 * (1 + math.erf((grams - 2900) / 700 / math.sqrt(2)))
