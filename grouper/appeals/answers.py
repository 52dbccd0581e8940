"""Writing what was read: tables for programs (Parquet) and for people (CSV).

A text that a hospital has typed may look like a formula to a spreadsheet. In the CSV files such a
text begins with an apostrophe; the Parquet files hold it as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from grouper.appeals.checked import REASONS, Answer, Difference
from grouper.appeals.corrected import Corrections
from grouper.appeals.layout import DISPUTED
from grouper.cases import CODES
from grouper.parts import ParquetFile
from grouper.report.spreadsheet import write_for_people

ANSWERS: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("hospital_id", "case_id", "file")),
        ("row", pa.int32()),
        *((name, pa.string()) for name in ("state", "why", "dispute", "remark")),
        ("dx", CODES),
        ("px", CODES),
        ("review", pa.string()),
    ]
)
"""A row for each case that was sent, sorted by hospital and case.

`row` is 0 where the row is gone, `why` tells why an answer is refused, `dx` and `px` are the
corrected lists (null: unchanged), `review` the kind of review proposed, `none` where the case is
of a class that no review changes.
"""

DIFFERENCES: Final = pa.schema(
    [(one.name, pa.int32() if one.name == "row" else pa.string()) for one in fields(Difference)]
)
"""Cells and rows that are not what was sent, in the order of workbooks and rows."""


def write_answers(
    folder: Path,
    answers: Sequence[Answer],
    differences: Sequence[Difference],
    reviews: Sequence[tuple[str, str]],
    before: Mapping[str, Mapping[str, Any]],
    corrections: Corrections | None,
) -> None:
    """Write `answers`, `differences`, `changes` and `corrected` with reviews.csv.

    Raises:
        OutputError: the folder cannot be written.
    """
    kinds = dict(reviews)
    rows = [
        {
            **{name: getattr(answer, name) for name in ANSWERS.names if name != "review"},
            "why": _why(answer),
            "review": _review(answer, kinds),
        }
        for answer in answers
    ]
    _both(folder, "answers", pa.Table.from_pylist(rows, ANSWERS))
    columns = list(zip(*(astuple(one) for one in differences), strict=True))
    arrays = columns or [()] * len(DIFFERENCES.names)
    table = pa.table(
        [pa.array(a, f.type) for a, f in zip(arrays, DIFFERENCES, strict=True)], DIFFERENCES
    )
    _both(folder, "differences", table)
    if reviews:
        lines = "".join(f"{_field(case_id)},{kind},,,\n" for case_id, kind in reviews)
        text = "case_id,kind,unreasonable_cost,approved,decision_month\n" + lines
        (folder / "reviews.csv").write_text(text, encoding="utf-8")
    if corrections is not None:
        _both(folder, "changes", corrections.changes)
        _parquet(folder, "corrected", corrections.cases)


def _why(answer: Answer) -> str:
    if not answer.why:
        return ""
    codes = f" ({', '.join(answer.unknown)})" if answer.unknown else ""
    return f"{answer.why}: {REASONS[answer.why]}{codes}"


def _review(answer: Answer, kinds: Mapping[str, str]) -> str:
    if answer.state != DISPUTED or answer.dispute != "review":
        return ""
    return kinds.get(answer.case_id, "none")


def _field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if re.search(r'[",\s]', text) else text


def _both(folder: Path, name: str, table: pa.Table) -> None:
    _parquet(folder, name, table)
    write_for_people(table, folder / f"{name}.csv")


def _parquet(folder: Path, name: str, table: pa.Table) -> None:
    with ParquetFile(folder / f"{name}.parquet", table.schema, plain=()) as file:
        for batch in table.combine_chunks().to_batches():
            file.write(batch)
