"""The codes that cases of a scheme can carry, and what the scheme can tell of each."""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grouper.quality.codefacts import Fact, person_of
from grouper.scheme import rules
from grouper.scheme.codes import PREFIX_MARK, CodeMap, code_map
from grouper.scheme.pack import Pack
from grouper.synth.medicine import (
    COMPANIONS,
    COMPLICATIONS,
    LIGHT_PROCEDURES,
    NEVER_PRINCIPAL,
    PRINCIPALS,
    UNDIVIDED,
)

Int32Array = npt.NDArray[np.int32]
Int8Array = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]
MakeCodes = Callable[[str], tuple[str, ...]]

OPERATING_ROOM = "or_px"
"""The set of operating-room procedures, which every pack names so."""

STRAY_DIAGNOSES = ("Y83.900", "Y84.900", "Y95.x00", "Z99.900", "U99.900")
"""Codes that explain nothing as a principal diagnosis; used where a pack lists no such code."""


@dataclass(frozen=True)
class Codes:
    """Concrete codes of one kind with the sets of the pack.

    Attributes:
        texts: the codes, sorted.
        sex: int8[codes], 1 or 2 where only men or women have it, else 0.
        aged: bool[codes], whether it is met at certain ages only, wherever it stands in a list.
        youngest, oldest: int32[codes], ages that it allows as a principal code, full years.
        usual: float64[codes], how likely coders are to take the code among its neighbours.
        category: int32[codes], number of the three-character category (or rubric chapter).
    """

    texts: tuple[str, ...]
    sex: Int8Array
    aged: Mask
    youngest: Int32Array
    oldest: Int32Array
    usual: npt.NDArray[np.float64]
    category: Int32Array
    _sets: CodeMap[str]

    @property
    def anyone(self) -> Mask:
        """bool[codes], codes that a person of any sex and age can have."""
        mask: Mask = (self.sex == 0) & ~self.aged
        return mask

    @functools.cached_property
    def _members(self) -> dict[str, Int32Array]:
        found: dict[str, list[int]] = {}
        for position, text in enumerate(self.texts):
            for name in self._sets.every(text):
                found.setdefault(name, []).append(position)
        return {name: np.array(positions, np.int32) for name, positions in found.items()}

    def within(self, name: str) -> Mask:
        """bool[codes], which codes are in the set."""
        mask = np.zeros(len(self.texts), np.bool_)
        mask[self._members.get(name, np.empty(0, np.int32))] = True
        return mask

    def choose(self, inside: Iterable[str], outside: Iterable[str]) -> Mask:
        """bool[codes], which codes are in all the one sets and in none of the others."""
        mask = np.ones(len(self.texts), np.bool_)
        for name in inside:
            mask &= self.within(name)
        for name in outside:
            mask[self._members.get(name, np.empty(0, np.int32))] = False
        return mask

    def starting(self, prefix: str) -> Int32Array:
        """int32, the codes with this prefix, in order."""
        first = bisect_left(self.texts, prefix)
        last = bisect_left(self.texts, prefix + "\U0010ffff")
        return np.arange(first, last, dtype=np.int32)


@dataclass(frozen=True)
class Catalogue:
    """Diagnoses and procedures of a pack.

    Attributes:
        mcc, cc: int32[diagnoses], exclusion list of the code at that level, -1 where it has not
            the level; 0 is never excluded.
        excludes: int32[diagnoses], list that the code as principal diagnosis switches off, or -2.
        sites: family to (site to codes).
        on_site: bool[diagnoses], whether the code lies on a site of a family that rules ask for.
        mute_dx, mute_px: bool, codes that no rule asks for beside the principal code.
        strays: int32, diagnoses that no rule takes as the principal one.
    """

    dx: Codes
    px: Codes
    mcc: Int32Array
    cc: Int32Array
    excludes: Int32Array
    sites: Mapping[str, Mapping[str, Int32Array]]
    on_site: Mask
    mute_dx: Mask
    mute_px: Mask
    strays: Int32Array


