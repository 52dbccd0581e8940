"""An explanation as text for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from grouper.explain.model import CodeNote, Explanation, NodeTrace, RunnerUp, TestTrace

GOOD, BAD, FAINT, STRONG = "green", "red", "dim", "bold"
MOST_CODES = 6
MOST_RUNNERS_UP = 20

_CHANGES = {
    "add_diagnosis": "with the further diagnosis",
    "drop_diagnosis": "without the diagnosis",
    "principal_diagnosis": "with the principal diagnosis",
    "add_procedure": "with the further procedure",
    "drop_procedure": "without the procedure",
    "principal_procedure": "with the principal procedure",
    "value": "with",
}


def render(explanation: Explanation) -> Iterator[Text]:
    """The lines of an explanation; only MDCs whose gate holds are told in full."""
    yield _answer(explanation)
    yield Text()
    yield from _codes("diagnoses", explanation.diagnoses)
    yield from _codes("procedures", explanation.procedures)
    for number, change in enumerate(explanation.mapped):
        title = "mapped" if number == 0 else ""
        yield Text(f"{title:<12}{change.given} to {change.code or 'nothing: it is dropped'}")
    if explanation.walks:
        yield from _complications(explanation)
    for walk in explanation.walks:
        yield Text()
        if walk.procedure:
            yield Text(f"tried again with {walk.procedure} as the only procedure", STRONG)
        yield from _mdcs(walk.mdcs)
    if explanation.runners_up:
        yield Text()
        yield from _runners_up(explanation.runners_up)


def _answer(explanation: Explanation) -> Text:
    result = explanation.result
    line = Text(f"{result.case_id}: " if result.case_id else "")
    line.append(result.status, GOOD if result.status == "grouped" else BAD)
    if result.reason:
        return line.append(f" ({result.reason})")
    for name, value in (("MDC", result.mdc), ("ADRG", result.adrg), ("DRG", result.drg)):
        if value:
            line.append(f"  {name} ").append(value, STRONG)
    if explanation.drg_name:
        line.append(f" {explanation.drg_name}")
    return line.append(f"  severity {result.severity}  scheme {explanation.scheme}")


def _codes(title: str, notes: Sequence[CodeNote]) -> Iterator[Text]:
    for number, note in enumerate(notes):
        line = Text(f"{title if number == 0 else '':<12}{note.code or '(blank)'} {note.name}")
        if number == 0:
            line.append("  principal", FAINT)
        if note.code and not note.known:
            line.append("  unknown to the scheme: it matches nothing", BAD)
        yield line


def _complications(explanation: Explanation) -> Iterator[Text]:
    principal = explanation.diagnoses[0].code
    told = f"{principal} switches off the exclusion list {explanation.exclusion}"
    title = "MCC and CC"
    if not explanation.complications:
        yield Text(f"{title:<12}none among the other diagnoses")
    for found in explanation.complications:
        line = Text(f"{title:<12}{found.level:<4}{found.code} {found.name}")
        if found.excluded:
            line.append(f"  excluded: {told}", BAD)
        elif found.exclusion:
            line.append(f"  list {found.exclusion}", FAINT)
        yield line
        title = ""


def _mdcs(mdcs: Sequence[NodeTrace]) -> Iterator[Text]:
    failed: list[NodeTrace] = []
    for mdc in mdcs:
        if not mdc.holds:
            failed.append(mdc)
            continue
        yield from _not_met(failed, "MDC", 0)
        failed = []
        yield _node(mdc, 0)
        yield from _adrgs(mdc.children)
    yield from _not_met(failed, "MDC", 0)


def _adrgs(adrgs: Sequence[NodeTrace]) -> Iterator[Text]:
    for adrg in adrgs:
        yield _node(adrg, 1)
        for drg in adrg.children:
            yield _node(drg, 2)


def _not_met(nodes: Sequence[NodeTrace], what: str, depth: int) -> Iterator[Text]:
    if nodes:
        names = " ".join(node.code for node in nodes)
        yield Text(f"{'  ' * depth}- {what} not met: {names}", FAINT)


def _node(node: NodeTrace, depth: int) -> Text:
    mark, style = ("+", GOOD) if node.holds else ("-", BAD)
    line = Text("  " * depth)
    line.append(f"{mark} {node.level.upper()} {node.node}", style).append(f" {node.name}: ")
    if not node.tests:
        return line.append(node.rule, FAINT)
    for number, test in enumerate(node.tests):
        line.append("; " if number else "")
        line.append_text(_test(test))
    return line


def _test(test: TestTrace) -> Text:
    line = Text(test.rule)
    line.append("" if test.holds else " fails", FAINT)
    if test.codes:
        shown = " ".join(test.codes[:MOST_CODES])
        more = f" and {len(test.codes) - MOST_CODES} more" if len(test.codes) > MOST_CODES else ""
        line.append(f" [{shown}{more}]", FAINT)
    if test.value is not None:
        line.append(f" (is {test.value})", FAINT)
    elif test.text is not None:
        line.append(f' (is "{test.text}")', FAINT)
    elif not test.codes and not test.holds and _compares(test.rule):
        line.append(" (is missing)", FAINT)
    return line


def _compares(rule: str) -> bool:
    """Whether the condition compares a column of the case."""
    return rule.split(" ", 1)[0] in ("discharge", "dept") or (
        " in " not in rule and rule not in ("mcc", "cc", "true")
    )


def _runners_up(found: Sequence[RunnerUp]) -> Iterator[Text]:
    yield Text("one change away", STRONG)
    for other in found[:MOST_RUNNERS_UP]:
        about = f"{other.code} = {other.value}" if other.change == "value" else other.code
        line = Text(f"  {_CHANGES[other.change]} {about} {other.name}".rstrip() + ": ")
        if other.drg:
            line.append(other.drg, STRONG).append(f" {other.drg_name}")
        else:
            line.append(other.status)
        yield line
    if len(found) > MOST_RUNNERS_UP:
        yield Text(f"  and {len(found) - MOST_RUNNERS_UP} more (all with --json)", FAINT)
