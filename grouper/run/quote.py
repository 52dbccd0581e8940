"""What a case is worth in a settled region: points and value, by the tables of its run folder.

The benchmarks are put together again from the run's tables and priced by the same rules as the run
priced its own cases. Where the run took its means from blended years or trimmed them, its tables
hold the means rounded to fen only; then a quote says that it is not exact. Where it pays by disease
(DIP), the disease groups of its cases are its table ``groups``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
from pydantic import ValidationError

from grouper.errors import RunError
from grouper.kernels.points import TOTAL_COST
from grouper.parts import file_digest
from grouper.run.folder import Manifest, read_manifest
from grouper.settlement.benchmarks import Benchmark, Benchmarks, LevelBenchmark, high_multiple
from grouper.settlement.dip import Catalogue
from grouper.settlement.numbers import FEN, SCALE, exact, money, p8, rounded
from grouper.settlement.policy import Policy
from grouper.settlement.region import LEVELS, Region
from grouper.settlement.rules import CLASSES, Rule, cell_rules

_TABLES: Final = ("benchmarks", "statistics", "months")
_RESETTLE: Final = "settle the region again: grouper rerun … --out a new folder"


@dataclass(frozen=True, slots=True)
class Stay:
    """What the price of a case depends on, beside its group.

    Attributes:
        level: hospital level, 1 to 3.
        pool, month: whose point value counts.
        total, compliant: costs in fen.
        age, los: as the case has them; None where unknown.
        tcm: whether it is a case of traditional Chinese medicine.
        hospital: its id, where the policy has a factor by hospital.
    """

    level: int
    pool: str
    month: str
    total: int
    compliant: int
    age: int | None = None
    los: int | None = None
    tcm: bool = False
    hospital: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """Points and value of a case.

    Attributes:
        kind: class of the case, one of `settlement.rules.CLASSES`.
        weight: exact decimal, to eight places; None where the group has none.
        base_points, coefficient, points: in 1e-8.
        point_value: yuan per point, in 1e-8.
        value, gain: in fen; gain is value − total cost.
        high_above, low_below: bounds of the normal class in fen, rounded for display.
        mean: mean cost of the level in fen, rounded for display.
    """

    kind: str
    weight: Decimal | None
    base_points: int | None
    coefficient: int
    points: int
    point_value: int
    value: int
    gain: int
    high_above: int | None
    low_below: int | None
    mean: int | None


@dataclass(frozen=True)
class Prices:
    """A run's benchmarks, point values and policy.

    Attributes:
        run: id of the run.
        scheme: digest of the scheme that its cases were grouped by.
        values: point value (1e-8 yuan) by pool and month.
        exact: whether a quote is to the last digit what the run would say.
        reason: why cases cannot be priced one by one; empty where they can.
        factors: factor of a hospital in 1e-8, where the policy has such.
        catalogue: the disease groups, where the policy pays by disease.
    """

    run: str
    scheme: str
    policy: Policy
    values: Mapping[tuple[str, str], int]
    exact: bool
    reason: str
    _benchmarks: Mapping[str, Benchmark]
    _weights: Mapping[str, Decimal]
    _rules: Mapping[tuple[str, int], list[Rule]]
    factors: Mapping[str, int] = field(default_factory=dict)
    catalogue: Catalogue | None = None

    @property
    def pools(self) -> list[str]:
        """The pools with a point value."""
        return sorted({pool for pool, _ in self.values})

    @property
    def months(self) -> list[str]:
        """The months with a point value."""
        return sorted({month for _, month in self.values})

    def quote(self, status: str, drg: str, stay: Stay) -> Quote | None:
        """Points and value of a case; None where its pool has no point value in the month.

        Args:
            status: `grouped`, `ambiguous` or `ungrouped`.
            drg: its group.
            stay: level, pool, month and costs.
        """
        value = self.values.get((stay.pool, stay.month))
        if value is None or self.reason or self.paid_per_day(stay):
            return None
        if self.factors and stay.hospital not in self.factors:
            return None
        key = drg if status == "grouped" else status
        rules = self._rules.get((key, stay.level))
        if rules is None:
            return None
        rule = next(r for r in rules if r.lowest <= _cost(r, stay) <= r.highest)
        points = rule.points(_cost(rule, stay), self._factor(stay))
        worth = rounded(money(points, value))
        benchmark = self._benchmarks.get(key)
        level = benchmark.levels[stay.level - 1] if benchmark else None
        return Quote(
            kind=CLASSES[rule.kind],
            weight=self._weights.get(key),
            base_points=benchmark.base_points if benchmark else None,
            coefficient=level.coefficient if level else SCALE,
            points=points,
            point_value=value,
            value=worth,
            gain=worth - stay.total,
            high_above=_shown(level.high_above if level else None),
            low_below=_shown(level.low_below if level else None),
            mean=_shown(level.mean if level else None),
        )

    def paid_per_day(self, stay: Stay) -> bool:
        """Whether the policy pays a stay of this length per day."""
        longest = self.policy.per_diem.long_stay_days
        return longest is not None and stay.los is not None and stay.los > longest

    def _factor(self, stay: Stay) -> int:
        rules = self.policy.coefficient
        child = stay.age is not None and 0 <= stay.age <= rules.child_age
        uplift = 1 + (rules.tcm_uplift if stay.tcm else Fraction(0))
        uplift *= Fraction(self.factors.get(stay.hospital, SCALE), SCALE)
        return p8(uplift * (1 + rules.child_uplift)) if child else p8(uplift)


def _cost(rule: Rule, stay: Stay) -> int:
    return stay.total if rule.cost == TOTAL_COST else stay.compliant


def _shown(value: Fraction | None) -> int | None:
    return None if value is None else rounded(value)


def read_prices(folder: Path, region: Region | None = None) -> Prices:
    """Read what a run pays for a case.

    Args:
        region: its region. With it a run is priced, too, whose policy has a factor by hospital or
            pays by disease.

    Raises:
        RegionError: a hospital has no factor in rates.csv.
        RunError: the folder is no finished run, a table is missing or altered, or another version
            of the engine wrote it.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise RunError(
            f"{folder} holds no finished run: it has no manifest.json",
            hint="name what `grouper rerun --out` has written",
        )
    tables = {name: _table(folder, manifest, name) for name in _TABLES}
    try:
        policy = Policy.model_validate(manifest.policy["keys"])
        prices = _prices(manifest, policy, tables, region)
        if policy.groups.by == "dip":
            codes = sorted(row["drg"] for row in _table(folder, manifest, "groups"))
            prices = replace(prices, catalogue=Catalogue(tuple(codes), policy.groups))
        return prices
    except (KeyError, StopIteration, ValidationError) as cause:
        raise RunError(
            f"the run in {folder} was written by another version ({manifest.engine})",
            hint=_RESETTLE,
        ) from cause


