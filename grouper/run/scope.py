"""What a run moved into its stays and out of them, and that nothing of it was lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from grouper.counted import counted
from grouper.run.context import Context
from grouper.run.tally import Grouped
from grouper.run.visits import VisitOutcome, merge_visits
from grouper.settlement.apart import read_apart
from grouper.settlement.checks import Check, check_money
from grouper.settlement.intake import IntakePlan
from grouper.settlement.numbers import yuan_text
from grouper.settlement.routes import ROUTES
from grouper.settlement.scope import APART, AS_GIVEN, MERGED


class Scope:
    """The cost of the stays of a run."""

    def __init__(self, context: Context, plan: IntakePlan, duplicates: NDArray[np.uint64]) -> None:
        """Find what is merged and what is set apart.

        Raises:
            GrouperError: outpatient.parquet or items.parquet is faulty, or cases lack a column.
        """
        self.context = context
        rules = context.policy.stay
        self.visits: VisitOutcome | None = None
        self.plan = plan
        if rules.pre_admission_days is not None:
            self.visits = merge_visits(context, rules.pre_admission_days, duplicates)
        if self.visits is not None:
            self.plan = replace(self.plan, merged=self.visits.merged)
        if rules.negotiated_drugs_apart:
            self.plan = replace(self.plan, apart=read_apart(context.region.folder))
            if self.plan.apart is None:
                context.manifest.warnings.append("no_items: the region has no items.parquet")

    def close(self, grouped: Grouped) -> tuple[dict[str, pa.Table], list[Check]]:
        """The tables ``visits`` and ``apart``, and the equations that they must fulfil."""
        tables: dict[str, pa.Table] = {}
        checks: list[Check] = []
        merged = apart = 0
        if self.visits is not None:
            tables["visits"] = self.visits.table
            merged = self.visits.cost
            checks += self.visits.checks
        drugs = self.plan.apart
        if drugs is not None:
            places = np.concatenate([np.empty(0, np.int64), *grouped.apart])
            used = np.zeros(len(drugs.amount), np.bool_)
            used[places] = True
            tables["apart"] = drugs.table(used)
            whole, apart = int(drugs.amount.sum()), int(drugs.amount[used].sum())
            without = int((~used).sum())
            self.context.manifest.notes["apart"] = {
                "cases": int(used.sum()),
                "cost": yuan_text(apart),
                "without_case": without,
                "cost_without_case": yuan_text(whole - apart),
            }
            if without:
                first = drugs.case_id[int(np.flatnonzero(~used)[0])]
                self.context.manifest.warnings.append(
                    f"apart_without_case: drugs of {counted(without, 'case')} invalid or not "
                    f"there, the first is '{first}'"
                )
            checks.append(check_money("cost set apart", apart, grouped.cost[APART]))
        if AS_GIVEN in grouped.cost:
            routes = sum(grouped.cost[route] for route in ROUTES)
            given = grouped.cost[AS_GIVEN] + grouped.cost[MERGED] - grouped.cost[APART]
            checks.append(check_money("cost as given + merged - apart", given, routes))
            checks.append(check_money("cost merged", merged, grouped.cost[MERGED]))
        return tables, checks
