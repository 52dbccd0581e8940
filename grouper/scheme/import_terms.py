"""Rules with guards in them, on their way from Python to the rule language.

Python must ask whether there is a procedure before it looks at the first one. In the rule language
an absent code is in no set and a missing number compares with nothing, so such a guard says nothing
where it stands beside the condition that it guards, and is left out there.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace

from grouper.scheme import rules
from grouper.scheme.rules import FALSE, INTEGER_MIN, TRUE, And, Not, Or, Rule


class Unreadable(Exception):  # noqa: N818 - a finding, gathered and reported
    """A piece of Python that has no known meaning."""

    def __init__(self, node: ast.AST, message: str) -> None:
        super().__init__(message)
        self.line = getattr(node, "lineno", 0)


@dataclass(frozen=True, slots=True)
class Given:
    """A guard: the case has procedures (`px`), further ones (`other_px`, `other_dx`), or a number.

    Attributes:
        absent: the guard asks for the contrary.
    """

    what: str
    absent: bool = False


Term = Rule | Given

_GONE = {
    "px": frozenset(("ppx", "any_px", "other_px")),
    "other_px": frozenset(("other_px",)),
    "other_dx": frozenset(("other_dx",)),
}


def without(term: Term, what: str) -> bool | None:
    """What a term is where `what` is absent; None where that depends on other things."""
    match term:
        case rules.Constant(value):
            return value
        case rules.InSet(codes):
            return False if codes in _GONE.get(what, ()) else None
        case rules.Severity():
            return False if what == "other_dx" else None
        case rules.Compare(number):
            return False if number == what else None
        case rules.Discharge():
            return False if what == "discharge" else None
        case Not(inner):
            found = without(inner, what)
            return None if found is None else not found
        case And(terms) | Or(terms):
            decisive = isinstance(term, Or)
            all_found = [without(t, what) for t in terms]
            if decisive in all_found:
                return decisive
            return None if None in all_found else not decisive
        case _:
            return None


def settled(term: Term, node: ast.AST) -> Rule:
    """The term as a rule.

    Raises:
        Unreadable: a guard that no condition beside it makes needless, and no rule can say.
    """
    if not isinstance(term, Given):
        return term
    if term.what in _GONE:
        raise Unreadable(node, "the rule language cannot ask whether a case has any code at all")
    if term.what == "discharge":
        raise Unreadable(node, "the rule language cannot ask whether discharge is given")
    found = rules.Compare(term.what, ">=", INTEGER_MIN)
    return Not(found) if term.absent else found


def negated(term: Term) -> Term:
    """The contrary."""
    match term:
        case Given(absent=absent):
            return replace(term, absent=not absent)
        case rules.Constant(value):
            return FALSE if value else TRUE
        case Not(inner):
            return inner
        case _:
            return Not(term)


def every(terms: Sequence[Term], node: ast.AST) -> Term:
    """All of the terms."""
    return _joined(terms, And, node)


def some(terms: Sequence[Term], node: ast.AST) -> Term:
    """At least one of the terms."""
    return _joined(terms, Or, node)


def _joined(terms: Sequence[Term], kind: type[And] | type[Or], node: ast.AST) -> Term:
    nothing, decisive = (TRUE, FALSE) if kind is And else (FALSE, TRUE)
    flat: list[Term] = []
    for term in terms:
        inner = term.terms if isinstance(term, kind) else (term,)
        flat.extend(t for t in inner if t != nothing and t not in flat)
    if decisive in flat:
        return decisive
    kept: list[Term] = []
    for number, term in enumerate(flat):
        beside = [*kept, *flat[number + 1 :]]
        # "there is one, and …" needs no saying where the rest fails without one; "there is none,
        # or …" where the rest holds without one.
        if isinstance(term, Given) and term.absent is (kind is Or):
            wanted = kind is Or
            if any(without(other, term.what) is wanted for other in beside):
                continue
        kept.append(term)
    if len(kept) == 1:
        return kept[0]
    return kind(tuple(settled(term, node) for term in kept)) if kept else nothing
