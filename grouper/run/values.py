"""The last tasks of a run: points of the cases, their sums, and the points table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from grouper.kernels.points import case_points, case_values
from grouper.parts import ParquetFile, part_name
from grouper.run.beside import SideSums, compare
from grouper.run.books import Books, PointSums
from grouper.run.stages import TEXT, facts_path, stays_path
from grouper.run.work import Done, once
from grouper.settlement.amounts import MONEY, POINTS, decimal_column, text_column
from grouper.settlement.facts import Facts, read_facts
from grouper.settlement.intake import Accounts
from grouper.settlement.months import MONTHS
from grouper.settlement.numbers import SCALE
from grouper.settlement.readmission import PERSON, earlier_stays
from grouper.settlement.region import LEVELS
from grouper.settlement.routes import CODE, DRG, INVALID, PER_DIEM, REASONS, ROUTES
from grouper.settlement.rules import CLASSES, RuleTable, too_large

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

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


# --- readmission ------------------------------------------------------------------------------


@dataclass(frozen=True)
class StaysShared:
    """What the search for readmissions reads."""

    run: str
    parts: tuple[int, ...]
    days: int
    exempt: tuple[int, ...]
    buckets: int


def stays_task(shared: StaysShared, bucket: int) -> Ints:
    """(part, row) of the earlier stays among the persons of a bucket."""
    pieces = [np.empty((7, 0), np.int64)]
    for number in shared.parts:
        stays = np.load(stays_path(Path(shared.run), number), mmap_mode="r")
        pieces.append(stays[:, stays[PERSON].view(np.uint64) % np.uint64(shared.buckets) == bucket])
    return earlier_stays(np.concatenate(pieces, axis=1), shared.days, shared.exempt)


# --- points -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pricing:
    """How points of a case are found.

    Attributes:
        rules: the rules of all slots; a slot is a cell, or (kind × classes + hospital's class)
            where ``classes`` are given.
        classes: class by hospital; empty where slots are cells.
        per_diem: points per day (1e-8) by hospital; empty where no case is paid per day.
        own: coefficient in 1e-8 of each group and hospital; empty where they go by level.
        halved: rows of which a readmission leaves ``keep``, by part; their points follow from the
            rules ``kept``.
    """

    rules: RuleTable
    accounts: Accounts
    classes: tuple[int, ...] = ()
    per_diem: tuple[int, ...] = ()
    own: Ints = field(default_factory=lambda: np.empty((0, 0), np.int64))
    halved: dict[int, Ints] = field(default_factory=dict)
    keep: Fraction = Fraction(1)
    kept: RuleTable | None = None

    def points(
        self, facts: Facts, part: int, first: int
    ) -> tuple[Ints, NDArray[np.int8], NDArray[np.bool_]]:
        """Points, class and whether the stay was halved, of a batch that begins at a row."""
        points = np.empty(len(facts.cell), np.int64)
        kind = np.empty(len(facts.cell), np.int8)
        slot = facts.cell
        if self.classes:
            number = max(self.classes) + 1
            mine = np.array(self.classes, np.int32)[self._hospital(facts.account)]
            slot = np.where(slot < 0, -1, slot // len(LEVELS) * number + mine).astype(np.int32)
        factor = self._factors(facts)
        rules = self.rules
        fault = case_points(
            slot,
            facts.total,
            facts.compliant,
            factor,
            rules.start,
            rules.bounds,
            rules.terms,
            points,
            kind,
        )
        must_fit(facts, fault)
        daily = facts.route == PER_DIEM
        if daily.any():
            rate = np.array(self.per_diem, np.int64)[self._hospital(facts.account)[daily]]
            points[daily] = facts.days[daily] * rate
        halved = np.zeros(len(points), np.bool_)
        rows = self.halved.get(part)
        if rows is not None and self.kept is not None:
            here = rows[(rows >= first) & (rows < first + len(points))] - first
            halved[here] = True
            some = np.empty(len(here), np.int64)
            taken = factor[here] if len(factor) else factor
            fault = self._run(self.kept, facts, slot, taken, here, some, np.empty_like(kind[here]))
            must_fit(facts, int(here[fault]) if fault >= 0 else -1)
            points[here] = some
        return points, kind, halved

    def _run(
        self,
        rules: RuleTable,
        facts: Facts,
        slot: Codes,
        factor: Ints,
        rows: Ints,
        points: Ints,
        kind: NDArray[np.int8],
    ) -> int:
        """Points of some rows of a batch by a table of rules; as `case_points`."""
        return case_points(
            slot[rows],
            facts.total[rows],
            facts.compliant[rows],
            factor,
            rules.start,
            rules.bounds,
            rules.terms,
            points,
            kind,
        )

    def _hospital(self, account: Codes) -> Codes:
        place = np.where(account < -1, -2 - account, account)
        hospital: Codes = place // (len(self.accounts.pools) * MONTHS)
        return np.where(place < 0, 0, hospital)

    def _factors(self, facts: Facts) -> Ints:
        """The factor of each case, times the coefficient of its group and hospital."""
        if not self.own.size:
            return facts.factor
        kind = np.where(facts.cell < 0, 0, facts.cell // len(LEVELS))
        coefficient = self.own[kind, self._hospital(facts.account)]
        # 1e-8 × 1e-8: a coefficient with its uplifts is one quantity, rounded once.
        factor: Ints = (facts.factor * coefficient + SCALE // 2) // SCALE
        return factor


def must_fit(facts: Facts, row: int) -> None:
    """Fail where a kernel could not compute a row (-1: it computed all)."""
    if row >= 0:
        raise too_large(facts.case_id[row].as_py())


@dataclass(frozen=True)
class PointsShared:
    """What the points stage reads."""

    run: str
    pricing: Pricing


def points_task(shared: PointsShared, number: int) -> PointSums:
    """Sum the points of a part by account."""
    books = Books(shared.pricing.accounts.size)
    first = 0
    for facts in read_facts(facts_path(Path(shared.run), number)):
        points, _, _ = shared.pricing.points(facts, number, first)
        books.add(facts, points)
        first += len(points)
    return books.sums()


# --- values -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ValuesShared:
    """What the last stage reads.

    Attributes:
        point_value: in 1e-8 yuan, by pool × 12 + month; ``per_diem_value``: of per-diem points.
        reasons: int16, by cell and class.
        reviewed: rows, extra points and reasons of the reviewed cases, by part.
        side_by_side: whether sums by hospital, pool and group are made.
    """

    run: str
    pricing: Pricing
    point_value: Ints
    per_diem_value: Ints
    reasons: NDArray[np.int16]
    reviewed: dict[int, tuple[Ints, Ints, NDArray[np.int16]]]
    side_by_side: bool


@dataclass(frozen=True)
class ValuesResult:
    """What was written.

    Attributes:
        written: cases and points by account.
        classes: cases by class.
        beside: sums by hospital, pool and group.
    """

    written: PointSums
    cases: int
    classes: Counter[str]
    beside: SideSums


def values_task(shared: ValuesShared, number: int) -> Done:
    """Write class, points, value and gain of every case of a part.

    Returns:
        The record of a `ValuesResult`.
    """

    def work(run: Path) -> tuple[ValuesResult, list[Path]]:
        books = Books(shared.pricing.accounts.size)
        classes: Counter[str] = Counter()
        beside: list[SideSums] = []
        first = 0
        table = run / "points" / part_name(number)
        with ParquetFile(table, POINTS_SCHEMA, plain=("case_id", "value", "gain")) as out:
            for facts in read_facts(facts_path(run, number)):
                points, kind, halved = shared.pricing.points(facts, number, first)
                books.add(facts, points)
                for code, count in enumerate(np.bincount(kind + 1).tolist()):
                    if code and count:
                        classes[CLASSES[code - 1]] += count
                value, gain = _values(shared, facts, points)
                reason = _reasons(shared, facts, kind, halved)
                out.write(_rows(shared, number, facts, first, points, kind, reason, value, gain))
                if shared.side_by_side:
                    kinds = shared.reasons.shape[0] // len(LEVELS)
                    beside.append(compare(facts, value, kinds))
                first += len(points)
        return ValuesResult(books.sums(), first, classes, SideSums.join(beside)), [table]

    return once(shared.run, "values", number, work)


def _values(shared: ValuesShared, facts: Facts, points: Ints) -> tuple[Ints, Ints]:
    value, gain = np.empty(len(points), np.int64), np.empty(len(points), np.int64)
    place = shared.pricing.accounts.pool_month(facts.account)
    must_fit(facts, case_values(place, points, shared.point_value, facts.total, value, gain))
    daily = facts.route == PER_DIEM
    if daily.any():
        own = np.where(daily, place, -1).astype(np.int32)
        other, less = np.empty_like(value), np.empty_like(gain)
        fault = case_values(own, points, shared.per_diem_value, facts.total, other, less)
        must_fit(facts, fault)
        value, gain = np.where(daily, other, value), np.where(daily, less, gain)
    return value, gain


def _reasons(
    shared: ValuesShared, facts: Facts, kind: NDArray[np.int8], halved: NDArray[np.bool_]
) -> NDArray[np.int16]:
    reason = np.where(facts.route == DRG, shared.reasons[facts.cell, kind], facts.reason)
    reason[halved] = CODE["readmitted"]
    return reason


def _rows(
    shared: ValuesShared,
    number: int,
    facts: Facts,
    first: int,
    points: Ints,
    kind: NDArray[np.int8],
    reason: NDArray[np.int16],
    value: Ints,
    gain: Ints,
) -> pa.RecordBatch:
    extra = np.zeros(len(points), np.int64)
    if number in shared.reviewed:
        rows, added, why = shared.reviewed[number]
        here = (rows >= first) & (rows < first + len(points))
        extra[rows[here] - first] = added[here]
        reason[rows[here] - first] = why[here]
    without = (facts.cell < 0) & (facts.route != PER_DIEM) | (facts.route == INVALID)
    columns = [
        facts.case_id,
        text_column(facts.route, ROUTES),
        text_column(np.where(facts.cell >= 0, kind, len(CLASSES)), (*CLASSES, "")),
        text_column(reason, REASONS),
        decimal_column(points, POINTS, without),
        decimal_column(extra, POINTS, without),
        decimal_column(value, MONEY, without),
        decimal_column(gain, MONEY, without),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=POINTS_SCHEMA)
