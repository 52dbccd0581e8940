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

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from grouper import __version__
from grouper.cases import CaseSource, Part, read_part
from grouper.duplicates import HashedIds, duplicates_among
from grouper.errors import CaseTableError, OutputError
from grouper.execution import Runner
from grouper.grouping import id_hashes
from grouper.kernels.arrays import readonly
from grouper.kernels.ids import mark
from grouper.parts import ParquetFile, file_digest, part_name
from grouper.quality.across import Stays, find_overlaps, overlaps_of
from grouper.quality.evaluate import Found, Plan, evaluate, make_plan
from grouper.quality.findings import (
    PLAIN,
    WRITTEN,
    Hospitals,
    count,
    hospitals_of,
    table_of,
    uploaded_of,
)
from grouper.quality.registry import DUPLICATE, OVERLAP, RULES
from grouper.quality.scores import HospitalName, Tally, errors_table, rules_table, scores_table
from grouper.quality.thresholds import Thresholds
from grouper.scheme import Scheme

UInt64s = NDArray[np.uint64]
Progress = Callable[[int], None]
"""Called with the number of cases that are done since the last call."""

TABLES = ("rules", "scores", "errors")
SUMMARY = "quality.json"

_ROWS = pa.schema(
    [("case_id", pa.string()), ("hospital_id", pa.string()), ("uploaded", pa.bool_())]
)
_FOUND = pa.schema([("row", pa.int64()), ("rule", pa.int8()), ("value", pa.string())])
_RULE_LIST = tuple(RULES.values())
_RULE_PLACE = {code: i for i, code in enumerate(RULES)}


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


def _rows_file(work: Path, number: int) -> Path:
    return work / f"rows-{number:05d}.arrow"


def _found_file(work: Path, number: int) -> Path:
    return work / f"found-{number:05d}.arrow"


def _scan_part(shared: _Scanning, part: Part) -> int:
    """Evaluate a part case by case, and keep what the other steps need; return its cases."""
    work = Path(shared.work)
    ids, stays = HashedIds(), Stays()
    cases = 0
    with (
        pa.OSFile(str(_rows_file(work, part.number)), "wb") as rows_file,
        pa.ipc.new_file(rows_file, _ROWS) as rows_out,
        pa.OSFile(str(_found_file(work, part.number)), "wb") as found_file,
        pa.ipc.new_file(found_file, _FOUND) as found_out,
    ):
        for batch in read_part(shared.source, part):
            found_out.write_batch(_kept(evaluate(batch, shared.plan)))
            case_id = batch.column("case_id")
            if not pa.types.is_string(case_id.type):
                case_id = case_id.cast(pa.string())
            rows_out.write_batch(
                pa.RecordBatch.from_arrays(
                    [case_id, _hospital_id(batch), pa.array(uploaded_of(batch))], schema=_ROWS
                )
            )
            ids.add(case_id)
            stays.add(batch)
            cases += batch.num_rows
    ids.save(shared.work, part.number)
    stays.save(work, part.number)
    return cases


def _hospital_id(batch: pa.RecordBatch) -> pa.Array:
    place = batch.schema.get_field_index("hospital_id")
    if place < 0:
        return pa.nulls(batch.num_rows, pa.string())
    return batch.column(place).cast(pa.string())


def _kept(found: tuple[Found, ...]) -> pa.RecordBatch:
    rows = [np.empty(0, np.int64), *(hit.rows for hit in found)]
    rules = [np.full(len(hit.rows), _RULE_PLACE[hit.rule.code], np.int8) for hit in found]
    values = [pa.array([], pa.string()), *(hit.value.cast(pa.string()) for hit in found)]
    return pa.RecordBatch.from_arrays(
        [
            pa.array(np.concatenate(rows)),
            pa.array(np.concatenate([np.empty(0, np.int8), *rules])),
            pa.concat_arrays(values),
        ],
        schema=_FOUND,
    )


@dataclass(frozen=True)
class _Merging:
    plan: Plan
    work: str
    duplicates: UInt64s
    folder: str


def _merge_part(shared: _Merging, number: int) -> Tally:
    """Write the findings of a part; return its counts."""
    work, plan = Path(shared.work), shared.plan
    tally = Tally()
    rows, others = overlaps_of(work, number)
    first = 0
    with (
        pa.memory_map(str(_rows_file(work, number))) as rows_file,
        pa.memory_map(str(_found_file(work, number))) as found_file,
        ParquetFile(Path(shared.folder) / part_name(number), WRITTEN, plain=PLAIN) as out,
    ):
        cases, kept = pa.ipc.open_file(rows_file), pa.ipc.open_file(found_file)
        for i in range(cases.num_record_batches):
            batch = cases.get_batch(i)
            found = _restored(kept.get_batch(i))
            if DUPLICATE in plan.rules:
                found.append(_duplicates(batch.column("case_id"), shared.duplicates))
            if OVERLAP in plan.rules:
                here = slice(*np.searchsorted(rows, (first, first + batch.num_rows)))
                found.append(Found(RULES[OVERLAP], rows[here] - first, others[here]))
            found = sorted((hit for hit in found if len(hit.rows)), key=_order)
            hospitals: Hospitals = hospitals_of(batch)
            count(tally, hospitals, batch.column("uploaded").to_numpy(False), found, plan)
            out.write(table_of(batch.column("case_id"), hospitals, found, plan))
            first += batch.num_rows
    return tally


def _order(hit: Found) -> int:
    return _RULE_PLACE[hit.rule.code]


def _restored(kept: pa.RecordBatch) -> list[Found]:
    rule = kept.column("rule").to_numpy()
    row = kept.column("row").to_numpy()
    found = []
    for place in np.unique(rule).tolist():
        mine = np.flatnonzero(rule == place)
        value = kept.column("value").take(pa.array(mine))
        found.append(Found(_RULE_LIST[place], row[mine], value))
    return found


def _duplicates(case_id: pa.Array, duplicates: UInt64s) -> Found:
    rows = np.empty(0, np.intp)
    if len(duplicates):
        first, second = id_hashes(case_id)
        marks = np.zeros(len(case_id), np.int8)
        mark(readonly(first), readonly(second), readonly(duplicates), marks, 1)
        if case_id.null_count:
            marks[case_id.is_null().to_numpy(zero_copy_only=False)] = 0
        rows = np.flatnonzero(marks)
    return Found(RULES[DUPLICATE], rows, case_id.take(pa.array(rows)).cast(pa.string()))


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
        find_overlaps(numbers, runner, work)
        tally = Tally()
        merging = _Merging(plan, str(work), duplicates, str(work / "out" / "findings"))
        for part in runner.map(_merge_part, merging, numbers):
            tally.merge(part)
        with_upload = "upload_date" in source.columns
        tables = {
            "rules": rules_table(tally, plan),
            "scores": scores_table(tally, hospitals or {}, with_upload=with_upload),
            "errors": errors_table(tally, plan),
        }
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
