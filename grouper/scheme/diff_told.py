"""A difference between packs as text for a person: how much of what, then each change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from grouper.counted import counted
from grouper.scheme.diff_model import RuleChange, SchemeDiff, SetChange
from grouper.scheme.diff_nodes import NodeChange

MOST = 20
"""Changes of a kind that are told where not all are asked for."""

_SECTIONS = {
    "mdc": "MDCs",
    "adrg": "ADRG nodes",
    "drg": "DRGs",
    "rule": "conditions",
    "set": "sets",
    "MCC": "MCC",
    "CC": "CC",
    "exclusion": "exclusions",
    "weight": "weights",
    "dx": "known diagnoses",
    "px": "known procedures",
    "dx_map": "mapped diagnoses",
    "px_map": "mapped procedures",
}
_KINDS = {
    "list": "in another list",
    "coded": "with another code",
    "flags": "with other flags",
    "narrower": "met by fewer cases",
    "wider": "met by more cases",
    "rewritten": "written differently with the same meaning",
}


def tell(diff: SchemeDiff, *, most: int = MOST) -> Iterator[str]:
    """The lines: a summary, then the changes by section.

    Args:
        most: of each kind of change at most so many lines.
    """
    yield f"{diff.a} → {diff.b}"
    if diff.same:
        yield "no difference in nodes, conditions, sets, severities, weights and codes"
    for key, before, after in diff.head:
        yield f"  {key}: {before} → {after}"
    for section, counts in diff.summary().items():
        told = {kind: f"{count:,} {_KINDS.get(kind, kind)}" for kind, count in counts.items()}
        if part := [told.pop(kind) for kind in ("narrower", "wider") if kind in told]:
            told["changed"] += f" ({', '.join(part)})"
        yield f"  {_SECTIONS[section]}: {', '.join(told.values())}"
    for title, lines in sections(diff):
        yield from _listed(title, lines, most)


def sections(diff: SchemeDiff) -> Iterator[tuple[str, Sequence[str]]]:
    """The changes, a line for each, by sections with their titles."""
    for level, nodes in groupby(diff.nodes, key=lambda change: change.level):
        for kind, changes in groupby(nodes, key=lambda change: change.kind):
            title = f"{_SECTIONS[level]} {_KINDS.get(kind, kind)}"
            yield title, [_node(change) for change in changes]
    yield "conditions", [_rule(change) for change in diff.rules]
    yield "conditions written differently", diff.rewritten
    yield "sets", [_set(change) for change in diff.sets]
    severities = [
        f"{v.code} {v.level} {v.name}: {_moved(v.kind, v.before, v.after)}" for v in diff.severities
    ]
    yield "severities", severities
    excluded = [f"{x.code} {x.name}: {_moved(x.kind, x.before, x.after)}" for x in diff.exclusions]
    yield "principal diagnoses and the list they switch off", excluded
    weights = [
        f"{w.drg} {w.name}: "
        + "; ".join(part for part in (_weight(w.before, w.after, w.ratio), w.flags) if part)
        for w in diff.weights
    ]
    yield "weights", weights
    for table in diff.codes:
        for kind, codes in (
            ("added", table.new),
            ("dropped", table.gone),
            ("changed", table.other),
        ):
            yield f"{_SECTIONS[table.table]}, {kind}", codes


def _listed(title: str, lines: Sequence[str], most: int) -> Iterator[str]:
    if not lines:
        return
    yield ""
    yield f"{title} ({len(lines):,})"
    for line in lines[:most]:
        yield from (f"  {part}" for part in line.split("\n"))
    if len(lines) > most:
        yield f"  and {len(lines) - most:,} more (all with --all)"


def _node(change: NodeChange) -> str:
    code = f" ({change.code})" if change.node != change.code else ""
    head = f"{change.node}{code} {change.name}".rstrip()
    match change.kind:
        case "added":
            return f"{head} under {change.after}" if change.after else head
        case "dropped":
            return f"{head} under {change.before}" if change.before else head
        case "renamed":
            return f"{change.node}{code}: {change.before or '(no name)'} → {change.after}"
        case _:
            return f"{head}: {change.before} → {change.after}"


def _rule(change: RuleChange) -> str:
    relation = {"narrower": ", met by fewer cases", "wider": ", met by more cases", "other": ""}
    lines = [f"{change.level.upper()} {change.node} {change.name}{relation[change.relation]}"]
    if change.gone or change.new:
        lines += [f"  - {term}" for term in change.gone] + [f"  + {term}" for term in change.new]
    else:
        lines += [f"  - {change.before}", f"  + {change.after}"]
    return "\n".join(lines)


def _set(change: SetChange) -> str:
    used = " ".join(change.used_by[:6]) + (" …" if len(change.used_by) > 6 else "")
    name = f"{change.before} → {change.name}" if change.kind == "renamed" else change.name
    codes = [f"{counted(len(codes), 'code')} {word}" for codes, word in _counted(change) if codes]
    few = [f"{sign}{code}" for codes, sign in ((change.gone, "-"), (change.new, "+"))
           for code in codes[:4]]  # fmt: skip
    more = " …" if len(change.gone) > 4 or len(change.new) > 4 else ""
    listed = f" ({' '.join(few)}{more})" if few and change.kind == "changed" else ""
    told = ", ".join(codes)
    return f"{name} {change.kind}{': ' + told if told else ''}{listed}; in {used or 'no rule'}"


def _counted(change: SetChange) -> tuple[tuple[tuple[str, ...], str], ...]:
    return (change.new, "came"), (change.gone, "went")


def _moved(kind: str, before: str, after: str) -> str:
    if kind == "list":
        return f"list {before or 'none'} → {after or 'none'}"
    listed = before or after
    return f"{kind}, list {listed}" if listed else kind


def _weight(before: str, after: str, ratio: float | None) -> str:
    if before == after:
        return ""
    change = f" ({ratio - 1:+.1%})" if ratio is not None else ""
    return f"{before or 'none'} → {after or 'none'}{change}"
