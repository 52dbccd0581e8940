"""Values that no settlement list should hold: they are grouped as they are, and told of."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Final, NamedTuple

_USUAL: Final[Mapping[str, tuple[Container[int], str]]] = {
    "sex": (range(1, 3), "1, 2"),
    "age": (range(131), "0–130"),
    "age_days": (range(367), "0–366"),
    "weight": (range(100, 10_000), "100–9999"),
    "discharge": ((1, 2, 3, 4, 5, 9), "1, 2, 3, 4, 5, 9"),
    "los": (range(2**31), "≥ 0"),
    "icu_hours": (range(2**31), "≥ 0"),
}


class Odd(NamedTuple):
    """A value out of the usual.

    Attributes:
        column: its column.
        usual: what is usual there, in signs only.
    """

    column: str
    value: int
    usual: str


def odd_values(case: Mapping[str, object]) -> Iterator[Odd]:
    """The values of a case that are out of the usual.

    No value but a missing diagnosis stops grouping (scheme-pack.md): a rule compares what is there.
    """
    for column, (usual, told) in _USUAL.items():
        value = case.get(column)
        if isinstance(value, int) and value not in usual:
            yield Odd(column, value, told)
