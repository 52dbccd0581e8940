"""`grouper month late`: what of a month is late by the calendar of the policy (逾期清单)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from grouper.cases import COLUMNS, CaseSource, Part, open_cases, read_part
from grouper.cases.names import column_names
from grouper.errors import CaseTableError
from grouper.execution import Runner
from grouper.settlement.calendar import checked_month, due_dates
from grouper.settlement.policy import Policy
from grouper.settlement.region import load_region

_READ: Final = ("case_id", "hospital_id", "settle_month", "upload_date", "version")
_SHOWN: Final = 5


@dataclass(frozen=True)
class LateUpload:
    """Lists of a hospital that were uploaded after their day; the first ids stand as examples."""

    hospital_id: str
    lists: int
    latest: date
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Overdue:
    """What of a month is late on a day.

    Attributes:
        due: the day on which each step is due.
        missing: hospitals without a case in the month; late where the upload was due.
        uploads: lists that were uploaded late, by hospital.
        undated: lists without a day of upload.
        reviews: reviewed cases of the month without decision; late where the answers were due.
    """

    month: str
    as_of: date
    due: Mapping[str, date]
    cases: int
    missing: tuple[str, ...]
    uploads: tuple[LateUpload, ...]
    undated: int
    reviews: tuple[str, ...]

    def passed(self, step: str) -> bool:
        """Whether the day of a step is over."""
        return self.as_of > self.due[step]


@dataclass(frozen=True)
class _Looking:
    source: CaseSource
    month: str
    due: date
    as_of: date
    reviewed: pa.Array


@dataclass
class _Seen:
    cases: Counter[str] = field(default_factory=Counter)
    late: list[tuple[str, date, str]] = field(default_factory=list)
    undated: int = 0
    reviewed: list[str] = field(default_factory=list)


def _look(shared: _Looking, part: Part) -> _Seen:
    seen = _Seen()
    for batch in read_part(shared.source, part, _READ):
        mine = pa.Table.from_batches([batch])
        mine = mine.filter(pc.equal(mine["settle_month"].cast(pa.string()), shared.month))
        hospital = mine["hospital_id"].cast(pa.string())
        ids = mine["case_id"].cast(pa.string())
        seen.cases.update(name for name in hospital.to_pylist() if name)
        seen.reviewed += ids.filter(pc.is_in(ids, shared.reviewed)).to_pylist()
        if "upload_date" not in mine.column_names:
            seen.undated += mine.num_rows
            continue
        uploaded = mine["upload_date"].cast(pa.date32())
        seen.undated += uploaded.null_count
        late = pc.and_(
            pc.greater(uploaded, pa.scalar(shared.due)),
            pc.less_equal(uploaded, pa.scalar(shared.as_of)),
        )
        columns = [column.filter(late).to_pylist() for column in (hospital, uploaded, ids)]
        for name, day, case_id in zip(*columns, strict=True):
            seen.late.append((name or "", day, case_id or ""))
    return seen


def overdue(
    region: Path,
    policy: Policy,
    month: str,
    as_of: date,
    runner: Runner,
    *,
    encoding: str = "utf-8",
) -> Overdue:
    """What of a month is late on a day.

    Args:
        region: the region folder.
        policy: its calendar.
        month: month of settlement, YYYY-MM.
        as_of: uploads after this day are not looked at.
        runner: reads the cases.
        encoding: of CSV files.

    Raises:
        GrouperError: it is no month, or the region is faulty.
    """
    due = due_dates(policy, checked_month(month))
    tables = load_region(region)
    whole = _Seen()
    pending = {review.case_id for review in tables.reviews if review.approved is None}
    try:
        source = open_cases(
            region / "cases",
            wanted=[COLUMNS[name] for name in _READ],
            required=("case_id", "hospital_id", "settle_month"),
            encoding=encoding,
            names=column_names(region),
        )
    except CaseTableError:
        if (region / "cases").is_dir() and any((region / "cases").glob("[!._]*")):
            raise
        source = None
    if source is not None:
        shared = _Looking(
            source, month, due["upload"], as_of, pa.array(sorted(pending), pa.string())
        )
        for seen in runner.map(_look, shared, source.parts):
            whole.cases.update(seen.cases)
            whole.late += seen.late
            whole.undated += seen.undated
            whole.reviewed += seen.reviewed
    by_hospital: dict[str, list[tuple[date, str]]] = {}
    for hospital, day, case_id in sorted(whole.late):
        by_hospital.setdefault(hospital, []).append((day, case_id))
    return Overdue(
        month,
        as_of,
        due,
        whole.cases.total(),
        tuple(h.hospital_id for h in tables.hospitals if not whole.cases[h.hospital_id]),
        tuple(
            LateUpload(name, len(rows), max(rows)[0], tuple(i for _, i in rows[:_SHOWN]))
            for name, rows in sorted(by_hospital.items())
        ),
        whole.undated,
        tuple(sorted(set(whole.reviewed))),
    )
