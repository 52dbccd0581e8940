"""The accounts close: every equation of section 12 with both of its sides.

The sides are taken from different places, the statements as they will be written and the sums that
the passes over the cases made on their own, so that an equation that holds says something.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from grouper.errors import RunError
from grouper.settlement.months import AccountKey
from grouper.settlement.numbers import FEN, points_text, yuan_text

_SCALE = 10**8


@dataclass(frozen=True, slots=True)
class Check:
    """One equation.

    Attributes:
        name: what must be equal.
        of: what it is about: pool, month, hospital.
        left, right: both sides as text, in cases, yuan or points.
    """

    name: str
    of: Mapping[str, str]
    left: str
    right: str

    @property
    def holds(self) -> bool:
        """Whether both sides are equal."""
        return self.left == self.right

    def record(self) -> dict[str, object]:
        """The check as the manifest holds it."""
        return {
            "check": self.name,
            **self.of,
            "left": self.left,
            "right": self.right,
            "holds": self.holds,
        }


def require(checks: Iterable[Check]) -> None:
    """Fail the run at the first equation that does not hold.

    Raises:
        RunError: it names the equation, both sides, and the pool, month or hospital.
    """
    for check in checks:
        if not check.holds:
            place = ", ".join(f"{key} {value}" for key, value in check.of.items())
            raise RunError(
                f"the accounts do not close: {check.name}"
                f"{f' ({place})' if place else ''}: {check.left} is not {check.right}",
                hint="nothing was published; keep the run's .work folder and report this fault",
            )


def check_counts(name: str, left: int, right: int) -> Check:
    """An equation between numbers of cases."""
    return Check(name, {}, str(left), str(right))


def check_money(name: str, left: int, right: int) -> Check:
    """An equation between amounts in fen."""
    return Check(name, {}, yuan_text(left), yuan_text(right))


def check_points(
    hospital_months: pa.Table, written: Mapping[AccountKey, tuple[int, int]]
) -> list[Check]:
    """Cases and points of the statements against those written case by case.

    Args:
        hospital_months: the table of statements.
        written: (cases, points in 1e-8) by account, as the last pass wrote them.

    Returns:
        One check of points and one of cases per pool and month; where a hospital differs, a check
        that names it comes first.
    """
    faults = []
    stated: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    summed: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for key, (cases, points) in written.items():
        summed[key[1:]][0] += cases
        summed[key[1:]][1] += points
    for row in hospital_months.to_pylist():
        key = (row["hospital_id"], row["pool"], row["month"])
        points = int(row["points"] * _SCALE)
        cases, own = written.get(key, (0, 0))
        if (cases, own) != (row["cases"], points):
            of = dict(zip(("hospital", "pool", "month"), key, strict=True))
            faults.append(Check("points", of, points_text(points), points_text(own)))
            faults.append(Check("cases", of, str(row["cases"]), str(cases)))
        stated[key[1:]][0] += row["cases"]
        stated[key[1:]][1] += points
    checks = []
    for place in sorted({*stated, *summed}):
        of = {"pool": place[0], "month": place[1]}
        (cases, points), (own_cases, own) = stated[place], summed[place]
        checks.append(Check("cases", of, str(cases), str(own_cases)))
        checks.append(Check("points", of, points_text(points), points_text(own)))
    return faults + checks


def check_budgets(months: pa.Table, hospital_months: pa.Table) -> list[Check]:
    """Σ(cash + audit + prepaid + deposit) + residual = month budget, per pool and month."""
    spent: dict[tuple[str, str], int] = defaultdict(int)
    for row in hospital_months.to_pylist():
        for column in ("cash", "audit_deduction", "prepaid", "deposit"):
            spent[row["pool"], row["month"]] += int(row[column] * FEN)
    checks = []
    for row in months.to_pylist():
        key = (row["pool"], row["month"])
        left = spent[key] + int(row["residual"] * FEN)
        of = {"pool": key[0], "month": key[1]}
        checks.append(
            Check("month budget", of, yuan_text(left), yuan_text(int(row["budget"] * FEN)))
        )
    return checks


def check_clearing(clearing: pa.Table) -> list[Check]:
    """Due + already paid + cash + cuts = assessed, per pool; hospitals that differ come first."""
    faults = []
    sides: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in clearing.to_pylist():
        columns = ("due", "already_paid", "cash", "surplus_cut", "self_pay_cut")
        left = sum(int(row[column] * FEN) for column in columns)
        right = int(row["assessed"] * FEN)
        sides[row["pool"]][0] += left
        sides[row["pool"]][1] += right
        if left != right:
            of = {"hospital": row["hospital_id"], "pool": row["pool"]}
            faults.append(Check("clearing", of, yuan_text(left), yuan_text(right)))
    return faults + [
        Check("clearing", {"pool": pool}, yuan_text(left), yuan_text(right))
        for pool, (left, right) in sorted(sides.items())
    ]
