"""The survey: what the cases name before any of them is grouped, and what the region lacks for it.

A region that has no budget, no share or no rate for cases that it has is told so here, minutes
before the run would come to need them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from grouper.cases import CaseSource, Part, read_part
from grouper.errors import CaseTableError, RegionError
from grouper.grouping import group_batch
from grouper.run.context import Context
from grouper.scheme import Scheme
from grouper.settlement.arrivals import coded
from grouper.settlement.history import month_codes
from grouper.settlement.intake import Accounts, IntakePlan, intake_columns, take_in
from grouper.settlement.lacking import PlaceFaults, Places
from grouper.settlement.months import MONTHS
from grouper.settlement.routes import PER_DIEM

UInt64s = NDArray[np.uint64]


@dataclass(frozen=True)
class SurveyShared:
    """What the survey reads."""

    source: CaseSource
    hospitals: tuple[str, ...]
    insurances: tuple[str, ...]


@dataclass
class Survey:
    """What the cases name.

    Attributes:
        cases: how many there are.
        years: cases by year.
        cities: all that are named.
        places: cases by (hospital, insurance, city, month), of known hospitals and insurances;
            hospital and insurance by position, the city empty where a case names none.
    """

    cases: int = 0
    years: Counter[int] = field(default_factory=Counter)
    cities: set[str] = field(default_factory=set)
    places: Counter[tuple[int, int, str, str]] = field(default_factory=Counter)

    def add(self, part: Survey) -> None:
        """Add a part."""
        self.cases += part.cases
        self.years.update(part.years)
        self.cities |= part.cities
        self.places.update(part.places)


def survey_task(shared: SurveyShared, part: Part) -> Survey:
    """Count the cases of a part by place and year, and gather the cities."""
    found = Survey()
    hospitals = {name: i for i, name in enumerate(shared.hospitals)}
    insurances = {name: i for i, name in enumerate(shared.insurances)}
    for batch in read_part(
        shared.source, part, ("hospital_id", "insurance", "settle_month", "city")
    ):
        found.cases += batch.num_rows
        by_code, codes = month_codes(batch)
        for code, count in enumerate(np.bincount(codes, minlength=len(by_code)).tolist()):
            if count and by_code[code]:
                found.years[int(by_code[code])] += count
        cities, months = [""], [""]
        columns = (
            coded(batch, "hospital_id", lambda text: hospitals.get(text, -1)),
            coded(batch, "insurance", lambda text: insurances.get(text, -1)),
            coded(batch, "city", partial(_number, cities)),
            coded(batch, "settle_month", partial(_number, months)),
        )
        found.cities.update(cities[1:])
        sizes = (len(hospitals), len(insurances), len(cities), len(months))
        known = (columns[0] >= 0) & (columns[1] >= 0)
        keys = np.zeros(int(known.sum()), np.int64)
        for column, size in zip(columns, sizes, strict=True):
            keys = keys * size + np.maximum(column[known], 0)
        places, counts = np.unique(keys, return_counts=True)
        for place, count in zip(places.tolist(), counts.tolist(), strict=True):
            rest, month = divmod(place, sizes[3])
            rest, city = divmod(rest, sizes[2])
            found.places[(*divmod(rest, sizes[1]), cities[city], months[month])] += count
    return found


def _number(texts: list[str], text: str) -> int:
    """The position of a text, which is added where it is new; 0 stands for none."""
    if text not in texts:
        texts.append(text)
    return texts.index(text)


def survey(context: Context) -> Survey:
    """Survey the cases of a run, and settle which year it is of.

    Raises:
        CaseTableError: there is no case, or no case has a month.
    """
    source = context.sources["cases"]
    hospitals = tuple(hospital.hospital_id for hospital in context.region.hospitals)
    shared = SurveyShared(source, hospitals, ("employee", "resident", "self"))
    whole = Survey()
    parts = context.runner.map(survey_task, shared, source.parts)
    for part in context.each("survey", parts, len(source.parts)):
        whole.add(part)
    if not whole.cases:
        raise CaseTableError("there is no case", file="cases", hint="put the year's cases there")
    year = context.policy.year
    if year is None:
        if not whole.years:
            raise CaseTableError(
                "no case has a settle_month",
                file="cases",
                column="settle_month",
                hint="months are written YYYY-MM",
            )
        year = max(whole.years, key=lambda known: (whole.years[known], known))
    context.manifest.year = year
    context.manifest.stage("survey", {"cases": whole.cases}, {})
    known = {column.name for column in intake_columns(context.policy)}
    for name in source.absent:
        if name in known:
            context.manifest.warnings.append(f"absent_column: no column {name}")
    return whole


def places_of(whole: Survey, accounts: Accounts) -> Places:
    """Hospitals by pool and month of the year in which the survey saw cases that a fund may pay."""
    found: Places = {}
    for hospital, insurance, city, month in whole.places:
        if month not in accounts.months or not (accounts.by_city or insurance < 2):
            continue
        name = ("employee", "resident", "self")[insurance]
        where = city or accounts.cities[hospital]
        pool = f"{where}/{name}" if accounts.by_city else name
        if pool in accounts.pools:
            found.setdefault((pool, month), set()).add(accounts.hospitals[hospital])
    return found


@dataclass(frozen=True)
class ConfirmShared:
    """What the search for a case that lacks something reads; places are pool × 12 + month."""

    source: CaseSource
    scheme: Scheme
    duplicates: UInt64s
    plan: IntakePlan
    paid: tuple[int, ...]
    per_diem: tuple[int, ...]


def confirm_task(shared: ConfirmShared, part: Part) -> tuple[list[int], list[int]]:
    """The places of a part that really have cases: of route ``drg`` or simulated, and per day."""
    paid: set[int] = set()
    daily: set[int] = set()
    for batch in read_part(shared.source, part):
        grouped = group_batch(batch, shared.scheme, shared.duplicates)
        intake = take_in(batch, grouped, shared.plan)
        place = shared.plan.accounts.pool_month(intake.account)
        per_day = intake.route == PER_DIEM
        paid.update(np.unique(place[(intake.cell >= 0) & ~per_day]).tolist())
        daily.update(np.unique(place[per_day]).tolist())
    return sorted(paid & set(shared.paid)), sorted(daily & set(shared.per_diem))


def confirm(context: Context, plan: IntakePlan, duplicates: UInt64s, faults: PlaceFaults) -> None:
    """Raise the first fault of a place that has a case which is paid there.

    The survey counts cases that may yet turn out to be invalid; this looks at them one by one, and
    only where something is lacking.

    Raises:
        RegionError: what the region lacks.
    """
    if not faults.paid and not faults.per_diem:
        return
    accounts = plan.accounts

    def number(place: tuple[str, str]) -> int:
        return accounts.pools.index(place[0]) * MONTHS + accounts.months.index(place[1])

    paid = {number(place): fault for place, fault in faults.paid.items()}
    daily = {number(place): fault for place, fault in faults.per_diem.items()}
    source = context.sources["cases"]
    shared = ConfirmShared(source, context.scheme, duplicates, plan, tuple(paid), tuple(daily))
    found: list[tuple[int, RegionError]] = []
    for mine, per_day in context.runner.map(confirm_task, shared, source.parts):
        found += [(place, paid[place]) for place in mine]
        found += [(place, daily[place]) for place in per_day]
        if found:
            break
    if found:
        raise min(found, key=lambda pair: pair[0])[1]
