"""The tasks of a run: one part in, files and a small result out.

Each task is a pure function of its arguments and of files that do not change. What it has done it
records, so that a run that was interrupted takes up its finished parts as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from grouper.cases import CaseSource, Part, read_part
from grouper.errors import RunError
from grouper.grouping import RESULT_SCHEMA, STATUS, group_batch, id_hashes
from grouper.kernels.points import add_points, case_points, case_values
from grouper.kernels.statistics import add_accounts, add_cells
from grouper.parts import ParquetFile, file_digest, part_name
from grouper.run.work import WORK, Done, record, recorded
from grouper.scheme import Scheme
from grouper.settlement.amounts import MONEY, POINTS, decimal_column, text_column
from grouper.settlement.facts import Facts, FactsWriter, read_facts
from grouper.settlement.history import month_codes, take_in_history
from grouper.settlement.intake import AMOUNTS, REJECTED_SCHEMA, Accounts, Intake, take_in
from grouper.settlement.reviews import ReviewedCase, find_reviewed
from grouper.settlement.routes import DRG, REASONS, ROUTES
from grouper.settlement.rules import CLASSES, RuleTable
from grouper.settlement.statistics import CellSums, cell_count

UInt64s = NDArray[np.uint64]
Ints = NDArray[np.int64]

TEXT = pa.dictionary(pa.int32(), pa.string())
GROUPED_SCHEMA = pa.schema(
    [(f.name, f.type if f.name == "case_id" else TEXT) for f in RESULT_SCHEMA]
)
POINTS_SCHEMA = pa.schema(
    [
        ("case_id", pa.string()),
        ("route", TEXT),
        ("class", TEXT),
        ("reason", TEXT),
        ("points", POINTS),
        ("extra_points", POINTS),
        ("value", MONEY),
        ("gain", MONEY),
    ]
)
_NO_FACTORS = np.empty(0, np.int64)
_NO_FACTORS.flags.writeable = False


def _once(
    run: str, stage: str, number: int, work: Callable[[Path], tuple[Any, list[Path]]]
) -> Done:
    """The record of a task: as it was kept, or made by doing the work."""
    folder = Path(run)
    done = recorded(folder, stage, number)
    if done is None:
        result, files = work(folder)
        digests = {str(file.relative_to(folder)): file_digest(file) for file in files}
        done = Done(result, digests)
        record(folder, stage, number, done)
    return done


def facts_path(run: Path, number: int) -> Path:
    """Where the facts of a part lie."""
    return run / WORK / "facts" / f"part-{number:05d}.arrow"


# --- survey -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SurveyShared:
    """What the survey reads."""

    source: CaseSource


@dataclass(frozen=True)
class Survey:
    """Years and cities that the cases of a part name, and how many cases there are."""

    cases: int
    years: Counter[int]
    cities: set[str]


def survey_task(shared: SurveyShared, part: Part) -> Survey:
    """Count the cases of a part by year, and gather the cities."""
    cases = 0
    years: Counter[int] = Counter()
    cities: set[str] = set()
    for batch in read_part(shared.source, part, ("settle_month", "city")):
        cases += batch.num_rows
        by_code, codes = month_codes(batch)
        for code, count in enumerate(np.bincount(codes, minlength=len(by_code)).tolist()):
            if count and by_code[code]:
                years[int(by_code[code])] += count
        position = batch.schema.get_field_index("city")
        if position >= 0:
            cities |= {text for text in batch.column(position).unique().to_pylist() if text}
    return Survey(cases, years, cities)


# --- history ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class HistoryShared:
    """What the history stage reads."""

    source: CaseSource
    scheme: Scheme
    duplicates: UInt64s
    accounts: Accounts


def history_task(shared: HistoryShared, part: Part) -> dict[int, CellSums]:
    """Sums by cell of each year's cases of route ``drg``."""
    cells = cell_count(len(shared.scheme.drgs))
    sums: dict[int, CellSums] = {}
    for batch in read_part(shared.source, part):
        past = take_in_history(
            batch, group_batch(batch, shared.scheme, shared.duplicates), shared.accounts
        )
        for year in np.unique(past.year[past.cell >= 0]).tolist():
            mine = sums.setdefault(year, CellSums.empty(cells))
            cell = np.where(past.year == year, past.cell, -1).astype(np.int32)
            add_cells(_ro(cell), _ro(past.total), mine.count, mine.total, mine.squares)
    return sums


