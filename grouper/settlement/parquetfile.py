"""Parquet files of a region folder: what cannot be read is told with the file's name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from grouper.errors import RegionError


@contextmanager
def reading(file: str) -> Iterator[None]:
    """Say in our words what pyarrow says of a file.

    Raises:
        RegionError: the file is not Parquet, or a column is of another type.
    """
    try:
        yield
    except (OSError, pa.ArrowException) as cause:
        raise RegionError(
            f"cannot be read: {str(cause).splitlines()[0]}", file=file, hint="export it again"
        ) from cause


def column_names(path: Path, needed: Sequence[str], *, wants: str = "it needs") -> list[str]:
    """The columns of a file.

    Args:
        path: the file.
        needed: columns that must be there.
        wants: how the hint begins that names them.

    Raises:
        RegionError: the file is not Parquet, or a needed column is missing.
    """
    with reading(path.name):
        names = pq.read_schema(path).names
    if missing := [name for name in needed if name not in names]:
        raise RegionError(
            f"column '{missing[0]}' is missing",
            file=path.name,
            hint=f"{wants} {', '.join(needed)}",
        )
    return list(names)
