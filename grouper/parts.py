"""Writing result tables as Parquet: whole or not at all, and the same bytes every time."""

from __future__ import annotations

import codecs
import errno
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from grouper.errors import OutputError

_INTEGER_DIGITS: Final = 18
"""Decimals of so many digits fit an integer of 64 bits."""

EXCEL_MARK: Final = codecs.BOM_UTF8
"""Begins a CSV file for people: without it Excel takes Chinese names for another encoding."""


def part_name(number: int) -> str:
    """File name of a part."""
    return f"part-{number:05d}.parquet"


class ParquetFile:
    """A Parquet file under construction: it appears under its name when it is complete.

    Readers see plain strings; dictionaries are an encoding only. Used as a context manager; an
    exception inside leaves nothing behind.
    """

    def __init__(
        self, path: Path, schema: pa.Schema, *, plain: Iterable[str] = ("case_id",)
    ) -> None:
        """Begin a file.

        Args:
            path: its final name; the folder exists.
            schema: the columns; texts may come as dictionaries of strings.
            plain: columns that are written without a dictionary, having as many values as rows.
        """
        self.path = path
        self.rows = 0
        self._temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        self._schema = schema
        plain = set(plain)
        self._options = {
            "compression": "zstd",
            "compression_level": 1,
            "use_dictionary": [n for n in schema.names if n not in plain],
            "write_statistics": False,
            "store_schema": False,
            # Integers take half the time of bytes of fixed length to write, and a third to read.
            "store_decimal_as_integer": True,
            "column_encoding": {
                f.name: "DELTA_BINARY_PACKED" for f in schema if f.name in plain and _whole(f.type)
            },
        }
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        try:
            self._writer = pq.ParquetWriter(self._temporary, self._schema, **self._options)
        except OSError as error:
            raise unwritable(self.path, error) from error
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch; it becomes one row group."""
        assert self._writer is not None
        if batch.num_rows:
            try:
                self._writer.write_batch(batch, row_group_size=batch.num_rows)
            except OSError as error:
                raise unwritable(self.path, error) from error
            self.rows += batch.num_rows

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._writer is not None
        try:
            self._writer.close()
            if kind is None:
                with self._temporary.open("rb") as file:
                    os.fsync(file.fileno())
                self._temporary.replace(self.path)
        except OSError as error:
            raise unwritable(self.path, error) from error
        finally:
            with suppress(FileNotFoundError):
                self._temporary.unlink()


def _whole(kind: pa.DataType) -> bool:
    """Whether decimals of a type are written as integers."""
    return bool(pa.types.is_decimal(kind) and kind.precision <= _INTEGER_DIGITS)


_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_OF_THE_DISK = _FULL | {errno.EROFS, errno.EIO}


def unwritable(path: Path, error: OSError) -> OutputError:
    """What to tell of a file or folder that the system does not let us write."""
    hint = "check the folder's permissions and the free space"
    if error.errno in _FULL:
        hint = "make room and give the same command again"
    return OutputError(f"{path.name} cannot be written: {_reason(error)}", hint=hint)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error).partition("\n")[0]


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Say in our words what the disk below a folder refuses, whoever wrote there.

    Raises:
        OutputError: the disk is full, read-only or broken.
    """
    try:
        yield
    except OSError as error:
        inside = error.filename is not None and Path(str(error.filename)).is_relative_to(place)
        if error.errno in _OF_THE_DISK or inside:
            raise unwritable(place, error) from error
        raise


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, so that a rename is still there after power loss."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
