"""The life of a month: lists come in whole or not at all, it is closed, what is late is told."""

from __future__ import annotations

import csv
import json
import os
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from grouper.cli.month import month_app
from grouper.errors import CaseTableError, RegionError, RunError
from grouper.execution import LocalRunner
from grouper.run import arriving, closing, rerun
from grouper.run.arriving import Added, add_month
from grouper.run.closing import close_month, closing_warnings
from grouper.run.overdue import overdue
from grouper.scheme import Scheme, load_scheme
from grouper.settlement.calendar import due_dates
from grouper.settlement.policyfile import load_policy
from grouper.settlement.region import load_region
from tests.settlement.golden import case, lines
from tests.settlement.regions import write_cases, write_csv, write_pack

JANUARY = [
    case("a1", "A", "D1", 10000, upload_date=date(2024, 2, 13), version=1),
    case("a2", "A", "D1", 10000, upload_date=date(2024, 2, 14), version=2),
    case("b1", "B", "D1", 10000, upload_date=None, version=None),
]


@pytest.fixture(scope="module")
def scheme(tmp_path_factory: pytest.TempPathFactory) -> Scheme:
    rows = [["BR19", "1", "", "1"], ["BR29", "3", "", "1"]]
    return load_scheme(write_pack(tmp_path_factory.mktemp("pack") / "tiny", rows))


@pytest.fixture
def region(tmp_path: Path) -> Path:
    folder = tmp_path / "region"
    write_cases(folder / "cases", JANUARY)
    write_csv(folder / "hospitals.csv", ("hospital_id", "level"), [["A", 1], ["B", 1], ["C", 2]])
    budget = ("pool", "line", "effective_month", "amount")
    write_csv(folder / "budget.csv", budget, [["employee", "fund_total", "2024-01", 120000]])
    reviews = ("case_id", "kind", "unreasonable_cost", "approved", "decision_month")
    write_csv(folder / "reviews.csv", reviews, [["a2", "add", "", "", ""]])
    return folder


def given(folder: Path, cases: list[dict[str, Any]]) -> Path:
    write_cases(folder, cases)
    return folder


def add(region: Path, scheme: Scheme, files: Path, month: str = "2024-01") -> Added:
    return add_month(region, [files], month, scheme, LocalRunner())


def settle(region: Path, scheme: Scheme, name: str = "run", **options: Any) -> Path:
    run = region.parent / name
    rerun(region, scheme, load_policy("guigang-points"), run, LocalRunner(), **options)
    return run


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(f.relative_to(folder)): f.read_bytes() for f in files if f.name != ".lock"}


def test_lists_are_checked_grouped_and_added(region: Path, scheme: Scheme, tmp_path: Path) -> None:
    """a1 becomes BR29 with version 2; c1 is new in two versions; every other list has a fault."""
    new = [
        case("a1", "A", "D2", 10000, version=2),
        case("c1", "C", "D1", 10000, version=1),
        case("c1", "C", "D1", 12000, version=2),
        case("c1", "C", "D1", 12000, version=2),
        case("a2", "A", "D1", 10000, version=1),
        case("a2", "A", "D2", 10000, version=2),
        case("b1", "B", "D1", 10000, version=1),
        case("b1", "A", "D1", 10000, version=2),
        case("d1", "B", "D1", 10000, version=1),
        case("d1", "B", "D1", 20000, version=1),
        case("x1", "X", "D1", 10000),
        case("x2", "A", "D1", 10000, "02"),
        case("x3", "A", "D1", 10000, version=0),
        case("", "A", "D1", 10000),
    ]
    done = add(region, scheme, given(tmp_path / "new", new))
    assert done.added == 3
    assert [row[0] + " " + row[4] for row in done.rejected] == [
        "c1 repeated",
        "a2 older_version",
        "a2 conflicting_version",
        "b1 already_there",
        "b1 other_hospital",
        "d1 conflicting_version",
        "d1 conflicting_version",
        "x1 unknown_hospital",
        "x2 other_month",
        "x3 bad_version",
        " no_id",
    ]
    assert [" ".join(row) for row in done.changes] == [
        "a1 A 1 2 grouped grouped BR19 BR29 10000.00 10000.00 group",
        "c1 C 1 2 grouped grouped BR19 BR19 10000.00 12000.00 cost",
    ]
    with (done.record / "rejected.csv").open(encoding="utf-8-sig") as file:
        assert len(list(csv.DictReader(file))) == 11
    assert json.loads((done.record / "intake.json").read_text())["statuses"] == {"grouped": 3}
    run = settle(region, scheme)
    assert lines(run / "versions.parquet", "case_id version hospital_id drg change") == [
        "a1 2 A BR29 group",
        "c1 2 C BR19 none",
    ]
    assert lines(run / "months.parquet", "cases") == ["4"]