def catalogue(pack: Pack) -> Catalogue:
    """Every code that the pack names, prefixes replaced by concrete codes."""
    atoms = [atom for node in every_rule(pack) for atom in rules.atoms(node)]
    dx_sets, px_sets = _named(atoms, rules.DIAGNOSIS_LISTS), _named(atoms, _PROCEDURE_LISTS)
    px_sets |= {OPERATING_ROOM} & pack.sets.keys()
    families = {atom.family for atom in atoms if isinstance(atom, rules.Sites)}
    written = [*pack.exclusions, *(code for by_code in pack.sites.values() for code in by_code)]
    for members in pack.severity.values():
        written.extend(members)
    dx_likely = [*PRINCIPALS, *COMPLICATIONS, *(category for category, *_ in COMPANIONS)]
    px_likely = [rubric for rubric, _ in LIGHT_PROCEDURES]
    dx = _codes("dx", pack, pack.dx, dx_sets, written, _diagnosis, STRAY_DIAGNOSES, dx_likely)
    px = _codes("px", pack, pack.px, px_sets, (), _procedure, (), px_likely)
    lists = {"": 0}
    mcc = _levels(dx, pack.severity.get("MCC", {}), lists)
    cc = _levels(dx, pack.severity.get("CC", {}), lists)
    switched = code_map(pack.exclusions)
    names = (switched.best(text) for text in dx.texts)
    excludes = np.array([lists.get(name, -2) if name else -2 for name in names], np.int32)
    sites, on_site = _sites(pack, dx, families)
    return Catalogue(
        dx=dx,
        px=px,
        mcc=mcc,
        cc=cc,
        excludes=excludes,
        sites=sites,
        on_site=on_site,
        mute_dx=dx.choose((), _named(atoms, ("any_dx", "other_dx"))) & ~on_site,
        mute_px=px.choose((), _named(atoms, ("any_px", "other_px"))),
        strays=_strays(dx, _named(atoms, ("pdx", "any_dx"))),
    )


_PROCEDURE_LISTS = rules.LISTS - rules.DIAGNOSIS_LISTS


def every_rule(pack: Pack) -> Iterable[rules.Rule]:
    """The rules of all nodes of a pack."""
    for mdc in pack.mdcs:
        yield mdc.when
        for adrg in mdc.adrgs:
            yield adrg.when
            for drg in adrg.drgs:
                yield drg.when


def _named(atoms: Iterable[rules.Rule], lists: Iterable[str]) -> set[str]:
    lists = frozenset(lists)
    return {
        atom.set
        for atom in atoms
        if isinstance(atom, rules.InSet | rules.Count) and atom.codes in lists
    }


def _codes(
    kind: str,
    pack: Pack,
    known: Iterable[str],
    sets: Iterable[str],
    written: Iterable[str],
    make: MakeCodes,
    further: Iterable[str],
    likely: Iterable[str],
) -> Codes:
    """All concrete codes; a prefix that matches no known code gets codes of its own.

    Args:
        kind: ``dx`` or ``px``.
        further: codes to take in any case.
        likely: beginnings of codes to take where the pack knows them by a prefix only.
    """
    sets = sorted(sets)
    patterns = {*written, *(code for name in sets for code in pack.sets[name])}
    texts = {*known, *further, *(code for code in patterns if not code.endswith(PREFIX_MARK))}
    prefixes = tuple(code[:-1] for code in patterns if code.endswith(PREFIX_MARK))
    for head in likely:
        texts.update(code for code in make(head) if code.startswith(prefixes))
    heads = {text[:length] for text in texts for length in range(2, len(text) + 1)}
    for pattern in patterns:
        if pattern.endswith(PREFIX_MARK) and pattern[:-1] not in heads:
            texts.update(make(pattern[:-1]))
    ordered = tuple(sorted(texts))
    told = [person_of(kind, text) for text in ordered]
    facts = np.array([fact for fact, _, _ in told], np.int64)
    sex = np.select([(facts & Fact.MALE) > 0, (facts & Fact.FEMALE) > 0], [1, 2]).astype(np.int8)
    by_code = CodeMap((code, name) for name in sets for code in dict.fromkeys(pack.sets[name]))
    usual = np.array([_usual(text) for text in ordered])
    width = 3 if make is _diagnosis else 2
    _, category = np.unique([text[:width] for text in ordered], return_inverse=True)
    return Codes(
        texts=ordered,
        sex=sex,
        aged=(facts & Fact.AGED) > 0,
        youngest=np.array([max(low, 0) for _, low, _ in told], np.int32),
        oldest=np.array([high for _, _, high in told], np.int32),
        usual=usual,
        category=category.astype(np.int32),
        _sets=by_code,
    )


