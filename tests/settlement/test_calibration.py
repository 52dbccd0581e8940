"""Trimming, blending, calibrated weights, and what year ends and coefficients add."""

from __future__ import annotations

import statistics
from datetime import date
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.benchmarks import make_weights
from grouper.settlement.clearing import overspend_share
from grouper.settlement.policy import Trim, Weights, YearEnd
from grouper.settlement.policyfile import load_policy
from grouper.settlement.statistics import Group, Population, Sums
from grouper.settlement.trimming import quantile, trimmed
from tests.settlement.golden import case, lines, settle
from tests.settlement.regions import random_region, write_cases, write_csv, write_pack

ONE = [["BR19", "1", "", "1"]]
COSTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=40)


@given(COSTS, st.fractions(0, 1, max_denominator=50))
def test_quantile_is_the_linear_one(costs: list[int], q: Fraction) -> None:
    exact = quantile(np.array(sorted(costs), np.int64), q)
    assert float(exact) == pytest.approx(float(np.quantile(costs, float(q))), rel=1e-9, abs=1e-6)


def twin(costs: list[int], rule: Trim) -> list[Fraction]:
    """The costs that enter the mean, by plain sorting and fractions."""
    kept = sorted(map(Fraction, costs))
    while rule.method != "none":

        def at(q: Fraction, kept: list[Fraction] = kept) -> Fraction:
            place = (len(kept) - 1) * q
            low = int(place)
            high = min(low + 1, len(kept) - 1)
            return kept[low] + (place - low) * (kept[high] - kept[low])

        if rule.method == "percentile":
            low, high = at(rule.low), at(rule.high)
        else:
            first, third = at(Fraction(1, 4)), at(Fraction(3, 4))
            low, high = first - rule.lo_k * (third - first), third + rule.hi_k * (third - first)
        if rule.action == "winsorise":
            return [min(max(cost, low), high) for cost in kept]
        inside = [cost for cost in kept if low <= cost <= high]
        if not inside:
            break
        same = len(inside) == len(kept)
        kept = inside
        mean = sum(kept, Fraction(0)) / len(kept)
        variance = statistics.pvariance(kept)
        if same or rule.until_cv is None or variance <= rule.until_cv**2 * mean**2:
            break
    return kept


@given(COSTS, st.sampled_from(["none", "iqr", "percentile"]), st.booleans(), st.booleans())
def test_trimming_agrees_with_plain_fractions(
    costs: list[int], method: str, winsorise: bool, again: bool
) -> None:
    rule = Trim.model_validate(
        {
            "method": method,
            "action": "winsorise" if winsorise else "drop",
            "lo_k": "0.5",
            "hi_k": "1",
            "until_cv": "0.4" if again else "none",
        }
    )
    levels = np.array([i % 3 for i in range(len(costs))], np.int64)
    found = sum(trimmed(np.array(costs, np.int64), levels, rule).values(), Sums())
    expected = twin(costs, rule)
    assert found.count == len(expected)
    assert found.total == sum(expected)
    assert found.squares == sum(cost * cost for cost in expected)


def test_weights_changed_by_hand_keep_the_total() -> None:
    """Cases 10, 20, 30 of weights 1, 2, 3: total 140. The first becomes 2, the second is frozen.

    20 + 40 are fixed, so 80 is left for 30 × 3 = 90: the third becomes 3 × 8/9.
    """
    groups = tuple(
        Group((Sums(n, n, n), Sums(), Sums(), Sums()), (Fraction(1), None, None, None))
        for n in (10, 20, 30)
    )

    class Published:
        basic = stable = None

        def __init__(self, weight: int) -> None:
            self.weight = Fraction(weight)

    rules = Weights.model_validate({"changes": {"A": 2}, "frozen": ["B"]})
    weights = make_weights(
        ["A", "B", "C"],
        {name: Published(w) for name, w in (("A", 1), ("B", 2), ("C", 3))},
        Population(groups, Fraction(1), 60, None),
        rules,
        calibrate=False,
    )
    assert weights == {"A": 2, "B": 2, "C": Fraction(8, 3)}


