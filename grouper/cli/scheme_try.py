"""The commands `scheme diff` and `scheme stats`: what a scheme says and does beside another."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grouper.cli.options import (
    EditionOption,
    EncodingOption,
    JsonOption,
    PackArgument,
    RayOption,
    WorkersOption,
    check_encoding,
    note,
    running,
)

if TYPE_CHECKING:
    from grouper.trial.count import Counts

OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Folder for tables and a page.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Print every line, not a few of each.")]
FEW = 10


def register(app: typer.Typer) -> None:
    """Add the commands to those of `scheme`."""
    app.command()(diff)
    app.command()(stats)


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A pack: a folder or a built-in name.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The pack to hold against it.")],
    cases: Annotated[
        str | None,
        typer.Option(
            "--cases", metavar="FILE_OR_DIR", help="Group these cases by both; also s3://…"
        ),
    ] = None,
    out: OutOption = None,
    every: AllOption = False,
    json: JsonOption = False,
    workers: WorkersOption = 1,
    ray: RayOption = None,
    encoding: EncodingOption = "utf-8",
    edition: EditionOption = "insurance",
) -> None:
    """Say what differs between two packs, and with --cases where cases would go (方案对比)."""
    from grouper.scheme import pack_folder
    from grouper.scheme.diff import diff_packs
    from grouper.scheme.diff_told import MOST, tell
    from grouper.scheme.pack import read_pack
    from grouper.trial.migration import migration, tell_migration
    from grouper.trial.write import write_diff

    found = diff_packs(read_pack(pack_folder(a)), read_pack(pack_folder(b)))
    moved = None
    if cases is not None:
        counts = _counted((a, b), cases, workers, ray, encoding, edition)
        moved = migration(counts)
    page = write_diff(found, moved, out) if out is not None else None
    if json:
        whole = found.to_dict()
        _print(whole if moved is None else whole | {"migration": moved.to_dict()})
        return
    most = sys.maxsize if every else MOST
    lines = list(tell(found, most=most))
    summary = lines.index("") if "" in lines else len(lines)
    for line in lines[:summary]:
        typer.echo(line)
    if moved is not None:
        for line in tell_migration(moved, most=most):
            typer.echo(line)
    for line in lines[summary:]:
        typer.echo(line)
    if page is not None:
        typer.echo(f"written to {page}")


def stats(
    pack: PackArgument,
    cases: Annotated[
        str,
        typer.Option(
            "--cases", metavar="FILE_OR_DIR", help="Parquet, CSV or Arrow IPC; also s3://…"
        ),
    ],
    out: OutOption = None,
    every: AllOption = False,
    json: JsonOption = False,
    workers: WorkersOption = 1,
    ray: RayOption = None,
    encoding: EncodingOption = "utf-8",
    edition: EditionOption = "insurance",
) -> None:
    """Say how well a scheme groups cases: CV, RIV, group rate, size of the groups (方案评价)."""
    from grouper.trial.stats import scheme_stats, tell_stats
    from grouper.trial.write import write_stats

    found = scheme_stats(_counted((pack,), cases, workers, ray, encoding, edition))
    if out is not None:
        write_stats(found, out)
    if json:
        _print(found.to_dict(sys.maxsize if every else FEW))
        return
    for line in tell_stats(found, most=sys.maxsize if every else FEW):
        typer.echo(line)
    if out is not None:
        typer.echo(f"written to {out}")


def _counted(
    packs: tuple[str, ...],
    cases: str,
    workers: int,
    ray: str | None,
    encoding: str,
    edition: str,
) -> Counts:
    from grouper.scheme import load_scheme
    from grouper.stores import copied
    from grouper.trial.count import count_cases

    schemes = [load_scheme(pack, edition=edition) for pack in packs]
    with copied(cases) as given, running(workers, ray) as runner:
        counts = count_cases(given, schemes, runner, encoding=check_encoding(encoding))
    for name in counts.absent:
        note(f"no column {name}: it counts as null")
    return counts


def _print(value: dict[str, Any]) -> None:
    from json import dumps

    typer.echo(dumps(value, ensure_ascii=False))
