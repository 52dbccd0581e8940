"""The whole check: duplicates and overlaps over all parts, scores, any split, and bad input."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grouper.cases import COLUMNS, open_cases
from grouper.errors import CaseTableError, OutputError
from grouper.execution import LocalRunner
from grouper.quality import Thresholds
from grouper.quality.across import overlapping
from grouper.quality.check import Checked, check_cases
from grouper.quality.registry import COLUMNS_READ
from grouper.quality.scores import HospitalName
from grouper.scheme import Scheme
from tests.quality.lists import case, numbered, table, write

FIRST = date(2024, 3, 1)


def check(folder: Path, scheme: Scheme, out: Path, **options: Any) -> Checked:
    source = open_cases(folder, wanted=[COLUMNS[name] for name in COLUMNS_READ])
    limits = options.pop("limits", Thresholds())
    return check_cases(source, scheme, limits, out, LocalRunner(), **options)


def findings(out: Path) -> list[dict[str, str]]:
    files = sorted((out / "findings").glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def stay(first: int, last: int, **changes: Any) -> dict[str, Any]:
    """A stay from one day of March to another."""
    return case(
        admission_date=FIRST + timedelta(first),
        discharge_date=FIRST + timedelta(last),
        los=max(1, last - first),
        **changes,
    )


# --- overlaps ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ((0, 5), (4, 9), True), ((0, 5), (5, 9), False), ((0, 9), (3, 4), True),
        ((0, 5), (0, 5), True), ((0, 5), (3, 3), True), ((0, 5), (0, 0), False),
        ((0, 5), (5, 5), False), ((2, 2), (2, 2), False), ((0, 2), (6, 9), False),
    ],
)  # fmt: skip
def test_overlap(
    scheme: Scheme, tmp_path: Path, one: tuple[int, int], other: tuple[int, int], overlap: bool
) -> None:
    cases = [stay(*one, case_id="a"), stay(*other, case_id="b"), stay(0, 9, person_id="q")]
    check(write(tmp_path / "cases", cases), scheme, tmp_path / "out")
    told = {r["case_id"]: r["value"] for r in findings(tmp_path / "out")
            if r["rule"] == "overlapping_stays"}  # fmt: skip
    assert told == ({"a": "b", "b": "a"} if overlap else {})


STAYS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 6)), max_size=14)


@settings(max_examples=150, deadline=None)
@given(STAYS)
def test_overlaps_are_those_of_every_pair(stays: list[tuple[int, int, int]]) -> None:
    person = np.array([p for p, _, _ in stays], np.int64)
    begin = np.array([a for _, a, _ in stays], np.int64)
    end = np.array([a + n for _, a, n in stays], np.int64)
    row = np.arange(len(stays))
    columns = (person, np.zeros_like(person), begin, end, row, row[::-1])
    rows, others = overlapping(np.stack(columns, axis=1))
    pairs = {
        (i, j)
        for i in range(len(stays))
        for j in range(len(stays))
        if i != j and person[i] == person[j] and begin[i] < end[j] and begin[j] < end[i]
    }
    assert sorted(rows.tolist()) == sorted({i for i, _ in pairs})
    assert set(zip(rows.tolist(), others.tolist(), strict=True)) <= pairs


def test_stays_without_person_or_in_wrong_order_overlap_nothing(
    scheme: Scheme, tmp_path: Path
) -> None:
    cases = [
        stay(0, 5, case_id="a", person_id=None), stay(1, 4, case_id="b", person_id=None),
        stay(0, 5, case_id="c", person_id=" "), stay(1, 4, case_id="d", person_id=" "),
        stay(9, 5, case_id="e"), stay(1, 8, case_id="f"),
    ]  # fmt: skip
    check(write(tmp_path / "cases", cases), scheme, tmp_path / "out")
    assert {row["rule"] for row in findings(tmp_path / "out")} == {"dates_order"}


# --- the whole check --------------------------------------------------------------------------


def many(seed: int, count: int = 300) -> list[dict[str, Any]]:
    """Lists with faults of many kinds, duplicates and persons with several stays."""
    chance = random.Random(seed)
    made = []
    for i, plain in enumerate(numbered([case()] * count)):
        first = FIRST + timedelta(chance.randrange(60))
        days = chance.randrange(9)
        changes = chance.choice(
            [{}, {}, {"sex": 2, "dx": ["N40.x00"]}, {"age": None}, {"los": 99}, {"dx": ["Q"]},
             {"upload_date": None}, {"dx": ["R50.900"]}, {"fund_paid": 1}, {"vent_hours": 7}]
        )  # fmt: skip
        made.append(
            {
                **plain,
                "admission_date": first,
                "discharge_date": first + timedelta(days),
                "los": max(1, days),
                "person_id": f"p{chance.randrange(count // 3)}",
                "hospital_id": chance.choice(["H1", "H2", "H3", None]),
                "case_id": None if i == 7 else f"c{i - (i % 40 == 0 and i > 0):05d}",
                **changes,
            }
        )
    return made


def by_case(rows: Sequence[Mapping[str, str]]) -> dict[tuple[str, str], list[str]]:
    told: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        told.setdefault((row["case_id"], row["rule"]), []).append(row["value"])
    return {key: sorted(values) for key, values in told.items()}


@pytest.mark.parametrize(("parts", "rows"), [(1, 31), (7, 10**6)])
def test_any_split_and_order_gives_the_same(
    scheme: Scheme, tmp_path: Path, parts: int, rows: int
) -> None:
    cases = many(3)
    check(write(tmp_path / "one", cases), scheme, tmp_path / "a")
    random.Random(5).shuffle(cases)
    check(write(tmp_path / "other", cases, parts=parts, rows=rows), scheme, tmp_path / "b")
    for name in ("rules", "scores", "errors"):
        file = f"{name}.parquet"
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    assert by_case(findings(tmp_path / "a")) == by_case(findings(tmp_path / "b"))
    told = [row["case_id"] for row in findings(tmp_path / "b")]
    place = {c["case_id"]: i for i, c in reversed(list(enumerate(cases)))}
    once = [i for i in (place[c] for c in told) if cases[i]["case_id"] != "c00039"]
    assert {row["rule"] for row in findings(tmp_path / "b")} >= {
        "duplicate_id", "overlapping_stays", "sex_diagnosis", "los_differs",
    }  # fmt: skip
    assert len(once) > 100


def test_findings_stand_in_the_order_of_the_input(scheme: Scheme, tmp_path: Path) -> None:
    cases = [case(case_id=f"c{9 - i}", person_id=f"p{i}", dx=["Q"], los=9) for i in range(8)]
    check(write(tmp_path / "cases", cases, rows=3), scheme, tmp_path / "out")
    told = [(row["case_id"], row["rule"]) for row in findings(tmp_path / "out")]
    assert told == [(c["case_id"], r) for c in cases for r in ("los_differs", "unknown_diagnosis")]


def test_same_inputs_same_bytes(scheme: Scheme, tmp_path: Path) -> None:
    write(tmp_path / "cases", many(4), parts=2)
    for name in ("a", "b"):
        check(tmp_path / "cases", scheme, tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 6
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    assert str(tmp_path) not in (tmp_path / "a" / "quality.json").read_text()


def test_scores(scheme: Scheme, tmp_path: Path) -> None:
    cases = numbered(
        [
            case(), case(upload_date=None), case(los=9), case(dx=["R50.900"]),
            *[case(hospital_id="H2", age=None)] * 2,
            *[case(hospital_id="H3")] * 3,
            *[case(hospital_id="H4")] * 5,
        ]
    )  # fmt: skip
    names = {"H1": HospitalName("First", 3)} | {f"H{i}": HospitalName("", 2) for i in (2, 3)}
    found = check(write(tmp_path / "cases", cases), scheme, tmp_path / "out", hospitals=names)
    rows = {row["hospital_id"]: row for row in found.scores.to_pylist()}
    assert rows["H1"] == {
        "hospital_id": "H1", "name": "First", "level": 3, "cases": 4, "uploaded": 3,
        "upload_rate": 0.75, "passed": 3, "first_pass_rate": 0.75, "warned": 2, "rank": 2,
    }  # fmt: skip
    assert {h: row["rank"] for h, row in rows.items()} == {"H1": 2, "H2": 3, "H3": 1, "H4": None}
    errors = {(row["hospital_id"], row["rule"]): row for row in found.errors.to_pylist()}
    assert errors["H2", "age_missing"]["error_rate"] == 1.0
    assert errors["H1", "los_differs"]["broken"] == 1
    rules = {row["rule"]: row for row in found.rules.to_pylist()}
    assert rules["los_differs"]["broken"] == 1
    assert rules["los_differs"]["cases"] == len(cases)
    assert rules["birth_weight_range"]["thresholds"] == (
        "newborn_days = 28; weight_low = 100; weight_high = 9999"
    )


def test_a_policy_may_reject_by_a_rule_that_warns(scheme: Scheme, tmp_path: Path) -> None:
    cases = numbered([case(dx=["R50.900"]), case()])
    limits = Thresholds(reject=("symptom_principal",))
    found = check(write(tmp_path / "cases", cases), scheme, tmp_path / "out", limits=limits)
    assert found.scores.column("passed").to_pylist() == [1]
    (row,) = findings(tmp_path / "out")
    assert (row["severity"], row["message_zh"]) == ("reject", "以症状（R 编码）为主要诊断")


def test_absent_columns_are_told(scheme: Scheme, tmp_path: Path) -> None:
    bare = table([case()]).select(["case_id", "dx"])
    pq.write_table(bare, tmp_path / "cases.parquet")
    found = check(tmp_path / "cases.parquet", scheme, tmp_path / "out")
    assert found.absent["overlapping_stays"] == ("person_id", "admission_date", "discharge_date")
    assert found.absent["late_upload"] == ("upload_date",)
    rules = {row["rule"]: row for row in found.rules.to_pylist()}
    assert rules["los_differs"]["broken"] is None
    assert not rules["los_differs"]["evaluated"]
    (score,) = found.scores.to_pylist()
    assert (score["hospital_id"], score["uploaded"], score["passed"]) == ("", None, 1)


# --- bad input --------------------------------------------------------------------------------


def test_no_case_at_all(scheme: Scheme, tmp_path: Path) -> None:
    pq.write_table(table([]), tmp_path / "cases.parquet")
    with pytest.raises(CaseTableError, match="there is no case"):
        check(tmp_path / "cases.parquet", scheme, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["cases.parquet"]


def test_a_folder_with_other_things_is_refused(scheme: Scheme, tmp_path: Path) -> None:
    write(tmp_path / "cases", [case()])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="holds other things") as caught:
        check(tmp_path / "cases", scheme, tmp_path / "out")
    assert "new folder" in caught.value.hint
    with pytest.raises(OutputError, match="is a file"):
        check(tmp_path / "cases", scheme, tmp_path / "out" / "letter.txt")
    assert (tmp_path / "out" / "letter.txt").read_text() == "dear"


def test_an_earlier_check_is_replaced(scheme: Scheme, tmp_path: Path) -> None:
    check(write(tmp_path / "one", [case(los=9)], parts=1), scheme, tmp_path / "out")
    check(write(tmp_path / "two", [case()]), scheme, tmp_path / "out")
    assert findings(tmp_path / "out") == []


def test_a_truncated_part_leaves_nothing_behind(scheme: Scheme, tmp_path: Path) -> None:
    folder = write(tmp_path / "cases", many(1), parts=2)
    source = open_cases(folder, wanted=[COLUMNS[name] for name in COLUMNS_READ])
    path = folder / "part-00001.parquet"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CaseTableError, match="cannot be read as Parquet"):
        check_cases(source, scheme, Thresholds(), tmp_path / "out", LocalRunner())
    assert [p.name for p in tmp_path.iterdir()] == ["cases"]
