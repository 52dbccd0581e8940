"""Over the socket: every page in both languages, and what the guard turns away."""

import json
import re
import socket
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

import grouper.web
from grouper.web.settings import MAX_FORM_BYTES, MAX_UPLOAD_BYTES
from grouper.web.words import LANGUAGES, SCRIPT_WORDS, WORDS
from tests.web.conftest import EVIL, Page

CASE = {"dx": ["I21.900", "J96.000"], "px": ["36.0601"], "age": "66", "sex": "1"}
HERE = Path(grouper.web.__file__).parent
PATHS = (
    "/",
    "/?scheme=evil",
    "/file",
    "/scheme/chs-core",
    "/scheme/chs-core/mdc/MDCF",
    "/scheme/chs-core/adrg/FM1",
    "/scheme/chs-core/drg/FM1/FM19",
    "/scheme/chs-core/set/MDCF.dx",
    "/scheme/chs-core/set/MDCF.dx?page=2",
    "/scheme/chs-core/set/MDCF.dx?page=nonsense",
    "/scheme/chs-core/code/I21.900",
    "/scheme/chs-core/code/47.0901",
    "/scheme/chs-core/code/nothing%20known",
    "/scheme/chs-core/code/M80000%2F3",
    "/runs",
)


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def links(text: str) -> Iterator[str]:
    for _, attributes in Tags(text).tags:
        for name in ("href", "src"):
            if value := attributes.get(name):
                yield value


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("path", PATHS)
def test_every_page_in_both_languages(page: Page, lang: str, path: str) -> None:
    answer = page.ask(f"/{lang}{path}")
    assert answer.status == 200
    assert f'lang="{"zh-CN" if lang == "zh" else "en"}"' in answer.text
    for tag, attributes in Tags(answer.text).tags:
        # What the policy of the page would block has no place in it.
        assert not any(name == "style" or name.startswith("on") for name in attributes), tag
        if tag == "script":
            assert "src" in attributes or attributes["type"] == "application/json"
    for link in links(answer.text):
        assert link.startswith(("/", "#", "data:")), link
        assert not link.startswith("//"), link


def test_the_pages_that_are_linked_exist(page: Page) -> None:
    seen: set[str] = set()
    waiting = ["/zh/", "/zh/scheme/chs-core/adrg/FM1", "/zh/scheme/chs-core/code/J96.000"]
    while waiting and len(seen) < 50:
        path = waiting.pop(0).partition("#")[0]
        if path in seen or not path.startswith(("/zh", "/static")):
            continue
        seen.add(path)
        answer = page.ask(path)
        assert answer.status in (200, 307), path
        if "text/html" in answer.headers.get("content-type", ""):
            found = [link for link in links(answer.text) if link not in seen]
            waiting += found if len(waiting) < 60 else [x for x in found if "exclusion" in x]


def test_the_language_of_the_browser(page: Page) -> None:
    for asked, lang in (("en-GB,en;q=0.9", "en"), ("zh-TW", "zh"), ("de", "zh"), ("", "zh")):
        answer = page.ask("/", headers={"accept-language": asked})
        assert (answer.status, answer.headers["location"]) == (307, f"/{lang}/")


def test_every_word_that_a_template_asks_for() -> None:
    texts = [path.read_text() for path in (HERE / "templates").iterdir()]
    asked = {key for text in texts for key in re.findall(r"\bt\('([\w.]+)'[,)]", text)}
    scripts = [path.read_text() for path in (HERE / "static").glob("*.js")]
    shown = {key for text in scripts for key in re.findall(r'\bt\("([\w.]+)"', text)}
    assert asked <= set(WORDS), asked - set(WORDS)
    assert shown <= set(SCRIPT_WORDS), shown - set(SCRIPT_WORDS)
    assert all(zh and en for zh, en in WORDS.values())
    assert all(zh.count("{}") == en.count("{}") for zh, en in WORDS.values())


