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
from grouper.settlement.amounts import exact_integers
from grouper.settlement.months import AccountKey
from grouper.settlement.numbers import points_text, yuan_text


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
    counted = hospital_months["cases"].to_pylist()
    columns = (*_texts(hospital_months, "hospital_id", "pool", "month"), counted)
    for hospital, pool, month, shown, points in zip(
        *columns, exact_integers(hospital_months["points"]), strict=True
    ):
        cases, own = written.get((hospital, pool, month), (0, 0))
        if (cases, own) != (shown, points):
            of = {"hospital": hospital, "pool": pool, "month": month}
            faults.append(Check("points", of, points_text(points), points_text(own)))
            faults.append(Check("cases", of, str(shown), str(cases)))
        sums = stated[pool, month]
        sums[0] += shown
        sums[1] += points
    checks = []
    for place in sorted({*stated, *summed}):
        of = {"pool": place[0], "month": place[1]}
        (cases, points), (own_cases, own) = stated[place], summed[place]
        checks.append(Check("cases", of, str(cases), str(own_cases)))
        checks.append(Check("points", of, points_text(points), points_text(own)))
    return faults + checks


def check_budgets(months: pa.Table, hospital_months: pa.Table) -> list[Check]:
    """Σ(cash + audit + prepaid + deposit) + residual = month budget, per pool and month."""
    columns = ("cash", "audit_deduction", "prepaid", "deposit")
    places = hospital_months.group_by(["pool", "month"])
    sums = places.aggregate([(column, "sum") for column in columns])
    parts = zip(*(exact_integers(sums[f"{column}_sum"]) for column in columns), strict=True)
    spent: dict[tuple[str, str], int] = defaultdict(int)
    for pool, month, part in zip(*_texts(sums, "pool", "month"), parts, strict=True):
        spent[pool, month] = sum(part)
    rows = zip(
        *_texts(months, "pool", "month"),
        exact_integers(months["residual"]),
        exact_integers(months["budget"]),
        strict=True,
    )
    return [
        Check(
            "month budget",
            {"pool": pool, "month": month},
            yuan_text(spent[pool, month] + residual),
            yuan_text(budget),
        )
        for pool, month, residual, budget in rows
    ]


def _texts(table: pa.Table, *columns: str) -> list[list[str]]:
    return [table[column].to_pylist() for column in columns]


def check_clearing(clearing: pa.Table) -> list[Check]:
    """Due + already paid + cash + cuts = assessed, per pool; hospitals that differ come first."""
    faults = []
    sides: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    columns = ("assessed", "due", "already_paid", "cash", "surplus_cut", "self_pay_cut")
    amounts = zip(*(exact_integers(clearing[column]) for column in columns), strict=True)
    names = _texts(clearing, "hospital_id", "pool")
    for hospital, pool, (right, *parts) in zip(*names, amounts, strict=True):
        left = sum(parts)
        sides[pool][0] += left
        sides[pool][1] += right
        if left != right:
            of = {"hospital": hospital, "pool": pool}
            faults.append(Check("clearing", of, yuan_text(left), yuan_text(right)))
    return faults + [
        Check("clearing", {"pool": pool}, yuan_text(left), yuan_text(right))
        for pool, (left, right) in sorted(sides.items())
    ]
