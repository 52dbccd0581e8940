"""A month that is closed stays as it was; what comes later is settled at year end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from grouper.errors import RegionError
from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.run.closing import close_month
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from tests.settlement.golden import case, lines
from tests.settlement.golden import settle as golden
from tests.settlement.regions import write_cases, write_csv

REVIEW = ("case_id", "kind", "unreasonable_cost", "approved", "decision_month")
DEDUCTION = ("hospital_id", "month", "pool", "money", "points", "reason")
JANUARY = [
    case("a1", "A", "D1", 10000),
    case("b1", "B", "D1", 10000),
    case("u0", "A", "D2", 10000),
]
LATER = [
    case("a2", "A", "D1", 10000, "02"),
    case("a9", "A", "D1", 10000),
    case("b2", "B", "D1", 10000, "02"),
    case("u1", "B", "D2", 10000),
]


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A region whose January is closed, and to which later cases have come."""
    golden(
        tmp_path / "old",
        "guigang-points",
        JANUARY,
        weights=[["BR19", "1", "", "1"], ["BR29", "", "", ""]],
        hospitals=[["A", 1], ["B", 1]],
        budget=[["employee", "fund_total", 120000]],
        shares=[["employee", "01", 1], ["employee", "02", 1]],
    )
    shutil.copytree(tmp_path / "old" / "region", tmp_path / "region")
    region = tmp_path / "region"
    assert close_month(tmp_path / "old" / "run", "2024-01", region) == {"employee": "222.22222222"}
    write_cases(region / "cases", [*JANUARY, *LATER])
    reviews = [[name, "whole_group", "", "true", "2024-02"] for name in ("u0", "u1")]
    write_csv(region / "reviews.csv", REVIEW, reviews)
    return region


def settle(region: Path, name: str = "run") -> Path:
    run = region.parent / name
    scheme = load_scheme(region.parent / "old" / "pack")
    rerun(region, scheme, load_policy("guigang-points"), run, LocalRunner())
    return run


def test_late_cases_are_settled_at_year_end(closed: Path) -> None:
    """All costs are 10 000; a case of BR19 has 100 points, one of BR29 70 until it is decided.

    January was closed with 270 points: v = 60 000 / 270 = 222.22222222. A: 170 × v = 37 777.78,
    prepaid (37 777.7777774 − 4 000) × 0.9 = 30 400; B: 22 222.22, prepaid 18 200.
    a9 and u1 come later: 100 and 70 points, 2 000 yuan of cash each, in no statement of a month.
    February: v = 60 000 / 200 = 300, prepaid (30 000 − 2 000) × 0.9 = 25 200 each.
    March: u0 gains 30 points, 30 × 222.22222222 × 0.9 = 6 000. u1 gains 30, too, but is late.
    Year: v_Y = (70 000 − 56 000 + 120 000) / 700 = 191.42857143. A 400 points, cap 1.3 × 40 000,
    due 52 000 − 8 000 − 61 600; B 300 points, due 39 000 − 6 000 − 43 400.
    """
    run = settle(closed)
    assert lines(run / "months.parquet", "month cases budget points point_value residual") == [
        "2024-01 3 60000.00 270.00000000 222.22222222 0.00",
        "2024-02 2 60000.00 200.00000000 300.00000000 0.00",
    ]
    columns = "hospital_id month cases points extra_points gross cash prepaid paid deposit"
    assert lines(run / "hospital_months.parquet", columns) == [
        "A 2024-01 2 170.00000000 0.00000000 37777.78 4000.00 30400.00 30400.00 3377.78",
        "A 2024-02 1 100.00000000 0.00000000 30000.00 2000.00 25200.00 25200.00 2800.00",
        "A 2024-03 0 0.00000000 30.00000000 0.00 0.00 0.00 6000.00 0.00",
        "B 2024-01 1 100.00000000 0.00000000 22222.22 2000.00 18200.00 18200.00 2022.22",
        "B 2024-02 1 100.00000000 0.00000000 30000.00 2000.00 25200.00 25200.00 2800.00",
    ]
    assert lines(run / "late.parquet", "hospital_id pool month cases points cash") == [
        "A employee 2024-01 1 100.00000000 2000.00",
        "B employee 2024-01 1 70.00000000 2000.00",
    ]
    assert lines(run / "late_cases.parquet", "case_id hospital_id month points extra_points") == [
        "a9 A 2024-01 100.00000000 0.00000000",
        "u1 B 2024-01 70.00000000 30.00000000",
    ]
    columns = "hospital_id cases points point_value gross surplus_cut cash already_paid due"
    assert lines(run / "clearing.parquet", columns) == [
        "A 4 400.00000000 191.42857143 76571.43 24571.43 8000.00 61600.00 -17600.00",
        "B 3 300.00000000 191.42857143 57428.57 18428.57 6000.00 43400.00 -10400.00",
    ]
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["notes"]["closed_months"] == [
        {
            "pool": "employee",
            "month": "2024-01",
            "closed_cases": 3,
            "late_cases": 2,
            "no_longer_there": 0,
        }
    ]
    assert any("2 cases and 170.00000000 points" in text for text in manifest["warnings"])
    assert all(check["holds"] for check in manifest["checks"])