def test_headers_of_every_answer(page: Page) -> None:
    for path in ("/zh/", "/static/page.css", "/nothing", "/health"):
        headers = page.ask(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in headers
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:80"}, 421),
        ({"host": "["}, 421),
        ({"host": "localhost:1"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
    ],
)
def test_who_may_send(page: Page, headers: dict[str, str], status: int) -> None:
    answer = page.ask("/zh/explain", CASE, headers=headers)
    assert answer.status == status
    assert ("FM19" in answer.text) == (status == 200)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods(page: Page, method: str) -> None:
    assert page.ask("/zh/explain", method=method).status in (405, 403)
    assert page.ask("/zh/", {}, method="POST").status == 405


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "request"),
        (b"{", "request"),
        (b"[]", "request"),
        (b"[" * 100_000, "request"),
        (b'"\\ud800"', "request"),
        ({"dx": "I21"}, "dx"),
        ({"dx": ["x" * 100]}, "dx"),
        ({"age": "old"}, "age"),
        ({"scheme": EVIL}, "there is no scheme"),
        ({"scheme": {"a": 1}}, "there is no scheme"),
    ],
)
def test_bad_requests_are_told_so(page: Page, body: object, told: str) -> None:
    for path in ("/zh/explain", "/en/names"):
        answer = page.ask(path, body)
        assert answer.status in (400, 404)
        assert told in answer.text
        assert "<img" not in answer.text


def test_too_much_is_turned_away(page: Page) -> None:
    large = json.dumps({"text": "x" * MAX_FORM_BYTES}).encode()
    assert page.ask("/zh/paste", large).status == 413
    declared = {"content-length": str(MAX_UPLOAD_BYTES + 1)}
    answer = page.ask("/zh/file?name=a.csv", b"x", headers=declared)
    assert answer.status == 413
    assert "grouper group" in answer.text
    with socket.create_connection(("127.0.0.1", page.port), timeout=30) as client:
        head = (
            "POST /zh/paste HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            "transfer-encoding: chunked\r\n\r\n"
        )
        client.sendall(head.encode())
        piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        for _ in range(MAX_FORM_BYTES // 0x10000 + 1):
            client.sendall(piece)
        assert b" 413 " in client.recv(100)


def test_an_explanation(page: Page) -> None:
    text = page.ask("/zh/explain", CASE).text
    for told in ("FM19", "MCC", "J96.000", "急性呼吸衰竭", "主要诊断 属于", "改动一处会怎样"):
        assert told in text
    english = page.ask("/en/explain", {**CASE, "dx": ["J96.000", "J96.000"]}).text
    assert "switches off list" in english
    odd = page.ask("/en/explain", {**CASE, "age": "600"}).text
    assert "600: not a usual value (0–130)" in odd
    assert "not a usual value" not in english
    invalid = page.ask("/en/explain", {"dx": [], "px": ["36.0601"]}).text
    assert "there is no principal diagnosis" in invalid
    unknown = page.ask("/en/explain", {"dx": ["nothing known"]}).text
    assert "ungrouped" in unknown


def test_a_price(page: Page) -> None:
    text = page.ask("/en/").text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])  # type: ignore[index]
    key = data["run"]
    assert data["prices"][key]["pools"] == ["employee", "resident"]
    asked = {**CASE, "run": key, "level": "2", "pool": "employee", "month": "2024-03"}
    assert "Enter the total cost" in page.ask("/en/explain", asked).text
    priced = page.ask("/en/explain", {**asked, "total_cost": "20000"}).text
    for told in ("Points", "Point value", "Value − cost", "Base points"):
        assert told in priced
    assert "no point value" in page.ask(
        "/en/explain", {**asked, "total_cost": "20000", "month": "1999-01"}
    ).text  # fmt: skip
    other = page.ask("/en/explain", {**asked, "scheme": "evil", "total_cost": "20000"}).text
    assert "another scheme" in other
    wrong = page.ask("/en/explain", {**asked, "total_cost": "a lot"})
    assert wrong.status == 400
    assert "total_cost" in wrong.text


