"""Commands about case tables: `grouper cases …`. Parse, call, print."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grouper.cli.options import EncodingOption, JsonOption, check_encoding, note, progress_bar
from grouper.counted import counted
from grouper.errors import CaseTableError

if TYPE_CHECKING:
    from grouper.intake.importing import Imported, Progress, Understood

cases_app = typer.Typer(
    help="Case tables: known fields, import of settlement lists (结算清单).",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(cases_app, name="cases")


@cases_app.command("import")
def import_(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Folder, workbook, JSON, DuckDB file, or postgresql://user@host/database.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="New folder for the cases, as REGION/cases."),
    ] = None,
    layout: Annotated[
        Path | None,
        typer.Option("--map", metavar="TOML", help="Layout: columns, codes and queries."),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option("--table", metavar="NAME=FILE", help="Where a table is; may stand often."),
    ] = None,
    encoding: EncodingOption = "utf-8",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show ten cases and what was understood.")
    ] = False,
    memory: Annotated[
        str, typer.Option("--memory", metavar="SIZE", help="Limit of the joins, as 2GB.")
    ] = "2GB",
    threads: Annotated[
        int, typer.Option("--threads", min=0, help="Threads of the joins; 0 takes all.")
    ] = 0,
    json: JsonOption = False,
) -> None:
    """Join settlement, diagnoses and procedures into a case table (结算清单导入).

    Reads the tables setlinfo, diseinfo and oprninfo, and iteminfo, payinfo and icuinfo where
    they are there, from Parquet, CSV, Excel, the interface's JSON (4101, 4101A) or a database.
    Rows that do not join are told with the reason in DIR/_rejected.parquet, and where no
    settlement becomes a case that is an error.
    """
    from tempfile import TemporaryDirectory

    from grouper.intake.importing import import_cases, try_import
    from grouper.intake.layout import load_layout
    from grouper.intake.sources import open_source

    if out is None and not dry_run:
        raise typer.BadParameter("say where to write: --out DIR, or --dry-run")
    rules = load_layout(layout)
    opened = open_source(
        source, rules, encoding=check_encoding(encoding), tables=dict(map(_pair, table or ()))
    )
    if dry_run:
        with TemporaryDirectory() as work:
            found = try_import(opened, rules, Path(work), memory=memory)
    else:
        assert out is not None
        with _progress() as progress:
            found = import_cases(
                opened, rules, out, memory=memory, threads=threads, progress=progress
            )
    if json:
        from grouper.intake.report import as_json

        typer.echo(as_json(found))
    else:
        if dry_run:
            _tell_understood(found.understood)
            _tell_shown(found)
        _tell_counts(found)
        for text in found.understood.notes:
            note(text)
    if dry_run:
        return
    if not found.cases:
        read = found.counts["setlinfo"].read
        why = f"{out}/_rejected.parquet says why" if read else "setlinfo has no row"
        raise CaseTableError(
            f"no case came of {counted(read, 'settlement')}",
            hint=f"{why}; mend the lists or the layout and import again",
        )
    if not json:
        typer.echo(f"written to {out}")


def _pair(text: str) -> tuple[str, str]:
    name, found, file = text.partition("=")
    if not found or not file:
        raise typer.BadParameter(f"{text!r} is not NAME=FILE, such as diseinfo=diagnoses.csv")
    return name, file


@contextmanager
def _progress() -> Iterator[Progress]:
    with progress_bar("importing", -1) as advance:
        yield lambda _what, rows: advance(rows)


def _tell_understood(told: Understood) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from grouper.intake.report import alone
    from grouper.settlement.intake import REQUIRED

    console = Console()
    console.print(f"cases by {told.case_id}, tables joined by {told.join or 'document'}")
    columns = Table("column", "from", "how", box=None)
    for one in told.columns:
        fields = (f"{t}.{f}{_theirs(told, t, f)}" for t, f in one.fields)
        columns.add_row(one.column.name, escape(", ".join(fields)), escape(one.told))
    console.print(columns)
    for name, unused in told.unused.items():
        if unused:
            console.print(escape(f"not used of {name}: {', '.join(unused)}"))
    for name, absent in told.absent.items():
        if name not in told.fields:
            console.print(f"no table {name}")
        elif absent:
            console.print(f"not found in {name}: {', '.join(absent)}")
    for field, names in alone(told).items():
        console.print(escape(f"not used, {field} alone gives no {' and no '.join(names)}"))
    if lacks := [name for name in REQUIRED if name not in {c.column.name for c in told.columns}]:
        console.print(f"no column {', '.join(lacks)}, which `grouper rerun` needs")
    for piece in told.pieces:
        console.print(escape(f"not understood: {piece}"))


def _theirs(told: Understood, table: str, field: str) -> str:
    """The source's names of a field, where they differ from the interface's."""
    names = [n for n in told.fields.get(table, {}).get(field, ()) if n != field]
    return f" ({', '.join(names)})" if names else ""


_BLOCK = 5
"""Columns beside the id that a terminal has room for."""


def _tell_shown(found: Imported) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    assert found.shown is not None
    assert found.rejected is not None
    rows = found.shown.to_pylist()
    names = [n for n in found.shown.column_names if n != "case_id"]
    for at in range(0, len(names) if rows else 0, _BLOCK):
        block = names[at : at + _BLOCK]
        table = Table(box=None)
        for name in ("case_id", *block):
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(escape(_cell(row["case_id"])), *(escape(_cell(row[n])) for n in block))
        console.print(table)
        console.print()
    for row in found.rejected.to_pylist():
        console.print(escape(_rejection(row)))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _rejection(row: dict[str, Any]) -> str:
    place = f"{row['file']} row {row['row']}"
    return " ".join(
        filter(None, ("rejected:", place, row["case_id"], row["reason"], row["detail"]))
    )


def _tell_counts(found: Imported) -> None:
    from rich.console import Console
    from rich.table import Table

    from grouper.intake.reasons import REASONS

    console = Console()
    console.print(
        f"{counted(found.cases, 'case')} of {counted(found.counts['setlinfo'].read, 'settlement')}"
    )
    table = Table("table", box=None)
    for name in ("rows", "used", "left out", "of rejected cases", "rejected"):
        table.add_column(name, justify="right")
    for name, one in found.counts.items():
        numbers = (one.read, one.used, one.left_out, one.with_rejected_case)
        table.add_row(name, *(f"{n:,}" for n in (*numbers, sum(one.rejected.values()))))
    console.print(table)
    for name, one in found.counts.items():
        for reason, rows in one.rejected.items():
            told = REASONS[reason]
            console.print(f"{name} {reason}: {rows:,} ({told.en}, {told.zh})")


@cases_app.command()
def fields(json: JsonOption = False) -> None:
    """Print the fields of the settlement list that an import knows (结算清单字段)."""
    from grouper.intake.report import field_rows

    rows = field_rows()
    if json:
        from json import dumps

        typer.echo(dumps(rows, ensure_ascii=False, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for name in dict.fromkeys(row["table"] for row in rows):
        table = Table(name, "column", "read as", "meaning", box=None)
        for row in rows:
            if row["table"] == name:
                columns = ", ".join(row["columns"])
                table.add_row(row["field"], columns, row["read"], row["zh"])
        console.print(table)
        console.print()
