"""One small region per shipped policy; every number is worked out by hand in the docstring.

Unless said otherwise a weight of 1 is published as stable, the fund paid 80 % of every cost and the
patient 20 %, self-pay is 0, and the whole yearly budget falls on the months given.
"""

from __future__ import annotations

import json
from pathlib import Path

from grouper.settlement.policyfile import builtin_policies
from tests.settlement.golden import case, lines, settle

ONE = [["BR19", "1", "", "1"]]
POINTS = "case_id route class reason points value gain"
MONTHS = "pool month cases budget points point_value paid residual"
STATEMENTS = "hospital_id pool month cases points gross cash prepaid paid deposit"
CLEARING = (
    "hospital_id pool cases points point_value gross assessed surplus_cut self_pay_cut cash "
    "already_paid due"
)


def test_every_row_of_the_specification_has_its_policy() -> None:
    assert set(builtin_policies()) == {
        "beihai-monitoring",
        "guigang-points",
        "fujian-one-price",
        "shanwei-incentive",
        "tongren-rate",
        "hunan-regional",
        "huangyan-mixed",
        "shantou-dip",
        "quota-sharing",
    }


def test_huangyan(tmp_path: Path) -> None:
    """Six cases of 10 000, one of 7 000, one of 3 000: m = 70 000 / 8 = 8 750.

    7 000 / 8 750 = 0.8 is in the band: 100 × (0.8 + 0.2) = 100. 3 000 / 8 750 is low:
    100 × 3 000 / 8 750 = 34.28571429. Points 600 + 100 + 34.28571429.
    Budget 100 000 − 8 100 (per-diem) − 5 000 (outpatient bundle) = 86 900;
    v = 86 900 / 734.28571429 = 118.34630350; prepaid (86 900 − 14 000) × 0.9 = 65 610.
    Per day: 61 days × 10 = 610 and 20 × 10 = 200 points, v = 8 100 / 810 = 10;
    paid (8 100 − 7 000) × 0.9 = 990.
    Year: v_Y = (70 000 − 56 000 + 86 900) / 734.28571429 = 137.41245136, gross 100 900, cap
    1.3 × 70 000 = 91 000, due 91 000 − 14 000 − 65 610 = 11 390.
    """
    run = settle(
        tmp_path,
        "huangyan-mixed",
        [
            *(case(f"a{i}", "A", "D1", 10000) for i in range(6)),
            case("b1", "A", "D1", 7000),
            case("l1", "A", "D1", 3000),
            case("p1", "A", "D1", 30000, los=61),
            case("p2", "A", "D1", 5000, los=20, bed_day_flag=True),
        ],
        weights=ONE,
        hospitals=[["A", 1]],
        budget=[
            ["employee", "fund_total", 100000],
            ["employee", "per_diem", -8100],
            ["employee", "outpatient_bundle", -5000],
        ],
        shares=[["employee", "01", 1]],
        rates=[["per_diem", "", "1", "10"]],
    )
    assert lines(run / "points", POINTS)[5:] == [
        "a5 drg normal within_bounds 100.00000000 11834.63 1834.63",
        "b1 drg band in_band 100.00000000 11834.63 4834.63",
        "l1 drg low below_low 34.28571429 4057.59 1057.59",
        "p1 per_diem - long_stay 610.00000000 6100.00 -23900.00",
        "p2 per_diem - bed_day_flag 200.00000000 2000.00 -3000.00",
    ]
    assert lines(run / "months.parquet", MONTHS) == [
        "employee 2024-01 8 86900.00 734.28571429 118.34630350 65610.00 0.00"
    ]
    columns = "hospital_id month cases points point_value gross cash paid"
    assert lines(run / "per_diem.parquet", columns) == [
        "A 2024-01 2 810.00000000 10.00000000 8100.00 7000.00 990.00"
    ]
    assert lines(run / "clearing.parquet", CLEARING) == [
        (
            "A employee 8 734.28571429 137.41245136 100900.00 100900.00 9900.00 0.00 14000.00 "
            "65610.00 11390.00"
        )
    ]


