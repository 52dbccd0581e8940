"""`reviews.csv`: the decisions of special review (特病单议), tens of thousands in a year."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from grouper.settlement.amounts import MONEY, exact_integers
from grouper.settlement.csvtable import once, read_rows

NAME: Final = "reviews.csv"
_COLUMNS = ("case_id", "kind", "unreasonable_cost", "approved", "decision_month")
_KINDS = ("add", "whole_group")
_FLAGS = {"": None, "true": True, "false": False, "1": True, "0": False}
_PLAIN: Final = {
    "case_id": r"^[!-~]+$",
    "kind": f"^({'|'.join(_KINDS)})$",
    "unreasonable_cost": r"^(\d{1,15}(\.\d{1,2})?)?$",
    "approved": f"^({'|'.join(_FLAGS)})$",
    "decision_month": r"^(\d{4}-(0[1-9]|1[0-2]))?$",
}
"""What almost all files hold; a file with anything else is read row by row."""


class Review(NamedTuple):
    """A decision of special review (特病单议); amounts in fen."""

    case_id: str
    kind: str
    unreasonable: int
    approved: bool | None
    decision_month: str
    row: int


def read_reviews(folder: Path) -> tuple[Review, ...]:
    """The decisions of a region, in the order of the file.

    Raises:
        RegionError: file, line and what is wrong there.
    """
    return _at_once(folder / NAME) or _row_by_row(folder)


def _at_once(path: Path) -> tuple[Review, ...] | None:
    """The decisions of a plain file; None where there is anything that must be looked at."""
    if not path.is_file():
        return None
    text = path.read_bytes()
    if b'"' in text or b"\r" in text or b"\n\n" in text or text.startswith(b"\n"):
        return None
    try:
        table = pacsv.read_csv(
            pa.py_buffer(text),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(_COLUMNS, pa.string()), strings_can_be_null=False
            ),
        )
        columns = {name: table[name] for name in _COLUMNS}
    except (pa.ArrowInvalid, KeyError):
        return None
    for name, pattern in _PLAIN.items():
        if not pc.all(pc.match_substring_regex(columns[name], pattern), min_count=0).as_py():
            return None
    if pc.any(
        pc.and_(
            pc.is_in(columns["approved"], pa.array([k for k, v in _FLAGS.items() if v])),
            pc.equal(columns["decision_month"], ""),
        )
    ).as_py():
        return None
    if pc.count_distinct(columns["case_id"]).as_py() < table.num_rows:
        return None
    cost = columns["unreasonable_cost"]
    fen = exact_integers(pc.if_else(pc.equal(cost, ""), "0", cost).cast(MONEY))
    case, kind, approved, month = (
        columns[name].to_pylist() for name in ("case_id", "kind", "approved", "decision_month")
    )
    flags = [_FLAGS[text] for text in approved]
    lines = range(2, len(case) + 2)
    return tuple(map(Review._make, zip(case, kind, fen, flags, month, lines, strict=True)))


def _row_by_row(folder: Path) -> tuple[Review, ...]:
    rows = list(read_rows(folder, NAME, _COLUMNS))
    once(rows, lambda row: row.needed("case_id"), "case")
    reviews = []
    for row in rows:
        unreasonable = row.fen("unreasonable_cost", Fraction(0))
        if unreasonable < 0:
            raise row.error("unreasonable_cost is negative", "it is what is taken off the cost")
        approved = row.flag("approved")
        decided = row.month("decision_month") if approved or row.text("decision_month") else ""
        reviews.append(
            Review(
                row.needed("case_id"),
                row.choice("kind", _KINDS),
                unreasonable,
                approved,
                decided,
                row.line,
            )
        )
    return tuple(reviews)
