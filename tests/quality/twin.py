"""The rules once more, case by case in plain Python, to hold the arrays against."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from grouper import quality
from grouper.quality import Thresholds
from tests.quality.lists import DX, PX, RETIRED

with (Path(quality.__file__).parent / "code_facts.csv").open(encoding="utf-8") as _file:
    FACTS = list(csv.DictReader(_file))


def _facts(codes: str, code: str) -> list[dict[str, str]]:
    """The lines on a code, the most general first."""
    mine = [row for row in FACTS if row["list"] == codes and code.startswith(row["prefix"])]
    return sorted(mine, key=lambda row: len(row["prefix"]))


def _ages(codes: str, code: str) -> tuple[int, int, bool, bool]:
    low, high, always, as_principal = -1, 10**6, False, False
    for row in _facts(codes, code):
        always |= row["age_as"] == "any"
        as_principal |= row["age_as"] == "principal"
        if row["age_from"] or row["age_to"]:
            low, high = int(row["age_from"] or -1), int(row["age_to"] or 10**6)
    return low, high, always, as_principal


def _sexes(codes: str, code: str) -> set[str]:
    return {row["sex"] for row in _facts(codes, code) if row["sex"]}


def _kinds(codes: str, code: str) -> set[str]:
    return {row["kind"] for row in _facts(codes, code) if row["kind"]}


def broken(case: Mapping[str, Any], limits: Thresholds) -> dict[str, str | None]:
    """Rule to the code at fault, or None where the rule is not about a code."""
    return dict(_broken(case, limits))


def _broken(c: Mapping[str, Any], limits: Thresholds) -> Iterator[tuple[str, str | None]]:
    dx, px = list(c["dx"] or []), list(c["px"] or [])
    age = c["age"] if c["age"] is not None else 0 if c["age_days"] is not None else None
    real = {n: [x for x in codes if x and x.strip()] for n, codes in (("dx", dx), ("px", px))}
    for name, codes in (("diagnosis", "dx"), ("procedure", "px")):
        known = DX if codes == "dx" else PX
        retired = RETIRED if codes == "dx" else {"01.23": "01.2300"}
        wrong = {1: "female", 2: "male"}.get(c["sex"])
        yield from _first(f"sex_{name}", [x for x in real[codes] if wrong in _sexes(codes, x)])
        if age is not None:
            hit = []
            for i, code in enumerate((dx, px)[codes == "px"]):
                low, high, always, as_principal = _ages(codes, code or "")
                if code and (always or (as_principal and i == 0)) and not low <= age <= high:
                    hit.append(code)
            yield from _first(f"age_{name}", hit)
        strange = [x for x in real[codes] if x not in known]
        old = [f"{x} → {retired[x]}" for x in strange if x in retired]
        yield from _first(f"retired_{name}", old)
        yield from _first(f"unknown_{name}", [x for x in strange if x not in retired])
    if age is None:
        yield "age_missing", None
    if c["age"] == 0 and c["age_days"] is None:
        yield "age_days_missing", None
    if c["age_days"] is not None and c["age_days"] <= limits.newborn_days and not c["age"]:
        if c["weight"] is None:
            yield "birth_weight_missing", None
        elif not limits.weight_low <= c["weight"] <= limits.weight_high:
            yield "birth_weight_range", None
    yield from _dates(c, limits)
    yield from _principal(dx, limits)
    if c["principal_count"] is not None and c["principal_count"] != 1:
        yield "several_principals", None
    yield from _money(c, real["px"])
    done = {kind for code in real["px"] for kind in _kinds("px", code)}
    hours = c["vent_hours"]
    if hours is not None:
        short, long = "short_ventilation" in done, "long_ventilation" in done
        if (
            (hours == 0 and (short or long))
            or (hours > 0 and not done)
            or (long and hours < limits.long_ventilation_hours)
            or (short and not long and hours >= limits.long_ventilation_hours)
        ):
            yield "ventilation_differs", None


def _first(rule: str, codes: Sequence[str]) -> Iterator[tuple[str, str]]:
    if codes:
        yield rule, codes[0]


def _dates(c: Mapping[str, Any], limits: Thresholds) -> Iterator[tuple[str, None]]:
    first, last = c["admission_date"], c["discharge_date"]
    times = c["admission_time"], c["discharge_time"]
    dated = first is not None and last is not None
    if (dated and last < first) or (None not in times and times[0] > times[1]):
        yield "dates_order", None
    if dated and last >= first and c["los"] is not None and c["los"] != max(1, (last - first).days):
        yield "los_differs", None
    month = c["settle_month"] or (f"{last:%Y-%m}" if last else None)
    if month and c["upload_date"]:
        year, number = int(month[:4]), int(month[5:])
        after = date(year + number // 12, number % 12 + 1, 1)
        if c["upload_date"] > after + timedelta(days=limits.upload_day - 1):
            yield "late_upload", None


def _principal(dx: list[str | None], limits: Thresholds) -> Iterator[tuple[str, str | None]]:
    code = dx[0] if dx and dx[0] else ""
    if not code.strip():
        yield "no_principal", None
    elif not code.startswith(limits.accepted_principals):
        if code[0] == "R":
            yield "symptom_principal", code
        if code[0] in "VWXYZ":
            yield "factor_principal", code
        if code.startswith(limits.suspected):
            yield "suspected_principal", code


def _money(c: Mapping[str, Any], px: list[str]) -> Iterator[tuple[str, None]]:
    total = c["total_cost"]
    if None not in (total, c["items_total"]) and total != c["items_total"]:
        yield "items_differ", None
    if None not in (total, c["fund_paid"], c["patient_cash"]) and (
        total != c["fund_paid"] + c["patient_cash"]
    ):
        yield "funding_differs", None
    if c["surgery_fee"] and c["surgery_fee"] > 0 and not px:
        yield "surgery_fee_alone", None