# --- group ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GroupShared:
    """What the group stage reads.

    Attributes:
        reviewed: position in reviews.csv by case id.
        review_hashes: first hash of the reviewed ids, sorted.
    """

    run: str
    source: CaseSource
    scheme: Scheme
    duplicates: UInt64s
    accounts: Accounts
    reviewed: dict[str, int]
    review_hashes: UInt64s


@dataclass
class GroupResult:
    """What the group stage knows of a part.

    Attributes:
        accounts, sums: accounts with cases, and (cases, *`AMOUNTS`) of each.
        cost: total cost by route, in fen.
    """

    cells: CellSums
    cases: int = 0
    accounts: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    sums: Ints = field(default_factory=lambda: np.empty((0, 1 + len(AMOUNTS)), np.int64))
    counts: Counter[str] = field(default_factory=Counter)
    cost: Counter[str] = field(default_factory=Counter)
    reviewed: list[ReviewedCase] = field(default_factory=list)


def group_task(shared: GroupShared, part: Part) -> Done:
    """Group and route a part; write its grouped table, rejected rows and facts.

    Returns:
        The record of a `GroupResult`.
    """

    def work(run: Path) -> tuple[GroupResult, list[Path]]:
        result = GroupResult(CellSums.empty(cell_count(len(shared.scheme.drgs))))
        table = run / "grouped" / part_name(part.number)
        rejected_file = run / WORK / "rejected" / part_name(part.number)
        facts = facts_path(run, part.number)
        sums = np.zeros((shared.accounts.size, 1 + len(AMOUNTS)), np.int64)
        with (
            ParquetFile(table, GROUPED_SCHEMA) as grouped_out,
            ParquetFile(rejected_file, REJECTED_SCHEMA) as rejected_out,
            FactsWriter(facts) as facts_out,
        ):
            for batch in read_part(shared.source, part):
                grouped = group_batch(batch, shared.scheme, shared.duplicates)
                intake = take_in(batch, grouped, shared.accounts)
                grouped_out.write(intake.grouped)
                facts_out.write(grouped.case_id, intake)
                for rows in intake.rejected.to_batches():
                    rejected_out.write(rows)
                _count(result, sums, intake, grouped.counts())
                result.reviewed += _reviewed(shared, part, batch, intake, result.cases)
                result.cases += batch.num_rows
        used = np.flatnonzero(sums[:, 0])
        result.accounts, result.sums = used.astype(np.int32), sums[used]
        return result, [table, rejected_file, facts]

    return _once(shared.run, "group", part.number, work)


def _count(result: GroupResult, sums: Ints, intake: Intake, counts: dict[str, int]) -> None:
    add_cells(
        _ro(intake.cell),
        _ro(intake.total),
        result.cells.count,
        result.cells.total,
        result.cells.squares,
    )
    add_accounts(_ro(intake.account), _ro(intake.amounts), sums)
    for code, count in enumerate(np.bincount(intake.status, minlength=len(STATUS)).tolist()):
        result.counts[STATUS[code]] += count
    for route in range(len(ROUTES)):
        mine = intake.route == route
        result.counts[f"route {ROUTES[route]}"] += int(mine.sum())
        result.cost[ROUTES[route]] += int(intake.total[mine].sum())
    for name in ("unknown_dx", "unknown_px"):
        result.counts[name] += counts[name]
    for name, count in intake.empty.items():
        result.counts[f"empty {name}"] += count


def _reviewed(
    shared: GroupShared, part: Part, batch: pa.RecordBatch, intake: Intake, first: int
) -> list[ReviewedCase]:
    if not len(shared.review_hashes):
        return []
    case_id = batch.column("case_id")
    hashes, _ = id_hashes(case_id)
    places = np.searchsorted(shared.review_hashes, hashes)
    places[places == len(shared.review_hashes)] = 0
    rows = np.flatnonzero(shared.review_hashes[places] == hashes)
    ids = case_id.take(pa.array(rows)).to_pylist()
    return [
        ReviewedCase(
            review,
            part.number,
            first + row,
            int(intake.cell[row]),
            int(intake.account[row]),
            int(intake.total[row]),
            int(intake.compliant[row]),
        )
        for review, row in find_reviewed(ids, rows, shared.reviewed)
    ]


# --- points -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class PointsShared:
    """What the points stage reads."""

    run: str
    rules: RuleTable
    accounts: Accounts


@dataclass(frozen=True)
class AccountPoints:
    """Cases and points by account; a sum of points is ``high * 2**32 + low``."""

    accounts: NDArray[np.int32]
    count: Ints
    low: Ints
    high: Ints


def points_task(shared: PointsShared, number: int) -> AccountPoints:
    """Sum the points of a part by account."""
    book = _Book(shared.accounts.size)
    for facts in read_facts(facts_path(Path(shared.run), number)):
        points, _ = _points(facts, shared.rules)
        book.add(facts, points)
    return book.sums()


