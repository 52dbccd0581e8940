"""Which cells of a table stay untold, so that no sum gives a small one back (小单元格抑制).

A table of counts with its margins is a graph: rows and columns are its nodes, cells its edges, and
every published sum says that what flows into a node flows out again. A small cell is protected if
its count could be as large as the threshold with all sums unchanged: if more could flow through it
and back by another way of untold cells. For each small cell the cheapest such way is searched, and
its cells stay untold, too. Totals of the columns and of the whole count as known to everybody.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final

TOTAL: Final = ""
"""Name of the row or column of totals."""

_MARGIN_COST: Final = 10
"""A total is told rather than ten cells of its size."""

Cell = tuple[Hashable, Hashable]
_Node = tuple[str, Hashable]


@dataclass(frozen=True)
class Suppressed:
    """The cells that stay untold.

    Attributes:
        cells: small ones and those that protect them.
        small: how many are small.
        whole: whether a cell could not be protected, so that no cell is told.
    """

    cells: frozenset[Cell]
    small: int
    whole: bool


def suppress(counts: Mapping[Cell, int], least: int) -> Suppressed:
    """Choose the cells that stay untold.

    Args:
        counts: by row and column; a row or column `TOTAL` holds sums over the others. Cells
            that are not there count 0 and are told by their absence.
        least: the smallest count that may be told.
    """
    grand = (TOTAL, TOTAL)
    cells = {cell: count for cell, count in counts.items() if count > 0 and cell != grand}
    small = sorted((cell for cell, count in cells.items() if count < least), key=repr)
    arcs: dict[_Node, list[tuple[_Node, Cell, bool]]] = {}
    for cell in sorted(cells, key=repr):
        row, column = ("r", cell[0]), ("c", cell[1])
        margin = TOTAL in cell
        # What grows a cell flows from its column to its row; a total flows the other way.
        arcs.setdefault(row, []).append((column, cell, margin))
        arcs.setdefault(column, []).append((row, cell, not margin))
    untold = set(small)
    for cell in small:
        row, column = ("r", cell[0]), ("c", cell[1])
        start, end = (column, row) if TOTAL in cell else (row, column)
        way = _cheapest(arcs, cells, untold, cell, start, end, least - cells[cell])
        if way is None:
            return Suppressed(frozenset(counts), len(small), whole=True)
        untold |= way
    return Suppressed(frozenset(untold), len(small), whole=False)


def _cheapest(
    arcs: Mapping[_Node, list[tuple[_Node, Cell, bool]]],
    counts: Mapping[Cell, int],
    untold: set[Cell],
    avoid: Cell,
    start: _Node,
    end: _Node,
    amount: int,
) -> set[Cell] | None:
    """The cells of the cheapest way back by which an amount can flow; None where there is none."""
    best: dict[_Node, int] = {start: 0}
    came: dict[_Node, tuple[_Node, Cell]] = {}
    # Nodes are compared by their place in the queue, never by their names.
    queue: list[tuple[int, int, _Node]] = [(0, 0, start)]
    pushed = 0
    while queue:
        cost, _, node = heapq.heappop(queue)
        if node == end:
            return _way(came, start, end)
        if cost > best[node]:
            continue
        for other, cell, grows in arcs.get(node, ()):
            # A cell that is listed counts at least 1, and everybody knows that.
            if cell == avoid or (not grows and counts[cell] <= amount):
                continue
            price = 0 if cell in untold else counts[cell]
            if TOTAL in cell:
                price *= _MARGIN_COST
            if other not in best or cost + price < best[other]:
                best[other] = cost + price
                came[other] = (node, cell)
                pushed += 1
                heapq.heappush(queue, (cost + price, pushed, other))
    return None


def _way(came: Mapping[_Node, tuple[_Node, Cell]], start: _Node, end: _Node) -> set[Cell]:
    found = set()
    node = end
    while node != start:
        node, cell = came[node]
        found.add(cell)
    return found