def test_trimming_of_a_run(tmp_path: Path) -> None:
    """100, 200, 300, 400 and 10 000: Q1 200, Q3 400, fences −100 and 700 drop the last.

    m = 250; the trimmed case is paid: 10 000 > 3 × 250 is high. M is 250 as well.
    """
    run = settle(
        tmp_path,
        "guigang-points",
        [case(f"a{i}", "A", "D1", cost) for i, cost in enumerate((100, 200, 300, 400, 10000))],
        weights=ONE,
        hospitals=[["A", 1]],
        budget=[["employee", "fund_total", 1000]],
        shares=[["employee", "01", 1]],
        keys='[population.trim]\nmethod = "iqr"\n',
    )
    assert lines(run / "statistics.parquet", "drg level cases mean_cost") == [
        "BR19 0 4 250.00",
        "BR19 1 4 250.00",
    ]
    assert lines(run / "points", "case_id class points")[-1] == "a4 high 100.00000000"


def history(folder: Path, years: dict[int, list[int]]) -> None:
    for year, costs in years.items():
        rows = [
            case(f"h{year}{i}", "A", "D1", cost) | {"settle_month": f"{year}-05"}
            for i, cost in enumerate(costs)
        ]
        write_cases(folder / "history" / str(year), rows)
        file = folder / "history" / f"{year}.parquet"
        (folder / "history" / str(year) / "part-00000.parquet").rename(file)
        (folder / "history" / str(year)).rmdir()


def test_blended_history(tmp_path: Path) -> None:
    """Means 100, 200, 400 of three years as 2 : 3 : 5 give 280, whatever their cases."""
    region = tmp_path / "region"
    region.mkdir()
    write_csv(region / "hospitals.csv", ["hospital_id", "level"], [["A", 1]])
    write_csv(
        region / "budget.csv",
        ["pool", "line", "effective_month", "amount"],
        [["employee", "fund_total", "2024-01", 1000]],
    )
    write_cases(region / "cases", [case("a", "A", "D1", 84), case("b", "A", "D1", 83)])
    history(region, {2021: [100] * 3, 2022: [200] * 10, 2023: [300, 500]})
    file = tmp_path / "policy.toml"
    file.write_text(
        'extends = "guigang-points"\nid = "g"\n[population]\nblend = [2, 3, 5]\n'
        "[stability]\nuse_flag = false\n"
    )
    pack = write_pack(tmp_path / "pack", [["BR19", "1", "", ""]])
    rerun(region, load_scheme(pack), load_policy(file), tmp_path / "run", LocalRunner())
    run = tmp_path / "run"
    assert lines(run / "statistics.parquet", "drg level cases cost_sum mean_cost")[0] == (
        "BR19 0 15 3100.00 280.00"
    )
    # 0.3 × 280 = 84 is not low; 83 is: 100 × 83 / 280
    assert lines(run / "points", "case_id class points") == [
        "a normal 100.00000000",
        "b low 29.64285714",
    ]


@pytest.mark.parametrize("trim", ["none", "iqr"])
def test_history_does_not_depend_on_its_split(tmp_path: Path, trim: str) -> None:
    region, cases = random_region(tmp_path / "region", 1, 200)
    _, past = random_region(tmp_path / "past", 2, 600)
    for row in past:
        row["case_id"] = f"p{row['case_id']}"
        month = row["settle_month"]
        row["settle_month"] = f"{2022 + int(month[5:]) % 2}{month[4:]}" if month else None
    other = tmp_path / "other"
    other.mkdir()
    for file in region.glob("*.csv"):
        (other / file.name).write_bytes(file.read_bytes())
    write_cases(other / "cases", cases)
    write_cases(region / "history", past)
    write_cases(other / "history", past[::-1], parts=4, rows=50)
    pack = load_scheme(write_pack(tmp_path / "pack", [["BR19", "", "", ""]]))
    file = tmp_path / "policy.toml"
    file.write_text(
        f'extends = "guigang-points"\nid = "g"\n[population.trim]\nmethod = "{trim}"\n'
        '[weights]\norigin = "calibrated"\n'
    )
    for folder, run in ((region, "a"), (other, "b")):
        rerun(folder, pack, load_policy(file), tmp_path / run, LocalRunner())
    for name in ("statistics", "benchmarks", "months", "hospital_months", "clearing"):
        a, b = (tmp_path / run / f"{name}.parquet" for run in ("a", "b"))
        assert a.read_bytes() == b.read_bytes(), name


