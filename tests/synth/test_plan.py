"""Recipes lead where the rules let them: every part of the language, and the published packs."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from grouper.scheme import Scheme, load_scheme
from grouper.synth import synthesize
from grouper.synth.plan import Plan, make_plan
from tests.scheme.builder import write
from tests.synth.conftest import group_all
from tests.synth.packs import REACHABLE

PACKS = (
    "changsha_2023",
    "chs_drg_10",
    "chs_drg_11",
    "fuzhou_2022",
    "guangxi_2022",
    "zhejiang_2022",
)


def plan_of(scheme: Scheme) -> Plan:
    return make_plan(scheme, hospitals=4, cities=1, seed=5)


def test_every_part_of_the_rule_language_has_its_recipes(small: Scheme) -> None:
    assert set(small.drgs) == REACHABLE
    assert plan_of(small).reached == len(REACHABLE)


def test_cases_of_a_pack_with_attributes_reach_every_group(small: Scheme, tmp_path: Path) -> None:
    summary = synthesize(small, cases=30_000, hospitals=5, seed=1, out=tmp_path / "region")
    cases = pq.read_table(summary.folder / "cases")
    assert {"robot", "trial", "icu_hours"} <= set(cases.column_names)
    grouped = group_all(summary.folder / "cases", small)
    seen = set(grouped["drg"].to_pylist())
    rare = {"AB11"}  # dies after more than 200 hours of intensive care: a few in a hundred thousand
    assert REACHABLE - rare <= seen
    assert "ambiguous" in grouped["status"].to_pylist()


def test_the_smallest_pack_makes_a_region(tmp_path: Path) -> None:
    """One diagnosis, one procedure, no code that could stand beside without changing anything."""
    scheme = load_scheme(write(tmp_path / "pack"))
    summary = synthesize(scheme, cases=2_000, hospitals=3, seed=1, out=tmp_path / "region")
    grouped = group_all(summary.folder / "cases", scheme)
    assert set(grouped["drg"].to_pylist()) == {"", *scheme.drgs}


def test_the_built_in_scheme_is_reached_whole(core: Scheme) -> None:
    plan = plan_of(core)
    assert plan.reached >= 0.99 * plan.drgs


@pytest.mark.parametrize("name", PACKS)
def test_published_packs_are_reached_as_far_as_any_case_reaches_them(
    name: str, shared: Path, tmp_path: Path
) -> None:
    """The conformance cases visit what can be visited; the recipes must do so too."""
    scheme = load_scheme(shared / "schemes" / name)
    expected = pq.read_table(shared / "conformance" / f"{name}.parquet", columns=["expect_drg"])
    visited = set(expected["expect_drg"].to_pylist()) & set(scheme.drgs)
    summary = synthesize(scheme, cases=60_000, hospitals=12, seed=2, out=tmp_path / "region")
    assert summary.drgs_reached >= len(visited)
    status = group_all(summary.folder / "cases", scheme)["status"].to_pylist()
    valid = [s for s in status if s != "invalid"]
    assert valid.count("grouped") / len(valid) > 0.97
    assert valid.count("ungrouped") > 0


def test_weights_are_made_up_where_a_pack_has_none(shared: Path) -> None:
    scheme = load_scheme(shared / "schemes" / "zhejiang_2022")
    plan = plan_of(scheme)
    table = plan.ward.table
    medical, operated = ~table.surgical, table.surgical
    assert plan.mean_cost[operated].mean() > 1.8 * plan.mean_cost[medical].mean()
    for kind in (medical, operated):
        costs = [plan.mean_cost[kind & (table.state == state)].mean() for state in range(3)]
        assert costs == sorted(costs)