def test_shanwei(tmp_path: Path) -> None:
    """A fifth of 40 000 is kept: v = 32 000 / 300 = 106.66666667.

    Year: v_Y = (30 000 − 24 000 + 32 000) / 300 = 126.66666667. The pool of 8 000 goes by points ×
    encouragement: A 200 × 1, B 100 × 2, so 4 000 each. A: 200 × v_Y = 25 333.33 + 4 000; cap
    1.3 × 20 000. B: 12 666.67 + 4 000; cap 13 000.
    """
    run = settle(
        tmp_path,
        "shanwei-incentive",
        [
            case("a1", "A", "D1", 10000),
            case("a2", "A", "D1", 10000),
            case("b1", "B", "D1", 10000),
        ],
        weights=ONE,
        hospitals=[["A", 1], ["B", 1]],
        budget=[["employee", "fund_total", 40000]],
        shares=[["employee", "01", 1]],
        rates=[["encouragement", "", "A", "1"], ["encouragement", "", "B", "2"]],
    )
    assert lines(run / "months.parquet", MONTHS) == [
        "employee 2024-01 3 32000.00 300.00000000 106.66666667 23400.00 0.00"
    ]
    assert lines(run / "incentive.parquet", "hospital_id points coefficient amount") == [
        "A 200.00000000 1.00000000 4000.00",
        "B 100.00000000 2.00000000 4000.00",
    ]
    assert lines(run / "clearing.parquet", CLEARING) == [
        (
            "A employee 2 200.00000000 126.66666667 29333.33 29333.33 3333.33 0.00 4000.00 "
            "15600.00 6400.00"
        ),
        (
            "B employee 1 100.00000000 126.66666667 16666.67 16666.67 3666.67 0.00 2000.00 "
            "7800.00 3200.00"
        ),
    ]


def test_tongren(tmp_path: Path) -> None:
    """Weight 1.2 × rate 9 000 = 10 800 a case, that is 120 points at 90.

    B goes live in February: its case of January is paid by item and simulated. Residual of January
    20 000 − 10 800, of February 20 000 − 21 600. The year keeps the rate: A 240 × 90 − 4 000
    − 15 840, B 10 800, cut to 1.3 × 8 000, − 1 600 − 8 280.
    """
    run = settle(
        tmp_path,
        "tongren-rate",
        [
            case("a1", "A", "D1", 10000),
            case("a2", "A", "D1", 10000, "02"),
            case("b1", "B", "D1", 10000),
            case("b2", "B", "D1", 8000, "02"),
        ],
        weights=[["BR19", "1.2", "", "1"]],
        hospitals=[["A", 1], ["B", 2, "", "", "", "", "", "2024-02"]],
        budget=[["employee", "fund_total", 40000]],
        shares=[["employee", "01", 1], ["employee", "02", 1]],
        rates=[["rate", "", "employee", "9000"]],
    )
    assert lines(run / "points", POINTS) == [
        "a1 drg normal within_bounds 120.00000000 10800.00 800.00",
        "a2 drg normal within_bounds 120.00000000 10800.00 800.00",
        "b1 item normal before_go_live 120.00000000 10800.00 800.00",
        "b2 drg normal within_bounds 120.00000000 10800.00 2800.00",
    ]
    assert lines(run / "months.parquet", MONTHS) == [
        "employee 2024-01 1 20000.00 120.00000000 90.00000000 7920.00 9200.00",
        "employee 2024-02 2 20000.00 240.00000000 90.00000000 16200.00 -1600.00",
    ]
    assert lines(run / "hospital_months.parquet", STATEMENTS) == [
        "A employee 2024-01 1 120.00000000 10800.00 2000.00 7920.00 7920.00 880.00",
        "A employee 2024-02 1 120.00000000 10800.00 2000.00 7920.00 7920.00 880.00",
        "B employee 2024-02 1 120.00000000 10800.00 1600.00 8280.00 8280.00 920.00",
    ]
    assert lines(run / "clearing.parquet", CLEARING) == [
        (
            "A employee 2 240.00000000 90.00000000 21600.00 21600.00 0.00 0.00 4000.00 "
            "15840.00 1760.00"
        ),
        (
            "B employee 1 120.00000000 90.00000000 10800.00 10800.00 400.00 0.00 1600.00 "
            "8280.00 520.00"
        ),
    ]
    columns = "hospital_id drg cases simulated_cases item by_points difference"
    assert lines(run / "simulation.parquet", columns) == [
        "A BR19 2 0 20000.00 21600.00 1600.00",
        "B BR19 2 1 18000.00 21600.00 3600.00",
    ]


