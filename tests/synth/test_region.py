"""The region folder: its files, its faulty rows, and that it comes out the same every time."""

from __future__ import annotations

import csv
import filecmp
from collections import Counter
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from grouper.cases import COLUMNS, open_cases
from grouper.errors import OutputError, RegionError
from grouper.scheme import Scheme
from grouper.settlement.region import load_region
from grouper.synth import RegionSummary, synthesize
from grouper.synth import region as region_module
from grouper.synth.streams import CHUNK_ROWS, Streams
from tests.synth.conftest import CASES

TABLES = ("budget.csv", "deductions.csv", "hospitals.csv", "month_shares.csv")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_the_folder_holds_what_a_run_needs_and_no_more(small: Scheme, tmp_path: Path) -> None:
    out = tmp_path / "new" / "region"
    done: list[int] = []
    summary = synthesize(small, cases=300, hospitals=3, seed=1, out=out, progress=done.append)
    assert files(out) == sorted([*TABLES, "cases/part-00000.parquet"])
    assert [p.name for p in out.parent.iterdir()] == ["region"]
    assert sum(done) == 300
    assert summary.cases == 300
    assert summary.parts == 1


def test_cases_are_as_the_registry_says(region: RegionSummary) -> None:
    source = open_cases(region.folder / "cases")
    assert source.rows == CASES
    assert {"dx", "px", "total_cost", "icu_hours", "separate_items"} <= set(source.columns)
    file = pq.ParquetFile(region.folder / "cases" / "part-00000.parquet")
    for name in file.schema_arrow.names:
        assert file.schema_arrow.field(name).type == COLUMNS[name].type, name
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    assert sizes == [CASES // 2] * 2
    dx = next(
        column
        for i in range(file.metadata.num_columns)
        if (column := file.metadata.row_group(0).column(i)).path_in_schema == "dx.list.element"
    )
    assert dx.has_dictionary_page


def test_the_small_tables_are_read_by_the_settlement(region: RegionSummary) -> None:
    loaded = load_region(region.folder)
    assert len(loaded.hospitals) == 30
    assert {h.level for h in loaded.hospitals} == {1, 2, 3}
    assert {h.city for h in loaded.hospitals} == {"Dongjiang"}
    assert all(not h.go_live for h in loaded.hospitals)
    assert {line.pool for line in loaded.budget} == {"employee", "resident"}
    assert {line.effective_month for line in loaded.budget} == {"2024-01"}
    for pool, paid in region.pools.items():
        assert 0.9 * paid < loaded.budget_of(pool, "2024-12") < paid
    assert {month for _, month in loaded.month_shares} == {f"2023-{m:02d}" for m in range(1, 13)}
    assert loaded.deductions
    assert loaded.payments is None


def test_the_fund_total_is_positive_and_the_lines_lower_it(region: RegionSummary) -> None:
    for row in rows(region.folder / "budget.csv"):
        amount = Decimal(row["amount"])
        assert amount > 0 if row["line"] == "fund_total" else amount <= 0


def test_half_a_percent_is_faulty_in_every_way(region: RegionSummary, cases: pa.Table) -> None:
    assert region.faulty == pytest.approx(0.005 * CASES, rel=0.02)
    ids = Counter(cases["case_id"].drop_null().to_pylist())
    first = pc.list_element(cases["dx"].filter(pc.greater(pc.list_value_length(cases["dx"]), 0)), 0)
    hospitals = {row["hospital_id"] for row in rows(region.folder / "hospitals.csv")}
    known = pa.array(sorted(hospitals))
    total = cases["total_cost"]
    found = {
        "no id": cases["case_id"].null_count,
        "same id": sum(n for n in ids.values() if n > 1),
        "no dx": pc.sum(pc.equal(pc.list_value_length(cases["dx"]), 0)).as_py(),
        "null dx": first.null_count,
        "blank dx": pc.sum(pc.equal(pc.utf8_trim_whitespace(first), "")).as_py(),
        "hospital": pc.sum(pc.invert(pc.is_in(cases["hospital_id"], known))).as_py(),
        "insurance": CASES
        - pc.sum(pc.is_in(cases["insurance"], pa.array(["employee", "resident", "self"]))).as_py(),
        "month": CASES - pc.sum(pc.starts_with(cases["settle_month"], "2024-")).as_py(),
        "null cost": total.null_count,
        "negative cost": pc.sum(pc.less(total, pa.scalar(Decimal(0)))).as_py(),
    }
    assert min(found.values()) > 0.0003 * CASES
    # One row is faulty in one way only; a pair of ids across row groups may lack its other half.
    assert 0.97 * region.faulty <= sum(found.values()) <= region.faulty


def test_reviews_name_valid_cases(region: RegionSummary, cases: pa.Table) -> None:
    found = rows(region.folder / "reviews.csv")
    assert len(found) == region.reviews
    assert 0.001 * CASES < len(found) < 0.02 * CASES
    assert [r["case_id"] for r in found] == sorted(r["case_id"] for r in found)
    ids = Counter(cases["case_id"].to_pylist())
    assert all(ids[r["case_id"]] == 1 for r in found)
    assert {r["kind"] for r in found} == {"add", "whole_group"}
    assert {r["approved"] for r in found} == {"true", "false", ""}
    assert len(load_region(region.folder).reviews) == len(found)


def test_the_same_seed_gives_the_same_bytes(small: Scheme, tmp_path: Path) -> None:
    def make(name: str, seed: int) -> Path:
        return synthesize(
            small, cases=2_000, hospitals=6, seed=seed, out=tmp_path / name, reviews=True, history=1
        ).folder

    first, second, other = make("first", 4), make("second", 4), make("other", 5)
    names = files(first)
    assert filecmp.cmpfiles(first, second, names, shallow=False) == (names, [], [])
    assert "cases/part-00000.parquet" in filecmp.cmpfiles(first, other, names, shallow=False)[1]


def test_a_longer_year_begins_with_the_cases_of_its_first_chunk(
    core: Scheme, region: RegionSummary, tmp_path: Path
) -> None:
    """Chunks have streams of their own: what comes later changes nothing before it."""
    one = synthesize(core, cases=CASES // 2, hospitals=30, seed=11, out=tmp_path / "one")
    columns = ["person_id", "dx", "px", "age", "los", "fund_paid"]
    short = pq.read_table(one.folder / "cases", columns=columns)
    long = pq.ParquetFile(region.folder / "cases" / "part-00000.parquet")
    sums = "fund_paid", "los", "age"
    begin = long.read_row_group(0, columns=columns)
    assert short["person_id"].equals(begin["person_id"])
    assert all(short[name].equals(begin[name]) for name in sums)


@pytest.mark.parametrize(
    ("cases", "chunks"), [(1, 1), (131_073, 2), (524_288, 4), (524_289, 8), (5_000_000, 40)]
)
def test_the_files_of_a_year_are_equally_large(cases: int, chunks: int) -> None:
    """A run cuts its work by files: one that is smaller would leave a worker idle at the end."""
    streams = Streams(0, 2024, cases)
    sizes = [streams.size(number) for number in range(streams.chunks)]
    assert len(sizes) == chunks
    assert max(sizes) <= CHUNK_ROWS
    assert max(sizes) - min(sizes) <= 1
    numbers = np.concatenate([streams.index(number) for number in range(chunks)])
    assert np.array_equal(numbers, np.arange(cases))


def test_history_and_cities(small: Scheme, tmp_path: Path) -> None:
    summary = synthesize(
        small, cases=3_000, hospitals=12, seed=3, out=tmp_path / "r", history=2, cities=3, year=2022
    )
    history = sorted(p.name for p in (summary.folder / "history").iterdir())
    assert history == ["2020-part-00000.parquet", "2021-part-00000.parquet"]
    assert summary.history_cases == 6_000
    past = pq.read_table(summary.folder / "history")
    assert set(pc.utf8_slice_codeunits(past["settle_month"], 0, 4).to_pylist()) == {"2020", "2021"}
    assert past["case_id"].null_count == 0
    assert len(set(past["case_id"].to_pylist())) == 6_000
    cases = pq.read_table(summary.folder / "cases")
    assert not set(past["case_id"].to_pylist()) & set(cases["case_id"].drop_null().to_pylist())
    region = load_region(summary.folder)
    cities = {h.city for h in region.hospitals}
    assert len(cities) == 3
    assert set(cases["city"].to_pylist()) == cities
    assert {line.pool for line in region.budget} == {
        f"{city}/{name}" for city in cities for name in ("employee", "resident")
    }
    own = {h.hospital_id: h.city for h in region.hospitals}
    places = zip(cases["hospital_id"].to_pylist(), cases["city"].to_pylist(), strict=True)
    away = sum(own.get(hospital, city) != city for hospital, city in places)
    assert 0 < away < 0.2 * 3_000


def test_last_years_shares_are_the_history_where_there_is_one(
    small: Scheme, tmp_path: Path
) -> None:
    summary = synthesize(small, cases=2_000, hospitals=4, seed=3, out=tmp_path / "r", history=1)
    past = pq.read_table(summary.folder / "history")
    insured = past.filter(pc.equal(past["insurance"], "resident"))
    paid = pc.sum(insured.filter(pc.equal(insured["settle_month"], "2023-05"))["fund_paid"])
    shares = load_region(summary.folder).month_shares
    assert shares["resident", "2023-05"] == int(paid.as_py() * 100)


@pytest.mark.parametrize("hospitals", [1, 2, 3])
def test_a_region_may_be_tiny(small: Scheme, tmp_path: Path, hospitals: int) -> None:
    summary = synthesize(small, cases=1, hospitals=hospitals, seed=0, out=tmp_path / "r")
    assert pq.read_table(summary.folder / "cases").num_rows == 1
    assert len(load_region(summary.folder).hospitals) == hospitals
    assert load_region(summary.folder).budget_of("resident", "2024-01") > 0


def test_a_folder_with_files_is_left_alone(small: Scheme, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="holds files already"):
        synthesize(small, cases=10, hospitals=1, seed=0, out=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["kept.txt"]


def test_an_empty_folder_is_taken(small: Scheme, tmp_path: Path) -> None:
    synthesize(small, cases=10, hospitals=1, seed=0, out=tmp_path)
    assert (tmp_path / "hospitals.csv").exists()


def test_a_file_in_the_way_is_an_error(small: Scheme, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for out in (tmp_path / "file", tmp_path / "file" / "region"):
        with pytest.raises(OutputError):
            synthesize(small, cases=10, hospitals=1, seed=0, out=out)


def test_an_interrupted_region_leaves_nothing(
    small: Scheme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(region_module, "deduction_rows", full)
    with pytest.raises(OutputError, match="No space left"):
        synthesize(small, cases=10, hospitals=1, seed=0, out=tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"cases": 0},
        {"hospitals": 0},
        {"seed": -1},
        {"year": 1850},
        {"history": -1},
        {"history": 100},
        {"cities": 0},
        {"cities": 4},
    ],
)
def test_counts_that_make_no_region(small: Scheme, tmp_path: Path, wrong: dict[str, int]) -> None:
    wanted = {"cases": 10, "hospitals": 3, "seed": 0} | wrong
    with pytest.raises(RegionError) as error:
        synthesize(small, out=tmp_path / "r", **wanted)  # type: ignore[arg-type]
    assert error.value.hint
    assert not (tmp_path / "r").exists()
