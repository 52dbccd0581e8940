"""The commands `scheme ...`: check, show, list and build packs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grouper.cli import scheme_try
from grouper.cli.options import JsonOption, PackArgument
from grouper.cli.scheme_import import import_app, template
from grouper.counted import counted
from grouper.errors import GrouperError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from grouper.scheme.lint import Finding

scheme_app = typer.Typer(
    help="Check, show, compare and build scheme packs (分组方案).",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
scheme_app.add_typer(import_app, name="import")
scheme_try.register(scheme_app)
scheme_app.command()(template)


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the command line."""
    app.add_typer(scheme_app, name="scheme")


@scheme_app.command()
def check(
    pack: PackArgument,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings end with 1, too.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Print every warning, not a few of each kind.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Check a pack: what the format forbids is an error, what is odd a warning (方案检查)."""
    from grouper.scheme import from_pack, pack_folder
    from grouper.scheme.layers import read_layers
    from grouper.scheme.lint import lint

    read, findings = lint(read_layers(pack_folder(pack)))
    # Compiling finds the few faults that reading cannot, such as limits of the layout.
    compiled = from_pack(read)
    if json:
        from dataclasses import asdict
        from json import dumps

        typer.echo(dumps([asdict(finding) for finding in findings], ensure_ascii=False))
    else:
        for line in _told(findings, every):
            typer.echo(line)
        outcome = counted(len(findings), "warning") if findings else "no warning"
        typer.echo(f"{read.id}: {counted(len(compiled.drgs), 'DRG')}, no error, {outcome}")
    if strict and findings:
        raise typer.Exit(1)


MOST_OF_A_KIND = 10


def _told(findings: Iterable[Finding], every: bool) -> Iterator[str]:
    by_kind: dict[str, list[Finding]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding)
    for kind, found in by_kind.items():
        shown = found if every else found[:MOST_OF_A_KIND]
        for finding in shown:
            yield f"warning: {finding}"
        if len(shown) < len(found):
            yield f"warning: and {len(found) - len(shown):,} more [{kind}] (all with --all)"


@scheme_app.command()
def show(
    pack: PackArgument,
    node: Annotated[
        str | None, typer.Argument(metavar="[NODE]", help="An MDC, ADRG, DRG, set or family.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Print every code of a set.")] = False,
) -> None:
    """Show the tree of a pack, or one node with its rule, codes and names (方案浏览)."""
    from grouper.scheme import pack_folder
    from grouper.scheme.pack import read_pack
    from grouper.scheme.show import MOST_CODES, show_node, show_pack

    read = read_pack(pack_folder(pack))
    if node is None:
        lines = show_pack(read)
    else:
        lines = show_node(read, node, most=sys.maxsize if every else MOST_CODES)
    for line in lines:
        typer.echo(line)


@scheme_app.command("list")
def list_packs(
    registry: Annotated[
        Path | None,
        typer.Argument(metavar="[REGISTRY]", help="A folder of packs; the built-in ones if none."),
    ] = None,
) -> None:
    """List the schemes that come with the package, or those of a registry (方案目录)."""
    from grouper.scheme import builtin_names, load_scheme
    from grouper.scheme.registry import read_registry

    if registry is None:
        for name in builtin_names():
            found = load_scheme(name)
            typer.echo(f"{name}  {counted(len(found.drgs), 'DRG')}  {found.title}")
        return
    entries = read_registry(registry)
    if not entries:
        raise GrouperError(f"{registry} holds no pack", hint="a registry is a folder of packs")
    for entry in entries:
        known = entry.identity
        typer.echo(
            f"{entry.folder.name}  {known.id}  {known.valid_from or '…'} to"
            f" {known.valid_to or '…'}  {known.title}".rstrip()
        )


@scheme_app.command()
def build(
    pack: PackArgument,
    out: Annotated[Path, typer.Option("--out", metavar="PACK", help="New folder to write.")],
) -> None:
    """Write the full pack that an overlay amounts to (方案合成)."""
    from grouper.scheme import pack_folder
    from grouper.scheme.layers import read_layers
    from grouper.scheme.pack import join, parse_layers
    from grouper.scheme.write import table_rows, write_pack

    layers = read_layers(pack_folder(pack))
    read = parse_layers(layers)
    identity, tables = join(layers)
    write_pack(out, identity, table_rows(tables))
    drgs = {drg.code for _, _, drg in read.drg_rows()}
    typer.echo(
        f"{read.id}: {counted(len(drgs), 'DRG')} from {counted(len(layers), 'pack')}, "
        f"written to {out}"
    )
