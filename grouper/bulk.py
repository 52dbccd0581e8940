"""Grouping files of any size: parts in, parts out (`grouper group`)."""

from __future__ import annotations

import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from grouper.cases import FORMS, UNREAD_FORMS, CaseSource, Part, read_part
from grouper.duplicates import (
    VERSION,
    HashedIds,
    duplicates_among,
    version_of,
    with_conflicts,
)
from grouper.errors import OutputError
from grouper.execution import Runner
from grouper.folded import Folded
from grouper.grouping import RESULT_SCHEMA, STATUS, GroupedBatch, group_batch
from grouper.oddcodes import OddCodes, count_odd_codes, join_odd_codes, write_odd_codes
from grouper.parts import ParquetFile, disk_errors, part_name
from grouper.scheme import Scheme

Progress = Callable[[int], None]
"""Called with the number of cases that are done since the last call."""

_ANSWERS = pa.schema(
    [
        ("case_id", pa.string()),
        ("outcome", pa.int32()),
        ("severity", pa.int8()),
        ("reason", pa.int8()),
    ],
)
_VERSIONED = _ANSWERS.append(pa.field(VERSION, pa.int64()))
_TEXT = pa.dictionary(pa.int32(), pa.string())
_WRITTEN = pa.schema([(f.name, f.type if f.name == "case_id" else _TEXT) for f in RESULT_SCHEMA])


class _Unknown(NamedTuple):
    """How many codes of a part no pack knows, and how many cases no pack is valid for."""

    dx: int
    px: int
    undated: int
    odd: pa.Table


@dataclass(frozen=True)
class _Grouping:
    source: CaseSource
    scheme: Scheme
    work: str


def _group_part(shared: _Grouping, part: Part) -> _Unknown:
    """Group a part as if its ids were unique, and leave the answers in the work folder.

    So the input is read once, though only its end tells which ids stand more than once.
    """
    ids = HashedIds()
    odd = OddCodes()
    dx = px = undated = 0
    path = str(_answers_file(shared.work, part.number))
    schema = _VERSIONED if VERSION in shared.source.columns else _ANSWERS
    with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for batch in read_part(shared.source, part):
            grouped = group_batch(batch, shared.scheme)
            version = version_of(batch)
            ids.add(grouped.case_id, version)
            writer.write_batch(_answers(grouped, version, schema))
            dx, px = dx + grouped.unknown_dx, px + grouped.unknown_px
            undated += grouped.undated
            odd.add(batch, grouped)
    ids.save(shared.work, part.number)
    return _Unknown(dx, px, undated, odd.table())


def _answers(grouped: GroupedBatch, version: pa.Array | None, schema: pa.Schema) -> pa.RecordBatch:
    numbers = map(pa.array, (grouped.outcome, grouped.severity, grouped.reason))
    columns = [grouped.case_id.cast(pa.string()), *numbers]
    if VERSION in schema.names:
        given = pa.nulls(len(grouped.case_id)) if version is None else version
        columns.append(given.cast(pa.int64()))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _answers_file(work: str, number: int) -> Path:
    return Path(work) / f"answers-{number:05d}.arrow"


@dataclass(frozen=True)
class _Writing:
    scheme: Scheme
    work: str
    duplicates: npt.NDArray[np.uint64]
    folder: str | None


@dataclass(frozen=True)
class _Written:
    counts: dict[str, int]
    batches: tuple[pa.RecordBatch, ...]


def _write_part(shared: _Writing, number: int) -> _Written:
    """Write a part's answers, or hand back its batches where the output is one file."""
    counts: Counter[str] = Counter()
    batches: list[pa.RecordBatch] = []
    path = _answers_file(shared.work, number)

    def results() -> Iterator[pa.RecordBatch]:
        with pa.memory_map(str(path)) as file:
            reader = pa.ipc.open_file(file)
            for i in range(reader.num_record_batches):
                batch = reader.get_batch(i)
                case_id, *answers = batch.columns[: len(_ANSWERS)]
                outcome, severity, reason = (a.to_numpy().copy() for a in answers)
                grouped = GroupedBatch(shared.scheme, case_id, outcome, severity, reason, 0, 0)
                grouped.mark_duplicates(shared.duplicates, version_of(batch))
                counts.update(grouped.counts())
                yield grouped.table()

    if shared.folder is None:
        batches.extend(results())
    else:
        with ParquetFile(Path(shared.folder) / part_name(number), _WRITTEN) as file:
            for batch in results():
                file.write(batch)
    path.unlink()
    return _Written(dict(counts), tuple(batches))


