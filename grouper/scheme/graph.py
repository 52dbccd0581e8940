"""Decision graphs: the decision list, partly evaluated before a case is ever seen.

1. Diagnosis codes fall into classes that no rule on the principal diagnosis can tell apart. For
   each class the list is walked once with everything about the principal diagnosis decided; what
   remains is a small graph of tests.
2. Procedure codes fall into classes in the same way, and each graph is reduced once more for each
   class of the principal procedure that it can tell apart.

A case starts at `root[class of principal diagnosis, class of principal procedure]` and meets only
the tests that these two leave open: severity, ages, further codes. Equal remainders are one node
(hash-consing), so the graphs of all pairs together stay small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from grouper.kernels.layout import COMPARISONS, NO_ANSWER, Op
from grouper.scheme import rules
from grouper.scheme.model import Pack
from grouper.scheme.rules import Rule, compares

# Beyond this many pairs the root table would leave the processor's caches; the test of the
# principal procedure then stays in the graph.
MAX_ROOTS = 32_000_000

Node = tuple[int, int, int, int, int, int]
Member = npt.NDArray[np.bool_]


@dataclass
class Names:
    """What the rules of a pack name, each numbered."""

    dx_sets: dict[str, int] = field(default_factory=dict)
    px_sets: dict[str, int] = field(default_factory=dict)
    families: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    departments: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Decisions:
    """The decision graphs of a scheme.

    Attributes:
        root: int32[diagnosis classes, procedure classes], a node, or `~outcome`. One column only
            where the principal procedure is tested in the graph.
        nodes: int32[nodes, 6], columns as in `kernels.layout.NodeColumn`.
    """

    root: npt.NDArray[np.int32]
    nodes: npt.NDArray[np.int32]


class _Graph:
    """Nodes under construction; a node's children always stand before it."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.known: dict[Node, int] = {}

    def node(self, op: int, a: int, b: int, value: int, yes: int, no: int) -> int:
        # What this test has decided need not be asked again directly behind it.
        test = (op, a, b, value)
        while yes >= 0 and self.nodes[yes][:4] == test:
            yes = self.nodes[yes][4]
        while no >= 0 and self.nodes[no][:4] == test:
            no = self.nodes[no][5]
        if yes == no:
            return yes
        key = (op, a, b, value, yes, no)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = len(self.nodes)
            self.nodes.append(key)
        return found


class _Walk:
    """The decision list for one class of principal diagnoses."""

    def __init__(self, graph: _Graph, names: Names, sets: Member) -> None:
        self.graph = graph
        self.names = names
        self.sets = sets

    def branch(self, rule: Rule, yes: int, no: int) -> int:
        """The node from which a case goes to `yes` where the rule holds, else to `no`."""
        if yes == no:
            return yes
        match rule:
            case rules.Constant(value):
                return yes if value else no
            case rules.Not(term):
                return self.branch(term, no, yes)
            case rules.And(terms):
                for term in reversed(terms):
                    yes = self.branch(term, yes, no)
                return yes
            case rules.Or(terms):
                for term in reversed(terms):
                    no = self.branch(term, yes, no)
                return no
            case rules.Severity(level):
                op = Op.MCC if level == "mcc" else Op.CC
                return self.graph.node(op, 0, 0, 0, yes, no)
            case rules.InSet():
                return self.in_set(rule, yes, no)
            case rules.Count():
                return self.count(rule, yes, no)
            case rules.Sites(family, comparison, value):
                a, b = self.names.families[family], COMPARISONS.index(comparison)
                return self.graph.node(Op.SITES, a, b, value, yes, no)
            case rules.Compare(number, comparison, value):
                return self.number(number, comparison, value, yes, no)
            case rules.Discharge(values):
                for value in reversed(values):
                    no = self.number("discharge", "==", value, yes, no)
                return no
            case rules.Dept(name):
                return self.number("dept", "==", self.names.departments[name], yes, no)

    def number(self, name: str, comparison: str, value: int, yes: int, no: int) -> int:
        a, b = self.names.numbers[name], COMPARISONS.index(comparison)
        return self.graph.node(Op.NUMBER, a, b, value, yes, no)

    def in_set(self, atom: rules.InSet, yes: int, no: int) -> int:
        codes = atom.codes
        if codes in rules.DIAGNOSIS_LISTS:
            a = self.names.dx_sets[atom.set]
            if codes != "other_dx" and self.sets[a]:
                return yes
            if codes == "pdx":
                return no
            return self.graph.node(Op.OTHER_DX, a, 0, 0, yes, no)
        a = self.names.px_sets[atom.set]
        if codes != "ppx":
            no = self.graph.node(Op.OTHER_PX, a, 0, 0, yes, no)
        if codes != "other_px":
            no = self.graph.node(Op.PRINCIPAL_PX, a, 0, 0, yes, no)
        return no

    def count(self, atom: rules.Count, yes: int, no: int) -> int:
        codes, b, value = atom.codes, COMPARISONS.index(atom.comparison), atom.value
        if codes in rules.DIAGNOSIS_LISTS:
            a = self.names.dx_sets[atom.set]
            if codes == "pdx":
                return yes if compares(int(self.sets[a]), atom.comparison, value) else no
            if codes == "any_dx":
                value -= int(self.sets[a])
            return self.graph.node(Op.COUNT_OTHER_DX, a, b, value, yes, no)
        a = self.names.px_sets[atom.set]
        if codes == "ppx":
            in_set = yes if compares(1, atom.comparison, value) else no
            outside = yes if compares(0, atom.comparison, value) else no
            return self.graph.node(Op.PRINCIPAL_PX, a, 0, 0, in_set, outside)
        op = Op.COUNT_PX if codes == "any_px" else Op.COUNT_OTHER_PX
        return self.graph.node(op, a, b, value, yes, no)


