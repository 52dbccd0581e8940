"""Tables as a spreadsheet may open them: what looks like a formula stays a text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from grouper.cases import CODES
from grouper.parts import EXCEL_MARK

_FORMULA: Final = re.compile(r"^[=+\-@\t\r]")


def write_for_people(table: pa.Table, path: Path) -> None:
    """Write a table as CSV that a spreadsheet shows as it is meant."""
    with path.open("wb") as file:
        file.write(EXCEL_MARK)
        pacsv.write_csv(for_people(table), file)


def for_people(table: pa.Table) -> pa.Table:
    """The table with lists joined by `|`, and an apostrophe before what begins like a formula.

    For CSV files; a program reads the Parquet file beside it, which holds the texts as they are.
    """
    for place, one in enumerate(table.schema):
        column = table.column(place)
        if one.type == CODES:
            column = pc.binary_join(column.combine_chunks(), "|")
        elif not pa.types.is_string(one.type):
            continue
        texts = [
            "'" + text if text is not None and _FORMULA.match(text) else text
            for text in column.to_pylist()
        ]
        table = table.set_column(place, one.name, pa.array(texts, pa.string()))
    return table
