"""The page of a small file: uploaded, grouped, shown, handed back."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from grouper.grouping import STATUS, columns_for
from grouper.web.guard import read_body
from grouper.web.settings import MAX_UPLOAD_BYTES, MAX_UPLOAD_CASES
from grouper.web.site import Site, data_json
from grouper.web.upload import PREVIEW_ROWS, as_csv, as_parquet, group_upload

_WAYS: Final = {
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "parquet": (as_parquet, "application/vnd.apache.parquet"),
}


class FilePages:
    """Endpoints of the file page."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.routes = [
            Route("/{lang:language}/file", self.page),
            Route("/{lang:language}/file", self.group, methods=["POST"]),
        ]

    def page(self, request: Request) -> Response:
        """Where a file is dropped."""
        shown = self._site.shown(request.query_params.get("scheme"))
        return self._site.render(
            request,
            "file.html.j2",
            here="file",
            shown=shown,
            schemes=self._site.shelf.schemes,
            columns=columns_for(shown.scheme),
            most=MAX_UPLOAD_CASES,
            megabytes=MAX_UPLOAD_BYTES // 1024**2,
            data=data_json({"scheme": shown.key, "megabytes": MAX_UPLOAD_BYTES // 1024**2}),
        )

    async def group(self, request: Request) -> Response:
        """Group the file that is the body; `as` names the form of the answer, else a preview."""
        data = await read_body(request, MAX_UPLOAD_BYTES)
        return await run_in_threadpool(self._group, request, data)

    def _group(self, request: Request, data: bytes) -> Response:
        shown = self._site.shown(request.query_params.get("scheme"))
        name = PurePath(request.query_params.get("name", "")).name[:200]
        made = group_upload(name, data, shown.scheme)
        way = request.query_params.get("as", "")
        if way in _WAYS:
            write, kind = _WAYS[way]
            told = quote(f"{PurePath(name).stem}-grouped.{way}")
            return Response(
                write(made.table),
                media_type=kind,
                headers={"content-disposition": f"attachment; filename*=UTF-8''{told}"},
            )
        return self._site.render(
            request,
            "grouped.html.j2",
            shown=shown,
            made=made,
            name=name,
            statuses=STATUS,
            first=PREVIEW_ROWS,
            data_json=data_json,
        )
