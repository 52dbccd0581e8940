"""Special review (特病单议): what a decision adds to the points of a case (section 5 and 6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from grouper.counted import counted
from grouper.errors import RegionError
from grouper.kernels.points import COMPLIANT_COST, case_points
from grouper.settlement.benchmarks import Benchmarks
from grouper.settlement.intake import Accounts
from grouper.settlement.months import MONTHS, Extra, month_after
from grouper.settlement.numbers import SCALE, yuan_text
from grouper.settlement.policy import BY_HOSPITAL, Policy
from grouper.settlement.region import LEVELS, Region, Review
from grouper.settlement.routes import CODE
from grouper.settlement.rules import (
    AMBIGUOUS,
    BAND,
    COST_COLUMN,
    HIGH,
    LOW,
    UNGROUPED,
    UNSTABLE,
    RuleTable,
    high_points,
    too_large,
    whole_group_rules,
)

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

WHOLE_GROUP = "whole_group"
_WHOLE = Fraction(1)
_LATER, _EARLIER = -1, -2
"""Months of statements that lie behind the settlement year, and before it."""
_MOST = 2**62
"""More than any cost."""
_HALF = 32
_LOW = 2**_HALF - 1


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The cases that stand in reviews.csv, a column each; int64 unless said otherwise.

    Attributes:
        review: position in `Region.reviews`.
        part, row: where the case stands.
        cell, account: negative where the case does not go the ``drg`` route.
        total, compliant: costs in fen.
        factor: the case's factor in 1e-8; empty where the policy has none.
        halved: bool, a readmission leaves only a part of its points.
        late: bool, it arrived after its month was closed.
    """

    review: Ints
    part: Ints
    row: Ints
    cell: Ints
    account: Ints
    total: Ints
    compliant: Ints
    factor: Ints
    halved: Mask
    late: Mask

    @staticmethod
    def found(
        review: Ints, part: int, columns: Iterable[NDArray[np.integer]], factor: Ints | None
    ) -> Reviewed:
        """Cases of a part; the columns are row, cell, account, total and compliant."""
        no = np.zeros(len(review), np.bool_)
        row, cell, account, total, compliant = (c.astype(np.int64) for c in columns)
        return Reviewed(
            review, np.full(len(review), part, np.int64), row, cell, account, total, compliant,
            np.empty(0, np.int64) if factor is None else factor, no, no,
        )  # fmt: skip

    @staticmethod
    def join(pieces: Sequence[Reviewed]) -> Reviewed:
        """The cases of several batches or parts, one after the other."""
        none = np.empty(0, np.int64)
        empty = Reviewed.found(none, 0, [none] * 5, None)
        names = [field.name for field in fields(Reviewed)]
        return Reviewed(
            *(np.concatenate([getattr(one, name) for one in (empty, *pieces)]) for name in names)
        )

    def __len__(self) -> int:
        """Number of cases."""
        return len(self.review)

    def take(self, rows: Ints) -> Reviewed:
        """Some of the cases."""
        columns = (getattr(self, field.name) for field in fields(self))
        return Reviewed(*(column[rows] if len(column) else column for column in columns))


@dataclass(frozen=True, slots=True)
class Decided:
    """What the reviews come to.

    Attributes:
        by_part: per part, rows (int64), extra points (int64, 1e-8) and reasons (int16).
        extras: extra points for the statements, added up.
        counts: cases by state of the review.
        warnings: reviews that change nothing.
    """

    by_part: dict[int, tuple[Ints, Ints, NDArray[np.int16]]]
    extras: list[Extra]
    counts: dict[str, int]
    warnings: list[str]


def find_reviewed(ids: Sequence[str | None], index: dict[str, int]) -> Ints:
    """Position of each id's review, -1 where it has none."""
    return np.array([-1 if one is None else index.get(one, -1) for one in ids], np.int64)


def no_such_case(review: Review) -> RegionError:
    """What to tell of a review of a case that does not exist."""
    return RegionError(
        f"there is no case '{review.case_id}'",
        file="reviews.csv",
        line=review.row,
        hint="correct the case_id, or delete the line",
    )


STATES = ("approved", "refused", "pending")
"""States of a review; the reason of a paid case is ``review_`` and its state."""
_STATE_OF = {True: 0, False: 1, None: 2}


