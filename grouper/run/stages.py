"""The first tasks of a run: what the cases are, and where each of them goes.

Each task is a pure function of its arguments and of files that do not change. What it has done it
records, so that a run that was interrupted takes up its finished parts as they are.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.caseids import id_hashes
from grouper.cases import CaseSource, Part, read_part
from grouper.context import CASES, PLAIN, case_rows
from grouper.duplicates import VERSION
from grouper.grouping import RESULT_SCHEMA, STATUS, GroupedBatch, group_batch
from grouper.kernels.arrays import readonly
from grouper.kernels.ids import mark
from grouper.kernels.statistics import add_accounts, add_cells
from grouper.oddcodes import OddCodes
from grouper.parts import ParquetFile, part_name
from grouper.quality.evaluate import Plan
from grouper.quality.scan import Scan
from grouper.run.books import AMOUNT_COLUMNS, AccountSums
from grouper.run.reuse import EarlierPart, NotAsBeforeError, Reuse, link_part
from grouper.run.taken import COLUMNS, TakenPart
from grouper.run.work import WORK, Done, Linked, once
from grouper.scheme import Scheme
from grouper.settlement.dip import count_keys, dip_keys
from grouper.settlement.facts import FactsWriter
from grouper.settlement.history import take_in_history
from grouper.settlement.intake import REJECTED_SCHEMA, Intake, IntakePlan, intake_columns, take_in
from grouper.settlement.prices import BILLS_SCHEMA
from grouper.settlement.reviews import Reviewed, find_reviewed
from grouper.settlement.routes import CODE, DRG, PER_DIEM, ROUTES
from grouper.settlement.statistics import CellSums, cell_count

UInt64s = NDArray[np.uint64]
Ints = NDArray[np.int64]

TEXT = pa.dictionary(pa.int32(), pa.string())
GROUPED_SCHEMA = pa.schema(
    [(f.name, f.type if f.name == "case_id" else TEXT) for f in RESULT_SCHEMA]
)


_UNKNOWN = ("unknown_dx", "unknown_px")

LISTS = "lists"
"""Work folder of the check of the lists (`run.lists`)."""


def facts_path(run: Path, number: int) -> Path:
    """Where the facts of a part lie."""
    return run / WORK / "facts" / f"part-{number:05d}.arrow"


def stays_path(run: Path, number: int) -> Path:
    """Where the stays of a part lie that readmission looks at."""
    return run / WORK / "stays" / f"part-{number:05d}.npy"


# --- DIP catalogue ----------------------------------------------------------------------------


@dataclass(frozen=True)
class CatalogueShared:
    """What the count of disease groups reads; ``past``: the source is history."""

    source: CaseSource
    scheme: Scheme
    duplicates: UInt64s
    plan: IntakePlan
    past: bool


def catalogue_task(shared: CatalogueShared, part: Part) -> Counter[str]:
    """Number of cases by DIP key, of the cases of route ``drg``."""
    counts: Counter[str] = Counter()
    for batch in read_part(shared.source, part):
        grouped = group_batch(batch, shared.scheme, shared.duplicates)
        take = take_in_history if shared.past else take_in
        counted = take(batch, grouped, shared.plan).cell >= 0
        counts += count_keys(dip_keys(batch, shared.plan.policy.groups), counted)
    return counts


# --- group ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GroupShared:
    """What the group stage reads.

    Attributes:
        kinds: number of groups.
        reviewed: position in reviews.csv by case id.
        review_hashes: hash pairs of the reviewed ids, sorted.
        lists: the rules of data quality that are told of, where the policy asks for it.
        reuse: the grouping of an earlier run, where it is taken from one.
    """

    run: str
    source: CaseSource
    scheme: Scheme
    duplicates: UInt64s
    plan: IntakePlan
    kinds: int
    reviewed: dict[str, int]
    review_hashes: UInt64s
    lists: Plan | None = None
    reuse: Reuse | None = None


@dataclass
class GroupResult:
    """What the group stage knows of a part.

    Attributes:
        books: sums of the cases of route ``drg``; ``per_diem``: of that route.
        cost: total cost by route, and as `settlement.scope` moved it, in fen.
        apart: positions of the cases of which drugs are paid apart.
        odd: counts of odd codes; None where the grouping is an earlier run's.
    """

    cells: CellSums
    cases: int = 0
    books: AccountSums | None = None
    per_diem: AccountSums | None = None
    counts: Counter[str] = field(default_factory=Counter)
    cost: Counter[str] = field(default_factory=Counter)
    reviewed: list[Reviewed] = field(default_factory=list)
    apart: list[Ints] = field(default_factory=list)
    odd: pa.Table | None = None


def group_task(shared: GroupShared, part: Part) -> Done:
    """Group and route a part; write its grouped table, rejected rows and facts.

    Returns:
        The record of a `GroupResult`.
    """

    def work(run: Path) -> tuple[GroupResult, list[Path | Linked]]:
        if shared.reuse is None or part.number not in shared.reuse.parts:
            return _group_part(replace(shared, reuse=None), part, run, None)
        for reuse in shared.reuse.attempts():
            with suppress(NotAsBeforeError):
                open_part = TakenPart if reuse.same_routes else EarlierPart
                earlier = open_part(reuse, part, shared.plan, shared.scheme)
                return _group_part(replace(shared, reuse=reuse), part, run, earlier)
        anew = shared
        if not len(shared.duplicates):
            earlier = EarlierPart(shared.reuse, part, shared.plan, shared.scheme)
            anew = replace(shared, duplicates=earlier.repeated())
        result, files = _group_part(anew, part, run, None)
        for name in _UNKNOWN:
            result.counts[name] = 0  # the earlier run has counted them
        return result, files

    return once(shared.run, "group", part.number, work)


def _group_part(
    shared: GroupShared, part: Part, run: Path, earlier: EarlierPart | TakenPart | None
) -> tuple[GroupResult, list[Path | Linked]]:
    """Group a part, or take its groups from an earlier run.

    Raises:
        NotAsBeforeError: the part must be grouped anew.
    """
    result = GroupResult(CellSums.empty(cell_count(shared.kinds)))
    table = run / "grouped" / part_name(part.number)
    rejected_file = run / WORK / "rejected" / part_name(part.number)
    facts = facts_path(run, part.number)
    kept = run / "cases" / part_name(part.number)
    files: list[Path | Linked] = [rejected_file, facts]
    size = (shared.plan.accounts.size, AMOUNT_COLUMNS)
    sums, per_diem = np.zeros(size, np.int64), np.zeros(size, np.int64)
    stays = []
    odd = OddCodes()
    reuse = None if earlier is None else shared.reuse
    columns = None
    if reuse is not None and shared.lists is None:
        columns = {VERSION, *(column.name for column in intake_columns(shared.plan.policy))}
        if not reuse.same_pools:
            columns |= set(CASES.names)
        if reuse.same_routes:
            columns = set(COLUMNS)
    with ExitStack() as stack:
        grouped_out = kept_out = bills_out = None
        if reuse is None or not reuse.same_rows:
            grouped_out = stack.enter_context(ParquetFile(table, GROUPED_SCHEMA))
        if reuse is None or not reuse.same_pools:
            kept_out = stack.enter_context(ParquetFile(kept, CASES, plain=PLAIN))
        if shared.plan.policy.price.bills:
            bills = run / "bills" / part_name(part.number)
            bills.parent.mkdir(exist_ok=True)
            files.append(bills)
            bills_out = stack.enter_context(ParquetFile(bills, BILLS_SCHEMA))
        scan = None
        if shared.lists is not None:
            scan = stack.enter_context(
                Scan(shared.lists, run / WORK / LISTS, part.number, shared.duplicates)
            )
        rejected_out = stack.enter_context(ParquetFile(rejected_file, REJECTED_SCHEMA))
        facts_out = stack.enter_context(FactsWriter(facts, factors=shared.plan.with_factors))
        for batch in read_part(shared.source, part, columns):
            place = part.number, result.cases
            if earlier is None:
                grouped = group_batch(batch, shared.scheme, shared.duplicates)
                odd.add(batch, grouped)
                intake = take_in(batch, grouped, shared.plan, place)
            else:
                grouped, intake = earlier.take(batch, shared.duplicates, place)
            if grouped_out is not None:
                grouped_out.write(intake.grouped)
            if kept_out is not None:
                kept_out.write(case_rows(batch, intake, shared.plan.accounts))
            facts_out.write(grouped.case_id, intake)
            for rows in intake.rejected.to_batches():
                rejected_out.write(rows)
            if bills_out is not None and intake.bills is not None:
                bills_out.write(intake.bills)
            _count(result, sums, per_diem, intake, grouped.counts())
            among = None if earlier is None else earlier.reviewed()
            result.reviewed += _reviewed(shared, place, grouped, intake, among)
            if shared.plan.policy.readmission.days is not None:
                stays.append(_stays(batch, intake, part.number, result.cases))
            if scan is not None:
                scan.add(batch, grouped)
            result.cases += batch.num_rows
    if shared.reuse is None:
        result.odd = odd.table()
    if scan is not None:
        files += scan.files
    for made, folder, path in ((grouped_out, "grouped", table), (kept_out, "cases", kept)):
        known = reuse if made is None else None
        files.append(path if known is None else link_part(known, part.number, folder, path))
    if stays:
        path = stays_path(run, part.number)
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.concatenate(stays, axis=1))
        files.append(path)
    result.books, result.per_diem = AccountSums.of(sums), AccountSums.of(per_diem)
    return result, files


def _count(
    result: GroupResult, sums: Ints, per_diem: Ints, intake: Intake, counts: dict[str, int]
) -> None:
    cells = result.cells
    add_cells(intake.cell, intake.total, cells.count, cells.total, cells.squares)
    add_accounts(intake.account, intake.amounts, sums)
    daily = intake.route == PER_DIEM
    if daily.any():
        account = np.where(daily, -2 - intake.account, -1).astype(np.int32)
        add_accounts(account, intake.amounts, per_diem)
    for code, count in enumerate(np.bincount(intake.status, minlength=len(STATUS)).tolist()):
        result.counts[STATUS[code]] += count
    for route in range(len(ROUTES)):
        mine = intake.route == route
        result.counts[f"route {ROUTES[route]}"] += int(mine.sum())
        result.cost[ROUTES[route]] += int(intake.total[mine].sum())
    for name in _UNKNOWN:
        result.counts[name] += counts[name]
    result.cost.update(intake.moved.cost)
    if len(intake.moved.apart):
        result.apart.append(intake.moved.apart)
    for name, count in intake.empty.items():
        result.counts[f"empty {name}"] += count


def _reviewed(
    shared: GroupShared,
    place: tuple[int, int],
    grouped: GroupedBatch,
    intake: Intake,
    among: Ints | None,
) -> list[Reviewed]:
    """The reviewed cases of a batch whose part and first row are known."""
    if not len(shared.review_hashes):
        return []
    rows = among
    if rows is None:
        marks = np.zeros(len(grouped.case_id), np.int8)
        one, two = grouped.hashes
        mark(readonly(one), readonly(two), readonly(shared.review_hashes), marks, 1)
        rows = np.flatnonzero(marks)
    # A review is of the case, and so of the list that counts.
    rows = rows[intake.reason[rows] != CODE["superseded"]]
    review = find_reviewed(grouped.case_id.take(pa.array(rows)).to_pylist(), shared.reviewed)
    rows, review = rows[review >= 0], review[review >= 0]
    columns = (intake.cell, intake.account, intake.total, intake.compliant)
    factor = None if intake.factor is None else intake.factor[rows]
    part, first = place
    mine = (first + rows, *(column[rows] for column in columns))
    return [Reviewed.found(review, part, mine, factor)]


def _stays(batch: pa.RecordBatch, intake: Intake, part: int, first: int) -> Ints:
    """Rows of `settlement.readmission`: person (two hashes), cell, days, part and row."""
    columns = {}
    for name in ("person_id", "admission_date", "discharge_date"):
        position = batch.schema.get_field_index(name)
        if position < 0 or pa.types.is_null(batch.column(position).type):
            return np.empty((7, 0), np.int64)
        columns[name] = batch.column(position)
    known = np.logical_and.reduce(
        [column.is_valid().to_numpy(zero_copy_only=False) for column in columns.values()]
    )
    rows = np.flatnonzero(known & (intake.route == DRG))
    persons = id_hashes(columns["person_id"])
    dates = [
        pc.fill_null(columns[name].cast(pa.int32()), 0).to_numpy(zero_copy_only=False)[rows]
        for name in ("admission_date", "discharge_date")
    ]
    return np.stack(
        [
            *(hashes[rows].view(np.int64) for hashes in persons),
            intake.cell[rows].astype(np.int64),
            *(day.astype(np.int64) for day in dates),
            np.full(len(rows), part, np.int64),
            first + rows,
        ]
    )
