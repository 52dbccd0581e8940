"""Grouping files of any size: parts in, parts out (`grouper group`)."""

from __future__ import annotations

import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from grouper.cases import CaseSource, Part, read_part
from grouper.duplicates import find_duplicates
from grouper.errors import OutputError
from grouper.execution import Runner
from grouper.grouping import RESULT_SCHEMA, group_batch
from grouper.parts import ParquetFile, part_name
from grouper.scheme import Scheme

Progress = Callable[[int], None]
"""Called with the number of cases that are done since the last call."""


@dataclass(frozen=True)
class _Grouping:
    source: CaseSource
    scheme: Scheme
    duplicates: npt.NDArray[np.uint64]
    folder: str | None


@dataclass(frozen=True)
class _Grouped:
    counts: dict[str, int]
    batches: tuple[pa.RecordBatch, ...]


def _group_part(shared: _Grouping, part: Part) -> _Grouped:
    """Group a part; write it, or hand back its batches where the output is one file."""
    counts: Counter[str] = Counter()
    batches: list[pa.RecordBatch] = []

    def results() -> Iterator[pa.RecordBatch]:
        for batch in read_part(shared.source, part):
            grouped = group_batch(batch, shared.scheme, shared.duplicates)
            counts.update(grouped.counts())
            yield grouped.table()

    if shared.folder is None:
        batches.extend(results())
    else:
        with ParquetFile(Path(shared.folder) / part_name(part.number), _SCHEMA) as file:
            for batch in results():
                file.write(batch)
    return _Grouped(dict(counts), tuple(batches))


_SCHEMA = pa.schema(
    [
        (f.name, f.type if f.name == "case_id" else pa.dictionary(pa.int32(), pa.string()))
        for f in RESULT_SCHEMA
    ]
)


def group_files(
    source: CaseSource,
    scheme: Scheme,
    out: Path,
    runner: Runner,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Group all cases of a source into `out`.

    Args:
        out: `X.parquet` becomes one file, any other name a folder of `part-NNNNN.parquet`. What
            stands there is replaced in one step, after the whole input has been grouped.

    Returns:
        Number of cases by status, and of unknown codes.

    Raises:
        OutputError: `out` cannot be written, or is a folder that holds something else.
        CaseTableError: a part cannot be read.
    """
    as_file = out.suffix == ".parquet"
    _check_replaceable(out, as_file)
    work = _work_folder(out)
    counts: Counter[str] = Counter(
        dict.fromkeys(("grouped", "ambiguous", "ungrouped", "invalid"), 0)
    )
    try:
        duplicates = find_duplicates(source, runner, work)
        target = work / "out.parquet" if as_file else work / "out"
        if not as_file:
            target.mkdir()
        shared = _Grouping(source, scheme, duplicates, None if as_file else str(target))
        results = runner.map(_group_part, shared, source.parts)
        if as_file:
            with ParquetFile(target, _SCHEMA) as file:
                for result in results:
                    for batch in result.batches:
                        file.write(batch)
                    _tell(counts, result.counts, progress)
        else:
            for result in results:
                _tell(counts, result.counts, progress)
        _replace(target, out, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return dict(counts)


def _tell(total: Counter[str], counts: dict[str, int], progress: Progress | None) -> None:
    total.update(counts)
    if progress is not None:
        progress(
            sum(counts[s] for s in ("grouped", "ambiguous", "ungrouped", "invalid") if s in counts)
        )


def _check_replaceable(out: Path, as_file: bool) -> None:
    if as_file:
        if out.is_dir():
            raise OutputError(
                f"{out} is a folder", hint="name a file, or a folder without .parquet"
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


def _work_folder(out: Path) -> Path:
    # Beside the output, so that the finished result is renamed and never copied.
    work = out.parent / f".{out.name}.{secrets.token_hex(4)}"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work.mkdir()
    except OSError as error:
        raise OutputError(
            f"cannot write beside {out}: {error.strerror}", hint="check the folder's permissions"
        ) from error
    return work


def _replace(made: Path, out: Path, work: Path) -> None:
    if out.is_dir():
        out.rename(work / "old")
    made.replace(out)