def decide(
    region: Region,
    policy: Policy,
    benchmarks: Benchmarks,
    rules: RuleTable,
    kept: RuleTable | None,
    accounts: Accounts,
    cases: Reviewed,
) -> Decided:
    """Decide all reviewed cases.

    Args:
        region: its reviews.
        policy: which cost counts for high cases.
        benchmarks: of the run.
        rules: by cell.
        kept: rules of the stays of which a readmission leaves a part.
        accounts: codes of the run.
        cases: the cases found.

    Raises:
        RegionError: a review of a case that does not exist, or that takes off more than the cost.
    """
    reviews = region.reviews
    there = np.zeros(len(reviews), np.bool_)
    there[cases.review] = True
    if not there.all():
        raise no_such_case(reviews[int(np.flatnonzero(~there)[0])])
    state = np.array([_STATE_OF[review.approved] for review in reviews], np.int64)[cases.review]
    paid = cases.account >= 0
    approved = np.flatnonzero(paid & (state == 0))
    mine = cases.take(approved)
    months = _months([reviews[review] for review in mine.review.tolist()], accounts)
    decided, carried = _points(reviews, policy, benchmarks, rules, kept, accounts, mine, months)
    extra = np.zeros(len(cases), np.int64)
    extra[approved] = decided - carried
    by_part = {}
    codes = np.array([CODE[f"review_{name}"] for name in STATES], np.int16)
    order = np.flatnonzero(paid)[np.lexsort((cases.row[paid], cases.part[paid]))]
    parts, first = np.unique(cases.part[order], return_index=True)
    for part, rows in zip(parts.tolist(), np.split(order, first)[1:], strict=True):
        by_part[part] = (cases.row[rows], extra[rows], codes[state[rows]])
    counts = dict(
        zip(STATES, np.bincount(state[paid], minlength=len(STATES)).tolist(), strict=True)
    )
    warnings = []
    for name, one, told, which in (
        ("review_without_effect", "reviewed case", "not paid by points", cases.review[~paid]),
        ("review_without_gain", "approved case", "with the points as before",
         mine.review[decided == carried]),
    ):  # fmt: skip
        if len(which):
            first_id = min(reviews[review].case_id for review in which.tolist())
            number = counted(len(which), one)
            warnings.append(f"{name}: {number} {told}, the first is '{first_id}'")
    return Decided(
        by_part,
        _extras(accounts, mine, months, extra[approved]),
        counts | {"without_effect": int((~paid).sum())},
        warnings,
    )


def _points(
    reviews: Sequence[Review],
    policy: Policy,
    benchmarks: Benchmarks,
    rules: RuleTable,
    kept: RuleTable | None,
    accounts: Accounts,
    cases: Reviewed,
    months: Ints,
) -> tuple[Ints, Ints]:
    """(decided, carried) points of approved cases.

    Raises:
        RegionError: a review takes off more than the cost, or was decided before the year.
    """
    mine = [reviews[review] for review in cases.review.tolist()]
    carried, kind = _by_rules(mine, rules, cases, cases.cell, cases.total)
    if kept is not None:
        rows = np.flatnonzero(cases.halved)
        some = cases.take(rows)
        halved = [mine[row] for row in rows.tolist()]
        carried[rows], _ = _by_rules(halved, kept, some, some.cell, some.total)
    whole = np.isin(kind, (UNSTABLE, UNGROUPED, AMBIGUOUS))
    whole |= np.array([review.kind == WHOLE_GROUP for review in mine], np.bool_)
    by_compliant = [
        code
        for code, column in (
            (HIGH, policy.high.cost), (LOW, policy.low.cost), (BAND, policy.bands.cost)
        )
        if COST_COLUMN[column] == COMPLIANT_COST
    ]  # fmt: skip
    cost = np.where(np.isin(kind, by_compliant) & ~whole, cases.compliant, cases.total)
    taken = np.array([min(review.unreasonable, _MOST) for review in mine], np.int64)
    _refuse(mine, months, cases, cost, taken, accounts.months[0])
    decided = carried.copy()
    rows = np.flatnonzero(whole)
    some = replace(cases.take(rows), factor=np.empty(0, np.int64))
    reviewed = [mine[row] for row in rows.tolist()]
    left, nowhere = (cost - taken)[rows], np.zeros(len(rows), np.int64)
    decided[rows], _ = _by_rules(reviewed, whole_group_rules(benchmarks.mean), some, nowhere, left)
    if policy.high.pay == "review":
        rows = np.flatnonzero(~whole & (kind == HIGH))
        decided[rows] = _high(policy, benchmarks, cases.take(rows), cost[rows], taken[rows])
    return decided, carried