def test_hunan(tmp_path: Path) -> None:
    """One weight table, a pool per city: v = 20 000/200, 9 000/100 and 7 000/100.

    The city of a pool is the case's (zz), else its hospital's. Year: v_Y = (22 000 − 17 600 +
    20 000) / 200 = 122, (8 000 − 6 400 + 9 000) / 100 = 106, (6 000 − 4 800 + 7 000) / 100 = 82;
    caps 1.3 × 8 000 = 10 400 and 1.3 × 6 000 = 7 800 cut 200 and 400. Due: 24 400 − 4 400 − 14 040;
    10 400 − 1 600 − 6 660; 7 800 − 1 200 − 5 220.
    """
    run = settle(
        tmp_path,
        "hunan-regional",
        [
            case("a1", "A", "D1", 10000),
            case("a2", "A", "D1", 12000),
            case("b1", "B", "D1", 8000),
            case("c1", "B", "D1", 6000, city="zz"),
        ],
        weights=ONE,
        hospitals=[["A", 1, "", "cs"], ["B", 1, "", "xt"]],
        budget=[
            ["cs/employee", "fund_total", 20000],
            ["xt/employee", "fund_total", 9000],
            ["zz/employee", "fund_total", 7000],
        ],
        shares=[[f"{city}/employee", "01", 1] for city in ("cs", "xt", "zz")],
    )
    assert lines(run / "months.parquet", MONTHS) == [
        "cs/employee 2024-01 2 20000.00 200.00000000 100.00000000 14040.00 0.00",
        "xt/employee 2024-01 1 9000.00 100.00000000 90.00000000 6660.00 0.00",
        "zz/employee 2024-01 1 7000.00 100.00000000 70.00000000 5220.00 0.00",
    ]
    a = "A cs/employee 2 200.00000000 122.00000000 24400.00 24400.00 0.00 0.00 4400.00"
    b = "B xt/employee 1 100.00000000 106.00000000 10600.00 10600.00 200.00 0.00 1600.00"
    c = "B zz/employee 1 100.00000000 82.00000000 8200.00 8200.00 400.00 0.00 1200.00"
    assert lines(run / "clearing.parquet", CLEARING) == [
        f"{a} 14040.00 5960.00",
        f"{b} 6660.00 2140.00",
        f"{c} 5220.00 1380.00",
    ]
    columns = "hospital_id pool drg cases item by_points difference"
    assert lines(run / "simulation.parquet", columns) == [
        "A cs/employee BR19 2 22000.00 20000.00 -2000.00",
        "B xt/employee BR19 1 8000.00 9000.00 1000.00",
        "B zz/employee BR19 1 6000.00 7000.00 1000.00",
    ]


