"""The page's server: a thread with a loop of its own, so that it stands beside any other server."""

from __future__ import annotations

import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import uvicorn

from grouper.web.app import make_app
from grouper.web.runs import RunBook, RunSource
from grouper.web.settings import AddressError, Tls, WebSettings, name_of
from grouper.web.shelf import Shelf
from grouper.web.site import Site

_MOST_CONNECTIONS: Final = 64
_GRACE_SECONDS: Final = 5
_START_SECONDS: Final = 30.0


class WebServer:
    """One page. Used as a context manager: entered, it is warm and answers.

    Args:
        settings: where it listens, and what it shows.
        source: the register of a server, whose runs it shows.

    Raises:
        AddressError: the address is taken, or a certificate cannot be read.
        PackError: a scheme cannot be loaded.
    """

    def __init__(self, settings: WebSettings, source: RunSource | None = None) -> None:
        self._settings = settings
        self._source = source
        self._thread: threading.Thread | None = None
        self._server: uvicorn.Server | None = None
        self.port = 0

    @property
    def address(self) -> str:
        """What to type into a browser."""
        scheme = "https" if self._settings.tls else "http"
        return f"{scheme}://{name_of(self._settings.host)}:{self.port}/"

    def __enter__(self) -> Self:
        settings = self._settings
        tls = settings.tls
        if tls:
            _context(tls)
        listening = _listen(settings)
        try:
            self.port = listening.getsockname()[1]
            shelf = Shelf(settings.schemes)
            shelf.warm_up()
            site = Site(shelf, RunBook(settings.runs, settings.data, self._source))
            self._server = uvicorn.Server(
                uvicorn.Config(
                    make_app(site, settings),
                    access_log=False,
                    log_config=None,
                    lifespan="off",
                    ws="none",
                    server_header=False,
                    proxy_headers=False,
                    limit_concurrency=_MOST_CONNECTIONS,
                    timeout_graceful_shutdown=_GRACE_SECONDS,
                    ssl_context_factory=(lambda *_: _context(tls)) if tls else None,
                )
            )
        except BaseException:
            listening.close()
            raise
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listening]}, name="web", daemon=True
        )
        self._thread.start()
        ends = time.monotonic() + _START_SECONDS
        while not self._server.started and self._thread.is_alive() and time.monotonic() < ends:
            time.sleep(0.01)
        if not self._server.started:
            raise AddressError("the page did not start", hint="see the messages above")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()


def _listen(settings: WebSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise AddressError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}",
            hint="is another server there? choose another port, or 0 for any",
        ) from error
    return listening


def _context(tls: Tls) -> ssl.SSLContext:
    """A server that shows its certificate and asks every browser for one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        context.load_verify_locations(tls.clients)
    except OSError as error:
        raise AddressError(
            f"a certificate cannot be read: {error.strerror or error}",
            hint="the --tls- options name PEM files",
        ) from error
    return context


def serve(settings: WebSettings, started: Callable[[str], None]) -> None:
    """Serve the page until SIGTERM or SIGINT.

    Args:
        settings: where it listens, and what it shows.
        started: called with the address once the page is warm.
    """
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with WebServer(settings) as server:
        started(server.address)
        stopped.wait()
