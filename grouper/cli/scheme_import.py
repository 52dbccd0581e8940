"""The commands `scheme import`: a pack from the forms in which others keep their schemes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grouper.errors import GrouperError

import_app = typer.Typer(
    help="Import a scheme from other forms (方案导入).",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@import_app.command()
def opendrg(
    checkout: Annotated[Path, typer.Argument(help="A checkout of OpenDRG's DRG_Python.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="PACK", help="Pack to write; with --all its parent.")
    ],
    variant: Annotated[str | None, typer.Option("--variant", help="The variant to import.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Import every variant.")] = False,
) -> None:
    """Import variants of OpenDRG's DRG_Python, read as text and never executed."""
    from grouper.scheme.import_opendrg import import_variant, variants, write_variant
    from grouper.scheme.pack import read_pack

    if every == (variant is not None):
        raise typer.BadParameter("give either --variant NAME or --all")
    lost = 0
    for name in variants(checkout) if variant is None else [variant]:
        imported = import_variant(checkout, name)
        folder = out / name if every else out
        write_variant(imported, folder)
        drgs = {drg.code for _, _, drg in read_pack(folder).drg_rows()}
        typer.echo(f"{name}: {len(drgs)} DRGs, written to {folder}")
        for unread in imported.unread:
            lost += unread.lost
            typer.echo(f"{'not read' if unread.lost else 'note'}: {unread}", err=True)
    if lost:
        raise GrouperError(
            f"{lost} pieces of the checkout are not in the pack",
            hint="they are named above; add them to the pack by hand, or as an overlay",
        )
