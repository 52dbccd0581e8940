"""The commands `backup` and `restore`. Parse, call, print."""

from pathlib import Path
from typing import Annotated

import typer

from grouper.counted import counted

DataOption = Annotated[Path, typer.Option("--data", metavar="DIR", help="The data folder.")]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state", metavar="DIR", help="Folder of the register; DATA/.grouper by default."
    ),
]


def backup(
    to: Annotated[Path, typer.Option("--to", metavar="BACKUP", help="The backup, a new folder.")],
    data: DataOption,
    state: StateOption = None,
    inputs: Annotated[
        bool, typer.Option("--inputs", help="Also regions, packs and policies below DATA.")
    ] = False,
    previous: Annotated[
        Path | None,
        typer.Option("--previous", metavar="BACKUP", help="Link what has not changed since."),
    ] = None,
) -> None:
    """Back up a server's register, logs and finished runs, also while it works (备份)."""
    from cluster.backup import back_up

    made = back_up(data, state or data / ".grouper", to, inputs=inputs, previous=previous)
    typer.echo(
        f"{counted(made.runs, 'run')}, {counted(made.files, 'file')}, "
        f"{made.linked:,} of them linked: {to}"
    )
    for place in made.left_out:
        typer.echo(f"note: {place} is no finished run; it is left out", err=True)


def restored(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="A backup.")],
    data: DataOption,
    state: StateOption = None,
) -> None:
    """Restore a backup into a new data folder, every file checked by its digest (恢复)."""
    from cluster.backup import restore

    count = restore(source, data, state or data / ".grouper")
    typer.echo(f"{counted(count, 'file')} restored to {data}")
