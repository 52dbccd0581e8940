"""`grouper appeals read`: returned workbooks become tables of answers, or an error and nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from grouper import __version__
from grouper.appeals.answers import write_answers
from grouper.appeals.checked import REFUSED, STATES, Answer, Checked, check_returned
from grouper.appeals.corrected import Corrections, correct, unknown_codes
from grouper.appeals.gather import Scope, gathered, list_columns, open_lists
from grouper.appeals.layout import DISPUTED
from grouper.appeals.returned import Returned, read_returned
from grouper.appeals.rows import Rows, digest_of
from grouper.appeals.told import LANGUAGES
from grouper.errors import WorkbookError
from grouper.newfolder import new_folder
from grouper.parts import file_digest
from grouper.report import Run
from grouper.scheme import Scheme

_SHOWN: Final = 10
_KEEP_ONE: Final = "keep the one that counts"

WHOLE_GROUP: Final = ("unstable", "ungrouped", "ambiguous")
"""Classes that a review decides as a whole group (整组单议); a high case gets an addition."""


@dataclass
class Reading:
    """What was read.

    Attributes:
        folder: where the tables are.
        workbooks: how many.
        counts: cases by state (`checked.STATES`), and added and repeated rows.
        why: refused answers by reason.
        differences: number of cells and rows that are not what was sent.
        reviews: proposed rows of reviews.csv.
        corrections: the corrected cases.
        same_words: whether explanations were compared, too.
    """

    folder: Path
    workbooks: int
    counts: Counter[str] = field(default_factory=Counter)
    why: Counter[str] = field(default_factory=Counter)
    differences: int = 0
    reviews: int = 0
    corrections: Corrections | None = None
    same_words: bool = True


def read_sheets(
    run: Run,
    region: Path,
    scheme: Scheme,
    files: Sequence[Path],
    out: Path,
    *,
    encoding: str = "utf-8",
    advance: Callable[[int], None] = lambda _: None,
) -> Reading:
    """Read returned workbooks.

    Args:
        run: the run that they were written from, proved by `load_run`.
        region: its region folder.
        scheme: of `gather.scheme_of`.
        files: the workbooks.
        out: a new or empty folder for the tables.
        encoding: of CSV files of cases.
        advance: told about each finished workbook.

    Raises:
        WorkbookError: a workbook is none of this run, was taken apart, holds another hospital's
            cases, or came twice. Nothing is written then; all such workbooks are named.
        RegionError: the region is not what the run was made from.
        OutputError: `out` cannot be written, or holds something.
    """
    backs = _read_all(run, scheme, files)
    columns = list_columns(scheme)
    scope = Scope(frozenset(back.hospital for back in backs))
    scope.check(run)
    source = open_lists(run, region, columns, encoding)
    done = Reading(out, len(backs))
    with new_folder(out) as folder:
        with gathered(run, source, columns, scope, folder) as hospitals:
            checks, before = _check_all(run, scheme, backs, hospitals, done, advance)
        answers = _known(checks, before, scheme)
        corrections = None
        bringing = [answer for answer in answers if answer.corrects]
        if bringing:
            corrections = correct(run, region, scheme, bringing, before, encoding)
        for checked in checks:
            done.counts.update({k: n for k, n in checked.counts.items() if k not in STATES})
            done.differences += len(checked.differences)
        done.counts.update(answer.state for answer in answers)
        done.why.update(answer.why for answer in answers if answer.state == REFUSED)
        done.corrections = corrections
        reviews = _reviews(answers, before)
        done.reviews = len(reviews)
        differences = [one for checked in checks for one in checked.differences]
        write_answers(folder, answers, differences, reviews, before, corrections)
        manifest = _manifest(run, backs, files, done)
        text = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True)
        (folder / "manifest.json").write_text(f"{text}\n", encoding="utf-8")
    return done


def _check_all(
    run: Run,
    scheme: Scheme,
    backs: Sequence[Returned],
    hospitals: Iterable[tuple[str, pa.Table]],
    done: Reading,
    advance: Callable[[int], None],
) -> tuple[list[Checked], dict[str, dict[str, Any]]]:
    """Compare every workbook with its hospital's cases; also the cases that are disputed, by id.

    Raises:
        WorkbookError: a workbook is not that of its hospital and month; all such are named.
    """
    checks: list[Checked] = []
    before: dict[str, dict[str, Any]] = {}
    faults: list[WorkbookError] = []
    by_hospital: dict[str, list[Returned]] = {}
    for back in backs:
        by_hospital.setdefault(back.hospital, []).append(back)
    for hospital, cases in hospitals:
        for back in by_hospital.pop(hospital):
            mine = cases
            if back.month:
                mine = cases.filter(pc.equal(cases.column("month"), back.month))
            try:
                checked = _check(run, scheme, back, mine, done)
            except WorkbookError as error:
                faults.append(error)
                continue
            checks.append(checked)
            before |= _cases_of(checked, mine)
            advance(1)
    for rest in by_hospital.values():
        faults += [_altered(back, "the hospital has no case in this run") for back in rest]
    faults += _strangers(run, checks, backs)
    _fail(faults)
    return checks, before


def _manifest(
    run: Run, backs: Sequence[Returned], files: Sequence[Path], done: Reading
) -> dict[str, Any]:
    return {
        "run": run.manifest.run,
        "engine": __version__,
        "workbooks": {
            back.file: {
                "hospital": back.hospital,
                "month": back.month,
                "sha256": file_digest(path),
            }
            for back, path in zip(backs, files, strict=True)
        },
        "counts": dict(sorted(done.counts.items())),
        "refused": dict(sorted(done.why.items())),
        "differences": done.differences,
    }


def _read_all(run: Run, scheme: Scheme, files: Sequence[Path]) -> list[Returned]:
    """All workbooks, whole and of this run, each hospital and month once."""
    backs: list[Returned] = []
    faults: list[WorkbookError] = []
    for path in files:
        try:
            back = read_returned(path)
            _belongs(run, scheme, back)
        except WorkbookError as error:
            faults.append(error)
            continue
        backs.append(back)
    for place, back in enumerate(backs):
        for other in backs[:place]:
            overlap = back.month == other.month or not back.month or not other.month
            if back.hospital == other.hospital and overlap:
                faults.append(
                    WorkbookError(
                        f"hospital '{back.hospital}' has come back twice, in {other.file} too",
                        file=back.file,
                        hint=_KEEP_ONE,
                    )
                )
    names = Counter(back.file for back in backs)
    for name, count in names.items():
        if count > 1 and not faults:
            faults.append(
                WorkbookError(
                    f"{count} files have this name", file=name, hint="name them differently"
                )
            )
    _fail(faults)
    return backs


def _belongs(run: Run, scheme: Scheme, back: Returned) -> None:
    if back.ticket["run"] != run.manifest.run:
        raise WorkbookError(
            f"the workbook is of run {back.ticket['run']}, not of {run.manifest.run}",
            file=back.file,
            hint="name the run that it was written from",
        )
    if back.ticket["scheme"] != scheme.digest or back.ticket["language"] not in LANGUAGES:
        raise _altered(back, "the hidden sheet was altered")


def _altered(back: Returned, message: str) -> WorkbookError:
    return WorkbookError(
        message,
        file=back.file,
        hint="ask the hospital to fill in the workbook that it was sent, and nothing else",
    )


def _check(run: Run, scheme: Scheme, back: Returned, cases: pa.Table, done: Reading) -> Checked:
    cells = Rows(run, scheme, back.ticket["language"]).of(back.hospital, cases)
    same_words = back.ticket["engine"] == __version__
    done.same_words &= same_words
    if str(len(cells)) != back.ticket["cases"] or (
        same_words and digest_of(cells) != back.ticket["digest"]
    ):
        raise _altered(back, "the hidden sheet is not that of this hospital and month")
    return check_returned(back, cells, same_words=same_words)


def _cases_of(checked: Checked, cases: pa.Table) -> dict[str, dict[str, Any]]:
    """The cases whose answers need more than the answer, by id."""
    wanted = [answer.case_id for answer in checked.answers if answer.state == DISPUTED]
    if not wanted:
        return {}
    mine = cases.filter(pc.is_in(cases.column("case_id"), pa.array(wanted, pa.string())))
    return {row["case_id"]: row for row in mine.to_pylist()}


def _strangers(
    run: Run, checks: Iterable[Checked], backs: Sequence[Returned]
) -> list[WorkbookError]:
    """Workbooks with cases of another hospital among their added rows."""
    owner = {back.file: back for back in backs}
    added = [one for checked in checks for one in checked.differences if one.kind == "row_added"]
    if not added:
        return []
    with run.connect() as db:
        ids = pa.table({"case_id": pa.array(sorted({one.case_id for one in added}), pa.string())})
        db.register("added", ids)
        found = db.execute("SELECT case_id, hospital_id FROM cases JOIN added USING (case_id)")
        whose: dict[str, str] = dict(found.fetchall())
    first: dict[str, WorkbookError] = {}
    for one in added:
        hospital = whose.get(one.case_id)
        if hospital is not None and hospital != owner[one.file].hospital:
            error = WorkbookError(
                f"sheet '{one.sheet}', row {one.row}: case '{one.case_id}' is of hospital "
                f"'{hospital}', and this is the workbook of '{owner[one.file].hospital}'",
                file=one.file,
                hint="find out how the row came there before the workbook is read",
            )
            first.setdefault(one.file, error)
    return list(first.values())


def _fail(faults: Sequence[WorkbookError]) -> None:
    """Raise what is wrong with the workbooks, all of it at once.

    Raises:
        WorkbookError: there is something.
    """
    if not faults:
        return
    if len(faults) == 1:
        raise faults[0]
    told = [f"\n  {one.file}: {one.message}" for one in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
        told.append(f"\n  and {len(faults) - _SHOWN} more")
    raise WorkbookError(
        f"{len(faults)} workbooks cannot be read:{''.join(told)}",
        hint="nothing was written; take these files away, or name mended ones",
    )


def _known(
    checks: Sequence[Checked], before: Mapping[str, Mapping[str, Any]], scheme: Scheme
) -> list[Answer]:
    """All answers by hospital and case; those with codes that the scheme knows not are refused."""
    answers = [answer for checked in checks for answer in checked.answers]
    unknown = unknown_codes([a for a in answers if a.corrects], before, scheme)
    answers = [
        replace(
            answer,
            state=REFUSED,
            why="unknown_code",
            unknown=unknown[answer.case_id],
            dx=None,
            px=None,
        )
        if answer.case_id in unknown
        else answer
        for answer in answers
    ]
    return sorted(answers, key=lambda answer: (answer.hospital_id, answer.case_id))


def _reviews(
    answers: Sequence[Answer], before: Mapping[str, Mapping[str, Any]]
) -> list[tuple[str, str]]:
    """(case, kind) of the reviews that hospitals apply for and that can change something."""
    found = []
    for answer in answers:
        if answer.state != DISPUTED or answer.dispute != "review":
            continue
        case = before[answer.case_id]
        if case["route"] != "drg" or str(case["reason"]).startswith("review_"):
            continue
        if case["class"] == "high":
            found.append((answer.case_id, "add"))
        elif case["class"] in WHOLE_GROUP:
            found.append((answer.case_id, "whole_group"))
    return found