def _usual(text: str) -> float:
    """Coders mostly take the plain code; extensions and combined codes are rarer."""
    if "*" in text or text.startswith(NEVER_PRINCIPAL):
        return 0.01
    if "x0" in text[5:]:
        return 0.06
    if not text.endswith("00"):
        return 0.15
    plain = text[4:5] in ("9", "x") and text[0].isalpha()
    return (3.0 if plain else 1.0) * (0.15 if text[0] == "Q" else 1.0)


def _diagnosis(prefix: str) -> tuple[str, ...]:
    """Codes of the insurance edition's form (`I21.900`) that begin with the prefix."""
    if len(prefix) < 3:
        return tuple(code for digit in "0159" for code in _diagnosis(f"{prefix}{digit}"))
    if len(prefix) == 3:
        if prefix in UNDIVIDED:
            return (f"{prefix}.x00",)
        return tuple(f"{prefix}.{digit}00" for digit in "0189")
    if len(prefix) == 4:
        return tuple(f"{prefix}{digit}00" for digit in "0189")
    filled = prefix.ljust(7, "0")
    return (filled,) if len(prefix) >= 7 else (filled, f"{filled}x001", f"{filled}x002")


def _procedure(prefix: str) -> tuple[str, ...]:
    """Codes of the insurance edition's form (`36.0601`) that begin with the prefix."""
    if len(prefix) < 3:
        return tuple(code for digit in "0159" for code in _procedure(f"{prefix}{digit}"))
    if len(prefix) == 3:
        return tuple(f"{prefix}{rubric}00" for rubric in ("01", "11", "20", "39", "49", "92", "99"))
    if len(prefix) == 4:
        return tuple(f"{prefix}{digit}00" for digit in "0139")
    filled = prefix.ljust(7, "0")
    return (filled,) if len(prefix) >= 7 else (filled, f"{filled[:-1]}1", f"{filled}x001")


def _levels(dx: Codes, members: Mapping[str, str], lists: dict[str, int]) -> Int32Array:
    by_code = code_map(members)
    levels = np.full(len(dx.texts), -1, np.int32)
    for position, text in enumerate(dx.texts):
        name = by_code.best(text)
        if name is not None:
            levels[position] = lists.setdefault(name, len(lists))
    return levels


def _sites(
    pack: Pack, dx: Codes, families: Iterable[str]
) -> tuple[dict[str, dict[str, Int32Array]], Mask]:
    on_site = np.zeros(len(dx.texts), np.bool_)
    sites: dict[str, dict[str, Int32Array]] = {}
    for family in sorted(families):
        by_code = code_map(pack.sites[family])
        found: dict[str, list[int]] = {}
        for position, text in enumerate(dx.texts):
            site = by_code.best(text)
            if site is not None:
                found.setdefault(site, []).append(position)
                on_site[position] = True
        sites[family] = {site: np.array(found[site], np.int32) for site in sorted(found)}
    return sites, on_site


def _strays(dx: Codes, principal: Iterable[str]) -> Int32Array:
    """Diagnoses in no set of principal diagnoses."""
    return np.flatnonzero(dx.choose((), principal)).astype(np.int32)
