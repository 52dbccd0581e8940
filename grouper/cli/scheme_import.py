"""The commands `scheme import`: a pack from the forms in which others keep their schemes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grouper.cli.options import EncodingOption, check_encoding
from grouper.counted import counted
from grouper.errors import GrouperError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grouper.scheme.imported import Unread

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
        Path, typer.Option("--out", metavar="PACK", help="New folder; with --all its parent.")
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
        typer.echo(f"{name}: {counted(len(drgs), 'DRG')}, written to {folder}")
        lost += _tell(imported.unread, every=True)
    if lost:
        raise GrouperError(
            f"{counted(lost, 'piece')} of the checkout left out of the pack",
            hint="they are named above; add them to the pack by hand, or as an overlay",
        )


@import_app.command()
def tables(
    source: Annotated[
        Path, typer.Argument(metavar="DIR_OR_XLSX", help="A workbook, a CSV file, or their folder.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="PACK", help="New folder to write.")],
    columns: Annotated[
        Path | None,
        typer.Option("--columns", metavar="MAP.toml", help="What sheets and columns are called."),
    ] = None,
    encoding: EncodingOption = "utf-8",
    scheme_id: Annotated[str | None, typer.Option("--id", help="The scheme's id.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Print every finding, not a few of each kind.")
    ] = False,
) -> None:
    """Import the tables that a bureau publishes, or the filled-in template (分组方案表格)."""
    from grouper.scheme.import_tables import holds_example, import_tables, write_tables
    from grouper.scheme.pack import read_pack

    said = {"id": scheme_id} if scheme_id else {}
    imported = import_tables(
        source, columns=columns, encoding=check_encoding(encoding), scheme=said
    )
    if holds_example(imported):
        raise GrouperError(
            f"{source} holds the made-up example of the template, and no pack is written",
            hint="delete the example's rows in every sheet, and fill in those of the scheme",
        )
    write_tables(imported, out)
    drgs = {drg.code for _, _, drg in read_pack(out).drg_rows()}
    typer.echo(f"{imported.identity.id}: {counted(len(drgs), 'DRG')}, written to {out}")
    lost = _tell(imported.unread, every)
    if lost:
        raise GrouperError(
            f"{counted(lost, 'row or cell', 'rows or cells')} of the tables left out of the pack",
            hint="they are named above; mend them in the tables and import into a new folder",
        )


def template(
    out: Annotated[Path, typer.Argument(metavar="OUT.xlsx", help="Workbook to write.")],
    scheme: Annotated[
        str | None,
        typer.Option(
            "--scheme", metavar="PACK", help="Fill it in with this scheme, to be changed."
        ),
    ] = None,
) -> None:
    """Write a workbook to fill in with a scheme, in the layout of CHS-DRG 2.0 (方案模板)."""
    from grouper.scheme import pack_folder
    from grouper.scheme.export_tables import export_tables
    from grouper.scheme.pack import read_pack
    from grouper.scheme.sheets.template import write_template

    further = f"grouper scheme import tables {out} --out PACK"
    if scheme is None:
        write_template(out)
        typer.echo(f"{out}: fill it in, then: {further}")
        return
    pack = read_pack(pack_folder(scheme))
    lacks = export_tables(pack, out)
    drgs = {drg.code for _, _, drg in pack.drg_rows()}
    typer.echo(f"{out}: {pack.id}, {counted(len(drgs), 'DRG')}; change it, then: {further}")
    for one in lacks:
        typer.echo(f"warning: {one}", err=True)
    if lacks:
        raise GrouperError(
            f"{counted(len(lacks), 'thing')} of {pack.id} that the workbook cannot hold",
            hint="they are named above; where they matter, change the pack itself or an overlay",
        )


MOST_OF_A_KIND = 10


def _tell(unread: Iterable[Unread], every: bool) -> int:
    """Print what could not be read, and what is worth a note; how much is not in the pack."""
    lost = 0
    told: dict[str, int] = {}
    for one in unread:
        lost += one.lost
        kind = one.kind or ("lost" if one.lost else "note")
        told[kind] = told.get(kind, 0) + 1
        if every or told[kind] <= MOST_OF_A_KIND:
            typer.echo(f"{'not read' if one.lost else 'note'}: {one}", err=True)
    for kind, count in told.items():
        if not every and count > MOST_OF_A_KIND:
            more = f"and {count - MOST_OF_A_KIND:,} more [{kind}] (all with --all)"
            typer.echo(f"{'not read' if kind == 'lost' else 'note'}: {more}", err=True)
    return lost
