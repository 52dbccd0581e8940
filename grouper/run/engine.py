"""`rerun`: from a region folder to a run folder, stage by stage."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from grouper import __version__
from grouper.cases import CaseSource, Column, open_cases
from grouper.duplicates import find_duplicates
from grouper.errors import CaseTableError, PolicyError, RunError
from grouper.execution import Runner
from grouper.grouping import columns_for, id_hashes
from grouper.parts import part_name
from grouper.run import stages
from grouper.run.folder import (
    LOG,
    Manifest,
    belongs,
    clear_work,
    finish,
    prepare,
    read_manifest,
    verify,
    write_table,
)
from grouper.run.identity import input_digests, run_id
from grouper.run.work import WORK, locked
from grouper.scheme import Scheme
from grouper.settlement import checks, tables
from grouper.settlement.benchmarks import Benchmarks, make_benchmarks
from grouper.settlement.clearing import Clearing, clear_year
from grouper.settlement.intake import (
    AMOUNTS,
    REJECTED_SCHEMA,
    REQUIRED,
    Accounts,
    intake_columns,
    make_accounts,
)
from grouper.settlement.months import MONTHS, Account, AccountKey, Months, months_of, settle_months
from grouper.settlement.numbers import rounded, yuan_text
from grouper.settlement.policy import Policy
from grouper.settlement.region import LEVELS, Region, load_region
from grouper.settlement.reviews import Decided, ReviewedCase, decide
from grouper.settlement.routes import CODE, DRG, ROUTES
from grouper.settlement.rules import CLASSES, Rule, cell_rules, compile_rules
from grouper.settlement.statistics import Population, SumTotal, cell_count, population

Progress = Callable[[str, int, int], None]
"""Called with the stage, the parts done and the parts in all."""

HISTORY_YEARS = 3
"""Weights are made of at most so many years (Art. 10)."""


@dataclass(frozen=True)
class RunSummary:
    """How a run ended.

    Attributes:
        folder: the run folder.
        manifest: what it says of itself.
        state: ``made``, ``resumed`` or ``verified``.
    """

    folder: Path
    manifest: Manifest
    state: str


def rerun(
    region: Path,
    scheme: Scheme,
    policy: Policy,
    out: Path,
    runner: Runner,
    *,
    encoding: str = "utf-8",
    progress: Progress | None = None,
) -> RunSummary:
    """Settle a region's year into a run folder.

    A folder that already holds the finished run of the same inputs is verified; one that holds the
    unfinished run is taken up where it stopped.

    Args:
        region: the region folder.
        scheme: the grouping scheme.
        policy: the payment rules.
        out: the run folder.
        runner: where the tasks run.
        encoding: of CSV files of cases.
        progress: told about each finished part.

    Raises:
        GrouperError: an input is faulty, the folder is another run's, or the accounts do not close.
    """
    tables_in = load_region(region)
    sources = _open_sources(region, scheme, encoding)
    inputs = input_digests(region, sources, runner)
    identity = run_id(inputs, scheme, policy, encoding)
    manifest = read_manifest(out) if out.is_dir() else None
    if manifest is not None:
        belongs(out, manifest, identity)
        verify(out, manifest)
        clear_work(out)
        return RunSummary(out, manifest, "verified")
    resumed = prepare(out, identity)
    with locked(out):
        run = _Run(tables_in, scheme, policy, sources, out, runner, progress, identity, inputs)
        manifest = run.execute()
    return RunSummary(out, manifest, "resumed" if resumed else "made")


def _open_sources(region: Path, scheme: Scheme, encoding: str) -> dict[str, CaseSource]:
    wanted: dict[str, Column] = {column.name: column for column in columns_for(scheme)}
    wanted |= {column.name: column for column in intake_columns()}
    names = _column_names(region)
    sources = {}
    for folder in ("cases", "history"):
        if folder == "cases" or (region / folder).is_dir():
            sources[folder] = open_cases(
                region / folder,
                wanted=wanted.values(),
                required=REQUIRED,
                encoding=encoding,
                names=names,
            )
    return sources


def _column_names(region: Path) -> dict[str, str]:
    """Our column names to the table's, from columns.toml where it is present."""
    path = region / "columns.toml"
    if not path.is_file():
        return {}
    import tomllib

    try:
        names = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise CaseTableError(f"this is not TOML: {cause}", file=path.name) from cause
    names = names.get("columns", names)
    for ours, theirs in names.items():
        if not isinstance(theirs, str):
            raise CaseTableError(
                f"'{ours}' is not mapped to a name", file=path.name, hint='write ours = "theirs"'
            )
    return dict(names)


