"""Counts with their nouns."""

from grouper.counted import counted


def test_one_is_singular_and_all_others_are_plural() -> None:
    assert [counted(n, "case") for n in (0, 1, 2, 1200)] == [
        "0 cases", "1 case", "2 cases", "1,200 cases",
    ]  # fmt: skip
    assert counted(1, "cell or row", "cells or rows") == "1 cell or row"
    assert counted(3, "cell or row", "cells or rows") == "3 cells or rows"
