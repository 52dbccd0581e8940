"""What the DRGs of an ADRG ask for: a stated condition, else their names, else their last digit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from grouper.scheme.rules import TRUE, InSet, Not, Or, Rule, Severity, atoms
from grouper.scheme.sheets.gathered import Group, Subgroup
from grouper.scheme.sheets.lists import Lists
from grouper.scheme.sheets.notation import parse_notation
from grouper.scheme.sheets.scan import NotationError
from grouper.scheme.sheets.words import List

SUFFIXES: Mapping[str, str] = {
    "1": "伴严重合并症或并发症",
    "3": "伴合并症或并发症",
    "5": "不伴合并症或并发症",
    "9": "",
}
"""What the last character of a DRG means where neither its row nor its name says more."""

_QUALIFIER = re.compile(
    r"[，,、；;（(]\s*((?:不?伴|年龄|死亡|转院|with|age|died).*)$", re.IGNORECASE
)
_AGE_END = re.compile(r"((?:年龄)?\s*[<>≤≥＜＞]=?\s*[0-9]+\s*(?:周?岁|天).*)$")
_ABOVE = re.compile(r"([0-9]+)岁以上")
_EDGES = " ，,、；;：:（）()"
_ANY_CC = Or((Severity("mcc"), Severity("cc")))
RANKS: Mapping[Rule, int] = {
    Severity("mcc"): 0,
    _ANY_CC: 1,
    Severity("cc"): 1,
    Not(Severity("mcc")): 2,
    Not(_ANY_CC): 2,
    TRUE: 3,
}
"""Bare severities, in the order in which they are tried whatever that of the rows is."""


@dataclass(frozen=True)
class Alternative:
    """A DRG with its rule.

    Attributes:
        rule: None where it cannot be read.
        fault: what could not be read; empty where all could.
        note: where name and last character say different things.
    """

    drg: Subgroup
    rule: Rule | None
    fault: str = ""
    note: str = ""


@dataclass(frozen=True)
class _Within:
    """The meaning of a DRG's words: lists, what 不伴 leaves over, names beside it."""

    lists: Lists
    left_over: Rule
    names: str = ""

    def listed(self, wanted: List, owner: str, together: bool) -> list[InSet]:
        return self.lists.listed(wanted, owner, together)

    def of(self, drg: str) -> _Within:
        return replace(self, lists=self.lists.within(drg))

    def family(self) -> str:
        return self.lists.family()

    def rest(self) -> Rule:
        return self.left_over


def alternatives(
    adrg: Group,
    drgs: Sequence[Subgroup],
    lists: Lists,
    suffixes: Mapping[str, str],
    attributes: Mapping[str, str],
) -> list[Alternative]:
    """The DRGs of an ADRG in the order in which they are tried."""

    def read(left_over: Rule) -> list[Alternative]:
        meaning = _Within(lists, left_over, " ".join(drg.name for drg in drgs))
        return [_read(adrg, drg, meaning.of(drg.code), suffixes, attributes) for drg in drgs]

    found = read(_left_over(a.rule for a in read(TRUE) if a.rule is not None))
    return _ordered(_told_apart(found))


def _told_apart(found: list[Alternative]) -> list[Alternative]:
    """Of two DRGs that ask for the same no case reaches the second, which is told."""
    first: dict[Rule, str] = {}
    told: list[Alternative] = []
    for one in found:
        known = first.setdefault(one.rule, one.drg.code) if one.rule is not None else ""
        if known and known != one.drg.code:
            fault = f"{one.drg.code} asks for the same as {known}, so no case reaches it"
            one = replace(one, fault=f"{fault}; write the conditions of both")
        told.append(one)
    return told


def _left_over(rules: Iterable[Rule]) -> Rule:
    """What 不伴 means beside these: an ADRG without a group for CC has its CC cases there, too."""
    levels = {level for rule in rules for level in _levels(rule)}
    if "cc" in levels:
        return Not(_ANY_CC)
    return Not(Severity("mcc")) if levels else TRUE


def _levels(rule: Rule) -> frozenset[str]:
    return frozenset(atom.level for atom in atoms(rule) if isinstance(atom, Severity))


def _read(
    adrg: Group,
    drg: Subgroup,
    meaning: _Within,
    suffixes: Mapping[str, str],
    attributes: Mapping[str, str],
) -> Alternative:
    if drg.when:
        try:
            return Alternative(drg, parse_notation(drg.when, meaning, attributes))
        except NotationError as error:
            return Alternative(drg, None, f"the condition of {drg.code} cannot be read: {error}")
    qualifier = _qualifier(adrg, drg, meaning.names)
    if meaning.lists.owner == drg.code:
        told = f"{drg.code} has lists of its own, which its name ({qualifier}) does not narrow"
        note = f"{told}; write its condition" if qualifier else ""
        return Alternative(drg, meaning.lists.all(), note=note)
    # What an ADRG does not divide is spelled like the ADRG.
    default = "" if drg.code == adrg.code else suffixes.get(drg.code[-1])
    usual = parse_notation(default, meaning, attributes) if default else TRUE
    fault = ""
    if qualifier:
        try:
            rule = parse_notation(qualifier, meaning, attributes)
        except NotationError as error:
            fault = f"{qualifier!r} in the name of {drg.code} is not in its rule: {error}"
        else:
            # 9 says nothing of severities, so a name may.
            odd = default and _levels(rule) != _levels(usual)
            told = f"the name of {drg.code} says {qualifier!r}, its last digit {default}"
            return Alternative(drg, rule, note=f"{told}; the name holds" if odd else "")
    if default is None:
        told = f"what the last character of {drg.code} means is not said"
        hint = "write its condition, or give [suffix] in a map"
        return Alternative(drg, None, fault or f"{told}; {hint}")
    return Alternative(drg, usual, fault)


def _qualifier(adrg: Group, drg: Subgroup, names: str) -> str:
    """What a DRG's name says beyond that of its ADRG, which may hold an age of its own."""
    own = adrg.name and drg.name.startswith(adrg.name)
    rest = drg.name[len(adrg.name) :] if own else drg.name
    found = _QUALIFIER.search(rest) or _AGE_END.search(rest)
    if found is not None:
        rest = found.group(1)
    elif not own:
        return ""
    # 6岁以上 beside 6岁及以下 is what is left of it; alone it may or may not include the six.
    above = _ABOVE.search(rest)
    if above is not None and f"{above.group(1)}岁及以下" in names:
        rest = rest.replace(above.group(), f"年龄>{above.group(1)}岁")
    return rest.strip(_EDGES)


def _ordered(found: list[Alternative]) -> list[Alternative]:
    """Bare severities by rank in their places, so that none hides another; what always holds last.

    A DRG with a further condition keeps the place that its row gives it.
    """
    ranked = [a for a in found if a.rule in RANKS]
    ranked.sort(key=lambda a: RANKS[a.rule] if a.rule is not None else 0)
    places = iter(ranked)
    inplace = [next(places) if a.rule in RANKS else a for a in found]
    always = [a for a in inplace if a.rule == TRUE]
    ordered = [a for a in inplace if a.rule != TRUE] + always
    rules = [a.rule for a in ordered]
    last = ordered[-1] if ordered else None
    # Behind the DRGs with complications, 不伴 needs no saying.
    if last is not None and isinstance(last.rule, Not) and last.rule.term in rules:
        ordered[-1] = replace(last, rule=TRUE)
    return ordered
