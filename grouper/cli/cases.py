"""Commands about case tables: `grouper cases …`. Parse, call, print."""

from __future__ import annotations

import typer

cases_app = typer.Typer(
    help="Case tables: known fields, import of settlement lists (结算清单).",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(cases_app, name="cases")


@cases_app.command()
def fields() -> None:
    """Print the known columns of a case and their fields in the national settlement list."""
    from rich.console import Console
    from rich.table import Table

    from grouper.cases import COLUMNS

    table = Table("column", "national field", "unit", "meaning", box=None)
    for one in COLUMNS.values():
        table.add_row(one.name, one.national, one.unit, f"{one.en} ({one.zh})")
    Console().print(table)
