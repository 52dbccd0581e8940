"""The pages of runs: how far they are, what came of them, and their reports."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from grouper.web.guard import REPORT_POLICY
from grouper.web.runs import ShownRun
from grouper.web.site import NotFoundError, Site, data_json

_LIVE: Final = ("queued", "running", "unfinished")
_REPORT_FILES: Final = (".html", ".js", ".css", ".csv", ".xlsx")


class RunPages:
    """Endpoints below `/runs`. With `piece=1` only what changes is sent."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.routes = [
            Route("/{lang:language}/runs", self.runs),
            Route("/{lang:language}/runs/{key}", self.run),
            Route("/{lang:language}/runs/{key}/report/{file:path}", self.report),
        ]

    def runs(self, request: Request) -> Response:
        """All runs."""
        runs = self._site.runs.listed()
        live = any(run.status.state in _LIVE for run in runs)
        return self._page(request, "run_list.html.j2", runs=runs, live=live)

    def run(self, request: Request) -> Response:
        """One run."""
        run = self._find(request)
        return self._page(
            request,
            "run_one.html.j2",
            run=run,
            live=run.status.state in _LIVE,
            values=list(self._values(run)),
        )

    def _page(self, request: Request, piece: str, **context: Any) -> Response:
        whole = request.query_params.get("piece") != "1"
        return self._site.render(
            request,
            "runs.html.j2" if whole else piece,
            here="runs",
            piece=piece,
            clock=clock,
            data=data_json({}),
            **context,
        )

    def report(self, request: Request) -> Response:
        """A file of the report that `grouper report` has written."""
        folder = self._find(request).report
        name = request.path_params["file"] or "index.html"
        if folder is not None:
            path = (folder / name).resolve()
            inside = path.is_relative_to(folder.resolve())
            if inside and path.suffix in _REPORT_FILES and path.is_file():
                kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
                return FileResponse(
                    path,
                    media_type=kind,
                    headers={"content-security-policy": REPORT_POLICY, "cache-control": "no-cache"},
                )
        raise NotFoundError(
            "there is no such page of a report", hint="write it with: grouper report RUN"
        )

    def _find(self, request: Request) -> ShownRun:
        run = self._site.runs.find(request.path_params["key"])
        if run is None:
            raise NotFoundError("there is no such run", hint="see the list of runs")
        return run

    def _values(self, run: ShownRun) -> Iterator[tuple[str, list[int | None]]]:
        """Point values (1e-8 yuan) by pool, over the months."""
        if run.manifest is None or run.fault:
            return
        prices = self._site.runs.prices(run)
        for pool in prices.pools:
            yield pool, [prices.values.get((pool, month)) for month in prices.months]


def clock(seconds: float | None) -> str:
    """A time of the register for people, in this machine's zone; empty for none."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
