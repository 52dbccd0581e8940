"""Tables as a bureau would publish them, and packs written in the layout and read again."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import xlsxwriter

from grouper import group, load_scheme
from grouper.scheme.import_tables import read_tables
from grouper.scheme.imported import Imported
from grouper.scheme.model import Pack
from grouper.scheme.sheets.columns import ColumnMap
from grouper.scheme.sheets.filled import as_sheets, filled

Rows = Iterable[Sequence[object]]


def book(path: Path, sheets: Mapping[str, Rows]) -> Path:
    """A workbook of these sheets; texts stay texts, numbers numbers, None an empty cell."""
    with xlsxwriter.Workbook(str(path), {"strings_to_formulas": False}) as made:
        for name, rows in sheets.items():
            sheet = made.add_worksheet(name)
            for row, cells in enumerate(rows):
                for column, cell in enumerate(cells):
                    if isinstance(cell, str):
                        sheet.write_string(row, column, cell)
                    elif isinstance(cell, bool):
                        sheet.write_boolean(row, column, cell)
                    elif isinstance(cell, int | float):
                        sheet.write_number(row, column, cell)
    return path


def folder(path: Path, sheets: Mapping[str, Rows], encoding: str = "utf-8") -> Path:
    """The same as a folder of CSV files."""
    path.mkdir(exist_ok=True)
    for name, rows in sheets.items():
        with (path / f"{name}.csv").open("w", encoding=encoding, newline="") as file:
            csv.writer(file).writerows(rows)
    return path


def lost(found: Imported) -> list[str]:
    return [str(one) for one in found.unread if one.lost]


def answers(pack: Path, *cases: dict[str, object]) -> list[str]:
    blank = {"px": [], "sex": None, "age": None, "age_days": None, "discharge": None}
    rows = [{"case_id": str(i), **blank, **case} for i, case in enumerate(cases)]
    table = pa.Table.from_pylist(rows)
    return [row["drg"] or row["status"] for row in group(table, load_scheme(str(pack))).to_pylist()]


def come_back(pack: Pack) -> tuple[Imported, Pack]:
    """What is imported of a pack that was written into the layout."""
    return read_tables(as_sheets("form.xlsx", filled(pack)), ColumnMap(), "no-id")
