"""The table ``versions`` of a run: what changed from one version of a case to the next (清单版本).

All versions of a case are grouped and priced alike, by the benchmarks of the run, each list by
itself: without visits before the stay, readmission and review.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.caseids import SUPERSEDED, id_hashes, repeated_among
from grouper.cases import CaseSource, Part, read_part
from grouper.counted import counted
from grouper.duplicates import NO_DUPLICATES, VERSION, version_of
from grouper.grouping import group_batch
from grouper.run.context import Context
from grouper.run.folder import write_table
from grouper.run.values import Pricing
from grouper.scheme import Scheme
from grouper.settlement.amounts import MONEY, POINTS, decimal_column, text_column
from grouper.settlement.arrivals import integers
from grouper.settlement.facts import Facts
from grouper.settlement.intake import IntakePlan, take_in
from grouper.settlement.routes import INVALID, PER_DIEM, ROUTES

STAGE: Final = "versions"
_GIVEN: Final = ("hospital_id", "pool", "month", "route", "status", "drg")
_SIDES: Final = (
    *((name, pa.string()) for name in _GIVEN),
    ("points", POINTS),
    ("total_cost", MONEY),
)
VERSIONS: Final = pa.schema(
    [
        ("case_id", pa.string()),
        ("version_before", pa.int64()),
        ("version", pa.int64()),
        ("change", pa.string()),
        *((f"{name}{side}", kind) for name, kind in _SIDES for side in ("_before", "")),
        ("points_change", POINTS),
        ("month_closed", pa.bool_()),
    ]
)
"""Each version of a case beside the one before it, key ``case_id, version``.

