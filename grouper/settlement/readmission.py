"""Readmission: the same group again within some days halves the earlier stay (section 5)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from grouper.settlement.region import LEVELS

Ints = NDArray[np.int64]
PERSON, PERSON_2, CELL, ADMITTED, DISCHARGED, PART, ROW = range(7)
"""Rows of a table of stays; days are counted from 1970."""


def earlier_stays(stays: Ints, days: int, exempt: Iterable[int]) -> Ints:
    """(part, row) of the stays that were followed by another of the same person and group.

    Args:
        stays: int64 (7, stays).
        days: most days between discharge and the next admission.
        exempt: groups (kinds) that are exempt.

    Returns:
        int64 (2, found), in order of part and row.
    """
    kind = stays[CELL] // len(LEVELS)
    stays = stays[:, ~np.isin(kind, np.array(sorted(exempt), np.int64))]
    kind = stays[CELL] // len(LEVELS)
    order = np.lexsort((stays[DISCHARGED], stays[ADMITTED], kind, stays[PERSON_2], stays[PERSON]))
    stays, kind = stays[:, order], kind[order]
    gap = stays[ADMITTED, 1:] - stays[DISCHARGED, :-1]
    same = (
        (stays[PERSON, 1:] == stays[PERSON, :-1])
        & (stays[PERSON_2, 1:] == stays[PERSON_2, :-1])
        & (kind[1:] == kind[:-1])
    )
    found = np.flatnonzero(same & (gap >= 0) & (gap <= days))
    places = stays[:, found][[PART, ROW]]
    result: Ints = places[:, np.lexsort((places[1], places[0]))]
    return result
