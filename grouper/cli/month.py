"""The life of a month: `month add`, `close`, `calendar`, `late`. Parse, call, print."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from grouper.cli.options import (
    EncodingOption,
    JsonOption,
    RayOption,
    RegionPlace,
    RunPlace,
    SchemeOption,
    WorkersOption,
    check_encoding,
    note,
    running,
)
from grouper.counted import counted

if TYPE_CHECKING:
    from grouper.run.overdue import Overdue

month_app = typer.Typer(
    help="The life of a month: its lists come in, it is closed, what is late (月度业务).",
    no_args_is_help=True,
)

RegionArgument = Annotated[
    str,
    typer.Argument(
        metavar="REGION", help="The region folder, or its s3:// address.", show_default=False
    ),
]
MonthOption = Annotated[
    str, typer.Option("--month", metavar="YYYY-MM", help="The month of settlement.")
]
PolicyOption = Annotated[
    str,
    typer.Option("--policy", metavar="POLICY", help="Whose calendar: a file or a built-in name."),
]
_SHOWN = 20


def _today() -> date:
    """The day on the bureau's clock."""
    return datetime.now().astimezone().date()


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(month_app, name="month")


@month_app.command()
def add(
    region: RegionArgument,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILES", help="Files of cases, or folders of them; also s3://…"),
    ],
    month: MonthOption,
    scheme: SchemeOption,
    workers: WorkersOption = 1,
    ray: RayOption = None,
    encoding: EncodingOption = "utf-8",
) -> None:
    """Take in one month's lists: check and group them, list changes, add them (月度上传)."""
    from grouper.run.arriving import add_month
    from grouper.scheme import load_scheme
    from grouper.stores import changed, copied

    loaded = load_scheme(scheme)
    with (
        changed(region, without=("history",), last="cases") as folder,
        ExitStack() as stack,
        running(workers, ray) as runner,
    ):
        given = [stack.enter_context(copied(file)) for file in files]
        done = add_month(folder, given, month, loaded, runner, encoding=check_encoding(encoding))
    part, record = (
        f"{region.rstrip('/')}/{p.relative_to(folder)}" for p in (done.part, done.record)
    )
    told = ", ".join(f"{count:,} {status}" for status, count in sorted(done.statuses.items()))
    typer.echo(f"{month}: {counted(done.added, 'list')} added: {told}")
    for reason, count in sorted(done.reasons().items()):
        note(f"{counted(count, 'list')} rejected: {reason}")
    moved = [row for row in done.changes if row[-1] != "none"]
    if done.changes:
        typer.echo(f"{counted(len(done.changes), 'list')} after an earlier version, {len(moved):,} "
                   "of them with another group or cost:")  # fmt: skip
    for case_id, hospital, one, other, _, _, drg, new, cost, then, change in moved[:_SHOWN]:
        typer.echo(
            f"  {hospital} {case_id} version {one} to {other}: {drg or '-'} to {new or '-'}, "
            f"{cost} to {then} yuan ({change})"
        )
    if len(moved) > _SHOWN:
        typer.echo(f"  {len(moved) - _SHOWN:,} more in changes.csv")
    if done.closed:
        note(f"{month} is closed ({', '.join(done.closed)}): the difference is settled at year end")
    typer.echo(f"written to {part}; what became of each list: {record}")


@month_app.command("close")
def close_(
    run: RunPlace,
    month: Annotated[str, typer.Argument(metavar="MONTH", help="The month to freeze, YYYY-MM.")],
    region: RegionPlace,
) -> None:
    """Freeze a month: keep its point values, statements and cases in the region (月度关账)."""
    close(run, month, region)


def close(run: str, month: str, region: str) -> None:
    """Close a month and say what speaks against it; `grouper close` is the same command."""
    from grouper.run.closing import close_month, closing_warnings
    from grouper.run.identity import check_region
    from grouper.settlement.closed import MONTHS_FILE
    from grouper.stores import changed, copied

    with (
        copied(run) as settled,
        changed(region, without=("cases", "history"), last=MONTHS_FILE) as folder,
    ):
        check_region(settled, folder)
        closed = close_month(settled, month, folder)
        for warning in closing_warnings(settled, month, folder, _today()):
            note(warning)
    for pool, value in closed.items():
        typer.echo(f"{pool} {month}: {value}")
    typer.echo(
        f"written to {region.rstrip('/')}/{MONTHS_FILE}; later changes of the month go to clearing"
    )