def test_readmission_halves_the_earlier_stay(tmp_path: Path) -> None:
    """15 days after discharge halves, 16 do not; another person or group does not either."""

    def stay(name: str, person: str, first: date, last: date, dx: str = "D1") -> dict[str, object]:
        return case(
            name, "A", dx, 1000, person_id=person, admission_date=first, discharge_date=last
        )

    run = settle(
        tmp_path,
        "guigang-points",
        [
            stay("p1", "p", date(2024, 1, 1), date(2024, 1, 5)),
            stay("p2", "p", date(2024, 1, 20), date(2024, 1, 25)),
            stay("q1", "q", date(2024, 1, 1), date(2024, 1, 5)),
            stay("q2", "q", date(2024, 1, 21), date(2024, 1, 25)),
            stay("r1", "r", date(2024, 1, 1), date(2024, 1, 5)),
            stay("r2", "r", date(2024, 1, 6), date(2024, 1, 7), "D2"),
            stay("c1", "c", date(2024, 1, 1), date(2024, 1, 5), "D3"),
            stay("c2", "c", date(2024, 1, 6), date(2024, 1, 7), "D3"),
        ],
        weights=[*ONE, ["BR29", "1.00000001", "", "1"], ["BR39", "1", "", "1"]],
        hospitals=[["A", 1]],
        budget=[["employee", "fund_total", 1000]],
        shares=[["employee", "01", 1]],
        keys='[readmission]\ndays = 15\nexempt = ["BR3"]\n',
    )
    assert lines(run / "points", "case_id points reason") == [
        "p1 50.00000000 readmitted",
        "p2 100.00000000 within_bounds",
        "q1 100.00000000 within_bounds",
        "q2 100.00000000 within_bounds",
        "r1 100.00000000 within_bounds",
        "r2 100.00000100 within_bounds",
        "c1 100.00000000 within_bounds",
        "c2 100.00000000 within_bounds",
    ]


def test_uplifts(tmp_path: Path) -> None:
    """TCM 5 %, children up to 6 years 20 %: 100 × 1.05, × 1.2, × 1.05 × 1.2."""
    run = settle(
        tmp_path,
        "guigang-points",
        [
            case("plain", "A", "D1", 1000, age=7, tcm_flag=False),
            case("tcm", "A", "D1", 1000, age=7, tcm_flag=True),
            case("child", "A", "D1", 1000, age=6, tcm_flag=None),
            case("both", "A", "D1", 1000, age=0, tcm_flag=True),
        ],
        weights=ONE,
        hospitals=[["A", 1]],
        budget=[["employee", "fund_total", 1000]],
        shares=[["employee", "01", 1]],
        keys="[coefficient]\ntcm_uplift = 0.05\nchild_uplift = 0.2\n",
    )
    assert lines(run / "points", "case_id points") == [
        "plain 100.00000000",
        "tcm 105.00000000",
        "child 120.00000000",
        "both 126.00000000",
    ]


def test_overspend_bands() -> None:
    """Settled 1 000, cost 1 120: 50 at 60 %, 50 at 50 %, 20 at nothing = 55."""
    rules = YearEnd.model_validate(
        {
            "overspend": [
                {"up_to": "0.05", "share": "0.6"},
                {"up_to": "0.10", "share": "0.5"},
                {"share": "0"},
            ]
        }
    )
    assert overspend_share(rules, 100_000, 112_000) == 5_500
    assert overspend_share(rules, 100_000, 103_000) == 1_800
    assert overspend_share(rules, 100_000, 99_000) == 0


def test_alliance_is_settled_as_one(tmp_path: Path) -> None:
    """A and B form an alliance led by B: one row of B with the sums of both."""
    table = {
        "weights": ONE,
        "hospitals": [["A", 1, "", "", "al", ""], ["B", 1, "", "", "al", "true"], ["C", 1]],
        "budget": [["employee", "fund_total", 3000]],
        "shares": [["employee", "01", 1]],
    }
    cases = [case(name, name.upper(), "D1", 1000) for name in ("a", "b", "c")]
    columns = "hospital_id cases points gross cash already_paid due"
    apart = settle(tmp_path / "apart", "guigang-points", cases, **table)  # type: ignore[arg-type]
    assert [row[0] for row in lines(apart / "clearing.parquet", columns)] == ["A", "B", "C"]
    joined = settle(
        tmp_path / "joined",
        "guigang-points",
        cases,
        keys="[year_end]\nalliances = true\n",
        **table,  # type: ignore[arg-type]
    )
    # v_Y = (3 000 − 2 400 + 3 000) / 300 = 12; paid (1 000 − 200) × 0.9 = 720 each
    assert lines(joined / "clearing.parquet", columns) == [
        "B 2 200.00000000 2400.00 400.00 1440.00 560.00",
        "C 1 100.00000000 1200.00 200.00 720.00 280.00",
    ]


