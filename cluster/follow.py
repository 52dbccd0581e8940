"""A run as it is followed on the terminal, and what is shown of its result."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from cluster.client import Client
from cluster.drg.v1 import run_service_pb2
from grouper.counted import counted
from grouper.errors import RegionError, RunError
from grouper.settlement.csvtable import read_rows

_WIDTH = 180
_SHOWN = 40
_COLUMNS = (
    ("hospital_id", "hospital"),
    ("pool", "pool"),
    ("cases", "cases"),
    ("points", "points 点数"),
    ("point_value", "point value 点值"),
    ("gross", "gross 应得"),
    ("cash", "patients 患者支付"),
    ("already_paid", "already paid 已付"),
    ("due", "due 清算"),
)


class _Show(Protocol):
    def __call__(self, run: run_service_pb2.Run) -> None: ...


def follow_run(client: Client, run_id: str, names: Mapping[str, str] | None = None) -> None:
    """Shows a run until it ends, then every hospital's statement and the accounts that close.

    Args:
        client: of the server.
        run_id: the run.
        names: of hospitals by their id, where the caller has them; a run knows ids only.

    Raises:
        RunError: the run failed or was cancelled.
        ServiceError: the server refused or stayed away.
    """
    try:
        with _shown() as show:
            for run in client.watch_run(run_id):
                show(run)
    except KeyboardInterrupt:
        raise RunError(f"no longer watching; the run {run_id} goes on", hint="") from None
    if run.state == run_service_pb2.RUN_STATE_CANCELLED:
        raise RunError(f"the run {run_id} was cancelled", hint="submit it again to go on")
    if run.state == run_service_pb2.RUN_STATE_FAILED:
        failure = run.failure
        raise RunError(f"the run {run_id} failed: {failure.message}", hint=failure.hint)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(statements(pa.concat_tables(client.table(run_id, "clearing")), names or {}))
    console.print(accounts(client.manifest(run_id)))


@contextmanager
def _shown() -> Iterator[_Show]:
    """A bar per stage on a terminal, a line per stage elsewhere."""
    if not sys.stderr.isatty():
        told: list[str] = []

        def tell(run: run_service_pb2.Run) -> None:
            stage = run.progress.stage
            if stage and stage not in told:
                told.append(stage)
                typer.echo(f"stage {stage}", err=True)

        yield tell
        return
    columns = (
        TextColumn("{task.description:8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {"start": bars.add_task("start", total=1)}

        def draw(run: run_service_pb2.Run) -> None:
            progress = run.progress
            if not progress.stage:
                return
            bars.update(tasks["start"], completed=1)
            if progress.stage not in tasks:
                for earlier in tasks.values():
                    bars.update(earlier, completed=bars.tasks[earlier].total)
                tasks[progress.stage] = bars.add_task(progress.stage, total=progress.parts_total)
            bars.update(tasks[progress.stage], completed=progress.parts_done)

        yield draw


def hospital_names(region: Path) -> dict[str, str]:
    """Names of hospitals by their id, from a region folder; none where it has no such file."""
    try:
        rows = [row.fields for row in read_rows(region, "hospitals.csv", ("hospital_id",))]
    except (OSError, RegionError):
        return {}
    return {
        row["hospital_id"]: row["name"]
        for row in rows
        if row.get("hospital_id") and row.get("name")
    }


def statements(clearing: pa.Table, names: Mapping[str, str]) -> Table:
    """The year-end statement of every hospital and pool, as a table for the terminal."""
    table = Table(title="Hospital statements, yuan 医院清算表", title_justify="left")
    columns = list(_COLUMNS)
    if names:
        columns.insert(1, ("name", "name 名称"))
    for name, title in columns:
        left = name in ("hospital_id", "name", "pool")
        table.add_column(title, justify="left" if left else "right")
    for row in clearing.slice(0, _SHOWN).to_pylist():
        row["name"] = names.get(row["hospital_id"], "")
        table.add_row(*(_text(name, row[name]) for name, _ in columns))
    if clearing.num_rows > _SHOWN:
        table.caption = f"and {counted(clearing.num_rows - _SHOWN, 'more row')} in clearing.parquet"
    return table


def _text(name: str, value: Any) -> str:
    if isinstance(value, Decimal):
        # Points have eight places; four of them are enough to look at, and the file holds all.
        return f"{value:,.4f}" if name in ("points", "point_value") else f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def accounts(manifest: dict[str, Any]) -> Table:
    """The equations of a run: how many of each hold, and both sides of the first."""
    table = Table(title="Accounts that close 平衡校验", title_justify="left")
    for title in ("equation", "of", "left", "right", "hold"):
        table.add_column(title, justify="right" if title in ("left", "right", "hold") else "left")
    checks = manifest["checks"]
    number, hold = Counter[str](), Counter[str]()
    for check in checks:
        number[check["check"]] += 1
        hold[check["check"]] += bool(check["holds"])
    shown = set()
    for check in checks:
        name = check["check"]
        if name not in shown:
            shown.add(name)
            of = " ".join(check[key] for key in ("pool", "month", "hospital") if key in check)
            sides = (check["left"], check["right"])
            table.add_row(name, of, *sides, f"{hold[name]} of {number[name]}")
    return table
