"""The application: all pages behind the guard."""

from __future__ import annotations

from importlib.resources import as_file
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from grouper.errors import GrouperError
from grouper.web.case_pages import CasePages
from grouper.web.file_pages import FilePages
from grouper.web.guard import Guard, TooLargeError
from grouper.web.run_pages import RunPages
from grouper.web.scheme_pages import SchemePages
from grouper.web.settings import WebSettings
from grouper.web.site import HERE, NotFoundError, Site, preferred
from grouper.web.words import LANGUAGES, WORDS

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class _Assets(StaticFiles):
    """Scripts and styles; their address changes with their content, so they may be kept."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["cache-control"] = "max-age=86400"
        return response

    async def get_response(self, path: str, scope: Scope) -> Response:
        return await super().get_response(path, scope)


def make_app(site: Site, settings: WebSettings) -> Starlette:
    """The application of a page.

    Args:
        site: schemes, runs and templates.
        settings: under which names the server may be called.
    """

    def root(request: Request) -> Response:
        lang = preferred(request.headers.get("accept-language", ""))
        return RedirectResponse(f"/{lang}/", 307)

    def health(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    def missing(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        lang = request.url.path.strip("/").partition("/")[0]
        words = WORDS["error.404"], WORDS["error.404.hint"]
        at = LANGUAGES.index(lang) if lang in LANGUAGES else 0
        told = GrouperError(words[0][at], hint=words[1][at])
        return site.error(request, told, status, whole=True)

    def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, GrouperError)
        status = 400
        if isinstance(error, NotFoundError):
            status = 404
        elif isinstance(error, TooLargeError):
            status = 413
        piece = request.method == "POST" or request.query_params.get("piece") == "1"
        return site.error(request, error, status, whole=not piece)

    pages = (CasePages(site), FilePages(site), SchemePages(site), RunPages(site))
    with as_file(HERE / "static") as static:
        assets = _Assets(directory=static)
    hosts = () if settings.tls else (*_LOOPBACK, settings.host)
    return Starlette(
        routes=[
            Route("/", root),
            Route("/health", health),
            Mount("/static", assets),
            *(route for page in pages for route in page.routes),
        ],
        middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers={HTTPException: missing, GrouperError: failed},
    )
