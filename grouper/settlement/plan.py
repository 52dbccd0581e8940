"""The plan by which cases are routed: codes of hospitals, pools and months, and the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from grouper.quality.evaluate import Plan
from grouper.settlement.apart import Apart
from grouper.settlement.dip import Catalogue
from grouper.settlement.months import MONTHS, months_of
from grouper.settlement.numbers import p8
from grouper.settlement.policy import BY_HOSPITAL, Policy
from grouper.settlement.prices import PriceList
from grouper.settlement.region import INSURANCES, Region

Codes = NDArray[np.int32]
_POOLED = INSURANCES[: INSURANCES.index("self")]
"""Insurances that have a fund."""


@dataclass(frozen=True)
class Accounts:
    """The codes of hospitals, pools and months, and back.

    Attributes:
        hospitals: ids, sorted.
        levels: level by hospital.
        cities: city by hospital, empty where none is known.
        pools: names, sorted.
        by_city: whether a pool is a city and insurance, or an insurance.
        months: the twelve months of the settlement year.
    """

    hospitals: tuple[str, ...]
    levels: tuple[int, ...]
    cities: tuple[str, ...]
    pools: tuple[str, ...]
    by_city: bool
    months: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of accounts."""
        return len(self.hospitals) * len(self.pools) * MONTHS

    def in_year(self, year: int) -> Accounts:
        """The same codes for the months of another year."""
        return replace(self, months=months_of(year))

    def key(self, account: int) -> tuple[str, str, str]:
        """Hospital, pool and month of an account."""
        rest, month = divmod(account, MONTHS)
        hospital, pool = divmod(rest, len(self.pools))
        return self.hospitals[hospital], self.pools[pool], self.months[month]

    def keys(self) -> list[tuple[str, str, str]]:
        """Hospital, pool and month of every account, in the order of the accounts."""
        return list(product(self.hospitals, self.pools, self.months))

    def pool_month(self, account: Codes) -> Codes:
        """Pool × 12 + month of accounts, also of those that are not paid by points; else -1."""
        place = np.where(account < -1, -2 - account, account)
        return np.where(place < 0, -1, place % (len(self.pools) * MONTHS)).astype(np.int32)


def make_accounts(region: Region, policy: Policy, year: int, cities: set[str]) -> Accounts:
    """The codes of a run; ``cities`` are those that cases name."""
    by_city = policy.pools.by == "city_insurance"
    insurances = INSURANCES if policy.price.bills else _POOLED
    pools: set[str] = set(insurances)
    if by_city:
        known = cities | {hospital.city for hospital in region.hospitals}
        pools = {f"{city}/{insurance}" for city in known if city for insurance in insurances}
    return Accounts(
        tuple(hospital.hospital_id for hospital in region.hospitals),
        tuple(hospital.level for hospital in region.hospitals),
        tuple(hospital.city for hospital in region.hospitals),
        tuple(sorted(pools)),
        by_city,
        months_of(year),
    )


def gives_factors(policy: Policy) -> bool:
    """Whether points of a case are multiplied by a factor of its own."""
    rules = policy.coefficient
    return bool(
        rules.factor_table
        or rules.tcm_uplift
        or rules.child_uplift
        or rules.uplifts
        or rules.kind in BY_HOSPITAL
    )


@dataclass(frozen=True)
class Merged:
    """What is merged into the stays of a part.

    Attributes:
        rows: of the part, rising.
        amounts: int64 (6, rows), fen, in the order of `arrivals.MONEY_COLUMNS`.
    """

    rows: NDArray[np.int64]
    amounts: NDArray[np.int64]


@dataclass(frozen=True)
class IntakePlan:
    """What routes the cases of a run.

    Attributes:
        accounts: codes of hospitals, pools and months.
        policy: the rules.
        first_paid: by hospital, the first month (0 to 12) that is paid by points; earlier cases
            are simulated.
        non_pilot: by hospital, whether its cases are paid by item as it takes no part.
        factors: by hospital, its factor in 1e-8; empty where the policy has none.
        catalogue: disease groups, where the policy groups by DIP.
        prices: where the policy pays a price per case.
        quality: the rules of data quality that reject a case, where the policy names any.
        merged: by part, the cost of earlier visits that its stays take in.
        apart: drugs that are paid apart.
    """

    accounts: Accounts
    policy: Policy
    first_paid: tuple[int, ...]
    non_pilot: tuple[bool, ...] = ()
    factors: tuple[int, ...] = ()
    catalogue: Catalogue | None = None
    prices: PriceList | None = None
    quality: Plan | None = None
    merged: Mapping[int, Merged] = field(default_factory=dict)
    apart: Apart | None = None

    @property
    def with_factors(self) -> bool:
        """Whether points of a case are multiplied by a factor of its own."""
        return gives_factors(self.policy)

    def in_year(self, year: int) -> IntakePlan:
        """The same plan for cases of another year, all of which count."""
        accounts = self.accounts.in_year(year)
        first = (0,) * len(self.first_paid)
        return replace(
            self, accounts=accounts, first_paid=first, non_pilot=(), merged={}, apart=None
        )


def make_plan(region: Region, policy: Policy, accounts: Accounts) -> IntakePlan:
    """The plan of a run, without a DIP catalogue.

    Raises:
        RegionError: a hospital has no factor in rates.csv.
    """
    first = (0,) * len(region.hospitals)
    if policy.participation.dry_run == "before_go_live":
        first = tuple(
            sum(month < hospital.go_live[:7] for month in accounts.months)
            for hospital in region.hospitals
        )
    factors: tuple[int, ...] = ()
    if table := policy.coefficient.factor_table:
        factors = tuple(p8(region.rate(table, hospital)) for hospital in region.hospitals)
    outside = (False,) * len(region.hospitals)
    if policy.participation.non_pilot == "item":
        outside = tuple(hospital.pilot is False for hospital in region.hospitals)
    return IntakePlan(accounts, policy, first, outside, factors)