def test_the_same_files_twice_change_nothing(region: Path, scheme: Scheme, tmp_path: Path) -> None:
    files = given(tmp_path / "new", [case("c1", "C", "D1", 10000)])
    add(region, scheme, files)
    before = contents(region)
    with pytest.raises(RegionError, match="was added to 2024-01 before"):
        add(region, scheme, files)
    # The same list in a file of its own bytes is told list by list.
    again = given(tmp_path / "again", [case("c1", "C", "D1", 10000, version=1)])
    with pytest.raises(CaseTableError, match="1 already_there"):
        add(region, scheme, again)
    with pytest.raises(RunError, match="is not a month"):
        add(region, scheme, files, "2024-13")
    assert contents(region) == before


def test_a_file_of_two_months_is_given_for_each(
    region: Path, scheme: Scheme, tmp_path: Path
) -> None:
    first = given(tmp_path / "c", [case("c1", "C", "D1", 10000), case("c2", "C", "D1", 1, "02")])
    second = given(tmp_path / "a", [case("a3", "A", "D1", 10000, "02")])
    (name,) = (path.name for path in first.iterdir())
    assert name in [path.name for path in second.iterdir()]
    done = add_month(region, [first, second], "2024-01", scheme, LocalRunner())
    assert done.reasons() == {"other_month": 2}
    assert len(json.loads((done.record / "intake.json").read_text())["files"]) == 2
    assert add(region, scheme, first, "2024-02").reasons() == {"other_month": 1}
    assert add(region, scheme, second, "2024-02").added == 1


