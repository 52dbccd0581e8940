"""Where the statistics come from: the run's own cases, or the region's history."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from grouper.cases import CaseSource
from grouper.errors import InputsError
from grouper.run import people, stages
from grouper.run.context import Context
from grouper.settlement.intake import Accounts, IntakePlan
from grouper.settlement.policy import BY_HOSPITAL
from grouper.settlement.region import LEVELS
from grouper.settlement.statistics import (
    CellTotals,
    Population,
    Sums,
    SumTable,
    SumTotal,
    cell_count,
    population,
)

HISTORY_YEARS = 3
"""Weights are made of at most so many years (Art. 10)."""


class People:
    """The population of the statistics of a run."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.hospitals: dict[int, people.HospitalSums] = {}

    @property
    def source(self) -> CaseSource | None:
        """The history, where the policy takes its statistics from there."""
        own = self.context.policy.population.cases == "own"
        return None if own else self.context.sources.get("history")

    @property
    def need_workers(self) -> bool:
        """Whether more than sums that are known is looked at for the statistics."""
        policy = self.context.policy
        by_hospital = policy.coefficient.kind in BY_HOSPITAL
        return self.source is not None or by_hospital or policy.population.trim.method != "none"

    def population(
        self, codes: Sequence[str], cells: SumTotal, cases: int, plan: IntakePlan
    ) -> Population:
        """The statistics of the population that the policy names.

        Args:
            codes: the groups.
            cells: sums of the run's own cases.
            cases: number of the run's cases.
            plan: how cases are routed.

        Raises:
            InputsError: no case of the history can be used.
        """
        source = self.source
        if source is None:
            if self.context.policy.coefficient.kind in BY_HOSPITAL:
                self.hospitals = {self.context.manifest.year: self._own_hospitals(plan.accounts)}
            return self.own(codes, cells, cases)
        trim = self.context.policy.population.trim
        shared = people.HistoryShared(
            str(self.context.out),
            source,
            self.context.scheme,
            self.context.duplicates(source),
            plan,
            len(codes),
            trim.method != "none",
        )
        years: dict[int, CellTotals] = {}
        results = self.context.runner.map(people.history_task, shared, source.parts)
        for done in self.context.each("history", results, len(source.parts)):
            past: people.PastSums = done.result
            for year, book in past.hospitals.items():
                _merge(self.hospitals.setdefault(year, {}), book)
            for year, part in past.cells.items():
                total = years.setdefault(year, SumTotal(cell_count(len(codes))))
                assert isinstance(total, SumTotal)
                total.add(part)
        if not years:
            raise InputsError("no case of the history can be used", hint="check REGION/history")
        if trim.method != "none":
            rows = [people.rows_path(self.context.out, part.number) for part in source.parts]
            years = self._trimmed(codes, (), rows, source.rows)
        blend = self.context.policy.population.blend or (Fraction(1),) * HISTORY_YEARS
        chosen = sorted(years)[-len(blend) :]
        for year in sorted(set(years) - set(chosen)):
            self.context.manifest.warnings.append(
                f"old_history: the policy has no weight for {year}"
            )
        self.context.manifest.stage("history", {"years": chosen}, {})
        self.hospitals = {year: self.hospitals.get(year, {}) for year in chosen}
        blend = blend[-len(chosen) :]
        weighted = [(weight, years[year]) for weight, year in zip(blend, chosen, strict=True)]
        return population(len(codes), weighted)

    def own(self, codes: Sequence[str], cells: SumTotal, cases: int) -> Population:
        """The statistics of the run's own cases."""
        if self.context.policy.population.trim.method == "none":
            return population(len(codes), [(Fraction(1), cells)])
        facts = [stages.facts_path(self.context.out, number) for number in self.context.numbers]
        years = self._trimmed(codes, facts, (), cases)
        return population(len(codes), [(Fraction(1), years[self.context.manifest.year])])

    def _trimmed(
        self, codes: Sequence[str], facts: Sequence[Path], rows: Sequence[Path], cases: int
    ) -> dict[int, CellTotals]:
        buckets = max(1, -(-cases // people.BUCKET_ROWS))
        shared = people.TrimShared(
            self.context.policy.population.trim,
            tuple(map(str, facts)),
            tuple(map(str, rows)),
            self.context.manifest.year,
            len(codes) * len(LEVELS),
            buckets,
        )
        found: dict[int, dict[int, Sums]] = {}
        results = self.context.runner.map(people.trim_task, shared, range(buckets))
        for bucket in self.context.each("trim", results, buckets):
            for (year, cell), sums in bucket.items():
                found.setdefault(year, {})[cell] = sums
        return {year: SumTable(cells) for year, cells in found.items()}

    def _own_hospitals(self, accounts: Accounts) -> people.HospitalSums:
        paths = [
            str(stages.facts_path(self.context.out, number)) for number in self.context.numbers
        ]
        shared = people.HospitalShared(str(self.context.out), accounts)
        book: people.HospitalSums = {}
        results = self.context.runner.map(people.hospital_task, shared, paths)
        for part in self.context.each("hospitals", results, len(paths)):
            _merge(book, part)
        return book

    def hospital_means(self) -> dict[tuple[int, int], Fraction]:
        """Mean cost in fen by group and hospital, blended over the years."""
        if len(self.hospitals) == 1:
            (book,) = self.hospitals.values()
            return {key: Fraction(total, count) for key, (count, total) in book.items() if total}
        blend = self.context.policy.population.blend or (Fraction(1),) * HISTORY_YEARS
        weights = blend[-len(self.hospitals) :] if self.hospitals else ()
        sums: dict[tuple[int, int], Fraction] = {}
        whole: dict[tuple[int, int], Fraction] = {}
        for weight, (_, book) in zip(weights, sorted(self.hospitals.items()), strict=True):
            for key, (count, total) in book.items():
                if total:
                    sums[key] = sums.get(key, Fraction(0)) + weight * Fraction(total, count)
                    whole[key] = whole.get(key, Fraction(0)) + weight
        return {key: value / whole[key] for key, value in sums.items()}


def _merge(book: people.HospitalSums, more: people.HospitalSums) -> None:
    for key, (count, total) in more.items():
        known = book.get(key, (0, 0))
        book[key] = (known[0] + count, known[1] + total)
