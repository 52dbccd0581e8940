"""`guigang-points` on a region of eleven cases, every number worked out by hand.

Weights: BR19 1, published stable; BR29 2, not published. Hospital A level 1, B level 2 (0.98).
Budget: fund 120 000 − reserve 20 000 = 100 000 a year; shares January 60 : February 40.
The fund paid 80 % of every cost, the patient 20 %. Self-pay is 5 % in A and 15 % in B.

case   hospital month  group  cost    class and points
a1-a3  A        01     BR19    6 000  normal     100 × 0.54545455                =  54.54545500
a4     A        01     BR19    1 200  low        100 × 1 200 / 8 800             =  13.63636364
a5     A        02     BR29   10 000  unstable   0.7 × 10 000 / 10 000 × 100     =  70
b1-b2  B        01     BR19    5 000  normal     100 × 1.36363636                = 136.36363600
b3     B        01     BR19   40 000  high       100 × 1.36363636                = 136.36363600
b4-b5  B        02     BR19    5 000  normal                                     = 136.36363600
u1     B        02     none   20 800  ungrouped  0.7 × 20 800 / 10 000 × 100     = 145.60000000

BR19: region n 9, Σ 79 200, m = 8 800. Level 1: n 4, Σ 19 200, l = 4 800, k = 4 800/8 800.
Level 2: n 5, Σ 60 000, l = 12 000, k = 12 000/8 800. M = 110 000 / 11 = 10 000.
High above 3 l = 14 400 and 36 000; low below 0.3 l = 1 440 and 3 600.

January: 177.27272864 + 409.09090800 = 586.36363664 points, v = 60 000 / that = 102.32558135
February: 70 + 418.32727200 = 488.32727200 points, v = 40 000 / that = 81.91227952

Reviews: b3 approved in January, unreasonable 2 800: x = 37 200/12 000 − 3 = 0.1,
  100 × 1.36363636 × 1.1 = 149.99999960, extra 13.63636360, in February's row at January's value.
u1 approved in December, unreasonable 800: 20 000/10 000 × 100 = 200, extra 54.4, to clearing.
Deduction: A in February, 100 yuan and 10 points.

hospital month  points × v      cash    prepaid = (… − cash) × 0.9 − audit   paid
A        01     18 139.535016   3 840   12 869.581514                        12 869.58
B        01     41 860.464986  10 000   28 674.418487                        28 674.42
A        02      5 733.859566   2 000    3 260.473610   − 10 × v           =  2 441.35
B        02     34 266.140435   6 160   25 295.526391   + 13.6… × v1 × 0.9 = 26 551.34

Year: A 247.27272864 − 10, B 409.090908 + 418.327272 + 13.6363636 + 54.4 = 895.45454360;
v_Y = (110 000 − 88 000 + 100 000) / 1 132.72727224 = 107.70465494
A: gross 25 555.38; due 25 555.38 − 5 840 − 15 310.93 = 4 404.45
B: gross 96 444.62 × 0.98 = 94 515.73; self-pay 12 120 − 8 080 = 4 040;
   due 94 515.73 − 4 040 − 16 160 − 55 225.76 = 19 089.97
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from tests.settlement.regions import HOSPITAL, write_cases, write_csv, write_pack

CASES = (
    ("a1", "A", "01", "D1", 6000),
    ("a2", "A", "01", "D1", 6000),
    ("a3", "A", "01", "D1", 6000),
    ("a4", "A", "01", "D1", 1200),
    ("a5", "A", "02", "D2", 10000),
    ("b1", "B", "01", "D1", 5000),
    ("b2", "B", "01", "D1", 5000),
    ("b3", "B", "01", "D1", 40000),
    ("b4", "B", "02", "D1", 5000),
    ("b5", "B", "02", "D1", 5000),
    ("u1", "B", "02", "U", 20800),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    region = folder / "region"
    region.mkdir()
    hospitals = [["A", "A", 1, "", "", "", "", ""], ["B", "B", 2, "", "", "", "", "0.98"]]
    write_csv(region / "hospitals.csv", HOSPITAL, hospitals)
    write_csv(
        region / "budget.csv",
        ["pool", "line", "effective_month", "amount"],
        [
            ["employee", "fund_total", "2024-01", 120000],
            ["employee", "reserve", "2024-01", -20000],
        ],
    )
    write_csv(
        region / "month_shares.csv",
        ["pool", "month", "amount"],
        [["employee", "2023-01", 60], ["employee", "2023-02", 40]],
    )
    write_csv(
        region / "reviews.csv",
        ["case_id", "kind", "unreasonable_cost", "approved", "decision_month"],
        [
            ["b3", "add", 2800, "true", "2024-01"],
            ["u1", "whole_group", 800, "true", "2024-12"],
        ],
    )
    write_csv(
        region / "deductions.csv",
        ["hospital_id", "month", "pool", "money", "points", "reason"],
        [["A", "2024-02", "employee", 100, 10, "audit"]],
    )
    write_cases(
        region / "cases",
        [
            {
                "case_id": name,
                "hospital_id": hospital,
                "insurance": "employee",
                "settle_month": f"2024-{month}",
                "dx": [dx],
                "px": [],
                "total_cost": cost,
                "self_pay": cost * (5 if hospital == "A" else 15) / 100,
                "patient_cash": cost / 5,
                "fund_paid": cost * 4 / 5,
            }
            for name, hospital, month, dx, cost in CASES
        ],
    )
    pack = write_pack(folder / "pack", [["BR19", "1", "", "1"], ["BR29", "2", "", ""]])
    rerun(region, load_scheme(pack), load_policy("guigang-points"), folder / "run", LocalRunner())
    return folder / "run"


def lines(path: Path, *columns: str) -> list[str]:
    """Rows as text; a decimal with its own places, nothing as a dash."""
    return [
        " ".join(text(row[column]) for column in columns) for row in pq.read_table(path).to_pylist()
    ]


def text(value: Any) -> str:
    return "-" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)


def test_benchmarks(run: Path) -> None:
    assert lines(
        run / "benchmarks.parquet",
        *("drg", "level", "weight", "base_points", "coefficient", "stable"),
        *("region_mean", "level_mean", "high_above", "low_below", "inversion"),
    ) == [
        "BR19 1 1.00000000 100.00000000 0.54545455 True 8800.00 4800.00 14400.00 1440.00 False",
        "BR19 2 1.00000000 100.00000000 1.36363636 True 8800.00 12000.00 36000.00 3600.00 False",
        "BR19 3 1.00000000 100.00000000 1.00000000 True 8800.00 - - - False",
        "BR29 1 2.00000000 200.00000000 1.00000000 False 10000.00 10000.00 - - False",
        "BR29 2 2.00000000 200.00000000 1.00000000 False 10000.00 - - - False",
        "BR29 3 2.00000000 200.00000000 1.00000000 False 10000.00 - - - False",
    ]


def test_statistics(run: Path) -> None:
    assert lines(run / "statistics.parquet", "drg", "level", "cases", "cost_sum", "mean_cost") == [
        "BR19 0 9 79200.00 8800.00",
        "BR19 1 4 19200.00 4800.00",
        "BR19 2 5 60000.00 12000.00",
        "BR29 0 1 10000.00 10000.00",
        "BR29 1 1 10000.00 10000.00",
    ]


def test_points(run: Path) -> None:
    assert lines(
        run / "points",
        *("case_id", "class", "reason", "points", "extra_points", "value", "gain"),
    ) == [
        "a1 normal within_bounds 54.54545500 0.00000000 5581.40 -418.60",
        "a2 normal within_bounds 54.54545500 0.00000000 5581.40 -418.60",
        "a3 normal within_bounds 54.54545500 0.00000000 5581.40 -418.60",
        "a4 low below_low 13.63636364 0.00000000 1395.35 195.35",
        "a5 unstable few_cases 70.00000000 0.00000000 5733.86 -4266.14",
        "b1 normal within_bounds 136.36363600 0.00000000 13953.49 8953.49",
        "b2 normal within_bounds 136.36363600 0.00000000 13953.49 8953.49",
        "b3 high review_approved 136.36363600 13.63636360 13953.49 -26046.51",
        "b4 normal within_bounds 136.36363600 0.00000000 11169.86 6169.86",
        "b5 normal within_bounds 136.36363600 0.00000000 11169.86 6169.86",
        "u1 ungrouped review_approved 145.60000000 54.40000000 11926.43 -8873.57",
    ]


def test_months(run: Path) -> None:
    columns = ("month", "cases", "budget", "points", "point_value", "paid", "residual")
    assert lines(run / "months.parquet", *columns) == [
        "2024-01 7 60000.00 586.36363664 102.32558135 41544.00 0.00",
        "2024-02 4 40000.00 488.32727200 81.91227952 28992.69 0.00",
    ]


def test_statements(run: Path) -> None:
    columns = (
        *("hospital_id", "month", "cases", "points", "extra_points", "deducted_points"),
        *("gross", "cash", "prepaid", "audit_deduction", "paid", "deposit"),
    )
    none = "0.00000000"
    assert lines(run / "hospital_months.parquet", *columns) == [
        f"A 2024-01 4 177.27272864 {none} {none} 18139.54 3840.00 12869.58 0.00 12869.58 1429.96",
        f"A 2024-02 1 70.00000000 {none} 10.00000000 5733.86 2000.00 3260.47 100.00 2441.35 373.39",
        f"B 2024-01 3 409.09090800 {none} {none} 41860.46 10000.00 28674.42 0.00 28674.42 3186.04",
        (
            f"B 2024-02 3 418.32727200 13.63636360 {none} "
            "34266.14 6160.00 25295.53 0.00 26551.34 2810.61"
        ),
    ]


def test_review_quota_is_reported(run: Path) -> None:
    """Two reviews in 11 cases, both of B, which has 6: more than 5 ‰."""
    notes = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["notes"]
    above = [{"hospital": "B", "reviews": 2, "cases": 6}]
    assert notes["review_quota"] == {"reviews": 2, "cases": 11, "above": above}


def test_clearing(run: Path) -> None:
    columns = (
        *("hospital_id", "cases", "points", "deducted_points", "point_value", "gross"),
        *("assessed", "surplus_cut", "self_pay_cut", "cash", "already_paid", "due"),
    )
    assert lines(run / "clearing.parquet", *columns) == [
        (
            "A 5 247.27272864 10.00000000 107.70465494 25555.38 25555.38 0.00 0.00 "
            "5840.00 15310.93 4404.45"
        ),
        (
            "B 6 895.45454360 0.00000000 107.70465494 96444.62 94515.73 0.00 4040.00 "
            "16160.00 55225.76 19089.97"
        ),
    ]
