"""Regions, runs and cases in object stores (S3 and whatever else pyarrow opens by its address).

Work is done in folders: what is read is brought in beforehand, what was written is published
afterwards. A file is uploaded under its final name, and is there whole or not at all; it
is recorded when it is there, and the manifest comes last, so that a run with a manifest is
complete. An interrupted transfer goes on behind the last recorded file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pyarrow as pa
from filelock import FileLock, Timeout
from pyarrow import fs

from grouper.cachedir import cache_root
from grouper.errors import GrouperError, OutputError, RegionError, RunError
from grouper.parts import file_digest, unwritable
from grouper.transferred import Record

MANIFEST = "manifest.json"
_WORK = ".work"
_CHUNK = 4 << 20
_OF_REGION = ("cases", "history", "closed_cases", "months")


def is_address(place: str) -> bool:
    """Whether a place lies in an object store."""
    return "://" in place


def may_use(address: str, prefixes: tuple[str, ...]) -> bool:
    """Whether an address lies below one of the prefixes, whatever its segments pretend."""
    segments = address.partition("://")[2].split("/")
    plain = not {"", ".", ".."} & set(segments) and not set("?#%\\\0") & set(address)
    return plain and any(address.startswith(f"{prefix}/") for prefix in prefixes)


def within_region(run: str, region: str) -> str:
    """Why a run may not lie where it would: in a folder of its region's own files; empty if it may.

    Args:
        run, region: resolved paths, or addresses.
    """
    below = run.removeprefix(f"{region.rstrip('/')}/").partition("/")[0]
    if below not in _OF_REGION:
        return ""
    return f"lies in {below}/, which holds files of the region; name a folder beside it"


def opened(place: str | Path) -> tuple[fs.FileSystem, str]:
    """The file system of a folder or address, and the path in it.

    Raises:
        RegionError: no such kind of store, or it does not answer.
    """
    if not is_address(str(place)):
        return fs.LocalFileSystem(), str(place)
    try:
        kind, _, path = str(place).partition("://")
        if kind == "s3":
            return _s3(path), path.rstrip("/")
        found: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(str(place))
    except (OSError, pa.ArrowException) as error:
        raise RegionError(
            f"cannot open {place}: {_first_line(error)}",
            hint="credentials come from the environment: AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL …",
        ) from error
    return found


def _s3(path: str) -> fs.FileSystem:
    """The S3 store that the environment leads to."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    # Files up to some megabytes are one PUT; larger ones appear when their last piece is there.
    options: dict[str, object] = {"allow_delayed_open": True}
    if endpoint:
        scheme, _, host = endpoint.partition("://")
        options |= {"scheme": scheme, "endpoint_override": host.rstrip("/")}
    elif not region:
        region = fs.resolve_s3_region(path.partition("/")[0])
    return fs.S3FileSystem(region=region, **options)


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


@contextmanager
def between(region: str, out: str, work: Path) -> Iterator[tuple[Path, Path]]:
    """The folders of a run from place to place; where it ends well, the run is published.

    A run that is complete in the store is brought back, so that it is verified and never mixed
    with another. What was transferred and computed stays in `work` until the end, so that the same
    run goes on from there.

    Args:
        region: folder or address of the region.
        out: folder or address of the run.
        work: folder for what is under way.

    Raises:
        RegionError: the store does not answer, or holds no region there.
        OutputError: the store does not take the run, or it would lie among the region's files.
    """
    if fault := within_region(out, region):
        raise OutputError(f"{out} {fault}", hint="choose another --out")
    here, there, complete = Path(region), Path(out), False
    if is_address(region):
        here = work / "region"
        bring(region, here)
    if is_address(out):
        there = work / "run"
        system, base = opened(out)
        complete = _size(system, f"{base}/{MANIFEST}") >= 0
        if complete:
            bring(out, there)
    yield here, there
    if is_address(out) and not complete:
        publish(there, out)
    shutil.rmtree(work, ignore_errors=True)


