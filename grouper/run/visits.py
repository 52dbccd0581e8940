"""Finding the stay that a visit belongs to, over all parts of the cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from grouper.caseids import SUPERSEDED, id_hashes, repeated_among
from grouper.cases import CaseSource, Part, read_part
from grouper.counted import counted
from grouper.duplicates import NO_DUPLICATES, VERSION, version_of
from grouper.errors import CaseTableError
from grouper.run.context import Context
from grouper.settlement.arrivals import MONEY_COLUMNS
from grouper.settlement.checks import Check, check_counts, check_money
from grouper.settlement.numbers import yuan_text
from grouper.settlement.plan import Merged
from grouper.settlement.visits import (
    FILE,
    MERGED,
    NO_STAY,
    OUTCOMES,
    SEVERAL,
    VisitIndex,
    index_of,
    outcome_table,
    read_visits,
)

Ints = NDArray[np.int64]
_COLUMNS = ("case_id", "person_id", "hospital_id", "admission_date")


@dataclass(frozen=True)
class VisitShared:
    """What the search for stays reads."""

    source: CaseSource
    index: VisitIndex
    days: int
    duplicates: NDArray[np.uint64]


@dataclass(frozen=True)
class VisitOutcome:
    """What became of the visits.

    Attributes:
        merged: what was merged into the stays of each part.
        table: `settlement.visits.SCHEMA`.
        cost: fen that were merged.
        checks: every visit and its cost stand in one outcome.
    """

    merged: Mapping[int, Merged]
    table: pa.Table
    cost: int
    checks: tuple[Check, ...]


def visit_task(shared: VisitShared, part: Part) -> tuple[Ints, list[str | None]]:
    """((row of the case, row of the visit) × matches, ids of these cases)."""
    pieces, ids = [np.empty((2, 0), np.int64)], []
    first = 0
    for batch in read_part(shared.source, part, (*_COLUMNS, VERSION)):
        columns = [batch.column(batch.schema.get_field_index(name)) for name in _COLUMNS]
        _, person, hospital, admitted = columns
        stay, visit = shared.index.before(person, hospital, admitted, shared.days)
        counts = _counts(batch, shared.duplicates)[stay]
        stay, visit = stay[counts], visit[counts]
        pieces.append(np.stack([first + stay, visit]))
        ids += columns[0].take(pa.array(stay)).to_pylist()
        first += batch.num_rows
    return np.concatenate(pieces, axis=1), ids


def _counts(batch: pa.RecordBatch, duplicates: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which lists are not superseded: a stay has its visits once."""
    if duplicates.shape[1] == NO_DUPLICATES.shape[1]:
        return np.ones(batch.num_rows, np.bool_)
    fate = repeated_among(id_hashes(batch.column("case_id")), duplicates, version_of(batch))
    counts: NDArray[np.bool_] = fate != SUPERSEDED
    return counts


def merge_visits(
    context: Context, days: int, duplicates: NDArray[np.uint64]
) -> VisitOutcome | None:
    """Give every visit to the one stay that it precedes.

    A visit belongs to a stay of the same person in the same hospital that began at most so many
    days after it. Where there is none, or more than one, it is merged into none and told.

    Raises:
        RegionError: outpatient.parquet is faulty.
        CaseTableError: the cases lack the columns by which a stay is found.
    """
    visits = read_visits(context.region.folder)
    if visits is None:
        context.manifest.warnings.append(f"no_visits: the region has no {FILE}; nothing is merged")
        return None
    source = context.sources["cases"]
    if missing := [name for name in _COLUMNS if name in source.absent]:
        raise CaseTableError(
            f"the column {missing[0]} is missing",
            file="cases",
            column=missing[0],
            hint="stay.pre_admission_days finds the stay of a visit by it",
        )
    shared = VisitShared(source, index_of(visits), days, duplicates)
    results = context.runner.map(visit_task, shared, source.parts)
    found, ids = [np.empty((3, 0), np.int64)], []
    every = zip(source.parts, context.each("visits", results, len(source.parts)), strict=True)
    for part, (pairs, names) in every:
        number = np.full((1, pairs.shape[1]), part.number)
        found.append(np.concatenate([number, pairs]))
        ids += names
    part_of, row_of, visit = np.concatenate(found, axis=1)
    times = np.bincount(visit, minlength=len(visits.fault))
    outcome = visits.fault.copy()
    outcome[times == 1] = MERGED
    outcome[times > 1] = SEVERAL
    single = times[visit] == 1
    merged = {}
    for number in np.unique(part_of[single]).tolist():
        mine = single & (part_of == number)
        rows, place = np.unique(row_of[mine], return_inverse=True)
        amounts = np.zeros((len(MONEY_COLUMNS), len(rows)), np.int64)
        for column in range(len(MONEY_COLUMNS)):
            np.add.at(amounts[column], place, visits.amounts[column, visit[mine]])
        merged[number] = Merged(rows, amounts)
    cases = {int(visit[i]): ids[i] or "" for i in np.flatnonzero(single).tolist()}
    amount = visits.amounts[0]
    sums = [int(amount[outcome == code].sum()) for code in range(len(OUTCOMES))]
    counts = [int((outcome == code).sum()) for code in range(len(OUTCOMES))]
    context.manifest.notes["visits"] = {
        name: {"visits": counts[code], "cost": yuan_text(sums[code])}
        for code, name in enumerate(OUTCOMES)
    }
    for code in range(NO_STAY, len(OUTCOMES)):
        if counts[code]:
            context.manifest.warnings.append(
                f"visit_{OUTCOMES[code]}: {counted(counts[code], 'visit')} merged into no stay"
            )
    into = sum(int(part.amounts[0].sum()) for part in merged.values())
    return VisitOutcome(
        merged,
        outcome_table(visits, outcome, amount, cases),
        sums[MERGED],
        (
            check_counts("visits in = visits of all outcomes", len(outcome), sum(counts)),
            check_money("cost of visits", int(amount.sum()), sum(sums)),
            check_money("cost of merged visits", sums[MERGED], into),
        ),
    )
