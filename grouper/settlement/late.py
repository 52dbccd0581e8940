"""What closed months come to now beyond their kept statements; it is settled at year end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from grouper.counted import counted
from grouper.errors import RegionError
from grouper.settlement.closed import closed_places
from grouper.settlement.months import Account, AccountKey, HospitalMonth
from grouper.settlement.numbers import points_text
from grouper.settlement.region import Deduction, Region


@dataclass(frozen=True, slots=True)
class Late:
    """What came or changed in a closed month after it was closed; negative where it went away.

    It stands in no statement of a month and is settled at year end. Fen and 1e-8 points.
    """

    cases: int
    points: int
    cash: int

    @property
    def any(self) -> bool:
        """Whether there is a difference."""
        return bool(self.cases or self.points or self.cash)


def late_sums(
    region: Region, accounts: Mapping[AccountKey, Account], warnings: list[str]
) -> dict[AccountKey, Late]:
    """What the cases of closed months come to now beyond their kept statements.

    Args:
        region: its closed statements and deductions.
        accounts: sums by hospital, pool and month over the cases of route ``drg``.
        warnings: what has to be said is added here.

    Raises:
        RegionError: a deduction that was written into a closed month, or taken out of it.
    """
    kept = closed_places(region.statements)
    _same_deductions(region, kept)
    late = {}
    for key in sorted(key for key in {*accounts, *region.statements} if key[1:] in kept):
        now, then = accounts.get(key, Account()), region.statements.get(key, HospitalMonth())
        found = Late(now.cases - then.cases, now.points - then.points, now.cash - then.cash)
        if found.any:
            late[key] = found
    for pool, month in sorted(closed_places(late)):
        mine = [found for key, found in late.items() if key[1:] == (pool, month)]
        points = points_text(sum(found.points for found in mine))
        cases = counted(sum(found.cases for found in mine), "case")
        warnings.append(
            f"closed_month_changed: pool '{pool}' {month}: {cases} and "
            f"{points} points beyond its closed statements, settled at year end"
        )
    return late


def _same_deductions(region: Region, kept: set[tuple[str, str]]) -> None:
    rows: dict[AccountKey, list[Deduction]] = defaultdict(list)
    for deduction in region.deductions:
        rows[deduction.hospital_id, deduction.pool, deduction.month].append(deduction)
    for key in sorted(key for key in {*rows, *region.statements} if key[1:] in kept):
        known, mine = region.statements.get(key, HospitalMonth()), rows.get(key, [])
        taken = (sum(row.money for row in mine), sum(row.points for row in mine))
        if taken != (known.audit_deduction, known.deducted_points):
            raise RegionError(
                f"the deductions of hospital '{key[0]}' in {key[2]} changed after it was closed",
                file="deductions.csv",
                line=mine[-1].row if mine else 0,
                hint="restore them, and write new ones in a month that is not closed",
            )