@contextmanager
def places(region: str, out: str) -> Iterator[tuple[Path, Path]]:
    """`between`, worked in the cache folder; one process at a time for the same two places.

    Raises:
        RunError: another process works from and to the same places.
        RegionError, OutputError: as `between`.
    """
    if not is_address(region) and not is_address(out):
        yield Path(region), Path(out)
        return
    name = _short(f"{region}\0{out}")
    with (
        _alone(name, f"works from {region} to {out}"),
        between(region, out, _transfer_root() / name) as folders,
    ):
        yield folders


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def _alone(name: str, what: str) -> Iterator[None]:
    """One process of this machine at a time.

    Raises:
        RunError: another one is at it.
    """
    try:
        lock = FileLock(_transfer_root() / f"{name}.lock", timeout=0).acquire()
    except Timeout:
        raise RunError(f"another process {what}", hint="wait until it has ended") from None
    with lock:
        yield


def _transfer_root() -> Path:
    root = cache_root() / "transfers"
    try:
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o700)  # copies of cases lie there
    except OSError as error:
        raise unwritable(root, error) from error
    return root


@contextmanager
def _beside(place: str) -> Iterator[tuple[fs.FileSystem, str, Path]]:
    """A store with the path in it, and where a copy may lie here meanwhile."""
    system, path = opened(place)
    with tempfile.TemporaryDirectory(dir=_transfer_root()) as work:
        target = Path(work) / PurePosixPath(path).name
        try:
            yield system, path, target
        except GrouperError as error:
            for name, text in vars(error).items():  # the copy is of no concern to the user
                if isinstance(text, str):
                    setattr(error, name, text.replace(str(target), place))
            raise


@contextmanager
def copied(place: str, without: tuple[str, ...] = ()) -> Iterator[Path]:
    """A file or folder to read: itself, or a copy of what an object store holds there.

    Args:
        without: folders in it that are not copied.

    Raises:
        RegionError: the store does not answer, or holds nothing there.
    """
    if not is_address(place):
        yield Path(place)
        return
    with _beside(place) as (system, path, target):
        try:
            single = bool(system.get_file_info(path).is_file)
        except OSError as error:
            raise RegionError(
                f"cannot look at {place}: {_first_line(error)}", hint="see its name and your rights"
            ) from error
        if single:
            _fetch(system, path, target)
        else:
            bring(place, target, without)
        yield target


@contextmanager
def changed(place: str, *, without: tuple[str, ...], last: str) -> Iterator[Path]:
    """A folder of which some files are changed: itself, or a copy whose changes are put back.

    They are put back only where the store still holds what was copied. A store cannot be locked:
    another machine that writes in the moments of putting back is not noticed.

    Args:
        without: folders in it that are not looked at and not copied.
        last: the file or folder that is put back after all else, and so says that it is there.

    Raises:
        RegionError: the store does not answer, or holds nothing there.
        RunError: another process of this machine changes the folder.
        OutputError: the store refuses, or what it holds there was changed meanwhile.
    """
    if not is_address(place):
        yield Path(place)
        return
    with _alone(_short(place.rstrip("/")), f"changes {place}"), _beside(place) as there:
        system, base, target = there
        source = _seen(place)
        bring(place, target, without)
        before = _digests(target)
        yield target
        after = _digests(target)
        new = [name for name in sorted(after) if after[name] != before.get(name)]
        if _seen(place) != source:
            raise OutputError(
                f"{place} was changed by others meanwhile",
                hint="nothing was changed by this command; give it again",
            )
        try:
            for name in sorted(new, key=lambda name: PurePosixPath(name).is_relative_to(last)):
                _send(target / name, system, f"{base}/{name}")
        except OSError as error:
            raise _refused(place, error) from error


def _seen(place: str) -> list[tuple[str, int, int]]:
    return [(file.path, file.size, file.mtime_ns) for file in files_below(place)]


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("[!.]*") if path.is_file())
    return {str(path.relative_to(folder)): file_digest(path) for path in files}


