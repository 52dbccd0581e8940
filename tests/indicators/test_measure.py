"""Indicators against plain Python, Beihai's published figures, and other splits."""

from __future__ import annotations

import doctest
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from grouper.errors import PolicyError
from grouper.indicators import change
from grouper.indicators.change import change_rate, changes_table, percent
from grouper.indicators.measure import (
    Measured,
    Value,
    indicators_table,
    measure,
    parts_told,
    rounded,
    told,
)
from grouper.indicators.stays import Stays
from grouper.report import Run
from grouper.settlement.policyfile import load_policy

Rows = Sequence[dict[str, Any]]


@pytest.fixture(scope="module")
def measured(run: Run) -> Measured:
    return measure(Stays(run))


# --- published figures ------------------------------------------------------------------------

PUBLISHED = [
    ("9526.89", "7729.85", "-18.86 %"),
    ("9.63", "7.14", "-25.86 %"),
    # Printed as -21.13 %, but the two printed numbers give this: 1.27 / 1.59 - 1 = -0.20125…
    ("1.59", "1.27", "-20.13 %"),
]


@pytest.mark.parametrize(("before", "after", "printed"), PUBLISHED)
def test_beihai(before: str, after: str, printed: str) -> None:
    rate = change_rate(Fraction(before), Fraction(after))
    assert rate is not None
    assert percent(rate) == printed


def test_no_rounding_of_the_two_stays_per_person_gives_the_printed_change() -> None:
    half = Fraction("0.005")
    low = change_rate(Fraction("1.59") + half, Fraction("1.27") - half)
    high = change_rate(Fraction("1.59") - half, Fraction("1.27") + half)
    assert low is not None
    assert high is not None
    assert (percent(low), percent(high)) == ("-20.69 %", "-19.56 %")


def test_the_shipped_set(run: Run) -> None:
    policy = load_policy("beihai-monitoring")
    found = measure(Stays(run, policy))
    assert [one.code for one in found.indicators] == list(policy.monitoring.shown)
    table = changes_table(found, found).to_pylist()
    mine = [row for row in table if row["scope"] == "region"]
    assert [row["indicator"] for row in mine] == list(policy.monitoring.shown)
    assert all(row["change"] == 0 or not row["before"] for row in mine)


# --- the twin ---------------------------------------------------------------------------------


def _grouped(rows: Rows) -> list[dict[str, Any]]:
    return [row for row in rows if row["status"] == "grouped"]


def _index(everyone: Rows, mine: Rows, name: str) -> Fraction:
    """Σ n · (own mean / region mean) / Σ n over the groups."""
    whole, own = defaultdict(list), defaultdict(list)
    for row in _grouped(everyone):
        whole[row["drg"]].append(Fraction(row[name]))
    for row in _grouped(mine):
        own[row["drg"]].append(Fraction(row[name]))
    total = Fraction(0)
    for drg, values in own.items():
        mean = sum(whole[drg]) / len(whole[drg])
        total += len(values) * (sum(values) / len(values)) / mean
    return total / sum(len(values) for values in own.values())


def _low_risk(everyone: Rows) -> set[str]:
    groups = defaultdict(list)
    for row in _grouped(everyone):
        groups[row["drg"]].append(row["discharge"] == 5)
    logs = {d: math.log(sum(g) / len(g)) for d, g in groups.items() if 0 < sum(g) < len(g)}
    mean = sum(logs.values()) / len(logs)
    spread = math.sqrt(sum((x - mean) ** 2 for x in logs.values()) / len(logs))
    return {drg for drg, x in logs.items() if x < mean - spread}


def _share(count: int, of: int) -> Fraction | None:
    return Fraction(count, of) if of else None


def _low_risk_mortality(everyone: Rows, mine: Rows) -> Fraction | None:
    grade = _low_risk(everyone)
    few = [row for row in _grouped(mine) if row["drg"] in grade]
    return _share(sum(row["discharge"] == 5 for row in few), len(few))


_MEANS: dict[int, dict[str, Fraction]] = {}


def _in_range(everyone: Rows, mine: Rows) -> Fraction | None:
    if id(everyone) not in _MEANS:
        costs = defaultdict(list)
        for row in _grouped(everyone):
            costs[row["drg"]].append(Fraction(row["total_cost"]))
        _MEANS[id(everyone)] = {drg: sum(c) / len(c) for drg, c in costs.items()}
    means = _MEANS[id(everyone)]
    ratios = [Fraction(row["total_cost"]) / means[row["drg"]] for row in _grouped(mine)]
    return _share(sum(Fraction(9, 10) <= r <= Fraction(11, 10) for r in ratios), len(ratios))


