"""Which nodes of two decision lists are the same, and how these were changed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from grouper.scheme.model import Adrg, Drg, Mdc, Pack

Node = Mdc | Adrg | Drg
N = TypeVar("N", Mdc, Adrg, Drg)


@dataclass(frozen=True, slots=True)
class NodeChange:
    """A row of the decision list that changed.

    Attributes:
        kind: `added`, `dropped`, `renamed` (another name), `coded` (another code or node name) or
            `moved` (under another node, or to another place among those beside it).
        node, code, name: in B; in A where it was dropped.
        before, after: the names, codes or places.
    """

    kind: Literal["added", "dropped", "renamed", "coded", "moved"]
    level: str
    node: str
    code: str
    name: str
    before: str
    after: str


class Names:
    """Names of diagnoses and groups in two packs, B's first."""

    def __init__(self, a: Pack, b: Pack) -> None:
        self._packs = (b, a)
        self._drgs = {d.code: d.name for pack in (a, b) for _, _, d in pack.drg_rows()}

    def dx(self, code: str) -> str:
        """Name of a diagnosis; empty where neither pack names it."""
        return next((p.dx[code] for p in self._packs if code in p.dx), "")

    def drg(self, code: str) -> str:
        """Name of a DRG; empty where neither pack has it."""
        return self._drgs.get(code, "")


@dataclass(frozen=True)
class Pairs:
    """The nodes that both packs have, in the order of B, and the rest.

    Attributes:
        mdcs, adrgs, drgs: (in A, in B).
        above_a, above_b: by identity of a row, the name of the node it stands under.
    """

    mdcs: list[tuple[Mdc, Mdc]]
    adrgs: list[tuple[Adrg, Adrg]]
    drgs: list[tuple[Drg, Drg]]
    above_a: dict[int, str]
    above_b: dict[int, str]

    def every(self) -> Iterator[tuple[str, Node, Node]]:
        """Level, row of A, row of B."""
        for mdc in self.mdcs:
            yield "mdc", *mdc
        for adrg in self.adrgs:
            yield "adrg", *adrg
        for drg in self.drgs:
            yield "drg", *drg


def pair_nodes(a: Pack, b: Pack) -> Pairs:
    """Which rows of two packs are the same row."""
    above_a, above_b = _above(a), _above(b)
    mdcs = _paired(list(a.mdcs), list(b.mdcs), {}, {}, {})
    same = {one.node: other.node for one, other in mdcs}
    adrgs = _paired(_adrgs(a), _adrgs(b), {}, {}, {})
    same |= {one.node: other.node for one, other in adrgs}
    drgs = _paired(_drgs(a), _drgs(b), above_a, above_b, same)
    return Pairs(mdcs, adrgs, drgs, above_a, above_b)


def _adrgs(pack: Pack) -> list[Adrg]:
    return [adrg for mdc in pack.mdcs for adrg in mdc.adrgs]


def _drgs(pack: Pack) -> list[Drg]:
    return [drg for _, _, drg in pack.drg_rows()]


def _above(pack: Pack) -> dict[int, str]:
    above = {id(adrg): mdc.node for mdc in pack.mdcs for adrg in mdc.adrgs}
    return above | {id(drg): adrg.node for _, adrg, drg in pack.drg_rows()}


def _paired(
    a: list[N], b: list[N], above_a: dict[int, str], above_b: dict[int, str], same: dict[str, str]
) -> list[tuple[N, N]]:
    """By name and the node above; what is left over by code, in order."""
    named: dict[tuple[str, str], N] = {}
    for row in a:
        place = above_a.get(id(row), "")
        named[row.node, same.get(place, place)] = row
    taken: dict[int, N] = {}
    for row in b:
        found = named.pop((row.node, above_b.get(id(row), "")), None)
        if found is not None:
            taken[id(row)] = found
    left: dict[str, list[N]] = {}
    for row in named.values():
        left.setdefault(row.code, []).append(row)
    for row in b:
        if id(row) not in taken and left.get(row.code):
            taken[id(row)] = left[row.code].pop(0)
    return [(taken[id(row)], row) for row in b if id(row) in taken]


