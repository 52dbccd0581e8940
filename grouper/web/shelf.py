"""The schemes that the page offers, each ready to explain, to search and to be browsed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from grouper.explain import Explainer
from grouper.grouping import group
from grouper.scheme import Scheme, load_scheme
from grouper.web.browse import Browser
from grouper.web.codesearch import CodeSearch


@dataclass(frozen=True)
class Shown:
    """One scheme and what is asked of it.

    Attributes:
        key: names it in addresses.
    """

    key: str
    scheme: Scheme
    explainer: Explainer
    search: CodeSearch

    @property
    def title(self) -> str:
        """What people call it."""
        return self.scheme.title or self.scheme.id

    @cached_property
    def browser(self) -> Browser:
        """Its tree, sets and codes."""
        return Browser(self.scheme.pack)


class Shelf:
    """Schemes by key, in the order they were named.

    Raises:
        PackError: a pack cannot be loaded.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.schemes: dict[str, Shown] = {}
        for name in names:
            scheme = load_scheme(name)
            key = scheme.id
            if key in self.schemes:
                key = f"{scheme.id}-{scheme.digest[:8]}"
            self.schemes[key] = Shown(key, scheme, Explainer(scheme), CodeSearch(scheme))

    @property
    def first(self) -> Shown:
        """The scheme that is shown first."""
        return next(iter(self.schemes.values()))

    def warm_up(self) -> None:
        """Group a case by every scheme, so that nobody waits for a compiler."""
        case = pa.table({"case_id": ["0"], "dx": [["I10.x00"]], "px": [["47.0901"]]})
        for shown in self.schemes.values():
            group(case, shown.scheme)
