"""A run against a second settlement that was written from the specification alone."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from grouper import group
from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from grouper.synth import synthesize
from tests.settlement.independent import F, Settlement, table
from tests.settlement.regions import random_region, write_pack

WEIGHTS = [
    ["BR19", "0.7434", "", ""],
    ["BR29", "1.51", "1", "1"],
    ["BR39", "3.2", "0", "0"],
    ["BR49", "", "", ""],
    ["BR59", "6.02", "", "1"],
]


@pytest.mark.parametrize("seed", range(6))
def test_run_agrees_with_independent_settlement(tmp_path: Path, seed: int) -> None:
    region, _ = random_region(tmp_path / "region", seed)
    pack = write_pack(tmp_path / "pack", WEIGHTS)
    run = tmp_path / "run"
    rerun(region, load_scheme(pack), load_policy("guigang-points"), run, LocalRunner())

    grouped = {}
    for row in pq.read_table(run / "grouped").to_pylist():
        grouped[row["case_id"]] = {key: row[key] for key in ("status", "drg")}
    with (pack / "weights.csv").open() as file:
        weights = {row["drg"]: row for row in csv.DictReader(file)}
    expected = Settlement(region, weights, grouped, 2024)

    compare(run, expected)


@pytest.mark.parametrize(("cities", "history"), [(1, 0), (1, 3), (3, 0)])
def test_made_up_region(tmp_path: Path, cities: int, history: int) -> None:
    """A region of `grouper synth`, with reviews, on the built-in scheme."""
    scheme = load_scheme("chs-core")
    region = tmp_path / "region"
    synthesize(
        scheme,
        cases=3000,
        hospitals=6,
        seed=cities + history,
        out=region,
        reviews=True,
        history=history,
        cities=cities,
    )
    run = tmp_path / "run"
    policy = load_policy("hunan-regional" if cities > 1 else "guigang-points")
    rerun(region, scheme, policy, run, LocalRunner())
    grouped = {
        row["case_id"]: {key: row[key] for key in ("status", "drg")}
        for row in pq.read_table(run / "grouped").to_pylist()
    }
    for file in (region / "history").glob("*.parquet"):
        for row in group(pq.read_table(file), scheme).to_pylist():
            grouped[row["case_id"]] = {key: row[key] for key in ("status", "drg")}
    weights = {
        drg: {
            "weight": "" if entry.weight is None else entry.weight,
            "basic": "" if entry.basic is None else str(int(entry.basic)),
            "stable": "" if entry.stable is None else str(int(entry.stable)),
        }
        for drg, entry in scheme.weights.items()
    }
    compare(run, Settlement(region, weights, grouped, 2024, by_city=cities > 1))


def compare(run: Path, expected: Settlement) -> None:
    found = table(run / "points", ("case_id",))
    assert len(found) == len({case["case_id"] for case in expected.cases})
    for case in expected.cases:
        row = found[(case["case_id"],)]
        assert row["route"] == case["route"]
        if case["route"] == "drg":
            got = (row["class"], row["points"], row["extra_points"], row["value"], row["gain"])
            value = case["value"]
            assert got == (
                case["class"],
                case["points"],
                case["extra"],
                value,
                value - case["total"],
            ), case
        else:
            assert row["points"] is None
            assert row["reason"]

    months = table(run / "months.parquet", ("pool", "month"))
    assert set(months) == set(expected.values)
    for key, value in expected.values.items():
        row = months[key]
        got = (row["cases"], row["budget"], row["points"], row["point_value"])
        budget = F(round(value["budget"] * 100 + F(0)), 100)
        assert abs(row["budget"] - budget) <= F(1, 100)
        assert got == (value["cases"], row["budget"], value["points"], value["v"])
    assert table(run / "hospital_months.parquet", ("hospital_id", "pool", "month")) == (
        expected.hospital_months
    )
    assert table(run / "clearing.parquet", ("hospital_id", "pool")) == expected.cleared
