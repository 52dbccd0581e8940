"""What differs between two packs: nodes, rules, sets, severities, exclusion lists, weights, codes.

Nodes are the same by their name in the decision list (a DRG by its name and its ADRG node), else by
their code. Rules are held against each other in normal form, sets and exclusion lists by what they
hold: numbering them anew changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction

from grouper.scheme import logic, rules
from grouper.scheme.diff_model import (
    ExclusionChange,
    ListChange,
    Relation,
    RuleChange,
    SchemeDiff,
    SetChange,
    SeverityChange,
    WeightChange,
)
from grouper.scheme.diff_nodes import Names, Pairs, node_changes, pair_nodes
from grouper.scheme.model import Pack, Weight
from grouper.scheme.normal import normal
from grouper.scheme.rules import And, Or, Rule


def diff_packs(a: Pack, b: Pack) -> SchemeDiff:
    """What differs between two packs; the order follows B, then A for what is dropped."""
    sets, renamed = _sets(a, b)
    pairs = pair_nodes(a, b)
    changed, rewritten = _rules(pairs, renamed)
    lists = _same_lists(a.exclusions, b.exclusions)
    return SchemeDiff(
        a=a.id,
        b=b.id,
        head=tuple(_head(a, b)),
        nodes=tuple(node_changes(a, b, pairs)),
        rules=changed,
        rewritten=rewritten,
        sets=sets,
        severities=tuple(_severities(a, b, lists)),
        exclusions=tuple(_exclusions(a, b, lists)),
        weights=tuple(_weights(a, b)),
        codes=tuple(_codes(a, b)),
    )


def _head(a: Pack, b: Pack) -> Iterator[tuple[str, str, str]]:
    for key in ("retry_other_procedures", "valid_from", "valid_to"):
        values = (getattr(pack, key) for pack in (a, b))
        before, after = ("none" if value is None else str(value) for value in values)
        if before != after:
            yield key, before, after
    before, after = (", ".join(sorted(pack.attributes)) for pack in (a, b))
    if before != after:
        yield "attributes", before, after


# --- rules ------------------------------------------------------------------------------------


def _rules(
    pairs: Pairs, renamed: Mapping[str, str]
) -> tuple[tuple[RuleChange, ...], tuple[str, ...]]:
    found, rewritten = [], []
    for level, one, other in pairs.every():
        if one.text == other.text and not renamed:
            continue
        before, after = normal(one.when), normal(other.when, renamed)
        if before == after:
            if one.text != other.text:
                rewritten.append(other.node)
            continue
        relation = _relation(before, after)
        if relation is None:
            rewritten.append(other.node)
            continue
        gone, new = _terms(before, after)
        found.append(
            RuleChange(
                level, other.node, other.code, other.name, str(before), str(after), gone, new,
                relation,
            )
        )  # fmt: skip
    return tuple(found), tuple(rewritten)


def _relation(before: Rule, after: Rule) -> Relation | None:
    """How two rules differ; None where each implies the other."""
    narrower, wider = logic.implies(after, before), logic.implies(before, after)
    if narrower and wider:
        return None
    return "narrower" if narrower else "wider" if wider else "other"


def _terms(before: Rule, after: Rule) -> tuple[tuple[str, ...], tuple[str, ...]]:
    kind = And if isinstance(before, And) or isinstance(after, And) else Or
    both = (before, after)
    if any(isinstance(rule, And | Or) and not isinstance(rule, kind) for rule in both):
        return (), ()
    one, other = ([*r.terms] if isinstance(r, And | Or) else [r] for r in both)
    gone = tuple(str(term) for term in one if term not in other)
    return gone, tuple(str(term) for term in other if term not in one)


# --- sets -------------------------------------------------------------------------------------


def _sets(a: Pack, b: Pack) -> tuple[tuple[SetChange, ...], dict[str, str]]:
    """What changed, and for each set of B that only has another name in A that name."""
    held = [
        {**{name: frozenset(codes) for name, codes in pack.sets.items()}, **_families(pack)}
        for pack in (a, b)
    ]
    one, other = held
    free: dict[frozenset[str], list[str]] = {}
    for name in one:
        if name not in other:
            free.setdefault(one[name], []).append(name)
    renamed: dict[str, str] = {}
    for name in other:
        if name not in one and free.get(other[name]):
            renamed[name] = free[other[name]].pop(0)
    used = _users(a, b)
    found = []
    for name in (*other, *(n for n in one if n not in other and n not in renamed.values())):
        before = renamed.get(name, name if name in one else "")
        gone = one.get(before, frozenset()) - other.get(name, frozenset())
        new = other.get(name, frozenset()) - one.get(before, frozenset())
        if gone or new or before not in ("", name):
            kind = "renamed" if before and before != name else "changed"
            kind = "added" if not before else "dropped" if name not in other else kind
            found.append(
                SetChange(
                    kind, name, before, tuple(sorted(gone)), tuple(sorted(new)),
                    tuple(used.get(name, ())),
                )
            )  # fmt: skip
    return tuple(found), renamed


def _families(pack: Pack) -> dict[str, frozenset[str]]:
    """Families of sites as sets of `code on site`."""
    return {
        family: frozenset(f"{code} on {site}" for code, site in members.items())
        for family, members in pack.sites.items()
    }


def _users(*packs: Pack) -> dict[str, dict[str, None]]:
    found: dict[str, dict[str, None]] = {}
    for pack in packs:
        for node in pack.nodes():
            for atom in rules.atoms(node.when):
                match atom:
                    case rules.InSet(_, name) | rules.Count(_, name) | rules.Sites(name):
                        found.setdefault(name, {})[node.node] = None
                    case _:
                        pass
    return found


# --- severities and exclusion lists -----------------------------------------------------------


def _same_lists(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, str]:
    """For each exclusion list of B the list of A that most of its principal diagnoses are in."""
    shared = Counter((b[pdx], a[pdx]) for pdx in b if pdx in a)
    shared.update({(name, name): 0 for name in b.values()})
    found: dict[str, str] = {}
    for (other, one), _ in sorted(shared.items(), key=lambda item: (-item[1], item[0])):
        if other not in found and one not in found.values():
            found[other] = one
    return {name: found.get(name, f"\0{name}") for name in b.values()}


def _severities(a: Pack, b: Pack, lists: Mapping[str, str]) -> Iterator[SeverityChange]:
    names = Names(a, b)
    switched = {*a.exclusions.values()}
    for level in ("MCC", "CC"):
        one, other = a.severity[level], b.severity[level]
        for code in sorted({*one, *other}):
            before, after = one.get(code), other.get(code)
            if before is None:
                kind = "added"
            elif after is None:
                kind = "dropped"
            # A list that no principal diagnosis switches off excludes nothing.
            elif (before if before in switched else "") != lists.get(after, ""):
                kind = "list"
            else:
                continue
            yield SeverityChange(kind, level, code, names.dx(code), before or "", after or "")


def _exclusions(a: Pack, b: Pack, lists: Mapping[str, str]) -> Iterator[ExclusionChange]:
    names = Names(a, b)
    for code in sorted({*a.exclusions, *b.exclusions}):
        before, after = a.exclusions.get(code), b.exclusions.get(code)
        if before is None:
            kind = "added"
        elif after is None:
            kind = "dropped"
        elif before != lists[after]:
            kind = "list"
        else:
            continue
        yield ExclusionChange(kind, code, names.dx(code), before or "", after or "")


# --- weights and codes ------------------------------------------------------------------------


def _weights(a: Pack, b: Pack) -> Iterator[WeightChange]:
    names = Names(a, b)
    for drg in sorted({*a.weights, *b.weights}):
        one, other = a.weights.get(drg), b.weights.get(drg)
        before, after = (w.weight if w else None for w in (one, other))
        flags = ", ".join(_flags(one, other))
        if before == after and not flags:
            continue
        kind = "changed"
        if before == after:
            kind = "flags"
        elif before is None:
            kind = "added"
        elif after is None:
            kind = "dropped"
        ratio = round(float(after / before), 6) if before and after else None
        yield WeightChange(
            kind, drg, names.drg(drg), decimal_text(before), decimal_text(after), ratio, flags
        )


def _flags(one: Weight | None, other: Weight | None) -> Iterator[str]:
    words = {True: "yes", False: "no", None: "not said"}
    for flag in ("basic", "stable") if one and other else ():
        before, after = getattr(one, flag), getattr(other, flag)
        if before != after:
            yield f"{flag}: {words[before]} → {words[after]}"


def decimal_text(weight: Fraction | None) -> str:
    """The exact decimal of a weight; empty where there is none."""
    if weight is None:
        return ""
    places = 0
    while weight * 10**places % 1:
        places += 1
    digits = str(int(weight * 10**places)).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits


def _codes(a: Pack, b: Pack) -> Iterator[ListChange]:
    for table in ("dx", "px", "dx_map", "px_map"):
        one, other = getattr(a, table), getattr(b, table)
        gone, new = sorted(one.keys() - other.keys()), sorted(other.keys() - one.keys())
        differing = sorted(code for code in one.keys() & other.keys() if one[code] != other[code])
        if gone or new or differing:
            yield ListChange(table, tuple(gone), tuple(new), tuple(differing))
