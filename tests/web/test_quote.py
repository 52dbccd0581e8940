"""A quoted case is worth what the run paid for it, to the last digit."""

import shutil
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from grouper.errors import RunError
from grouper.run.quote import Stay, read_prices
from tests.web.conftest import settle

POLICY = """extends = "guigang-points"
id = "mixed"
[bands]
rows = [{ above = "0.4", up_to = "0.8", add = "0.2" }]
[coefficient]
child_uplift = "0.1"
fallback = "nearest"
[per_diem]
long_stay_days = 40
"""


def _fen(value: Decimal | None) -> int:
    return int((value or Decimal()) * 100)


def _levels(region: Path) -> dict[str, int]:
    lines = (region / "hospitals.csv").read_text(encoding="utf-8").splitlines()
    header = lines[0].split(",")
    rows = [line.split(",") for line in lines[1:]]
    return {row[0]: int(row[header.index("level")]) for row in rows}


def _compare(region: Path, run: Path) -> Counter[str]:
    """Quotes every case that the run paid by points; returns their number by class."""
    prices = read_prices(run)
    assert prices.exact
    assert prices.reason == ""
    levels = _levels(region)
    cases = {
        row["case_id"]: row
        for file in sorted((region / "cases").glob("*.parquet"))
        for row in pq.read_table(file).to_pylist()
    }
    grouped = {row["case_id"]: row for row in pq.read_table(run / "grouped").to_pylist()}
    kinds: Counter[str] = Counter()
    for paid in pq.read_table(run / "points").to_pylist():
        if paid["route"] != "drg":
            continue
        case, group = cases[paid["case_id"]], grouped[paid["case_id"]]
        total = _fen(case["total_cost"])
        compliant = case["compliant_cost"]
        stay = Stay(
            level=levels[case["hospital_id"]],
            pool=case["insurance"],
            month=case["settle_month"],
            total=total,
            compliant=total if compliant is None else _fen(compliant),
            age=case["age"],
            los=case["los"],
        )
        quote = prices.quote(group["status"], group["drg"], stay)
        assert quote is not None
        told = (quote.kind, quote.points, quote.value, quote.gain)
        points = int(paid["points"] * 10**8)
        assert told == (paid["class"], points, _fen(paid["value"]), _fen(paid["gain"])), paid
        kinds[quote.kind] += 1
    return kinds


def test_every_case_of_a_run(region: Path, run: Path) -> None:
    kinds = _compare(region, run)
    assert {"normal", "high", "low", "unstable", "ungrouped"} <= set(kinds)


def test_bands_uplifts_and_days(region: Path, tmp_path: Path) -> None:
    policy = tmp_path / "mixed.toml"
    policy.write_text(POLICY)
    mixed = tmp_path / "region"
    shutil.copytree(region, mixed)
    (mixed / "rates.csv").write_text("table,drg,class,value\nper_diem,,,12.5\n")
    run = settle(mixed, str(policy), tmp_path / "run")
    assert "band" in _compare(mixed, run)
    long = Stay(2, "employee", "2024-01", 100, 100, los=41)
    prices = read_prices(run)
    assert prices.paid_per_day(long)
    assert prices.quote("ungrouped", "", long) is None
    assert prices.quote("ungrouped", "", replace(long, los=40)) is not None
    assert prices.quote("ungrouped", "", replace(long, los=40, month="2023-01")) is None


def test_a_run_that_is_not_whole(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no finished run"):
        read_prices(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "months.parquet").write_bytes((copy / "statistics.parquet").read_bytes())
    with pytest.raises(RunError, match="table 'months' was altered"):
        read_prices(copy)
    (copy / "statistics.parquet").unlink()
    with pytest.raises(RunError, match="lacks the table 'statistics'"):
        read_prices(copy)
