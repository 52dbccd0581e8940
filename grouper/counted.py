"""Numbers with their nouns."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """A count and what is counted: `0 cases`, `1 case`, `1,200 cases`.

    Args:
        one: the noun for one of them.
        many: the noun for none and for several; `one` with an s unless given.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
