"""Rules in normal form: two texts that only write the same condition differently become one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from grouper.scheme import rules
from grouper.scheme.rules import FALSE, TRUE, And, Comparison, Not, Or, Rule

_OPPOSITE: dict[Comparison, Comparison] = {
    "==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">",
}  # fmt: skip


def normal(rule: Rule, sets: Mapping[str, str] | None = None) -> Rule:
    """The normal form of a rule.

    `not` stands before atoms only, nested `and` and `or` are one, terms are sorted and stand once,
    constants are gone, integers compare by `<` and `>=`, and `count(…) >= 1` is `in`.

    Args:
        rule: the rule.
        sets: names that sets and site families are called by instead.
    """
    return _normal(rule, sets or {}, negated=False)


def _normal(rule: Rule, sets: Mapping[str, str], *, negated: bool) -> Rule:
    match rule:
        case Not(term):
            return _normal(term, sets, negated=not negated)
        case And(terms) | Or(terms):
            # A rule is either true or false, missing values or not, so De Morgan holds.
            every = isinstance(rule, And) is not negated
            return _joined([_normal(t, sets, negated=negated) for t in terms], every=every)
        case rules.Constant(value):
            return TRUE if value is not negated else FALSE
        case _:
            return _atom(rule, sets, negated=negated)


def _joined(terms: Iterable[Rule], *, every: bool) -> Rule:
    kind = And if every else Or
    neutral, final = (TRUE, FALSE) if every else (FALSE, TRUE)
    found: dict[str, Rule] = {}
    for term in terms:
        for part in term.terms if isinstance(term, kind) else (term,):
            if part == final:
                return final
            if part != neutral:
                found[str(part)] = part
    if not found:
        return neutral
    ordered = tuple(found[text] for text in sorted(found))
    return ordered[0] if len(ordered) == 1 else kind(ordered)


def _atom(atom: rules.Atom, sets: Mapping[str, str], *, negated: bool) -> Rule:
    match atom:
        case rules.InSet(codes, name):
            atom = rules.InSet(codes, sets.get(name, name))
        case rules.Count(codes, name, comparison, value):
            # Counts are never missing, so their `not` is the opposite comparison.
            comparison = _OPPOSITE[comparison] if negated else comparison
            comparison, value = _ordered(comparison, value)
            name = sets.get(name, name)
            if value == 1 and comparison in ("<", ">="):
                inside = rules.InSet(codes, name)
                return inside if comparison == ">=" else Not(inside)
            return rules.Count(codes, name, comparison, value)
        case rules.Sites(family, comparison, value):
            comparison = _OPPOSITE[comparison] if negated else comparison
            return rules.Sites(sets.get(family, family), *_ordered(comparison, value))
        case rules.Compare(number, comparison, value):
            atom = rules.Compare(number, *_ordered(comparison, value))
        case rules.Discharge(values):
            atom = replace(atom, values=tuple(sorted(set(values))))
        case _:
            pass
    return Not(atom) if negated else atom


def _ordered(comparison: Comparison, value: int) -> tuple[Comparison, int]:
    match comparison:
        case "<=":
            return "<", value + 1
        case ">":
            return ">=", value + 1
        case _:
            return comparison, value
