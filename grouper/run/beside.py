"""Payment by item beside payment by points, by hospital, pool and group (side by side)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grouper.settlement.facts import Facts
from grouper.settlement.months import MONTHS
from grouper.settlement.region import LEVELS
from grouper.settlement.routes import DRG

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SideSums:
    """Payment by item and by points, by hospital, pool and group.

    Attributes:
        keys: (hospital × pools + pool) × kinds + kind, rising.
        sums: int64 (4, keys): cases, simulated cases, total cost and value in fen.
    """

    keys: Ints
    sums: Ints

    @staticmethod
    def join(pieces: Sequence[SideSums]) -> SideSums:
        """The sums of several batches or parts."""
        keys = np.concatenate([np.empty(0, np.int64), *(piece.keys for piece in pieces)])
        sums = np.concatenate([np.empty((4, 0), np.int64), *(p.sums for p in pieces)], axis=1)
        return SideSums.by_key(keys, sums)

    @staticmethod
    def by_key(keys: Ints, rows: Ints) -> SideSums:
        """Add up rows (4, n) of equal keys."""
        order = np.argsort(keys, kind="stable")
        keys, rows = keys[order], rows[:, order]
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        if not len(first):
            return SideSums(keys, rows)
        return SideSums(keys[first], np.add.reduceat(rows, first, axis=1))


def compare(facts: Facts, value: Ints, kinds: int) -> SideSums:
    """The cases of a batch by hospital, pool and group."""
    mine = np.flatnonzero(facts.cell >= 0)
    account = facts.account[mine]
    owner = np.where(account < -1, -2 - account, account).astype(np.int64) // MONTHS
    return SideSums.by_key(
        owner * kinds + facts.cell[mine] // len(LEVELS),
        np.stack(
            [
                np.ones(len(mine), np.int64),
                (facts.route[mine] != DRG).astype(np.int64),
                facts.total[mine],
                value[mine],
            ]
        ),
    )
