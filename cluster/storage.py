"""Regions and runs in object stores (S3 and whatever else pyarrow opens by its address).

A run works in a folder and lives in the store: the region is brought in beforehand, the run is
published afterwards. A file is uploaded under its final name, and is there whole or not at all; it
is recorded when it is there, and the manifest comes last, so that a run with a manifest is
complete. An interrupted transfer goes on behind the last recorded file.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pyarrow as pa
from pyarrow import fs

from grouper.errors import OutputError, RegionError

MANIFEST = "manifest.json"
_RECORD = "transferred.jsonl"
_WORK = ".work"
_CHUNK = 4 << 20


def is_address(place: str) -> bool:
    """Whether a place lies in an object store."""
    return "://" in place


def may_use(address: str, prefixes: tuple[str, ...]) -> bool:
    """Whether an address lies below one of the prefixes, whatever its segments pretend."""
    segments = address.partition("://")[2].split("/")
    plain = not {"", ".", ".."} & set(segments) and not set("?#%\\\0") & set(address)
    return plain and any(address.startswith(f"{prefix}/") for prefix in prefixes)


def opened(place: str | Path) -> tuple[fs.FileSystem, str]:
    """The file system of a folder or address, and the path in it.

    Raises:
        RegionError: no such kind of store, or it does not answer.
    """
    if not is_address(str(place)):
        return fs.LocalFileSystem(), str(place)
    try:
        found: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(_with_endpoint(str(place)))
    except (OSError, pa.ArrowException) as error:
        raise RegionError(
            f"cannot open {place}: {_first_line(error)}",
            hint="credentials come from the environment: AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL …",
        ) from error
    return found


def _with_endpoint(address: str) -> str:
    """The address with the endpoint of an S3-compatible store, where the environment names one."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint or not address.startswith("s3://"):
        return address
    scheme, _, host = endpoint.partition("://")
    query = {"scheme": scheme, "endpoint_override": host.rstrip("/")}
    if region := os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
        query["region"] = region
    return f"{address}?{urlencode(query)}"


def files_below(place: str | Path) -> list[fs.FileInfo]:
    """The files of a folder or address, by name.

    Raises:
        RegionError: the store does not answer, or nothing is there.
    """
    system, path = opened(place)
    try:
        found = system.get_file_info(fs.FileSelector(path, recursive=True))
    except OSError as error:
        raise RegionError(
            f"cannot list {place}: {_first_line(error)}", hint="see its name and your rights"
        ) from error
    return sorted((one for one in found if one.is_file), key=lambda one: one.path)


def bring(address: str, folder: Path) -> None:
    """Copies a region into a folder; what was copied before and is the same there stays.

    Raises:
        RegionError: the store does not answer, or holds nothing there.
    """
    system, base = opened(address)
    known = _Record(folder.parent, "in")
    files = files_below(address)
    if not files:
        raise RegionError(f"there is nothing at {address}", hint="see the name of the bucket")
    names = set()
    for file in files:
        name = file.path.removeprefix(base).lstrip("/")
        names.add(name)
        target = folder / name
        mark = f"{file.size} {file.mtime_ns}"
        if target.is_file() and known.marks.get(name) == mark:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.unfinished")
        try:
            with system.open_input_stream(file.path) as source, unfinished.open("wb") as sink:
                while chunk := source.read(_CHUNK):
                    sink.write(chunk)
                sink.flush()
                os.fsync(sink.fileno())
        except OSError as error:
            raise RegionError(
                f"cannot read {name}: {_first_line(error)}", file=name, hint="start the run again"
            ) from error
        unfinished.replace(target)
        known.add(name, mark)
    for path in list(folder.rglob("*")):
        if path.is_file() and str(path.relative_to(folder)) not in names:
            path.unlink()  # it is no longer in the store


def publish(folder: Path, address: str) -> None:
    """Copies a complete run to the store, the manifest last.

    Raises:
        OutputError: the store refuses, or what is there afterwards is not what was sent.
    """
    system, base = opened(address)
    known = _Record(folder.parent, "out")
    try:
        for name in _of_run(folder):
            data = folder / name
            mark = _digest(data)
            if known.marks.get(name) == mark and _size(system, f"{base}/{name}") >= 0:
                continue
            with data.open("rb") as source, system.open_output_stream(f"{base}/{name}") as sink:
                while chunk := source.read(_CHUNK):
                    sink.write(chunk)
            if _size(system, f"{base}/{name}") != data.stat().st_size:
                raise OutputError(f"{name} did not arrive whole", hint="start the run again")
            known.add(name, mark)
    except OSError as error:
        raise OutputError(
            f"cannot write to {address}: {_first_line(error)}",
            hint="see your rights and the room left there, then start the run again",
        ) from error


def _of_run(folder: Path) -> Iterator[str]:
    names = sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and _WORK not in path.relative_to(folder).parts
    )
    yield from (name for name in names if name != MANIFEST)
    yield from (name for name in names if name == MANIFEST)


def _size(system: fs.FileSystem, path: str) -> int:
    info = system.get_file_info(path)
    return int(info.size) if info.is_file else -1


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


class _Record:
    """What was transferred, a JSON line a file, written after the file is there."""

    def __init__(self, folder: Path, way: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{way}-{_RECORD}"
        self.marks: dict[str, str] = {}
        if self._path.is_file():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                try:
                    name, mark = json.loads(line)
                except ValueError:
                    continue  # cut off when the power went: the file is transferred again
                self.marks[name] = mark

    def add(self, name: str, mark: str) -> None:
        """Records a file."""
        self.marks[name] = mark
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([name, mark]) + "\n")
            file.flush()
            os.fsync(file.fileno())
