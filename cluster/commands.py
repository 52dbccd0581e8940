"""Commands of the service: `serve`, `submit` and `demo`. Parse, call, print.

Imports stand inside the functions, so that the command line starts at once, and can say what to
install where the extra is missing.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from cluster.remote import Ca, Certificate, Key, Server, connected
from grouper.counted import counted
from grouper.errors import MissingExtraError, RunError

DEMO_CASES, DEMO_HOSPITALS, DEMO_SEED = 100_000, 10, 1
_LISTENING = "serving on "
_GROUPER = (sys.executable, "-m", "grouper")


@contextmanager
def _extra(command: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingExtraError("cluster", f"grouper {command}") from error


def serve(
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="TOML", help="Settings; see docs/service.md."),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="HOST:PORT",
            help="127.0.0.1:50051 by default; port 0 lets the system choose.",
        ),
    ] = None,
    scheme: Annotated[
        list[str] | None,
        typer.Option("--scheme", metavar="PACK", help="Schemes to group by; may be repeated."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder below which regions and run folders lie.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="Folder of the register of runs; DATA/.grouper by default."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Workers of a run.")
    ] = None,
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="ADDRESS", help="Run on this Ray cluster.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option("--metrics", metavar="HOST:PORT", help="Prometheus over HTTP.")
    ] = None,
    web: Annotated[
        bool, typer.Option("--web", help="Also a page to try, for browsers on this machine.")
    ] = False,
    web_listen: Annotated[
        str, typer.Option("--web-listen", metavar="HOST:PORT", help="Where the page listens.")
    ] = "127.0.0.1:8051",
    run: Annotated[
        list[Path] | None,
        typer.Option("--run", metavar="RUN", help="For the page: run folders that price a case."),
    ] = None,
) -> None:
    """Serve grouping and settlement runs over gRPC until stopped (服务)."""
    with _extra("serve"):
        import asyncio
        import os

        # Its own lines, one for every failed handshake, are no JSON and say nothing of the caller.
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        from cluster.server import app
        from cluster.server.config import load_config, parse_listen
        from cluster.server.logs import log_as_json
        from cluster.web import page_beside
        from grouper.web.settings import is_everywhere, name_of
    log_as_json()
    if listen is not None:
        try:
            parse_listen(listen)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--listen") from None
    options = {
        "listen": listen,
        "data": data.resolve() if data else None,
        "state": state.resolve() if state else None,
        "schemes": tuple(scheme) if scheme else None,
        "workers": workers,
        "ray": ray,
        "metrics": metrics,
    }
    if web:
        try:
            parse_listen(web_listen)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--web-listen") from None
    given = {name: value for name, value in options.items() if value is not None}
    settings = load_config(config, os.environ, given)

    page = page_beside(settings, web_listen, run or ()) if web else nullcontext("")
    with page as address:

        def started(chosen: int) -> None:
            host = f"{name_of(settings.host)}:{chosen}"
            everywhere = " on all interfaces" if is_everywhere(settings.host) else ""
            typer.echo(f"{_LISTENING}{host}{everywhere}, data below {settings.data}; Ctrl-C stops")
            if address:
                typer.echo(f"the page to try: {address}")
            sys.stdout.flush()

        asyncio.run(app.serve(settings, started))


def submit(
    region: Annotated[str, typer.Argument(metavar="REGION", help="The region folder.")],
    scheme: Annotated[str, typer.Option("--scheme", metavar="PACK", help="Scheme of the run.")],
    policy: Annotated[str, typer.Option("--policy", metavar="POLICY", help="Payment rules.")],
    out: Annotated[str, typer.Option("--out", metavar="RUN", help="The run folder to write.")],
    server: Server = "127.0.0.1:50051",
    encoding: Annotated[str, typer.Option("--encoding", help="Of CSV files of cases.")] = "utf-8",
    request_id: Annotated[
        str | None, typer.Option("--request-id", help="Makes a repeated submit harmless.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait for the end and print the statements.")
    ] = False,
    ca: Ca = None,
    certificate: Certificate = None,
    key: Key = None,
) -> None:
    """Submit a settlement run to a server (提交结算任务).

    Names are folders below the server's data folder; on this machine, paths work as well.
    """
    with connected(server, ca, certificate, key) as client:
        from cluster.follow import follow_run, hospital_names
        from cluster.server.config import is_loopback, parse_listen
        from grouper.stores import is_address

        here = is_loopback(parse_listen(server)[0])
        # A region that is named below the data folder has its run there, too.
        near = here and Path(region).exists() and not is_address(out)
        run = client.start_run(
            region=_place(region, here=here),
            scheme=_place(scheme, here=here),
            policy=_place(policy, here=here),
            out=str(Path(out).resolve()) if near else out,
            encoding=encoding,
            request_id=request_id,
        )
        typer.echo(f"run {run.run_id} is taken in")
        if follow:
            follow_run(client, run.run_id, hospital_names(Path(region)) if here else None)


def _place(name: str, *, here: bool) -> str:
    """A path that exists on the server's own machine, or the name as it is."""
    return str(Path(name).resolve()) if here and Path(name).exists() else name


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the region and its run.")] = Path(
        "demo"
    ),
    cases: Annotated[int, typer.Option("--cases", min=1, help="Number of cases.")] = DEMO_CASES,
    hospitals: Annotated[int, typer.Option("--hospitals", min=1)] = DEMO_HOSPITALS,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Workers on local Ray.")] = 2,
) -> None:
    """Make a region up, settle it on local Ray through the gRPC front end, show it (演示)."""
    with _extra("demo"):
        from cluster.client import Client
        from cluster.follow import follow_run, hospital_names
    region = out / "region"
    if region.is_dir():
        typer.echo(f"the region is there from an earlier demo: {region}")
    else:
        _make_region(region, cases, hospitals)
    with _serving(out, workers) as server, Client(server) as client:
        typer.echo(f"a server listens on {server}")
        run = client.start_run(
            region="region", scheme="chs-core", policy="guigang-points", out="run"
        )
        follow_run(client, run.run_id, hospital_names(region))
    typer.echo(f"the run folder: {out / 'run'}")


def _make_region(region: Path, cases: int, hospitals: int) -> None:
    from grouper.cli.options import progress_bar
    from grouper.scheme import load_scheme
    from grouper.synth import synthesize

    scheme = load_scheme("chs-core")
    # Under another name until it is whole, so that an interrupted demo leaves no half region.
    made = region.with_name(".region")
    shutil.rmtree(made, ignore_errors=True)
    with progress_bar("making cases up", cases) as advance:
        synthesize(
            scheme, cases=cases, hospitals=hospitals, seed=DEMO_SEED, out=made, progress=advance
        )
    made.replace(region)
    typer.echo(f"made up {counted(cases, 'case')} of {counted(hospitals, 'hospital')}: {region}")


@contextmanager
def _serving(data: Path, workers: int) -> Iterator[str]:
    """A server in a process of its own; gives its address."""
    command = [*_GROUPER, "serve", "--listen", "127.0.0.1:0"]
    command += ["--data", str(data), "--workers", str(workers)]
    state = data / ".grouper"
    state.mkdir(parents=True, exist_ok=True)
    with (state / "server.log").open("a") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line.startswith(_LISTENING):
            raise RunError("the server did not start", hint=f"see {state / 'server.log'}")
        yield line.removeprefix(_LISTENING).partition(",")[0]
    finally:
        server.terminate()
        server.communicate()
