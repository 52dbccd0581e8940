"""The command line: parse, call, print. What a command does stands in the room it calls.

Imports of the engine stand inside the commands, so that `grouper --help` answers at once.
Exit codes: 0 done, 1 failed, 2 the command was not understood or an extra is not installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grouper import __version__
from grouper.errors import GrouperError, MissingExtraError

if TYPE_CHECKING:
    from grouper.execution import Runner

COMMAND_GROUP = "grouper.commands"
"""Entry point group: further commands, each a function for typer."""

app = typer.Typer(
    name="grouper",
    help="DRG grouping and settlement (DRG 分组与结算), exact to the fen.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

SchemeOption = Annotated[
    str,
    typer.Option("--scheme", metavar="PACK", help="Folder of a scheme pack, or a built-in name."),
]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=1, help="Worker processes; 1 works in this process.")
]
RayOption = Annotated[
    str | None, typer.Option("--ray", metavar="ADDRESS", help="Work on this Ray cluster.")
]
EditionOption = Annotated[
    str,
    typer.Option("--edition", help="Edition of the cases' codes: insurance or clinical."),
]
EncodingOption = Annotated[
    str, typer.Option("--encoding", help="Encoding of CSV files: utf-8 or gb18030.")
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"grouper {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def group(
    scheme: SchemeOption,
    cases: Annotated[
        Path, typer.Option("--cases", metavar="FILE_OR_DIR", help="Parquet, CSV or Arrow IPC.")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE_OR_DIR", help="X.parquet, or a folder of parts."),
    ],
    workers: WorkersOption = 1,
    ray: RayOption = None,
    encoding: EncodingOption = "utf-8",
    edition: EditionOption = "insurance",
) -> None:
    """Group cases: MDC, ADRG and DRG of each (病例分组)."""
    from grouper.bulk import group_files
    from grouper.cases import open_cases
    from grouper.grouping import columns_for, required_for
    from grouper.scheme import load_scheme

    loaded = load_scheme(scheme, edition=edition)
    source = open_cases(
        cases,
        wanted=columns_for(loaded),
        required=required_for(loaded),
        encoding=check_encoding(encoding),
    )
    for name in source.absent:
        note(f"no column {name}: it counts as null")
    with running(workers, ray) as runner, progress_bar("grouping", source.rows) as advance:
        counts = group_files(source, loaded, out, runner, advance)
    total = sum(counts[s] for s in ("grouped", "ambiguous", "ungrouped", "invalid"))
    typer.echo(
        f"{total:,} cases: {counts['grouped']:,} grouped, {counts['ambiguous']:,} ambiguous,"
        f" {counts['ungrouped']:,} ungrouped, {counts['invalid']:,} invalid"
    )
    if counts.get("unknown_dx") or counts.get("unknown_px"):
        typer.echo(
            f"codes that {loaded.id} does not know: {counts['unknown_dx']:,} of diagnoses,"
            f" {counts['unknown_px']:,} of procedures"
        )
    if counts.get("undated"):
        note(f"{counts['undated']:,} cases were discharged on days without a valid pack")
    typer.echo(f"written to {out}")


@app.command()
def warmup() -> None:
    """Compile every kernel into the cache, so that later commands start at once."""
    from grouper.kernels import load_all
    from grouper.kernels.jit import cache_folder

    with progress_bar("compiling", -1):
        names = load_all()
    typer.echo(f"{len(names)} kernel modules are ready in {cache_folder()}")


def check_encoding(name: str) -> str:
    """The encoding as Python calls it.

    Raises:
        typer.BadParameter: there is none of that name.
    """
    import codecs

    try:
        return "utf-8" if codecs.lookup(name).name == "utf-8" else name
    except LookupError:
        raise typer.BadParameter(f"unknown encoding {name!r}; use utf-8 or gb18030") from None


def note(text: str) -> None:
    """Say something beside the result."""
    typer.echo(f"note: {text}", err=True)


@contextmanager
def running(workers: int, ray: str | None) -> Iterator[Runner]:
    """A runner, closed at the end."""
    from grouper.execution import open_runner

    runner = open_runner(workers, ray)
    try:
        yield runner
    finally:
        runner.close()


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal, nothing elsewhere.

    Args:
        total: number of steps; -1 where it is not known.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None if total < 0 else total)
        yield lambda done: progress.update(task, advance=done)


def _mount_commands() -> None:
    """Add the commands of installed parts (`grouper.commands`)."""
    for entry in sorted(entry_points(group=COMMAND_GROUP), key=lambda e: e.name):
        try:
            command = entry.load()
        except ImportError as error:
            command = _unavailable(entry, error)
        app.command(entry.name, help=command.__doc__)(command)


def _unavailable(entry: EntryPoint, error: ImportError) -> Callable[..., None]:
    def command(context: typer.Context) -> None:
        raise MissingExtraError("cluster", f"grouper {entry.name}") from error

    command.__doc__ = "(needs the extra 'cluster')"
    return command


def main() -> None:
    """Entry point of the `grouper` command."""
    from grouper import (
        cli_quality,
        cli_report,
        cli_scheme,
        cli_settlement,
        cli_synth,
        cli_web,
    )

    cli_quality.register(app)
    cli_report.register(app)
    cli_scheme.register(app)
    cli_settlement.register(app)
    cli_synth.register(app)
    cli_web.register(app)
    _mount_commands()
    try:
        app()
    except MissingExtraError as error:
        _fail(error, 2)
    except GrouperError as error:
        _fail(error, 1)


def _fail(error: GrouperError, code: int) -> None:
    place = f"{error.where()}: " if error.where() else ""
    typer.secho(
        f"error: {place}{error.message}", fg="red" if sys.stderr.isatty() else None, err=True
    )
    rule = getattr(error, "rule", "")
    if rule:
        typer.echo(f"  rule: {rule}", err=True)
    if error.hint:
        typer.echo(f"  {error.hint}", err=True)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
