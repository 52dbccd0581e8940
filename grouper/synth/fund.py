"""The fund's side of a region: pools, budget lines, last year's months, deductions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from grouper.synth.draw import EMPLOYEE, INSURANCES, RESIDENT, SELF, Chunk
from grouper.synth.faults import Faults
from grouper.synth.plan import Plan

BUDGET_HEADER: Final = ("pool", "line", "effective_month", "amount")
SHARES_HEADER: Final = ("pool", "month", "amount")
DEDUCTIONS_HEADER: Final = ("hospital_id", "month", "pool", "money", "points", "reason")

# Art. 6 of the point method (settlement.md, section 3): the fund total and what is taken off it,
# in the proportions of the worked example, 1000 - 460 = 540.
_LINES: Final = {
    "chronic_outpatient": 120, "per_diem": 15, "pharmacy": 40, "special_drugs": 22,
    "out_of_region": 180, "non_pilot": 30, "manual_claims": 8, "critical_illness": 25,
    "reserve": 20, "other": 0,
}  # fmt: skip
_OUTPATIENT_POOLING: Final = 35
_TOTAL: Final = 1000
# The budget is set before the year is known; regions mostly overspend it a little.
_BUDGET_TO_PAID: Final = 0.975
_LAST_YEAR: Final = 0.945
_UNIT: Final = 1000_00
_REASONS: Final = (
    "charges without a basis", "admission below the standard", "split admission",
    "diagnosis not supported by the record", "late upload",
)  # fmt: skip


def pool_names(cities: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the pools, by `2 * city + insurance`; the city only where there are several."""
    insured = (INSURANCES[EMPLOYEE], INSURANCES[RESIDENT])
    if len(cities) == 1:
        return insured
    return tuple(f"{city}/{name}" for city in cities for name in insured)


@dataclass
class Ledger:
    """What the fund paid, in fen, summed while the cases stream by.

    Attributes:
        paid: per pool, twelve months.
    """

    pools: tuple[str, ...]
    paid: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.paid = [[0] * 12 for _ in self.pools]

    def add(self, chunk: Chunk, faults: Faults) -> None:
        """Add the valid insured cases of a chunk."""
        counted = (faults.kind == 0) & (chunk.insurance != SELF)
        pool = 2 * chunk.city[counted].astype(np.int64) + chunk.insurance[counted]
        place = 12 * pool + chunk.month[counted]
        fen = chunk.money.fund_paid[counted]
        # Sums of one chunk stay far below 2**53, so they are exact in the floats of bincount.
        sums = np.bincount(place, weights=fen, minlength=12 * len(self.pools))
        for i, amount in enumerate(sums.astype(np.int64).tolist()):
            self.paid[i // 12][i % 12] += amount

    def year(self, pool: int) -> int:
        """What a pool paid in the year."""
        return sum(self.paid[pool])


def budget_rows(
    ledger: Ledger, year: int, rng: np.random.Generator
) -> Iterator[tuple[str, str, str, str]]:
    """Rows of budget.csv: one effective month, the lines of each pool and its fund total."""
    for number, pool in enumerate(ledger.pools):
        lines = dict(_LINES)
        if pool.endswith(INSURANCES[RESIDENT]):
            lines["outpatient_pooling"] = _OUTPATIENT_POOLING
        drg_budget = max(_UNIT, round(ledger.year(number) * _BUDGET_TO_PAID / _UNIT) * _UNIT)
        whole = drg_budget * _TOTAL / (_TOTAL - sum(lines.values()))
        amounts = {
            name: round(whole * part / _TOTAL * float(rng.uniform(0.9, 1.1)) / _UNIT) * _UNIT
            for name, part in lines.items()
        }
        month = f"{year}-01"
        yield pool, "fund_total", month, yuan(drg_budget + sum(amounts.values()))
        for name, amount in amounts.items():
            yield pool, name, month, yuan(-amount)


def month_share_rows(
    ledger: Ledger, last: Ledger | None, year: int, rng: np.random.Generator
) -> Iterator[tuple[str, str, str]]:
    """Rows of month_shares.csv: last year's payments, made up where there is no history."""
    for number, pool in enumerate(ledger.pools):
        for month in range(12):
            luck = float(rng.uniform(0.97, 1.03))
            amount = round(ledger.paid[number][month] * _LAST_YEAR * luck)
            if last is not None:
                amount = last.paid[number][month]
            yield pool, f"{year - 1}-{month + 1:02d}", yuan(amount)


def deduction_rows(
    plan: Plan, pools: tuple[str, ...], year: int, rng: np.random.Generator
) -> list[tuple[str, str, str, str, str, str]]:
    """Rows of deductions.csv: a few audits, some in money, some in points."""
    count = len(plan.hospitals)
    wanted = min(max(3, count // 4), 60)
    found: dict[tuple[str, str, str], tuple[str, str, str, str, str, str]] = {}
    for _ in range(wanted):
        hospital = plan.hospitals[int(rng.integers(count))]
        pool = pools[2 * hospital.city + int(rng.integers(2))]
        month = f"{year}-{int(rng.integers(1, 13)):02d}"
        scale = max(1.0, 20 * hospital.size * count)
        money = int(rng.integers(50_00, 1500_00)) * round(scale)
        points = int(rng.integers(5, 60)) * round(scale)
        in_money = rng.random() < 0.7
        key = (hospital.hospital_id, month, pool)
        found[key] = (
            *key,
            yuan(money if in_money else 0),
            f"{0 if in_money else points // 10}.{0 if in_money else points % 10}",
            _REASONS[int(rng.integers(len(_REASONS)))],
        )
    return [found[key] for key in sorted(found)]


def yuan(fen: int) -> str:
    """Fen as yuan with two places."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"