def test_coefficients_recomputed_at_year_end(tmp_path: Path) -> None:
    """History: level 1 mean 1 000, level 2 mean 3 000, region 2 000: k = 0.5 and 1.5.

    The year's own cases cost 2 000 in both: the clearing counts 100 points each.
    """
    region = tmp_path / "region"
    region.mkdir()
    write_csv(region / "hospitals.csv", ["hospital_id", "level"], [["A", 1], ["B", 2]])
    write_csv(
        region / "budget.csv",
        ["pool", "line", "effective_month", "amount"],
        [["employee", "fund_total", "2024-01", 1000]],
    )
    write_cases(region / "cases", [case("a", "A", "D1", 2000), case("b", "B", "D1", 2000)])
    past = [case("x", "A", "D1", 1000), case("y", "B", "D1", 3000)]
    write_cases(region / "history", [row | {"settle_month": "2023-01"} for row in past])
    file = tmp_path / "policy.toml"
    file.write_text(
        'extends = "guigang-points"\nid = "g"\n[year_end]\ncoefficients = "recomputed"\n'
    )
    pack = write_pack(tmp_path / "pack", ONE)
    run = tmp_path / "run"
    rerun(region, load_scheme(pack), load_policy(file), run, LocalRunner())
    assert lines(run / "points", "case_id points") == ["a 50.00000000", "b 150.00000000"]
    assert lines(run / "clearing.parquet", "hospital_id points") == [
        "A 100.00000000",
        "B 100.00000000",
    ]
    assert pq.read_table(run / "hospital_months.parquet").column("points").to_pylist()[0] == 50


@pytest.mark.parametrize(
    ("keys", "points"),
    [
        # region 2 000; A 1 000, B 3 000, both of level 1 with mean 2 000
        ('kind = "hospital"', ["50.00000000", "50.00000000", "150.00000000", "150.00000000"]),
        ('kind = "blend"', ["75.00000000", "75.00000000", "125.00000000", "125.00000000"]),
        (
            'kind = "blend"\nlevel_part = 0.8\ntcm_uplift = 0.1',
            ["90.00000000", "99.00000000", "110.00000000", "110.00000000"],
        ),
    ],
)
@pytest.mark.parametrize("past", [False, True])
def test_coefficients_by_hospital(tmp_path: Path, keys: str, points: list[str], past: bool) -> None:
    """Jinhua: hospital mean / region mean, or a part of level and hospital each."""
    cases = [
        case("a1", "A", "D1", 1000),
        case("a2", "A", "D1", 1000, tcm_flag=True),
        case("b1", "B", "D1", 3000),
        case("b2", "B", "D1", 3000),
    ]
    region = tmp_path / "region"
    region.mkdir()
    write_csv(region / "hospitals.csv", ["hospital_id", "level"], [["A", 1], ["B", 1]])
    write_csv(
        region / "budget.csv",
        ["pool", "line", "effective_month", "amount"],
        [["employee", "fund_total", "2024-01", 1000]],
    )
    write_cases(region / "cases", cases)
    if past:
        rows = [row | {"settle_month": "2023-03"} for row in cases]
        write_cases(region / "history", rows)
        write_cases(
            region / "cases", [row | {"total_cost": 2500, "fund_paid": 2000} for row in cases]
        )
    file = tmp_path / "policy.toml"
    file.write_text(
        f'extends = "guigang-points"\nid = "g"\n[high]\nenabled = false\n'
        f"[low]\nenabled = false\n[coefficient]\n{keys}\n"
    )
    pack = write_pack(tmp_path / "pack", ONE)
    rerun(region, load_scheme(pack), load_policy(file), tmp_path / "run", LocalRunner())
    assert lines(tmp_path / "run" / "points", "points") == points


def test_uplift_does_not_touch_low_and_unstable_cases(tmp_path: Path) -> None:
    """Low: 100 × 100 / 820; unstable: 70 % of cost / M × 100, M = 4 300 / 6."""
    run = settle(
        tmp_path,
        "guigang-points",
        [
            *(case(f"n{i}", "A", "D1", 1000, tcm_flag=True) for i in range(4)),
            case("low", "A", "D1", 100, tcm_flag=True),
            case("odd", "A", "D2", 200, tcm_flag=True),
        ],
        weights=[*ONE, ["BR29", "1", "", "0"]],
        hospitals=[["A", 1]],
        budget=[["employee", "fund_total", 1000]],
        shares=[["employee", "01", 1]],
        keys="[coefficient]\ntcm_uplift = 0.5\n",
    )
    assert lines(run / "points", "case_id class points")[3:] == [
        "n3 normal 150.00000000",
        "low low 12.19512195",
        "odd unstable 19.53488372",
    ]