``change`` is ``group`` (status or DRG), else ``points``, else ``none``; points are empty where a
list is not paid by points; ``month_closed``: the difference is settled at year end.
"""

_LISTS: Final = pa.schema(
    [("case_id", pa.string()), ("version", pa.int64()), *_SIDES, ("once", pa.bool_())]
)


@dataclass(frozen=True)
class VersionsShared:
    """What the search for versions reads; ``firsts``: first hashes of ids with several, sorted."""

    source: CaseSource
    scheme: Scheme
    plan: IntakePlan
    pricing: Pricing
    duplicates: NDArray[np.uint64]
    firsts: NDArray[np.uint64]


def versions_task(shared: VersionsShared, part: Part) -> pa.Table:
    """The lists of a part whose cases have several versions, as `_LISTS`."""
    found = [_LISTS.empty_table()]
    some = False
    for batch in read_part(shared.source, part, ("case_id",)):
        some = some or bool(_several(batch, shared.firsts).any())
    if not some:
        return found[0]
    for batch in read_part(shared.source, part):
        rows = batch.filter(pa.array(_several(batch, shared.firsts)))
        if rows.num_rows:
            found.append(_lists(shared, rows))
    return pa.concat_tables(found)


def _several(batch: pa.RecordBatch, firsts: NDArray[np.uint64]) -> NDArray[np.bool_]:
    first, _ = id_hashes(batch.column("case_id"))
    place = np.minimum(np.searchsorted(firsts, first), len(firsts) - 1)
    several: NDArray[np.bool_] = firsts[place] == first
    if batch.column("case_id").null_count:
        several &= batch.column("case_id").is_valid().to_numpy(zero_copy_only=False)
    return several


def _lists(shared: VersionsShared, rows: pa.RecordBatch) -> pa.Table:
    grouped = group_batch(rows, shared.scheme)
    intake = take_in(rows, grouped, shared.plan)
    facts = Facts(
        rows.column("case_id"), intake.cell, intake.account, intake.total, intake.compliant,
        intake.route, intake.reason, intake.days,
        np.empty(0, np.int64) if intake.factor is None else intake.factor,
    )  # fmt: skip
    points, _, _ = shared.pricing.points(facts, -1, 0)
    without = (intake.cell < 0) & (intake.route != PER_DIEM) | (intake.route == INVALID)
    accounts = shared.plan.accounts
    place = accounts.pool_month(intake.account)
    pool = np.where(place < 0, len(accounts.pools), place // len(accounts.months))
    fate = repeated_among(grouped.hashes, shared.duplicates, version_of(rows))
    columns = {
        "case_id": rows.column("case_id"),
        "version": pa.array(integers(rows, VERSION, 1)),
        "hospital_id": rows.column("hospital_id"),
        "pool": text_column(pool, (*accounts.pools, "")),
        "month": rows.column("settle_month"),
        "route": text_column(intake.route, ROUTES),
        "status": intake.grouped.column("status"),
        "drg": intake.grouped.column("drg"),
        "points": decimal_column(points, POINTS, without),
        "total_cost": decimal_column(intake.total, MONEY),
        "once": pa.array((fate == 0) | (fate == SUPERSEDED)),
    }
    arrays = [columns[field.name].cast(field.type) for field in _LISTS]
    return pa.Table.from_arrays(arrays, schema=_LISTS)


def write_versions(
    context: Context, plan: IntakePlan, pricing: Pricing, duplicates: NDArray[np.uint64]
) -> None:
    """Write the table, where the lists carry versions.

    Args:
        context: the run.
        plan, pricing: of the run.
        duplicates: of `duplicates.find_duplicates`.
    """
    source = context.sources["cases"]
    if VERSION not in source.columns:
        return
    superseded = NO_DUPLICATES
    if duplicates.shape[1] > NO_DUPLICATES.shape[1]:
        superseded = duplicates[duplicates[:, 2] == SUPERSEDED]
    tables = [_LISTS.empty_table()]
    if len(superseded):
        firsts = np.unique(superseded[:, 0])
        alone = replace(pricing, halved={}, kept=None)
        shared = VersionsShared(source, context.scheme, plan, alone, duplicates, firsts)
        results = context.runner.map(versions_task, shared, source.parts)
        tables += context.each(STAGE, results, len(source.parts))
    lists = pa.concat_tables(tables)
    table = changes(lists, lambda pool, month: (pool, month) in context.region.closed)
    counts = {"superseded": len(superseded), "rows": table.num_rows}
    counts |= {
        f"change {kind}": pc.sum(pc.equal(table["change"], kind)).as_py() or 0
        for kind in ("group", "points", "none")
    }
    context.manifest.stage(STAGE, counts, write_table(context.out, STAGE, table))
    if len(superseded):
        context.manifest.warnings.append(
            f"superseded: {counted(len(superseded), 'list')} superseded by later versions of "
            "their cases; "
            f"{counted(counts['change group'], 'change')} of group and "
            f"{counts['change points']} of points alone stand in versions.parquet"
        )


def changes(lists: pa.Table, closed: Callable[[str, str], bool]) -> pa.Table:
    """Each list beside the one before it of the same case, as `VERSIONS`.

    Args:
        lists: rows of `_LISTS`; those that are repeated are left out.
        closed: whether a pool's month is closed.
    """
    order = lists.filter(lists["once"]).drop_columns(["once"])
    order = order.sort_by([("case_id", "ascending"), ("version", "ascending")]).combine_chunks()
    if order.num_rows < len(("before", "after")):
        return VERSIONS.empty_table()
    before, after = order.slice(0, order.num_rows - 1), order.slice(1)
    same = pc.equal(before["case_id"], after["case_id"])
    before, after = before.filter(same), after.filter(same)
    columns = {"case_id": after["case_id"]}
    for name in (VERSION, *(name for name, _ in _SIDES)):
        columns |= {f"{name}_before": before[name], name: after[name]}
    zero = pa.scalar(0, POINTS)
    points = [pc.fill_null(side["points"], zero) for side in (before, after)]
    columns["points_change"] = pc.subtract(points[1], points[0]).cast(POINTS)
    group = pc.or_(*(pc.not_equal(before[name], after[name]) for name in ("status", "drg")))
    moved = pc.not_equal(columns["points_change"], zero)
    columns["change"] = pc.if_else(group, "group", pc.if_else(moved, "points", "none"))
    columns["month_closed"] = pa.array(
        [
            any(month is not None and closed(pool, month) for pool, month in (one, other))
            for one, other in zip(
                *(zip(s["pool"].to_pylist(), s["month"].to_pylist(), strict=True)
                  for s in (before, after)), strict=True,
            )
        ],
        pa.bool_(),
    )  # fmt: skip
    return pa.table({field.name: columns[field.name] for field in VERSIONS}).cast(VERSIONS)