@pytest.mark.parametrize("step", ["rejected.csv", "intake.json", "record", "part"])
def test_an_interrupted_add_leaves_nothing_half_done(
    step: str, region: Path, scheme: Scheme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = given(tmp_path / "new", [case("c1", "C", "D1", 10000)])
    cases = contents(region / "cases")
    write, replace = arriving.write_whole, Path.replace

    def broken_write(path: Path, data: bytes) -> None:
        if path.name == step:
            raise KeyboardInterrupt
        write(path, data)

    def broken_replace(self: Path, target: str | os.PathLike[str]) -> Path:
        place = Path(target)
        if (step == "record" and place.parent.name == "2024-01") or (
            step == "part" and place.parent == region / "cases" and place.name[0] != "."
        ):
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as broken:
        broken.setattr(arriving, "write_whole", broken_write)
        broken.setattr(Path, "replace", broken_replace)
        with pytest.raises(KeyboardInterrupt):
            add(region, scheme, files)
    assert contents(region / "cases") == cases
    done = add(region, scheme, files)
    assert sorted(path.name for path in done.record.parent.iterdir()) == [done.record.name]
    assert pq.read_table(done.part)["case_id"].to_pylist() == ["c1"]


def test_a_month_is_closed_once(region: Path, scheme: Scheme, tmp_path: Path) -> None:
    run = settle(region, scheme)
    told = closing_warnings(run, "2024-01", region, date(2024, 1, 31))
    assert told == [
        "2024-01 is not over before 2024-02-01",
        "1 hospital without a case in 2024-01: C",
    ]
    close_month(run, "2024-01", region)
    before = contents(region)
    with pytest.raises(RegionError, match="is closed already"):
        close_month(run, "2024-01", region)
    assert contents(region) == before
    done = add(region, scheme, given(tmp_path / "new", [case("a1", "A", "D2", 10000, version=2)]))
    assert done.closed == ("employee",)
    late = settle(region, scheme, "later")
    assert lines(late / "late.parquet", "hospital_id cases points") == ["A 0 200.00000000"]


@pytest.mark.parametrize("step", ["closed_statements.csv", "closed.csv"])
def test_an_interrupted_close_is_finished(
    step: str, region: Path, scheme: Scheme, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = settle(region, scheme)
    write = closing.write_whole

    def broken_write(path: Path, data: bytes) -> None:
        if path.name == step:
            raise KeyboardInterrupt
        write(path, data)

    with monkeypatch.context() as broken:
        broken.setattr(closing, "write_whole", broken_write)
        with pytest.raises(KeyboardInterrupt):
            close_month(run, "2024-01", region)
    assert close_month(run, "2024-01", region) == {"employee": "400.00000000"}
    assert lines_of(region / "closed.csv") == [
        "pool,month,point_value,points,budget",
        "employee,2024-01,400.00000000,300.00000000,120000.00",
    ]
    assert not (region / closing.PENDING).exists()
    load_region(region)


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_due_dates_follow_the_policy(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('extends = "guigang-points"\nid = "x"\n[calendar]\nfeedback_day = 22\n')
    due = due_dates(load_policy(str(file)), "2024-12")
    assert {step: str(day) for step, day in due.items()} == {
        "upload": "2025-01-13",
        "grouping": "2025-01-16",
        "feedback": "2025-01-22",
        "final": "2025-01-25",
        "payment": "2025-01-31",
    }
    assert due_dates(load_policy("guigang-points"), "2024-01")["payment"] == date(2024, 2, 29)


def test_what_is_late(region: Path) -> None:
    policy = load_policy("guigang-points")
    found = overdue(region, policy, "2024-01", date(2024, 2, 26), LocalRunner())
    assert found.missing == ("C",)
    assert [(u.hospital_id, u.lists, u.examples) for u in found.uploads] == [("A", 1, ("a2",))]
    assert (found.cases, found.undated, found.reviews) == (3, 1, ("a2",))
    assert found.passed("upload")
    assert found.passed("final")
    early = overdue(region, policy, "2024-01", date(2024, 2, 13), LocalRunner())
    assert not early.uploads
    assert not early.passed("upload")


def test_the_commands(region: Path, scheme: Scheme, tmp_path: Path) -> None:
    def told(*arguments: object) -> str:
        done = CliRunner().invoke(month_app, list(map(str, arguments)))
        assert done.exit_code == 0, done.output
        return done.output

    assert "2024-12     2025-01-13" in told("calendar", "--year", 2024)
    files = given(tmp_path / "new", [case("a1", "A", "D2", 10000, version=2)])
    pack = scheme.source
    added = told("add", region, files, "--month", "2024-01", "--scheme", pack)
    assert "1 list added: 1 grouped" in added
    assert "A a1 version 1 to 2: BR19 to BR29" in added
    late = told("late", region, "--month", "2024-01", "--as-of", "2024-02-26")
    assert "late: 1 hospital without lists: C" in late
    run = settle(region, scheme)
    for name, kept in (("moved", "budget.csv"), ("rewritten", "cases")):
        other = shutil.copytree(region, tmp_path / name)
        for path in (other / "cases").iterdir() if kept != "cases" else ():
            path.rename(path.with_name(f"new-{path.name}"))
        for file in ("hospitals.csv", "budget.csv"):
            if kept == "cases":
                (other / file).write_text((other / file).read_text() + "\n")
        before = contents(other)
        wrong = CliRunner().invoke(
            month_app, ["close", str(run), "2024-01", "--region", str(other)]
        )
        assert isinstance(wrong.exception, RegionError)
        assert "the run was not made from this region" in str(wrong.exception)
        assert contents(other) == before
    closed = told("close", run, "2024-01", "--region", region)
    assert "note: 1 hospital without a case in 2024-01: C" in closed
    assert "yes" in told("calendar", region, "--year", 2024)
