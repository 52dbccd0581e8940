"""`grouper month add`: the lists of a month come into a region, checked and whole or not at all.

What is added becomes one new file of ``REGION/cases``, ``part-MONTH-ID.parquet``, whose id is a
digest of the files that were given. It appears by one rename, after everything else is on the disk;
``REGION/months/MONTH/ID/`` then tells of it:

====================  ========================================================================
``intake.json``       the files with their digests, and how many lists were added and rejected
``rejected.csv``      case_id, version, hospital_id, file, reason, message
``changes.csv``       the lists of cases that were there before: hospital, versions, group, cost
====================  ========================================================================
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from grouper.cases import COLUMNS, CaseSource, Column, Part, open_cases, read_part
from grouper.cases.names import column_names
from grouper.duplicates import VERSION
from grouper.errors import CaseTableError, RegionError
from grouper.execution import Runner
from grouper.grouping import columns_for, group, required_for
from grouper.parts import EXCEL_MARK, ParquetFile, disk_errors, file_digest, sync_folder
from grouper.run.listchecks import REJECTED, Lists
from grouper.run.work import write_whole
from grouper.scheme import Scheme
from grouper.settlement.calendar import checked_month
from grouper.settlement.csvtable import csv_bytes
from grouper.settlement.intake import REQUIRED
from grouper.settlement.plain import plain_batch
from grouper.settlement.region import load_region

FOLDER: Final = "months"
_CASES: Final = "cases"
_ID: Final = 16

_SIDES: Final = ("version", "status", "drg", "total_cost")
_CHANGES: Final = (
    "case_id",
    "hospital_id",
    *(f"{name}{side}" for name in _SIDES for side in ("_before", "")),
    "change",
)


@dataclass(frozen=True)
class Added:
    """What became of the lists of a month.

    Attributes:
        part: the new file, below the region's cases.
        record: the folder that tells of it.
        statuses: the added lists by status of their grouping.
        rejected: rows of `rejected.csv`.
        changes: rows of `changes.csv`.
        closed: pools whose month is closed already.
    """

    part: Path
    record: Path
    added: int
    statuses: Mapping[str, int]
    rejected: tuple[tuple[str, ...], ...]
    changes: tuple[tuple[str, ...], ...]
    closed: tuple[str, ...]

    def reasons(self) -> Counter[str]:
        """Number of rejected lists by reason."""
        return Counter(row[REJECTED.index("reason")] for row in self.rejected)


def add_month(
    region: Path,
    files: Sequence[Path],
    month: str,
    scheme: Scheme,
    runner: Runner,
    *,
    encoding: str = "utf-8",
) -> Added:
    """Take in the lists of one month.

    Args:
        region: the region folder.
        files: files of cases, or folders of them.
        month: YYYY-MM; lists of another month are rejected.
        scheme: groups the new lists, and the earlier versions that they follow.
        runner: reads the cases that are there.
        encoding: of CSV files.

    Raises:
        CaseTableError: a file cannot be read, or none of its lists can be added.
        RegionError: the region is faulty, these files were added before, or another process adds.
        OutputError: the region cannot be written.
    """
    checked_month(month)
    tables = load_region(region)
    with disk_errors(region), _alone(region):
        names = column_names(region)
        wanted = {c.name: c for c in (*COLUMNS.values(), *columns_for(scheme))}
        sources = [_open(path, wanted, scheme, encoding, names) for path in files]
        digests = {
            Path(part.path): file_digest(Path(part.path)) for s in sources for part in s.parts
        }
        names_given = Counter(path.name for path in digests)
        given = {
            path.name if names_given[path.name] == 1 else str(path): digest
            for path, digest in digests.items()
        }
        _not_before(region, month, digests)
        key = hashlib.sha256("\n".join([month, *sorted(digests.values())]).encode()).hexdigest()
        key = key[:_ID]
        columns = [c for n, c in wanted.items() if n == VERSION or _any_has(sources, n)]
        lists = Lists.read(sources, columns)
        lists.check(tables, month)
        old = _there(region, wanted, scheme, encoding, names, lists.ids(), runner)
        lists.compare(old, columns)
        taken = lists.taken()
        if not taken.num_rows:
            raise _nothing(lists)
        grouped = _grouped(taken, scheme)
        changes = _changes(taken, grouped, old, scheme)
        record = region / FOLDER / month / key
        part = region / _CASES / f"part-{month}-{key}.parquet"
        summary = {
            "month": month,
            "part": part.name,
            "files": given,
            "scheme": {"id": scheme.id, "digest": scheme.digest},
            "added": taken.num_rows,
            "statuses": dict(sorted(Counter(grouped["status"].to_pylist()).items())),
            "rejected": dict(sorted(lists.counts().items())),
            "changes": len(changes),
        }
        rejected = lists.rejected()
        _place(record, part, taken, names, summary, rejected, changes)
    closed = sorted(pool for pool, closed_month in tables.closed if closed_month == month)
    return Added(
        part, record, taken.num_rows, summary["statuses"], tuple(rejected), tuple(changes),
        tuple(closed),
    )  # fmt: skip


@contextmanager
def _alone(region: Path) -> Iterator[None]:
    (region / FOLDER).mkdir(exist_ok=True)
    with (region / FOLDER / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RegionError(
                "another process adds a month to this region", file=str(region),
                hint="wait until it has ended",
            ) from None  # fmt: skip
        yield


def _open(
    path: Path,
    wanted: Mapping[str, Column],
    scheme: Scheme,
    encoding: str,
    names: Mapping[str, str],
) -> CaseSource:
    required = dict.fromkeys((*REQUIRED, *required_for(scheme)))
    return open_cases(
        path, wanted=wanted.values(), required=tuple(required), encoding=encoding, names=names
    )


def _any_has(sources: Sequence[CaseSource], name: str) -> bool:
    return any(name in source.columns for source in sources)


def _not_before(region: Path, month: str, digests: Mapping[Path, str]) -> None:
    """Refuse files that were added to the month before.

    A record without its part is of an add that was lost. What a file holds of another month is
    still to be added to that month.
    """
    for record in sorted((region / FOLDER / month).glob("*/intake.json")):
        known = json.loads(record.read_text(encoding="utf-8"))
        if not (region / _CASES / known["part"]).is_file():
            continue
        for path, digest in digests.items():
            if digest in known["files"].values():
                raise RegionError(
                    f"this file was added to {known['month']} before (cases/{known['part']})",
                    file=path.name,
                    hint="give only new files, also for the lists that were rejected then; "
                    "nothing was changed",
                )
    seen: dict[str, Path] = {}
    for path, digest in digests.items():
        if (other := seen.setdefault(digest, path)) != path:
            raise RegionError(
                f"the same file as {other.name}", file=path.name, hint="give each file once"
            )


@dataclass(frozen=True)
class _Searching:
    source: CaseSource
    columns: tuple[Column, ...]
    ids: pa.Array


def _search(shared: _Searching, part: Part) -> pa.Table:
    """The lists of a part whose ids are looked for."""
    schema = pa.schema([(column.name, column.type) for column in shared.columns])
    found = [
        bool(pc.any(pc.is_in(batch.column("case_id").cast(pa.string()), shared.ids)).as_py())
        for batch in read_part(shared.source, part, ("case_id",))
    ]
    if not any(found):
        return schema.empty_table()
    batches = []
    for batch in read_part(shared.source, part):
        mine = batch.filter(pc.is_in(batch.column("case_id").cast(pa.string()), shared.ids))
        batches.append(plain_batch(mine, shared.columns))
    return pa.Table.from_batches(batches, schema)


def _there(
    region: Path,
    wanted: Mapping[str, Column],
    scheme: Scheme,
    encoding: str,
    names: Mapping[str, str],
    ids: pa.Array,
    runner: Runner,
) -> pa.Table:
    """All lists of these cases that the region has."""
    schema = pa.schema([(column.name, column.type) for column in wanted.values()])
    folder = region / _CASES
    folder.mkdir(exist_ok=True)
    if not any(not path.name.startswith((".", "_")) for path in folder.iterdir()):
        return schema.empty_table()
    source = _open(folder, wanted, scheme, encoding, names)
    shared = _Searching(source, tuple(wanted.values()), ids)
    table = pa.concat_tables([schema.empty_table(), *runner.map(_search, shared, source.parts)])
    place = table.schema.get_field_index(VERSION)
    return table.set_column(place, VERSION, pc.fill_null(table[VERSION], 1)).combine_chunks()


def _grouped(lists: pa.Table, scheme: Scheme) -> pa.Table:
    """Status and DRG of each list, whatever other lists there are."""
    names = {column.name for column in columns_for(scheme)} & set(lists.column_names)
    numbered = lists.select(sorted(names - {"case_id", VERSION}))
    ids = pa.array([str(row) for row in range(lists.num_rows)], pa.string())
    return group(numbered.append_column("case_id", ids), scheme)


def _changes(
    taken: pa.Table, grouped: pa.Table, old: pa.Table, scheme: Scheme
) -> list[tuple[str, ...]]:
    """Each added list beside the version of its case before it, rows of `changes.csv`."""
    several = set(old["case_id"].to_pylist())
    counts = Counter(taken["case_id"].to_pylist())
    several |= {name for name, count in counts.items() if count > 1}
    rows = []
    for lists, groups, new in ((old, _grouped(old, scheme), False), (taken, grouped, True)):
        columns = [lists[n].to_pylist() for n in ("case_id", VERSION, "hospital_id", "total_cost")]
        drgs = [groups[n].to_pylist() for n in ("status", "drg")]
        for case_id, version, hospital, cost, status, drg in zip(*columns, *drgs, strict=True):
            if case_id in several:
                rows.append((case_id, version, hospital, status, drg, cost, new))
    rows.sort(key=lambda row: row[:2])
    found = []
    for before, after in pairwise(rows):
        if before[0] == after[0] and after[-1]:
            moved = before[3:5] != after[3:5]
            change = "group" if moved else "cost" if before[5] != after[5] else "none"
            sides = [
                text
                for place in (1, 3, 4, 5)
                for text in ("" if v is None else str(v) for v in (before[place], after[place]))
            ]
            found.append((after[0], after[2], *sides, change))
    return found


def _nothing(lists: Lists) -> CaseTableError:
    counts = ", ".join(f"{count} {reason}" for reason, count in sorted(lists.counts().items()))
    first = lists.rejected()[0]
    return CaseTableError(
        f"no list of these files can be added: {counts}",
        file=first[REJECTED.index("file")],
        hint=f"the first is '{first[0]}': {first[-1]}; nothing was changed",
    )


def _place(
    record: Path,
    part: Path,
    taken: pa.Table,
    names: Mapping[str, str],
    summary: Mapping[str, Any],
    rejected: Sequence[Sequence[str]],
    changes: Sequence[Sequence[str]],
) -> None:
    """Write the record and the part; the rename of the part is what adds the month."""
    table = taken.rename_columns([names.get(name, name) for name in taken.column_names])
    whole = part.with_name(f".{part.name}.{secrets.token_hex(4)}")
    made = record.with_name(f".{record.name}.{secrets.token_hex(4)}")
    for lost in (*part.parent.glob(f".part-{record.parent.name}-*"), *record.parent.glob(".*")):
        # Of a process that was lost; the region is ours alone.
        shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    try:
        made.mkdir(parents=True)
        # People read these two tables, and no run does.
        write_whole(made / "rejected.csv", EXCEL_MARK + csv_bytes(REJECTED, rejected))
        write_whole(made / "changes.csv", EXCEL_MARK + csv_bytes(_CHANGES, changes))
        text = json.dumps(summary, ensure_ascii=False, indent=1, sort_keys=True)
        write_whole(made / "intake.json", f"{text}\n".encode())
        with ParquetFile(whole, table.schema, plain=()) as out:
            for batch in table.combine_chunks().to_batches():
                out.write(batch)
        shutil.rmtree(record, ignore_errors=True)
        made.replace(record)
        sync_folder(record.parent)
        whole.replace(part)
        sync_folder(part.parent)
    finally:
        whole.unlink(missing_ok=True)
        shutil.rmtree(made, ignore_errors=True)
