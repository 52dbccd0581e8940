"""What a region lacks is told before its cases are grouped, and only where a case needs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grouper.errors import PolicyError, RegionError
from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.scheme import Scheme, load_scheme
from grouper.settlement.policyfile import load_policy
from tests.settlement.golden import case
from tests.settlement.regions import write_cases, write_csv, write_pack

LINE = ("pool", "line", "effective_month", "amount")
BUDGET = [("employee", "fund_total", "2024-01", 1000)]


class Watched(LocalRunner):
    """A runner that remembers what it was asked to do."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[str] = []

    def map(self, task: Any, shared: Any, items: Any) -> Iterator[Any]:
        self.tasks.append(task.__name__)
        yield from super().map(task, shared, items)


@pytest.fixture(scope="module")
def scheme(tmp_path_factory: pytest.TempPathFactory) -> Scheme:
    pack = tmp_path_factory.mktemp("pack") / "tiny"
    return load_scheme(write_pack(pack, [["BR19", "1", "", "1"]]))


@pytest.fixture
def region(tmp_path: Path) -> Path:
    folder = tmp_path / "region"
    folder.mkdir()
    header = ("hospital_id", "level", "city", "alliance", "lead")
    write_csv(folder / "hospitals.csv", header, [("A", 1, "cs", "", ""), ("B", 2, "xt", "", "")])
    write_csv(folder / "budget.csv", LINE, BUDGET)
    return folder


def settle(folder: Path, scheme: Scheme, keys: str = "", base: str = "guigang-points") -> list[str]:
    policy = folder.parent / "policy.toml"
    policy.write_text(f'extends = "{base}"\nid = "x"\n{keys}')
    runner = Watched()
    try:
        rerun(folder, scheme, load_policy(policy), folder.parent / "run", runner)
    except RegionError as error:
        error.add_note(" ".join(runner.tasks))
        raise
    return runner.tasks


DEDUCTION = ("hospital_id", "month", "pool", "money", "points", "reason")
REVIEW = ("case_id", "kind", "unreasonable_cost", "approved", "decision_month")
RATES = ("table", "drg", "class", "value")
SHARE = ("pool", "month", "amount")

LACKS: dict[str, tuple[str, str, dict[str, tuple[Any, list[Any]]], str]] = {
    "budget": ("guigang-points", "", {}, "pool 'resident' has no budget"),
    "budget of a city": (
        "hunan-regional",
        "",
        {"budget": (LINE, [("cs/employee", *BUDGET[0][1:])])},
        "pool 'xt/resident' has no budget",
    ),
    "share": (
        "guigang-points",
        "",
        {
            "budget": (LINE, [*BUDGET, ("resident", *BUDGET[0][1:])]),
            "month_shares": (SHARE, [("resident", "2023-02", 5)]),
        },
        "pool 'resident' has cases in 2024-03 and no share for it",
    ),
    "rate": (
        "tongren-rate",
        "",
        {"budget": (LINE, [*BUDGET, ("resident", *BUDGET[0][1:])])},
        "table 'rate' has no rate for pool 'employee'",
    ),
    "encouragement": (
        "shanwei-incentive",
        "",
        {"rates": (RATES, [("encouragement", "", "A", 1)])},
        "table 'encouragement' has no value for hospital 'B'",
    ),
    "points per day": ("huangyan-mixed", "", {}, "table 'per_diem' has no value for hospital 'A'"),
    "lead of an alliance": (
        "guigang-points",
        "[year_end]\nalliances = true\n",
        {
            "hospitals": (
                ("hospital_id", "level", "alliance", "lead"),
                [("A", 1, "north", ""), ("B", 1, "north", "")],
            )
        },
        "alliance 'north' has 0 lead hospitals",
    ),
    "deduction of another year": (
        "guigang-points",
        "",
        {"deductions": (DEDUCTION, [("A", "2025-01", "employee", 1, "", "x")])},
        "the month 2025-01 lies outside the year 2024",
    ),
    "deduction without a point value": (
        "guigang-points",
        "",
        {"deductions": (DEDUCTION, [("A", "2024-05", "employee", "", 1, "x")])},
        "points are deducted in 2024-05, and pool 'employee' has no point value there",
    ),
    "review of no case": (
        "guigang-points",
        "",
        {
            "budget": (LINE, [*BUDGET, ("resident", *BUDGET[0][1:])]),
            "reviews": (REVIEW, [("a", "add", "", "true", "2024-01"), ("x", "add", "", "", "")]),
        },
        "reviews.csv:3: there is no case 'x'",
    ),
    "decision of another year": (
        "guigang-points",
        "",
        {"reviews": (REVIEW, [("a", "add", "", "true", "2023-11")])},
        "the decision of 2023-11 lies before the settlement year",
    ),
    "per-diem line": (
        "huangyan-mixed",
        "",
        {
            "budget": (LINE, [*BUDGET, ("resident", *BUDGET[0][1:])]),
            "rates": (RATES, [("per_diem", "", "", 1)]),
        },
        "pool 'resident' has per-diem cases in 2024-03 and no line 'per_diem' that pays them",
    ),
}


