"""Signals against plain Python, with the cases behind them; samples; other splits; bad input."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from grouper.errors import OutputError, RegionError, RunError
from grouper.indicators.sample import draw_sample, reviewers_of
from grouper.indicators.signals import SIGNALS, SURGICAL
from grouper.indicators.stays import Stays
from grouper.indicators.supervise import Supervised, supervise
from grouper.indicators.write import write_sample, write_supervision
from grouper.report import Run
from grouper.settlement.policyfile import load_policy

Row = dict[str, Any]


@pytest.fixture(scope="module")
def seen(run: Run, region: Path) -> Supervised:
    return supervise(Stays(run), region)


@pytest.fixture(scope="module")
def written(seen: Supervised, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("supervised")
    write_supervision(folder, seen)
    return folder


def _again(rows: Sequence[Row], days: int, *, same_group: bool) -> set[str]:
    """Later stays of a person in the same hospital that began soon after the one before."""
    chains = defaultdict(list)
    for row in rows:
        if row["person_id"] is not None:
            group = row["drg"] if same_group else ""
            chains[row["person_id"], row["hospital_id"], group].append(row)
    found = set()
    for chain in chains.values():
        chain.sort(key=lambda r: (r["admission_date"], r["discharge_date"], r["case_id"]))
        for before, after in itertools.pairwise(chain):
            if 0 <= (after["admission_date"] - before["discharge_date"]).days <= days and (
                not same_group or after["status"] == "grouped"
            ):
                found.add(after["case_id"])
    return found


def _late(row: Row) -> bool:
    year, month = map(int, row["month"].split("-"))
    due = date(year + month // 12, month % 12 + 1, 13)
    return row["upload_date"] is not None and row["upload_date"] > due


def _ratio(rows: Sequence[Row]) -> dict[str, Fraction]:
    costs = defaultdict(list)
    for row in rows:
        if row["status"] == "grouped":
            costs[row["drg"], row["level"]].append(Fraction(row["total_cost"]))
    return {
        row["case_id"]: Fraction(row["total_cost"])
        / (sum(costs[row["drg"], row["level"]]) / len(costs[row["drg"], row["level"]]))
        for row in rows
        if row["status"] == "grouped"
    }


TWIN: dict[str, Callable[[Row], bool]] = {
    "low_ratio": lambda r: r["class"] == "low",
    "mcc_rate": lambda r: r["status"] == "grouped" and r["severity"] == "MCC",
    "cc_rate": lambda r: r["status"] == "grouped" and r["severity"] in ("CC", "MCC"),
    "low_standard": lambda r: (
        (r["adrg"] + "--")[1] not in SURGICAL and r["los"] <= 2 and r["discharge"] == 1
    ),
    "transfer": lambda r: r["discharge"] in (2, 3),
    "long_stay_cluster": lambda r: 55 <= r["los"] < 60,
    "self_pay": lambda r: r["self_pay"] * 10 > r["total_cost"] > 0,
    "late_upload": _late,
}


def cases_of(folder: Path, signal: str) -> list[Row]:
    rows: list[Row] = pq.read_table(folder / "cases.parquet").to_pylist()
    return [row for row in rows if row["signal"] == signal]


@pytest.mark.parametrize("signal", TWIN)
def test_the_cases_behind_a_signal(written: Path, rows: Sequence[Row], signal: str) -> None:
    wanted = {row["case_id"] for row in rows if TWIN[signal](row)}
    assert {row["case_id"] for row in cases_of(written, signal)} == wanted
    assert wanted or signal == "long_stay_cluster"


def test_costs_that_cluster_above_the_low_bound(written: Path, rows: Sequence[Row]) -> None:
    near = {c for c, r in _ratio(rows).items() if Fraction("0.3") <= r < Fraction("0.35")}
    assert {row["case_id"] for row in cases_of(written, "above_low")} == near
    assert near


@pytest.mark.parametrize(
    ("signal", "days", "same"),
    [("split_admission", 2, False), ("same_group_1", 10, True), ("same_group_3", 31, True)],
)
def test_people_who_come_back(
    written: Path, rows: Sequence[Row], signal: str, days: int, same: bool
) -> None:
    told = cases_of(written, signal)
    assert {row["case_id"] for row in told} == _again(rows, days, same_group=same)
    by_id = {row["case_id"]: row for row in rows}
    for row in told:
        earlier, later = by_id[row["other_case_id"]], by_id[row["case_id"]]
        assert earlier["person_id"] == later["person_id"]
        gap = (later["admission_date"] - earlier["discharge_date"]).days
        assert row["shows"] == f"{gap} days"
    assert told or same


def test_rates_are_counts_of_their_cases(written: Path, rows: Sequence[Row]) -> None:
    counted: dict[tuple[str, ...], int] = defaultdict(int)
    for row in pq.read_table(written / "cases.parquet").to_pylist():
        for drg in ("", row["drg"]):
            for month in ("", row["month"]):
                counted[row["signal"], row["hospital_id"], drg, month] += 1
    rates = pq.read_table(written / "rates.parquet").to_pylist()
    told = {(r["signal"], r["hospital_id"], r["drg"], r["month"]): r["cases"] for r in rates}
    assert len(told) == len(rates)
    assert told == counted


def test_peers_and_past(written: Path, rows: Sequence[Row]) -> None:
    levels = {row["hospital_id"]: row["level"] for row in rows}
    transfers = [row for row in rows if row["discharge"] in (2, 3)]
    for rate in pq.read_table(written / "rates.parquet").to_pylist():
        if rate["signal"] != "transfer" or rate["drg"]:
            continue
        month, me = rate["month"], rate["hospital_id"]

        def count(of: Sequence[Row], mine: Callable[[Row], bool]) -> int:
            return sum(mine(row) for row in of)

        def peer(row: Row, me: str = me, month: str = month) -> bool:
            same = levels[row["hospital_id"]] == levels[me] and row["hospital_id"] != me
            return same and month in ("", row["month"])

        def past(row: Row, me: str = me, month: str = month) -> bool:
            return row["hospital_id"] == me and row["month"] < month

        assert (rate["peer_cases"], rate["peer_among"]) == (
            count(transfers, peer), count(rows, peer),
        )  # fmt: skip
        assert (rate["past_cases"], rate["past_among"]) == (
            count(transfers, past), count(rows, past),
        )  # fmt: skip
        above = rate["among"] >= 20 and rate["peer_among"] > 0 and (
            2 * rate["cases"] * rate["peer_among"] > 3 * rate["peer_cases"] * rate["among"]
        )  # fmt: skip
        assert rate["above_peers"] == above


def test_signals_that_cannot_be_evaluated_say_what_they_lack(seen: Supervised) -> None:
    assert seen.absent == {
        "outpatient_before": ("outpatient.parquet",),
        "outpatient_after": ("outpatient.parquet",),
        "refusal": ("records of refusals",),
        "edited": ("version",),
    }
    table = {row["signal"]: row for row in seen.signals_table().to_pylist()}
    assert list(table) == list(SIGNALS)
    assert table["refusal"]["cases"] is None
    assert table["split_admission"]["en"].endswith("within 2 days")
    assert table["special_review"]["cases"] > 0


def test_outpatient_cost_before_and_after(
    run: Run, region: Path, rows: Sequence[Row], tmp_path: Path
) -> None:
    row = next(r for r in rows if r["person_id"] is not None)
    first, last = row["admission_date"], row["discharge_date"]
    days = [first - timedelta(4), first - timedelta(3), first - timedelta(1), first,
            last + timedelta(30), last + timedelta(31)]  # fmt: skip
    visits = pa.table(
        {
            "person_id": [row["person_id"]] * len(days),
            "date": days,
            "amount": pa.array([Decimal(1 << i) for i in range(6)], pa.decimal128(18, 2)),
        }
    )
    pq.write_table(visits, tmp_path / "outpatient.parquet")
    found = supervise(Stays(run), tmp_path)
    assert found.absent["special_review"] == ("reviews.csv",)
    write_supervision(tmp_path / "out", found)
    for signal, shows in (("outpatient_before", "6.00"), ("outpatient_after", "16.00")):
        told = {r["case_id"]: r["shows"] for r in cases_of(tmp_path / "out", signal)}
        assert told[row["case_id"]] == shows


def test_case_mix_that_rises_alone(run: Run, region: Path, tmp_path: Path) -> None:
    policy = load_policy("guigang-points")
    few = policy.supervision.model_copy(update={"min_cases": 5})
    found = supervise(Stays(run, policy.model_copy(update={"supervision": few})), region)
    for row in found.case_mix_rises().to_pylist():
        now, then = row["cases"], row["past_cases"]
        assert row["weight"] * then * 100 > row["past_weight"] * now * 105
        assert row["cost"] * then <= row["past_cost"] * now
        assert row["los"] * then <= row["past_los"] * now


def test_any_split_gives_the_same_bytes(
    other: Run, region: Path, written: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(OutputError, match="holds something else"):
        write_supervision(tmp_path, supervise(Stays(other), region))
    (tmp_path / "notes.txt").unlink()
    write_supervision(tmp_path, supervise(Stays(other), region))
    for name in ("signals", "rates", "cases", "case_mix_rises"):
        file = f"{name}.parquet"
        assert (tmp_path / file).read_bytes() == (written / file).read_bytes(), name


# --- samples ----------------------------------------------------------------------------------


def test_sample(run: Run, other: Run, rows: Sequence[Row]) -> None:
    drawn = draw_sample(Stays(run), Fraction(1, 10), 7)
    assert drawn.stays == len(rows)
    assert drawn.rows.equals(draw_sample(Stays(other), Fraction(1, 10), 7).rows)
    assert not drawn.rows.equals(draw_sample(Stays(run), Fraction(1, 10), 8).rows)
    sizes, taken = defaultdict(int), defaultdict(int)
    for row in rows:
        sizes[row["hospital_id"], row["class"]] += 1
    for row in drawn.rows.to_pylist():
        taken[row["hospital_id"], row["class"]] += 1
        assert row["reviewer"] != row["hospital_id"]
    assert taken == {stratum: -(-size // 10) for stratum, size in sizes.items()}
    assert drawn.rows.num_rows * 10 >= len(rows)


def test_reviewers_are_of_the_same_level(run: Run, rows: Sequence[Row]) -> None:
    levels = {row["hospital_id"]: row["level"] for row in rows}
    counts = defaultdict(int)
    for level in levels.values():
        counts[level] += 1
    found = reviewers_of(Stays(run), 3)
    assert set(found) == set(levels)
    for hospital, reviewer in found.items():
        assert counts[levels[hospital]] == 1 or levels[reviewer] == levels[hospital]


@pytest.mark.parametrize("share", [Fraction(9, 100), Fraction(11, 10)])
def test_a_share_below_a_tenth_is_refused(run: Run, share: Fraction) -> None:
    with pytest.raises(RunError, match=r"not between 0\.1 and 1") as caught:
        draw_sample(Stays(run), share, 0)
    assert "10 %" in caught.value.hint


# --- bad input --------------------------------------------------------------------------------


def test_no_region(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RegionError, match="no such region folder"):
        supervise(Stays(run), tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("table", "told"),
    [(pa.table({"person_id": ["p"]}), "column 'date' is missing"), (None, "cannot be read")],
)
def test_bad_outpatient_table(run: Run, tmp_path: Path, table: pa.Table | None, told: str) -> None:
    path = tmp_path / "outpatient.parquet"
    if table is None:
        path.write_bytes(b"nonsense")
    else:
        pq.write_table(table, path)
    with pytest.raises(RegionError, match=told):
        supervise(Stays(run), tmp_path)


def test_bad_reviews(run: Run, tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("case\n1\n")
    with pytest.raises(RegionError, match="not a table of reviews"):
        supervise(Stays(run), tmp_path)


def test_a_sample_is_csv_or_parquet(run: Run, tmp_path: Path) -> None:
    drawn = draw_sample(Stays(run), Fraction(1, 10), 0).rows
    with pytest.raises(OutputError, match=r"neither \.csv nor \.parquet"):
        write_sample(tmp_path / "sample.doc", drawn)
    write_sample(tmp_path / "sample.csv", drawn)
    assert (tmp_path / "sample.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert pacsv.read_csv(tmp_path / "sample.csv").column_names == drawn.column_names
    write_sample(tmp_path / "a" / "sample.parquet", drawn)
    assert pq.read_table(tmp_path / "a" / "sample.parquet").num_rows == drawn.num_rows