class _Run:
    """One run from its first to its last stage."""

    def __init__(
        self,
        region: Region,
        scheme: Scheme,
        policy: Policy,
        sources: dict[str, CaseSource],
        out: Path,
        runner: Runner,
        progress: Progress | None,
        identity: str,
        inputs: dict[str, str],
    ) -> None:
        self.region = region
        self.scheme = scheme
        self.policy = policy
        self.sources = sources
        self.out = out
        self.runner = runner
        self.progress = progress
        self.numbers = [part.number for part in sources["cases"].parts]
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
            inputs=inputs,
        )

    def execute(self) -> Manifest:
        """Run all stages and write the manifest."""
        survey = self._survey()
        accounts = make_accounts(self.region, self.policy, self.manifest.year, survey.cities)
        grouped = self._group(survey, accounts)
        people = self._population(grouped, accounts)
        benchmarks = make_benchmarks(self.scheme.drgs, self.scheme.weights, people, self.policy)
        self.manifest.warnings += benchmarks.warnings
        cells = cell_rules(benchmarks, self.policy)
        decided = decide(self.region, self.policy, benchmarks, cells, accounts, grouped.reviewed)
        self.manifest.warnings += decided.warnings
        books = self._points(grouped, accounts, cells)
        months = settle_months(self.region, self.policy, self.manifest.year, books, decided.extras)
        cleared = clear_year(
            self.region,
            self.policy.year_end,
            self.manifest.year,
            books,
            decided.extras,
            months.statements,
        )
        written = self._values(accounts, benchmarks, cells, decided, months)
        self._publish(people, benchmarks, months, cleared, decided)
        self._close(grouped, months, cleared, written)
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
        for name in source.absent:
            if name in {column.name for column in intake_columns()}:
                self.manifest.warnings.append(f"absent_column: no column {name}")
        return stages.Survey(cases, whole.years, whole.cities)

    def _group(self, survey: stages.Survey, accounts: Accounts) -> _Grouped:
        source = self.sources["cases"]
        reviewed = {review.case_id: i for i, review in enumerate(self.region.reviews)}
        hashes, _ = id_hashes(pa.array(list(reviewed), pa.string()))
        shared = stages.GroupShared(
            str(self.out),
            source,
            self.scheme,
            self._duplicates(source),
            accounts,
            reviewed,
            np.sort(hashes),
        )
        cells = cell_count(len(self.scheme.drgs))
        total = stages.GroupResult(stages.CellSums.empty(cells))
        grouped = _Grouped(SumTotal(cells), {}, total)
        digests: dict[str, str] = {}
        results = self.runner.map(stages.group_task, shared, source.parts)
        for done in self._each("group", results, len(source.parts)):
            grouped.add(done.result, accounts)
            digests |= _published(done.digests)
        self.manifest.stage("grouped", dict(total.counts), digests)
        for name in AMOUNTS[1:]:
            if total.counts[f"empty {name}"]:
                count = total.counts[f"empty {name}"]
                self.manifest.warnings.append(
                    f"empty_amount: {count} cases without {name}; it counts as 0"
                )
        self._check(checks.check_counts("cases in = cases out", survey.cases, total.cases))
        routes = sum(total.counts[f"route {route}"] for route in ROUTES)
        self._check(checks.check_counts("cases in = cases of all routes", survey.cases, routes))
        return grouped

    def _duplicates(self, source: CaseSource) -> stages.UInt64s:
        work = self.out / WORK / "ids"
        work.mkdir(exist_ok=True)
        return find_duplicates(source, self.runner, work)

    def _population(self, grouped: _Grouped, accounts: Accounts) -> Population:
        wanted = self.policy.population.cases
        source = self.sources.get("history")
        if wanted == "history" and source is None:
            raise PolicyError(
                "the policy takes statistics from history, and the region has none",
                key="population.cases",
                hint='add REGION/history/*.parquet, or set it to "own"',
            )
        if wanted == "own" or source is None:
            return population(len(self.scheme.drgs), [(Fraction(1), grouped.cells)])
        duplicates = self._duplicates(source)
        shared = stages.HistoryShared(source, self.scheme, duplicates, accounts)
        years: dict[int, SumTotal] = {}
        results = self.runner.map(stages.history_task, shared, source.parts)
        for sums in self._each("history", results, len(source.parts)):
            for year, part in sums.items():
                years.setdefault(year, SumTotal(cell_count(len(self.scheme.drgs)))).add(part)
        chosen = sorted(years)[-HISTORY_YEARS:]
        if not chosen:
            raise RunError("no case of the history can be used", hint="check REGION/history")
        for year in sorted(set(years) - set(chosen)):
            self.manifest.warnings.append(f"old_history: {year} is more than three years back")
        self.manifest.stage("history", {"years": chosen}, {})
        return population(len(self.scheme.drgs), [(Fraction(1), years[year]) for year in chosen])

    def _points(
        self, grouped: _Grouped, accounts: Accounts, cells: list[list[Rule]]
    ) -> dict[AccountKey, Account]:
        shared = stages.PointsShared(str(self.out), compile_rules(cells), accounts)
        results = self.runner.map(stages.points_task, shared, self.numbers)
        for part in self._each("points", results, len(self.numbers)):
            for account, (_, points) in _sums(part).items():
                grouped.books[account].points += points
        return {accounts.key(account): book for account, book in grouped.books.items()}

    def _values(
        self,
        accounts: Accounts,
        benchmarks: Benchmarks,
        cells: list[list[Rule]],
        decided: Decided,
        months: Months,
    ) -> dict[AccountKey, tuple[int, int]]:
        value = np.zeros(len(accounts.pools) * MONTHS, np.int64)
        for (pool, month), known in months.values.items():
            place = accounts.pools.index(pool) * MONTHS + accounts.months.index(month)
            value[place] = known.value
        shared = stages.ValuesShared(
            str(self.out),
            compile_rules(cells),
            accounts,
            value,
            _reasons(benchmarks),
            decided.by_part,
        )
        results = self.runner.map(stages.values_task, shared, self.numbers)
        written: dict[int, tuple[int, int]] = {}
        classes: Counter[str] = Counter()
        digests: dict[str, str] = {}
        cases = 0
        for done in self._each("values", results, len(self.numbers)):
            for account, (count, points) in _sums(done.result.written).items():
                known = written.get(account, (0, 0))
                written[account] = (known[0] + count, known[1] + points)
            classes.update(done.result.classes)
            cases += done.result.cases
            digests |= _published(done.digests)
        counts = {f"class {name}": classes[name] for name in CLASSES}
        counts |= {f"review {state}": count for state, count in decided.counts.items()}
        self.manifest.stage("points", {**counts, "cases": cases}, digests)
        return {accounts.key(account): sums for account, sums in written.items()}

    # -- what the driver writes -----------------------------------------------------------------

    def _publish(
        self,
        people: Population,
        benchmarks: Benchmarks,
        months: Months,
        cleared: dict[tuple[str, str], Clearing],
        decided: Decided,
    ) -> None:
        self.manifest.warnings += months.warnings
        year_budget: dict[str, Any] = {}
        for pool in sorted({pool for pool, _ in months.values}):
            whole = self.region.budget_of(pool, months_of(self.manifest.year)[-1])
            spread = sum(
                rounded(value.budget) for (name, _), value in months.values.items() if name == pool
            )
            year_budget[pool] = {
                "year": yuan_text(whole),
                "months": yuan_text(spread),
                "difference": yuan_text(whole - spread),
            }
        self.manifest.notes["budgets"] = year_budget
        self.manifest.notes["mean_cost"] = yuan_text(rounded(benchmarks.mean))
        self.manifest.notes["inversions"] = [
            f"{drg.drg} level {level}"
            for drg in benchmarks.drgs
            for level, at in zip(LEVELS, drg.levels, strict=True)
            if at.inversion
        ]
        made = {
            "statistics": tables.statistics_table(self.scheme.drgs, people),
            "benchmarks": tables.benchmarks_table(benchmarks),
            "months": tables.months_table(months),
            "hospital_months": tables.hospital_months_table(months.statements),
            "clearing": tables.clearing_table(cleared),
            "rejected": self._rejected(),
        }
        for name, table in made.items():
            self.manifest.stage(name, {"rows": table.num_rows}, write_table(self.out, name, table))
        self._made = made

    def _rejected(self) -> pa.Table:
        folder = self.out / WORK / "rejected"
        parts = [pq.read_table(folder / part_name(number)) for number in self.numbers]
        table = pa.concat_tables([REJECTED_SCHEMA.empty_table(), *parts]).combine_chunks()
        return table.sort_by([(name, "ascending") for name in REJECTED_SCHEMA.names])

    # -- accounts -------------------------------------------------------------------------------

    def _check(self, check: checks.Check) -> None:
        self.manifest.checks.append(check.record())
        checks.require([check])

    def _close(
        self,
        grouped: _Grouped,
        months: Months,
        cleared: dict[tuple[str, str], Clearing],
        written: dict[AccountKey, tuple[int, int]],
    ) -> None:
        total = grouped.total
        drg = ROUTES[DRG]
        stated = sum(row.cases for row in months.statements.values())
        settled = sum(row.cases for row in cleared.values())
        booked = sum(book.total for book in grouped.books.values())
        found = [
            checks.check_counts("cases of route drg", stated, total.counts[f"route {drg}"]),
            checks.check_counts("cases cleared", settled, total.counts[f"route {drg}"]),
            checks.check_counts("cases written", self._rows("points"), total.cases),
            checks.check_money("cost of route drg", booked, total.cost[drg]),
            *checks.check_points(self._made["hospital_months"], written),
            *checks.check_budgets(self._made["months"], self._made["hospital_months"]),
            *checks.check_clearing(self._made["clearing"]),
        ]
        for check in found:
            self._check(check)
        self.manifest.warnings.sort()
        finish(self.out, self.manifest)

    def _rows(self, table: str) -> int:
        folder = self.out / table
        return sum(pq.read_metadata(folder / part_name(number)).num_rows for number in self.numbers)


