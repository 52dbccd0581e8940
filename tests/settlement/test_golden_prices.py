"""Golden regions of the systems that pay prices and quotas; worked out by hand in the docstrings.

Unless said otherwise the fund paid 80 % of every cost and the patient 20 %, and self-pay is 0.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.settlement.golden import case, lines, settle
from tests.settlement.regions import MONEY

ONE = [["BR19", "1", "", "1"]]
STATEMENTS = "hospital_id pool month cases points gross cash prepaid paid deposit"


def stayed(hours: int) -> dict[str, Any]:
    """A stay of so many hours."""
    begun = datetime(2024, 1, 5, 10, tzinfo=UTC)
    return {"admission_time": begun, "discharge_time": begun + timedelta(hours=hours)}


def test_fujian(tmp_path: Path) -> None:
    """Price 8 000 in class 3A, 7 000.50 in 2A; the fund pays 70 % of it, nothing for self-pay.

    One third of 8 000 is 2 666.66…: 2 666.66 leaves, 2 666.67 stays; 24 000 is not above 3 × 8 000.
    n1 is also billed 300 apart, which the patient pays. n2 has a bed of 40 and a valve of 500, of
    which the fund shares 300: 0.7 × (7 000.50 + 300) = 5 110.35 of 7 540.50.
    Of the price the patients of A pay 5 × 2 400, that of B 7 000.50 − 5 110.35 = 1 890.15.
    """
    low = Decimal("2666.66")
    run = settle(
        tmp_path,
        "fujian-one-price",
        [
            case("n1", "A", "D1", 9000, los=5, separate_items=300),
            case("n2", "B", "D1", 10000, los=5),
            case("n3", "A", "D1", low + Decimal("0.01"), los=2),
            case("n4", "A", "D1", 24000, los=59),
            case("s1", "A", "D1", 9000, los=5, insurance="self"),
            case("x1", "A", "D1", 9000, los=1),
            case("x2", "A", "D1", 9000, los=60),
            case("x3", "A", "D1", low, los=5),
            case("x4", "A", "D1", 24001, los=5),
            case("x5", "A", "D1", 9000, los=5, discharge=5),
            case("x6", "A", "D1", 9000, los=5, tcm_flag=True),
            case("x7", "A", "D1", 9000, los=5, dept="中医科"),
            case("x8", "A", "D2", 9000, los=5),
            case("x9", "A", "D1", 9000, los=2, discharge=2, **(hours := stayed(47))),
            case("y1", "A", "D1", 9000, los=2, discharge=2, **stayed(48)),
            case("y2", "A", "D1", 9000, los=2, discharge=1, **hours),
            case("y3", "A", "D1", 9000, los=5, px=["73.5900", "75.3402"]),
        ],
        weights=[*ONE, ["BR29", "1", "", "1"]],
        hospitals=[["A", 3, "3A"], ["B", 2, "2A"]],
        rates=[["price", "BR19", "3A", "8000"], ["price", "BR19", "2A", "7000.50"]],
        keys='[price]\nprocedures = ["75.3402"]\n',
        files={
            "items": pa.table(
                {
                    "case_id": ["n2", "n2"],
                    "item": ["bed", "valve"],
                    "amount": pa.array([40, 500], MONEY),
                    "cap": pa.array([None, 300], MONEY),
                }
            )
        },
    )
    assert lines(run / "points", "case_id route reason value gain") == [
        "n1 drg price 8000.00 -1000.00",
        "n2 drg price 7000.50 -2999.50",
        "n3 drg price 8000.00 5333.33",
        "n4 drg price 8000.00 -16000.00",
        "s1 drg price 8000.00 -1000.00",
        "x1 item short_stay - -",
        "x2 item very_long_stay - -",
        "x3 item far_below_price - -",
        "x4 item far_above_price - -",
        "x5 item died - -",
        "x6 item tcm_treatment - -",
        "x7 item department - -",
        "x8 item no_price - -",
        "x9 item early_transfer - -",
        "y1 drg price 8000.00 -1000.00",
        "y2 drg price 8000.00 -1000.00",
        "y3 item procedure - -",
    ]
    assert lines(run / "bills", "case_id price separate bill fund patient")[:5] == [
        "n1 8000.00 300.00 8300.00 5600.00 2700.00",
        "n2 7000.50 540.00 7540.50 5110.35 2430.15",
        "n3 8000.00 0.00 8000.00 5600.00 2400.00",
        "n4 8000.00 0.00 8000.00 5600.00 2400.00",
        "s1 8000.00 0.00 8000.00 0.00 8000.00",
    ]
    assert lines(run / "hospital_months.parquet", STATEMENTS) == [
        "A employee 2024-01 5 40000.00000000 40000.00 12000.00 28000.00 28000.00 0.00",
        "A self 2024-01 1 8000.00000000 8000.00 8000.00 0.00 0.00 0.00",
        "B employee 2024-01 1 7000.50000000 7000.50 1890.15 5110.35 5110.35 0.00",
    ]
    columns = "hospital_id pool points point_value gross assessed cash already_paid due"
    assert lines(run / "clearing.parquet", columns) == [
        "A employee 40000.00000000 1.00000000 40000.00 40000.00 12000.00 28000.00 0.00",
        "A self 8000.00000000 1.00000000 8000.00 8000.00 8000.00 0.00 0.00",
        "B employee 7000.50000000 1.00000000 7000.50 7000.50 1890.15 5110.35 0.00",
    ]


def test_quota(tmp_path: Path) -> None:
    """Quotas 5 000 and 6 000: A is entitled to 10 000, B to 12 000, C to 6 000.

    A saves 1 000 and keeps it for later years. B overspends 5 000, of which 1 000 is met by savings
    carried in; of the 4 000 it bears 30 %, so it asks 2 800. C asks 700. The budget leaves
    29 400 − 28 000 = 1 400, two fifths of 3 500: B gets 1 120, C 280.
    """
    run = settle(
        tmp_path,
        "quota-sharing",
        [
            case("a1", "A", "D1", 4000),
            case("a2", "A", "D1", 5000),
            case("b1", "B", "D1", 9000),
            case("b2", "B", "D1", 8000),
            case("c1", "C", "D1", 7000),
        ],
        weights=ONE,
        hospitals=[["A", 1], ["B", 2], ["C", 2]],
        budget=[["employee", "fund_total", 29400]],
        rates=[
            ["quota", "", "1", "5000"],
            ["quota", "", "2", "6000"],
            ["carried", "employee", "B", "1000"],
        ],
    )
    columns = "hospital_id entitled spent saved overspent carried_in used covered carried_out"
    assert lines(run / "quota.parquet", columns) == [
        "A 10000.00 9000.00 1000.00 0.00 0.00 0.00 0.00 1000.00",
        "B 12000.00 17000.00 0.00 5000.00 1000.00 1000.00 1120.00 0.00",
        "C 6000.00 7000.00 0.00 1000.00 0.00 0.00 280.00 0.00",
    ]
    assert lines(run / "clearing.parquet", "hospital_id gross cash already_paid due") == [
        "A 10000.00 1800.00 7380.00 820.00",
        "B 14120.00 3400.00 7740.00 2980.00",
        "C 6280.00 1400.00 4140.00 740.00",
    ]
