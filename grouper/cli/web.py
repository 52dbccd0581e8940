"""The command `web`: a page to try, without the service. Parse, call, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from grouper.errors import MissingExtraError


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(web)


def web(
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Port 0 lets the system choose.")
    ] = "127.0.0.1:8051",
    scheme: Annotated[
        list[str] | None,
        typer.Option("--scheme", metavar="PACK", help="Schemes to group by; may be repeated."),
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option("--run", metavar="RUN", help="Run folders that price a case; repeatable."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Also show the runs below this folder."),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="PEM", help="The server's certificate.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="PEM", help="The key of the certificate.")
    ] = None,
    tls_clients: Annotated[
        Path | None,
        typer.Option("--tls-clients", metavar="PEM", help="Authority that admits browsers."),
    ] = None,
) -> None:
    """Open a page on this machine: try a case or a file, browse a scheme, watch runs (网页)."""
    try:
        import uvicorn  # noqa: F401 - what the extra brings, before anything of our own
    except ImportError as error:
        raise MissingExtraError("web", "grouper web") from error
    from grouper.web.server import serve
    from grouper.web.settings import Tls, WebSettings, is_everywhere, parse_address

    try:
        host, port = parse_address(listen)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--listen") from None
    tls = None
    if tls_cert or tls_key or tls_clients:
        if not (tls_cert and tls_key and tls_clients):
            raise typer.BadParameter("give --tls-cert, --tls-key and --tls-clients together")
        tls = Tls(tls_cert, tls_key, tls_clients)
    settings = WebSettings(
        host=host,
        port=port,
        schemes=tuple(scheme or ("chs-core",)),
        runs=tuple(run or ()),
        data=data,
        tls=tls,
    )

    def started(address: str) -> None:
        everywhere = " (it listens on all interfaces)" if is_everywhere(host) else ""
        typer.echo(f"open {address} in a browser{everywhere}; Ctrl-C stops")
        sys.stdout.flush()

    serve(settings, started)