@month_app.command()
def calendar(
    year: Annotated[int, typer.Option("--year", min=1990, max=2200, help="Year of settlement.")],
    region: Annotated[
        str | None,
        typer.Argument(
            metavar="[REGION]",
            help="Its closed months are marked; also s3://…",
            show_default=False,
        ),
    ] = None,
    policy: PolicyOption = "guigang-points",
    as_json: JsonOption = False,
) -> None:
    """Print the due dates of a year's months: upload to payment (结算日程)."""
    from grouper.settlement.calendar import STEPS, due_dates
    from grouper.settlement.policyfile import load_policy
    from grouper.settlement.region import load_region
    from grouper.stores import copied

    rules = load_policy(policy)
    closed: set[str] = set()
    if region is not None:
        with copied(region, without=("cases", "history")) as folder:
            closed = {month for _, month in load_region(folder).closed}
    rows = []
    for number in range(1, 13):
        month = f"{year}-{number:02d}"
        due = due_dates(rules, month)
        row = {"month": month} | {step: str(due[step]) for step in STEPS}
        rows.append(row | ({} if region is None else {"closed": "yes" if month in closed else ""}))
    upload = rules.calendar.upload_day or rules.quality.upload_day
    if upload > rules.calendar.grouping_day:
        note("the upload is due after the grouping: set calendar.grouping_day and the later days")
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in [dict(zip(rows[0], rows[0], strict=True)), *rows]:
        typer.echo("  ".join(text.ljust(10) for text in row.values()).rstrip())


@month_app.command()
def late(
    region: RegionArgument,
    month: MonthOption,
    as_of: Annotated[
        str, typer.Option("--as-of", metavar="DATE", help="Day to look from; default today.")
    ] = "",
    policy: PolicyOption = "guigang-points",
    workers: WorkersOption = 1,
    encoding: EncodingOption = "utf-8",
    as_json: JsonOption = False,
) -> None:
    """List what is late: hospitals without lists, late uploads, open reviews (逾期清单)."""
    from grouper.run.overdue import overdue
    from grouper.settlement.policyfile import load_policy
    from grouper.stores import copied

    try:
        day = date.fromisoformat(as_of) if as_of else _today()
    except ValueError:
        raise typer.BadParameter(f"'{as_of}' is not a day; write it like 2024-04-20") from None
    rules = load_policy(policy)
    with copied(region, without=("history",)) as folder, running(workers, None) as runner:
        found = overdue(folder, rules, month, day, runner, encoding=check_encoding(encoding))
    if as_json:
        typer.echo(json.dumps(_record(found), ensure_ascii=False))
        return
    for line in _late_lines(found):
        typer.echo(line)


def _record(found: Overdue) -> dict[str, object]:
    return {
        "month": found.month,
        "as_of": str(found.as_of),
        "due": {step: str(day) for step, day in found.due.items()},
        "lists": found.cases,
        "hospitals_without_lists": list(found.missing),
        "late_uploads": [
            {"hospital_id": row.hospital_id, "lists": row.lists, "latest": str(row.latest),
             "examples": list(row.examples)}
            for row in found.uploads
        ],
        "lists_without_upload_date": found.undated,
        "reviews_without_decision": list(found.reviews),
    }  # fmt: skip


def _late_lines(found: Overdue) -> list[str]:
    def state(step: str) -> str:
        return "late" if found.passed(step) else f"due {found.due[step]}"

    lines = [f"{found.month} as of {found.as_of}: {counted(found.cases, 'list')}"]
    if found.missing:
        lines.append(
            f"{state('upload')}: {counted(len(found.missing), 'hospital')} without lists: "
            + ", ".join(found.missing)
        )
    lines.extend(
        f"late: {row.hospital_id} uploaded {counted(row.lists, 'list')} after "
        f"{found.due['upload']}, the last on {row.latest} ({', '.join(row.examples)})"
        for row in found.uploads
    )
    if found.undated:
        lines.append(f"{counted(found.undated, 'list')} without upload_date")
    if found.reviews:
        shown = ", ".join(found.reviews[:_SHOWN]) + (" …" if len(found.reviews) > _SHOWN else "")
        lines.append(
            f"{state('final')}: {counted(len(found.reviews), 'review')} without decision: {shown}"
        )
    if len(lines) == 1:
        lines.append("nothing is late")
    return lines
