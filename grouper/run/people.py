"""The population of the statistics: the years of history, and trimming over all parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grouper.cases import CaseSource, Part, read_part
from grouper.grouping import group_batch
from grouper.kernels.statistics import add_cells
from grouper.run.work import WORK, Done, once
from grouper.scheme import Scheme
from grouper.settlement.facts import read_facts
from grouper.settlement.history import take_in_history
from grouper.settlement.intake import Accounts, Codes, IntakePlan
from grouper.settlement.months import MONTHS
from grouper.settlement.policy import BY_HOSPITAL, Trim
from grouper.settlement.region import LEVELS
from grouper.settlement.statistics import CellSums, Sums, cell_count
from grouper.settlement.trimming import trimmed

UInt64s = NDArray[np.uint64]
Ints = NDArray[np.int64]

BUCKET_ROWS = 1 << 22
"""About so many cases are trimmed in one task."""


HospitalSums = dict[tuple[int, int], tuple[int, int]]
"""(kind, hospital) to cases and total cost in fen."""


def add_hospitals(
    book: HospitalSums, accounts: Accounts, cell: Codes, account: Codes, total: Ints
) -> None:
    """Add the cases of a batch to the sums by group and hospital."""
    mine = np.flatnonzero((cell >= 0) & (account != -1))
    place = np.where(account[mine] < -1, -2 - account[mine], account[mine]).astype(np.int64)
    hospital = place // (len(accounts.pools) * MONTHS)
    keys = cell[mine] // len(LEVELS) * len(accounts.hospitals) + hospital
    order = np.argsort(keys, kind="stable")
    first = np.flatnonzero(np.diff(keys[order], prepend=-1))
    if not len(first):
        return
    counts = np.diff(first, append=len(order))
    sums = np.add.reduceat(total[mine][order], first)
    found = zip(keys[order][first].tolist(), counts.tolist(), sums.tolist(), strict=True)
    for key, count, whole in found:
        known = book.get(divmod(key, len(accounts.hospitals)), (0, 0))
        book[divmod(key, len(accounts.hospitals))] = (known[0] + count, known[1] + whole)


@dataclass(frozen=True)
class HospitalShared:
    """What the sums by hospital read."""

    run: str
    accounts: Accounts


def hospital_task(shared: HospitalShared, path: str) -> HospitalSums:
    """Sums by group and hospital of the run's own cases in a facts file."""
    book: HospitalSums = {}
    for facts in read_facts(Path(path)):
        add_hospitals(book, shared.accounts, facts.cell, facts.account, facts.total)
    return book


def rows_path(run: Path, number: int) -> Path:
    """Where the rows (cell, year, total) of a part of history lie."""
    return run / WORK / "history" / f"part-{number:05d}.npy"


@dataclass(frozen=True)
class HistoryShared:
    """What the history stage reads; ``keep`` says whether rows are kept for trimming."""

    run: str
    source: CaseSource
    scheme: Scheme
    duplicates: UInt64s
    plan: IntakePlan
    kinds: int
    keep: bool


@dataclass
class PastSums:
    """Sums of the history in a part, by year.

    Attributes:
        cells: sums by cell.
        hospitals: (kind, hospital) to cases and total cost in fen, where the policy asks for them.
    """

    cells: dict[int, CellSums] = field(default_factory=dict)
    hospitals: dict[int, HospitalSums] = field(default_factory=dict)


def history_task(shared: HistoryShared, part: Part) -> Done:
    """Sums by cell of each year's cases of route ``drg``.

    Returns:
        The record of a `PastSums`.
    """

    def work(run: Path) -> tuple[PastSums, list[Path]]:
        cells = cell_count(shared.kinds)
        found = PastSums()
        sums = found.cells
        by_hospital = shared.plan.policy.coefficient.kind in BY_HOSPITAL
        kept = []
        for batch in read_part(shared.source, part):
            past = take_in_history(
                batch, group_batch(batch, shared.scheme, shared.duplicates), shared.plan
            )
            for year in np.unique(past.year[past.cell >= 0]).tolist():
                mine = sums.setdefault(year, CellSums.empty(cells))
                cell = np.where(past.year == year, past.cell, -1).astype(np.int32)
                add_cells(cell, past.total, mine.count, mine.total, mine.squares)
                if by_hospital:
                    book = found.hospitals.setdefault(year, {})
                    add_hospitals(book, shared.plan.accounts, cell, past.account, past.total)
            if shared.keep:
                rows = np.stack([past.cell.astype(np.int64), past.year, past.total])
                kept.append(rows[:, rows[0] >= 0])
        if not shared.keep:
            return found, []
        path = rows_path(run, part.number)
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.concatenate([np.empty((3, 0), np.int64), *kept], axis=1))
        return found, [path]

    return once(shared.run, "history", part.number, work)


@dataclass(frozen=True)
class TrimShared:
    """What trimming reads.

    Attributes:
        facts: facts files of the run's own cases, all of ``year``.
        rows: row files of history.
        grouped: cells below this number belong to DRGs; the others are not trimmed.
    """

    rule: Trim
    facts: tuple[str, ...]
    rows: tuple[str, ...]
    year: int
    grouped: int
    buckets: int


def trim_task(shared: TrimShared, bucket: int) -> dict[tuple[int, int], Sums]:
    """Sums after trimming by year and cell, of the groups of a bucket."""
    pieces = [_of_bucket(shared, bucket, np.load(path, mmap_mode="r")) for path in shared.rows]
    for path in shared.facts:
        for facts in read_facts(Path(path)):
            year = np.full(len(facts.cell), shared.year, np.int64)
            rows = np.stack([facts.cell.astype(np.int64), year, facts.total])
            pieces.append(_of_bucket(shared, bucket, rows))
    cell, year, total = np.concatenate([np.empty((3, 0), np.int64), *pieces], axis=1)
    kind, level = np.divmod(cell, len(LEVELS))
    order = np.lexsort((kind, year))
    cell, year, total = cell[order], year[order], total[order]
    kind, level = kind[order], level[order]
    sums = {}
    borders = np.flatnonzero((np.diff(kind) != 0) | (np.diff(year) != 0)) + 1
    for group in np.split(np.arange(len(cell)), borders):
        if not len(group):
            continue
        rule = shared.rule
        if cell[group[0]] >= shared.grouped:
            rule = Trim()
        for where, found in trimmed(total[group], level[group], rule).items():
            sums[int(year[group[0]]), int(kind[group[0]]) * len(LEVELS) + where] = found
    return sums


def _of_bucket(shared: TrimShared, bucket: int, rows: Ints) -> Ints:
    mine = (rows[0] >= 0) & (rows[0] // len(LEVELS) % shared.buckets == bucket)
    chosen: Ints = rows[:, mine]
    return chosen