class _Book:
    def __init__(self, size: int) -> None:
        self._columns = tuple(np.zeros(size, np.int64) for _ in range(3))

    def add(self, facts: Facts, points: Ints) -> None:
        add_points(facts.account, _ro(points), *self._columns)

    def sums(self) -> AccountPoints:
        used = np.flatnonzero(self._columns[0])
        return AccountPoints(used.astype(np.int32), *(column[used] for column in self._columns))


def _points(facts: Facts, rules: RuleTable) -> tuple[Ints, NDArray[np.int8]]:
    points = np.empty(len(facts.cell), np.int64)
    kind = np.empty(len(facts.cell), np.int8)
    fault = case_points(
        facts.cell,
        facts.total,
        facts.compliant,
        _NO_FACTORS,
        _ro(rules.start),
        _ro(rules.bounds),
        _ro(rules.terms),
        points,
        kind,
    )
    _must_fit(facts, fault, "points")
    return points, kind


def _must_fit(facts: Facts, row: int, what: str) -> None:
    if row >= 0:
        raise RunError(
            f"the {what} of case '{facts.case_id[row].as_py()}' are too large to be computed",
            hint="its cost is absurd beside the mean of all cases: correct it",
        )


# --- values -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ValuesShared:
    """What the last stage reads.

    Attributes:
        point_value: in 1e-8 yuan, by pool × 12 + month.
        reasons: int16, by cell and class.
        reviewed: rows, extra points and reasons of the reviewed cases, by part.
    """

    run: str
    rules: RuleTable
    accounts: Accounts
    point_value: Ints
    reasons: NDArray[np.int16]
    reviewed: dict[int, tuple[Ints, Ints, NDArray[np.int16]]]


@dataclass(frozen=True)
class ValuesResult:
    """What was written: by account, by class, and the total cost in fen."""

    written: AccountPoints
    cases: int
    classes: Counter[str]


def values_task(shared: ValuesShared, number: int) -> Done:
    """Write class, points, value and gain of every case of a part.

    Returns:
        The record of a `ValuesResult`.
    """

    def work(run: Path) -> tuple[ValuesResult, list[Path]]:
        book = _Book(shared.accounts.size)
        classes: Counter[str] = Counter()
        first = 0
        table = run / "points" / part_name(number)
        plain = ("case_id", "value", "gain")
        with ParquetFile(table, POINTS_SCHEMA, plain=plain) as out:
            for facts in read_facts(facts_path(run, number)):
                points, kind = _points(facts, shared.rules)
                book.add(facts, points)
                for code, count in enumerate(np.bincount(kind + 1).tolist()):
                    if code and count:
                        classes[CLASSES[code - 1]] += count
                out.write(_rows(shared, number, facts, points, kind, first))
                first += len(points)
        return ValuesResult(book.sums(), first, classes), [table]

    return _once(shared.run, "values", number, work)


def _rows(
    shared: ValuesShared,
    number: int,
    facts: Facts,
    points: Ints,
    kind: NDArray[np.int8],
    first: int,
) -> pa.RecordBatch:
    value, gain = np.empty(len(points), np.int64), np.empty(len(points), np.int64)
    place = shared.accounts.pool_month(facts.account)
    fault = case_values(_ro(place), _ro(points), _ro(shared.point_value), facts.total, value, gain)
    _must_fit(facts, fault, "points")
    paid = facts.route == DRG
    reason = np.where(paid, shared.reasons[facts.cell, kind], facts.reason)
    extra = np.zeros(len(points), np.int64)
    rows, added, why = shared.reviewed.get(number, (_NO_FACTORS, _NO_FACTORS, _NO_FACTORS))
    here = (rows >= first) & (rows < first + len(points))
    extra[rows[here] - first] = added[here]
    reason[rows[here] - first] = why[here]
    columns = [
        facts.case_id,
        text_column(facts.route, ROUTES),
        text_column(np.where(paid, kind, len(CLASSES)), (*CLASSES, "")),
        text_column(reason, REASONS),
        decimal_column(points, POINTS, ~paid),
        decimal_column(extra, POINTS, ~paid),
        decimal_column(value, MONEY, ~paid),
        decimal_column(gain, MONEY, ~paid),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=POINTS_SCHEMA)


def _ro(array: NDArray[Any]) -> NDArray[Any]:
    """The array as the kernels' signatures name it: contiguous and read-only."""
    array = np.ascontiguousarray(array).view()
    array.flags.writeable = False
    return array
