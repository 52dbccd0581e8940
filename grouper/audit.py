"""The audit log (审计日志): a JSON line for each thing done, appended and synced."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from grouper.errors import OutputError


def append_line(path: Path, fields: Mapping[str, object]) -> None:
    """Append a line, with the time before its fields; it is on the disk when this returns.

    The file is opened for every line, so that it may be moved away at any time, and is readable by
    its owner only.

    Raises:
        OutputError: it cannot be written; what was to be logged must then not happen.
    """
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    data = (json.dumps({"time": time, **fields}, ensure_ascii=False) + "\n").encode()
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, data)
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise OutputError(
            f"the audit log {path} cannot be written: {error.strerror}",
            hint="nothing was done; mend the folder's permissions or the free space",
        ) from error


def account_name() -> str:
    """The account that this process runs under, whatever the environment says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