def test_shantou(tmp_path: Path) -> None:
    """Groups of at least 2 cases (15 in the policy); B has the factor 1.1.

    I21.9:p1+p2: 10 000 × 3, 25 000, 5 000, mean 12 000. J18.9 and J18.1 have one case each and
    fall into J18:-, mean 3 000; K1 into K1:-, 11 000. M = 77 000 / 8 = 9 625.
    Scores 12 000 / 9 625 × 1000 = 1246.75324675; 311.68831169; 1142.85714286.
    a3: r = 25 000 / 12 000, score × (r − 1) = 1350.64935065.
    a4: r = 5 000 / 12 000, score × r × 1.1 = 571.42857143.
    b1, b2: r = 4/3 and 2/3 count as 1, 311.68831169 × 1.1 = 342.85714286.
    n1: 1142.85714286 × 1.1 = 1257.14285715. Value (66 000 − 6 000) / 7605.19480520 = 7.88934426.
    A 5090.90909090 points: paid (40 163.934414 − 11 000) × 0.9 = 26 247.54; B 2514.28571430:
    (19 836.065568 − 4 400) × 0.9 = 13 892.46. Year: (77 000 − 61 600 + 60 000) / 7605.1948052.
    """
    run = settle(
        tmp_path,
        "shantou-dip",
        [
            *(case(f"a{i}", "A", "I21.900", 10000, px=["p2", "p1"]) for i in range(3)),
            case("a3", "A", "I21.901", 25000, px=["p1", "p2", "p1"]),
            case("a4", "B", "I21.902", 5000, px=["p1", "p2"]),
            case("b1", "B", "J18.9", 4000),
            case("b2", "B", "J18.1", 2000),
            case("n1", "B", "K1", 11000),
        ],
        weights=ONE,
        hospitals=[["A", 1], ["B", 2]],
        budget=[["employee", "fund_total", 66000], ["employee", "reserve", -6000]],
        shares=[["employee", "01", 1]],
        rates=[["hospital_factor", "", "1", "1"], ["hospital_factor", "", "2", "1.1"]],
        keys="[groups]\ndip_min_cases = 2\n",
    )
    assert lines(run / "grouped", "case_id status drg") == [
        *(f"a{i} grouped I21.9:p1+p2" for i in range(5)),
        "b1 grouped J18:-",
        "b2 grouped J18:-",
        "n1 grouped K1:-",
    ]
    assert lines(run / "points", POINTS) == [
        *(f"a{i} drg normal within_bounds 1246.75324675 9836.07 -163.93" for i in range(3)),
        "a3 drg high above_high 1350.64935065 10655.74 -14344.26",
        "a4 drg low below_low 571.42857143 4508.20 -491.80",
        "b1 drg normal within_bounds 342.85714286 2704.92 -1295.08",
        "b2 drg normal within_bounds 342.85714286 2704.92 704.92",
        "n1 drg normal within_bounds 1257.14285715 9918.03 -1081.97",
    ]
    assert lines(run / "months.parquet", MONTHS) == [
        "employee 2024-01 8 60000.00 7605.19480520 7.88934426 40140.00 0.00"
    ]
    assert lines(run / "clearing.parquet", CLEARING) == [
        (
            "A employee 4 5090.90909090 9.91427596 50472.68 50472.68 0.00 0.00 11000.00 "
            "26247.54 13225.14"
        ),
        (
            "B employee 4 2514.28571430 9.91427596 24927.32 24927.32 0.00 0.00 4400.00 "
            "13892.46 6634.86"
        ),
    ]


def test_a_hospital_that_takes_no_part(tmp_path: Path) -> None:
    """B is no pilot: it is paid by item, and simulated at A's point value.

    v = 20 000 × 7/12 / 100 = 116.66666667.

    January's prepayment is two monthly means of last year: 2 × (700 + 500) / 2.
    """
    run = settle(
        tmp_path,
        "guigang-points",
        [case("a1", "A", "D1", 10000), case("b1", "B", "D1", 9000)],
        weights=ONE,
        hospitals=[["A", 1, *[""] * 6, "true"], ["B", 1, *[""] * 6, "false"]],
        budget=[["employee", "fund_total", 24000], ["employee", "non_pilot", -4000]],
        shares=[["employee", "01", 700], ["employee", "02", 500]],
        keys='[participation]\nnon_pilot = "item"\nside_by_side = true\n',
    )
    assert lines(run / "points", "case_id route reason points value") == [
        "a1 drg within_bounds 100.00000000 11666.67",
        "b1 item non_pilot 100.00000000 11666.67",
    ]
    assert lines(run / "clearing.parquet", "hospital_id cases") == ["A 1"]
    notes = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["notes"]
    assert notes["annual_prepay"] == {"employee": "1200.00"}
