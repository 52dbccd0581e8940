"""The command line: parse, call, print. What a command does stands in the room it calls.

Imports of the engine stand inside the commands, so that `grouper --help` answers at once.
Exit codes: 0 done, 1 failed, 2 the command was not understood or an extra is not installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grouper import __version__
from grouper.cli import (
    appeals,
    cases,
    explain,
    export,
    grouping,
    month,
    quality,
    report,
    scheme,
    settlement,
    synth,
    web,
)
from grouper.cli.options import tell_error
from grouper.errors import GrouperError, MissingExtraError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from typer.models import CommandInfo

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


def _mount_commands() -> None:
    """Add the commands of installed parts (`grouper.commands`)."""
    from importlib.metadata import entry_points

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


def _narrow(words: list[str]) -> bool:
    """Keep only the command or group of this name, if there is one: all would take longer to build.

    Args:
        words: the first word of the command line, or none.
    """
    groups = [g for g in app.registered_groups if [g.name] == words]
    commands = [
        c
        for c in app.registered_commands
        if c.callback and [c.name or c.callback.__name__.replace("_", "-")] == words
    ]
    if groups or commands:
        app.registered_groups, app.registered_commands = groups, commands
    return bool(groups or commands)


def _commands(of: typer.Typer) -> Iterator[CommandInfo]:
    """All commands, those of groups within groups, too."""
    yield from of.registered_commands
    for group in of.registered_groups:
        if group.typer_instance is not None:
            yield from _commands(group.typer_instance)


def _here_only(command: CommandInfo) -> None:
    """Refuse addresses of object stores where a command takes paths of this machine."""
    callback = command.callback
    assert callback is not None

    @wraps(callback)
    def checked(**given: object) -> None:
        for value in given.values():
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, Path) and path.parts[:1] == ("s3:",):
                    raise typer.BadParameter(f"s3://{'/'.join(path.parts[1:])} cannot stand here; "
                                             "name a path of this machine")  # fmt: skip
        callback(**given)

    command.callback = checked


def main() -> None:
    """Entry point of the `grouper` command."""
    for commands in (
        appeals,
        cases,
        explain,
        export,
        grouping,
        month,
        quality,
        report,
        scheme,
        settlement,
        synth,
        web,
    ):
        commands.register(app)
    if not _narrow(sys.argv[1:2]):
        _mount_commands()
    for command in _commands(app):
        _here_only(command)
    try:
        app()
    except MissingExtraError as error:
        _fail(error, 2)
    except GrouperError as error:
        _fail(error, 1)
    except OSError as error:
        if error.filename is None or error.strerror is None:
            raise
        told = GrouperError(
            f"{error.filename!s:.200}: {error.strerror}",
            hint="check the path, its permissions and the free space",
        )
        _fail(told, 1)


def _fail(error: GrouperError, code: int) -> None:
    tell_error(error)
    raise SystemExit(code)
