"""What multiplies the points of single cases, and what a readmission takes from them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from grouper.errors import PolicyError
from grouper.settlement.numbers import SCALE
from grouper.settlement.plan import Accounts, IntakePlan
from grouper.settlement.policy import Policy
from grouper.settlement.policyfile import load_policy
from grouper.settlement.uplifts import case_factors
from tests.settlement.golden import case, lines, settle

KEYS = """
[[coefficient.uplifts]]
name = "tumour"
times = 1.1
dx = ["D1"]
[[coefficient.uplifts]]
name = "new technology"
times = 1.2
px = ["99"]
[[coefficient.uplifts]]
name = "old age"
times = 1.05
age_from = 65
"""


def test_uplifts_multiply(tmp_path: Path) -> None:
    """100 points each, × 1.1 for D1, × 1.2 for the procedure, × 1.05 from 65 years on.

    e: 100 × 1.1 × 1.2 × 1.05 = 138.6. f has no age and another procedure.
    """
    run = settle(
        tmp_path,
        "guigang-points",
        [
            case("a", "A", "D3", 10000, age=64),
            case("b", "A", "D1", 10000, age=1),
            case("c", "A", "D1", 10000, px=["11", "99.1"], age=2),
            case("d", "A", "D3", 10000, age=65),
            case("e", "A", "D1", 10000, px=["99"], age=70),
            case("f", "A", "D3", 10000, px=["199"]),
        ],
        weights=[["BR19", "1", "", "1"], ["BR39", "1", "", "1"]],
        hospitals=[["A", 1]],
        budget=[["employee", "fund_total", 1000]],
        shares=[["employee", "01", 1]],
        keys=KEYS,
    )
    assert lines(run / "points", "case_id points") == [
        "a 100.00000000",
        "b 110.00000000",
        "c 132.00000000",
        "d 105.00000000",
        "e 138.60000000",
        "f 100.00000000",
    ]


def test_severity_and_age(tmp_path: Path) -> None:
    """MCC × 1.3 on a hospital factor of 0.5; children up to 6 × 1.1, and 28 to 30 years × 2."""
    policy = Policy.model_validate(
        {
            "id": "x",
            "coefficient": {
                "child_uplift": "0.1",
                "uplifts": [
                    {"name": "severe", "times": "1.3", "severity": ["MCC"]},
                    {"name": "age", "times": 2, "age_from": 28, "age_to": 30},
                ],
            },
        }
    )
    accounts = Accounts(("A",), (1,), ("",), ("employee",), by_city=False, months=("2024-01",))
    plan = IntakePlan(accounts, policy, (0,), factors=(SCALE // 2,))
    batch = pa.record_batch({"age": pa.array([6, 7, 28, 31, None, 30], pa.int16())})
    severity = np.array([2, 1, 2, 2, 0, 0], np.int8)
    found = case_factors(batch, severity, plan, np.array([0, 0, 0, 0, 0, -1], np.int32))
    assert found.tolist() == [
        SCALE * 715 // 1000,
        SCALE // 2,
        SCALE * 13 // 10,
        SCALE * 65 // 100,
        SCALE // 2,
        SCALE * 2,
    ]


def test_an_uplift_needs_a_condition(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text('id = "x"\n[[coefficient.uplifts]]\nname = "all"\ntimes = 2\n')
    with pytest.raises(PolicyError, match="an uplift needs a condition"):
        load_policy(file)


def test_readmission_needs_the_same_group(tmp_path: Path) -> None:
    """a1 is halved by a2 ten days later; u1 and u2 have no group, so neither halves the other."""

    def stay(name: str, dx: str, first: int, last: int) -> dict[str, object]:
        days = {"admission_date": date(2024, 1, first), "discharge_date": date(2024, 1, last)}
        return case(name, "A", dx, 10000, person_id="p", **days)

    run = settle(
        tmp_path,
        "guigang-points",
        [
            stay("a1", "D1", 1, 3),
            stay("a2", "D1", 13, 14),
            stay("u1", "U", 4, 5),
            stay("u2", "U", 6, 7),
        ],
        weights=[["BR19", "1", "", "1"]],
        hospitals=[["A", 1]],
        budget=[["employee", "fund_total", 1000]],
        shares=[["employee", "01", 1]],
        keys="[readmission]\ndays = 15\n",
    )
    assert lines(run / "points", "case_id reason points") == [
        "a1 readmitted 50.00000000",
        "a2 within_bounds 100.00000000",
        "u1 ungrouped 70.00000000",
        "u2 ungrouped 70.00000000",
    ]
