"""The output tables of a run that the driver writes whole (folders.md), sorted by their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import pyarrow as pa

from grouper.settlement.amounts import MONEY, POINTS, Ints, decimal_column, exact_column
from grouper.settlement.benchmarks import Benchmarks
from grouper.settlement.clearing import Clearing, Incentive
from grouper.settlement.intake import Accounts
from grouper.settlement.late import Late
from grouper.settlement.months import AccountKey, HospitalMonth, Months
from grouper.settlement.numbers import p8, rounded
from grouper.settlement.perdiem import PerDiemMonth
from grouper.settlement.prices import QuotaYear
from grouper.settlement.region import LEVELS
from grouper.settlement.statistics import Population

_REGION = 0


def _money(values: Sequence[Fraction | int | None]) -> pa.Array:
    return exact_column(map(_fen, values), MONEY)


def _fen(value: Fraction | int | None) -> int | None:
    # Most are integers, which are not worth the question to the abstract class of all numbers.
    if type(value) is int:
        return value
    return rounded(value) if isinstance(value, Fraction) else value


def _points(values: Sequence[int | None]) -> pa.Array:
    return exact_column(values, POINTS)


def _texts(
    names: tuple[str, ...], rows: Sequence[tuple[tuple[str, ...], object]]
) -> dict[str, pa.Array]:
    """The columns of the keys of rows."""
    columns = zip(*(key for key, _ in rows), strict=True) if rows else [()] * len(names)
    return {name: pa.array(texts, pa.string()) for name, texts in zip(names, columns, strict=True)}


def statistics_table(drgs: Sequence[str], population: Population) -> pa.Table:
    """``statistics``: drg, level (0 = region), cases, cost_sum, mean_cost, cv."""
    rows = [
        (drg, level, group.sums[level], group.means[level])
        for drg, group in sorted(zip(drgs, population.groups, strict=True), key=lambda x: x[0])
        for level in (_REGION, *LEVELS)
        if group.sums[level].count
    ]
    return pa.table(
        {
            "drg": pa.array([row[0] for row in rows], pa.string()),
            "level": pa.array([row[1] for row in rows], pa.int8()),
            "cases": pa.array([row[2].count for row in rows], pa.int64()),
            "cost_sum": _money([row[2].total for row in rows]),
            "mean_cost": _money([row[3] or 0 for row in rows]),
            "cv": pa.array([row[2].cv for row in rows], pa.float64()),
        }
    )


def benchmarks_table(benchmarks: Benchmarks) -> pa.Table:
    """``benchmarks``: drg, level and the columns of folders.md, for every DRG of the scheme."""
    rows = [
        (drg, level, at)
        for drg in sorted(benchmarks.drgs, key=lambda drg: drg.drg)
        if drg.drg[1:3] != "QY"  # an ambiguous group is never paid by a benchmark
        for level, at in zip(LEVELS, drg.levels, strict=True)
    ]
    weights = [None if drg.weight is None else p8(drg.weight) for drg, _, _ in rows]
    return pa.table(
        {
            "drg": pa.array([drg.drg for drg, _, _ in rows], pa.string()),
            "level": pa.array([level for _, level, _ in rows], pa.int8()),
            "weight": _points(weights),
            "base_points": _points([drg.base_points for drg, _, _ in rows]),
            "coefficient": _points([at.coefficient for _, _, at in rows]),
            "stable": pa.array([drg.stable for drg, _, _ in rows], pa.bool_()),
            "basic": pa.array([drg.basic for drg, _, _ in rows], pa.bool_()),
            "region_mean": _money([drg.region_mean for drg, _, _ in rows]),
            "level_mean": _money([at.own_mean for _, _, at in rows]),
            "high_above": _money([at.high_above for _, _, at in rows]),
            "low_below": _money([at.low_below for _, _, at in rows]),
            "inversion": pa.array([at.inversion for _, _, at in rows], pa.bool_()),
        }
    )


def months_table(months: Months) -> pa.Table:
    """``months``: pool, month, cases, budget, points, point_value, paid, residual."""
    rows = sorted(months.values.items())
    gross: dict[tuple[str, str], int] = dict.fromkeys(months.values, 0)
    paid = dict(gross)
    for (_, pool, month), statement in months.statements.items():
        if (pool, month) in gross:
            gross[pool, month] += statement.gross
            paid[pool, month] += statement.paid
    return pa.table(
        {
            "pool": pa.array([key[0] for key, _ in rows], pa.string()),
            "month": pa.array([key[1] for key, _ in rows], pa.string()),
            "cases": pa.array([value.cases for _, value in rows], pa.int64()),
            "budget": _money([value.budget for _, value in rows]),
            "points": _points([value.points for _, value in rows]),
            "point_value": _points([value.value for _, value in rows]),
            "paid": _money([paid[key] for key, _ in rows]),
            "residual": _money([rounded(value.budget) - gross[key] for key, value in rows]),
        }
    )


def hospital_months_table(statements: Mapping[AccountKey, HospitalMonth]) -> pa.Table:
    """``hospital_months``: hospital_id, pool, month and the columns of `HospitalMonth`."""
    rows = sorted(statements.items())
    made = [row for _, row in rows]
    return pa.table(
        {
            **_texts(("hospital_id", "pool", "month"), rows),
            "cases": pa.array([row.cases for row in made], pa.int64()),
            "points": _points([row.points for row in made]),
            "extra_points": _points([row.extra_points for row in made]),
            "deducted_points": _points([row.deducted_points for row in made]),
            "gross": _money([row.gross for row in made]),
            "cash": _money([row.cash for row in made]),
            "prepaid": _money([row.prepaid for row in made]),
            "audit_deduction": _money([row.audit_deduction for row in made]),
            "paid": _money([row.paid for row in made]),
            "deposit": _money([row.deposit for row in made]),
        }
    )


def clearing_table(cleared: Mapping[tuple[str, str], Clearing]) -> pa.Table:
    """``clearing``: hospital_id, pool and the columns of `Clearing`."""
    rows = sorted(cleared.items())
    made = [row for _, row in rows]
    return pa.table(
        {
            **_texts(("hospital_id", "pool"), rows),
            "cases": pa.array([row.cases for row in made], pa.int64()),
            "points": _points([row.points for row in made]),
            "deducted_points": _points([row.deducted_points for row in made]),
            "point_value": _points([row.point_value for row in made]),
            "gross": _money([row.gross for row in made]),
            "assessed": _money([row.assessed for row in made]),
            "surplus_cut": _money([row.surplus_cut for row in made]),
            "self_pay_cut": _money([row.self_pay_cut for row in made]),
            "cash": _money([row.cash for row in made]),
            "already_paid": _money([row.already_paid for row in made]),
            "due": _money([row.due for row in made]),
        }
    )


def simulation_table(accounts: Accounts, codes: Sequence[str], keys: Ints, sums: Ints) -> pa.Table:
    """``simulation``: by hospital, pool and group the payment by item beside that by points.

    Columns hospital_id, pool, drg (empty: without a group), status, cases, simulated_cases, item
    (total cost), by_points (points × v) and difference, in yuan.

    Args:
        accounts: codes of hospitals and pools.
        codes: the groups.
        keys: (hospital × pools + pool) × kinds + kind.
        sums: int64 (4, keys): cases, simulated cases, total cost and value in fen.
    """
    owner, kind = np.divmod(keys, len(codes) + 2)
    hospital, pool = np.divmod(owner, len(accounts.pools))
    names = pa.array([*codes, "", ""], pa.string())
    states = pa.array(["grouped"] * len(codes) + ["ambiguous", "ungrouped"], pa.string())
    table = pa.table(
        {
            "hospital_id": pa.array(accounts.hospitals, pa.string()).take(pa.array(hospital)),
            "pool": pa.array(accounts.pools, pa.string()).take(pa.array(pool)),
            "drg": names.take(pa.array(kind)),
            "status": states.take(pa.array(kind)),
            "cases": pa.array(sums[0]),
            "simulated_cases": pa.array(sums[1]),
            "item": decimal_column(sums[2], MONEY),
            "by_points": decimal_column(sums[3], MONEY),
            "difference": decimal_column(sums[3] - sums[2], MONEY),
        }
    )
    return table.sort_by([(name, "ascending") for name in ("hospital_id", "pool", "drg", "status")])


def incentive_table(shared: Mapping[tuple[str, str], Incentive]) -> pa.Table:
    """``incentive``: hospital_id, pool, points, coefficient, amount."""
    rows = sorted(shared.items())
    return pa.table(
        {
            **_texts(("hospital_id", "pool"), rows),
            "points": _points([row.points for _, row in rows]),
            "coefficient": _points([row.coefficient for _, row in rows]),
            "amount": _money([row.amount for _, row in rows]),
        }
    )


def per_diem_table(statements: Mapping[AccountKey, PerDiemMonth]) -> pa.Table:
    """``per_diem``: hospital_id, pool, month, cases, points, point_value, gross, cash, paid."""
    rows = sorted(statements.items())
    return pa.table(
        {
            **_texts(("hospital_id", "pool", "month"), rows),
            "cases": pa.array([row.cases for _, row in rows], pa.int64()),
            "points": _points([row.points for _, row in rows]),
            "point_value": _points([row.point_value for _, row in rows]),
            "gross": _money([row.gross for _, row in rows]),
            "cash": _money([row.cash for _, row in rows]),
            "paid": _money([row.paid for _, row in rows]),
        }
    )


def quota_table(quotas: Mapping[tuple[str, str], QuotaYear]) -> pa.Table:
    """``quota``: hospital_id, pool and the columns of `QuotaYear`, in yuan."""
    rows = sorted(quotas.items())
    names = ("entitled", "spent", "saved", "overspent", "carried_in", "used", "covered")
    return pa.table(
        {
            **_texts(("hospital_id", "pool"), rows),
            **{
                name: _money([getattr(row, name) for _, row in rows])
                for name in (*names, "carried_out")
            },
        }
    )


def late_table(late: Mapping[AccountKey, Late]) -> pa.Table:
    """``late``: hospital_id, pool, month and the columns of `Late`."""
    rows = sorted(late.items())
    return pa.table(
        {
            **_texts(("hospital_id", "pool", "month"), rows),
            "cases": pa.array([row.cases for _, row in rows], pa.int64()),
            "points": _points([row.points for _, row in rows]),
            "cash": _money([row.cash for _, row in rows]),
        }
    )
