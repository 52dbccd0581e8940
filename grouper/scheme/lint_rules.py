"""Odd conditions: that can never hold, that never get their turn, that overlap."""

from __future__ import annotations

from collections.abc import Iterator

from grouper.scheme import logic, rules
from grouper.scheme.model import Adrg, Drg, Mdc, Pack
from grouper.scheme.rules import And, Not, Or, Rule

Found = tuple[Mdc | Adrg | Drg, str, str]


def condition_findings(pack: Pack) -> Iterator[Found]:
    """Row, kind and message of every odd condition."""
    for mdc in pack.mdcs:
        yield from _never(mdc, rules.TRUE)
        for adrg in mdc.adrgs:
            never = list(_never(adrg, mdc.when))
            yield from never
            if not never:
                yield from _alternatives(adrg)
        yield from _shadowed(mdc)
        yield from _overlapping_nodes(mdc)


def _never(node: Mdc | Adrg | Drg, gate: Rule) -> Iterator[Found]:
    if not logic.can_hold(node.when):
        yield node, "never-holds", f"the condition of {node.node} can never hold: {node.text}"
    elif not logic.can_hold(And((gate, node.when))):
        yield node, "never-holds", f"the condition of {node.node} contradicts the one above it"


def _alternatives(adrg: Adrg) -> Iterator[Found]:
    before: list[Drg] = []
    for drg in adrg.drgs:
        never = list(_never(drg, adrg.when))
        yield from never
        taken = Or(tuple(d.when for d in before))
        if before and not never and not logic.can_hold(And((drg.when, Not(taken)))):
            names = ", ".join(d.code for d in before)
            yield drg, "unreachable", f"whatever {drg.code} would take is taken by {names}"
        else:
            for other in before:
                yield from _overlap(other, drg)
        before.append(drg)


def _total(adrg: Adrg) -> bool:
    """Whether a case that meets the node never leaves it."""
    return bool(adrg.drgs) and not logic.can_hold(Not(Or(tuple(d.when for d in adrg.drgs))))


def _asked(rule: Rule) -> frozenset[tuple[str, str]]:
    """The sets and columns that a rule asks for."""
    found = set()
    for atom in rules.atoms(rule):
        match atom:
            case rules.InSet(_, name) | rules.Count(_, name):
                found.add(("set", name))
            case rules.Sites(name):
                found.add(("sites", name))
            case rules.Compare(name):
                found.add(("number", name))
            case rules.Discharge():
                found.add(("number", "discharge"))
            case rules.Dept():
                found.add(("dept", ""))
            case rules.Severity(level):
                found.add(("severity", level))
            case rules.Constant():
                pass
    return frozenset(found)


def _shadowed(mdc: Mdc) -> Iterator[Found]:
    """Nodes whose cases an earlier node keeps, by the look of the rules alone."""
    keepers: list[tuple[Adrg, frozenset[tuple[str, str]]]] = []
    for adrg in mdc.adrgs:
        asked = _asked(adrg.when)
        for other, others in keepers:
            if others <= asked and logic.implies(adrg.when, other.when):
                told = f"whatever {adrg.node} would take is taken by {other.node}"
                yield adrg, "unreachable", f"{told} in line {other.line}"
                break
        if _total(adrg):
            keepers.append((adrg, asked))


def _overlapping_nodes(mdc: Mdc) -> Iterator[Found]:
    """Sibling nodes on the same codes that numbers were meant to tell apart."""
    for number, adrg in enumerate(mdc.adrgs):
        asked = _asked(adrg.when)
        if not any(kind == "number" for kind, _ in asked):
            continue
        for other in mdc.adrgs[:number]:
            if other.code != adrg.code and _asked(other.when) == asked:
                yield from _overlap(other, adrg)


def _overlap(first: Adrg | Drg, second: Adrg | Drg) -> Iterator[Found]:
    """Two conditions on the same number that neither exclude nor contain each other."""
    numbers = [
        {a for a in _asked(node.when) if a[0] in ("number", "sites")} for node in (first, second)
    ]
    if not numbers[0] & numbers[1]:
        return
    world = logic.example(And((first.when, second.when)))
    if not world:
        return
    if logic.implies(first.when, second.when) or logic.implies(second.when, first.when):
        return
    told = f"{second.node} overlaps {first.node} in line {first.line}, which wins"
    where = logic.told(world)
    yield second, "overlap", f"{told}: for example {where}" if where else told