@dataclass
class _Grouped:
    """Everything the group stage learnt, over all parts."""

    cells: SumTotal
    books: dict[int, Account]
    total: stages.GroupResult

    @property
    def reviewed(self) -> list[ReviewedCase]:
        """Cases that stand in reviews.csv."""
        return self.total.reviewed

    def add(self, part: stages.GroupResult, accounts: Accounts) -> None:
        """Add a part."""
        self.cells.add(part.cells)
        self.total.cases += part.cases
        self.total.counts.update(part.counts)
        self.total.cost.update(part.cost)
        self.total.reviewed += part.reviewed
        for account, row in zip(part.accounts.tolist(), part.sums.tolist(), strict=True):
            book = self.books.setdefault(account, Account())
            book.add(Account(*row))


def _sums(part: stages.AccountPoints) -> dict[int, tuple[int, int]]:
    """(cases, points) by account, exact."""
    columns = (part.accounts, part.count, part.low, part.high)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {account: (count, low + (high << 32)) for account, count, low, high in rows}


def _published(digests: dict[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in digests.items() if not name.startswith(WORK)}


def _reasons(benchmarks: Benchmarks) -> np.ndarray[Any, np.dtype[np.int16]]:
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
    for i, drg in enumerate(benchmarks.drgs):
        if drg.reason:
            cells = slice(i * len(LEVELS), (i + 1) * len(LEVELS))
            reasons[cells, CLASSES.index("unstable")] = CODE[drg.reason]
    return reasons
