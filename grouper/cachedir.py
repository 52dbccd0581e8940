"""Where compiled kernels and compiled schemes are kept between runs.

`GROUPER_CACHE` names the folder; otherwise it is the user's cache folder. Nothing in it is needed:
it may be deleted at any time, and whatever cannot be kept there is computed again.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def cache_root() -> Path:
    """The cache folder; it need not exist yet."""
    named = os.environ.get("GROUPER_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "drg-grouper"


def writable_folder(folder: Path) -> Path:
    """`folder`, made where it is missing; a private temporary one where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="drg-grouper-"))
    return folder


def source_digest(files: Iterable[Path]) -> str:
    """A digest over names and bytes of source files: it changes when any of them does."""
    digest = hashlib.sha256()
    for path in sorted(files):
        data = path.read_bytes()
        digest.update(f"{path.name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()[:16]
