"""A folder of results that appears whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grouper.errors import OutputError


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to fill; at the end it becomes `out`, and after an error nothing is left of it.

    Raises:
        OutputError: `out` is a file or holds something, or it cannot be written.
    """
    work = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise OutputError(
                f"{out} is there already" if out.is_dir() else f"{out} is a file",
                hint="name a new or empty folder",
            )
        work.mkdir(parents=True)
        yield work
        if out.is_dir():
            out.rmdir()
        work.replace(out)
    except OSError as error:
        raise OutputError(
            f"{out} cannot be written: {error.strerror or error}",
            hint="check the folder's permissions and the free space",
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
