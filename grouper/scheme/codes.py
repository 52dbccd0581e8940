"""How codes as written in a pack (exact, or a prefix ending in `%`) meet the codes of a case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

V = TypeVar("V")

PREFIX_MARK = "%"


class CodeMap(Generic[V]):
    """Codes as written, each with a value.

    `best` is for what can hold only once (severity, exclusion, site): an exact code wins over a
    prefix, a longer prefix over a shorter one. `every` is for sets, where each match counts.
    """

    def __init__(self, entries: Iterable[tuple[str, V]] = ()) -> None:
        self.exact: dict[str, list[V]] = {}
        self.prefix: dict[str, list[V]] = {}
        for written, value in entries:
            if written.endswith(PREFIX_MARK):
                self.prefix.setdefault(written[:-1], []).append(value)
            else:
                self.exact.setdefault(written, []).append(value)
        self.lengths = sorted({len(p) for p in self.prefix}, reverse=True)

    def best(self, code: str) -> V | None:
        """The value of the exact code, else of the longest prefix; None where nothing matches."""
        for value in self.every(code):
            return value
        return None

    def every(self, code: str) -> Iterator[V]:
        """The values of all matches, the exact ones first, then by falling length of prefix."""
        yield from self.exact.get(code, ())
        for length in self.lengths:
            if length <= len(code):
                yield from self.prefix.get(code[:length], ())

    def written(self) -> Iterator[str]:
        """All codes as written."""
        yield from self.exact
        for prefix in self.prefix:
            yield prefix + PREFIX_MARK


def code_map(entries: Mapping[str, V]) -> CodeMap[V]:
    """A CodeMap of a table that has each written code once."""
    return CodeMap(entries.items())
