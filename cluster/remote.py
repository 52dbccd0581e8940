"""Commands for a server that runs: `runs`, `watch`, `cancel`, `fetch` and `send`, over the client.

Imports stand inside the functions, so that the command line starts at once.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grouper.counted import counted
from grouper.errors import MissingExtraError, OutputError

if TYPE_CHECKING:
    import pyarrow as pa

    from cluster.client import Client
    from cluster.drg.v1.run_service_pb2 import Run

TOKEN = "GROUPER_TOKEN"
"""Environment variable of the bearer token; on a command line others would see it."""

Server = Annotated[str, typer.Option("--server", metavar="HOST:PORT", help="The running server.")]
Ca = Annotated[
    Path | None, typer.Option("--ca", help="Root that signed the server's certificate (PEM).")
]
Certificate = Annotated[
    Path | None, typer.Option("--certificate", help="Own certificate, where one is asked for.")
]
Key = Annotated[Path | None, typer.Option("--key", help="Key of the own certificate.")]
RunId = Annotated[str, typer.Argument(metavar="RUN_ID", help="Name of the run on the server.")]

LOOPBACK = "127.0.0.1:50051"


@contextmanager
def connected(
    server: str, ca: Path | None, certificate: Path | None, key: Path | None
) -> Iterator["Client"]:
    """A client; TLS where a file is given or the server is on another machine.

    Raises:
        MissingExtraError: gRPC is not installed.
        typer.BadParameter: the server is not `HOST:PORT`.
    """
    # gRPC's own lines on a failed handshake would stand before what the error says of it.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    try:
        from cluster.channel import Credentials
        from cluster.client import Client
        from cluster.server.config import is_loopback, parse_listen
    except ImportError as error:
        raise MissingExtraError("cluster", "talking to a server") from error
    try:
        host, _ = parse_listen(server)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--server") from None
    encrypted = not is_loopback(host) or any((ca, certificate, key))
    credentials = Credentials(ca, certificate, key, os.environ.get(TOKEN, ""), encrypted)
    with Client(server, credentials=credentials) as client:
        yield client


def runs(
    server: Server = LOOPBACK, ca: Ca = None, certificate: Certificate = None, key: Key = None
) -> None:
    """List the runs of a server, newest first (任务列表)."""
    with connected(server, ca, certificate, key) as client:
        found = list(client.list_runs())
        if not found:
            typer.echo("no runs", err=True)
        for run in found:
            typer.echo(f"{run.run_id}  {_state(run):9}  {run.spec.region} -> {run.spec.out}")


def _state(run: "Run") -> str:
    from cluster.drg.v1.run_service_pb2 import RunState

    return RunState.Name(run.state).removeprefix("RUN_STATE_").lower()


def watch(
    run_id: RunId,
    server: Server = LOOPBACK,
    ca: Ca = None,
    certificate: Certificate = None,
    key: Key = None,
) -> None:
    """Follow a run until it ends, then print the statements (跟踪任务)."""
    with connected(server, ca, certificate, key) as client:
        from cluster.follow import follow_run

        follow_run(client, run_id)


def cancel(
    run_id: RunId,
    server: Server = LOOPBACK,
    ca: Ca = None,
    certificate: Certificate = None,
    key: Key = None,
) -> None:
    """Ask a run to end; its finished parts are kept (取消任务)."""
    with connected(server, ca, certificate, key) as client:
        from cluster.client import ENDED

        run = client.cancel_run(run_id)
        state = _state(run)
        if run.state in ENDED:
            typer.echo(f"run {run_id} {'is' if state == 'cancelled' else 'has already'} {state}")
        else:
            typer.echo(f"run {run_id} was asked to end")


def fetch(
    run_id: RunId,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="For example clearing or points.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Parquet file to write.")],
    server: Server = LOOPBACK,
    ca: Ca = None,
    certificate: Certificate = None,
    key: Key = None,
) -> None:
    """Fetch a table of a run; a hospital gets its own rows (取回结果)."""
    with connected(server, ca, certificate, key) as client:
        rows = _write(client.table(run_id, table), out)
    typer.echo(f"{counted(rows, 'row')} written to {out}")


def send(
    cases: Annotated[
        Path, typer.Option("--cases", metavar="FILE_OR_DIR", help="Parquet, CSV or Arrow IPC.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Parquet file to write.")],
    scheme: Annotated[str, typer.Option("--scheme", help="Id of a scheme of the server.")] = "",
    encoding: Annotated[str, typer.Option("--encoding", help="Of CSV files.")] = "utf-8",
    server: Server = LOOPBACK,
    ca: Ca = None,
    certificate: Certificate = None,
    key: Key = None,
) -> None:
    """Group a file of any size on a server (远程分组)."""
    with connected(server, ca, certificate, key) as client:
        rows = _write(client.group_file(cases, scheme, encoding), out)
    typer.echo(f"{counted(rows, 'case')} written to {out}")


def _write(pieces: "Iterator[pa.Table]", out: Path) -> int:
    """Writes tables as they come under another name, which becomes the right one at the end."""
    import pyarrow.parquet as pq

    unfinished = out.with_name(f".{out.name}.unfinished")
    rows = 0
    writer = None
    try:
        for piece in pieces:
            if writer is None:
                writer = pq.ParquetWriter(unfinished, piece.schema, store_schema=False)
            writer.write_table(piece)
            rows += piece.num_rows
        if writer is None:
            raise OutputError("no cases came", hint="see that the input is not empty")
        writer.close()
        unfinished.replace(out)
    except OSError as error:
        raise OutputError(
            f"cannot write {out}: {error.strerror}", hint="name another place"
        ) from error
    finally:
        if writer is not None:
            writer.close()
        unfinished.unlink(missing_ok=True)
    return rows
