"""Each worked number of settlement.md, to the last digit."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from grouper.settlement.benchmarks import high_multiple
from grouper.settlement.clearing import settle, year_value
from grouper.settlement.months import Account, Extra, month_after, settle_months
from grouper.settlement.numbers import SCALE, p8, points_text
from grouper.settlement.policy import Policy, YearEnd
from grouper.settlement.region import load_region
from grouper.settlement.rules import Rule, by_cost_slope, high_points, normal_points
from tests.settlement.regions import HOSPITAL, write_csv

POLICY = Policy(id="worked")
REGION_MEAN = 603892  # 6038.92
LEVEL_MEAN = 721137  # 7211.37
ALL_MEAN = 812345  # 8123.45
BASE = 7433935089  # 74.33935089
COEFFICIENT = 119414895  # 1.19414895


def million(text: str) -> int:
    """Fen of an amount in millions."""
    return int(Fraction(text) * 100_000_000)


def test_budget_of_article_6(tmp_path: Path) -> None:
    """1000 − (120+15+40+22+180+30+8+25+20+0) = 540."""
    write_csv(tmp_path / "hospitals.csv", HOSPITAL, [["H", "", 1, "", "", "", "", ""]])
    lines = [1000, -120, -15, -40, -22, -180, -30, -8, -25, -20, 0]
    names = ["fund_total", *(f"line{i}" for i in range(10))]
    write_csv(
        tmp_path / "budget.csv",
        ["pool", "line", "effective_month", "amount"],
        [["employee", name, "2024-01", amount] for name, amount in zip(names, lines, strict=True)],
    )
    assert load_region(tmp_path).budget_of("employee", "2024-05") == 540 * 100


def test_base_points() -> None:
    exact = Fraction(REGION_MEAN, ALL_MEAN)
    assert points_text(p8(exact)) == "0.74339351"
    assert points_text(p8(exact * 100)) == "74.33935089"
    assert points_text(p8(Fraction(p8(exact), SCALE) * 100)) == "74.33935100"


def test_coefficient() -> None:
    assert points_text(p8(Fraction(LEVEL_MEAN, REGION_MEAN))) == "1.19414895"


def test_bounds() -> None:
    """Above 21634.11 is high, 2163.41 is low, 2163.42 is not."""
    times = high_multiple(POLICY.high, BASE)
    assert times == 3
    assert times * LEVEL_MEAN == 2163411
    low = POLICY.low.ratio * LEVEL_MEAN
    assert low > 216341
    assert not low > 216342


@pytest.mark.parametrize(
    ("points", "times"),
    [
        ("100", "3"),
        ("100.00000001", "2.5"),
        ("200", "2.5"),
        ("300", "2"),
        ("500", "1.5"),
        ("501", "1.3"),
    ],
)
def test_multiples(points: str, times: str) -> None:
    assert high_multiple(POLICY.high, int(Fraction(points) * SCALE)) == Fraction(times)


def test_normal() -> None:
    assert points_text(normal_points(BASE, COEFFICIENT)) == "88.77225781"


def test_low() -> None:
    rule = Rule(0, 0, 216341, 2, slope=Fraction(BASE, REGION_MEAN), cap=BASE)
    assert points_text(rule.points(150000)) == "18.46506103"


def test_approved_high() -> None:
    over = Fraction(3000000 - 120000, LEVEL_MEAN) - 3
    assert points_text(p8(over)) == "0.99369329"
    points = high_points(BASE, COEFFICIENT, 3000000, 120000, Fraction(LEVEL_MEAN), Fraction(3))
    assert points_text(points) == "176.98465497"


def test_high_below_its_bound_after_review_adds_nothing() -> None:
    points = high_points(BASE, COEFFICIENT, 3000000, 2500000, Fraction(LEVEL_MEAN), Fraction(3))
    assert points == normal_points(BASE, COEFFICIENT)


def test_whole_group() -> None:
    slope = by_cost_slope(Fraction(ALL_MEAN))
    assert points_text(Rule(0, 0, 10**9, 4, slope=slope).points(5200000 - 200000)) == "615.50203423"


def test_month(tmp_path: Path) -> None:
    """600 M × 9.1 % = 54.6 M, v = 52.00, paid 635 500.00 and with extra points 638 460.88."""
    for name, money, points, extra in (("plain", "12500", "", 0), ("extra", "12500", "30", 96.6)):
        folder = tmp_path / name
        folder.mkdir()
        write_csv(
            folder / "hospitals.csv",
            HOSPITAL,
            [[hospital, "", 1, "", "", "", "", ""] for hospital in ("A", "B")],
        )
        write_csv(
            folder / "budget.csv",
            ["pool", "line", "effective_month", "amount"],
            [["employee", "fund_total", "2024-01", 600_000_000]],
        )
        write_csv(
            folder / "month_shares.csv",
            ["pool", "month", "amount"],
            [["employee", "2023-03", 91], ["employee", "2023-04", 909]],
        )
        write_csv(
            folder / "deductions.csv",
            ["hospital_id", "month", "pool", "money", "points", "reason"],
            [["A", "2024-03", "employee", money, points, "audit"]],
        )
        accounts = {
            ("A", "employee", "2024-03"): Account(1, cash=39_800_000, points=21_500 * SCALE),
            ("B", "employee", "2024-03"): Account(1, points=(1_050_000 - 21_500) * SCALE),
        }
        extras = [Extra("A", "employee", "2024-03", int(extra * SCALE), "2024-03")]
        months = settle_months(load_region(folder), POLICY, 2024, accounts, extras)
        value = months.values["employee", "2024-03"]
        assert value.budget == million("54.6")
        assert points_text(value.value) == "52.00000000"
        statement = months.statements["A", "employee", "2024-03"]
        assert statement.prepaid == 63_550_000
        assert statement.paid == (63_846_088 if extra else 63_550_000)


def test_year_value() -> None:
    value = year_value(million("1000"), million("620"), million("600"), 12_500_000 * SCALE)
    assert points_text(value) == "78.40000000"


@pytest.mark.parametrize("form", ["A", "B"])
def test_year_end(form: str) -> None:
    """250 000 × 78.4 × 0.98 − 7.6 M − 10.2 M = 1.408 M, in both forms."""
    settled = settle(
        YearEnd.model_validate({"form": form}),
        gross=million("19.6"),
        assessment=98_000_000,
        total=million("100"),
        self_pay=0,
        cash=million("7.6"),
        other_funds=million("0.5"),
        already_paid=million("10.2"),
    )
    assert settled.due == million("1.408")
    assert million("19.6") - settled.assessed == million("0.392")


def test_caps() -> None:
    """13.8 M on 10.0 M → 13.0 M; 12.5 % self-pay of 10.0 M → −0.25 M."""
    settled = settle(
        YearEnd(),
        gross=million("13.8"),
        assessment=SCALE,
        total=million("10"),
        self_pay=million("1.25"),
        cash=0,
        other_funds=0,
        already_paid=0,
    )
    assert settled.assessed - settled.surplus_cut == million("13")
    assert settled.self_pay_cut == million("0.25")
    assert settled.due == million("12.75")


def test_order_of_caps_matters() -> None:
    amounts = {
        "gross": million("13.8"),
        "assessment": 90_000_000,
        "total": million("10"),
        "self_pay": 0,
        "cash": 0,
        "other_funds": 0,
        "already_paid": million("14"),
    }
    usual = settle(YearEnd(), **amounts)
    assert (usual.assessed, usual.surplus_cut) == (million("12.42"), 0)
    capped = settle(
        YearEnd.model_validate({"order": ["surplus_cap", "assessment", "self_pay", "prepaid"]}),
        **amounts,
    )
    assert capped.surplus_cut == million("0.8")
    assert capped.due == million("-2.3")
    for settled in (usual, capped):
        assert settled.due + amounts["already_paid"] + settled.surplus_cut == settled.assessed


def test_month_after() -> None:
    assert month_after("2024-01") == "2024-02"
    assert month_after("2024-12") == "2025-01"