def _table(folder: Path, manifest: Manifest, name: str) -> list[dict[str, Any]]:
    file = folder / f"{name}.parquet"
    wanted = manifest.digests.get(file.name)
    if not file.is_file() or wanted is None:
        raise RunError(f"the run in {folder} lacks the table '{name}'", hint=_RESETTLE)
    if file_digest(file) != wanted:
        raise RunError(
            f"the run in {folder} is not what its manifest says: table '{name}' was altered",
            hint=_RESETTLE,
        )
    rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    return rows


def _prices(
    manifest: Manifest,
    policy: Policy,
    tables: dict[str, list[dict[str, Any]]],
    region: Region | None,
) -> Prices:
    own = not any(name.startswith("history/") for name in manifest.inputs)
    whole = policy.population.trim.method == "none"
    means = {
        (row["drg"], row["level"]): _fen(row["cost_sum"]) / row["cases"]
        if own and whole
        else _fen(row["mean_cost"])
        for row in tables["statistics"]
        if row["mean_cost"]
    }
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in tables["benchmarks"]:
        grouped.setdefault(row["drg"], []).append(row)
    made = {drg: _benchmark(drg, rows, means, policy) for drg, rows in grouped.items()}
    mean = _overall(manifest) if own and whole else _fen(manifest.notes["mean_cost"])
    reason = ""
    table = policy.coefficient.factor_table
    if policy.groups.by != "drg" and region is None:
        reason = "other_groups"
    elif policy.price.table or policy.coefficient.uplifts or (table and region is None):
        reason = "rates"
    factors = {}
    if table and region is not None:
        factors = {h.hospital_id: p8(region.rate(table, h)) for h in region.hospitals}
    rules: dict[tuple[str, int], list[Rule]] = {}
    if not reason:
        cells = iter(cell_rules(Benchmarks(tuple(made.values()), mean, ()), policy))
        for key in (*made, "ambiguous", "ungrouped"):
            rules |= {(key, level): next(cells) for level in LEVELS}
    return Prices(
        run=manifest.run,
        scheme=manifest.scheme["digest"],
        policy=policy,
        values={
            (row["pool"], row["month"]): p8(exact(row["point_value"])) for row in tables["months"]
        },
        exact=own and whole,
        reason=reason,
        _benchmarks=made,
        _weights={
            drg: rows[0]["weight"].normalize()
            for drg, rows in grouped.items()
            if rows[0]["weight"] is not None
        },
        _rules=rules,
        factors=factors,
    )


def _overall(manifest: Manifest) -> Fraction:
    """M: the mean total cost of the cases that are paid by points, exact."""
    sides = {row["check"]: str(row["left"]) for row in manifest.checks}
    return _fen(sides["cost of route drg"]) / int(sides["cases of route drg"])


def _benchmark(
    drg: str,
    rows: list[dict[str, Any]],
    means: Mapping[tuple[str, int], Fraction],
    policy: Policy,
) -> Benchmark:
    first = rows[0]
    base = None if first["base_points"] is None else p8(exact(first["base_points"]))
    multiple = high_multiple(policy.high, base or 0)
    region = means.get((drg, 0))
    levels = []
    for row in sorted(rows, key=lambda row: int(row["level"])):
        own = means.get((drg, row["level"]))
        mean = own
        if mean is None and policy.coefficient.fallback == "nearest":
            mean = _nearest(drg, row["level"], means)
        over, under = (
            mean if rule.mean == "level" else region for rule in (policy.high, policy.low)
        )
        has_low = row["low_below"] is not None
        levels.append(
            LevelBenchmark(
                coefficient=p8(exact(row["coefficient"])),
                mean=mean,
                own_mean=own,
                high_above=multiple * over if row["high_above"] is not None and over else None,
                low_below=policy.low.ratio * under if has_low and under else None,
                inversion=row["inversion"],
            )
        )
    weight = None if first["weight"] is None else exact(first["weight"])
    return Benchmark(
        drg, weight, base, first["stable"], "", first["basic"], multiple, region, tuple(levels)
    )


def _nearest(drg: str, level: int, means: Mapping[tuple[str, int], Fraction]) -> Fraction | None:
    known = [other for other in LEVELS if (drg, other) in means]
    nearest = min(known, key=lambda other: (abs(other - level), other), default=None)
    return None if nearest is None else means[drg, nearest]


def _fen(yuan: Decimal | str) -> Fraction:
    return exact(yuan) * FEN