def _class(name: str) -> Callable[[Rows, Rows], Fraction | None]:
    return lambda _, mine: _share(sum(row["class"] == name for row in mine), len(mine))


TWIN: dict[str, Callable[[Rows, Rows], Fraction | None]] = {
    "mean_cost": lambda _, mine: sum(Fraction(r["total_cost"]) for r in mine) / len(mine),
    "mean_los": lambda _, mine: Fraction(sum(r["los"] for r in mine), len(mine)),
    "stays_per_person": lambda _, mine: Fraction(
        sum(r["person_id"] is not None for r in mine),
        len({r["person_id"] for r in mine} - {None}),
    ),
    "cmi": lambda _, mine: (
        sum(Fraction(r["weight"] or 0) for r in _grouped(mine)) / len(_grouped(mine))
    ),
    "group_rate": lambda _, mine: Fraction(len(_grouped(mine)), len(mine)),
    "cost_index": lambda all_, mine: _index(all_, mine, "total_cost"),
    "time_index": lambda all_, mine: _index(all_, mine, "los"),
    "drg_count": lambda _, mine: Fraction(len({r["drg"] for r in _grouped(mine)})),
    "low_risk_mortality": _low_risk_mortality,
    "high_share": _class("high"),
    "low_share": _class("low"),
    "normal_share": _class("normal"),
    "in_range_share": _in_range,
}


@pytest.mark.parametrize("code", TWIN)
def test_the_twin_agrees(measured: Measured, rows: Rows, code: str) -> None:
    twin = TWIN[code]
    for (key, name), value in measured.values.items():
        if name != code or (key.scope == "hospital_month" and key.month != "2024-05"):
            continue
        mine = [
            row
            for row in rows
            if (not key.level or row["level"] == key.level)
            and (not key.hospital_id or row["hospital_id"] == key.hospital_id)
            and (not key.month or row["month"] == key.month)
        ]
        assert rounded(value.exact) == rounded(twin(rows, mine)), (key, value)


def test_every_indicator_has_a_twin(measured: Measured) -> None:
    assert {one.code for one in measured.indicators} == set(TWIN)
    assert measured.absent == {}


def test_the_region_has_index_one(measured: Measured) -> None:
    for code in ("cost_index", "time_index"):
        value = measured.of(code)
        assert rounded(value.exact) == 1
        assert rounded(value.numerator) == value.denominator


# --- tables -----------------------------------------------------------------------------------


def test_any_split_gives_the_same_table(run: Run, other: Run, measured: Measured) -> None:
    assert run.manifest.run != other.manifest.run
    assert indicators_table(measure(Stays(other))).equals(indicators_table(measured))


def test_table(measured: Measured, run: Run) -> None:
    table = indicators_table(measured).to_pylist()
    hospitals = run.table("hospitals").num_rows
    mine = [row for row in table if row["indicator"] == "mean_cost"]
    assert sum(row["scope"] == "hospital" for row in mine) == hospitals
    assert sum(row["scope"] == "month" for row in mine) == 12
    for row in table:
        if row["indicator"] == "drg_count":
            assert (row["value"], row["denominator"]) == (row["numerator"], 628)
        elif row["denominator"]:
            assert row["value"] == pytest.approx(float(row["numerator"] / row["denominator"]))
        else:
            assert row["value"] is None


def test_numbers_as_people_read_them(measured: Measured) -> None:
    shown = {one.code: told(one, measured.of(one.code)) for one in measured.indicators}
    assert shown["group_rate"].endswith(" %")
    assert shown["cost_index"] == "1.0000"
    count = measured.of("drg_count").numerator
    assert shown["drg_count"] == str(count)
    one = next(one for one in measured.indicators if one.code == "drg_count")
    assert parts_told(one, measured.of(one.code)) == (str(count), "628")
    assert told(measured.indicators[0], Value(Fraction(1), 0)) == "-"
    assert rounded(Fraction(-5, 10), Decimal(1)) == -1


def test_examples() -> None:
    assert doctest.testmod(change).failed == 0


# --- bad input --------------------------------------------------------------------------------


def test_an_unknown_indicator_is_named(run: Run) -> None:
    with pytest.raises(PolicyError, match="no indicator 'cmii'") as caught:
        measure(Stays(run), ["cmii"])
    assert "'cmi'" in caught.value.hint


def test_nothing_before_has_no_change() -> None:
    assert change_rate(Fraction(0), Fraction(3)) is None
