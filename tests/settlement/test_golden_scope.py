"""What belongs to a stay (Jining): visits before it come in, negotiated drugs go out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from grouper.errors import CaseTableError, GrouperError, RegionError
from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from tests.settlement.golden import case, lines, settle
from tests.settlement.regions import MONEY, write_cases

KEYS = "[stay]\npre_admission_days = 3\nnegotiated_drugs_apart = true\n"


def visits(*rows: tuple[str | None, str, int, int, int | None, int]) -> pa.Table:
    """Visits: person, hospital, day of January, amount, compliant cost, fund; the rest is cash."""
    columns = list(zip(*rows, strict=True))
    amount, compliant, fund = columns[3:]
    cash = [a - b for a, b in zip(amount, fund, strict=True)]
    return pa.table(
        {
            "person_id": pa.array(columns[0], pa.string()),
            "hospital_id": pa.array(columns[1]),
            "date": pa.array([date(2024, 1, day) for day in columns[2]]),
            **{
                name: pa.array([None if v is None else Decimal(v) for v in column], MONEY)
                for name, column in (
                    ("amount", amount),
                    ("compliant_cost", compliant),
                    ("fund_paid", fund),
                    ("patient_cash", cash),
                )
            },
        }
    )


def items(*rows: tuple[str, str, str, int, int]) -> pa.Table:
    names = ("case_id", "item", "kind", "amount", "fund_paid")
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def stay(name: str, hospital: str, cost: int, person: str, day: int, **more: Any) -> dict[str, Any]:
    admitted = date(2024, 1, day)
    return case(name, hospital, "D1", cost, person_id=person, admission_date=admitted, **more)


CASES = [
    stay("a1", "A", 9000, "p1", 10),
    stay("a2", "A", 12400, "p2", 12),
    stay("a3", "A", 10000, "p2", 13),
    stay("b1", "B", 10000, "p1", 20),
]
VISITS = visits(
    ("p1", "A", 7, 500, None, 400),
    ("p1", "A", 9, 300, 200, 240),
    ("p1", "A", 6, 70, None, 70),
    ("p1", "A", 10, 71, None, 71),
    ("p1", "B", 9, 72, None, 72),
    ("p2", "A", 11, 73, None, 73),
    (None, "A", 9, 74, None, 74),
    ("p1", "A", 9, -5, None, 0),
)
ITEMS = items(
    ("a2", "x", "negotiated_drug", 2000, 1400),
    ("a2", "y", "negotiated_drug", 200, 100),
    ("a1", "z", "bed", 30, 0),
    ("nobody", "x", "negotiated_drug", 50, 50),
)


def golden(folder: Path, cases: Any = CASES, **files: pa.Table) -> Path:
    return settle(
        folder,
        "guigang-points",
        cases,
        weights=[["BR19", "1", "", "1"]],
        hospitals=[["A", 1], ["B", 1]],
        budget=[["employee", "fund_total", 40000]],
        shares=[["employee", "01", 1]],
        keys=KEYS,
        files=files,
    )


def test_jining(tmp_path: Path) -> None:
    """a1 takes in 500 + 300 of the three days before: 9 800, fund 7 840, cash 1 960.

    Four days before, on the day of admission and in another hospital is no visit of a1's; before
    a2 and a3 stands one visit of the same person, so it is of neither.
    a2 gives 2 200 of drugs, of which the fund paid 1 500: 10 200, fund 8 420, cash 1 780.
    M = 40 000 / 4 and v = 40 000 / 400. A: cash 1 960 + 1 780 + 2 000 = 5 740,
    prepaid (30 000 − 5 740) × 0.9 = 21 834.
    v_Y = (40 000 − 32 260 + 40 000) / 400 = 119.35: A 35 805 − 5 740 − 21 834 = 8 231.
    """
    run = golden(tmp_path, outpatient=VISITS, items=ITEMS)
    assert lines(run / "points", "case_id points value gain") == [
        "a1 100.00000000 10000.00 200.00",
        "a2 100.00000000 10000.00 -200.00",
        "a3 100.00000000 10000.00 0.00",
        "b1 100.00000000 10000.00 0.00",
    ]
    columns = "hospital_id cases points gross cash prepaid paid deposit"
    assert lines(run / "hospital_months.parquet", columns) == [
        "A 3 300.00000000 30000.00 5740.00 21834.00 21834.00 2426.00",
        "B 1 100.00000000 10000.00 2000.00 7200.00 7200.00 800.00",
    ]
    columns = "hospital_id point_value gross assessed surplus_cut cash already_paid due"
    assert lines(run / "clearing.parquet", columns) == [
        "A 119.35000000 35805.00 35805.00 0.00 5740.00 21834.00 8231.00",
        "B 119.35000000 11935.00 11935.00 0.00 2000.00 7200.00 2735.00",
    ]
    assert lines(run / "cases", "case_id total_cost fund_paid patient_cash") == [
        "a1 9800.00 7840.00 1960.00",
        "a2 10200.00 8420.00 1780.00",
        "a3 10000.00 8000.00 2000.00",
        "b1 10000.00 8000.00 2000.00",
    ]
    assert lines(run / "visits.parquet", "row person_id hospital_id amount outcome case_id") == [
        "1 p1 A 500.00 merged a1",
        "2 p1 A 300.00 merged a1",
        "3 p1 A 70.00 no_stay -",
        "4 p1 A 71.00 no_stay -",
        "5 p1 B 72.00 no_stay -",
        "6 p2 A 73.00 several_stays -",
        "7 - A 74.00 incomplete -",
        "8 p1 A 0.00 bad_amount -",
    ]
    assert lines(run / "apart.parquet", "case_id amount fund_paid outcome") == [
        "a2 2200.00 1500.00 set_apart",
        "nobody 50.00 50.00 no_such_case",
    ]
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["notes"]["visits"]["merged"] == {"visits": 2, "cost": "800.00"}
    assert manifest["notes"]["apart"] == {
        "cases": 1,
        "cost": "2200.00",
        "without_case": 1,
        "cost_without_case": "50.00",
    }
    sides = {check["check"]: (check["left"], check["right"]) for check in manifest["checks"]}
    assert sides["cost as given + merged - apart"] == ("40000.00", "40000.00")
    assert sides["visits in = visits of all outcomes"] == ("8", "8")
    assert {"outpatient.parquet", "items.parquet"} <= set(manifest["inputs"])


def test_the_compliant_cost_moves_too(tmp_path: Path) -> None:
    """m = (36 000 + 30 800 + 6 × 1 400) / 8 = 9 400, high above 28 200.

    28 100 + 200 of w1 is above, 28 300 − 200 of w2 is not.
    """
    cases = [
        stay("w1", "A", 33000, "p1", 10, compliant_cost=28100),
        stay("w2", "A", 31000, "p2", 10, compliant_cost=28300),
        *(stay(f"n{i}", "A", 1400, "p3", 10) for i in range(6)),
    ]
    run = golden(
        tmp_path,
        cases,
        outpatient=visits(("p1", "A", 9, 3000, 200, 0)),
        items=items(("w2", "x", "negotiated_drug", 200, 0)),
    )
    assert lines(run / "benchmarks.parquet", "level_mean high_above")[0] == "9400.00 28200.00"
    classes = dict(line.split() for line in lines(run / "points", "case_id class"))
    assert (classes["w1"], classes["w2"]) == ("high", "normal")
    assert lines(run / "cases", "case_id total_cost")[:2] == ["w1 36000.00", "w2 30800.00"]


def test_any_split_and_order(tmp_path: Path) -> None:
    run = golden(tmp_path, outpatient=VISITS, items=ITEMS)
    region = tmp_path / "region"
    shutil.rmtree(region / "cases")
    write_cases(region / "cases", CASES[::-1], parts=3, rows=1)
    scheme, policy = load_scheme(tmp_path / "pack"), load_policy(tmp_path / "policy.toml")
    rerun(region, scheme, policy, tmp_path / "other", LocalRunner())
    for name in ("months", "hospital_months", "clearing", "visits", "apart", "statistics"):
        file = f"{name}.parquet"
        assert (run / file).read_bytes() == (tmp_path / "other" / file).read_bytes(), name


def test_drugs_that_cost_more_than_their_case(tmp_path: Path) -> None:
    drugs = items(("a3", "x", "negotiated_drug", 9000, 8001))
    run = golden(tmp_path, items=drugs, outpatient=VISITS)
    assert lines(run / "rejected.parquet", "case_id rule value") == [
        "a3 apart_exceeds_cost 10000.00"
    ]
    assert lines(run / "apart.parquet", "case_id outcome") == ["a3 no_such_case"]


def test_missing_files_have_a_meaning(tmp_path: Path) -> None:
    run = golden(tmp_path)
    warnings = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["warnings"]
    assert any("no outpatient.parquet" in text for text in warnings)
    assert any("no items.parquet" in text for text in warnings)


def without(table: pa.Table, column: str) -> pa.Table:
    return table.drop_columns([column])


FAULTS: dict[str, tuple[Callable[[], dict[str, Any]], type[GrouperError], str]] = {
    "visits without hospital": (
        lambda: {"outpatient": without(VISITS, "hospital_id")},
        RegionError,
        "outpatient.parquet: column 'hospital_id' is missing",
    ),
    "items without kind": (
        lambda: {"items": without(ITEMS, "kind")},
        RegionError,
        "items.parquet: column 'kind' is missing",
    ),
    "fund above amount": (
        lambda: {"items": items(("a2", "x", "negotiated_drug", 1, 2))},
        RegionError,
        "negotiated_drug of case 'a2' with a wrong amount",
    ),
    "cases without person": (
        lambda: {"outpatient": VISITS, "cases": [case("a", "A", "D1", 10)]},
        CaseTableError,
        "the column person_id is missing",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(tmp_path: Path, fault: str) -> None:
    make, kind, message = FAULTS[fault]
    with pytest.raises(kind) as caught:
        golden(tmp_path, **make())
    assert message in str(caught.value)
    assert caught.value.hint


def test_a_damaged_file(tmp_path: Path) -> None:
    golden(tmp_path)
    (tmp_path / "region" / "outpatient.parquet").write_bytes(b"PAR1")
    scheme, policy = load_scheme(tmp_path / "pack"), load_policy(tmp_path / "policy.toml")
    with pytest.raises(RegionError, match="cannot be read"):
        rerun(tmp_path / "region", scheme, policy, tmp_path / "other", LocalRunner())