def test_cases_that_vanish_leave_their_statement(closed: Path) -> None:
    """a1 is gone and u0 costs nothing: A's statement of January stays, and the rest is negative."""
    write_cases(closed / "cases", [*JANUARY[1:2], case("u0", "A", "D2", 0), LATER[0]])
    (closed / "reviews.csv").unlink()
    run = settle(closed)
    columns = "hospital_id month cases points cash paid"
    assert lines(run / "hospital_months.parquet", columns)[0] == (
        "A 2024-01 2 170.00000000 4000.00 30400.00"
    )
    assert lines(run / "late.parquet", "hospital_id cases points cash") == [
        "A -1 -170.00000000 -4000.00"
    ]
    notes = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["notes"]
    assert notes["closed_months"][0]["no_longer_there"] == 1


def test_other_split_of_late_cases(closed: Path) -> None:
    one = settle(closed)
    shutil.rmtree(closed / "cases")
    write_cases(closed / "cases", [*LATER[::-1], *JANUARY], parts=3)
    other = settle(closed, "other")
    for name in ("late", "late_cases", "months", "hospital_months", "clearing"):
        file = f"{name}.parquet"
        assert (one / file).read_bytes() == (other / file).read_bytes()


def test_a_closed_value_without_statements_is_kept_alone(closed: Path) -> None:
    """All cases of the month then stand in its statements, also where it had no points at all.

    M = 50 000 / 6, so that u0 has 84 points.
    """
    write_csv(
        closed / "closed.csv",
        ["pool", "month", "point_value", "points"],
        [["employee", "2024-01", "200", "270"], ["employee", "2024-02", "100", "0"]],
    )
    (closed / "closed_statements.csv").unlink()
    zero = [case("z", "A", "D2", 0, "02")]
    write_cases(closed / "cases", [*JANUARY, LATER[1], LATER[3], *zero])
    run = settle(closed)
    assert lines(run / "hospital_months.parquet", "hospital_id month points gross")[:2] == [
        "A 2024-01 284.00000000 56800.00",
        "A 2024-02 0.00000000 0.00",
    ]
    warnings = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["warnings"]
    assert any("closed with 270.00000000 points and now has" in text for text in warnings)


FAULTS = {
    "a deduction in a closed month": (
        lambda region: write_csv(
            region / "deductions.csv", DEDUCTION, [["A", "2024-01", "employee", 1, "", "late"]]
        ),
        "deductions.csv:2: the deductions of hospital 'A' in 2024-01 changed after it was closed",
    ),
    "no list of cases": (
        lambda region: (region / "closed_cases" / "2024-01.parquet").unlink(),
        "closed_cases/2024-01.parquet: the list of the cases of a closed month is missing",
    ),
    "another list of cases": (
        lambda region: (region / "closed_cases" / "2024-01.parquet").write_bytes(b"x"),
        "closed_cases/2024-01.parquet: this is not a list of closed cases",
    ),
    "statements of an open month": (
        lambda region: (region / "closed.csv").unlink(),
        "closed_statements.csv:2: pool 'employee' 2024-01 is not closed with its budget",
    ),
    "other points": (
        lambda region: write_csv(
            region / "closed.csv",
            ["pool", "month", "point_value", "points", "budget"],
            [["employee", "2024-01", "200", "271", "60000"]],
        ),
        "closed_statements.csv: the points of pool 'employee' 2024-01 are not those of closed.csv",
    ),
    "unknown pool": (
        lambda region: write_csv(
            region / "closed.csv",
            ["pool", "month", "point_value", "points"],
            [["employe", "2024-01", "200", "270"]],
        ),
        "closed.csv:2: pool 'employe' has no budget",
    ),
    "closed again": (
        lambda region: close_month(region.parent / "old" / "run", "2024-01", region),
        "closed.csv:2: pool 'employee' 2024-01 is closed already",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_closed_months(closed: Path, fault: str) -> None:
    break_it, message = FAULTS[fault]
    with pytest.raises(RegionError) as caught:  # noqa: PT012  closing again fails by itself
        break_it(closed)
        settle(closed)
    assert message in str(caught.value)
    assert caught.value.hint
