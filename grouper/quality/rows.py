"""The rules that a case breaks by itself: each takes a batch and returns what breaks it.

A plain rule returns a mask of rows. A rule about codes returns the places of the codes at fault, so
that the code can be told. A column that is null in a row never breaks a rule there, except where
its absence is the fault.
"""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from grouper.cases.times import on_one_clock
from grouper.quality.codefacts import CodeList, Fact, Places
from grouper.quality.columns import Cases, Mask

Codes = tuple[Places, Places]
"""Places of codes, rising, and the row of each."""

# --- persons ----------------------------------------------------------------------------------


def _other_sex(cases: Cases, codes: CodeList) -> Codes:
    sex = cases.number("sex").values
    other = (sex == 1) * np.uint16(Fact.FEMALE) + (sex == 2) * np.uint16(Fact.MALE)
    return codes.saying(codes.of_row & other)


def sex_diagnosis(cases: Cases) -> Codes:
    """A diagnosis of the other sex."""
    return _other_sex(cases, cases.dx)


def sex_procedure(cases: Cases) -> Codes:
    """A procedure of the other sex."""
    return _other_sex(cases, cases.px)


def _other_age(cases: Cases, name: str) -> Codes:
    codes = cases.dx if name == "dx" else cases.px
    facts = cases.facts[name]
    places, rows = codes.with_fact(Fact.AGED | Fact.AGED_AS_PRINCIPAL)
    age, kinds = cases.age.values[rows], codes.kinds(places)
    counts = ((codes.flags(places) & Fact.AGED) > 0) | (places == codes.offsets[rows])
    outside = (age < facts.lowest[kinds]) | (age > facts.highest[kinds])
    found = counts & cases.age.known[rows] & outside
    return places[found], rows[found]


def age_diagnosis(cases: Cases) -> Codes:
    """A diagnosis that is not met at this age."""
    return _other_age(cases, "dx")


def age_procedure(cases: Cases) -> Codes:
    """A procedure that is not met at this age."""
    return _other_age(cases, "px")


def age_missing(cases: Cases) -> Mask:
    """Neither years nor days of age."""
    return ~cases.age.known


def age_days_missing(cases: Cases) -> Mask:
    """Below one year, and the days are not given."""
    years = cases.number("age")
    missing: Mask = years.known & (years.values == 0) & ~cases.number("age_days").known
    return missing


def birth_weight_missing(cases: Cases) -> Mask:
    """A newborn without birth weight."""
    return cases.newborn & ~cases.number("weight").known


def birth_weight_range(cases: Cases) -> Mask:
    """A newborn with an unbelievable birth weight."""
    weight, limits = cases.number("weight"), cases.thresholds
    outside = (weight.values < limits.weight_low) | (weight.values > limits.weight_high)
    found: Mask = cases.newborn & weight.known & outside
    return found


# --- dates ------------------------------------------------------------------------------------


def dates_order(cases: Cases) -> Mask:
    """Admission after discharge, by day or by time."""
    first, last = cases.number("admission_date"), cases.number("discharge_date")
    found = first.known & last.known & (last.values < first.values)
    times = [cases.column(name) for name in ("admission_time", "discharge_time")]
    if times[0] is not None and times[1] is not None:
        later = pc.greater(*on_one_clock(times[0], times[1]))
        found |= pc.fill_null(later, False).to_numpy(zero_copy_only=False)
    return found


def los_differs(cases: Cases) -> Mask:
    """The length of stay is not the difference of the dates, at least 1."""
    los, stay = cases.number("los"), cases.stay
    found: Mask = los.known & stay.known & (los.values != np.maximum(stay.values, 1))
    return found


# --- diagnoses and procedures -----------------------------------------------------------------


def no_principal(cases: Cases) -> Mask:
    """No principal diagnosis."""
    found: Mask = (cases.dx.principal & Fact.CODE) == 0
    return found


def several_principals(cases: Cases) -> Mask:
    """Not exactly one diagnosis is marked as principal."""
    count = cases.number("principal_count")
    found: Mask = count.known & (count.values != 1)
    return found


def unknown_diagnosis(cases: Cases) -> Codes:
    """A diagnosis that the scheme does not know."""
    return cases.dx.with_fact(Fact.UNKNOWN)


def unknown_procedure(cases: Cases) -> Codes:
    """A procedure that the scheme does not know."""
    return cases.px.with_fact(Fact.UNKNOWN)


def retired_diagnosis(cases: Cases) -> Codes:
    """A diagnosis of another edition."""
    return cases.dx.with_fact(Fact.RETIRED)


def retired_procedure(cases: Cases) -> Codes:
    """A procedure of another edition."""
    return cases.px.with_fact(Fact.RETIRED)


def _principal_with(cases: Cases, fact: Fact) -> Codes:
    rows = np.flatnonzero(cases.dx.principal & np.uint16(fact))
    return cases.dx.offsets[rows].astype(np.intp), rows


def symptom_principal(cases: Cases) -> Codes:
    """A symptom (R) as principal diagnosis."""
    return _principal_with(cases, Fact.SYMPTOM)


def factor_principal(cases: Cases) -> Codes:
    """An external cause or a Z code as principal diagnosis."""
    return _principal_with(cases, Fact.FACTOR)


def suspected_principal(cases: Cases) -> Codes:
    """A suspected diagnosis as principal diagnosis."""
    return _principal_with(cases, Fact.SUSPECTED)


def surgery_fee_alone(cases: Cases) -> Mask:
    """A fee for surgery, and no procedure."""
    fee = cases.fen("surgery_fee")
    found: Mask = fee.known & (fee.values > 0) & ((cases.px.of_row & Fact.CODE) == 0)
    return found


def ventilation_differs(cases: Cases) -> Mask:
    """Hours on a ventilator that contradict the procedures."""
    hours, limit = cases.number("vent_hours"), cases.thresholds.long_ventilation_hours
    done = cases.px.of_row
    short = (done & Fact.SHORT_VENTILATION) > 0
    long = (done & Fact.LONG_VENTILATION) > 0
    some = short | long | ((done & Fact.VENTILATION) > 0)
    invasive_none = (short | long) & (hours.values == 0)
    nothing_done = (hours.values > 0) & ~some
    too_short = long & (hours.values < limit)
    too_long = short & ~long & (hours.values >= limit)
    found: Mask = hours.known & (invasive_none | nothing_done | too_short | too_long)
    return found


# --- money and upload -------------------------------------------------------------------------


def items_differ(cases: Cases) -> Mask:
    """The total is not the sum of the items."""
    total, items = cases.fen("total_cost"), cases.fen("items_total")
    found: Mask = total.known & items.known & (total.values != items.values)
    return found


def funding_differs(cases: Cases) -> Mask:
    """Fund and patient together do not pay the total."""
    total, fund, cash = (cases.fen(n) for n in ("total_cost", "fund_paid", "patient_cash"))
    known = total.known & fund.known & cash.known
    found: Mask = known & (total.values != fund.values + cash.values)
    return found


def late_upload(cases: Cases) -> Mask:
    """Uploaded after the day that is in time."""
    upload, deadline = cases.number("upload_date"), cases.upload_deadline
    found: Mask = upload.known & deadline.known & (upload.values > deadline.values)
    return found
