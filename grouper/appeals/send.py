"""`grouper appeals send`: a workbook for every hospital, out of a run and its region."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from grouper import __version__
from grouper.appeals.gather import Scope, gathered, list_columns, open_lists
from grouper.appeals.layout import FORMAT, MOST_ROWS
from grouper.appeals.rows import Cells, Rows, digest_of
from grouper.appeals.sheet import Content, Total, write_workbook
from grouper.counted import counted
from grouper.errors import RunError
from grouper.execution import Runner
from grouper.newfolder import new_folder
from grouper.report import Run, load_run
from grouper.report.view import unique_slugs
from grouper.scheme import Scheme
from grouper.settlement.numbers import FEN, SCALE

SENT: Final = "sent.csv"
"""The list of the workbooks, for the office."""


@dataclass(frozen=True)
class Sent:
    """What was written.

    Attributes:
        folder: where the workbooks are.
        workbooks, cases, rejected: how many.
    """

    folder: Path
    workbooks: int
    cases: int
    rejected: int


@dataclass(frozen=True)
class _Shared:
    run: str
    scheme: Scheme
    work: str
    out: str
    month: str
    language: str


@dataclass(frozen=True)
class _Order:
    """A workbook to be written."""

    hospital_id: str
    name: str
    slug: str
    totals: tuple[Total, ...]
    rejected: tuple[tuple[str, ...], ...]
    cases: int
    invalid: int


@dataclass(frozen=True)
class _Written:
    hospital_id: str
    file: str
    cases: int
    rejected: int
    digest: str


def send_sheets(
    run: Run,
    region: Path,
    scheme: Scheme,
    out: Path,
    runner: Runner,
    *,
    scope: Scope | None = None,
    language: str = "zh",
    encoding: str = "utf-8",
    advance: Callable[[int], None] = lambda _: None,
) -> Sent:
    """Write a workbook for every hospital with cases.

    Args:
        run: a run that `load_run` has proved.
        region: the region folder that it was made from.
        scheme: of `gather.scheme_of`.
        out: a new or empty folder.
        runner: where the workbooks are written.
        scope: which cases; all where none is given.
        language: of the explanations.
        encoding: of CSV files of cases.
        advance: told about each finished workbook.

    Raises:
        RunError: the run has no such hospital or month, or its tables contradict each other.
        RegionError: the region is not what the run was made from.
        OutputError: `out` cannot be written, or holds something.
    """
    scope = scope or Scope()
    scope.check(run)
    columns = list_columns(scheme)
    source = open_lists(run, region, columns, encoding)
    orders = _orders(run, scope)
    with new_folder(out) as folder:
        work = folder / ".work"
        work.mkdir()
        with gathered(run, source, columns, scope, work) as hospitals:
            for hospital, cases in hospitals:
                # A hospital that is not in hospitals.csv has only rejected cases.
                pq.write_table(cases, work / f"{orders[hospital].slug}.parquet")
        shared = _Shared(
            str(run.folder), scheme, str(work), str(folder), scope.month or "", language
        )
        written = []
        for one in runner.map(_write, shared, orders.values()):
            written.append(one)
            advance(1)
        for path in work.iterdir():
            path.unlink()
        work.rmdir()
        _write_list(folder / SENT, written)
    return Sent(
        out, len(written), sum(one.cases for one in written), sum(one.rejected for one in written)
    )


def _orders(run: Run, scope: Scope) -> dict[str, _Order]:
    """The workbooks by hospital, for the hospitals that have cases in the scope."""
    hospitals = run.table("hospitals").to_pylist()
    slugs = unique_slugs(row["hospital_id"] for row in hospitals)
    totals: dict[str, list[Total]] = {}
    counts: Counter[str] = Counter()
    invalid: Counter[str] = Counter()
    rejected: dict[str, list[tuple[str, ...]]] = {}
    wanted = _wanted(scope)
    with run.connect() as db:
        for hospital, rows, refused in db.execute(
            f"SELECT c.hospital_id, count(*), count(*) FILTER (p.route = 'invalid') "
            f"FROM cases c POSITIONAL JOIN points p WHERE {wanted} GROUP BY 1"
        ).fetchall():
            counts[hospital] = rows
            invalid[hospital] = refused
        for hospital, *row in db.execute(
            f"SELECT DISTINCT c.hospital_id, r.case_id, r.rule, r.field, r.value, r.message "
            f"FROM rejected r JOIN cases c ON c.case_id = r.case_id WHERE {wanted} ORDER BY ALL"
        ).fetchall():
            rejected.setdefault(hospital, []).append(tuple(text or "" for text in row))
        for row in _statements(db, wanted, with_late="late" in run.files):
            totals.setdefault(row[0], []).append(Total(*row[1:]))
    return {
        row["hospital_id"]: _Order(
            row["hospital_id"],
            row["name"] or row["hospital_id"],
            slug,
            tuple(totals.get(row["hospital_id"], ())),
            tuple(rejected.get(row["hospital_id"], ())),
            counts[row["hospital_id"]],
            invalid[row["hospital_id"]],
        )
        for row, slug in zip(hospitals, slugs, strict=True)
        if counts[row["hospital_id"]]
    }


def _wanted(scope: Scope) -> str:
    where = ["true"]
    if scope.hospitals is not None:
        listed = ", ".join("'" + h.replace("'", "''") + "'" for h in sorted(scope.hospitals))
        where.append(f"c.hospital_id IN ({listed})")
    if scope.month is not None:
        where.append(f"c.month = '{scope.month}'")
    return " AND ".join(where)


def _statements(db: Any, wanted: str, *, with_late: bool) -> list[tuple[Any, ...]]:
    """(hospital, and the fields of `Total`) where cases and statements agree.

    Raises:
        RunError: they do not.
    """
    late = "SELECT hospital_id, pool, month, cases, points FROM hospital_months WHERE false"
    if with_late:
        # Of a closed month the statement is kept; what came since is settled at year end.
        late = f"SELECT hospital_id, pool, month, cases, points FROM late c WHERE {wanted}"
    rows = db.execute(
        f"""
        WITH mine AS (
            SELECT c.hospital_id, c.pool, c.month, count(*) AS cases, sum(p.points) AS points,
                   sum(p.value) AS value
            FROM cases c POSITIONAL JOIN points p WHERE p.route = 'drg' AND {wanted} GROUP BY ALL
        ), stated AS (SELECT * FROM hospital_months c WHERE cases > 0 AND {wanted}),
        late_ones AS ({late})
        SELECT hospital_id, pool, month, coalesce(m.cases, 0), coalesce(m.points, 0),
            coalesce(m.value, 0), coalesce(s.gross, 0), coalesce(s.cases, 0),
            coalesce(s.points, 0), coalesce(l.cases, 0), coalesce(l.points, 0)
        FROM mine m FULL JOIN stated s USING (hospital_id, pool, month)
        FULL JOIN late_ones l USING (hospital_id, pool, month)
        ORDER BY hospital_id, pool, month
        """
    ).fetchall()
    found = []
    for hospital, pool, month, cases, points, value, gross, stated, told, late_cases, more in rows:
        if (cases, points) != (stated + late_cases, told + more):
            raise RunError(
                f"the statement of hospital '{hospital}', pool '{pool}', {month} has "
                f"{counted(stated, 'case')} with {told} points, "
                f"its cases are {cases} with {points}",
                hint="settle the region again into a new folder",
            )
        sums = (int(points * SCALE), int(value * FEN))
        statement = (stated, int(told * SCALE), int(gross * FEN))
        found.append((hospital, pool, month, cases, *sums, *statement))
    return found


def _write(shared: _Shared, order: _Order) -> _Written:
    """Write one workbook (a task)."""
    run = load_run(shared.run, verify=False)
    path = Path(shared.work) / f"{order.slug}.parquet"
    cells: list[Cells] = []
    if path.exists():
        cells = Rows(run, shared.scheme, shared.language).of(order.hospital_id, pq.read_table(path))
    if len(cells) > MOST_ROWS:
        raise RunError(
            f"hospital '{order.hospital_id}' has {len(cells):,} cases, more than a sheet holds",
            hint="write a month at a time: --month",
        )
    ticket = ticket_of(run, shared.scheme, order.hospital_id, shared.month, shared.language, cells)
    suffix = f"-{shared.month}" if shared.month else ""
    name = f"{order.slug}{suffix}.xlsx"
    notes = [
        f"本表病例 Cases on this sheet: {len(cells):,}",
        f"退回或被新版取代，不在本表 Rejected or superseded, not on this sheet: {order.invalid:,}",
        (
            "本表含医疗机构自己的病例编号，仅供该机构使用。"
            "This workbook carries the hospital's own case ids and is for this hospital alone."
        ),
    ]
    if len(cells) + order.invalid != order.cases:
        raise RunError(
            f"hospital '{order.hospital_id}' has {counted(order.cases, 'case')}, of which "
            f"{len(cells):,} to be answered and {order.invalid:,} rejected",
            hint="settle the region again into a new folder",
        )
    content = Content(
        order.hospital_id, order.name, ticket, cells, order.totals, order.rejected, notes
    )
    write_workbook(Path(shared.out) / name, content)
    return _Written(order.hospital_id, name, len(cells), order.invalid, ticket["digest"])


def ticket_of(
    run: Run, scheme: Scheme, hospital: str, month: str, language: str, cells: list[Cells]
) -> Mapping[str, str]:
    """What the hidden sheet says."""
    return {
        "format": str(FORMAT),
        "run": run.manifest.run,
        "engine": __version__,
        "scheme": scheme.digest,
        "hospital": hospital,
        "month": month,
        "language": language,
        "cases": str(len(cells)),
        "digest": digest_of(cells),
    }


def _write_list(path: Path, written: list[_Written]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("hospital_id", "file", "cases", "rejected", "digest"))
        for one in written:
            out.writerow((one.hospital_id, one.file, one.cases, one.rejected, one.digest))
