"""No small cell can be told from what is published: each could be as large as the threshold."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from grouper.export.suppress import TOTAL, Cell, suppress

LEAST = 4


def margined(cells: dict[Cell, int]) -> dict[Cell, int]:
    counts = dict(cells)
    for (row, column), count in cells.items():
        counts[row, TOTAL] = counts.get((row, TOTAL), 0) + count
        counts[TOTAL, column] = counts.get((TOTAL, column), 0) + count
    return counts


def largest(counts: dict[Cell, int], untold: frozenset[Cell]) -> dict[Cell, int]:
    """The largest count of each untold cell among all tables that agree with what is published.

    By trying all tables: listed cells hold at least 1, told totals and the whole stay.
    """
    inner = [cell for cell in counts if TOTAL not in cell]
    free = [cell for cell in inner if cell in untold]
    top = max(counts[cell] for cell in free) + LEAST if free else 1
    values = np.stack(
        [axis.ravel() for axis in np.indices((top,) * len(free))]
    ) + 1  # fmt: skip
    place = {cell: i for i, cell in enumerate(free)}

    def total(cells: list[Cell]) -> Any:
        known = sum(counts[cell] for cell in cells if cell not in place)
        return known + sum((values[place[c]] for c in cells if c in place), np.int64(0))

    good = total(inner) == sum(counts[cell] for cell in inner)
    sums = {}
    for margin in (cell for cell in counts if TOTAL in cell):
        row, column = margin
        mine = [c for c in inner if row in (TOTAL, c[0]) and column in (TOTAL, c[1])]
        sums[margin] = np.broadcast_to(total(mine), good.shape)
        if margin not in untold:
            good = good & (sums[margin] == counts[margin])
    found = {cell: int(values[place[cell]][good].max()) for cell in free}
    return found | {c: int(sums[c][good].max()) for c in untold if TOTAL in c}


def tables() -> Iterator[dict[Cell, int]]:
    chance = random.Random(5)
    for _ in range(60):
        size = chance.choice([(2, 2), (3, 2), (2, 3)])
        yield {
            (f"r{r}", f"c{c}"): chance.choice([1, 2, 4, 5, 6])
            for r, c in itertools.product(*map(range, size))
            if chance.random() < 0.9
        }


def test_every_small_cell_could_be_as_large_as_the_threshold() -> None:
    protected = 0
    for cells in tables():
        counts = margined(cells)
        found = suppress(counts, LEAST)
        small = {cell for cell, count in counts.items() if count < LEAST}
        assert small <= found.cells
        assert found.small == len(small)
        if found.whole or not small:
            assert not small or found.cells == frozenset(counts)
            continue
        # Five free cells are 100,000 tables.
        if sum(TOTAL not in cell for cell in found.cells) <= 5:
            most = largest(counts, found.cells)
            assert all(most[cell] >= LEAST for cell in small)
            protected += 1
    assert protected > 10


def test_a_single_small_cell_takes_three_others_along() -> None:
    cells: dict[Cell, int] = {(r, c): 50 for r in "abcd" for c in "xyz"}
    cells["a", "x"] = 2
    found = suppress(margined(cells), 5)
    assert len(found.cells) == 4
    assert not found.whole
    assert all(TOTAL not in cell for cell in found.cells)


def test_nothing_small_leaves_everything_told() -> None:
    found = suppress(margined({("a", "x"): 5, ("b", "x"): 7}), 5)
    assert found.cells == frozenset()


def test_a_cell_that_nothing_can_protect_leaves_nothing_told() -> None:
    found = suppress(margined({("a", "x"): 2}), 5)
    assert found.whole


@pytest.mark.parametrize("least", [2, 5, 20])
def test_the_choice_does_not_depend_on_the_order(least: int) -> None:
    chance = random.Random(1)
    cells = [((f"d{i}", str(j)), chance.randrange(1, 60)) for i in range(40) for j in (1, 2, 3)]
    one = suppress(margined(dict(cells)), least)
    chance.shuffle(cells)
    assert suppress(margined(dict(cells)), least) == one
