"""What every source gives: batches of rows of one table, and rows that could not even be split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from grouper.intake.fields import TABLES

DOCUMENT = "_document"
"""Column of batches from documents: the number of the document, which joins its tables."""

PLACE = "_place"
"""Column of batches whose numbers do not run on: the number of the row or document in its file."""

LABEL = "_label"
"""Column of batches from documents: the file, because a batch may hold many."""

ROWS = 1 << 17
"""Rows of a batch, about."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """A row or document that cannot be read at all.

    Attributes:
        row: number of the row in its file, where the header is row 1; or of the document, from 1.
        told: what is wrong.
        label: its file, where that is not the batch's.
    """

    row: int
    told: str
    label: str = ""


@dataclass(frozen=True)
class Batch:
    """Rows of a table, in the order of the source.

    Attributes:
        table: name of the node.
        label: the file, sheet or query, as the user would look for it.
        first: number of the first row in it: from 2 below a header, else from 1.
        rows: the columns as the source calls them; those that no field takes may be left out.
        damaged: rows of the source that are not in `rows`.
    """

    table: str
    label: str
    first: int
    rows: pa.Table
    damaged: tuple[Damaged, ...] = ()


@dataclass
class Source:
    """An opened source.

    Attributes:
        what: how to call it in messages.
        batches: starts reading; the settlement's batches come first, unless `documents`.
        columns: table to the columns of each of its pieces, where known before reading.
        documents: whether rows join by document.
        ordered: whether the rows of a table have an order (a query without ORDER BY has none).
        unused: pieces (files, sheets) that hold no known table.
        seen: documents only; table to the names that occurred, filled while reading.
    """

    what: str
    batches: Callable[[], Iterator[Batch]]
    columns: Mapping[str, tuple[str, ...]]
    documents: bool = False
    ordered: bool = True
    unused: tuple[str, ...] = ()
    seen: dict[str, dict[str, None]] = field(default_factory=dict)


def in_order(names: Mapping[str, object]) -> list[str]:
    """The tables among the names, the settlement first."""
    return [name for name in TABLES if name in names]
