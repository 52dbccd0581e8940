"""In a real Chromium: no console error, wide and narrow, and everything by keyboard alone."""

import csv
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import EVIL, Page

WIDE, NARROW = {"width": 1360, "height": 900}, {"width": 390, "height": 844}
CASE = "dx=I21.900|I10.x00|J96.000&px=36.0601&sex=1&age=66&total_cost=34500"
PATHS = (
    f"/#{CASE}",
    f"/?scheme=evil#{CASE}",
    "/file",
    "/scheme/chs-core",
    "/scheme/evil/adrg/FM1",
    "/scheme/chs-core/set/MDCF.dx",
    "/scheme/chs-core/code/J96.000",
    "/runs",
)
REFUSED = "error: Failed to load resource: the server responded with a status of 400 (Bad Request)"
"""What Chromium itself says of an answer that tells a user of bad input."""


@pytest.fixture(params=[WIDE, NARROW], ids=["wide", "narrow"])
def window(chromium: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from _window(chromium, request.param)


@pytest.fixture
def wide(chromium: Any) -> Iterator[Any]:
    yield from _window(chromium, WIDE)


def _window(chromium: Any, size: dict[str, int]) -> Iterator[Any]:
    context = chromium.new_context(viewport=size, locale="zh-CN", accept_downloads=True)
    tab = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
    context.on("request", lambda request: asked.append(request.url))
    tab.set_default_timeout(8000)
    yield tab
    outside = [url for url in asked if not re.match(r"(http://127\.0\.0\.1:|data:|blob:)", url)]
    context.close()
    assert [line for line in said if line != REFUSED] == []
    assert outside == []


def _fits(tab: Any) -> None:
    """Nothing makes the whole page scroll sideways."""
    width = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width <= 0


def test_every_page_opens(window: Any, page: Page) -> None:
    # English words are the longest, and narrow windows the tightest.
    lang = "zh" if window.viewport_size == WIDE else "en"
    for path in PATHS:
        window.goto(f"{page.address}/{lang}{path}")
        if "#" in path:
            window.wait_for_selector(".result")
            for one in window.query_selector_all("#answer details > summary"):
                one.click()
        _fits(window)
        assert window.title() != "owned"
        assert window.query_selector("img") is None
        window.goto("about:blank")


def test_a_case_by_keyboard_alone(wide: Any, page: Page) -> None:
    keys = wide.keyboard
    wide.goto(f"{page.address}/zh/")
    assert wide.evaluate("document.activeElement.id") == "find"
    keys.type("心梗")
    wide.wait_for_selector("#found [role=option]")
    assert wide.get_attribute("#find", "aria-expanded") == "true"
    keys.press("ArrowDown")
    keys.press("ArrowUp")
    keys.press("Enter")
    # Typed faster than the list can come.
    keys.type("J96000")
    keys.press("Enter")
    wide.wait_for_selector("#dx li:nth-child(2) .code")
    keys.type("36.0601")
    keys.press("Enter")
    wide.wait_for_selector(".result .drg:has-text('FM19')")
    assert wide.inner_text("#dx li:nth-child(2) .code") == "J96.000"
    assert "#dx=I21.900|J96.000&px=36.0601" in wide.url
    # Into the list, and the second diagnosis first: another group, and what it was before.
    keys.press("Tab")
    keys.press("Tab")
    wide.wait_for_selector("#dx li[data-at='1']:focus-within")
    keys.press("Alt+ArrowUp")
    wide.wait_for_selector("#was:has-text('FM19')")
    assert wide.inner_text("#dx li:first-child .code") == "J96.000"
    wide.wait_for_selector("#dx li[data-at='0']:focus-within")
    keys.press("Delete")
    wide.wait_for_selector(".result .drg:has-text('FM19')")
    # Back to the search, where Backspace takes the last code away.
    keys.press("Escape")
    wide.focus("#find")
    keys.press("Backspace")
    wide.wait_for_selector("#px li.empty")
    # Help, and another page.
    wide.focus("#example")
    keys.press("?")
    assert wide.is_visible("#keys")
    keys.press("Escape")
    keys.press("g")
    keys.press("3")
    wide.wait_for_url("**/zh/scheme/chs-core")


def test_a_code_that_no_scheme_knows(wide: Any, page: Page) -> None:
    wide.goto(f"{page.address}/en/")
    wide.keyboard.type("<b>Z99")
    wide.wait_for_selector("#found .nothing")
    wide.keyboard.press("Enter")
    wide.wait_for_selector(".result.ungrouped")
    assert "unknown to the scheme" in wide.inner_text("#dx")
    wide.reload()
    wide.wait_for_selector(".result.ungrouped")
    assert wide.inner_text("#dx .code") == "<b>Z99"


def test_a_price_and_what_one_change_does(wide: Any, page: Page) -> None:
    wide.goto(f"{page.address}/zh/#{CASE}")
    wide.wait_for_selector(".price")
    before = wide.inner_text(".price .big dd")
    row = wide.query_selector("tr:has(button[data-change='drop_procedure'])")
    group = row.query_selector(".strong").inner_text()
    value = row.query_selector_all("td.num")[1].inner_text()
    row.query_selector("button").click()
    wide.wait_for_selector(f".result .drg:has-text('{group}')")
    assert wide.inner_text(".price .big dd").startswith(value)
    assert wide.inner_text(".price .big dd") != before
    assert "FM19" in wide.inner_text("#was")
    wide.select_option("select[name=month]", "2024-05")
    wide.fill("input[name=total_cost]", "abc")
    wide.wait_for_selector(".failure")
    assert "month=2024-05" in wide.url
    wide.fill("input[name=total_cost]", "12000")
    wide.wait_for_selector(".price")
    # The other language is the same case.
    wide.click("#other-language")
    wide.wait_for_url("**/en/**")
    wide.wait_for_selector(f".result .drg:has-text('{group}')")
    assert wide.input_value("select[name=month]") == "2024-05"


def test_pasting(wide: Any, page: Page) -> None:
    wide.goto(f"{page.address}/zh/")
    wide.click("#open-paste")
    wide.fill("#paste-text", "主要诊断：I21.900 其他：J96.000 手术 36.0601 66岁 男 什么")
    wide.keyboard.press("Control+Enter")
    wide.wait_for_selector(".result .drg:has-text('FM19')")
    assert wide.input_value("input[name=age]") == "66"
    assert wide.input_value("select[name=sex]") == "1"
    assert "什么" in wide.inner_text("#find-hint")
    wide.click("#clear")
    wide.wait_for_selector(".start")
    wide.evaluate(
        """() => {
        const held = new DataTransfer();
        held.setData("text", "K35.900 47.0901");
        const how = {clipboardData: held, bubbles: true, cancelable: true};
        document.getElementById("find").dispatchEvent(new ClipboardEvent("paste", how));
    }"""
    )
    wide.wait_for_selector(".result .drg:has-text('GD2')")


def test_a_file(window: Any, page: Page, tmp_path: Path) -> None:
    file = tmp_path / "cases <b>.csv"
    with file.open("w", newline="", encoding="gb18030") as out:
        writer = csv.writer(out)
        writer.writerow(["结算病例编号", "dx", "px", "年龄"])
        writer.writerows(
            [
                [EVIL, "I21.900|J96.000", "36.0601", 66],
                ["2", "K35.900", "47.0901", 30],
                ["3", "", "", 1],
            ]
        )
    window.goto(f"{page.address}/zh/file")
    window.set_input_files("#file", file)
    window.wait_for_selector(".results")
    _fits(window)
    assert window.inner_text(".results .id") == EVIL
    window.click(".chip[data-status=invalid]")
    assert window.locator(".results tbody tr:visible").count() == 1
    window.click(".chip[data-status=invalid]")
    with window.expect_download() as download:
        window.click("[data-as=csv]")
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert text.splitlines()[2].startswith("2,grouped,G,GD2,")
    with window.context.expect_page() as opened:
        window.click(".results tbody tr:first-child button")
    opened.value.wait_for_selector(".result .drg:has-text('FM19')")
    bad = tmp_path / "bad.csv"
    bad.write_text("a,b\n1,2\n")
    with window.expect_response("**/zh/file?**"):
        window.set_input_files("#file", bad)
    window.wait_for_selector("#grouped .failure")


def test_browsing_by_keyboard(wide: Any, page: Page) -> None:
    keys = wide.keyboard
    wide.goto(f"{page.address}/zh/scheme/chs-core")
    keys.press("/")
    keys.type("FM19")
    wide.wait_for_selector("#found [role=option]")
    keys.press("Enter")
    wide.wait_for_selector(".big-title:has-text('FM19')")
    assert wide.url.endswith("/zh/scheme/chs-core/drg/FM1/FM19")
    assert "FM19" in wide.inner_text("[aria-selected] > a")
    wide.focus("#tree a[tabindex='0']")
    keys.press("ArrowLeft")
    keys.press("Enter")
    wide.wait_for_selector(".big-title:has-text('FM1 ')")
    keys.press("ArrowLeft")
    keys.press("ArrowDown")
    keys.press("Enter")
    # One step at a time: going back from a page that is still to come goes one too far.
    wide.wait_for_selector(".big-title:not(:has-text('FM1 '))")
    wide.go_back()
    wide.wait_for_selector(".big-title:has-text('FM1 ')")
    wide.go_back()
    wide.wait_for_selector(".big-title:has-text('FM19')")
    wide.click("#detail .set >> nth=0")
    wide.wait_for_selector(".big-title:has-text('MDCF.dx')")
    wide.click("#other-language")
    wide.wait_for_url("**/en/scheme/chs-core/set/MDCF.dx")


def test_a_run_is_watched(wide: Any, page: Page, run: Path) -> None:
    wide.goto(f"{page.address}/zh/runs")
    other = run.parent / "at-work"
    (other / ".work").mkdir(parents=True)
    (other / "log.jsonl").write_text('{"stage": "survey", "parts": 1, "seconds": 0.1}\n')
    broken = run.parent / "broken"
    broken.mkdir()
    for name in ("manifest.json", "benchmarks.parquet"):
        (broken / name).touch()
    try:
        wide.wait_for_selector("td:has-text('at-work')", timeout=12000)
        assert wide.inner_text(".state-unfinished") == "未完成"
        assert wide.inner_text("tr:has(.state-unfinished) td >> nth=2") == "清点 ✓"
        assert wide.inner_text("tr:has-text('broken') .state-failed") == "无法读取"
    finally:
        shutil.rmtree(other)
        shutil.rmtree(broken)
    wide.click("td a:has-text('run-2024')")
    wide.wait_for_selector(".ok:has-text('个等式全部成立')")
    wide.click(".button.main")
    wide.wait_for_selector("#price-more:visible")
