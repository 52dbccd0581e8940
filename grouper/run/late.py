"""Cases that arrived after their month was closed: who they are, which of them were reviewed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from grouper.caseids import id_hashes
from grouper.errors import RegionError
from grouper.kernels.arrays import readonly
from grouper.kernels.ids import mark
from grouper.parts import part_name
from grouper.run.context import Context
from grouper.run.work import WORK
from grouper.settlement.amounts import MONEY, POINTS
from grouper.settlement.closed import CASES_FOLDER, cases_file, closed_places
from grouper.settlement.intake import Accounts
from grouper.settlement.months import MONTHS
from grouper.settlement.reviews import Reviewed
from grouper.settlement.routes import DRG, ROUTES

UInt64s = NDArray[np.uint64]

LATE_CASES: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("case_id", "hospital_id", "pool", "month")),
        ("points", POINTS),
        ("extra_points", POINTS),
        ("total_cost", MONEY),
    ]
)
"""Cases of route ``drg`` of closed months that were not there when the month was closed."""


@dataclass(frozen=True)
class LateShared:
    """What the search for late cases reads; ``ids`` are files of hash pairs by pool and month."""

    run: str
    ids: dict[tuple[str, str], str]


def late_task(shared: LateShared, number: int) -> tuple[pa.Table, dict[tuple[str, str], int]]:
    """(late cases of a part, how many cases of each closed month were there when it was closed)."""
    run = Path(shared.run)
    wanted = ["case_id", "hospital_id", "pool", "month", "total_cost"]
    cases = pq.read_table(run / "cases" / part_name(number), columns=wanted)
    wanted = ["route", "points", "extra_points"]
    points = pq.read_table(run / "points" / part_name(number), columns=wanted)
    table = pa.table(
        {
            field.name: (cases if field.name in cases.column_names else points)[field.name]
            for field in LATE_CASES
        }
    )
    paid = pc.equal(points["route"], ROUTES[DRG])
    found, known = [LATE_CASES.empty_table()], {}
    for (pool, month), file in shared.ids.items():
        here = pc.and_(pc.equal(table["pool"], pool), pc.equal(table["month"], month))
        mine = table.filter(pc.and_(paid, here))
        there = _among(mine["case_id"].combine_chunks(), np.load(file))
        known[pool, month] = int(there.sum())
        found.append(mine.filter(pa.array(~there)).cast(LATE_CASES))
    return pa.concat_tables(found), known


def _among(case_id: pa.Array, pairs: UInt64s) -> NDArray[np.bool_]:
    first, second = id_hashes(case_id)
    marks = np.zeros(len(case_id), np.int8)
    mark(readonly(first), readonly(second), readonly(pairs), marks, 1)
    return marks.astype(np.bool_)


class Closed:
    """The closed months of a run whose cases are known."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @cached_property
    def ids(self) -> dict[tuple[str, str], UInt64s]:
        """Hash pairs of the cases of each closed pool and month, sorted.

        Raises:
            RegionError: a list of cases is not what `grouper close` writes.
        """
        region = self.context.region
        found: dict[tuple[str, str], UInt64s] = {}
        months: dict[str, pa.Table] = {}
        for pool, month in sorted(closed_places(region.statements)):
            if month not in months:
                months[month] = _cases_of(region.folder, month)
            table = months[month]
            mine = table.filter(pc.equal(table["pool"], pool))["case_id"].combine_chunks()
            pairs = np.stack(id_hashes(mine), axis=1)
            found[pool, month] = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
        return found

    def reviewed(self, cases: Reviewed, accounts: Accounts) -> Reviewed:
        """The reviewed cases, each told whether it arrived after its month was closed."""
        late = np.zeros(len(cases), np.bool_)
        places = accounts.pool_month(cases.account.astype(np.int32))
        reviews = self.context.region.reviews
        for (pool, month), pairs in self.ids.items():
            if pool not in accounts.pools or month not in accounts.months:
                continue
            place = accounts.pools.index(pool) * MONTHS + accounts.months.index(month)
            rows = np.flatnonzero((cases.account >= 0) & (places == place))
            names = [reviews[review].case_id for review in cases.review[rows].tolist()]
            late[rows] = ~_among(pa.array(names, pa.string()), pairs)
        return replace(cases, late=late)

    def late_cases(self) -> pa.Table | None:
        """The late cases, sorted by id; None where the region keeps no closed statements.

        What no longer stands in its closed month is counted in the manifest.
        """
        if not self.ids:
            return None
        folder = self.context.out / WORK / "closed"
        folder.mkdir(exist_ok=True)
        files = {}
        for number, (place, pairs) in enumerate(self.ids.items()):
            files[place] = str(folder / f"{number:05d}.npy")
            np.save(files[place], pairs)
        shared = LateShared(str(self.context.out), files)
        results = self.context.runner.map(late_task, shared, self.context.numbers)
        tables, still = [], dict.fromkeys(self.ids, 0)
        for table, known in self.context.each("late", results, len(self.context.numbers)):
            tables.append(table)
            for place, count in known.items():
                still[place] += count
        late = pa.concat_tables(tables).combine_chunks()
        self.context.manifest.notes["closed_months"] = [
            {
                "pool": pool,
                "month": month,
                "closed_cases": len(pairs),
                "late_cases": pc.sum(
                    pc.and_(pc.equal(late["pool"], pool), pc.equal(late["month"], month))
                ).as_py()
                or 0,
                "no_longer_there": len(pairs) - still[pool, month],
            }
            for (pool, month), pairs in self.ids.items()
        ]
        return late.sort_by("case_id")


def _cases_of(folder: Path, month: str) -> pa.Table:
    path = cases_file(folder, month)
    try:
        table = pq.read_table(path, columns=["case_id", "pool"])
    except (OSError, pa.ArrowException, KeyError) as cause:
        raise RegionError(
            f"this is not a list of closed cases: {cause}",
            file=f"{CASES_FOLDER}/{path.name}",
            hint="restore the file that `grouper close` wrote",
        ) from cause
    if table.column_names != ["case_id", "pool"]:
        raise RegionError(
            "this is not a list of closed cases",
            file=f"{CASES_FOLDER}/{path.name}",
            hint="restore the file that `grouper close` wrote",
        )
    return table
