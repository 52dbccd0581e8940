"""What a rule asks of a case, as alternatives that a generator can fill in.

A rule becomes a list of demands; a case that meets any one of them meets the rule. `any_dx` turns
into "the principal or another", a negated comparison into its complement, and so on, so that a
demand names only principal codes, other codes, ranges and complications.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from grouper.scheme import rules
from grouper.scheme.rules import Comparison, Rule

DISCHARGES: Final = frozenset(range(1, 10))
"""Ways of discharge (离院方式) that a rule may name; most regions use 1 to 5 and 9."""

# A rule with more alternatives than this is only sampled; every published rule has fewer than ten.
MOST_ALTERNATIVES: Final = 64

Names = frozenset[str]
NONE: Names = frozenset()


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number, both included; `missing` says whether a null will do as well."""

    low: float = -math.inf
    high: float = math.inf
    missing: bool = True

    def join(self, other: Range) -> Range | None:
        """Both at once; None where nothing is left."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        missing = self.missing and other.missing
        return Range(low, high, missing) if low <= high else None


@dataclass(frozen=True, slots=True)
class Demand:
    """One way to meet a rule.

    Attributes:
        pdx_in, pdx_out, ppx_in, ppx_out: sets that hold, or must not hold, the principal code.
        dx_in, px_in: sets of which another code is needed, one entry per code.
        dx_out, px_out: sets that must hold no other code.
        sites: family and how many different sites at least.
        few_sites: families that must not fall on several sites.
        numbers: bounds by name.
        mcc, cc: whether the complication is needed, barred, or either (None).
        discharge: allowed ways of discharge; dept: needed department; not_dept: barred ones.
    """

    pdx_in: Names = NONE
    pdx_out: Names = NONE
    ppx_in: Names = NONE
    ppx_out: Names = NONE
    dx_in: tuple[str, ...] = ()
    dx_out: Names = NONE
    px_in: tuple[str, ...] = ()
    px_out: Names = NONE
    sites: tuple[tuple[str, int], ...] = ()
    few_sites: Names = NONE
    numbers: Mapping[str, Range] = field(default_factory=dict)
    mcc: bool | None = None
    cc: bool | None = None
    discharge: frozenset[int] = DISCHARGES
    dept: str | None = None
    not_dept: Names = NONE

    def join(self, other: Demand) -> Demand | None:
        """Both demands at once; None where they contradict each other."""
        numbers = dict(self.numbers)
        for name, bounds in other.numbers.items():
            both = numbers[name].join(bounds) if name in numbers else bounds
            if both is None:
                return None
            numbers[name] = both
        mcc, cc = _either(self.mcc, other.mcc), _either(self.cc, other.cc)
        discharge = self.discharge & other.discharge
        if mcc == _CLASH or cc == _CLASH or not discharge:
            return None
        if self.dept is not None and other.dept is not None and self.dept != other.dept:
            return None
        joined = Demand(
            pdx_in=self.pdx_in | other.pdx_in,
            pdx_out=self.pdx_out | other.pdx_out,
            ppx_in=self.ppx_in | other.ppx_in,
            ppx_out=self.ppx_out | other.ppx_out,
            dx_in=self.dx_in + other.dx_in,
            dx_out=self.dx_out | other.dx_out,
            px_in=self.px_in + other.px_in,
            px_out=self.px_out | other.px_out,
            sites=self.sites + other.sites,
            few_sites=self.few_sites | other.few_sites,
            numbers=numbers,
            mcc=None if mcc is None else mcc == 1,
            cc=None if cc is None else cc == 1,
            discharge=discharge,
            dept=self.dept if self.dept is not None else other.dept,
            not_dept=self.not_dept | other.not_dept,
        )
        return None if joined._contradicts() else joined

    def _contradicts(self) -> bool:
        return bool(
            self.pdx_in & self.pdx_out
            or self.ppx_in & self.ppx_out
            or self.dx_out.intersection(self.dx_in)
            or self.px_out.intersection(self.px_in)
            or self.dept in self.not_dept
        )

    @property
    def further_codes(self) -> int:
        """How many codes are needed beside the principal ones."""
        return len(self.dx_in) + len(self.px_in) + sum(n for _, n in self.sites)

    @property
    def needs_procedure(self) -> bool:
        """Whether a case without any procedure fails it."""
        return bool(self.ppx_in or self.px_in)


_CLASH: Final = -1


def _either(a: bool | None, b: bool | None) -> int | None:
    if a is None or b is None:
        one = b if a is None else a
        return None if one is None else int(one)
    return int(a) if a == b else _CLASH


NOTHING: Final = Demand()


def both(first: Iterable[Demand], second: Iterable[Demand]) -> list[Demand]:
    """All ways to meet two lists of alternatives at once."""
    second = list(second)
    found: list[Demand] = []
    for a in first:
        for b in second:
            joined = a.join(b)
            if joined is not None and joined not in found:
                found.append(joined)
                if len(found) == MOST_ALTERNATIVES:
                    return found
    return found


def demands(rule: Rule, holds: bool = True) -> list[Demand]:
    """The ways to make a rule true (or, with `holds` False, not true)."""
    match rule:
        case rules.Not(term):
            return demands(term, not holds)
        case rules.And(terms) if holds:
            return _all(terms, holds)
        case rules.Or(terms) if not holds:
            return _all(terms, holds)
        case rules.And(terms) | rules.Or(terms):
            found = [demand for term in terms for demand in demands(term, holds)]
            return found[:MOST_ALTERNATIVES]
        case rules.Constant(value):
            return [NOTHING] if value == holds else []
        case rules.Severity(level):
            return [Demand(mcc=holds) if level == "mcc" else Demand(cc=holds)]
        case rules.InSet(codes, name):
            return _count(codes, name, Range(low=1) if holds else Range(high=0))
        case rules.Count(codes, name, comparison, value):
            found = []
            for bounds in _ranges(comparison, value, holds):
                found.extend(_count(codes, name, bounds))
            return found
        case rules.Sites(family, comparison, value):
            return [_on_sites(family, bounds) for bounds in _ranges(comparison, value, holds)]
        case rules.Compare(number, comparison, value):
            return [
                Demand(numbers={number: replace(bounds, missing=not holds)})
                for bounds in _ranges(comparison, value, holds)
            ]
        case rules.Discharge(values):
            named = frozenset(values)
            return [Demand(discharge=named if holds else DISCHARGES - named)]
        case rules.Dept(name):
            return [Demand(dept=name) if holds else Demand(not_dept=frozenset((name,)))]


def _all(terms: Iterable[Rule], holds: bool) -> list[Demand]:
    found = [NOTHING]
    for term in terms:
        found = both(found, demands(term, holds))
    return found


def _ranges(comparison: Comparison, value: int, holds: bool) -> list[Range]:
    below, upto = Range(high=value - 1), Range(high=value)
    above, from_here = Range(low=value + 1), Range(low=value)
    match comparison:
        case "<":
            return [below if holds else from_here]
        case "<=":
            return [upto if holds else above]
        case ">":
            return [above if holds else upto]
        case ">=":
            return [from_here if holds else below]
        case "==":
            equal = holds
        case "!=":
            equal = not holds
    return [Range(value, value)] if equal else [below, above]


def _count(codes: rules.ListName, name: str, bounds: Range) -> list[Demand]:
    """Ways to have so many codes of a list in a set."""
    one = frozenset((name,))
    diagnosis = codes in rules.DIAGNOSIS_LISTS
    principal = Demand(pdx_in=one) if diagnosis else Demand(ppx_in=one)
    no_principal = Demand(pdx_out=one) if diagnosis else Demand(ppx_out=one)
    no_other = Demand(dx_out=one) if diagnosis else Demand(px_out=one)
    least = max(0, int(bounds.low)) if bounds.low > -math.inf else 0
    if bounds.high < least:
        return []

    def others(n: int) -> Demand:
        return Demand(dx_in=(name,) * n) if diagnosis else Demand(px_in=(name,) * n)

    if codes in ("pdx", "ppx"):
        if least > 1:
            return []
        if least == 1:
            return [principal]
        return [no_principal] if bounds.high < 1 else [NOTHING]
    if codes in ("other_dx", "other_px"):
        if least:
            return [others(least)]
        return [no_other] if bounds.high < 1 else [NOTHING]
    if least:
        return [*both([principal], [others(least - 1)]), others(least)]
    if bounds.high < 1:
        return both([no_principal], [no_other])
    return [NOTHING]


def _on_sites(family: str, bounds: Range) -> Demand:
    if bounds.low > 0:
        return Demand(sites=((family, int(bounds.low)),))
    return Demand(few_sites=frozenset((family,)))
