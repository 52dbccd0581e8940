"""What leaves the bureau: `export`, and the region's key: `key new`, `key check`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from grouper.cli.options import EncodingOption, check_encoding, note
from grouper.counted import counted

key_app = typer.Typer(
    help="The region's key (密钥): pseudonyms of the same key agree.", no_args_is_help=True
)


class Dates(StrEnum):
    """How exact dates leave."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(export)
    app.add_typer(key_app, name="key")


def export(
    source: Annotated[
        Path, typer.Argument(metavar="RUN_OR_CASES", help="A run folder, cases, or a region.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new or empty folder.")],
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="The region's key.")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Public tables without small cells, and no records.")
    ] = False,
    least: Annotated[
        int, typer.Option("--least", metavar="N", help="Smallest count that --public tells.")
    ] = 5,
    dates: Annotated[Dates, typer.Option("--dates", help="How exact dates leave.")] = Dates.DAY,
    joins: Annotated[
        list[Path] | None,
        typer.Option("--joins", metavar="DIR", help="An earlier export to be joined with."),
    ] = None,
    identified: Annotated[
        bool, typer.Option("--identified", help="Leave the real ids in. Needs --purpose.")
    ] = False,
    purpose: Annotated[
        str, typer.Option("--purpose", metavar="TEXT", help="What it is for (audit log).")
    ] = "",
    audit: Annotated[
        Path | None,
        typer.Option("--audit", metavar="FILE", help="Audit log; default: beside the source."),
    ] = None,
    encoding: EncodingOption = "utf-8",
) -> None:
    """Write what may leave the bureau: records under pseudonyms, or public tables (对外提供).

    Person and case ids become keyed hashes: the same key gives the same pseudonym in every table
    and every year. Every export is written to the audit log.
    """
    from grouper.export.write import Wish
    from grouper.export.write import export as write

    wish = Wish(
        source=source,
        key=key,
        public=public,
        identified=identified,
        purpose=purpose,
        dates=dates.value,
        least=least,
        joins=tuple(joins or ()),
        audit=audit,
        encoding=check_encoding(encoding),
    )
    done = write(wish, out)
    rows = sum(file["rows"] for file in done.manifest["files"].values())
    if identified:
        note("this export holds the real ids of persons and cases")
    known = done.manifest["pseudonyms"]
    told = f" under pseudonyms of key {known['key']}" if known else ""
    typer.echo(f"{counted(len(done.manifest['files']), 'file')} with {counted(rows, 'row')}{told}")
    for name, table in sorted(done.manifest.get("suppressed", {}).items()):
        blank, whole = table["suppressed"], counted(table["rows"], "row")
        told = f"{blank:,} of {whole} without their figures, which would tell a count below {least}"
        typer.echo(f"{name}: {told if blank else f'all figures of {whole}'}")
        if table.get("whole"):
            note(f"{name}: no figure could be given for {', '.join(table['whole'])}")
    if left := done.manifest.get("left_out"):
        note(f"tables left out: {', '.join(left)}")
    typer.echo(f"written to {done.folder}, logged in {done.audit}")


KeyArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The key file.")]


@key_app.command("new")
def key_new(file: KeyArgument) -> None:
    """Make a key that only its owner can read. Keep it apart from the data, and a copy of it."""
    from grouper.export.keys import new_key

    made = new_key(file)
    typer.echo(f"key {made.id} written to {file}")
    note("keep a copy in a safe place: without it later pseudonyms agree with no earlier ones")


@key_app.command("check")
def key_check(
    file: KeyArgument,
    exports: Annotated[
        list[Path] | None, typer.Argument(metavar="EXPORT...", help="Exports to be joined.")
    ] = None,
) -> None:
    """Check a key file, and whether exports were made with it."""
    from grouper.export.keys import read_key
    from grouper.export.write import require_key

    found = read_key(file, away_from=exports or ())
    for folder in exports or ():
        require_key(folder, found)
        typer.echo(f"{folder}: made with this key")
    typer.echo(f"key {found.id}: good")
