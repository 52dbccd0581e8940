"""What several commands share: their options, notes, the runner and the progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from grouper.errors import GrouperError
    from grouper.execution import Runner

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
PackArgument = Annotated[
    str, typer.Argument(metavar="PACK", help="Folder of a scheme pack, or a built-in name.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunPlace = Annotated[
    str, typer.Argument(metavar="RUN", help="A finished run folder, or its s3:// address.")
]
RegionPlace = Annotated[
    str,
    typer.Option(
        "--region", metavar="REGION", help="The region folder of the run, or its s3:// address."
    ),
]


def check_encoding(name: str) -> str:
    """The encoding as Python calls it.

    Raises:
        typer.BadParameter: there is none of that name.
    """
    import codecs

    from grouper.cases.files import is_text_encoding

    if not is_text_encoding(name):
        raise typer.BadParameter(f"unknown encoding {name!r}; use utf-8 or gb18030")
    return "utf-8" if codecs.lookup(name).name == "utf-8" else name


def odd_code_lines(counts: Mapping[str, int], scheme: str, *, mapped: bool) -> Iterator[str]:
    """What to say of unknown, retired and grey codes.

    Args:
        counts: `unknown_dx`, `retired_px` …
        mapped: whether codes of another edition were mapped.
    """
    retired = "of another edition, mapped" if mapped else "of these --edition clinical maps"
    told = (
        ("unknown", f"codes that {scheme} does not know"),
        ("retired", retired),
        ("grey", "grey codes (known, but the scheme's map names another)"),
    )
    for kind, what in told:
        dx, px = counts.get(f"{kind}_dx", 0), counts.get(f"{kind}_px", 0)
        if dx or px:
            yield f"{what}: {dx:,} of diagnoses, {px:,} of procedures"


def note(text: str) -> None:
    """Say something beside the result."""
    typer.echo(f"note: {text}", err=True)


def tell_error(error: GrouperError) -> None:
    """Say what is wrong, where, and what to do."""
    place = f"{error.where()}: " if error.where() else ""
    typer.secho(
        f"error: {place}{error.message}", fg="red" if sys.stderr.isatty() else None, err=True
    )
    rule = getattr(error, "rule", "")
    if rule:
        typer.echo(f"  rule: {rule}", err=True)
    if error.hint:
        typer.echo(f"  {error.hint}", err=True)


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
