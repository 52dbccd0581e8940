"""What a region lacks for its cases or says oddly, as far as it can be told before grouping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from grouper.errors import PolicyError, RegionError
from grouper.scheme import Scheme
from grouper.settlement.benchmarks import check_weights
from grouper.settlement.closed import closed_places
from grouper.settlement.months import fixed_rate, month_shares, months_of
from grouper.settlement.numbers import yuan_text
from grouper.settlement.policy import Policy
from grouper.settlement.region import FUND_TOTAL, Region

Place = tuple[str, str]
"""Pool and month."""

Places = dict[Place, set[str]]
"""Hospitals by pool and month."""


@dataclass
class PlaceFaults:
    """What is lacking for cases paid by points, and for cases paid per day, by pool and month."""

    paid: dict[Place, RegionError] = field(default_factory=dict)
    per_diem: dict[Place, RegionError] = field(default_factory=dict)


def check_policy(policy: Policy, scheme: Scheme, *, history: bool) -> None:
    """Raise what a policy asks for and neither scheme nor region has.

    Args:
        history: whether the region has earlier years' cases.

    Raises:
        PolicyError: statistics of history that is not there, published weights where there are
            none, or a weight of an unknown DRG.
    """
    if policy.population.cases == "history" and not history:
        raise PolicyError(
            "the policy takes statistics from history, and the region has none",
            key="population.cases",
            hint='add REGION/history/*.parquet, or set it to "own"',
        )
    # The disease groups of DIP are known when the cases have been read.
    if policy.groups.by != "dip":
        check_weights(scheme.drgs, scheme.weights, policy.weights)


def check_region(
    region: Region, policy: Policy, year: int, places: Mapping[Place, set[str]]
) -> None:
    """Raise what is wrong whatever the cases turn out to be.

    Args:
        region: the region's tables.
        policy: its rules.
        year: the settlement year.
        places: hospitals by pool and month that may have cases.

    Raises:
        RegionError: an alliance without a lead hospital, a deduction outside the year or where no
            point value can be, a review decided before the year, or a rate that is missing.
    """
    if policy.year_end.alliances:
        region.leads  # noqa: B018  the property raises
    months = months_of(year)
    for deduction in region.deductions:
        if deduction.month not in months:
            raise RegionError(
                f"the month {deduction.month} lies outside the year {year}",
                file="deductions.csv",
                line=deduction.row,
                hint="move the line to the region folder of its year",
            )
        place = (deduction.pool, deduction.month)
        if deduction.points and place not in places and place not in region.closed:
            pools = sorted({pool for pool, _ in places})
            hint = "name a month in which the pool has cases"
            if pools and deduction.pool not in pools:
                hint = f"the policy's pools (pools.by) are {', '.join(pools)}: name one of them"
            raise RegionError(
                f"points are deducted in {deduction.month}, and pool '{deduction.pool}' has no "
                "point value there",
                file="deductions.csv",
                line=deduction.row,
                hint=hint,
            )
    if not policy.price.table:
        for review in region.reviews:
            decided = review.decision_month
            if review.approved and decided < f"{year - 1}-12":
                raise RegionError(
                    f"the decision of {decided} lies before the settlement year",
                    file="reviews.csv",
                    line=review.row,
                    hint=f"the cases are of {year}: correct decision_month",
                )
    if policy.per_diem.used:
        for hospital in region.hospitals:
            region.rate(policy.per_diem.table, hospital)
    if policy.incentive.share:
        known = {name for hospitals in places.values() for name in hospitals}
        for hospital in region.hospitals:
            if hospital.hospital_id in known:
                region.rate(policy.incentive.table, hospital)


def lacking(
    region: Region, policy: Policy, year: int, places: Mapping[Place, set[str]]
) -> PlaceFaults:
    """What is lacking by pool and month: budget, share, rate or per-diem line."""
    faults = PlaceFaults()
    for pool, month in sorted(places):
        try:
            _by_points(region, policy, year, pool, month)
        except RegionError as fault:
            faults.paid[pool, month] = fault
        line = policy.per_diem.line
        if policy.per_diem.used and -region.line_of(pool, line, month) <= 0:
            faults.per_diem[pool, month] = RegionError(
                f"pool '{pool}' has per-diem cases in {month} and no line '{line}' that pays them",
                file="budget.csv",
                hint="add the line with a negative amount",
            )
    return faults


def raising_lines(region: Region, year: int) -> Iterator[str]:
    """Warnings of budget lines that raise the budget: most of them have lost their minus sign.

    A line of any name may be of either sign (folders.md), so that none is an error.
    """
    for line in region.budget:
        if line.line != FUND_TOTAL and line.amount > 0 and line.effective_month[:4] <= str(year):
            amount = yuan_text(line.amount)
            yield (
                f"raised_budget: budget.csv:{line.row}: '{line.line}' raises the budget of pool "
                f"'{line.pool}' by {amount}; write -{amount} where it lowers it"
            )


def _by_points(region: Region, policy: Policy, year: int, pool: str, month: str) -> None:
    december = months_of(year)[-1]
    if policy.quota.used:
        region.budget_of(pool, december)
    if policy.month.value == "yuan":
        return
    kept = (pool, month) in closed_places(region.statements)
    if not kept:
        region.budget_of(pool, month)
    region.budget_of(pool, december)
    if kept:
        return
    if policy.month.value == "rate":
        fixed_rate(region, policy, pool)
    if any(name == pool for name, _ in region.month_shares) and month not in month_shares(
        region, pool, year, {}, []
    ):
        raise RegionError(
            f"pool '{pool}' has cases in {month} and no share for it",
            file="month_shares.csv",
            hint="add last year's payment of that month; 0 gives it no budget",
        )