def test_names_are_text_everywhere(page: Page) -> None:
    paths = (
        "/zh/scheme/evil",
        "/zh/scheme/evil/adrg/FM1",
        "/zh/scheme/evil/code/I21.900",
        "/zh/?scheme=evil",
        "/zh/file?scheme=evil",
    )
    texts = [page.ask(path).text for path in paths]
    texts.append(page.ask("/zh/explain", {**CASE, "scheme": "evil"}).text)
    csv = f'case_id,dx\n"{EVIL.replace(chr(34), chr(34) * 2)}",I21.900\n'.encode()
    texts.append(page.ask("/zh/file?scheme=evil&name=%3Cb%3Ex%3C%2Fb%3E.csv", csv).text)
    for text in texts:
        assert "<img" not in text
        assert "<b>x" not in text
        assert "{{7*7}}" in text or "7*7" in text
        assert "&lt;img" in text or "\\u003cimg" in text


def test_codes_as_json(page: Page) -> None:
    found = page.ask("/zh/codes?q=%E5%BF%83%E6%A2%97").json()
    assert found[0]["code"] == "I21.900"
    assert page.ask("/zh/codes?q=").json() == []
    assert len(page.ask(f"/zh/codes?q={'x' * 5000}").json()) == 0
    assert page.ask("/zh/scheme/chs-core/find?q=FM19").json()[0]["path"] == "drg/FM1/FM19"
    assert page.ask("/zh/scheme/chs-core/find?q=").json() == []


def test_a_file_comes_back_grouped(page: Page) -> None:
    csv = b"case_id,dx,px\n1,K35.900,47.0901\n2,,\n"
    shown = page.ask("/en/file?name=cases.csv", csv).text
    assert "GD2" in shown
    assert "there is no principal diagnosis" in shown
    back = page.ask("/en/file?name=cases.csv&as=csv", csv)
    assert back.headers["content-disposition"].endswith("cases-grouped.csv")
    assert back.text.splitlines()[1].startswith("1,grouped,G,GD2,")
    assert page.ask("/en/file?name=cases.csv&as=parquet", csv).body[:4] == b"PAR1"
    bad = page.ask("/en/file?name=cases.csv", b"a,b\n1,2\n")
    assert bad.status == 400
    assert "column case_id is missing" in bad.text


def test_runs(page: Page, run: Path) -> None:
    listed = page.ask("/en/runs").text
    path = re.search(r'href="(/en/runs/[0-9a-f]+)"', listed)[1]  # type: ignore[index]
    one = page.ask(path).text
    assert "equations hold" in one
    assert "guigang-points" in one
    told = page.ask(path.replace("/en/", "/zh/")).text
    assert "<li>点值仅按统筹基金预算计算" in told
    assert "<td>清单检查</td>" in told
    assert told.index("未入组") < told.index("按 DRG 付费") < told.index("正常病例")
    assert page.ask(f"{path}/report/index.html").status == 404
    report = run / "report"
    report.mkdir()
    (report / "index.html").write_text("<p>report</p>")
    try:
        served = page.ask(f"{path}/report/index.html")
        assert served.status == 200
        assert "frame-ancestors 'none'" in served.headers["content-security-policy"]
        for name in (
            "..%2Fmanifest.json",
            "../manifest.json",
            "%2Fetc%2Fpasswd",
            "..%2F..%2Fx.html",
        ):
            assert page.ask(f"{path}/report/{name}").status == 404
    finally:
        (report / "index.html").unlink()
        report.rmdir()


@pytest.mark.parametrize(
    "path",
    [
        "/xx/",
        "/zh/nothing",
        "/zh/scheme/nothing",
        "/zh/scheme/chs-core/adrg/nothing",
        "/zh/scheme/chs-core/set/nothing",
        "/zh/scheme/chs-core/exclusion/nothing",
        "/zh/runs/nothing",
        "/static/../settings.py",
        "/static/%2e%2e/settings.py",
        "/static/nothing.js",
    ],
)
def test_what_is_not_there(page: Page, path: str) -> None:
    assert page.ask(path).status == 404
