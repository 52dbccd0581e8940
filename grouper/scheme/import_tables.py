"""Import of a scheme from spreadsheets as bureaus publish them, or from the filled-in template.

Sheets and columns are known by their published headings; a column map in TOML says what is called
otherwise. Rows that cannot be read are told with file, sheet and row, and left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from grouper.scheme.imported import Imported
from grouper.scheme.pack import Pack, build_pack
from grouper.scheme.sheets.assemble import assemble
from grouper.scheme.sheets.cells import Sheet, read_sheets
from grouper.scheme.sheets.columns import ColumnMap, read_map
from grouper.scheme.sheets.find import find_tables
from grouper.scheme.sheets.gather import gather
from grouper.scheme.sheets.layout import TABLES
from grouper.scheme.tables import COLUMNS, Line
from grouper.scheme.write import write_pack

__all__ = ["holds_example", "import_tables", "read_tables", "write_tables"]


def import_tables(
    source: Path,
    *,
    columns: Path | None = None,
    encoding: str = "utf-8",
    scheme: Mapping[str, str] | None = None,
) -> Imported:
    """Read the tables of a scheme.

    Args:
        source: a workbook (.xlsx), a CSV file, or a folder of them.
        columns: a column map.
        encoding: of CSV files: utf-8 or gb18030.
        scheme: id and title that go before what map and sheets say.

    Returns:
        A pack that the checker accepts, with what could not be read.

    Raises:
        PackError: the source is no scheme, or a table of it lacks what it needs.
    """
    mapped = read_map(columns) if columns is not None else ColumnMap()
    if scheme:
        mapped = ColumnMap(
            mapped.file,
            mapped.tables,
            {**mapped.scheme, **scheme},
            mapped.suffix,
            mapped.attributes,
        )
    return read_tables(read_sheets(source, encoding), mapped, source.stem)[0]


def read_tables(
    sheets: Sequence[Sheet], mapped: ColumnMap, scheme_id: str
) -> tuple[Imported, Pack]:
    """Read sheets.

    Args:
        scheme_id: the scheme's id where neither map nor sheets give one.

    Raises:
        PackError: as `import_tables`.
    """
    tables, notes = find_tables(sheets, mapped)
    gathered = gather(tables)
    gathered.unread[:0] = notes
    imported = assemble(gathered, mapped, scheme_id)
    pack = build_pack(
        imported.identity,
        {
            name: [
                Line(name, number, dict(zip(columns_of_file, row, strict=True)))
                for number, row in enumerate(imported.rows.get(name, ()), 2)
            ]
            for name, columns_of_file in COLUMNS.items()
        },
    )
    return imported, pack


def holds_example(imported: Imported) -> bool:
    """Whether all DRGs that the template makes up are there, with their names and weights."""
    example = next(table for table in TABLES if table.name == "DRG")
    headings = [column.zh for column in example.columns]
    code, name, weight = map(headings.index, ("DRG编码", "DRG名称", "权重"))
    named = {tuple(row[2:4]) for row in imported.rows.get("groups.csv", ()) if row[0] == "drg"}
    weighed = {tuple(row[:2]) for row in imported.rows.get("weights.csv", ())}
    return all(
        (row[code], row[name]) in named and (row[code], row[weight]) in weighed
        for row in example.example
    )


def write_tables(imported: Imported, out: Path) -> None:
    """Write an imported scheme as a pack."""
    write_pack(out, imported.identity, imported.rows)