@contextmanager
def written(place: str, *, over: str | None = "part-[0-9]*.parquet") -> Iterator[Path]:
    """A file or folder to write: itself, or one whose files are then put into an object store.

    What stood in the store below the same name and was not written again is deleted at the end.

    Args:
        over: names of the files that may stand there before; None for a place that is empty.

    Raises:
        OutputError: the store refuses, or holds other things there.
    """
    if not is_address(place):
        yield Path(place)
        return
    with _beside(place) as (system, base, target):
        try:
            before = system.get_file_info(
                fs.FileSelector(base, recursive=True, allow_not_found=True)
            )
            old = {file.path for file in before if file.is_file}
            foreign = [p for p in old if not over or not PurePosixPath(p).match(over)]
            if foreign:
                raise OutputError(f"{place} holds other things ({foreign[0]})", hint="name another")
            yield target
            new = put(target, place)
            for path in sorted(old - new):
                system.delete_file(path)
        except OSError as error:
            raise _refused(place, error) from error


def put(target: Path, place: str) -> set[str]:
    """Put a file, or the files of a folder, into a store; return their paths there.

    Raises:
        OutputError: the store refuses.
    """
    system, base = opened(place)
    files = [target] if target.is_file() else [p for p in target.rglob("*") if p.is_file()]
    new = set()
    try:
        for file in sorted(files):
            path = base if file == target else f"{base}/{file.relative_to(target)}"
            _send(file, system, path)
            new.add(path)
    except OSError as error:
        raise _refused(place, error) from error
    return new


def _refused(place: str, error: OSError) -> OutputError:
    return OutputError(
        f"cannot write to {place}: {_first_line(error)}",
        hint="see your rights and the room left there, then give the same command again",
    )


def _send(file: Path, system: fs.FileSystem, path: str) -> None:
    with file.open("rb") as source, system.open_output_stream(path) as sink:
        while chunk := source.read(_CHUNK):
            sink.write(chunk)
    if _size(system, path) != file.stat().st_size:
        raise OutputError(f"{file.name} did not arrive whole", hint="give the same command again")


def _fetch(system: fs.FileSystem, path: str, target: Path) -> None:
    """Copy a file from a store; it appears under its name when it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        with system.open_input_stream(path) as source, unfinished.open("wb") as sink:
            while chunk := source.read(_CHUNK):
                sink.write(chunk)
            sink.flush()
            os.fsync(sink.fileno())
    except OSError as error:
        raise RegionError(
            f"cannot be copied from its store: {_first_line(error)}",
            file=target.name,
            hint="give the same command again; TMPDIR and GROUPER_CACHE need room",
        ) from error
    unfinished.replace(target)


def bring(address: str, folder: Path, without: tuple[str, ...] = ()) -> None:
    """Copies a region into a folder; what was copied before and is the same there stays.

    Args:
        without: folders of the region that are left out.

    Raises:
        RegionError: the store does not answer, or holds nothing there.
    """
    system, base = opened(address)
    known = Record(folder, "in")
    files = files_below(address)
    if not files:
        raise RegionError(f"there is nothing at {address}", hint="see the name of the bucket")
    names = set()
    for file in files:
        name = file.path.removeprefix(base).lstrip("/")
        if name.partition("/")[0] in without:
            continue
        names.add(name)
        target = folder / name
        mark = f"{file.size} {file.mtime_ns}"
        if target.is_file() and known.marks.get(name) == mark:
            continue
        _fetch(system, file.path, target)
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
    known = Record(folder, "out")
    try:
        for name in _of_run(folder):
            data = folder / name
            mark = file_digest(data)
            if known.marks.get(name) == mark and _size(system, f"{base}/{name}") >= 0:
                continue
            _send(data, system, f"{base}/{name}")
            known.add(name, mark)
    except OSError as error:
        raise _refused(address, error) from error


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


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
