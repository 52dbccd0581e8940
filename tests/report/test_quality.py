"""Data quality, indicators and signals in a run and its report; disease groups by their names."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from openpyxl import load_workbook

from grouper.cases import COLUMNS, open_cases
from grouper.errors import RunError
from grouper.execution import LocalRunner
from grouper.indicators.measure import measure
from grouper.indicators.stays import Stays
from grouper.quality.check import check_cases
from grouper.quality.registry import COLUMNS_READ
from grouper.quality.scores import HospitalName
from grouper.quality.thresholds import Thresholds
from grouper.report import Run, load_run
from grouper.report.facts import Facts
from grouper.report.quality_page import QualityPages
from grouper.report.view import View
from grouper.report.write import write_report
from grouper.scheme import load_scheme
from grouper.settlement.dipnames import chapter, group_rows
from grouper.settlement.region import load_region
from tests.report.test_pages import column, data_of
from tests.settlement import golden


def test_a_run_says_of_its_lists_what_the_check_alone_says(
    run: Run, region: Path, tmp_path: Path
) -> None:
    source = open_cases(region / "cases", wanted=[COLUMNS[name] for name in COLUMNS_READ])
    hospitals = {
        h.hospital_id: HospitalName(h.name, h.level) for h in load_region(region).hospitals
    }
    alone = check_cases(
        source, load_scheme("chs-core"), Thresholds(), tmp_path / "out", LocalRunner(),
        hospitals=hospitals,
    )  # fmt: skip
    for name in ("rules", "scores", "errors"):
        assert run.table(f"quality_{name}").equals(getattr(alone, name))
    parts = sorted(path.name for path in (tmp_path / "out" / "findings").iterdir())
    for part in parts:
        written = (run.folder / "findings" / part).read_bytes()
        assert written == (tmp_path / "out" / "findings" / part).read_bytes()


def test_pages_add_up_to_the_findings(run: Run, report: Path) -> None:
    page = data_of(report / "quality.html")
    scores = run.table("quality_scores")
    assert sum(column(page, "quality_scores", "checked")) == sum(scores["cases"].to_pylist())
    assert dict(page["kpis"])["rejectable"] == sum(scores["cases"].to_pylist()) - sum(
        scores["passed"].to_pylist()
    )
    broken = [n for n in column(page, "quality_rules", "broken") if n]
    assert sum(broken) == run.table("findings").num_rows
    told = [
        text[1] for text in column(page, "quality_rules", "remark") if "not evaluated" in text[1]
    ]
    assert "not evaluated: no column items_total" in told
    hospitals = [data_of(path) for path in (report / "hospitals").iterdir()]
    assert sum(len(p["tables"]["findings"]["rows"]) for p in hospitals) > 0
    for found in hospitals:
        every = sum(column(found, "quality_errors", "broken"))
        assert every == len(column(found, "findings", "rule")) or found["findingsCut"]


def test_findings_go_back_with_the_workbook(report: Path) -> None:
    pages = {path.stem: data_of(path) for path in (report / "hospitals").iterdir()}
    slug, page = max(pages.items(), key=lambda item: len(column(item[1], "findings", "rule")))
    sheet = load_workbook(report / "workbooks" / f"{slug}.xlsx")["清单质控 Findings"]
    rows = list(sheet.iter_rows(min_row=2, values_only=True))
    assert [row[0] for row in rows][:200] == column(page, "findings", "case_id")
    assert rows[0][2] in {"退回", "提示"}


def test_indicators_stand_with_numerator_and_denominator(run: Run, report: Path) -> None:
    measured = measure(Stays(run))
    page = data_of(report / "indicators.html")
    known = {one.zh: one for one in measured.indicators}
    for (zh, _), shown, above, below in zip(
        *(column(page, "indicators", n) for n in ("measure", "whole", "numerator", "denominator")),
        strict=True,
    ):
        value = measured.of(known[zh].code)
        assert int(below.replace(",", "")) == value.denominator
        assert abs(Fraction(above.replace(",", "")) - value.numerator) <= Fraction(1, 200)
        assert shown
    months = column(page, "by_month", "by_mean_cost")
    assert len(months) == 12
    for path in (report / "hospitals").iterdir():
        mine = data_of(path)
        for words, cases in zip(
            *(column(mine, "signals", n) for n in ("signal", "flagged_cases")), strict=True
        ):
            behind = [row for row in mine["tables"]["signal_cases"]["rows"] if row[0] == words]
            assert not behind or len(behind) == min(cases, 20)


def test_lists_that_were_not_checked_are_said_so(other: Run) -> None:
    assert "findings" not in other.tables
    assert QualityPages(View(Facts(other))).region()["checked"] is False


def test_an_altered_finding_is_named(copy: Path) -> None:
    path = copy / "findings" / "part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(RunError, match=r"table 'findings' \(findings/part-00000.parquet was alt"):
        load_run(copy)


def test_disease_groups_have_names_chapters_and_their_own_words(tmp_path: Path) -> None:
    folder = golden.settle(
        tmp_path,
        "shantou-dip",
        [
            *(golden.case(f"a{i}", "A", "I21.900", 10000, px=["p2", "p1"]) for i in range(3)),
            golden.case("b1", "A", "J18.9", 4000),
        ],
        weights=[["BR19", "1", "", "1"]],
        hospitals=[["A", "1"]],
        budget=[("employee", "fund_total", 40000)],
        shares=[("employee", "01", 1)],
        rates=[("hospital_factor", "", "1", 1)],
        keys="[groups]\ndip_min_cases = 2\n",
    )
    run = load_run(folder)
    rows = {row["drg"]: row for row in run.table("groups").to_pylist()}
    assert rows["I21.9:p1+p2"]["mdc_name"] == "循环系统疾病"
    assert rows["J18:-"]["drg_name"] == "J18 保守治疗综合病种"
    report = write_report(run, workbooks=False).folder
    text = (report / "drgs.html").read_text("utf-8")
    assert "病种一览" in text
    assert "病组" not in text
    assert '"All disease groups"' in (report / "assets" / "words.js").read_text("utf-8")


def test_names_of_disease_groups() -> None:
    dx = {"I21.900": "急性心肌梗死", "I21.000": "前壁急性透壁性心肌梗死"}
    rows = group_rows(["I21.9:36.0600", "I21:+"], dx, {"36.0600": "支架置入"})
    assert [row[3] for row in rows] == [
        "急性心肌梗死 / 支架置入",
        "前壁急性透壁性心肌梗死 手术综合病种",
    ]
    assert chapter("A00") == ("01", "某些传染病和寄生虫病")
    assert chapter("D45.x")[0] == "02"
    assert chapter("D50.9")[0] == "03"
    assert chapter("Z51.1")[0] == "22"
    assert chapter("") == ("", "")
