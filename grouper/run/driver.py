"""The driver of a run: hands parts to the runner, adds up what comes back, decides what follows.

Its own work per part is small and constant; everything per case happens in the tasks.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from grouper import __version__
from grouper.cases import CaseSource
from grouper.duplicates import find_duplicates
from grouper.errors import CaseTableError, PolicyError, RunError
from grouper.execution import Runner
from grouper.grouping import id_hashes
from grouper.run import people, stages, values
from grouper.run.folder import LOG, Manifest, finish
from grouper.run.publish import Outcome, close_accounts, publish
from grouper.run.work import WORK
from grouper.scheme import Scheme
from grouper.settlement.benchmarks import (
    Benchmarks,
    PublishedWeight,
    hospital_coefficients,
    make_benchmarks,
)
from grouper.settlement.checks import Check, check_counts, require
from grouper.settlement.clearing import clear_year
from grouper.settlement.dip import Catalogue, make_catalogue
from grouper.settlement.intake import (
    AMOUNTS,
    Accounts,
    IntakePlan,
    intake_columns,
    make_accounts,
    make_plan,
)
from grouper.settlement.months import (
    MONTHS,
    Account,
    AccountKey,
    MonthValue,
    point_values,
    settle_months,
)
from grouper.settlement.numbers import SCALE, half_up, p8
from grouper.settlement.perdiem import PerDiemMonths, settle_per_diem
from grouper.settlement.policy import BY_HOSPITAL, Policy
from grouper.settlement.prices import make_price_list
from grouper.settlement.region import LEVELS, Region
from grouper.settlement.reviews import Decided, ReviewedCase, decide
from grouper.settlement.routes import CODE, ROUTES
from grouper.settlement.rules import CLASSES, Rule, cell_rules, compile_rules, price_rules
from grouper.settlement.statistics import (
    CellTotals,
    Population,
    Sums,
    SumTable,
    SumTotal,
    cell_count,
    population,
)

Progress = Callable[[str, int, int], None]
"""Called with the stage, the parts done and the parts in all."""

HISTORY_YEARS = 3
"""Weights are made of at most so many years (Art. 10)."""

_STAY_BUCKETS = 16


@dataclass
class Grouped:
    """Everything the group stage learnt, over all parts."""

    cells: SumTotal
    books: dict[int, Account] = field(default_factory=dict)
    per_diem: dict[int, Account] = field(default_factory=dict)
    cases: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    cost: Counter[str] = field(default_factory=Counter)
    reviewed: list[ReviewedCase] = field(default_factory=list)

    def add(self, part: stages.GroupResult) -> None:
        """Add a part."""
        self.cells.add(part.cells)
        self.cases += part.cases
        self.counts.update(part.counts)
        self.cost.update(part.cost)
        self.reviewed += part.reviewed
        for books, sums in ((self.books, part.books), (self.per_diem, part.per_diem)):
            if sums is not None:
                rows = zip(sums.accounts.tolist(), sums.sums.tolist(), strict=True)
                for account, row in rows:
                    books.setdefault(account, Account()).add(Account(*row))


class Driver:
    """One run from its first to its last stage."""

    def __init__(
        self,
        region: Region,
        scheme: Scheme,
        policy: Policy,
        sources: Mapping[str, CaseSource],
        out: Path,
        runner: Runner,
        progress: Progress | None,
        identity: str,
        inputs: Mapping[str, str],
    ) -> None:
        self.region = region
        self.scheme = scheme
        self.policy = policy
        self.sources = sources
        self.out = out
        self.runner = runner
        self.progress = progress
        self.numbers = tuple(part.number for part in sources["cases"].parts)
        self.hospitals: dict[int, people.HospitalSums] = {}
        self.codes: tuple[str, ...] = scheme.drgs
        self.published: Mapping[str, PublishedWeight] = scheme.weights
        self.manifest = Manifest(
            run=identity,
            engine=__version__,
            scheme={"id": scheme.id, "digest": scheme.digest},
            policy={
                "id": policy.id,
                "digest": policy.digest,
                "keys": json.loads(policy.canonical()),
            },
            year=0,
            inputs=dict(inputs),
        )

    def execute(self) -> Manifest:
        """Run all stages and write the manifest."""
        survey = self._survey()
        accounts = make_accounts(self.region, self.policy, self.manifest.year, survey.cities)
        plan = make_plan(self.region, self.policy, accounts)
        duplicates = self._duplicates(self.sources["cases"])
        if self.policy.groups.by == "dip":
            plan = replace(plan, catalogue=self._catalogue(plan, duplicates))
        if self.policy.price.table:
            prices = make_price_list(self.region, self.policy.price, self.codes)
            plan = replace(plan, prices=prices)
        grouped = self._group(survey, plan, duplicates)
        statistics = self._population(grouped, plan)
        benchmarks = make_benchmarks(self.codes, self.published, statistics, self.policy)
        self.manifest.warnings += benchmarks.warnings
        halved = self._halved(plan)
        pricing, cells = self._pricing(benchmarks, plan, halved)
        reviewed = _with_factors(grouped.reviewed, halved, pricing)
        decided = self._decide(benchmarks, cells, accounts, reviewed)
        self.manifest.warnings += decided.warnings
        paid, simulated, daily = self._points(pricing, grouped, accounts)
        months = settle_months(self.region, self.policy, self.manifest.year, paid, decided.extras)
        per_diem = settle_per_diem(self.region, self.policy, self.manifest.year, daily)
        books, extras = self._year_books(benchmarks, grouped, plan, halved, reviewed, paid, decided)
        year_end = clear_year(
            self.region, self.policy, self.manifest.year, books, extras, months.statements
        )
        beside = self._side_values(months.values, simulated)
        written = self._values(pricing, benchmarks, decided, beside, per_diem)
        outcome = Outcome(
            self.region, self.policy, self.codes, accounts, statistics, benchmarks, months,
            year_end, per_diem, written.beside,
        )  # fmt: skip
        made = publish(self.out, self.manifest, outcome, self.numbers)
        self._check_all(close_accounts(self.out, made, outcome, grouped, written, self.numbers))
        self.manifest.warnings.sort()
        finish(self.out, self.manifest)
        return self.manifest

    # -- stages ---------------------------------------------------------------------------------

    def _each(self, stage: str, results: Iterable[Any], total: int) -> Iterator[Any]:
        started = time.time()
        for done, result in enumerate(results, 1):
            yield result
            if self.progress:
                self.progress(stage, done, total)
        line = {"stage": stage, "parts": total, "seconds": round(time.time() - started, 3)}
        with (self.out / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def _survey(self) -> stages.Survey:
        source = self.sources["cases"]
        parts = self.runner.map(stages.survey_task, stages.SurveyShared(source), source.parts)
        whole = stages.Survey(0, Counter(), set())
        cases = 0
        for part in self._each("survey", parts, len(source.parts)):
            cases += part.cases
            whole.years.update(part.years)
            whole.cities.update(part.cities)
        if not cases:
            raise CaseTableError(
                "there is no case", file="cases", hint="put the year's cases there"
            )
        year = self.policy.year
        if year is None:
            if not whole.years:
                raise CaseTableError(
                    "no case has a settle_month",
                    file="cases",
                    column="settle_month",
                    hint="months are written YYYY-MM",
                )
            year = max(whole.years, key=lambda known: (whole.years[known], known))
        self.manifest.year = year
        self.manifest.stage("survey", {"cases": cases}, {})
        known = {column.name for column in intake_columns(self.policy)}
        for name in source.absent:
            if name in known:
                self.manifest.warnings.append(f"absent_column: no column {name}")
        return stages.Survey(cases, whole.years, whole.cities)

    def _duplicates(self, source: CaseSource) -> stages.UInt64s:
        work = self.out / WORK / "ids"
        work.mkdir(exist_ok=True)
        return find_duplicates(source, self.runner, work)

    def _catalogue(self, plan: IntakePlan, duplicates: stages.UInt64s) -> Catalogue:
        source = self._people_source()
        past = source is not None
        if source is None:
            source = self.sources["cases"]
        else:
            duplicates = self._duplicates(source)
        shared = stages.CatalogueShared(source, self.scheme, duplicates, plan, past)
        counts: Counter[str] = Counter()
        results = self.runner.map(stages.catalogue_task, shared, source.parts)
        for part in self._each("catalogue", results, len(source.parts)):
            counts += part
        catalogue = make_catalogue(counts, self.policy.groups)
        self.codes, self.published = catalogue.codes, {}
        self.manifest.stage("catalogue", {"keys": len(counts), "groups": len(catalogue.codes)}, {})
        return catalogue

    def _group(
        self, survey: stages.Survey, plan: IntakePlan, duplicates: stages.UInt64s
    ) -> Grouped:
        source = self.sources["cases"]
        reviewed = {review.case_id: i for i, review in enumerate(self.region.reviews)}
        hashes, _ = id_hashes(pa.array(list(reviewed), pa.string()))
        shared = stages.GroupShared(
            str(self.out),
            source,
            self.scheme,
            duplicates,
            plan,
            len(self.codes),
            reviewed,
            np.sort(hashes),
        )
        grouped = Grouped(SumTotal(cell_count(len(self.codes))))
        digests: dict[str, str] = {}
        results = self.runner.map(stages.group_task, shared, source.parts)
        for done in self._each("group", results, len(source.parts)):
            grouped.add(done.result)
            digests |= done.published
        self.manifest.stage("grouped", grouped.counts, digests)
        for name in AMOUNTS[1:]:
            if count := grouped.counts[f"empty {name}"]:
                self.manifest.warnings.append(
                    f"empty_amount: {count} cases without {name}; it counts as 0"
                )
        routes = sum(grouped.counts[f"route {route}"] for route in ROUTES)
        self._check_all(
            [
                check_counts("cases in = cases out", survey.cases, grouped.cases),
                check_counts("cases in = cases of all routes", survey.cases, routes),
            ]
        )
        return grouped

    def _people_source(self) -> CaseSource | None:
        """The history, where the policy takes its statistics from there."""
        wanted = self.policy.population.cases
        source = self.sources.get("history")
        if wanted == "history" and source is None:
            raise PolicyError(
                "the policy takes statistics from history, and the region has none",
                key="population.cases",
                hint='add REGION/history/*.parquet, or set it to "own"',
            )
        return None if wanted == "own" else source

    def _population(self, grouped: Grouped, plan: IntakePlan) -> Population:
        source = self._people_source()
        if source is None:
            if self.policy.coefficient.kind in BY_HOSPITAL:
                self.hospitals = {self.manifest.year: self._own_hospitals(plan.accounts)}
            return self._own_population(grouped)
        trim = self.policy.population.trim
        shared = people.HistoryShared(
            str(self.out),
            source,
            self.scheme,
            self._duplicates(source),
            plan,
            len(self.codes),
            trim.method != "none",
        )
        years: dict[int, CellTotals] = {}
        results = self.runner.map(people.history_task, shared, source.parts)
        for done in self._each("history", results, len(source.parts)):
            past: people.PastSums = done.result
            for year, book in past.hospitals.items():
                _merge(self.hospitals.setdefault(year, {}), book)
            for year, part in past.cells.items():
                total = years.setdefault(year, SumTotal(cell_count(len(self.codes))))
                assert isinstance(total, SumTotal)
                total.add(part)
        if not years:
            raise RunError("no case of the history can be used", hint="check REGION/history")
        if trim.method != "none":
            rows = [people.rows_path(self.out, part.number) for part in source.parts]
            years = self._trimmed((), rows, source.rows)
        blend = self.policy.population.blend or (Fraction(1),) * HISTORY_YEARS
        chosen = sorted(years)[-len(blend) :]
        for year in sorted(set(years) - set(chosen)):
            self.manifest.warnings.append(f"old_history: the policy has no weight for {year}")
        self.manifest.stage("history", {"years": chosen}, {})
        self.hospitals = {year: self.hospitals.get(year, {}) for year in chosen}
        blend = blend[-len(chosen) :]
        weighted = [(weight, years[year]) for weight, year in zip(blend, chosen, strict=True)]
        return population(len(self.codes), weighted)

    def _own_hospitals(self, accounts: Accounts) -> people.HospitalSums:
        paths = [str(stages.facts_path(self.out, number)) for number in self.numbers]
        shared = people.HospitalShared(str(self.out), accounts)
        book: people.HospitalSums = {}
        results = self.runner.map(people.hospital_task, shared, paths)
        for part in self._each("hospitals", results, len(paths)):
            _merge(book, part)
        return book

    def _hospital_means(self) -> dict[tuple[int, int], Fraction]:
        """Mean cost in fen by group and hospital, blended over the years."""
        blend = self.policy.population.blend or (Fraction(1),) * HISTORY_YEARS
        weights = blend[-len(self.hospitals) :] if self.hospitals else ()
        sums: dict[tuple[int, int], Fraction] = {}
        whole: dict[tuple[int, int], Fraction] = {}
        for weight, (_, book) in zip(weights, sorted(self.hospitals.items()), strict=True):
            for key, (count, total) in book.items():
                if total:
                    sums[key] = sums.get(key, Fraction(0)) + weight * Fraction(total, count)
                    whole[key] = whole.get(key, Fraction(0)) + weight
        return {key: value / whole[key] for key, value in sums.items()}

    def _own_population(self, grouped: Grouped) -> Population:
        if self.policy.population.trim.method == "none":
            return population(len(self.codes), [(Fraction(1), grouped.cells)])
        facts = [stages.facts_path(self.out, number) for number in self.numbers]
        years = self._trimmed(facts, (), grouped.cases)
        return population(len(self.codes), [(Fraction(1), years[self.manifest.year])])

    def _trimmed(
        self, facts: Sequence[Path], rows: Sequence[Path], cases: int
    ) -> dict[int, CellTotals]:
        buckets = max(1, -(-cases // people.BUCKET_ROWS))
        shared = people.TrimShared(
            self.policy.population.trim,
            tuple(map(str, facts)),
            tuple(map(str, rows)),
            self.manifest.year,
            len(self.codes) * len(LEVELS),
            buckets,
        )
        found: dict[int, dict[int, Sums]] = {}
        results = self.runner.map(people.trim_task, shared, range(buckets))
        for bucket in self._each("trim", results, buckets):
            for (year, cell), sums in bucket.items():
                found.setdefault(year, {})[cell] = sums
        return {year: SumTable(cells) for year, cells in found.items()}

    def _halved(self, plan: IntakePlan) -> dict[int, NDArray[np.int64]]:
        """Rows of the stays that a readmission halves, by part."""
        rules = self.policy.readmission
        if rules.days is None:
            return {}
        exempt = [
            kind for kind, code in enumerate(self.codes) if {code, code[:3]} & set(rules.exempt)
        ]
        shared = values.StaysShared(
            str(self.out), self.numbers, rules.days, tuple(exempt), _STAY_BUCKETS
        )
        results = self.runner.map(values.stays_task, shared, range(_STAY_BUCKETS))
        places = np.concatenate(list(self._each("readmission", results, _STAY_BUCKETS)), axis=1)
        self.manifest.stage("readmission", {"halved": places.shape[1]}, {})
        return {
            part: np.sort(places[1][places[0] == part]) for part in np.unique(places[0]).tolist()
        }

    def _pricing(
        self, benchmarks: Benchmarks, plan: IntakePlan, halved: dict[int, NDArray[np.int64]]
    ) -> tuple[values.Pricing, list[list[Rule]]]:
        cells = cell_rules(benchmarks, self.policy)
        per_diem: tuple[int, ...] = ()
        if self.policy.per_diem.used:
            table = self.policy.per_diem.table
            per_diem = tuple(
                p8(self.region.rate(table, hospital)) for hospital in self.region.hospitals
            )
        own = np.empty((0, 0), np.int64)
        if self.policy.coefficient.kind in BY_HOSPITAL:
            means, levels = self._hospital_means(), plan.accounts.levels
            own = np.array(hospital_coefficients(benchmarks, means, levels, self.policy), np.int64)
        classes: tuple[int, ...] = ()
        slots = cells
        if plan.prices is not None:
            classes, slots = plan.prices.classes, price_rules(plan.prices)
        return (
            values.Pricing(
                rules=compile_rules(slots, factors=plan.with_factors),
                accounts=plan.accounts,
                classes=classes,
                per_diem=per_diem,
                own=own,
                halved=halved,
                keep=self.policy.readmission.factor,
                slots=tuple(map(tuple, slots)) if halved else (),
            ),
            cells,
        )

    def _decide(
        self,
        benchmarks: Benchmarks,
        cells: list[list[Rule]],
        accounts: Accounts,
        reviewed: Sequence[ReviewedCase],
    ) -> Decided:
        if not self.policy.price.table:
            return decide(self.region, self.policy, benchmarks, cells, accounts, reviewed)
        told = [
            f"review_without_effect: case '{review.case_id}' is paid a price"
            for review in self.region.reviews
        ]
        return Decided({}, [], {"without_effect": len(told)}, told)

    def _points(
        self, pricing: values.Pricing, grouped: Grouped, accounts: Accounts
    ) -> tuple[dict[AccountKey, Account], dict[AccountKey, Account], dict[AccountKey, Account]]:
        """Accounts with their points: paid, simulated, per day."""
        sums = self._point_sums("points", pricing)
        books = ({}, {}, {})  # type: tuple[dict[int, Account], dict[int, Account], dict[int, Account]]
        books[0].update(grouped.books)
        books[2].update(grouped.per_diem)
        for part in sums:
            for book, found in zip(books, (part.paid, part.simulated, part.per_diem), strict=True):
                for account, (cases, points) in found.exact().items():
                    mine = book.setdefault(account, Account())
                    mine.points += points
                    if book is books[1]:
                        mine.cases += cases
        keyed = [{accounts.key(a): account for a, account in book.items()} for book in books]
        return keyed[0], keyed[1], keyed[2]

    def _point_sums(self, stage: str, pricing: values.Pricing) -> Iterator[values.PointSums]:
        shared = values.PointsShared(str(self.out), pricing)
        results = self.runner.map(values.points_task, shared, self.numbers)
        yield from self._each(stage, results, len(self.numbers))

    def _year_books(
        self,
        benchmarks: Benchmarks,
        grouped: Grouped,
        plan: IntakePlan,
        halved: dict[int, NDArray[np.int64]],
        reviewed: Sequence[ReviewedCase],
        paid: dict[AccountKey, Account],
        decided: Decided,
    ) -> tuple[dict[AccountKey, Account], list[Any]]:
        """Accounts and extra points of the clearing; with coefficients of the year where asked."""
        if self.policy.year_end.coefficients == "kept" or self._people_source() is None:
            return paid, decided.extras
        own = make_benchmarks(
            self.codes, self.published, self._own_population(grouped), self.policy
        )
        recomputed = replace(
            benchmarks,
            drgs=tuple(
                replace(
                    drg,
                    levels=tuple(
                        replace(level, coefficient=now.coefficient)
                        for level, now in zip(drg.levels, new.levels, strict=True)
                    ),
                )
                for drg, new in zip(benchmarks.drgs, own.drgs, strict=True)
            ),
        )
        pricing, cells = self._pricing(recomputed, plan, halved)
        books = {key: replace(account, points=0) for key, account in paid.items()}
        for part in self._point_sums("year points", pricing):
            for account, (_, points) in part.paid.exact().items():
                books[plan.accounts.key(account)].points += points
        again = decide(self.region, self.policy, recomputed, cells, plan.accounts, reviewed)
        return books, again.extras

    def _side_values(
        self,
        known: Mapping[tuple[str, str], MonthValue],
        simulated: Mapping[AccountKey, Account],
    ) -> dict[tuple[str, str], int]:
        """Point values by pool and month; of months with simulated cases only, their own."""
        found = {key: value.value for key, value in known.items()}
        alone = {key: book for key, book in simulated.items() if key[1:] not in found}
        if alone:
            made = point_values(self.region, self.policy, self.manifest.year, alone, [])
            found |= {key: value.value for key, value in made.items()}
        return found

    def _values(
        self,
        pricing: values.Pricing,
        benchmarks: Benchmarks,
        decided: Decided,
        point_value: Mapping[tuple[str, str], int],
        per_diem: PerDiemMonths,
    ) -> Written:
        accounts = pricing.accounts
        shared = values.ValuesShared(
            str(self.out),
            pricing,
            _by_place(accounts, point_value),
            _by_place(accounts, per_diem.values),
            _reasons(benchmarks, priced=bool(self.policy.price.table)),
            decided.by_part,
            self.policy.participation.side_by_side,
        )
        written = Written()
        beside: list[values.SideSums] = []
        digests: dict[str, str] = {}
        classes: Counter[str] = Counter()
        results = self.runner.map(values.values_task, shared, self.numbers)
        for done in self._each("values", results, len(self.numbers)):
            result: values.ValuesResult = done.result
            for account, (cases, points) in result.written.paid.exact().items():
                key = accounts.key(account)
                known = written.paid.get(key, (0, 0))
                written.paid[key] = (known[0] + cases, known[1] + points)
            beside.append(result.beside)
            classes.update(result.classes)
            written.cases += result.cases
            digests |= done.published
        written.beside = values.SideSums.join(beside)
        counts = {f"class {name}": classes[name] for name in CLASSES}
        counts |= {f"review {state}": count for state, count in decided.counts.items()}
        self.manifest.stage("points", {**counts, "cases": written.cases}, digests)
        return written

    def _check_all(self, found: Iterable[Check]) -> None:
        for check in found:
            self.manifest.checks.append(check.record())
            require([check])


@dataclass
class Written:
    """What the last pass wrote, added up.

    Attributes:
        paid: cases and points by account.
        beside: sums by hospital, pool and group, where the policy asks for them.
    """

    paid: dict[AccountKey, tuple[int, int]] = field(default_factory=dict)
    beside: values.SideSums = field(default_factory=lambda: values.SideSums.join([]))
    cases: int = 0


def _by_place(accounts: Accounts, point_value: Mapping[tuple[str, str], int]) -> NDArray[np.int64]:
    found = np.zeros(len(accounts.pools) * MONTHS, np.int64)
    for (pool, month), value in point_value.items():
        found[accounts.pools.index(pool) * MONTHS + accounts.months.index(month)] = value
    return found


def _with_factors(
    reviewed: Sequence[ReviewedCase],
    halved: Mapping[int, NDArray[np.int64]],
    pricing: values.Pricing,
) -> list[ReviewedCase]:
    """Reviewed cases with the coefficient of their hospital and what a readmission leaves them."""
    found = []
    for case in reviewed:
        if case.account >= 0 and pricing.own.size and case.factor is not None:
            hospital = case.account // (len(pricing.accounts.pools) * MONTHS)
            own = int(pricing.own[case.cell // len(LEVELS), hospital])
            case = replace(case, factor=half_up(case.factor * own, SCALE))
        if case.part in halved and case.row in halved[case.part]:
            case = replace(case, keep=pricing.keep)
        found.append(case)
    return found


def _merge(book: people.HospitalSums, more: people.HospitalSums) -> None:
    for key, (count, total) in more.items():
        known = book.get(key, (0, 0))
        book[key] = (known[0] + count, known[1] + total)


def _reasons(benchmarks: Benchmarks, *, priced: bool) -> NDArray[np.int16]:
    """Reason of a case by cell and class."""
    kinds = {
        "normal": "within_bounds",
        "high": "above_high",
        "low": "below_low",
        "band": "in_band",
        "unstable": "few_cases",
        "ungrouped": "ungrouped",
        "ambiguous": "ambiguous",
    }
    row = [CODE[kinds[name]] for name in CLASSES]
    reasons = np.tile(np.array(row, np.int16), (cell_count(len(benchmarks.drgs)), 1))
    if priced:
        reasons[:] = CODE["price"]
        return reasons
    for i, drg in enumerate(benchmarks.drgs):
        if drg.reason:
            cells = slice(i * len(LEVELS), (i + 1) * len(LEVELS))
            reasons[cells, CLASSES.index("unstable")] = CODE[drg.reason]
    return reasons
