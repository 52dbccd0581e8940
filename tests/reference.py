"""A second grouper, plain Python, written from scheme-pack.md and from nothing else.

It walks the decision list of a parsed pack case by case and looks at every rule as it stands: no
partial evaluation, no graphs, no arrays, and its own way to match codes. What the engine answers
must be what this answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from grouper.scheme import rules
from grouper.scheme.pack import Pack
from grouper.scheme.rules import Rule

Codes = Sequence[str | None]
BLANKS = " \t\n\v\f\r\u3000"


class Answer(NamedTuple):
    status: str
    mdc: str = ""
    adrg: str = ""
    drg: str = ""
    severity: str = ""
    reason: str = ""


@dataclass
class CodeSet:
    """Codes as written: exact ones, and prefixes without their mark."""

    exact: frozenset[str]
    prefixes: tuple[str, ...]

    @classmethod
    def of(cls, written: Iterable[str]) -> CodeSet:
        written = list(written)
        return cls(
            frozenset(c for c in written if not c.endswith("%")),
            tuple({c[:-1] for c in written if c.endswith("%")}),
        )

    def holds(self, code: str | None) -> bool:
        if code is None or not code.strip(BLANKS):
            return False
        return code in self.exact or code.startswith(self.prefixes)


@dataclass
class Best:
    """A table in which only one row can hold: exact first, then the longest prefix."""

    exact: dict[str, str] = field(default_factory=dict)
    prefixes: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, table: Mapping[str, str]) -> Best:
        best = cls()
        for written, value in table.items():
            if written.endswith("%"):
                best.prefixes.append((written[:-1], value))
            else:
                best.exact[written] = value
        best.prefixes.sort(key=lambda row: len(row[0]), reverse=True)
        return best

    def get(self, code: str | None) -> str | None:
        if code is None or not code.strip(BLANKS):
            return None
        if code in self.exact:
            return self.exact[code]
        for prefix, value in self.prefixes:
            if code.startswith(prefix):
                return value
        return None


class Reference:
    """The plain grouper of one pack."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.sets = {name: CodeSet.of(codes) for name, codes in pack.sets.items()}
        self.sites = {name: Best.of(table) for name, table in pack.sites.items()}
        self.severity = {level: Best.of(table) for level, table in pack.severity.items()}
        self.exclusions = Best.of(pack.exclusions)

    def translated(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """The case with codes of another edition mapped: one step, and only unknown codes."""
        pack = self.pack
        told = [CodeSet.of(codes) for codes in pack.sets.values()]
        dx = [CodeSet.of(table) for table in (*pack.severity.values(), *pack.sites.values())]
        dx += [CodeSet.of(pack.exclusions), CodeSet.of(pack.dx)]
        changed = dict(case)
        for column, table, known in (
            ("dx", pack.dx_map, self.by_list("dx", told) + dx),
            ("px", pack.px_map, [*self.by_list("px", told), CodeSet.of(pack.px)]),
        ):
            if case.get(column) is None:
                continue
            codes = [c if any(s.holds(c) for s in known) else table.get(c, c) for c in case[column]]
            changed[column] = [c for c in codes if c != "-"]
        return changed

    def by_list(self, kind: str, told: list[CodeSet]) -> list[CodeSet]:
        """The sets that rules ask of diagnoses (or procedures), and those no rule asks for."""
        asked: dict[str, set[str]] = {}
        for node in self.pack.nodes():
            for atom in rules.atoms(node.when):
                if isinstance(atom, rules.InSet | rules.Count):
                    asked.setdefault(atom.set, set()).add(atom.codes[-2:])
        names = self.pack.sets
        return [s for n, s in zip(names, told, strict=True) if kind in asked.get(n, {kind})]

    def group(self, case: Mapping[str, Any], duplicates: Collection[str] = ()) -> Answer:
        """The answer for a case given as column → value; an absent column is null."""
        if case.get("case_id") is None:
            return Answer("invalid", reason="no_id")
        if case["case_id"] in duplicates:
            return Answer("invalid", reason="duplicate_id")
        dx: Codes = case.get("dx") or []
        px: Codes = case.get("px") or []
        if not dx or dx[0] is None or not dx[0].strip(BLANKS):
            return Answer("invalid", reason="no_diagnosis")
        severity = next((s for s in ("MCC", "CC") if self.complicated(s, dx)), "none")
        answer = self.walk(case, dx, px)
        if answer is None and self.pack.retry_other_procedures:
            for code in px[1:]:
                if code is None or not code.strip(BLANKS):
                    continue
                answer = self.walk(case, dx, [code])
                if answer is not None:
                    break
        return (answer or Answer("ungrouped"))._replace(severity=severity)

    def walk(self, case: Mapping[str, Any], dx: Codes, px: Codes) -> Answer | None:
        for mdc in self.pack.mdcs:
            if not self.holds(mdc.when, case, dx, px):
                continue
            for adrg in mdc.adrgs:
                if not self.holds(adrg.when, case, dx, px):
                    continue
                for drg in adrg.drgs:
                    if self.holds(drg.when, case, dx, px):
                        if drg.code[1:3] == "QY":
                            return Answer("ambiguous", mdc.code, "", drg.code)
                        return Answer("grouped", mdc.code, adrg.code, drg.code)
        return None

    def complicated(self, level: str, dx: Codes) -> bool:
        switched_off = self.exclusions.get(dx[0]) or None
        for code in dx[1:]:
            exclusion = self.severity[level].get(code)  # type: ignore[index]
            if exclusion is None:
                continue
            if not exclusion or exclusion != switched_off:
                return True
        return False

    def holds(self, rule: Rule, case: Mapping[str, Any], dx: Codes, px: Codes) -> bool:
        match rule:
            case rules.Constant(value):
                return value
            case rules.Not(term):
                return not self.holds(term, case, dx, px)
            case rules.And(terms):
                return all(self.holds(t, case, dx, px) for t in terms)
            case rules.Or(terms):
                return any(self.holds(t, case, dx, px) for t in terms)
            case rules.Severity(level):
                return self.complicated(level.upper(), dx)
            case rules.InSet(codes, name):
                return any(self.sets[name].holds(c) for c in listed(codes, dx, px))
            case rules.Count(codes, name, comparison, value):
                found = sum(self.sets[name].holds(c) for c in listed(codes, dx, px))
                return compares(found, comparison, value)
            case rules.Sites(family, comparison, value):
                sites = {self.sites[family].get(c) for c in dx} - {None}
                return compares(len(sites), comparison, value)
            case rules.Compare(number, comparison, value):
                return compares(case.get(number), comparison, value)
            case rules.Discharge(values):
                return case.get("discharge") in values
            case rules.Dept(name):
                return case.get("dept") == name


def listed(name: str, dx: Codes, px: Codes) -> Codes:
    codes = dx if name.endswith("dx") else px
    if name.startswith("p"):
        return codes[:1]
    return codes[1:] if name.startswith("other") else codes


def compares(left: int | None, comparison: str, right: int) -> bool:
    if left is None:
        return False
    return {
        "==": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[comparison]
