"""Groups that are one change away from a case: "with code X it would be Y".

Each proposal is tried by walking the decision list with the changed case, so what is said holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from grouper.explain.model import Change, RunnerUp
from grouper.scheme import rules

if TYPE_CHECKING:
    from grouper.explain.facts import Facts
    from grouper.explain.walk import Answer
    from grouper.scheme.model import Adrg, Drg


class _Proposal(NamedTuple):
    change: Change
    code: str
    value: int | None
    facts: Facts


def runners_up(facts: Facts, answer: Answer | None) -> tuple[RunnerUp, ...]:
    """The groups that one change leads to, each with the first change that does."""
    here = (answer.adrg.code, answer.drg.code) if answer else None
    found: dict[tuple[str, str, str] | None, RunnerUp] = {}
    for proposal in _proposals(facts, answer):
        other = facts.explainer.answer(proposal.facts)
        there = (other.adrg.code, other.drg.code) if other else None
        if there == here:
            continue
        # Dropping a code tells of the code, so each stands; adding one tells of the group.
        about = "" if proposal.change.startswith("add") else proposal.change + proposal.code
        key = (*there, about) if there else ("", "", about)
        if key not in found:
            found[key] = _runner_up(proposal, other)
    return tuple(found.values())


def _runner_up(proposal: _Proposal, answer: Answer | None) -> RunnerUp:
    change, code, value, facts = proposal
    pack = facts.explainer.pack
    name = (
        "" if change == "value" else (pack.dx if "diagnosis" in change else pack.px).get(code, "")
    )
    if answer is None:
        return RunnerUp(change, code, name, value, "ungrouped", "", "", "", "")
    ambiguous = answer.drg.ambiguous
    return RunnerUp(
        change,
        code,
        name,
        value,
        "ambiguous" if ambiguous else "grouped",
        answer.mdc.code,
        "" if ambiguous else answer.adrg.code,
        answer.drg.code,
        answer.drg.name,
    )


def _proposals(facts: Facts, answer: Answer | None) -> Iterator[_Proposal]:
    dx, px = facts.dx, facts.px
    for at, code in enumerate(dx[1:], 1):
        if code:
            rest = (*dx[:at], *dx[at + 1 :])
            yield _Proposal("drop_diagnosis", code, None, _changed(facts, rest, px))
            swapped = (code, *dx[:at], *dx[at + 1 :])
            yield _Proposal("principal_diagnosis", code, None, _changed(facts, swapped, px))
    for at, code in enumerate(px):
        if code:
            rest = (*px[:at], *px[at + 1 :])
            yield _Proposal("drop_procedure", code, None, _changed(facts, dx, rest))
            if at:
                swapped = (code, *px[:at], *px[at + 1 :])
                yield _Proposal("principal_procedure", code, None, _changed(facts, dx, swapped))
    for level in ("CC", "MCC"):
        added = _complication(facts, level)
        if added is not None:
            yield _Proposal("add_diagnosis", added, None, _changed(facts, (*dx, added), px))
    for atom in _failed_atoms(facts, answer):
        yield from _mended(facts, atom)


def _changed(facts: Facts, dx: Sequence[str], px: Sequence[str]) -> Facts:
    return type(facts)(facts.explainer, facts.case, tuple(dx), tuple(px))


def _complication(facts: Facts, level: str) -> str | None:
    """A code of the level that this principal diagnosis does not exclude and no rule asks for."""
    explainer = facts.explainer
    other = {"CC": "MCC", "MCC": "CC"}[level]
    for code, exclusion in explainer.pack.severity[level].items():
        if (
            code in explainer.pack.dx
            and (not exclusion or exclusion != facts.exclusion)
            and code not in facts.dx
            and explainer.severity[other].best(code) is None
            and not explainer.sets_of(code) & explainer.other_dx_sets
        ):
            return code
    return None


def _failed_atoms(facts: Facts, answer: Answer | None) -> Iterator[rules.Atom]:
    """Conditions that fail in the MDCs whose gate holds, up to the answer, each once."""
    seen: set[rules.Atom] = set()
    for node in _met(facts, answer):
        for atom in rules.atoms(node.when):
            if atom not in seen and not facts.test(atom).holds:
                seen.add(atom)
                yield atom


def _met(facts: Facts, answer: Answer | None) -> Iterator[Adrg | Drg]:
    for mdc in facts.explainer.pack.mdcs:
        if facts.holds(mdc.when):
            for adrg in mdc.adrgs:
                yield adrg
                if facts.holds(adrg.when):
                    yield from adrg.drgs
                if answer is not None and adrg.node == answer.adrg.node:
                    return


def _mended(facts: Facts, atom: rules.Atom) -> Iterator[_Proposal]:
    dx, px = facts.dx, facts.px
    match atom:
        case rules.InSet(listed, name) | rules.Count(listed, name):
            diagnosis = listed in rules.DIAGNOSIS_LISTS
            code = facts.explainer.example(name, diagnosis=diagnosis)
            if code is None:
                return
            if diagnosis and listed != "pdx":
                yield _Proposal("add_diagnosis", code, None, _changed(facts, (*dx, code), px))
            elif not diagnosis and listed != "ppx":
                yield _Proposal("add_procedure", code, None, _changed(facts, dx, (*px, code)))
            elif not diagnosis:
                yield _Proposal("principal_procedure", code, None, _changed(facts, dx, (code, *px)))
        case rules.Compare(name, comparison, value):
            wanted = {"<": value - 1, ">": value + 1, "!=": value + 1}.get(comparison, value)
            case = {**facts.case, name: wanted}
            changed = type(facts)(facts.explainer, case, dx, px)
            yield _Proposal("value", name, wanted, changed)
        case rules.Discharge(values):
            case = {**facts.case, "discharge": values[0]}
            changed = type(facts)(facts.explainer, case, dx, px)
            yield _Proposal("value", "discharge", values[0], changed)
        case _:
            return
