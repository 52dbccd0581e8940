"""What pages say is what the tables say."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from grouper.errors import OutputError
from grouper.report import Run, load_run
from grouper.report.columns import COLUMNS
from grouper.report.view import unique_slugs
from grouper.report.words import WORDS
from grouper.report.write import write_report
from grouper.settlement.routes import REASONS
from grouper.settlement.rules import CLASSES
from tests.report.conftest import NAMES, command
from tests.settlement import golden
from tests.test_cli import grouper

DATA = re.compile(r"<script>window\.PAGE=(.*);window\.UP=", re.DOTALL)


def data_of(path: Path) -> dict[str, Any]:
    found = DATA.search(path.read_text("utf-8"))
    assert found
    page: dict[str, Any] = json.loads(found.group(1))
    return page


def column(page: dict[str, Any], table: str, name: str) -> list[Any]:
    part = page["tables"][table]
    place = part["cols"].index(name)
    return [row[place] for row in part["rows"]]


def fen(run: Run, table: str, name: str) -> int:
    return int(
        sum(value or Decimal(0) for value in run.table(table).column(name).to_pylist()) * 100
    )


def test_the_overview_adds_up(run: Run, report: Path) -> None:
    page = data_of(report / "index.html")
    assert sum(column(page, "months", "budget")) == fen(run, "months", "budget")
    assert sum(column(page, "hospitals", "paid_m")) == fen(run, "hospital_months", "paid")
    assert sum(column(page, "hospitals", "due_m")) == fen(run, "clearing", "due")
    for table in ("hospitals", "mdc", "classes"):
        assert sum(column(page, table, "value")) == fen(run, "points", "value")
        assert sum(column(page, table, "gain")) == fen(run, "points", "gain")
    assert page["checks"] == [len(run.manifest.checks), 0]
    assert sum(column(page, "budget", "amount")) == fen(run, "budget", "amount")


def test_relative_gain_only_moves_money(report: Path) -> None:
    page = data_of(report / "hospitals.html")
    assert abs(sum(column(page, "hospitals", "relative"))) < len(column(page, "hospitals", "level"))


def test_hospital_and_drg_pages_are_two_views_of_the_same_cases(run: Run, report: Path) -> None:
    hospitals = [data_of(path) for path in sorted((report / "hospitals").iterdir())]
    drgs = [data_of(path) for path in sorted((report / "drgs").iterdir())]
    cases = sum(run.table("months").column("cases").to_pylist())
    for pages, table in ((hospitals, "drgs"), (drgs, "hospitals")):
        assert sum(sum(column(page, table, "cases")) for page in pages) == cases
        assert sum(sum(column(page, table, "value")) for page in pages) == fen(
            run, "points", "value"
        )
    assert sum(row[3] for page in drgs for row in page["histogram"]) == cases
    for page in hospitals:
        assert sum(column(page, "statement", "cases")) == page["kpis"][0][1]
        assert sum(column(page, "classes", "value")) == sum(column(page, "drgs", "value"))
        assert sum(row[1] for row in page["monthCost"]) == sum(column(page, "drgs", "cost"))


def test_indicators_against_the_cases(run: Run, report: Path) -> None:
    page = data_of(report / "hospitals.html")
    found = run.sql(
        """
        select h.hospital_id, sum(b.weight)::double / count(b.weight) as cmi,
               sum(c.total_cost::double / b.region_mean::double) / count(*) as cost_index
        from cases c positional join grouped g positional join points p
        join hospitals h on h.hospital_id = c.hospital_id
        join (select drg, any_value(weight) as weight, any_value(region_mean) as region_mean
              from benchmarks group by 1) b on b.drg = g.drg
        where p.route = 'drg' and g.status = 'grouped'
        group by 1 order by 1
        """
    ).to_pylist()
    for name in ("cmi", "cost_index"):
        shown = column(page, "hospitals", name)
        assert shown == pytest.approx([row[name] for row in found], abs=2e-6)


def test_a_hospital_stands_among_its_peers(report: Path) -> None:
    for path in (report / "hospitals").glob("*.html"):
        for name, one in data_of(path)["peers"].items():
            assert one["here"] is None or one["here"] in one["all"], (path.name, name)


def test_names_are_data_not_markup(report: Path) -> None:
    for path in (
        report / "index.html",
        *(report / "hospitals").iterdir(),
        report / "assets/index.js",
    ):
        text = path.read_text("utf-8")
        assert "<script>window.hacked" not in text
        assert "<b>Hospital</b>" not in text
    index = (report / "assets" / "index.js").read_text("utf-8")
    known = json.loads(index.removeprefix("window.INDEX=").rstrip(";\n"))
    assert [row[1] for row in known["hospitals"]][:1] == [NAMES[0]]


def test_nothing_points_to_a_network(report: Path) -> None:
    for path in (report / "index.html", report / "assets" / "words.js"):
        assert not re.search(r"(src|href)=[\"']?https?:", path.read_text("utf-8"))
    for name in ("report.css", "format.js", "tables.js", "charts.js", "whatif.js", "page.js"):
        assert "http" not in (report / "assets" / name).read_text("utf-8")
    links = re.compile(r'(?:href|src)="([^"#]+)"')
    for path in (report / "index.html", next((report / "drgs").iterdir())):
        for target in links.findall(path.read_text("utf-8")):
            assert target == "data:," or (path.parent / target).is_file()


def test_the_same_run_gives_the_same_bytes(copy: Path, report: Path) -> None:
    first, again = (
        {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        for folder in (report, write_report(load_run(copy)).folder)
    )
    assert first == again
    assert not list(copy.glob(".report*"))


def test_the_command_and_an_altered_run(copy: Path) -> None:
    made = command("report", copy, "--no-workbooks")
    assert made.exit_code == 0, made.output
    assert "pages and 0 workbooks" in made.output
    assert command("report", copy, "--no-workbooks").exit_code == 0
    (copy / "report" / "index.html").rename(copy / "report" / "letter.txt")
    with pytest.raises(OutputError, match="report holds something else"):
        write_report(load_run(copy), workbooks=False)
    assert (copy / "report" / "letter.txt").is_file()
    shutil.rmtree(copy / "grouped")
    done = grouper("report", copy)
    assert done.returncode == 1
    assert "table 'grouped'" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_code_of_the_tables_has_its_words() -> None:
    assert {f"class.{name}" for name in CLASSES} <= set(WORDS)
    for reason in REASONS:
        assert not reason or f"reason.{reason}" in WORDS or f"rule.{reason}" in WORDS
    for zh, en in [*WORDS.values(), *((c.zh, c.en) for c in COLUMNS.values())]:
        assert zh
        assert en


def test_what_only_some_policies_make_stands_with_its_hospital(tmp_path: Path) -> None:
    """Two cases paid per day (81 days in all), beside four paid by points."""
    run = golden.settle(
        tmp_path,
        "huangyan-mixed",
        [
            *(golden.case(f"a{i}", "A", "D1", 10000) for i in range(4)),
            golden.case("p1", "A", "D1", 30000, los=61),
            golden.case("p2", "A", "D1", 5000, los=20, bed_day_flag=True),
        ],
        weights=[["BR19", "1", "", "1"]],
        hospitals=[["A", "2"]],
        budget=[("employee", "fund_total", 100000), ("employee", "per_diem", -8100)],
        shares=[("employee", "01", 100)],
        rates=[("per_diem", "", "", 10)],
    )
    page = data_of(write_report(load_run(run)).folder / "hospitals" / "A.html")
    assert column(page, "per_diem", "cases") == [2]
    assert column(page, "per_diem", "st_points") == [810.0]
    assert "simulation" not in page["tables"]


def test_slugs_are_file_names_of_their_own() -> None:
    names = ["H1", "h1", "../x", "a/b", "", "医院", "CON" * 40]
    slugs = unique_slugs(names)
    assert len({slug.lower() for slug in slugs}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", slug) for slug in slugs)
    assert slugs[0] == "H1"
