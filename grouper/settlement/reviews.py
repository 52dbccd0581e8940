"""Special review (特病单议): what a decision adds to the points of a case (section 5 and 6).

Reviewed cases are few (a quota of 5 ‰), so they are decided one by one in Python integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from grouper.counted import counted
from grouper.errors import RegionError
from grouper.kernels.points import TOTAL_COST
from grouper.settlement.benchmarks import Benchmarks
from grouper.settlement.intake import Accounts
from grouper.settlement.months import Extra, month_after
from grouper.settlement.numbers import SCALE, yuan_text
from grouper.settlement.policy import BY_HOSPITAL, Policy
from grouper.settlement.region import LEVELS, Region, Review
from grouper.settlement.routes import CODE
from grouper.settlement.rules import (
    AMBIGUOUS,
    HIGH,
    UNGROUPED,
    UNSTABLE,
    Rule,
    high_points,
    whole_group_points,
)

WHOLE_GROUP = "whole_group"


class ReviewedCase(NamedTuple):
    """A case that stands in reviews.csv.

    Attributes:
        review: position in `Region.reviews`.
        part, row: where the case stands.
        cell, account: negative where the case does not go the ``drg`` route.
        factor: the case's factor in 1e-8; None where the policy has none.
        keep: what a readmission leaves of its points.
        late: it arrived after its month was closed.
    """

    review: int
    part: int
    row: int
    cell: int
    account: int
    total: int
    compliant: int
    factor: int | None = None
    keep: Fraction = Fraction(1)
    late: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """What the reviews come to.

    Attributes:
        by_part: per part, rows (int64), extra points (int64, 1e-8) and reasons (int16).
        extras: extra points for the statements.
        counts: cases by state of the review.
        warnings: reviews that change nothing.
    """

    by_part: dict[int, tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int16]]]
    extras: list[Extra]
    counts: dict[str, int]
    warnings: list[str]


def find_reviewed(
    ids: Sequence[str | None], rows: NDArray[np.int64], index: dict[str, int]
) -> list[tuple[int, int]]:
    """(review, row) of the candidates that are reviewed; ``ids`` are the ids at ``rows``."""
    found = []
    for case_id, row in zip(ids, rows.tolist(), strict=True):
        if case_id is not None and (review := index.get(case_id)) is not None:
            found.append((review, row))
    return found


def no_such_case(review: Review) -> RegionError:
    """What to tell of a review of a case that does not exist."""
    return RegionError(
        f"there is no case '{review.case_id}'",
        file="reviews.csv",
        line=review.row,
        hint="correct the case_id, or delete the line",
    )


def decide(
    region: Region,
    policy: Policy,
    benchmarks: Benchmarks,
    cells: Sequence[Sequence[Rule]],
    accounts: Accounts,
    cases: Sequence[ReviewedCase],
) -> Decided:
    """Decide all reviewed cases.

    Args:
        region: its reviews.
        policy: which cost counts for high cases.
        benchmarks: of the run.
        cells: rules by cell.
        accounts: codes of the run.
        cases: the cases found.

    Raises:
        RegionError: a review of a case that does not exist, or that takes off more than the cost.
    """
    found = {case.review for case in cases}
    for position, review in enumerate(region.reviews):
        if position not in found:
            raise no_such_case(review)
    by_part: dict[int, list[tuple[int, int, int]]] = {}
    extras: list[Extra] = []
    idle: dict[str, list[str]] = {"review_without_effect": [], "review_without_gain": []}
    counts = {"approved": 0, "refused": 0, "pending": 0, "without_effect": 0}
    for case in sorted(cases, key=lambda case: (region.reviews[case.review].case_id, case.part)):
        review = region.reviews[case.review]
        if case.account < 0:
            counts["without_effect"] += 1
            idle["review_without_effect"].append(review.case_id)
            continue
        state = {True: "approved", False: "refused", None: "pending"}[review.approved]
        counts[state] += 1
        extra = 0
        if review.approved:
            decided, carried = _decision(review, policy, benchmarks, cells[case.cell], case)
            extra = decided - carried
            key = accounts.key(case.account)
            row = "" if case.late else _row(review, accounts)
            extras.append(Extra(*key, extra, row))
            if decided == carried:
                idle["review_without_gain"].append(review.case_id)
        by_part.setdefault(case.part, []).append((case.row, extra, CODE[f"review_{state}"]))
    arrays = {}
    for part, rows in by_part.items():
        columns = list(zip(*sorted(rows), strict=True))
        arrays[part] = (
            np.array(columns[0], np.int64),
            np.array(columns[1], np.int64),
            np.array(columns[2], np.int16),
        )
    told = {
        "review_without_effect": ("reviewed case", "not paid by points"),
        "review_without_gain": ("approved case", "with the points as before"),
    }
    warnings = [
        f"{name}: {counted(len(ids), told[name][0])} {told[name][1]}, the first is '{ids[0]}'"
        for name, ids in idle.items()
        if ids
    ]
    return Decided(arrays, extras, counts, warnings)


def _decision(
    review: Review,
    policy: Policy,
    benchmarks: Benchmarks,
    rules: Sequence[Rule],
    case: ReviewedCase,
) -> tuple[int, int]:
    """(decided, carried) points of an approved case."""
    rule = next(r for r in rules if r.lowest <= _cost(r, case) <= r.highest)
    factor = SCALE if case.factor is None else case.factor
    carried = rule.points(_cost(rule, case), factor, case.keep)
    whole = rule.kind in (UNSTABLE, UNGROUPED, AMBIGUOUS) or review.kind == WHOLE_GROUP
    cost = case.total if whole else _cost(rule, case)
    if review.unreasonable > cost:
        raise RegionError(
            f"the unreasonable cost {yuan_text(review.unreasonable)} of case '{review.case_id}' "
            f"exceeds its cost {yuan_text(cost)}",
            file="reviews.csv",
            line=review.row,
            hint="correct the amount",
        )
    if whole:
        return whole_group_points(cost - review.unreasonable, benchmarks.mean), carried
    if rule.kind != HIGH or policy.high.pay != "review":
        return carried, carried
    drg, level = divmod(case.cell, len(LEVELS))
    benchmark = benchmarks.drgs[drg]
    at = benchmark.levels[level]
    mean = at.mean if policy.high.mean == "level" else benchmark.region_mean
    assert benchmark.base_points is not None  # only a stable group has high cases
    assert mean is not None
    return (
        high_points(
            benchmark.base_points,
            SCALE if policy.coefficient.kind in BY_HOSPITAL else at.coefficient,
            cost,
            review.unreasonable,
            mean,
            benchmark.multiple,
            factor,
            case.keep,
        ),
        carried,
    )


def _cost(rule: Rule, case: ReviewedCase) -> int:
    return case.total if rule.cost == TOTAL_COST else case.compliant


def _row(review: Review, accounts: Accounts) -> str:
    """The month in whose statement the extra points stand; empty: they go to clearing."""
    month = month_after(review.decision_month)
    if month > accounts.months[-1]:
        return ""
    if month < accounts.months[0]:
        raise RegionError(
            f"the decision of {review.decision_month} lies before the settlement year",
            file="reviews.csv",
            line=review.row,
            hint=f"the cases are of {accounts.months[0][:4]}: correct decision_month",
        )
    return month