@pytest.mark.parametrize("fault", LACKS)
def test_a_lack_is_told_before_grouping(region: Path, scheme: Scheme, fault: str) -> None:
    base, keys, tables, message = LACKS[fault]
    stay = {"los": 90} if fault == "per-diem line" else {}
    write_cases(
        region / "cases",
        [
            case("a", "A", "D1", 10),
            case("b", "B", "D1", 10, "03", insurance="resident", **stay),
        ],
    )
    for name, (header, rows) in tables.items():
        write_csv(region / f"{name}.csv", header, rows)
    with pytest.raises(RegionError) as caught:
        settle(region, scheme, keys, base)
    assert message in str(caught.value)
    assert caught.value.hint
    assert "group_task" not in caught.value.__notes__[0]


def test_a_pool_needs_a_budget_only_for_cases_that_it_pays(region: Path, scheme: Scheme) -> None:
    """Cases of residents that turn out to be invalid ask for no budget."""
    write_cases(
        region / "cases",
        [
            case("a", "A", "D1", 10),
            {**case("b", "A", "D1", 10, insurance="resident"), "dx": []},
            case("c", "A", "D1", -10, insurance="resident"),
            case("d", "nobody", "D1", 10, insurance="resident"),
        ],
    )
    assert "group_task" in settle(region, scheme)


def test_a_line_that_raises_the_budget_is_told(region: Path, scheme: Scheme) -> None:
    raised = ("employee", "pharmacy", "2024-01", 200)
    lines = [*BUDGET, raised, ("employee", "reserve", "2024-01", -100), (*raised[:2], "2025-01", 1)]
    write_csv(region / "budget.csv", LINE, lines)
    write_cases(region / "cases", [case("a", "A", "D1", 10)])
    settle(region, scheme)
    manifest = json.loads((region.parent / "run" / "manifest.json").read_text())
    told = [text for text in manifest["warnings"] if "budget.csv" in text]
    assert len(told) == 1
    assert told[0].startswith("raised_budget: budget.csv:3: 'pharmacy' raises the budget of pool ")
    assert told[0].endswith(" by 200.00; write -200.00 where it lowers it")


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ('[population]\ncases = "history"', "population.cases"),
        ("[weights.changes]\nZZ99 = 2", "weights.changes"),
    ],
)
def test_a_policy_that_cannot_be_met_leaves_the_folder_free(
    region: Path, scheme: Scheme, keys: str, key: str
) -> None:
    write_cases(region / "cases", [case("a", "A", "D1", 10)])
    with pytest.raises(PolicyError) as caught:
        settle(region, scheme, keys)
    assert caught.value.key == key
    assert not (region.parent / "run").exists()
