"""The driver of a run: hands parts to the runner, adds up what comes back, decides what follows.

Its own work per part is small and constant; everything per case happens in the tasks.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from grouper.caseids import id_hashes
from grouper.counted import counted
from grouper.duplicates import NO_DUPLICATES, VERSION
from grouper.folded import Folded
from grouper.quality.evaluate import Plan
from grouper.run import stages, values
from grouper.run.beside import SideSums
from grouper.run.books import POINT_COLUMNS, AccountTotal, PointSums
from grouper.run.context import Context
from grouper.run.folder import finish
from grouper.run.late import Closed
from grouper.run.lists import check_lists, list_plan, rejecting_plan
from grouper.run.oddcodes import write_odd_codes
from grouper.run.population import People
from grouper.run.pricing import make_pricing, side_values, with_coefficients
from grouper.run.publish import Basis, Outcome, close_accounts, publish, settle
from grouper.run.reuse import Reuse, open_reuse, take_lists
from grouper.run.scope import Scope
from grouper.run.survey import Survey, confirm, places_of
from grouper.run.survey import survey as take_survey
from grouper.run.tally import (
    Grouped,
    PointTotals,
    Written,
    by_place,
    reasons_of,
    review_quota,
    with_factors,
)
from grouper.run.versions import write_versions
from grouper.run.work import Done
from grouper.settlement.benchmarks import (
    Benchmarks,
    PublishedWeight,
    make_benchmarks,
)
from grouper.settlement.checks import Check, check_counts, require
from grouper.settlement.dip import Catalogue, make_catalogue
from grouper.settlement.intake import (
    AMOUNTS,
    Accounts,
    IntakePlan,
    make_accounts,
    make_plan,
)
from grouper.settlement.lacking import check_region, lacking
from grouper.settlement.late import late_sums
from grouper.settlement.months import Account, AccountKey, Extra
from grouper.settlement.perdiem import PerDiemMonths, settle_per_diem
from grouper.settlement.prices import make_price_list
from grouper.settlement.reviews import Decided, Reviewed, decide
from grouper.settlement.routes import ROUTES
from grouper.settlement.rules import CLASSES
from grouper.settlement.statistics import Population

_STAY_BUCKETS = 16
_TURN_SECONDS = 0.0005
"""How long what is done aside may keep the driver from handing out work."""


class Driver:
    """One run from its first to its last stage."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.region = context.region
        self.policy = context.policy
        self.out = context.out
        self.runner = context.runner
        self.manifest = context.manifest
        self.numbers = context.numbers
        self.codes: tuple[str, ...] = context.scheme.drgs
        self.published: Mapping[str, PublishedWeight] = context.scheme.weights
        self.people = People(context)

    def execute(self) -> None:
        """Run all stages and write the manifest."""
        # Region and scheme, which stay to the end, are not looked through for garbage on and on.
        gc.freeze()
        turn = sys.getswitchinterval()
        sys.setswitchinterval(_TURN_SECONDS)
        try:
            # What needs no worker is done aside while they are at a stage that does not need it.
            with ThreadPoolExecutor(1) as aside:
                self._execute(aside)
        finally:
            sys.setswitchinterval(turn)
            gc.unfreeze()

    def _execute(self, aside: Executor) -> None:
        survey = take_survey(self.context)
        cities = set(survey.cities) - {""}
        accounts = make_accounts(self.region, self.policy, self.manifest.year, cities)
        plan = make_plan(self.region, self.policy, accounts)
        places = places_of(survey, accounts)
        check_region(self.region, self.policy, self.manifest.year, places)
        reuse = self._reuse()
        checked = self.policy.quality.report and (reuse is None or not reuse.lists)
        listing = aside.submit(list_plan, self.context) if checked else None
        if reuse is not None and checked:
            reuse = replace(reuse, same_routes=False)  # the lists are read as a whole
        duplicates = NO_DUPLICATES
        versioned = VERSION in self.context.sources["cases"].columns
        if reuse is None or reuse.grown or checked or versioned:
            duplicates = self.context.repeated_cases()
        if self.policy.reject:
            plan = replace(plan, quality=rejecting_plan(self.context))
        scope = Scope(self.context, plan, duplicates)
        plan = scope.plan
        lacks = lacking(self.region, self.policy, self.manifest.year, places)
        confirm(self.context, plan, duplicates, lacks)
        if self.policy.groups.by == "dip":
            plan = replace(plan, catalogue=self._catalogue(plan, duplicates))
        if self.policy.price.table:
            apart = self.policy.stay.negotiated_drugs_apart
            prices = make_price_list(self.region, self.policy.price, self.codes, apart=apart)
            plan = replace(plan, prices=prices)
        lists = None if listing is None else listing.result()
        grouped = self._group(survey, plan, duplicates, lists, reuse)
        halved = self._halved(plan)
        known = None
        if self.people.need_workers:
            known = self.people.population(self.codes, grouped.cells, grouped.cases, plan)
        priced = aside.submit(self._price, grouped, plan, halved, known)
        if lists is not None:
            check_lists(self.context, lists)
        elif reuse is not None:
            take_lists(self.out, self.manifest, reuse)
        statistics, benchmarks, pricing = priced.result()
        self.manifest.warnings += benchmarks.warnings
        write_versions(self.context, plan, pricing, duplicates)
        pointed = self._begin_points(pricing)
        reviewed = with_factors(grouped.reviewed, halved, pricing)
        closed = Closed(self.context)
        reviewed = closed.reviewed(reviewed, accounts)
        deciding = aside.submit(self._decide, benchmarks, pricing, accounts, reviewed)
        paid, simulated, daily = self._points(pointed, grouped, accounts)
        decided = deciding.result()
        self.manifest.warnings += decided.warnings
        quota = self.policy.supervision.review_quota
        self.manifest.notes["review_quota"] = review_quota(
            accounts, grouped.reviewed, grouped.books, quota
        )
        year, extras = self.manifest.year, decided.extras
        books = self._year_books(benchmarks, grouped, plan, halved, reviewed, paid, decided)
        late = late_sums(self.region, paid, self.manifest.warnings)
        per_diem = settle_per_diem(self.region, self.policy, year, daily)
        value = side_values(self.context, paid, simulated)
        valued = self._begin_values(pricing, benchmarks, decided, value, per_diem)
        basis = Basis(
            self.region, self.context.scheme, self.policy, self.codes, accounts, statistics,
            benchmarks,
        )  # fmt: skip
        settling = aside.submit(
            settle, self.out, basis, year, self.numbers, paid, extras, books, reuse
        )
        written = self._values(valued, accounts, decided)
        outcome = Outcome(
            basis, settling.result(), per_diem, written.beside, late, closed.late_cases()
        )
        more, moved = scope.close(grouped)
        made = publish(self.out, self.manifest, outcome, more)
        self._check_all(moved)
        self._check_all(close_accounts(self.out, made, outcome, grouped, written, self.numbers))
        self.manifest.warnings.sort()
        finish(self.out, self.manifest)

    # -- stages ---------------------------------------------------------------------------------

    def _reuse(self) -> Reuse | None:
        run, source = self.context.reuse, self.context.sources["cases"]
        return None if run is None else open_reuse(run, self.manifest, source, self.policy)

    def _catalogue(self, plan: IntakePlan, duplicates: stages.UInt64s) -> Catalogue:
        source = self.people.source
        past = source is not None
        if source is None:
            source = self.context.sources["cases"]
        else:
            duplicates = self.context.duplicates(source)
        shared = stages.CatalogueShared(source, self.context.scheme, duplicates, plan, past)
        counts: Counter[str] = Counter()
        results = self.runner.map(stages.catalogue_task, shared, source.parts)
        for part in self.context.each("catalogue", results, len(source.parts)):
            counts += part
        catalogue = make_catalogue(counts, self.policy.groups)
        self.codes, self.published = catalogue.codes, {}
        self.manifest.stage("catalogue", {"keys": len(counts), "groups": len(catalogue.codes)}, {})
        return catalogue

    def _group(
        self,
        survey: Survey,
        plan: IntakePlan,
        duplicates: stages.UInt64s,
        lists: Plan | None,
        reuse: Reuse | None,
    ) -> Grouped:
        source = self.context.sources["cases"]
        reviewed = {review.case_id: i for i, review in enumerate(self.region.reviews)}
        pairs = np.stack(id_hashes(pa.array(list(reviewed), pa.string())), axis=1)
        shared = stages.GroupShared(
            str(self.out),
            source,
            self.context.scheme,
            duplicates,
            plan,
            len(self.codes),
            reviewed,
            pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))],
            lists,
            reuse,
        )
        grouped = Grouped(len(self.codes), plan.accounts.size)
        digests: dict[str, str] = {}
        results = self.runner.map(stages.group_task, shared, source.parts)
        for done in self.context.each("group", results, len(source.parts)):
            grouped.add(done.result)
            digests |= done.published
        if reuse is not None:
            names = ["unknown_dx", "unknown_px"]
            if reuse.same_routes:
                names += [f"empty {name}" for name in AMOUNTS[1:]]
            for name in names:
                grouped.counts[name] += reuse.counts[name]
        self.manifest.stage("grouped", grouped.counts, digests)
        write_odd_codes(self.out, self.manifest, grouped.odd.whole(), reuse)
        for name in AMOUNTS[1:]:
            if count := grouped.counts[f"empty {name}"]:
                self.manifest.warnings.append(
                    f"empty_amount: {counted(count, 'case')} without {name}; it counts as 0"
                )
        routes = sum(grouped.counts[f"route {route}"] for route in ROUTES)
        self._check_all(
            [
                check_counts("cases in = cases out", survey.cases, grouped.cases),
                check_counts("cases in = cases of all routes", survey.cases, routes),
            ]
        )
        return grouped

    def _price(
        self,
        grouped: Grouped,
        plan: IntakePlan,
        halved: dict[int, NDArray[np.int64]],
        known: Population | None,
    ) -> tuple[Population, Benchmarks, values.Pricing]:
        """Statistics, benchmarks and how points are found; the workers are not needed for it."""
        if known is None:
            known = self.people.population(self.codes, grouped.cells, grouped.cases, plan)
        benchmarks = make_benchmarks(self.codes, self.published, known, self.policy)
        pricing = make_pricing(self.context, self.people, benchmarks, plan, halved)
        return known, benchmarks, pricing

    def _halved(self, plan: IntakePlan) -> dict[int, NDArray[np.int64]]:
        """Rows of the stays that a readmission halves, by part."""
        rules = self.policy.readmission
        if rules.days is None:
            return {}
        exempt = [
            kind for kind, code in enumerate(self.codes) if {code, code[:3]} & set(rules.exempt)
        ]
        # Two cases that have no group are not of the same group.
        exempt += [len(self.codes), len(self.codes) + 1]
        shared = values.StaysShared(
            str(self.out), self.numbers, rules.days, tuple(exempt), _STAY_BUCKETS
        )
        results = self.runner.map(values.stays_task, shared, range(_STAY_BUCKETS))
        places = np.concatenate(
            list(self.context.each("readmission", results, _STAY_BUCKETS)), axis=1
        )
        self.manifest.stage("readmission", {"halved": places.shape[1]}, {})
        return {
            part: np.sort(places[1][places[0] == part]) for part in np.unique(places[0]).tolist()
        }

    def _decide(
        self,
        benchmarks: Benchmarks,
        pricing: values.Pricing,
        accounts: Accounts,
        reviewed: Reviewed,
    ) -> Decided:
        if not self.policy.price.table:
            return decide(
                self.region,
                self.policy,
                benchmarks,
                pricing.rules,
                pricing.kept,
                accounts,
                reviewed,
            )
        told = [
            f"review_without_effect: case '{review.case_id}' is paid a price"
            for review in self.region.reviews
        ]
        return Decided({}, [], {"without_effect": len(told)}, told)

    def _begin_points(self, pricing: values.Pricing) -> Iterator[PointSums]:
        shared = values.PointsShared(str(self.out), pricing)
        return self.runner.map(values.points_task, shared, self.numbers)

    def _points(
        self, pointed: Iterator[PointSums], grouped: Grouped, accounts: Accounts
    ) -> tuple[dict[AccountKey, Account], dict[AccountKey, Account], dict[AccountKey, Account]]:
        """Accounts with their points: paid, simulated, per day."""
        totals = self._point_totals("points", pointed, accounts)
        keys = accounts.keys()
        simulated = {
            keys[a]: Account(cases=cases, points=points)
            for a, (cases, points) in zip(*totals.simulated.rows(), strict=True)
        }
        books = []
        for total, known in ((totals.paid, grouped.books), (totals.per_diem, grouped.per_diem)):
            for a, (_, points) in zip(*total.rows(), strict=True):
                known[a].points = points
            books.append({keys[a]: book for a, book in known.items()})
        return books[0], simulated, books[1]

    def _point_totals(
        self, stage: str, pointed: Iterator[PointSums], accounts: Accounts
    ) -> PointTotals:
        totals = PointTotals(accounts.size)
        for part in self.context.each(stage, pointed, len(self.numbers)):
            totals.add(part)
        return totals

    def _year_books(
        self,
        benchmarks: Benchmarks,
        grouped: Grouped,
        plan: IntakePlan,
        halved: dict[int, NDArray[np.int64]],
        reviewed: Reviewed,
        paid: dict[AccountKey, Account],
        decided: Decided,
    ) -> tuple[dict[AccountKey, Account], list[Extra]]:
        """Accounts and extra points of the clearing; with coefficients of the year where asked."""
        if self.policy.year_end.coefficients == "kept" or self.people.source is None:
            return paid, decided.extras
        own = make_benchmarks(
            self.codes,
            self.published,
            self.people.own(self.codes, grouped.cells, grouped.cases),
            self.policy,
        )
        recomputed = with_coefficients(benchmarks, own)
        pricing = make_pricing(self.context, self.people, recomputed, plan, halved)
        books = {key: replace(account, points=0) for key, account in paid.items()}
        totals = self._point_totals("year points", self._begin_points(pricing), plan.accounts)
        keys = plan.accounts.keys()
        for a, (_, points) in zip(*totals.paid.rows(), strict=True):
            books[keys[a]].points = points
        again = self._decide(recomputed, pricing, plan.accounts, reviewed)
        return books, again.extras

    def _begin_values(
        self,
        pricing: values.Pricing,
        benchmarks: Benchmarks,
        decided: Decided,
        point_value: Mapping[tuple[str, str], int],
        per_diem: PerDiemMonths,
    ) -> Iterator[Done]:
        accounts = pricing.accounts
        shared = values.ValuesShared(
            str(self.out),
            pricing,
            by_place(accounts, point_value),
            by_place(accounts, per_diem.values),
            reasons_of(benchmarks, priced=bool(self.policy.price.table)),
            decided.by_part,
            self.policy.participation.side_by_side,
        )
        return self.runner.map(values.values_task, shared, self.numbers)

    def _values(self, valued: Iterator[Done], accounts: Accounts, decided: Decided) -> Written:
        cases = 0
        paid = AccountTotal(accounts.size, POINT_COLUMNS)
        beside = Folded(SideSums.join)
        digests: dict[str, str] = {}
        classes: Counter[str] = Counter()
        for done in self.context.each("values", valued, len(self.numbers)):
            result: values.ValuesResult = done.result
            paid.add(result.written.paid)
            beside.add(result.beside)
            classes.update(result.classes)
            cases += result.cases
            digests |= done.published
        keys = accounts.keys()
        rows = zip(*paid.rows(), strict=True)
        written = Written({keys[a]: (n, p) for a, (n, p) in rows}, beside.whole(), cases)
        counts = {f"class {name}": classes[name] for name in CLASSES}
        counts |= {f"review {state}": count for state, count in decided.counts.items()}
        self.manifest.stage("points", {**counts, "cases": written.cases}, digests)
        return written

    def _check_all(self, found: Iterable[Check]) -> None:
        for check in found:
            self.manifest.checks.append(check.record())
            require([check])
