"""Walking the decision list of a pack with one case, rule text by rule text.

The kernel answers the same for millions of cases from compiled arrays; this walks the pack itself
and keeps what it saw. It is quick enough for samples of thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from grouper.errors import PackError
from grouper.explain.facts import Facts
from grouper.explain.model import (
    CodeChange,
    CodeNote,
    Complication,
    Explanation,
    NodeTrace,
    Result,
    RunnerUp,
    Walk,
)
from grouper.explain.nearby import runners_up
from grouper.scheme import Scheme, rules
from grouper.scheme.codes import PREFIX_MARK, CodeMap, code_map
from grouper.scheme.compile import compile_pack
from grouper.scheme.editions import DROP, applied, known_codes, translated
from grouper.scheme.model import Adrg, Drg, Mdc

NOTHING: frozenset[str] = frozenset()
_BLANKS = " \t\n\v\f\r\u3000"


class Answer(NamedTuple):
    """The nodes that a case fell through."""

    mdc: Mdc
    adrg: Adrg
    drg: Drg


class Explainer:
    """Explains cases by one scheme; made once for many cases."""

    def __init__(self, scheme: Scheme) -> None:
        pack = scheme.pack
        self.scheme = scheme
        self.pack = pack
        self.sites = {family: code_map(table) for family, table in pack.sites.items()}
        self.severity = {level: code_map(table) for level, table in pack.severity.items()}
        self.exclusions = code_map(pack.exclusions)
        self.known_dx = known_codes(scheme.compiled.dx)
        self.known_px = known_codes(scheme.compiled.px)
        self.dx_map: dict[str, str] = {}
        self.px_map: dict[str, str] = {}
        if scheme.edition:
            # The scheme's own tables hold the other edition's codes already; the pack's do not.
            own = compile_pack(pack)
            self.known_dx, self.known_px = known_codes(own.dx), known_codes(own.px)
            self.dx_map = dict(applied(self.known_dx, pack.dx_map))
            self.px_map = dict(applied(self.known_px, pack.px_map))
        self._sets = CodeMap((code, name) for name, codes in pack.sets.items() for code in codes)
        self._sets_of: dict[str, frozenset[str]] = {"": NOTHING}
        self._examples: dict[tuple[str, bool], str | None] = {}
        self.other_dx_sets = frozenset(
            atom.set
            for node in pack.nodes()
            for atom in rules.atoms(node.when)
            if isinstance(atom, rules.InSet | rules.Count) and atom.codes in ("any_dx", "other_dx")
        )

    def sets_of(self, code: str) -> frozenset[str]:
        """The sets that a code lies in; a blank one is empty here and in none."""
        found = self._sets_of.get(code)
        if found is None:
            found = self._sets_of[code] = frozenset(self._sets.every(code))
        return found

    def example(self, name: str, *, diagnosis: bool) -> str | None:
        """A code of a set, if possible one that the pack can name."""
        key = (name, diagnosis)
        if key not in self._examples:
            names = self.pack.dx if diagnosis else self.pack.px
            exact = [c for c in self.pack.sets[name] if not c.endswith(PREFIX_MARK)]
            named = (c for c in exact if c in names)
            self._examples[key] = next(named, exact[0] if exact else None)
        return self._examples[key]

    def explain(self, case: Mapping[str, object], *, nearby: bool = False) -> Explanation:
        """Explain one case.

        Args:
            case: values by column name; an absent column is null. `dx` and `px` are sequences of
                codes, the principal one first.
            nearby: whether to look for groups that are one change away.
        """
        given_dx, given_px = _codes(case.get("dx")), _codes(case.get("px"))
        facts = Facts(
            self, case, translated(given_dx, self.dx_map), translated(given_px, self.px_map)
        )
        case_id = case.get("case_id")
        reason = ""
        if case_id is None:
            reason = "no_id"
        elif not facts.dx or not facts.dx[0]:
            reason = "no_diagnosis"
        result = Result(str(case_id or ""), "invalid", reason=reason)
        walks: tuple[Walk, ...] = ()
        near: tuple[RunnerUp, ...] = ()
        answer: Answer | None = None
        if not reason:
            walks, answer = self._walks(facts)
            result = self._result(facts, str(case_id), answer)
            near = runners_up(facts, answer) if nearby else ()
        complications = (
            Complication(code, self.pack.dx.get(code, ""), level, exclusion, excluded)
            for level in ("MCC", "CC")
            for code, exclusion, excluded in facts.complications(level)
        )
        return Explanation(
            scheme=self.scheme.id,
            result=result,
            drg_name=answer.drg.name if answer else "",
            diagnoses=_notes(facts.dx, self.pack.dx, self.known_dx),
            procedures=_notes(facts.px, self.pack.px, self.known_px),
            mapped=(*_mapped(given_dx, self.dx_map), *_mapped(given_px, self.px_map)),
            exclusion=facts.exclusion,
            complications=tuple(complications),
            walks=walks,
            runners_up=near,
        )

    def answer(self, facts: Facts) -> Answer | None:
        """The answer alone, with further procedures tried where the scheme says so."""
        for tried in (facts, *self._further(facts)):
            for mdc in self.pack.mdcs:
                if not tried.holds(mdc.when):
                    continue
                for adrg in mdc.adrgs:
                    if not tried.holds(adrg.when):
                        continue
                    for drg in adrg.drgs:
                        if tried.holds(drg.when):
                            return Answer(mdc, adrg, drg)
        return None

    def _further(self, facts: Facts) -> list[Facts]:
        if not self.pack.retry_other_procedures:
            return []
        return [facts.with_procedures((code,)) for code in facts.px[1:] if code]

    def _walks(self, facts: Facts) -> tuple[tuple[Walk, ...], Answer | None]:
        walks: list[Walk] = []
        for number, tried in enumerate((facts, *self._further(facts))):
            nodes, answer = _walk(self.pack.mdcs, tried)
            walks.append(Walk(tried.px[0] if number else "", nodes))
            if answer is not None:
                return tuple(walks), answer
        return tuple(walks), None

    def _result(self, facts: Facts, case_id: str, answer: Answer | None) -> Result:
        severity = "none"
        for level in ("CC", "MCC"):
            if any(not excluded for _, _, excluded in facts.complications(level)):
                severity = level
        if answer is None:
            return Result(case_id, "ungrouped", severity=severity)
        mdc, drg = answer.mdc.code, answer.drg.code
        if answer.drg.ambiguous:
            return Result(case_id, "ambiguous", mdc, "", drg, severity)
        return Result(case_id, "grouped", mdc, answer.adrg.code, drg, severity)


def explainer_of(scheme: Scheme) -> Callable[[Mapping[str, object]], Explainer]:
    """Who explains a case: of a registry, the scheme valid on the day of its discharge.

    Raises:
        PackError: (on a call) no scheme of the registry is valid on that day.
    """
    made: dict[str, Explainer] = {}

    def choose(case: Mapping[str, object]) -> Explainer:
        day = case.get("discharge_date")
        member = scheme.on(day if isinstance(day, date) else None)
        if member is None:
            raise PackError(
                f"no pack of {scheme.id} is valid on the day of discharge ({day or 'unknown'})",
                hint="the packs' valid_from and valid_to stand in their scheme.toml",
            )
        if member.digest not in made:
            made[member.digest] = Explainer(member)
        return made[member.digest]

    return choose


def explain_case(
    case: Mapping[str, object], scheme: Scheme, *, nearby: bool = False
) -> Explanation:
    """Explain one case; for many cases make one `Explainer`.

    >>> from grouper import load_scheme
    >>> case = {"case_id": "1", "dx": ["K35.900"], "px": ["47.0901"]}
    >>> explain_case(case, load_scheme("chs-core")).result.adrg
    'GD2'
    """
    return explainer_of(scheme)(case).explain(case, nearby=nearby)


def _codes(values: object) -> tuple[str, ...]:
    """The codes of a list; a null or blank one becomes empty and keeps its position."""
    if not isinstance(values, Sequence):
        return ()
    return tuple("" if v is None or not str(v).strip(_BLANKS) else str(v) for v in values)


def _mapped(codes: Sequence[str], table: Mapping[str, str]) -> tuple[CodeChange, ...]:
    return tuple(
        CodeChange(code, "" if table[code] == DROP else table[code])
        for code in codes
        if code in table
    )


def _notes(
    codes: Sequence[str], names: Mapping[str, str], known: CodeMap[int]
) -> tuple[CodeNote, ...]:
    return tuple(
        CodeNote(code, names.get(code, ""), bool(code) and known.best(code) is not None)
        for code in codes
    )


def _walk(mdcs: Sequence[Mdc], facts: Facts) -> tuple[tuple[NodeTrace, ...], Answer | None]:
    traces: list[NodeTrace] = []
    for mdc in mdcs:
        holds, tests = facts.judge(mdc.when)
        children: tuple[NodeTrace, ...] = ()
        answer: Answer | None = None
        if holds:
            children, answer = _walk_mdc(mdc, facts)
        traces.append(
            NodeTrace(
                "mdc", mdc.node, mdc.code, mdc.name, mdc.text, mdc.line, holds, tests, children
            )
        )
        if answer is not None:
            return tuple(traces), answer
    return tuple(traces), None


def _walk_mdc(mdc: Mdc, facts: Facts) -> tuple[tuple[NodeTrace, ...], Answer | None]:
    traces: list[NodeTrace] = []
    for adrg in mdc.adrgs:
        holds, tests = facts.judge(adrg.when)
        children: list[NodeTrace] = []
        chosen: Drg | None = None
        for drg in adrg.drgs if holds else ():
            fits, why = facts.judge(drg.when)
            children.append(
                NodeTrace("drg", drg.code, drg.code, drg.name, drg.text, drg.line, fits, why)
            )
            if fits:
                chosen = drg
                break
        traces.append(
            NodeTrace(
                "adrg", adrg.node, adrg.code, adrg.name, adrg.text, adrg.line, holds, tests,
                tuple(children),
            )
        )  # fmt: skip
        if chosen is not None:
            return tuple(traces), Answer(mdc, adrg, chosen)
    return tuple(traces), None
