"""The survey: what the cases name before any of them is grouped, and what the region lacks for it.

A region that has no budget, no share or no rate for cases that it has is told so here, minutes
before the run would come to need them.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from grouper.cases import CaseSource, Part, read_part
from grouper.errors import CaseTableError, RegionError
from grouper.grouping import group_batch
from grouper.run.context import Context
from grouper.scheme import Scheme
from grouper.settlement.arrivals import Codes, coded
from grouper.settlement.history import month_codes
from grouper.settlement.intake import Accounts, IntakePlan, intake_columns, take_in
from grouper.settlement.lacking import PlaceFaults, Places, raising_lines
from grouper.settlement.months import MONTHS
from grouper.settlement.routes import PER_DIEM

Ints = NDArray[np.int64]
UInt64s = NDArray[np.uint64]
_MONTH = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True)
class SurveyShared:
    """What the survey reads."""

    source: CaseSource
    hospitals: tuple[str, ...]
    insurances: tuple[str, ...]


_CITY_BITS, _MONTH_BITS = 24, 16
_DENSE = 1 << 20
"""Most places that are marked in a table instead of sorted."""
_INSURANCES = ("employee", "resident", "self")


@dataclass
class Survey:
    """What the cases name.

    Attributes:
        cases: how many there are.
        years: cases by year.
        cities, months: all that are named, by number; 0 is none.
        places: where there are cases of known hospitals and insurances, rising:
            ((hospital × 3 + insurance) << 24 | city) << 16 | month.
    """

    cases: int = 0
    years: Counter[int] = field(default_factory=Counter)
    cities: dict[str, int] = field(default_factory=lambda: {"": 0})
    months: dict[str, int] = field(default_factory=lambda: {"": 0})
    places: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    def number(self, names: dict[str, int], text: str, most: int) -> int:
        """The number of a text; 0 where there are too many, which only faulty texts can be."""
        found = names.setdefault(text, len(names))
        return found if found < 1 << most else 0

    def city(self, text: str) -> int:
        """The number of a city."""
        return self.number(self.cities, text, _CITY_BITS)

    def month(self, text: str) -> int:
        """The number of a month; 0 for a text that is none."""
        return self.number(self.months, text, _MONTH_BITS) if _MONTH.fullmatch(text) else 0

    def see(self, hospital: Codes, insurance: Codes, city: Codes, month: Codes) -> None:
        """Add the places of cases; -1 is unknown."""
        known = (hospital >= 0) & (insurance >= 0)
        cities, months = len(self.cities), len(self.months)
        places = hospital.astype(np.int64) * len(_INSURANCES) + insurance
        places = (places * cities + np.maximum(city, 0)) * months + np.maximum(month, 0)
        if not known.all():
            places = places[known]
        most = int(places.max(initial=0))
        if most < _DENSE:
            seen = np.zeros(most + 1, np.bool_)
            seen[places] = True
            places = np.flatnonzero(seen)
        owner, rest = np.divmod(places, cities * months)
        keys = (((owner << _CITY_BITS) | (rest // months)) << _MONTH_BITS) | (rest % months)
        keys = np.sort(np.concatenate([self.places, keys]))
        self.places = keys[np.diff(keys, prepend=-1) > 0]

    def each_place(self) -> tuple[Codes, Codes, Codes, Codes]:
        """Hospital, insurance, city and month of the places, as numbers."""
        month = self.places & ((1 << _MONTH_BITS) - 1)
        city = (self.places >> _MONTH_BITS) & ((1 << _CITY_BITS) - 1)
        owner = self.places >> (_MONTH_BITS + _CITY_BITS)
        columns = (owner // len(_INSURANCES), owner % len(_INSURANCES), city, month)
        hospital, insurance, city, month = (column.astype(np.int32) for column in columns)
        return hospital, insurance, city, month

    def add(self, part: Survey) -> None:
        """Add a part."""
        self.cases += part.cases
        self.years.update(part.years)
        cities = np.array([self.city(text) for text in part.cities], np.int32)
        months = np.array([self.month(text) for text in part.months], np.int32)
        hospital, insurance, city, month = part.each_place()
        self.see(hospital, insurance, cities[city], months[month])


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
        found.see(
            coded(batch, "hospital_id", lambda text: hospitals.get(text, -1)),
            coded(batch, "insurance", lambda text: insurances.get(text, -1)),
            coded(batch, "city", found.city),
            coded(batch, "settle_month", found.month),
        )
    return found


def survey(context: Context) -> Survey:
    """Survey the cases of a run, and settle which year it is of.

    Raises:
        CaseTableError: there is no case, or no case has a month.
    """
    source = context.sources["cases"]
    hospitals = tuple(hospital.hospital_id for hospital in context.region.hospitals)
    shared = SurveyShared(source, hospitals, _INSURANCES)
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
    context.manifest.warnings += raising_lines(context.region, year)
    known = {column.name for column in intake_columns(context.policy)}
    for name in source.absent:
        if name in known:
            context.manifest.warnings.append(f"absent_column: no column {name}")
    return whole


def places_of(whole: Survey, accounts: Accounts) -> Places:
    """Hospitals by pool and month of the year in which the survey saw cases that a fund may pay."""
    found: Places = {}
    cities, months = list(whole.cities), list(whole.months)
    for hospital, insurance, city, number in zip(
        *(column.tolist() for column in whole.each_place()), strict=True
    ):
        month = months[number]
        if month not in accounts.months or not (accounts.by_city or insurance < 2):
            continue
        name = _INSURANCES[insurance]
        where = cities[city] or accounts.cities[hospital]
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
