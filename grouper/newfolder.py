"""A folder of results that appears whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grouper.errors import OutputError


@contextmanager
def new_folder(out: Path, *, mark: str = "") -> Iterator[Path]:
    """A folder to fill; at the end it becomes `out`, and after an error nothing is left of it.

    Args:
        out: its final name; a new or empty folder.
        mark: a file by which the same command knows what it wrote before: such a folder is
            replaced.

    Raises:
        OutputError: `out` is a file or holds something else, or it cannot be written.
    """
    work = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        if out.exists() and not out.is_dir():
            raise OutputError(f"{out} is a file", hint="name a new or empty folder")
        if out.is_dir() and any(out.iterdir()) and not (mark and (out / mark).is_file()):
            raise OutputError(
                f"{out} holds something else" if mark else f"{out} is there already",
                hint="name a new or empty folder, or one that this command has written"
                if mark
                else "it is never overwritten: name a new folder, or move this one away,"
                " and give the same command again",
            )
        work.mkdir(parents=True)
        yield work
        if out.is_dir():
            shutil.rmtree(out)
        work.replace(out)
    except OSError as error:
        raise OutputError(
            f"{out} cannot be written: {error.strerror or error}",
            hint="check the folder's permissions and the free space",
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