def build_decisions(
    pack: Pack,
    names: Names,
    outcomes: Mapping[tuple[str, str], int],
    dx_sets: Member,
    px_sets: Member,
    *,
    max_roots: int = MAX_ROOTS,
) -> Decisions:
    """Build the graphs of all pairs of principal diagnosis and principal procedure.

    Args:
        outcomes: number of the answer by (ADRG node, DRG).
        dx_sets, px_sets: bool[classes, sets], the sets that hold a class of principal codes.
    """
    graph = _Graph()
    split = dx_sets.shape[0] * px_sets.shape[0] <= max_roots
    root = np.empty((dx_sets.shape[0], px_sets.shape[0] if split else 1), np.int32)
    reductions: dict[tuple[int, bytes], int] = {}
    for row, sets in enumerate(dx_sets):
        start = _walk_list(pack, _Walk(graph, names, sets), outcomes)
        if split:
            _reduce_row(graph, start, px_sets, root[row], reductions)
        else:
            root[row, 0] = start
    return _compact(graph, root)


def _walk_list(pack: Pack, walk: _Walk, outcomes: Mapping[tuple[str, str], int]) -> int:
    after = ~NO_ANSWER
    for mdc in reversed(pack.mdcs):
        if decided_false(mdc.when, walk):
            continue
        inside = after
        for adrg in reversed(mdc.adrgs):
            if decided_false(adrg.when, walk):
                continue
            chosen = inside
            for drg in reversed(adrg.drgs):
                chosen = walk.branch(drg.when, ~outcomes[adrg.node, drg.code], chosen)
            inside = walk.branch(adrg.when, chosen, inside)
        after = walk.branch(mdc.when, inside, after)
    return after


def decided_false(rule: Rule, walk: _Walk) -> bool:
    """Whether the principal diagnosis alone makes the rule false; cheap, may miss a case."""
    match rule:
        case rules.InSet("pdx", name):
            return not walk.sets[walk.names.dx_sets[name]]
        case rules.And(terms):
            return any(decided_false(term, walk) for term in terms)
        case rules.Or(terms):
            return all(decided_false(term, walk) for term in terms)
        case _:
            return False


def _reduce_row(
    graph: _Graph,
    start: int,
    px_sets: Member,
    row: npt.NDArray[np.int32],
    reductions: dict[tuple[int, bytes], int],
) -> None:
    """Decide the principal procedure, once for each combination of sets that the graph asks for."""
    asked = _principal_sets_asked(graph, start)
    if not asked:
        row[:] = start if start < 0 else _reduced(graph, start, px_sets[0])
        return
    packed = np.packbits(px_sets[:, asked], axis=1)
    combinations, first, inverse = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    reduced = np.empty(len(combinations), np.int32)
    for i, representative in enumerate(first):
        key = (start, combinations[i].tobytes())
        found = reductions.get(key)
        if found is None:
            found = reductions[key] = _reduced(graph, start, px_sets[representative])
        reduced[i] = found
    row[:] = reduced[inverse.reshape(-1)]


def _principal_sets_asked(graph: _Graph, start: int) -> list[int]:
    asked: set[int] = set()
    seen: set[int] = set()
    stack = [start]
    while stack:
        at = stack.pop()
        if at < 0 or at in seen:
            continue
        seen.add(at)
        op, a, _, _, yes, no = graph.nodes[at]
        if op in (Op.PRINCIPAL_PX, Op.COUNT_PX):
            asked.add(a)
        stack += (yes, no)
    return sorted(asked)


def _reduced(graph: _Graph, start: int, sets: Member) -> int:
    """The graph from `start` for a principal procedure in exactly these sets."""
    done: dict[int, int] = {}
    stack = [start]
    while stack:
        at = stack[-1]
        if at < 0:
            done[at] = at
        if at in done:
            stack.pop()
            continue
        op, a, b, value, yes, no = graph.nodes[at]
        if op == Op.PRINCIPAL_PX:
            taken = yes if sets[a] else no
            if taken in done:
                done[at] = done[taken]
            else:
                stack.append(taken)
        elif yes in done and no in done:
            if op == Op.COUNT_PX:
                op, value = Op.COUNT_OTHER_PX, value - int(sets[a])
            done[at] = graph.node(op, a, b, value, done[yes], done[no])
        else:
            stack += (child for child in (yes, no) if child not in done)
    return done[start]


def _compact(graph: _Graph, root: npt.NDArray[np.int32]) -> Decisions:
    """Keep only nodes that some root reaches, renumbered."""
    keep: set[int] = set()
    stack = [int(at) for at in np.unique(root) if at >= 0]
    while stack:
        at = stack.pop()
        if at in keep or at < 0:
            continue
        keep.add(at)
        stack += graph.nodes[at][4:]
    order = sorted(keep)
    number = np.full(len(graph.nodes) + 1, -1, np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    nodes = np.array([graph.nodes[at] for at in order], np.int32).reshape(len(order), 6)
    for column in (4, 5):
        target = nodes[:, column]
        nodes[:, column] = np.where(target >= 0, number[np.maximum(target, 0)], target)
    return Decisions(np.where(root >= 0, number[np.maximum(root, 0)], root).astype(np.int32), nodes)
