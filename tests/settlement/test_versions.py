"""Versions of a case: the highest counts, and what changed is listed; for any split and order."""

from __future__ import annotations

import random
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from grouper.bulk import group_files
from grouper.cases import COLUMNS, open_cases
from grouper.execution import LocalRunner
from grouper.grouping import columns_for
from grouper.run import rerun
from grouper.run.closing import close_month
from grouper.scheme import Scheme, load_scheme
from grouper.settlement.policyfile import load_policy
from tests.settlement.golden import case, lines
from tests.settlement.golden import settle as golden
from tests.settlement.regions import random_region, write_cases

ALIKE = ("statistics", "benchmarks", "months", "hospital_months", "clearing", "versions")


def later(one: dict[str, Any], version: int | None, **changed: Any) -> dict[str, Any]:
    return one | changed | {"version": version}


def settle(region: Path, scheme: Scheme, out: Path, **options: Any) -> Path:
    rerun(region, scheme, load_policy("guigang-points"), out, LocalRunner(), **options)
    return out


def test_the_highest_counts_and_the_changes_are_listed(tmp_path: Path) -> None:
    """BR19 has 100 points, BR29 300: a1 becomes BR29 with its third version, b1 only costs more.

    c1 has two lists of version 2 that are the same, d1 two that differ: neither counts.
    """
    a1, b1 = case("a1", "A", "D1", 10000), case("b1", "B", "D1", 10000)
    c1, d1 = case("c1", "A", "D1", 10000), case("d1", "B", "D1", 10000)
    given = [
        later(a1, 2, dx=["D1"]),
        later(a1, None),
        later(a1, 3, dx=["D2"]),
        later(b1, 2, total_cost=11000, fund_paid=9000),
        b1,
        *(later(c1, 2) for _ in range(2)),
        c1,
        later(d1, 1),
        later(d1, None, hospital_id="A"),
        case("e1", "A", "D1", 10000),
    ]
    run = golden(
        tmp_path,
        "guigang-points",
        given,
        weights=[["BR19", "1", "", "1"], ["BR29", "3", "", "1"]],
        hospitals=[["A", 1], ["B", 1]],
        budget=[["employee", "fund_total", 120000]],
        shares=[["employee", "01", 1]],
    )
    columns = "case_id version_before version hospital_id drg_before drg points_change change"
    assert lines(run / "versions.parquet", columns) == [
        "a1 1 2 A BR19 BR19 0.00000000 none",
        "a1 2 3 A BR19 BR29 200.00000000 group",
        "b1 1 2 B BR19 BR19 0.00000000 none",
    ]
    rejected = lines(run / "rejected.parquet", "case_id rule field")
    assert rejected == [
        "a1 superseded version",
        "a1 superseded version",
        "b1 superseded version",
        "c1 duplicate_id case_id",
        "c1 duplicate_id case_id",
        "c1 superseded version",
        "d1 conflicting_version version",
        "d1 conflicting_version version",
    ]
    assert lines(run / "months.parquet", "cases points") == ["3 500.00000000"]


def test_a_visit_and_a_review_belong_to_the_list_that_counts(tmp_path: Path) -> None:
    """The visit of 100 yuan joins the second version alone; the review changes its points."""
    stay: dict[str, Any] = {
        "person_id": "p1",
        "admission_date": date(2024, 1, 5),
        "discharge_date": None,
    }
    one = case("a1", "A", "D1", 10000, **stay)
    visit = {
        "person_id": "p1",
        "hospital_id": "A",
        "date": date(2024, 1, 4),
        "amount": Decimal(100),
    }
    run = golden(
        tmp_path,
        "guigang-points",
        [one, later(one, 2, total_cost=12000, fund_paid=10000)],
        weights=[["BR19", "1", "", "1"]],
        hospitals=[["A", 1]],
        budget=[["employee", "fund_total", 120000]],
        shares=[["employee", "01", 1]],
        keys="[stay]\npre_admission_days = 3\n",
        files={"outpatient": pa.Table.from_pylist([visit])},
        reviews=(
            ("case_id", "kind", "unreasonable_cost", "approved", "decision_month"),
            [["a1", "whole_group", "", "true", "2024-02"]],
        ),
    )
    assert lines(run / "visits.parquet", "outcome case_id") == ["merged a1"]
    cost = pq.read_table(run / "cases")["total_cost"].to_pylist()
    assert cost == [Decimal("10000.00"), Decimal("12100.00")]
    reasons = pq.read_table(run / "points")["reason"].to_pylist()
    assert reasons == ["superseded", "review_approved"]


