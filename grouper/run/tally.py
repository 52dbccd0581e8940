"""What the driver adds up over the parts, and the small tables that it sends with the tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from grouper.folded import Folded
from grouper.oddcodes import join_odd_codes
from grouper.run import stages, values
from grouper.run.beside import SideSums
from grouper.run.books import (
    AMOUNT_COLUMNS,
    POINT_COLUMNS,
    AccountTotal,
    PointSums,
    books_of,
)
from grouper.settlement.benchmarks import Benchmarks
from grouper.settlement.intake import Accounts
from grouper.settlement.months import MONTHS, Account, AccountKey
from grouper.settlement.numbers import SCALE
from grouper.settlement.region import LEVELS
from grouper.settlement.reviews import Reviewed
from grouper.settlement.routes import CODE
from grouper.settlement.rules import CLASSES
from grouper.settlement.statistics import SumTotal, cell_count


class Grouped:
    """Everything the group stage learnt, over all parts."""

    def __init__(self, kinds: int, accounts: int) -> None:
        self.cells = SumTotal(cell_count(kinds))
        self.cases = 0
        self.counts: Counter[str] = Counter()
        self.cost: Counter[str] = Counter()
        self._reviewed: list[Reviewed] = []
        self.apart: list[NDArray[np.int64]] = []
        self.odd = Folded(join_odd_codes)
        self._paid = AccountTotal(accounts, AMOUNT_COLUMNS)
        self._per_diem = AccountTotal(accounts, AMOUNT_COLUMNS)

    def add(self, part: stages.GroupResult) -> None:
        """Add a part."""
        self.cells.add(part.cells)
        self.cases += part.cases
        self.counts.update(part.counts)
        self.cost.update(part.cost)
        self._reviewed += part.reviewed
        self.apart += part.apart
        if part.odd is not None:
            self.odd.add(part.odd)
        for total, sums in ((self._paid, part.books), (self._per_diem, part.per_diem)):
            if sums is not None:
                total.add(sums)

    @cached_property
    def reviewed(self) -> Reviewed:
        """The reviewed cases; asked for after the last part."""
        return Reviewed.join(self._reviewed)

    @cached_property
    def books(self) -> dict[int, Account]:
        """Accounts of route ``drg``; asked for after the last part, points are filled in later."""
        return books_of(self._paid)

    @cached_property
    def per_diem(self) -> dict[int, Account]:
        """Accounts of route ``per_diem``, in the same way."""
        return books_of(self._per_diem)


class PointTotals:
    """Cases and points of all parts by account: paid, simulated, and per day."""

    def __init__(self, accounts: int) -> None:
        self.paid = AccountTotal(accounts, POINT_COLUMNS)
        self.simulated = AccountTotal(accounts, POINT_COLUMNS)
        self.per_diem = AccountTotal(accounts, POINT_COLUMNS)

    def add(self, part: PointSums) -> None:
        """Add a part."""
        self.paid.add(part.paid)
        self.simulated.add(part.simulated)
        self.per_diem.add(part.per_diem)


@dataclass
class Written:
    """What the last pass wrote, added up.

    Attributes:
        paid: cases and points by account.
        beside: sums by hospital, pool and group, where the policy asks for them.
    """

    paid: dict[AccountKey, tuple[int, int]]
    beside: SideSums
    cases: int


def by_place(accounts: Accounts, point_value: Mapping[tuple[str, str], int]) -> NDArray[np.int64]:
    """Point values (1e-8) by pool × 12 + month, 0 where there is none."""
    found = np.zeros(len(accounts.pools) * MONTHS, np.int64)
    for (pool, month), value in point_value.items():
        found[accounts.pools.index(pool) * MONTHS + accounts.months.index(month)] = value
    return found


def review_quota(
    accounts: Accounts,
    reviewed: Reviewed,
    books: Mapping[int, Account],
    quota: Fraction,
) -> dict[str, object]:
    """Special reviews beside the cases of route ``drg``, and the hospitals above the quota."""
    size = len(accounts.pools) * MONTHS
    mine = reviewed.account[reviewed.account >= 0] // size
    asked = np.bincount(mine, minlength=len(accounts.hospitals)).tolist()
    cases = [0] * len(accounts.hospitals)
    for account, book in books.items():
        cases[account // size] += book.cases
    above = [
        {"hospital": hospital, "reviews": reviews, "cases": own}
        for hospital, reviews, own in zip(accounts.hospitals, asked, cases, strict=True)
        if reviews > quota * own
    ]
    return {"reviews": len(mine), "cases": sum(cases), "above": above}


def with_factors(
    reviewed: Reviewed,
    halved: Mapping[int, NDArray[np.int64]],
    pricing: values.Pricing,
) -> Reviewed:
    """Reviewed cases with the coefficient of their hospital, and whether a readmission cuts them.

    As `Pricing.points` sees the same cases.
    """
    factor = reviewed.factor
    if pricing.own.size and len(factor):
        hospital = reviewed.account // (len(pricing.accounts.pools) * MONTHS)
        own = pricing.own[np.maximum(reviewed.cell, 0) // len(LEVELS), np.maximum(hospital, 0)]
        factor = (factor * own + SCALE // 2) // SCALE
    cut = np.zeros(len(reviewed), np.bool_)
    for part, rows in halved.items():
        cut |= (reviewed.part == part) & np.isin(reviewed.row, rows)
    return replace(reviewed, factor=factor, halved=cut)


def reasons_of(benchmarks: Benchmarks, *, priced: bool) -> NDArray[np.int16]:
    """Reason of a case by cell and class."""
    kinds = {
        "normal": "within_bounds",
        "high": "above_high",
        "low": "below_low",
        "band": "in_band",
        "unstable": "few_cases",
        "ungrouped": "ungrouped",
        "ambiguous": "ambiguous",
    }
    row = [CODE[kinds[name]] for name in CLASSES]
    reasons = np.tile(np.array(row, np.int16), (cell_count(len(benchmarks.drgs)), 1))
    if priced:
        reasons[:] = CODE["price"]
        return reasons
    for i, drg in enumerate(benchmarks.drgs):
        if drg.reason:
            cells = slice(i * len(LEVELS), (i + 1) * len(LEVELS))
            reasons[cells, CLASSES.index("unstable")] = CODE[drg.reason]
    return reasons
