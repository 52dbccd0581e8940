"""Every kind of page in a real Chromium, offline: no error, and everything on it works."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grouper.compare import compare_runs
from grouper.compare.write import write_comparison
from grouper.report import Run
from tests.report.conftest import NAMES

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE, NARROW = (1400, 900), (390, 840)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium")
    if path is None:
        told = "chromium is not installed: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield launched
        launched.close()


def until(page: Any, condition: str) -> None:
    """Wait for a condition; the page's own policy forbids Playwright to evaluate it there."""
    end = time.monotonic() + 20
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


class Window:
    """A page that remembers what the console said and what it asked for."""

    def __init__(self, browser: Any, size: tuple[int, int]) -> None:
        width, height = size
        self.context = browser.new_context(viewport={"width": width, "height": height})
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def _heard(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.said.append(message.text)

    def open(self, path: Path, asked: str = "") -> Any:
        self.page.goto(f"file://{path}{asked}")
        until(self.page, "typeof drawAll === 'function'")
        self.page.evaluate("drawAll()")
        return self.page

    def good(self) -> None:
        assert self.said == []
        assert all(url.startswith(("file:", "data:", "blob:")) for url in self.asked)
        wide = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"the page is {wide} pixels wider than its window"


@pytest.fixture
def window(browser: Any, request: pytest.FixtureRequest) -> Iterator[Window]:
    opened = Window(browser, getattr(request, "param", WIDE))
    yield opened
    opened.context.close()


def pages_of(report: Path) -> list[Path]:
    """Every page of its own kind, the two hospitals with the worst names, and some DRGs."""
    some = sorted((report / "drgs").iterdir())
    hospitals = sorted((report / "hospitals").iterdir())
    return [
        *sorted(report.glob("*.html")),
        hospitals[-1],  # its id is no file name
        next(path for path in hospitals if "window.hacked" in path.read_text("utf-8")),
        some[len(some) // 2],
        report / "drgs" / "ungrouped.html",
    ]


@pytest.mark.parametrize(
    ("window", "language"),
    [(WIDE, "zh"), (NARROW, "en")],
    indirect=["window"],
    ids=["wide-zh", "narrow-en"],
)
def test_every_page_opens(window: Window, report: Path, language: str) -> None:
    for path in pages_of(report):
        page = window.open(path, f"?lang={language}")
        assert page.evaluate("document.documentElement.lang")[:2] == language
        assert page.locator("h1").inner_text().strip()
        assert page.locator("[data-chart]:not([data-drawn])").count() == 0
        assert page.evaluate("window.hacked") is None
        assert window.said == [], path.name
        window.good()


def test_languages_and_units_are_switched_everywhere_and_kept(window: Window, report: Path) -> None:
    page = window.open(report / "index.html")
    heading = page.locator("h1")
    assert "区域总览" in heading.inner_text()
    assert "万元" in page.locator("[data-table=hospitals] thead").inner_text()
    page.get_by_role("button", name="EN", exact=True).click()
    assert "Region overview" in heading.inner_text()
    assert "10k CNY" in page.locator("[data-table=hospitals] thead").inner_text()
    before = page.locator("#kpis .kpi").nth(3).inner_text()
    page.locator("[data-switch=unit] [data-value=yuan]").click()
    after = page.locator("#kpis .kpi").nth(3).inner_text()
    assert before != after
    assert len(after) > len(before)
    page = window.open(report / "drgs.html")
    assert "All DRGs" in page.locator("h1").inner_text()
    assert "Mean cost (CNY)" in page.locator("[data-table=drgs] thead").inner_text()
    assert page.locator("nav [aria-current]").inner_text() == "DRGs"
    window.good()


def test_tables_sort(window: Window, report: Path) -> None:
    page = window.open(report / "hospitals.html")
    heading = page.locator("[data-table=hospitals] thead th").nth(3)
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    cells = page.locator("[data-table=hospitals] tbody tr td:nth-child(4)")
    numbers = [int(text.replace(",", "")) for text in cells.all_inner_texts()]
    assert numbers == sorted(numbers, reverse=True)
    heading.get_by_role("button").focus()
    page.keyboard.press("Enter")
    numbers = [int(text.replace(",", "")) for text in cells.all_inner_texts()]
    assert numbers == sorted(numbers)


def test_tables_filter_by_words_and_amounts(window: Window, report: Path) -> None:
    page = window.open(report / "hospitals.html")
    table = page.locator("[data-table=hospitals]")
    rows = table.locator("tbody tr")
    everything = rows.count()
    table.locator("input.filter").fill("hyperlink click")
    assert rows.all_inner_texts()[0].startswith(NAMES[1])
    assert rows.count() == 1
    table.locator("input.filter").fill("")
    table.locator("select.column").select_option("3")
    counts = [
        int(t.replace(",", "")) for t in table.locator("tbody td:nth-child(4)").all_inner_texts()
    ]
    middle = sorted(counts)[len(counts) // 2]
    table.locator("input.filter").fill(f">{middle}")
    assert rows.count() == sum(count > middle for count in counts)
    assert f"{rows.count()} / {everything}" in table.locator(".count").inner_text()
    total = table.locator("tfoot td").nth(3).inner_text().replace(",", "")
    assert int(total) == sum(count for count in counts if count > middle)


def test_tables_are_drawn_as_one_scrolls(window: Window, report: Path) -> None:
    page = window.open(report / "drgs.html")
    rows = page.locator("[data-table=drgs] tbody tr")
    first = rows.count()
    whole = page.evaluate("PAGE.tables.drgs.rows.length")
    assert first < whole
    page.evaluate("document.querySelector('.frame').scrollTop = 1e6")
    until(page, f"document.querySelectorAll('tbody tr').length > {first}")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert rows.count() == whole


def test_a_table_is_downloaded_with_plain_numbers(
    window: Window, report: Path, tmp_path: Path
) -> None:
    page = window.open(report / "hospitals.html")
    with page.expect_download() as download:
        page.locator("[data-table=hospitals] .csv").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    raw = path.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    text = raw.decode("utf-8-sig")
    assert '"\'=HYPERLINK(""http://example.invalid"",""click"")"' in text
    assert "'@SUM(1+1)" in text
    assert "总费用(元)" in text.splitlines()[0]


def test_finding_a_page_by_keyboard(window: Window, report: Path) -> None:
    page = window.open(report / "accounts.html")
    page.locator("#jump").focus()
    page.keyboard.type("长沙")
    page.keyboard.press("Enter")
    page.wait_for_url("**/hospitals/*.html")
    until(page, "typeof drawAll === 'function'")
    assert page.locator("h1").inner_text() == NAMES[4]
    page.locator("#jump").focus()
    page.keyboard.type("no such place")
    assert page.locator("#jump-list .none").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("#jump-list").is_hidden()
    window.good()


def test_bounds_by_level(window: Window, report: Path) -> None:
    known = [p for p in sorted((report / "drgs").iterdir()) if '"stable":true' in p.read_text()]
    page = window.open(known[0])
    page.locator("#levels button").nth(1).click()
    until(page, "document.querySelector('[data-chart=distribution]').layout.shapes.length === 3")
    window.good()


def test_it_prints(window: Window, report: Path) -> None:
    page = window.open(min((report / "hospitals").iterdir()))
    page.emulate_media(media="print")
    assert page.locator("header nav").is_hidden()
    assert page.locator(".tools button").first.is_hidden()
    assert len(page.pdf(format="A4", landscape=True)) > 20_000


@pytest.mark.parametrize("window", [WIDE, NARROW], indirect=True, ids=["wide", "narrow"])
def test_a_comparison(window: Window, run: Run, other: Run, tmp_path: Path) -> None:
    page = window.open(write_comparison(compare_runs(run, other), tmp_path / "out"))
    assert "what-if" in page.locator("#runs").inner_text()
    assert "low.ratio 0.3 → 0.5" in page.locator("#runs").inner_text()
    page.locator("[data-switch=lang] [data-value=en]").click()
    assert "Comparison of two runs" in page.locator("h1").inner_text()
    assert page.locator("[data-table=causes] tbody tr").count() > 3
    window.good()
