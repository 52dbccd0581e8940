"""Counting cases and costs by group, for one scheme or for two side by side, at bulk speed.

A *kind* is what a case became: kinds 0 to D-1 are the scheme's DRGs (those of ambiguous cases among
them), D is ungrouped and D+1 invalid. All sums are integers, so they do not depend on the split.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from grouper.cases import COLUMNS, CaseSource, Column, Part, open_cases, read_part
from grouper.cases.money import fen_column
from grouper.duplicates import find_duplicates
from grouper.execution import Runner
from grouper.grouping import (
    AMBIGUOUS,
    GROUPED,
    INVALID,
    UNGROUPED,
    GroupedBatch,
    columns_for,
    group_batch,
    required_for,
)
from grouper.kernels.statistics import SQUARE_LIMBS, add_cells
from grouper.scheme import Scheme
from grouper.settlement.statistics import CellSums, Sums, SumTotal

Ints = NDArray[np.int64]
_DENSE = 1 << 22


@dataclass(frozen=True)
class Kinds:
    """The kinds of a scheme.

    Attributes:
        codes: code of each; `0000` for ungrouped and `invalid` for invalid cases.
        status: position in `grouping.STATUS` of each.
        mdc, adrg: of each DRG; empty for the others.
    """

    scheme: Scheme
    codes: tuple[str, ...]
    status: tuple[int, ...]
    mdc: tuple[str, ...]
    adrg: tuple[str, ...]

    @staticmethod
    def of(scheme: Scheme) -> Kinds:
        """The kinds of a scheme, in the order of its DRGs."""
        known = {o.drg: o for o in scheme.compiled.outcomes if o.drg}
        outcomes = [known[drg] for drg in scheme.drgs]
        return Kinds(
            scheme,
            (*scheme.drgs, "0000", "invalid"),
            (*(AMBIGUOUS if o.ambiguous else GROUPED for o in outcomes), UNGROUPED, INVALID),
            (*(o.mdc for o in outcomes), "", ""),
            (*(o.adrg for o in outcomes), "", ""),
        )

    def name(self, kind: int) -> str:
        """Name of the DRG; empty for the others."""
        return self.scheme.names.get(self.codes[kind], "")

    def weights(self) -> list[tuple[int, int]]:
        """Published weight of each kind as numerator and denominator; (0, 0) where none is."""
        found = []
        for code, status in zip(self.codes, self.status, strict=True):
            known = self.scheme.weights.get(code) if status == GROUPED else None
            weight = known.weight if known else None
            found.append(weight.as_integer_ratio() if weight is not None else (0, 0))
        return found


def _kinds_of(grouped: GroupedBatch) -> NDArray[np.int32]:
    kinds = grouped.drg.copy()
    ungrouped = len(grouped.scheme.drgs)
    kinds[kinds < 0] = ungrouped
    kinds[grouped.reason != 0] = ungrouped + 1
    return kinds


@dataclass(frozen=True)
class _Counting:
    source: CaseSource
    schemes: tuple[Scheme, ...]
    duplicates: NDArray[np.uint64]


@dataclass
class _Counted:
    """Of one part: cases and sums by kind and scheme, and by pair of kinds where there are two."""

    cases: list[Ints]
    sums: list[CellSums]
    pairs: tuple[Ints, Ints, Ints] | None = None
    hospitals: list[Counter[tuple[str, int]]] = field(default_factory=list)
    unpriced: int = 0


def _count_part(shared: _Counting, part: Part) -> _Counted:
    sizes = [len(scheme.drgs) + 2 for scheme in shared.schemes]
    found = _Counted(
        [np.zeros(size, np.int64) for size in sizes],
        [_no_sums(size) for size in sizes],
        hospitals=[Counter() for _ in sizes],
    )
    both = len(sizes) == 2
    pair_cases = np.zeros(sizes[0] * sizes[1] if both else 0, np.int64)
    pair_cost = np.zeros_like(pair_cases)
    for batch in read_part(shared.source, part):
        kinds = [_kinds_of(group_batch(batch, s, shared.duplicates)) for s in shared.schemes]
        cost, priced = _costs(batch)
        found.unpriced += len(priced) - int(np.count_nonzero(priced))
        for place, kind in enumerate(kinds):
            found.cases[place] += np.bincount(kind, minlength=sizes[place])
            sums = found.sums[place]
            cell = np.where(priced, kind, np.int32(-1))
            add_cells(cell, cost, sums.count, sums.total, sums.squares)
        if both:
            pair = kinds[0].astype(np.int64) * sizes[1] + kinds[1]
            pair_cases += np.bincount(pair, minlength=len(pair_cases))
            np.add.at(pair_cost, pair, cost)
        _count_hospitals(batch, kinds, sizes, found.hospitals)
    if both:
        met = np.flatnonzero(pair_cases)
        found.pairs = met, pair_cases[met], pair_cost[met]
    return found


def _no_sums(cells: int) -> CellSums:
    squares = np.zeros((cells, SQUARE_LIMBS), np.int64)
    return CellSums(np.zeros(cells, np.int64), np.zeros(cells, np.int64), squares)


def _costs(batch: pa.RecordBatch) -> tuple[Ints, NDArray[np.bool_]]:
    """Total cost in fen, 0 where there is no good one; and where there is one."""
    place = batch.schema.get_field_index("total_cost")
    if place < 0:
        return np.zeros(batch.num_rows, np.int64), np.zeros(batch.num_rows, np.bool_)
    fen, fault, null = fen_column(batch.column(place))
    priced = ~null & (fault == 0) & (fen >= 0)
    return np.where(priced, fen, 0), priced


def _count_hospitals(
    batch: pa.RecordBatch,
    kinds: list[NDArray[np.int32]],
    sizes: list[int],
    found: list[Counter[tuple[str, int]]],
) -> None:
    place = batch.schema.get_field_index("hospital_id")
    if place < 0 or pa.types.is_null(batch.column(place).type):
        return
    column = batch.column(place)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    names = [name or "" for name in column.dictionary.to_pylist()] + [""]
    codes = column.indices.cast(pa.int64()).fill_null(len(names) - 1)
    hospital = codes.to_numpy(zero_copy_only=False)
    for place, (kind, size) in enumerate(zip(kinds, sizes, strict=True)):
        cell = hospital * size + kind
        if len(names) * size <= _DENSE:
            counts = np.bincount(cell, minlength=len(names) * size)
            cells = np.flatnonzero(counts)
            counts = counts[cells]
        else:
            cells, counts = np.unique(cell, return_counts=True)
        for number, count in zip(cells.tolist(), counts.tolist(), strict=True):
            found[place][names[number // size], number % size] += count


@dataclass
class Counts:
    """Cases and costs of a whole source.

    Attributes:
        kinds: of each scheme.
        cases: by scheme and kind.
        sums: exact sums of the costs by scheme and kind, of the cases that have a cost.
        pairs: (kind in A, kind in B) to (cases, cost in fen); empty for one scheme.
        hospitals: by scheme, cases by (hospital, kind); empty where the cases name no hospital.
        unpriced: cases without a good total cost.
        absent: columns that the cases lack and a scheme asks for.
    """

    kinds: tuple[Kinds, ...]
    cases: list[Ints]
    sums: list[list[Sums]]
    pairs: dict[tuple[int, int], tuple[int, int]]
    hospitals: list[Counter[tuple[str, int]]]
    unpriced: int
    absent: tuple[str, ...]

    @property
    def total(self) -> int:
        """Number of all cases."""
        return int(self.cases[0].sum())


def count_cases(
    cases: Path, schemes: Iterable[Scheme], runner: Runner, *, encoding: str = "utf-8"
) -> Counts:
    """Group all cases by one scheme or by two in one pass, and add them up.

    Args:
        cases: a file or folder. `total_cost` and `hospital_id` are used where they are there.

    Raises:
        CaseTableError: the cases cannot be read, or lack what grouping needs.
    """
    schemes = tuple(schemes)
    wanted: dict[str, Column] = {c.name: c for scheme in schemes for c in columns_for(scheme)}
    asked = set(wanted)
    wanted |= {name: COLUMNS[name] for name in ("total_cost", "hospital_id")}
    required = {name for scheme in schemes for name in required_for(scheme)}
    source = open_cases(cases, wanted=wanted.values(), required=sorted(required), encoding=encoding)
    with tempfile.TemporaryDirectory(prefix="grouper-") as work:
        duplicates = find_duplicates(source, runner, Path(work))
    sizes = [len(scheme.drgs) + 2 for scheme in schemes]
    counted = [np.zeros(size, np.int64) for size in sizes]
    totals = [SumTotal(size) for size in sizes]
    pairs: dict[tuple[int, int], tuple[int, int]] = {}
    hospitals: list[Counter[tuple[str, int]]] = [Counter() for _ in sizes]
    unpriced = 0
    for part in runner.map(_count_part, _Counting(source, schemes, duplicates), source.parts):
        unpriced += part.unpriced
        for place in range(len(sizes)):
            counted[place] += part.cases[place]
            totals[place].add(part.sums[place])
            hospitals[place].update(part.hospitals[place])
        if part.pairs is not None:
            for pair, count, cost in zip(*(a.tolist() for a in part.pairs), strict=True):
                key = divmod(pair, sizes[1])
                before = pairs.get(key, (0, 0))
                pairs[key] = before[0] + count, before[1] + cost
    return Counts(
        tuple(Kinds.of(scheme) for scheme in schemes),
        counted,
        [[total.of(k) for k in range(n)] for total, n in zip(totals, sizes, strict=True)],
        dict(sorted(pairs.items())),
        hospitals,
        unpriced,
        tuple(name for name in source.absent if name in asked),
    )
