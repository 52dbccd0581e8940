"""Sums by account: of a part as its task sends them, of the run as the driver adds them up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grouper.kernels.arrays import readonly
from grouper.kernels.points import add_points
from grouper.kernels.statistics import add_sums
from grouper.settlement.facts import Facts
from grouper.settlement.intake import AMOUNTS
from grouper.settlement.months import Account
from grouper.settlement.routes import PER_DIEM

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

_LOW = 32
_MASK = (1 << _LOW) - 1
_PLAIN = 1 << 30
"""Upper halves below this make sums that fit an int64."""


@dataclass(frozen=True)
class AccountSums:
    """Sums of the accounts that a part has cases of; a sum is ``high * 2**32 + low``.

    They are as small as they can be, because every part sends its own to the driver.

    Attributes:
        accounts: rising.
        low: uint32 (accounts, columns).
        high: int32 or int64 (accounts, columns).
    """

    accounts: Codes
    low: NDArray[np.uint32]
    high: NDArray[np.signedinteger]

    @staticmethod
    def of(sums: Ints) -> AccountSums:
        """The accounts with cases of dense sums (accounts, columns) whose first column counts."""
        used = np.flatnonzero(sums[:, 0])
        mine = sums[used]
        low = (mine & _MASK).astype(np.uint32)
        return AccountSums(used.astype(np.int32), low, (mine >> _LOW).astype(np.int32))


class AccountTotal:
    """Sums of all parts, exact for up to 2**31 cases."""

    def __init__(self, accounts: int, columns: int) -> None:
        self._low = np.zeros((accounts, columns), np.int64)
        self._high = np.zeros((accounts, columns), np.int64)

    def add(self, part: AccountSums) -> None:
        """Add a part."""
        low, high = readonly(part.low), readonly(part.high)
        add_sums(readonly(part.accounts), low, high, self._low, self._high)

    def rows(self) -> tuple[list[int], list[list[int]]]:
        """The accounts with cases, and the sums of each."""
        used = np.flatnonzero(self._low[:, 0])
        low, high = self._low[used], self._high[used]
        high, low = high + (low >> _LOW), low & _MASK
        if np.abs(high).max(initial=0) < _PLAIN:
            return used.tolist(), ((high << _LOW) + low).tolist()
        pairs = zip(high.tolist(), low.tolist(), strict=True)
        exact = [[(h << _LOW) + n for h, n in zip(*pair, strict=True)] for pair in pairs]
        return used.tolist(), exact


AMOUNT_COLUMNS = 1 + len(AMOUNTS)
"""Cases and amounts, as `Account` names them."""

POINT_COLUMNS = 2
"""Cases and points."""


def books_of(total: AccountTotal) -> dict[int, Account]:
    """Accounts without points, of sums with `AMOUNT_COLUMNS`."""
    return {account: Account(*row) for account, row in zip(*total.rows(), strict=True)}


@dataclass(frozen=True)
class PointSums:
    """Cases and points of a part by account: paid, simulated, and per day."""

    paid: AccountSums
    simulated: AccountSums
    per_diem: AccountSums


class Books:
    """Sums of points while a part is read."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._books: dict[str, tuple[Ints, Ints, Ints]] = {}

    def add(self, facts: Facts, points: Ints) -> None:
        """Add a batch."""
        self._add("paid", facts.account, points)
        aside = facts.account < -1
        if aside.any():
            for name, mine in (
                ("per_diem", facts.route == PER_DIEM),
                ("simulated", facts.route != PER_DIEM),
            ):
                account = np.where(aside & mine, -2 - facts.account, -1).astype(np.int32)
                self._add(name, account, points)

    def _add(self, name: str, account: Codes, points: Ints) -> None:
        book = self._books.get(name)
        if book is None:
            book = (
                np.zeros(self._size, np.int64),
                np.zeros(self._size, np.int64),
                np.zeros(self._size, np.int64),
            )
            self._books[name] = book
        add_points(account, points, *book)

    def sums(self) -> PointSums:
        """The sums so far."""
        return PointSums(*(self._sparse(name) for name in ("paid", "simulated", "per_diem")))

    def _sparse(self, name: str) -> AccountSums:
        empty = np.empty(0, np.int64)
        count, low, high = self._books.get(name, (empty, empty, empty))
        used = np.flatnonzero(count)
        low, high = low[used], high[used]
        return AccountSums(
            used.astype(np.int32),
            np.stack([count[used], low & _MASK], axis=1).astype(np.uint32),
            np.stack([np.zeros(len(used), np.int64), high + (low >> _LOW)], axis=1),
        )