def group_files(
    source: CaseSource,
    scheme: Scheme,
    out: Path,
    runner: Runner,
    progress: Progress | None = None,
    *,
    codes: Path | None = None,
) -> dict[str, int]:
    """Group all cases of a source into `out`.

    Args:
        source: read with the column ``version`` where the highest version of a case counts.
        out: `X.parquet` becomes one file, any other name a folder of `part-NNNNN.parquet`. What
            stands there is replaced in one step, after the whole input has been grouped.
        codes: where to write the odd codes (`oddcodes.ODD_CODES`), as Parquet or as `X.csv`; by
            hospital where the source has `hospital_id`.

    Returns:
        Number of cases by status, of unknown codes, of retired and grey ones (`grey_dx` …), and of
        cases for which no pack is valid.

    Raises:
        OutputError: `out` cannot be written, or is a folder that holds something else.
        CaseTableError: a part cannot be read.
    """
    as_file = out.suffix == ".parquet"
    _check_replaceable(out, as_file)
    counts: Counter[str] = Counter(dict.fromkeys(STATUS, 0))
    odd = Folded(join_odd_codes)
    with _work_folder(out) as work:
        for unknown in runner.map(_group_part, _Grouping(source, scheme, str(work)), source.parts):
            counts.update(unknown_dx=unknown.dx, unknown_px=unknown.px, undated=unknown.undated)
            odd.add(unknown.odd)
        numbers = [part.number for part in source.parts]
        duplicates = duplicates_among(numbers, runner, work)
        duplicates = with_conflicts(source, duplicates, runner)
        target = work / "out.parquet" if as_file else work / "out"
        if not as_file:
            target.mkdir()
        writing = _Writing(scheme, str(work), duplicates, None if as_file else str(target))
        with ParquetFile(target, _WRITTEN) if as_file else nullcontext() as file:
            for written in runner.map(_write_part, writing, numbers):
                for batch in written.batches:
                    assert file is not None
                    file.write(batch)
                counts.update(written.counts)
                if progress is not None:
                    progress(sum(written.counts.get(s, 0) for s in STATUS))
        _replace(target, out, work)
    found = odd.whole()
    for (kind, name), count in count_odd_codes(found).items():
        if kind != "unknown":
            counts[f"{kind}_{name}"] += count
    if codes is not None:
        write_odd_codes(found, codes)
    return dict(counts)


def _check_replaceable(out: Path, as_file: bool) -> None:
    if as_file:
        if out.is_dir():
            raise OutputError(
                f"{out} is a folder", hint="name a file, or a folder without .parquet"
            )
    elif out.suffix.lower() in {*FORMS, *UNREAD_FORMS}:
        raise OutputError(
            f"{out} cannot be written: results are Parquet", hint="name it X.parquet, or a folder"
        )
    elif out.is_dir():
        foreign = [p.name for p in out.iterdir() if not p.match("part-[0-9]*.parquet")]
        if foreign:
            raise OutputError(
                f"the folder {out} holds other things ({foreign[0]})",
                hint="name a new folder, or one that an earlier grouping has written",
            )
    elif out.exists():
        raise OutputError(
            f"{out} is a file", hint="a folder is written; name it X.parquet for one file"
        )


@contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    # Beside the output, so that the finished result is renamed and never copied.
    work = out.parent / f".{out.name}.{secrets.token_hex(4)}"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work.mkdir()
    except OSError as error:
        raise OutputError(
            f"cannot write beside {out}: {error.strerror}", hint="check the folder's permissions"
        ) from error
    try:
        with disk_errors(out.parent):
            yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _replace(made: Path, out: Path, work: Path) -> None:
    if out.is_dir():
        out.rename(work / "old")
    made.replace(out)
