"""Sums of many pieces, kept small while they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_AT_ONCE = 32


class Folded(Generic[T]):
    """Pieces that are joined a few dozen at a time, so that no more are kept however many come.

    Args:
        join: the sum of several pieces, a piece itself; their order and how they are gathered
            change nothing in it.
    """

    def __init__(self, join: Callable[[list[T]], T]) -> None:
        self._join = join
        self._pieces: list[T] = []

    def add(self, piece: T) -> None:
        """Take in a piece."""
        self._pieces.append(piece)
        if len(self._pieces) > _AT_ONCE:
            self._pieces = [self.whole()]

    def whole(self) -> T:
        """The sum of all pieces so far."""
        return self._join(self._pieces)
