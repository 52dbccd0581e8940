"""The commands `group` and `warmup`. Parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grouper.cli.options import (
    EditionOption,
    EncodingOption,
    RayOption,
    SchemeOption,
    WorkersOption,
    check_encoding,
    note,
    odd_code_lines,
    progress_bar,
    running,
)
from grouper.counted import counted


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (group, warmup):
        app.command()(command)


def group(
    scheme: SchemeOption,
    cases: Annotated[
        str, typer.Option("--cases", metavar="FILE_OR_DIR", help="Parquet, CSV or Arrow IPC.")
    ],
    out: Annotated[
        str,
        typer.Option("--out", metavar="FILE_OR_DIR", help="X.parquet, or a folder of parts."),
    ],
    workers: WorkersOption = 1,
    ray: RayOption = None,
    encoding: EncodingOption = "utf-8",
    edition: EditionOption = "insurance",
    codes: Annotated[
        Path | None,
        typer.Option(
            "--codes",
            metavar="FILE",
            help="Write unknown, retired and grey codes by hospital: X.csv or X.parquet.",
        ),
    ] = None,
) -> None:
    """Group cases: MDC, ADRG and DRG of each (病例分组).

    Doubtful ages, sexes and dates are not told here: `grouper quality` checks them.
    """
    from grouper.bulk import group_files
    from grouper.cases import COLUMNS, open_cases
    from grouper.grouping import columns_for, required_for
    from grouper.scheme import load_scheme
    from grouper.stores import copied, written

    loaded = load_scheme(scheme, edition=edition)
    hospital = () if codes is None else (COLUMNS["hospital_id"],)
    with copied(cases) as given, written(out) as target:
        source = open_cases(
            given,
            wanted=(*columns_for(loaded), *hospital, COLUMNS["version"]),
            required=required_for(loaded),
            encoding=check_encoding(encoding),
        )
        for name in sorted({*source.absent} - {"version"}, key=source.absent.index):
            note(f"no column {name}: it counts as null")
        with running(workers, ray) as runner, progress_bar("grouping", source.rows) as advance:
            counts = group_files(source, loaded, target, runner, advance, codes=codes)
    total = sum(counts[s] for s in ("grouped", "ambiguous", "ungrouped", "invalid"))
    typer.echo(
        f"{counted(total, 'case')}: {counts['grouped']:,} grouped, {counts['ambiguous']:,}"
        f" ambiguous, {counts['ungrouped']:,} ungrouped, {counts['invalid']:,} invalid"
    )
    for line in odd_code_lines(counts, loaded.id, mapped=bool(loaded.edition)):
        typer.echo(line)
    if codes is not None:
        typer.echo(f"codes by hospital: {codes}")
    if counts.get("undated"):
        note(f"{counted(counts['undated'], 'case')} discharged on days without a valid pack")
    typer.echo(f"written to {out}")


def warmup() -> None:
    """Compile every kernel into the cache, so that later commands start at once."""
    from grouper.kernels import load_all
    from grouper.kernels.jit import cache_folder

    with progress_bar("compiling", -1):
        names = load_all()
    typer.echo(f"{len(names)} kernel modules are ready in {cache_folder()}")
