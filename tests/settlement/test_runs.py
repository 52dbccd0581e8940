"""Runs as data: other splits and orders, resuming, verifying, refusing."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grouper.errors import OutputError, RegionError, RunError
from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.run.work import locked
from grouper.scheme import Scheme
from grouper.settlement.policyfile import load_policy
from tests.settlement.regions import random_region, settle, write_cases, write_csv

WHOLE = (
    *("statistics", "benchmarks", "months", "hospital_months", "clearing", "rejected"),
    *("quality_rules", "quality_scores", "quality_errors"),
)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "log.jsonl"
    }


def by_case(folder: Path) -> dict[str, Any]:
    return {row["case_id"]: row for row in pq.read_table(folder).to_pylist()}


def test_same_inputs_same_bytes(region: Path, scheme: Scheme, tmp_path: Path) -> None:
    settle(region, scheme, tmp_path / "a")
    settle(region, scheme, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert not (tmp_path / "a" / ".work").exists()


def test_other_split_and_order(scheme: Scheme, tmp_path: Path) -> None:
    region, cases = random_region(tmp_path / "region", 4, 400)
    settle(region, scheme, tmp_path / "a")
    other = tmp_path / "other"
    shutil.copytree(region, other)
    shutil.rmtree(other / "cases")
    random.Random(7).shuffle(cases)
    write_cases(other / "cases", cases, parts=5, rows=17)
    settle(other, scheme, tmp_path / "b")
    for name in WHOLE:
        file = f"{name}.parquet"
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), name
    for name in ("grouped", "points"):
        assert by_case(tmp_path / "a" / name) == by_case(tmp_path / "b" / name)
    order = [row["case_id"] for row in pq.read_table(tmp_path / "b" / "points").to_pylist()]
    assert order == [case["case_id"] for case in cases]
    a, b = (json.loads((tmp_path / n / "manifest.json").read_text()) for n in ("a", "b"))
    for manifest in (a, b):
        for stage in manifest["stages"]:
            if stage["stage"] in {"grouped", "points", "findings"}:
                del stage["digests"]
        del manifest["inputs"], manifest["run"]
    assert a == b


def test_manifest_holds_neither_clock_nor_path(
    region: Path, scheme: Scheme, tmp_path: Path
) -> None:
    settle(region, scheme, tmp_path / "a")
    text = (tmp_path / "a" / "manifest.json").read_text()
    assert str(tmp_path) not in text
    manifest = json.loads(text)
    assert all(check["holds"] for check in manifest["checks"])
    assert {"hospitals.csv", "budget.csv", "cases/part-00000.parquet"} <= set(manifest["inputs"])
    stage = next(s for s in manifest["stages"] if s["stage"] == "grouped")
    counts = stage["counts"]
    assert sum(counts[f"route {r}"] for r in ("drg", "item", "invalid", "per_diem")) == 400


class Breaking:
    """A runner that fails after so many results of a task."""

    workers = 1

    def __init__(self, task: str, results: int) -> None:
        self.task, self.left = task, results

    def map(
        self, task: Callable[[Any, Any], Any], shared: Any, items: Iterable[Any]
    ) -> Iterator[Any]:
        for item in items:
            if task.__name__ == self.task:
                if self.left == 0:
                    raise KeyboardInterrupt
                self.left -= 1
            yield task(shared, item)

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("task", "results"),
    [
        ("_digest_file", 0),
        ("survey_task", 2),
        ("_hash_part", 3),
        ("group_task", 0),
        ("group_task", 3),
        ("points_task", 1),
        ("values_task", 0),
        ("values_task", 4),
        ("_findings_task", 1),
    ],
)
def test_interrupted_run_goes_on(scheme: Scheme, tmp_path: Path, task: str, results: int) -> None:
    region, cases = random_region(tmp_path / "region", 4, 200)
    shutil.rmtree(region / "cases")
    write_cases(region / "cases", cases, parts=5)
    settle(region, scheme, tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        settle(region, scheme, tmp_path / "b", Breaking(task, results))
    summary = settle(region, scheme, tmp_path / "b")
    assert summary.state in {"made", "resumed"}
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_damaged_part_is_made_again(scheme: Scheme, tmp_path: Path) -> None:
    region, cases = random_region(tmp_path / "region", 4, 200)
    shutil.rmtree(region / "cases")
    write_cases(region / "cases", cases, parts=5)
    settle(region, scheme, tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        settle(region, scheme, tmp_path / "b", Breaking("values_task", 2))
    (tmp_path / "b" / "grouped" / "part-00001.parquet").write_bytes(b"half")
    (tmp_path / "b" / ".work" / "facts" / "part-00002.arrow").unlink()
    assert settle(region, scheme, tmp_path / "b").state == "resumed"
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_finished_run_is_verified(region: Path, scheme: Scheme, tmp_path: Path) -> None:
    out = tmp_path / "a"
    settle(region, scheme, out)
    before = contents(out)
    assert settle(region, scheme, out).state == "verified"
    assert contents(out) == before
    (out / "months.parquet").write_bytes(b"altered")
    with pytest.raises(RunError, match=r"months\.parquet was altered"):
        settle(region, scheme, out)
    (out / "months.parquet").unlink()
    with pytest.raises(RunError, match="is missing") as caught:
        settle(region, scheme, out)
    assert "delete" in caught.value.hint


def test_folder_of_another_run_is_refused(region: Path, scheme: Scheme, tmp_path: Path) -> None:
    settle(region, scheme, tmp_path / "a")
    write_csv(region / "closed.csv", ["pool", "month", "point_value", "points"], [])
    with pytest.raises(RunError, match="other inputs") as caught:
        settle(region, scheme, tmp_path / "a")
    assert "--out" in caught.value.hint
    with pytest.raises(KeyboardInterrupt):
        settle(region, scheme, tmp_path / "b", Breaking("points_task", 0))
    (region / "closed.csv").unlink()
    with pytest.raises(RunError, match="unfinished run of other inputs"):
        settle(region, scheme, tmp_path / "b")


def test_a_run_that_failed_before_its_first_part_is_begun_anew(
    region: Path, scheme: Scheme, tmp_path: Path
) -> None:
    out, reviews = tmp_path / "a", region / "reviews.csv"
    whole = reviews.read_text()
    reviews.write_text(f"{whole}nobody,{whole.splitlines()[-1].partition(',')[2]}\n")
    with pytest.raises(RegionError, match="nobody"):
        settle(region, scheme, out)
    assert "survey" in (out / "log.jsonl").read_text()
    reviews.write_text(whole)
    (out / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match="unfinished run of other inputs"):
        settle(region, scheme, out)
    (out / "letter.txt").unlink()
    with locked(out), pytest.raises(RunError, match="another process"):
        settle(region, scheme, out)
    assert settle(region, scheme, out).state == "made"
    settle(region, scheme, tmp_path / "b")
    assert contents(out) == contents(tmp_path / "b")


def test_a_run_that_failed_late_at_its_inputs_leaves_the_folder_to_the_mended_ones(
    region: Path, scheme: Scheme, tmp_path: Path
) -> None:
    out, reviews = tmp_path / "a", region / "reviews.csv"
    whole = reviews.read_text()
    header = whole.splitlines()[0]
    reviews.write_text(f"{header}\nc00001,whole_group,99999999,true,2024-03\n")
    with pytest.raises(RegionError, match="exceeds its cost"):
        settle(region, scheme, out)
    assert (out / "odd_codes.parquet").is_file()
    with pytest.raises(KeyboardInterrupt):
        settle(region, scheme, out, Breaking("points_task", 0))
    reviews.write_text(whole)
    with pytest.raises(RunError, match="unfinished run of other inputs"):
        settle(region, scheme, out)  # what was interrupted may go on
    reviews.write_text(f"{header}\nc00001,whole_group,99999999,true,2024-03\n")
    with pytest.raises(RegionError, match="exceeds its cost"):
        settle(region, scheme, out)
    reviews.write_text(whole)
    assert settle(region, scheme, out).state == "made"
    settle(region, scheme, tmp_path / "b")
    assert contents(out) == contents(tmp_path / "b")


def test_folder_with_other_things_is_refused(region: Path, scheme: Scheme, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="not a run"):
        settle(region, scheme, tmp_path / "a")
    assert (tmp_path / "a" / "letter.txt").read_text() == "dear"
    with pytest.raises(OutputError, match="run lies in cases/, which holds files of the region"):
        settle(region, scheme, region / "cases" / "run")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match="loop cannot be written"):
        settle(region, scheme, tmp_path / "loop")


def test_every_case_once_with_route_and_reason(scheme: Scheme, tmp_path: Path) -> None:
    region, cases = random_region(tmp_path / "region", 2, 400)
    cases[5]["case_id"] = cases[6]["case_id"]
    cases[7]["case_id"] = None
    write_cases(region / "cases", cases)
    (region / "reviews.csv").unlink()
    settle(region, scheme, tmp_path / "a")
    rows = pq.read_table(tmp_path / "a" / "points").to_pylist()
    assert [row["case_id"] for row in rows] == [case["case_id"] for case in cases]
    assert all(row["route"] and row["reason"] for row in rows)
    grouped = pq.read_table(tmp_path / "a" / "grouped").to_pylist()
    rejected = pq.read_table(tmp_path / "a" / "rejected.parquet").to_pylist()
    told: dict[str, set[str]] = {}
    for row in rejected:
        told.setdefault(row["case_id"], set()).add(row["rule"])
        assert row["message"]
        assert row["field"]
    for row, group in zip(rows, grouped, strict=True):
        assert (row["route"] == "invalid") == (group["status"] == "invalid")
        if row["route"] == "invalid":
            assert row["reason"] in told[row["case_id"]]
            assert group["reason"] == row["reason"]
            assert group["mdc"] == group["drg"] == group["severity"] == ""
        else:
            assert row["case_id"] not in told
    keys = [(row["case_id"] is None, row["case_id"] or "", row["rule"]) for row in rejected]
    assert keys == sorted(keys)
    assert {"no_id", "duplicate_id", "no_diagnosis", "unknown_hospital", "unknown_insurance",
            "month_outside_year", "no_total_cost", "negative_cost"} == {
        row["rule"] for row in rejected
    }  # fmt: skip


MONEY_FORMS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "decimal 2": lambda a: a,
    "decimal 4": lambda a: a.cast(pa.decimal128(22, 4)),
    "decimal 30": lambda a: a.cast(pa.decimal128(38, 30)),
    "float64": lambda a: a.cast(pa.float64()),
}


@pytest.mark.parametrize("form", MONEY_FORMS)
def test_money_in_any_form(scheme: Scheme, tmp_path: Path, form: str) -> None:
    region, cases = random_region(tmp_path / "region", 2, 200)
    for case in cases:
        for name in ("total_cost", "fund_paid", "patient_cash", "compliant_cost", "self_pay"):
            if case[name] is not None:
                case[name] = round(case[name], 2)
    write_cases(region / "cases", cases)
    settle(region, scheme, tmp_path / "a")
    file = region / "cases" / "part-00000.parquet"
    table = pq.read_table(file)
    for number, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            column = MONEY_FORMS[form](table.column(number).combine_chunks())
            table = table.set_column(number, field.name, column)
    pq.write_table(table, file)
    settle(region, scheme, tmp_path / "b")
    for name in WHOLE:
        if name != "rejected":  # it shows the amounts as they were given
            file_name = f"{name}.parquet"
            a, b = (tmp_path / n / file_name for n in ("a", "b"))
            assert a.read_bytes() == b.read_bytes(), name


def test_amount_with_a_fraction_of_a_fen_is_rejected(scheme: Scheme, tmp_path: Path) -> None:
    region, _ = random_region(tmp_path / "region", 2, 50)
    file = region / "cases" / "part-00000.parquet"
    table = pq.read_table(file)
    position = table.schema.get_field_index("fund_paid")
    floats = table.column("fund_paid").cast(pa.float64()).to_pylist()
    floats[3:6] = [1.005, float("nan"), 1e15]
    table = table.set_column(position, "fund_paid", pa.array(floats))
    pq.write_table(table, file)
    settle(region, scheme, tmp_path / "a")
    rows = pq.read_table(tmp_path / "a" / "rejected.parquet").to_pylist()
    bad = [row["case_id"] for row in rows if row["rule"] == "bad_amount"]
    assert bad == ["c00003", "c00004", "c00005"]


def test_another_process_in_the_folder(region: Path, scheme: Scheme, tmp_path: Path) -> None:
    class Meanwhile(LocalRunner):
        def map(self, task: Any, shared: Any, items: Any) -> Iterator[Any]:
            if (tmp_path / "a" / ".work" / "lock").exists():
                with pytest.raises(RunError, match="another process"):
                    settle(region, scheme, tmp_path / "a")
            yield from super().map(task, shared, items)

    assert settle(region, scheme, tmp_path / "a", Meanwhile()).state == "made"


def test_policy_rejects_by_rules_of_quality(scheme: Scheme, tmp_path: Path) -> None:
    """total ≠ fund + patient only reports, unless the policy names the rule."""
    region, cases = random_region(tmp_path / "region", 1, 60)
    chosen = [case for case in cases if case["total_cost"] and case["fund_paid"]][10]
    chosen["patient_cash"] += 1
    write_cases(region / "cases", cases)
    (region / "reviews.csv").unlink()
    settle(region, scheme, tmp_path / "plain")
    assert by_case(tmp_path / "plain" / "points")[chosen["case_id"]]["route"] != "invalid"
    file = tmp_path / "policy.toml"
    file.write_text(
        'extends = "guigang-points"\nid = "x"\nreject = ["funding_differs", "los_differs"]\n'
    )
    summary = rerun(region, scheme, load_policy(file), tmp_path / "strict", LocalRunner())
    row = by_case(tmp_path / "strict" / "points")[chosen["case_id"]]
    assert (row["route"], row["reason"]) == ("invalid", "funding_differs")
    told = pq.read_table(tmp_path / "strict" / "rejected.parquet").to_pylist()
    assert (chosen["case_id"], "funding_differs") in {(r["case_id"], r["rule"]) for r in told}
    assert any("not_evaluated: rule los_differs" in text for text in summary.manifest.warnings)
