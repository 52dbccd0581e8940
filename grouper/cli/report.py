"""Commands about finished runs: `report`, `compare`, `sweep` and `sql`. Parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grouper.cli.options import (
    EncodingOption,
    RayOption,
    RunPlace,
    SchemeOption,
    WorkersOption,
    check_encoding,
    progress_bar,
    running,
)
from grouper.counted import counted

if TYPE_CHECKING:
    from rich.table import Table


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (report, compare, sweep, sql):
        app.command()(command)


def report(
    run: RunPlace,
    workbooks: Annotated[
        bool, typer.Option(help="Write the Excel workbooks beside the pages.")
    ] = True,
    workers: WorkersOption = 1,
    ray: RayOption = None,
) -> None:
    """Write RUN/report: pages and workbooks of a run (结算报告), from the run folder alone."""
    from grouper.report import load_run
    from grouper.report.write import write_report
    from grouper.stores import copied, is_address, put

    with copied(run) as folder:
        opened = load_run(folder)
        with running(workers, ray) as runner, progress_bar("report", -1) as advance:
            written = write_report(opened, workbooks=workbooks, runner=runner, advance=advance)
        place = f"{run.rstrip('/')}/{written.folder.name}"
        if is_address(run):
            put(written.folder, place)
    typer.echo(f"{counted(written.pages, 'page')} and {counted(written.workbooks, 'workbook')}")
    typer.echo(f"{'written to' if is_address(run) else 'open'} {place}/index.html")


def compare(
    run_a: Annotated[
        str, typer.Argument(metavar="RUN_A", help="The run to start from, or its s3:// address.")
    ],
    run_b: Annotated[
        str, typer.Argument(metavar="RUN_B", help="The run it is held against, or its address.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write a page and a workbook here.")
    ] = None,
) -> None:
    """Hold two runs against each other: who gains, who loses, and why (方案对比)."""
    from grouper.compare import compare_runs
    from grouper.compare.told import terminal_tables
    from grouper.compare.write import make_ready, write_comparison
    from grouper.report import load_run
    from grouper.stores import copied

    with copied(run_a) as a, copied(run_b) as b:
        runs = load_run(a), load_run(b)
        if out is not None:
            make_ready(out)
        found = compare_runs(*runs)
        _print(*terminal_tables(found))
        if out is not None:
            typer.echo(f"open {write_comparison(found, out)}")


def sweep(
    region: Annotated[
        str, typer.Argument(metavar="REGION", help="The region folder, or its s3:// address.")
    ],
    scheme: SchemeOption,
    policy: Annotated[
        str, typer.Option("--policy", metavar="POLICY", help="A policy file or a built-in name.")
    ],
    key: Annotated[str, typer.Option("--key", metavar="KEY", help="For example low.ratio.")],
    first: Annotated[str, typer.Option("--from", metavar="A", help="First value.")],
    last: Annotated[str, typer.Option("--to", metavar="B", help="Last value.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Runs, table and page.")],
    steps: Annotated[int, typer.Option("--steps", min=2, help="How many values.")] = 5,
    workers: WorkersOption = 1,
    ray: RayOption = None,
    encoding: EncodingOption = "utf-8",
) -> None:
    """Run one key of a policy over a range of values and draw the outcome (参数扫描)."""
    from grouper.scheme import load_scheme
    from grouper.settlement.policyfile import load_policy
    from grouper.stores import copied
    from grouper.sweep import Sweep, run_sweep, terminal_table, values_between, write_sweep

    wanted = Sweep(load_policy(policy), key, values_between(first, last, steps))
    loaded = load_scheme(scheme)
    with (
        copied(region) as here,
        running(workers, ray) as runner,
        progress_bar("runs", steps) as advance,
    ):
        found = run_sweep(
            here,
            loaded,
            wanted,
            out,
            runner,
            encoding=check_encoding(encoding),
            advance=advance,
        )
    _print(terminal_table(found))
    typer.echo(f"open {write_sweep(found)}")


def sql(
    run: RunPlace,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One SELECT; tables are views.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Keep all rows as X.csv or X.parquet."),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows to print.")] = 100,
    verify: Annotated[
        bool, typer.Option(help="First compare every file with the manifest.")
    ] = True,
) -> None:
    """Ask a run in SQL; every table of the run is a view (自由查询)."""
    from grouper.report import load_run
    from grouper.report.ask import answer
    from grouper.stores import copied

    with copied(run) as folder:
        found = answer(load_run(folder, verify=verify), query)
        if out is not None:
            typer.echo(f"{counted(found.write(out), 'row')} written to {out}")
            return
        shown = found.head(rows + 1)
    _print(_rows(found.columns, shown[:rows]))
    if len(shown) > rows:
        typer.echo(f"first {counted(rows, 'row')}; --rows shows more, --out keeps all")


def _rows(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Table:
    from decimal import Decimal

    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    numeric = [
        any(isinstance(row[i], int | float | Decimal) for row in rows) for i in range(len(columns))
    ]
    for name, right in zip(columns, numeric, strict=True):
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    return table


def _print(*tables: Table) -> None:
    import shutil
    import sys

    from rich.console import Console

    # A pipe has no width of its own, and a cut number is a wrong one.
    width = shutil.get_terminal_size((160, 40)).columns if sys.stdout.isatty() else 240
    console = Console(width=width)
    for table in tables:
        console.print(table)
