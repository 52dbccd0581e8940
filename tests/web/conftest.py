"""A real page on a real socket, over a region that was made up and settled once."""

from __future__ import annotations

import http.client
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.scheme import load_scheme, pack_folder
from grouper.settlement.policyfile import load_policy
from grouper.synth import synthesize
from grouper.web.server import WebServer
from grouper.web.settings import WebSettings

CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
EVIL = """<img src=x onerror="document.title='owned'">'"&{{7*7}}"""
"""A name that is markup, quotes and a template at once."""


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web") / "region"
    synthesize(load_scheme("chs-core"), cases=1500, hospitals=4, seed=5, out=folder)
    return folder


def settle(region: Path, policy: str, out: Path) -> Path:
    rerun(region, load_scheme("chs-core"), load_policy(policy), out, LocalRunner())
    return out


@pytest.fixture(scope="session")
def run(region: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return settle(region, "guigang-points", tmp_path_factory.mktemp("settled") / "run-2024")


@pytest.fixture(scope="session")
def evil_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """chs-core with names that try to be markup."""
    folder = tmp_path_factory.mktemp("packs") / "evil"
    shutil.copytree(pack_folder("chs-core"), folder)
    quoted = '"' + EVIL.replace('"', '""') + '"'
    for file, old in (("dx.csv", "急性心肌梗死"), ("groups.csv", "经皮冠状动脉支架植入")):
        path = folder / file
        text = path.read_text(encoding="utf-8")
        assert f",{old}" in text
        path.write_text(text.replace(f",{old}", f",{quoted}", 1), encoding="utf-8")
    toml = folder / "scheme.toml"
    lines = toml.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("id", "title"))]
    toml.write_text(
        "\n".join([f'id = "evil"\ntitle = {json.dumps(EVIL)}', *kept]) + "\n", encoding="utf-8"
    )
    return folder


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Page:
    """A running page, asked over its socket."""

    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        path: str,
        body: object = None,
        *,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = "octet-stream" if isinstance(body, bytes) else "json"
        sent = {"content-type": f"application/{kind}"} if data is not None else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                method or ("GET" if data is None else "POST"),
                path,
                data,
                {**sent, **(headers or {})},
            )
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, response.read())
        finally:
            connection.close()


@pytest.fixture(scope="session")
def page(run: Path, evil_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    settings = WebSettings(
        host="127.0.0.1",
        port=0,
        schemes=("chs-core", str(evil_pack)),
        runs=(run,),
        data=run.parent,
    )
    with WebServer(settings) as server:
        yield Page(server.port)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A Chromium; missing, the tests are skipped, and fail where CI is set.

    Playwright keeps an event loop running in this thread for as long as it lives: not longer than
    a file of tests, because commands of other tests start loops of their own.
    """
    if not Path(CHROMIUM).is_file():
        told = f"{CHROMIUM} is missing: install it with apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()
