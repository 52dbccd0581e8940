"""Commands as a user types them, without the second that a process of its own takes to start."""

import contextlib
import io
import sys
from pathlib import Path
from unittest import mock

from grouper.cli import app as line


def typed(*arguments: str | Path, code: int = 0) -> str:
    """What a command prints on both streams; its exit code must be the given one."""
    told = io.StringIO()
    line.app.registered_commands.clear()  # `main` registers them, once in a process
    line.app.registered_groups.clear()
    with (
        mock.patch.object(sys, "argv", ["grouper", *map(str, arguments)]),
        contextlib.redirect_stdout(told),
        contextlib.redirect_stderr(told),
    ):
        try:
            line.main()
            ended: int | str | None = 0
        except SystemExit as error:
            ended = error.code
    assert (ended or 0) == code, told.getvalue()
    return told.getvalue()