def node_changes(a: Pack, b: Pack, pairs: Pairs) -> Iterator[NodeChange]:
    """How the rows differ: MDCs, then ADRG nodes, then DRGs."""
    yield from _changes("mdc", list(a.mdcs), list(b.mdcs), pairs.mdcs, pairs)
    yield from _changes("adrg", _adrgs(a), _adrgs(b), pairs.adrgs, pairs)
    yield from _changes("drg", _drgs(a), _drgs(b), pairs.drgs, pairs)


def _changes(
    level: str, a: Sequence[N], b: Sequence[N], paired: list[tuple[N, N]], pairs: Pairs
) -> Iterator[NodeChange]:
    kept_a, kept_b = {id(one) for one, _ in paired}, {id(other) for _, other in paired}
    for row in b:
        if id(row) not in kept_b:
            place = pairs.above_b.get(id(row), "")
            yield NodeChange("added", level, row.node, row.code, row.name, "", place)
    for row in a:
        if id(row) not in kept_a:
            place = pairs.above_a.get(id(row), "")
            yield NodeChange("dropped", level, row.node, row.code, row.name, place, "")
    for one, other in paired:
        if one.name != other.name:
            yield _change("renamed", level, other, one.name, other.name)
        if (one.node, one.code) != (other.node, other.code):
            yield _change("coded", level, other, _called(one), _called(other))
    yield from _moves(level, a, b, paired, pairs)


def _change(
    kind: Literal["renamed", "coded", "moved"], level: str, row: Node, before: str, after: str
) -> NodeChange:
    return NodeChange(kind, level, row.node, row.code, row.name, before, after)


def _called(row: Node) -> str:
    return row.code if row.node == row.code else f"{row.code} ({row.node})"


def _moves(
    level: str, a: Sequence[N], b: Sequence[N], paired: list[tuple[N, N]], pairs: Pairs
) -> Iterator[NodeChange]:
    """Rows under another node, and those out of order among the rows beside them."""
    same = {
        "adrg": {one.node: other.node for one, other in pairs.mdcs},
        "drg": {one.node: other.node for one, other in pairs.adrgs},
    }.get(level, {})
    number = {id(row): i for i, row in enumerate(a)}
    beside: dict[str, list[tuple[N, N]]] = {}
    for one, other in paired:
        before, after = pairs.above_a.get(id(one), ""), pairs.above_b.get(id(other), "")
        if same.get(before, before) != after:
            yield _change("moved", level, other, f"under {before}", f"under {after}")
        else:
            beside.setdefault(after, []).append((one, other))
    for group in beside.values():
        steady = _longest_rise([number[id(one)] for one, _ in group])
        before_of = _previous([one for one, _ in sorted(group, key=lambda p: number[id(p[0])])])
        after_of = _previous([other for _, other in group])
        for place, (one, other) in enumerate(group):
            if place not in steady:
                yield _change("moved", level, other, before_of[id(one)], after_of[id(other)])


def _previous(rows: Sequence[Node]) -> dict[int, str]:
    places = ["first", *(f"after {row.node}" for row in rows)]
    return {id(row): place for row, place in zip(rows, places, strict=False)}


def _longest_rise(numbers: Sequence[int]) -> set[int]:
    """Positions of a longest rising subsequence: what need not be moved."""
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for place, value in enumerate(numbers):
        at = bisect_left(ends, value)
        before.append(last[at - 1] if at else -1)
        if at == len(ends):
            ends.append(value)
            last.append(place)
        else:
            ends[at], last[at] = value, place
    kept: set[int] = set()
    place = last[-1] if last else -1
    while place >= 0:
        kept.add(place)
        place = before[place]
    return kept