def _by_rules(
    reviews: Sequence[Review], rules: RuleTable, cases: Reviewed, cell: Ints, total: Ints
) -> tuple[Ints, NDArray[np.int8]]:
    """Points and class of the cases of some reviews."""
    points, kind = np.empty(len(cell), np.int64), np.empty(len(cell), np.int8)
    fault = case_points(
        cell.astype(np.int32), total, cases.compliant, cases.factor,
        rules.start, rules.bounds, rules.terms, points, kind,
    )  # fmt: skip
    if fault >= 0:
        raise too_large(reviews[fault].case_id)
    return points, kind


def _refuse(
    reviews: Sequence[Review], months: Ints, cases: Reviewed, cost: Ints, taken: Ints, first: str
) -> None:
    """Raise the fault of the first case, by its id, whose review is faulty."""
    above = taken > cost
    faults = np.flatnonzero(above | (months == _EARLIER) & ~cases.late).tolist()
    if not faults:
        return
    at = min(faults, key=lambda row: (reviews[row].case_id, cases.part[row]))
    review = reviews[at]
    if above[at]:
        raise RegionError(
            f"the unreasonable cost {yuan_text(review.unreasonable)} of case '{review.case_id}' "
            f"exceeds its cost {yuan_text(int(cost[at]))}",
            file="reviews.csv",
            line=review.row,
            hint="correct the amount",
        )
    raise RegionError(
        f"the decision of {review.decision_month} lies before the settlement year",
        file="reviews.csv",
        line=review.row,
        hint=f"the cases are of {first[:4]}: correct decision_month",
    )


def _high(
    policy: Policy, benchmarks: Benchmarks, cases: Reviewed, cost: Ints, taken: Ints
) -> list[int]:
    """Decided points of high cases; cost and what is taken off it in fen."""
    cells = {}
    for cell in np.unique(cases.cell).tolist():
        drg, level = divmod(cell, len(LEVELS))
        benchmark = benchmarks.drgs[drg]
        at = benchmark.levels[level]
        mean = at.mean if policy.high.mean == "level" else benchmark.region_mean
        assert benchmark.base_points is not None  # only a stable group has high cases
        assert mean is not None
        coefficient = SCALE if policy.coefficient.kind in BY_HOSPITAL else at.coefficient
        cells[cell] = (benchmark.base_points, coefficient, mean, benchmark.multiple)
    factors = cases.factor.tolist() or [SCALE] * len(cases)
    keeps = [policy.readmission.factor if halved else _WHOLE for halved in cases.halved.tolist()]
    found = []
    rows = zip(cases.cell.tolist(), cost.tolist(), taken.tolist(), factors, keeps, strict=True)
    for cell, fen, less, factor, keep in rows:
        base, coefficient, mean, multiple = cells[cell]
        found.append(high_points(base, coefficient, fen, less, mean, multiple, factor, keep))
    return found


def _months(reviews: Sequence[Review], accounts: Accounts) -> Ints:
    """Position of the month in whose statement the extra points of each review stand."""
    numbers = {}
    for decided in {review.decision_month for review in reviews}:
        month = month_after(decided)
        if month < accounts.months[0]:
            numbers[decided] = _EARLIER
        elif month > accounts.months[-1]:
            numbers[decided] = _LATER
        else:
            numbers[decided] = accounts.months.index(month)
    return np.array([numbers[review.decision_month] for review in reviews], np.int64)


def _extras(accounts: Accounts, cases: Reviewed, months: Ints, points: Ints) -> list[Extra]:
    """The extra points by account and month of the statement; late ones go to clearing."""
    row = np.where(cases.late, _LATER, months)
    places = cases.account * (MONTHS + 1) + row + 1
    order = np.argsort(places, kind="stable")
    first = np.flatnonzero(np.diff(places[order], prepend=-1))
    if not len(first):
        return []
    # In two halves, so that no sum can overflow.
    low = np.add.reduceat(points[order] & _LOW, first).tolist()
    high = np.add.reduceat(points[order] >> _HALF, first).tolist()
    keys, rows = accounts.keys(), ("", *accounts.months)
    found = []
    for place, up, down in zip(places[order][first].tolist(), high, low, strict=True):
        account, month = divmod(place, MONTHS + 1)
        hospital, pool, own = keys[account]
        found.append(Extra(hospital, pool, own, (up << _HALF) + down, rows[month]))
    return found