def test_files_are_grouped_by_their_highest_versions(scheme: Scheme, tmp_path: Path) -> None:
    one = case("a1", "A", "D1", 10000)
    given = [later(one, 2, dx=["D2"]), one, later(one, None, case_id="a2")]
    given += [later(one, 3, case_id="a3", dx=[dx]) for dx in ("D1", "D2")]
    write_cases(tmp_path / "cases", given, parts=2)
    source = open_cases(tmp_path / "cases", wanted=(*columns_for(scheme), COLUMNS["version"]))
    group_files(source, scheme, tmp_path / "grouped.parquet", LocalRunner())
    assert lines(tmp_path / "grouped.parquet", "case_id status drg reason") == [
        "a1 grouped BR29 -",
        "a1 invalid - superseded",
        "a2 grouped BR19 -",
        "a3 invalid - conflicting_version",
        "a3 invalid - conflicting_version",
    ]


def versioned(seed: int) -> list[dict[str, Any]]:
    """What the versions of a case of a random year change."""
    chance = random.Random(seed)
    return [
        {"version": version, "total_cost": Decimal(chance.randint(900, 9000))}
        | ({"dx": ["D2"]} if chance.random() < 0.5 else {})
        for version in range(1, chance.randint(2, 5))
    ]


def test_same_tables_for_any_split_and_order(scheme: Scheme, tmp_path: Path) -> None:
    region, cases = random_region(tmp_path / "region", 5, 250)
    chance = random.Random(8)
    lists = [
        list_
        for number, one in enumerate(cases)
        for list_ in [
            one,
            *(one | more for more in (versioned(number)[1:] if number % 5 == 0 else [])),
        ]
    ]
    lists += [lists[30], later(lists[40], None, total_cost=Decimal(77))]
    for name, order, parts, rows in (("one", lists, 1, 10**6), ("many", lists[:], 4, 30)):
        if name == "many":
            chance.shuffle(order)
        place = tmp_path / name
        shutil.copytree(region, place)
        shutil.rmtree(place / "cases")
        write_cases(place / "cases", order, parts=parts, rows=rows)
        settle(place, scheme, tmp_path / f"run-{name}")
    for table in ALIKE:
        one, many = (tmp_path / f"run-{name}" / f"{table}.parquet" for name in ("one", "many"))
        assert one.read_bytes() == many.read_bytes(), table
    made = pq.read_table(tmp_path / "run-one" / "versions.parquet")
    assert made.num_rows > 50
    assert set(made["change"].to_pylist()) == {"group", "points", "none"}


def test_a_closed_month_keeps_its_statements(tmp_path: Path) -> None:
    """a1 had 100 points when January was closed; its second version has 300, at year end."""
    a1, b1 = case("a1", "A", "D1", 10000), case("b1", "B", "D1", 10000)
    golden(
        tmp_path / "old",
        "guigang-points",
        [a1, b1],
        weights=[["BR19", "1", "", "1"], ["BR29", "3", "", "1"]],
        hospitals=[["A", 1], ["B", 1]],
        budget=[["employee", "fund_total", 120000]],
        shares=[["employee", "01", 1]],
    )
    region, run = tmp_path / "old" / "region", tmp_path / "run"
    close_month(tmp_path / "old" / "run", "2024-01", region)
    write_cases(region / "cases", [a1, b1, later(a1, 2, dx=["D2"])])
    settle(region, load_scheme(tmp_path / "old" / "pack"), run)
    statements = "hospital_id month points paid"
    assert lines(run / "hospital_months.parquet", statements) == lines(
        tmp_path / "old" / "run" / "hospital_months.parquet", statements
    )
    assert lines(run / "late.parquet", "hospital_id cases points") == ["A 0 200.00000000"]
    assert pq.read_table(run / "versions.parquet")["month_closed"].to_pylist() == [True]
    assert pa.compute.sum(pq.read_table(run / "clearing.parquet")["points"]).as_py() == 400
