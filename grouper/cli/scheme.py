"""Commands around schemes: `explain`, and `scheme` with what it can be asked for."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grouper.cli.options import EditionOption, SchemeOption
from grouper.errors import GrouperError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.text import Text

    from grouper.explain import Explanation
    from grouper.scheme import Scheme
    from grouper.scheme.lint import Finding

scheme_app = typer.Typer(
    help="Check, show, compare and build scheme packs (分组方案).",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

PackArgument = Annotated[
    str, typer.Argument(metavar="PACK", help="Folder of a scheme pack, or a built-in name.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the command line."""
    app.command()(explain)
    app.add_typer(scheme_app, name="scheme")


def explain(
    scheme: SchemeOption,
    dx: Annotated[
        list[str] | None,
        typer.Option("--dx", metavar="A,B", help="Diagnoses, the principal first."),
    ] = None,
    px: Annotated[
        list[str] | None,
        typer.Option("--px", metavar="A,B", help="Procedures, the principal first."),
    ] = None,
    sex: Annotated[int | None, typer.Option(help="1 male, 2 female.")] = None,
    age: Annotated[int | None, typer.Option(help="Full years.")] = None,
    age_days: Annotated[int | None, typer.Option(help="Days, of an infant.")] = None,
    weight: Annotated[int | None, typer.Option(help="Birth weight in grams.")] = None,
    los: Annotated[int | None, typer.Option(help="Length of stay in days.")] = None,
    discharge: Annotated[int | None, typer.Option(help="Way of discharge.")] = None,
    dept: Annotated[str | None, typer.Option(help="Department of discharge.")] = None,
    icu_hours: Annotated[int | None, typer.Option(help="Hours in intensive care.")] = None,
    discharge_date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Day of discharge, where PACK is a registry."),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=N", help="A column that the scheme declares."),
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option("--cases", metavar="FILE_OR_DIR", help="Explain cases of a table instead."),
    ] = None,
    case_id: Annotated[
        list[str] | None, typer.Option("--case-id", help="Of the table, only this case.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Of the table, at most so many cases.")] = 10,
    nearby: Annotated[
        bool, typer.Option("--nearby/--no-nearby", help="Look for groups one change away.")
    ] = True,
    edition: EditionOption = "insurance",
    json: JsonOption = False,
) -> None:
    """Say why a case falls into its group: rules met and not met, MCC and CC (分组解释)."""
    from grouper.explain import explainer_of
    from grouper.scheme import load_scheme

    if (cases is None) == (dx is None):
        raise typer.BadParameter("give either --dx, or --cases with a table")
    loaded = load_scheme(scheme, edition=edition)
    found: Iterable[dict[str, object]]
    if cases is None:
        numbers = {
            "sex": sex, "age": age, "age_days": age_days, "weight": weight, "los": los,
            "discharge": discharge, "icu_hours": icu_hours,
        }  # fmt: skip
        codes = {"dx": _split(dx), "px": _split(px)}
        further = _attributes(attribute or [], loaded)
        day = discharge_date.date() if discharge_date else None
        texts = {"case_id": "case", "dept": dept, "discharge_date": day}
        found = [{**texts, **codes, **numbers, **further}]
    else:
        found = _of_table(loaded, cases, set(case_id or ()), limit)
    explainer = explainer_of(loaded)
    told = 0
    for case in found:
        explanation = explainer(case).explain(case, nearby=nearby)
        if told and not json:
            print_lines([""])
        _tell(explanation, json)
        told += 1
    if not told:
        raise GrouperError("no such case in the table", hint="check --case-id")


def _split(codes: list[str] | None) -> list[str]:
    """`A,B` and `A|B` as lists; an option may also be repeated."""
    return [c.strip() for text in codes or () for c in text.replace("|", ",").split(",")]


def _attributes(given: list[str], scheme: Scheme) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in scheme.attributes:
            declared = ", ".join(scheme.attributes) or "none"
            raise typer.BadParameter(f"{name!r} is no attribute of {scheme.id}; it has {declared}")
        try:
            found[name] = int(value)
        except ValueError:
            raise typer.BadParameter(f"--set {name}=N needs an integer, not {value!r}") from None
    return found


def _of_table(
    scheme: Scheme, path: Path, wanted: set[str], limit: int
) -> Iterator[dict[str, object]]:
    from grouper.cases import open_cases, read_part
    from grouper.grouping import columns_for, required_for

    source = open_cases(path, wanted=columns_for(scheme), required=required_for(scheme))
    for part in source.parts:
        for batch in read_part(source, part):
            ids = batch.column("case_id").to_pylist()
            rows = [i for i, one in enumerate(ids) if not wanted or one in wanted]
            for row in rows:
                yield batch.slice(row, 1).to_pylist()[0]
                limit -= 1
                if not limit:
                    return


def _tell(explanation: Explanation, json: bool) -> None:
    if json:
        from json import dumps

        typer.echo(dumps(explanation.to_dict(), ensure_ascii=False))
        return
    from grouper.explain.render import render

    print_lines(render(explanation))


def print_lines(lines: Iterable[Text | str]) -> None:
    """Print lines, with colour on a terminal and plain elsewhere."""
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    if not sys.stdout.isatty():
        for line in lines:
            typer.echo(str(line))
        return
    for line in lines:
        console.print(line)


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
        outcome = f"{len(findings):,} warnings" if findings else "no warning"
        typer.echo(f"{read.id}: {len(compiled.drgs)} DRGs, no error, {outcome}")
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
            typer.echo(f"{name}  {len(found.drgs)} DRGs  {found.title}")
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
    out: Annotated[Path, typer.Option("--out", metavar="PACK", help="Folder to write.")],
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
    typer.echo(f"{read.id}: {len(drgs)} DRGs from {len(layers)} packs, written to {out}")


import_app = typer.Typer(
    help="Import a scheme from other forms (方案导入).",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
scheme_app.add_typer(import_app, name="import")


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
