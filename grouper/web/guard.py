"""What stands before every page: who may ask, how much, and what a browser may do with the answer.

There are no cookies and no accounts, and no request changes anything; still another site's page
must not read this one through the user's browser. So a request must name this server as its host
(a foreign name that points here is turned away), a POST must come from one of our own pages and be
of a type that no plain form can send, and no answer may be framed or read across origins.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grouper.errors import GrouperError

_log = logging.getLogger(__name__)

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
REPORT_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:; font-src data:; form-action 'none'; base-uri 'none';"
    " frame-ancestors 'none'"
)
"""Pages of a report carry their data and chart styles inside."""

_HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
BODY_TYPES: Final = ("application/json", "application/octet-stream")


class TooLargeError(GrouperError):
    """A body larger than the page takes."""

    code = "TOO_LARGE"


class Guard:
    """ASGI middleware.

    Args:
        hosts: names under which the server may be called; empty for any (behind certificates).
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Turn a request away, or pass it on and mark the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        started: list[bool] = []

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(True)
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refusal(scope)
        try:
            await (refused or self._app)(scope, receive, marked)
        except Exception as error:
            # Where, not what: the message of an error may name a diagnosis.
            place = traceback.extract_tb(error.__traceback__)[-1]
            _log.error("%s at %s:%d", type(error).__name__, place.filename, place.lineno)
            if started:
                raise
            await PlainTextResponse("an error inside the server\n", 500)(scope, receive, marked)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._hosts and _name(host) not in self._hosts:
            return PlainTextResponse("this server is not called so\n", 421)
        if scope["method"] in ("GET", "HEAD"):
            return None
        origin = headers.get("origin")
        if origin is not None and origin != f"{scope['scheme']}://{host}":
            return PlainTextResponse("only this server's own pages may send\n", 403)
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("only this server's own pages may send\n", 403)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] == "POST" and kind not in BODY_TYPES:
            return PlainTextResponse(f"send {' or '.join(BODY_TYPES)}\n", 415)
        return None


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a request, which is never held beyond the limit.

    Raises:
        TooLargeError: it is larger.
    """
    body = bytearray()
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> TooLargeError:
    size = f"{limit // 1024**2} MB" if limit >= 1024**2 else f"{limit // 1024} KB"
    return TooLargeError(
        f"more than {size}", hint="the command line takes files of any size: grouper group"
    )
