"""Groups that a case would reach if another of its own codes stood first.

The kernel groups the changed cases by the million, so that every case of a sheet is tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from grouper.grouping import GROUPED, group_batch
from grouper.scheme import Scheme

MOST: Final = 3
"""Groups that are told of a case, the heaviest first."""

DEEPEST: Final = 12
"""Codes of a list that are tried in the first place."""


class Near(NamedTuple):
    """A group one change away.

    Attributes:
        change: `pdx` or `ppx`: what another code takes the place of.
        code: that code.
        drg: where the case falls then.
        weight: of that group; None where it has none.
    """

    change: str
    code: str
    drg: str
    weight: Decimal | None


def near_groups(
    cases: pa.Table, drgs: list[str], scheme: Scheme, weights: Mapping[str, Decimal]
) -> list[list[Near]]:
    """The groups one change away, by case.

    Args:
        cases: what `group` reads; `dx` and `px` are lists of strings.
        drgs: where each case is now; empty where it has no group.
        scheme: the scheme of the run.
        weights: weight by DRG.
    """
    found: list[list[Near]] = [[] for _ in drgs]
    if not drgs:
        return found
    table = cases.combine_chunks().to_batches()[0]
    for change, name in (("pdx", "dx"), ("ppx", "px")):
        for rows, codes, batch in _variants(table, name):
            grouped = group_batch(batch, scheme)
            answers = grouped.table().column("drg").to_pylist()
            for row, code, drg, status in zip(
                rows.tolist(), codes, answers, grouped.status.tolist(), strict=True
            ):
                if code and status == GROUPED and drg != drgs[row]:
                    found[row].append(Near(change, code, drg, weights.get(drg)))
    return [_heaviest(one) for one in found]


def _heaviest(found: list[Near]) -> list[Near]:
    """The heaviest groups, each once."""
    order = sorted(found, key=lambda near: -(near.weight or Decimal()))
    first = {near.drg: near for near in reversed(order)}
    return [near for near in order if first[near.drg] is near][:MOST]


def _variants(
    batch: pa.RecordBatch, name: str
) -> Iterator[tuple[np.ndarray[tuple[int], np.dtype[np.int64]], list[str], pa.RecordBatch]]:
    """The rows, the codes and the cases with their second, third … code of a list put first."""
    column = batch.column(name)
    starts = column.offsets.to_numpy().astype(np.int64)[:-1]
    lengths = np.diff(column.offsets.to_numpy().astype(np.int64))
    place = batch.schema.get_field_index(name)
    for first in range(1, min(int(lengths.max(initial=0)), DEEPEST + 1)):
        rows = np.flatnonzero(lengths > first)
        size = lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(size)])
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], size)
        source = np.where(within == 0, first, np.where(within <= first, within - 1, within))
        values = column.values.take(pa.array(np.repeat(starts[rows], size) + source))
        lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
        codes = column.values.take(pa.array(starts[rows] + first)).to_pylist()
        yield rows, codes, batch.take(pa.array(rows)).set_column(place, name, lists)
