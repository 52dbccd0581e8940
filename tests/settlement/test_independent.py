"""A run against a second settlement that was written from the specification alone."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
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

    found = table(run / "points", ("case_id",))
    assert len(found) == len(expected.cases)
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
