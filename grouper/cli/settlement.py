"""Commands of the settlement: `rerun`, `close` and `policy`. Parse, call, print."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grouper.cli.options import (
    EncodingOption,
    RayOption,
    RegionPlace,
    RunPlace,
    SchemeOption,
    WorkersOption,
    check_encoding,
    note,
    odd_code_lines,
    running,
    tell_error,
)
from grouper.counted import counted

if TYPE_CHECKING:
    from grouper.run import Progress, RunSummary

policy_app = typer.Typer(
    help="Policy files (政策文件): a region's payment rules.", no_args_is_help=True
)

PolicyArgument = Annotated[str, typer.Argument(metavar="POLICY", help="A file or a built-in name.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(rerun)
    app.command()(close)
    app.add_typer(policy_app, name="policy")


def rerun(
    region: Annotated[
        str, typer.Argument(metavar="REGION", help="The region folder, or its s3:// address.")
    ],
    scheme: SchemeOption,
    policy: Annotated[
        str, typer.Option("--policy", metavar="POLICY", help="A policy file or a built-in name.")
    ],
    out: Annotated[
        str, typer.Option("--out", metavar="RUN", help="The run folder, or its s3:// address.")
    ],
    workers: WorkersOption = 1,
    ray: RayOption = None,
    encoding: EncodingOption = "utf-8",
    reuse: Annotated[
        Path | None,
        typer.Option(
            "--reuse", metavar="RUN", help="Take the grouping of a run of these cases, or some."
        ),
    ] = None,
    edition: Annotated[
        str | None,
        typer.Option(
            "--edition", help="Edition of the cases' codes, instead of the policy's `edition`."
        ),
    ] = None,
) -> None:
    """Settle a region's year: from its cases to every hospital's statement (结算重算)."""
    from grouper.run import rerun as settle
    from grouper.scheme import load_scheme
    from grouper.scheme.editions import check_edition
    from grouper.settlement.policyfile import load_policy
    from grouper.stores import places

    rules = load_policy(policy)
    if edition is not None:
        check_edition(edition)
        rules = rules.model_copy(update={"edition": edition})
    loaded = load_scheme(scheme, edition=rules.edition)
    with (
        places(region, out) as (here, there),
        running(workers, ray) as runner,
        _stages() as progress,
    ):
        summary = settle(
            here,
            loaded,
            rules,
            there,
            runner,
            encoding=check_encoding(encoding),
            progress=progress,
            reuse=reuse,
        )
    for warning in summary.manifest.warnings[:_SHOWN]:
        note(warning)
    if len(summary.manifest.warnings) > _SHOWN:
        note(f"{len(summary.manifest.warnings) - _SHOWN} more in {out}/manifest.json")
    typer.echo(_told(summary, out))
    odd = _odd_codes(summary)
    for line in odd_code_lines(odd, loaded.id, mapped=bool(loaded.edition)):
        typer.echo(line)
    if odd:
        typer.echo(f"codes by hospital: {out}/odd_codes.parquet")


def _odd_codes(summary: RunSummary) -> dict[str, int]:
    """Numbers of unknown, retired and grey codes; `unknown_dx` as grouping counts them."""
    stages = {stage["stage"]: stage["counts"] for stage in summary.manifest.stages}
    grouped, odd = stages["grouped"], stages.get("odd_codes", {})
    found = {name: grouped.get(name, 0) for name in ("unknown_dx", "unknown_px")}
    for kind in ("retired", "grey"):
        found |= {f"{kind}_{name}": odd.get(f"{kind} {name}", 0) for name in ("dx", "px")}
    return {name: count for name, count in found.items() if count}


_SHOWN = 20


def _told(summary: RunSummary, out: str) -> str:
    stages = {stage["stage"]: stage["counts"] for stage in summary.manifest.stages}
    routes = ", ".join(
        f"{stages['grouped'][name]:,} {name.removeprefix('route ')}"
        for name in ("route drg", "route per_diem", "route item", "route invalid")
        if stages["grouped"].get(name)
    )
    done = {"made": "settled", "resumed": "settled (resumed)", "verified": "verified"}
    return (
        f"{summary.manifest.year}: {counted(stages['survey']['cases'], 'case')}: {routes}\n"
        f"{len(summary.manifest.checks)} equations hold\n"
        f"{done[summary.state]}: {out} (run {summary.manifest.run})"
    )


@contextmanager
def _stages() -> Iterator[Progress | None]:
    """A bar per stage on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done)

        yield tell


def close(
    run: RunPlace,
    month: Annotated[str, typer.Argument(metavar="MONTH", help="The month to freeze, YYYY-MM.")],
    region: RegionPlace,
) -> None:
    """Freeze a month: keep its point values, statements and cases in the region (月度关账)."""
    from grouper.cli.month import close as close_month

    close_month(run, month, region)


@policy_app.command("list")
def policy_list() -> None:
    """Name the built-in policies."""
    from grouper.settlement.policyfile import builtin_policies, load_policy

    for name in builtin_policies():
        loaded = load_policy(name)
        typer.echo(f"{name:20} {loaded.title} ({loaded.title_zh})")


@policy_app.command("show")
def policy_show(policy: PolicyArgument) -> None:
    """Print a policy with every key, its meaning, unit, default and source, as TOML."""
    from grouper.settlement.policydoc import policy_text
    from grouper.settlement.policyfile import load_policy

    typer.echo(policy_text(load_policy(policy)))


@policy_app.command("check")
def policy_check(policy: PolicyArgument) -> None:
    """Check a policy file, and tell all its faults."""
    from grouper.indicators.catalogue import unknown
    from grouper.settlement.policyfile import check_policy, policy_tables

    loaded, faults = check_policy(policy)
    monitoring = policy_tables(policy).get("monitoring")
    shown = monitoring.get("shown") if isinstance(monitoring, dict) else None
    codes = [one for one in shown if isinstance(one, str)] if isinstance(shown, list) else []
    for fault in unknown(codes):
        fault.file = policy
        faults.append(fault)
    for fault in faults:
        tell_error(fault)
    if loaded is None or faults:
        typer.echo(counted(len(faults), "fault"), err=True)
        raise typer.Exit(1)
    typer.echo(f"{loaded.id}: good (digest {loaded.digest[:12]})")


@policy_app.command("keys")
def policy_keys() -> None:
    """Print all keys with their meaning in English and Chinese, as Markdown."""
    from grouper.settlement.policydoc import keys_page

    typer.echo(keys_page(), nl=False)
