"""What the rules may ask of one case, and what decides them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING

from grouper.explain.model import TestTrace
from grouper.scheme import rules
from grouper.scheme.rules import Rule, compares

if TYPE_CHECKING:
    from grouper.explain.walk import Explainer


class Facts:
    """What the rules may ask of one case."""

    def __init__(
        self, explainer: Explainer, case: Mapping[str, object], dx: Sequence[str], px: Sequence[str]
    ) -> None:
        self.explainer = explainer
        self.case = case
        self.dx = dx
        self.px = px
        self.exclusion = (explainer.exclusions.best(dx[0]) or "") if dx else ""

    def with_procedures(self, px: Sequence[str]) -> Facts:
        """The same case with other procedures."""
        return Facts(self.explainer, self.case, self.dx, px)

    def listed(self, name: str) -> Sequence[str]:
        """The codes of `pdx`, `any_dx` …"""
        codes = self.dx if name.endswith("dx") else self.px
        if name.startswith("any"):
            return codes
        return codes[1:] if name.startswith("other") else codes[:1]

    def in_set(self, codes: str, name: str) -> tuple[str, ...]:
        """The codes of a list that lie in a set, repeats kept."""
        sets = self.explainer.sets_of
        return tuple(code for code in self.listed(codes) if name in sets(code))

    def complications(self, level: str) -> list[tuple[str, str, bool]]:
        """Other diagnoses of a level: code, its exclusion list, whether it is excluded."""
        table = self.explainer.severity[level]
        found = []
        for code in self.dx[1:]:
            exclusion = table.best(code) if code else None
            if exclusion is not None:
                found.append((code, exclusion, bool(exclusion) and exclusion == self.exclusion))
        return found

    def number(self, name: str) -> int | None:
        """The value of an integer column."""
        value = self.case.get(name)
        return int(value) if isinstance(value, Integral) else None

    def text(self, name: str) -> str | None:
        """The value of a text column."""
        value = self.case.get(name)
        return value if isinstance(value, str) else None

    def test(self, atom: rules.Atom) -> TestTrace:
        """One condition and what it met."""
        rule = str(atom)
        match atom:
            case rules.Constant(value):
                return TestTrace(rule, value)
            case rules.Severity(level):
                found = self.complications(level.upper())
                codes = tuple(code for code, _, excluded in found if not excluded)
                return TestTrace(rule, bool(codes), codes)
            case rules.InSet(listed, name):
                codes = self.in_set(listed, name)
                return TestTrace(rule, bool(codes), codes)
            case rules.Count(listed, name, comparison, value):
                codes = self.in_set(listed, name)
                return TestTrace(rule, compares(len(codes), comparison, value), codes, len(codes))
            case rules.Sites(family, comparison, value):
                on = [(c, self.explainer.sites[family].best(c)) for c in self.dx if c]
                sites = {site for _, site in on if site is not None}
                codes = tuple(code for code, site in on if site is not None)
                return TestTrace(rule, compares(len(sites), comparison, value), codes, len(sites))
            case rules.Compare(name, comparison, value):
                number = self.number(name)
                return TestTrace(rule, compares(number, comparison, value), value=number)
            case rules.Discharge(values):
                number = self.number("discharge")
                return TestTrace(rule, number in values, value=number)
            case rules.Dept(name):
                text = self.text("dept")
                return TestTrace(rule, text == name, text=text)

    def judge(self, rule: Rule) -> tuple[bool, tuple[TestTrace, ...]]:
        """Whether a rule holds, and the conditions that make it so."""
        match rule:
            case rules.Not(term):
                holds, tests = self.judge(term)
                return not holds, tests
            case rules.And(terms) | rules.Or(terms):
                judged = [self.judge(term) for term in terms]
                every = isinstance(rule, rules.And)
                results = [holds for holds, _ in judged]
                holds = all(results) if every else any(results)
                if holds is every:
                    return holds, tuple(t for _, tests in judged for t in tests)
                return holds, tuple(t for own, tests in judged if own is holds for t in tests)
            case _:
                test = self.test(rule)
                return test.holds, (test,)

    def holds(self, rule: Rule) -> bool:
        """Whether a rule holds."""
        match rule:
            case rules.Not(term):
                return not self.holds(term)
            case rules.And(terms):
                return all(self.holds(term) for term in terms)
            case rules.Or(terms):
                return any(self.holds(term) for term in terms)
            case rules.Constant(value):
                return value
            case rules.InSet(listed, name):
                sets = self.explainer.sets_of
                return any(name in sets(code) for code in self.listed(listed))
            case _:
                return self.test(rule).holds
