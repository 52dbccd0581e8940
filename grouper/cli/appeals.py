"""Commands of the appeal sheet: `appeals send` and `appeals read`. Parse, call, print."""

from __future__ import annotations

from contextlib import ExitStack
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from grouper.cli.options import (
    EncodingOption,
    RayOption,
    RegionPlace,
    RunPlace,
    WorkersOption,
    check_encoding,
    note,
    progress_bar,
    running,
)
from grouper.counted import counted

if TYPE_CHECKING:
    from grouper.appeals.receive import Reading

appeals_app = typer.Typer(
    help="Appeal sheets (申诉表): a workbook per hospital, and what comes back.",
    no_args_is_help=True,
)

OutOption = Annotated[
    str, typer.Option("--out", metavar="DIR", help="A new or empty folder; also s3://…")
]
PackOption = Annotated[
    str | None,
    typer.Option("--scheme", metavar="PACK", help="The run's pack; not needed if built in."),
]


class Language(StrEnum):
    """Language of the explanations."""

    ZH = "zh"
    EN = "en"


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(appeals_app, name="appeals")


@appeals_app.command("send")
def send(
    run: RunPlace,
    region: RegionPlace,
    out: OutOption,
    hospital: Annotated[
        list[str] | None, typer.Option("--hospital", metavar="H", help="Only this; repeatable.")
    ] = None,
    month: Annotated[
        str | None, typer.Option("--month", metavar="YYYY-MM", help="Only cases of this month.")
    ] = None,
    scheme: PackOption = None,
    language: Annotated[
        Language, typer.Option("--language", help="Of the explanations.")
    ] = Language.ZH,
    workers: WorkersOption = 1,
    ray: RayOption = None,
    encoding: EncodingOption = "utf-8",
) -> None:
    """Write a workbook per hospital: its cases, why they fell so, and cells for its answers.

    A workbook carries the hospital's own case ids: send it to that hospital only.
    """
    from grouper.appeals.gather import Scope, scheme_of
    from grouper.appeals.send import send_sheets
    from grouper.report import load_run
    from grouper.stores import copied, written

    scope = Scope(frozenset(hospital) if hospital else None, month)
    with (
        copied(run) as settled,
        copied(region, without=("history",)) as lists,
        written(out, over=None) as folder,
        running(workers, ray) as runner,
        progress_bar("workbooks", -1) as advance,
    ):
        opened = load_run(settled)
        pack = scheme_of(opened, scheme)
        sent = send_sheets(
            opened,
            lists,
            pack,
            folder,
            runner,
            scope=scope,
            language=language.value,
            encoding=check_encoding(encoding),
            advance=advance,
        )
    typer.echo(
        f"{counted(sent.workbooks, 'workbook')} with {counted(sent.cases, 'case')}; "
        f"{counted(sent.rejected, 'rejected or superseded list')} left out"
    )
    note("each workbook carries its hospital's own case ids: send it to that hospital only")
    typer.echo(f"written to {out}")


@appeals_app.command("read")
def read(
    run: RunPlace,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILES...", help="Returned workbooks (.xlsx); also s3://…"),
    ],
    region: RegionPlace,
    out: OutOption,
    scheme: PackOption = None,
    encoding: EncodingOption = "utf-8",
) -> None:
    """Read returned workbooks: answers, corrected codes and what they would give.

    Every protected cell is compared with the run. A workbook that was taken apart, is of another
    run, came twice or holds another hospital's cases stops the reading before anything is written.
    """
    from grouper.appeals.gather import scheme_of
    from grouper.appeals.receive import read_sheets
    from grouper.report import load_run
    from grouper.stores import copied, written

    with (
        copied(run) as settled,
        copied(region, without=("history",)) as lists,
        written(out, over=None) as folder,
        ExitStack() as stack,
        progress_bar("workbooks", len(files)) as advance,
    ):
        opened = load_run(settled)
        pack = scheme_of(opened, scheme)
        done = read_sheets(
            opened,
            lists,
            pack,
            [stack.enter_context(copied(file)) for file in files],
            folder,
            encoding=check_encoding(encoding),
            advance=advance,
        )
    _tell(done, out)


def _tell(done: Reading, out: str) -> None:
    from decimal import Decimal

    from grouper.appeals.checked import REASONS, STATES

    whole = sum(done.counts[state] for state in STATES)
    told = ", ".join(f"{done.counts[state]:,} {state}" for state in STATES)
    typer.echo(f"{counted(done.workbooks, 'workbook')}, {counted(whole, 'case')}: {told}")
    for why, count in sorted(done.why.items()):
        note(f"{count:,} refused: {REASONS[why]}")
    if done.why:
        note(f"each refused row stands with its reason in {out}/answers.csv")
    for name in ("added rows", "repeated rows"):
        if done.counts[name]:
            note(f"{name} not taken: {done.counts[name]:,}")
    if done.differences:
        told = counted(done.differences, "cell or row", "cells or rows")
        note(f"{told} not as sent; see differences.csv")
    if not done.same_words:
        note("written by another version of the engine: explanations were not compared")
    if done.reviews:
        typer.echo(f"{counted(done.reviews, 'review')} proposed in reviews.csv")
    if done.corrections is not None:
        rows = done.corrections.changes.to_pylist()
        moved = sum(row["new_drg"] not in (None, row["old_drg"]) for row in rows)
        value = sum((row["value_change"] or Decimal() for row in rows), Decimal())
        points = sum((row["points_change"] or Decimal() for row in rows), Decimal())
        typer.echo(
            f"{counted(len(rows), 'case')} corrected, {moved:,} of them in another group: "
            f"{points:+,.4f} points, {value:+,.2f} yuan at the run's prices"
        )
        unpriced = sum(row["value_change"] is None for row in rows)
        if unpriced:
            note(f"{unpriced:,} of them not priced; changes.csv says why")
    typer.echo(f"written to {out}")
