"""From benchmarks to the tables by which the tasks price a case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from grouper.run import values
from grouper.run.context import Context
from grouper.run.population import People
from grouper.settlement.benchmarks import Benchmarks, hospital_coefficients
from grouper.settlement.intake import IntakePlan
from grouper.settlement.months import Account, AccountKey, point_values
from grouper.settlement.numbers import p8
from grouper.settlement.policy import BY_HOSPITAL
from grouper.settlement.rules import cell_rules, compile_rules, price_rules


def make_pricing(
    context: Context,
    people: People,
    benchmarks: Benchmarks,
    plan: IntakePlan,
    halved: dict[int, NDArray[np.int64]],
) -> values.Pricing:
    """How points of a case are found.

    Args:
        context: the run.
        people: the population, for coefficients by hospital.
        benchmarks: of the run.
        plan: how cases are routed.
        halved: rows of the stays that a readmission halves, by part.
    """
    policy, region = context.policy, context.region
    per_diem: tuple[int, ...] = ()
    if policy.per_diem.used:
        table = policy.per_diem.table
        per_diem = tuple(p8(region.rate(table, hospital)) for hospital in region.hospitals)
    own = np.empty((0, 0), np.int64)
    if policy.coefficient.kind in BY_HOSPITAL:
        means, levels = people.hospital_means(), plan.accounts.levels
        own = np.array(hospital_coefficients(benchmarks, means, levels, policy), np.int64)
    classes: tuple[int, ...] = ()
    if plan.prices is None:
        slots = cell_rules(benchmarks, policy)
    else:
        classes, slots = plan.prices.classes, price_rules(plan.prices)
    kept = None
    if halved:
        part = policy.readmission.factor
        scaled = [[rule.kept(part) for rule in rules] for rules in slots]
        kept = compile_rules(scaled, factors=plan.with_factors)
    return values.Pricing(
        rules=compile_rules(slots, factors=plan.with_factors),
        accounts=plan.accounts,
        classes=classes,
        per_diem=per_diem,
        own=own,
        halved=halved,
        keep=policy.readmission.factor,
        kept=kept,
    )


def with_coefficients(benchmarks: Benchmarks, own: Benchmarks) -> Benchmarks:
    """The benchmarks with the coefficients of others, for a year end that recomputes them."""
    return replace(
        benchmarks,
        drgs=tuple(
            replace(
                drg,
                levels=tuple(
                    level._replace(coefficient=now.coefficient)
                    for level, now in zip(drg.levels, new.levels, strict=True)
                ),
            )
            for drg, new in zip(benchmarks.drgs, own.drgs, strict=True)
        ),
    )


def side_values(
    context: Context,
    paid: Mapping[AccountKey, Account],
    simulated: Mapping[AccountKey, Account],
) -> dict[tuple[str, str], int]:
    """Point values by pool and month; of months with simulated cases only, their own."""
    region, policy, year = context.region, context.policy, context.manifest.year
    found = point_values(region, policy, year, paid, [])
    alone = {key: book for key, book in simulated.items() if key[1:] not in found}
    if alone:
        found |= point_values(region, policy, year, alone, [])
    return {key: value.value for key, value in found.items()}
