"""Checking cases of any size against the rules (`grouper quality`).

Three steps over the parts: the rules of single cases and what is kept for the others; duplicates
and overlapping stays, by buckets; the findings, written in the order of the input.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from grouper import __version__
from grouper.cases import CaseSource, Part, read_part
from grouper.duplicates import HashedIds, duplicates_among, version_of
from grouper.errors import CaseTableError, OutputError
from grouper.execution import Runner
from grouper.parts import ParquetFile, file_digest, part_name
from grouper.quality.across import find_overlaps
from grouper.quality.evaluate import Plan, make_plan
from grouper.quality.registry import OVERLAP
from grouper.quality.scan import Merging, Scan, merge_part
from grouper.quality.scores import HospitalName, Tally, quality_tables
from grouper.quality.thresholds import Thresholds
from grouper.scheme import Scheme

Progress = Callable[[int], None]
"""Called with the number of cases that are done since the last call."""

TABLES = ("rules", "scores", "errors")
SUMMARY = "quality.json"


@dataclass(frozen=True)
class Checked:
    """How a check ended.

    Attributes:
        folder: where the tables are.
        rules, scores, errors: the tables of `quality.scores`.
        absent: the columns that rules lack, by rule.
    """

    folder: Path
    rules: pa.Table
    scores: pa.Table
    errors: pa.Table
    absent: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class _Scanning:
    source: CaseSource
    plan: Plan
    work: str


def _scan_part(shared: _Scanning, part: Part) -> int:
    """Take the first step for a part, and leave its ids; return its cases."""
    ids = HashedIds()
    cases = 0
    with Scan(shared.plan, Path(shared.work), part.number) as scan:
        for batch in read_part(shared.source, part):
            scan.add(batch)
            ids.add(batch.column("case_id").cast(pa.string()), version_of(batch))
            cases += batch.num_rows
    ids.save(shared.work, part.number)
    return cases


@dataclass(frozen=True)
class _Writing:
    merging: Merging
    folder: str


def _merge_part(shared: _Writing, number: int) -> Tally:
    return merge_part(shared.merging, number, Path(shared.folder) / part_name(number))


def check_cases(
    source: CaseSource,
    scheme: Scheme,
    thresholds: Thresholds,
    out: Path,
    runner: Runner,
    *,
    hospitals: Mapping[str, HospitalName] | None = None,
    progress: Progress | None = None,
) -> Checked:
    """Check cases and write what is found into a new folder.

    The folder holds ``findings/part-NNNNN.parquet`` (`FINDINGS`, in the order of the input),
    ``rules.parquet``, ``scores.parquet`` and ``errors.parquet`` (`quality.scores`), and
    ``quality.json`` with what was checked and how. The tables of the hospitals are the same bytes
    for any split of the cases.

    Args:
        source: the cases, opened with `registry.COLUMNS_READ`.
        scheme: whose codes are known.
        thresholds: what the rules compare with.
        out: the folder; it must be new, empty, or of an earlier check, which is replaced whole.
        runner: where the tasks run.
        hospitals: names and levels, where they are known.
        progress: told about finished cases.

    Raises:
        CaseTableError: there is no case, or a part cannot be read.
        OutputError: the folder holds something else, or cannot be written.
    """
    _check_replaceable(out)
    plan = make_plan(scheme, thresholds, source.columns)
    work = _work_folder(out)
    try:
        (work / "out" / "findings").mkdir(parents=True)
        cases = 0
        for done in runner.map(_scan_part, _Scanning(source, plan, str(work)), source.parts):
            cases += done
            if progress:
                progress(done)
        if not cases:
            raise CaseTableError("there is no case", hint="check the path")
        numbers = [part.number for part in source.parts]
        duplicates = duplicates_among(numbers, runner, work)
        if OVERLAP in plan.rules:
            find_overlaps(numbers, runner, work)
        tally = Tally()
        writing = _Writing(Merging(plan, str(work), duplicates), str(work / "out" / "findings"))
        for part in runner.map(_merge_part, writing, numbers):
            tally.merge(part)
        tables = quality_tables(tally, plan, source.columns, hospitals or {})
        _write(work / "out", tables, plan, source)
        _replace(work / "out", out, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Checked(out, **tables, absent=plan.absent)


def _write(folder: Path, tables: Mapping[str, pa.Table], plan: Plan, source: CaseSource) -> None:
    for name, table in tables.items():
        with ParquetFile(folder / f"{name}.parquet", table.schema, plain=()) as file:
            for batch in table.to_batches():
                file.write(batch)
    files = sorted({part.path for part in source.parts})
    summary = {
        "engine": __version__,
        "scheme": {"id": plan.scheme.id, "digest": plan.scheme.digest},
        "thresholds": asdict(plan.thresholds),
        "inputs": {Path(file).name: file_digest(Path(file)) for file in files},
        "not_evaluated": {rule: list(columns) for rule, columns in plan.absent.items()},
        "digests": {
            str(path.relative_to(folder)): file_digest(path)
            for path in sorted(folder.rglob("*.parquet"))
        },
    }
    text = json.dumps(summary, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    (folder / SUMMARY).write_text(text, encoding="utf-8")


def _check_replaceable(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file", hint="name a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / SUMMARY).is_file():
        raise OutputError(
            f"the folder {out} holds other things",
            hint="name a new folder, or one that an earlier check has written",
        )


def _work_folder(out: Path) -> Path:
    # Beside the output, so that the finished result is renamed and never copied.
    work = out.parent / f".{out.name}.{secrets.token_hex(4)}"
    try:
        work.mkdir(parents=True)
    except OSError as error:
        raise OutputError(
            f"cannot write beside {out}: {error.strerror}", hint="check the folder's permissions"
        ) from error
    return work


def _replace(made: Path, out: Path, work: Path) -> None:
    if out.is_dir():
        out.rename(work / "old")
    made.replace(out)
