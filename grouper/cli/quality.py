"""Commands about data quality and supervision. Parse, call, print."""

from __future__ import annotations

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
    progress_bar,
    running,
)
from grouper.counted import counted

if TYPE_CHECKING:
    from grouper.indicators.measure import Measured
    from grouper.indicators.supervise import Supervised
    from grouper.quality.check import Checked

PolicyOption = Annotated[
    str | None,
    typer.Option("--policy", metavar="POLICY", help="Another policy's choice and limits."),
]

_SHOWN = 10
"""Hospitals that are named on the terminal."""


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (quality, indicators, supervise, sample):
        app.command()(command)


def quality(
    cases: Annotated[
        str,
        typer.Argument(
            metavar="CASES_OR_REGION", help="Cases (file or folder), or a region; also s3://…"
        ),
    ],
    scheme: SchemeOption,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the tables.")],
    policy: Annotated[
        str, typer.Option("--policy", metavar="POLICY", help="Thresholds of a policy.")
    ] = "guigang-points",
    workers: WorkersOption = 1,
    ray: RayOption = None,
    encoding: EncodingOption = "utf-8",
) -> None:
    """Check settlement lists: findings by case, scores and rank by hospital (结算清单质控)."""
    from grouper.cases import COLUMNS, open_cases
    from grouper.cases.names import column_names
    from grouper.quality.check import check_cases
    from grouper.quality.registry import COLUMNS_READ
    from grouper.quality.scores import HospitalName
    from grouper.scheme import load_scheme
    from grouper.settlement.policyfile import load_policy
    from grouper.settlement.region import load_region
    from grouper.stores import copied

    rules, loaded = load_policy(policy), load_scheme(scheme)
    thresholds = rules.quality.thresholds(rules.reject)
    with copied(cases) as given:
        names, hospitals = {}, {}
        of_region = (given / "hospitals.csv").is_file()
        if of_region:
            names = column_names(given)
            region = load_region(given)
            hospitals = {h.hospital_id: HospitalName(h.name, h.level) for h in region.hospitals}
        source = open_cases(
            given / "cases" if of_region else given,
            wanted=[COLUMNS[name] for name in COLUMNS_READ],
            encoding=check_encoding(encoding),
            names=names,
        )
        with running(workers, ray) as runner, progress_bar("checking", source.rows) as advance:
            found = check_cases(
                source, loaded, thresholds, out, runner, hospitals=hospitals, progress=advance
            )
    _tell(found)


def _tell(found: Checked) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    scores = found.scores.to_pylist()
    cases, passed = (sum(row[name] for row in scores) for name in ("cases", "passed"))
    # A hospital that the region does not know has no rank, and comes last.
    foreign = sum(row["rank"] is None for row in scores)
    of = counted(len(scores) - foreign, "hospital")
    if foreign:
        of += f" and of {foreign} that the region does not know"
    console.print(f"{counted(cases, 'case')} of {of}; {_rate(passed, cases)} pass")
    rules = Table("rule", "", "cases", "rate", "what is wrong", box=None)
    for row in sorted(found.rules.to_pylist(), key=lambda row: -(row["broken"] or 0)):
        if row["broken"]:
            told = f"{row['en']} ({row['zh']})"
            rate = _rate(row["broken"], cases)
            rules.add_row(row["rule"], row["severity"], f"{row['broken']:,}", rate, told)
    console.print(rules)
    ranks = Table("rank", "hospital", "level", "cases", "first pass", "uploaded", box=None)
    order = sorted(scores, key=lambda row: (row["rank"] or len(scores), row["hospital_id"]))
    for row in order[:_SHOWN]:
        uploaded = "-" if row["uploaded"] is None else _rate(row["uploaded"], row["cases"])
        name = " ".join(filter(None, (row["hospital_id"], row["name"]))) or "(no hospital_id)"
        level, first = str(row["level"] or "-"), _rate(row["passed"], row["cases"])
        ranks.add_row(
            str(row["rank"] or "-"), escape(name), level, f"{row['cases']:,}", first, uploaded
        )
    console.print(ranks)
    if len(scores) > _SHOWN:
        console.print(f"{counted(len(scores) - _SHOWN, 'more hospital')} in scores.parquet")
    for rule, columns in found.absent.items():
        console.print(f"not evaluated: {rule} (no column {', '.join(columns)})")
    console.print(f"written to {found.folder}")


def _rate(above: int, below: int) -> str:
    return f"{above / below:.2%}" if below else "-"


def indicators(
    run: RunPlace,
    before: Annotated[
        str | None, typer.Option("--before", metavar="RUN0", help="An earlier run to compare.")
    ] = None,
    policy: PolicyOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write the tables here.")
    ] = None,
) -> None:
    """Indicators of a run: CMI, cost and time index, group rate … (监测指标)."""
    from grouper.indicators.change import changes_table
    from grouper.indicators.measure import indicators_table, measure
    from grouper.indicators.stays import Stays
    from grouper.indicators.write import write_tables
    from grouper.report import load_run
    from grouper.settlement.policyfile import load_policy
    from grouper.stores import copied

    rules = None if policy is None else load_policy(policy)
    with copied(run) as folder:
        now = measure(Stays(load_run(folder), rules))
    tables = {"indicators": indicators_table(now)}
    then = None
    if before is not None:
        with copied(before) as folder:
            then = measure(Stays(load_run(folder), rules), [one.code for one in now.indicators])
        tables["changes"] = changes_table(then, now)
    _tell_indicators(now, then)
    if out is not None:
        write_tables(out, tables)
        typer.echo(f"written to {out}")


def _tell_indicators(now: Measured, then: Measured | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from grouper.indicators.change import change_rate, percent
    from grouper.indicators.measure import parts_told, told

    console = Console()
    table = Table("indicator", "", box=None)
    names = ("before", "after", "change") if then else ("value", "numerator", "denominator")
    for name in names:
        table.add_column(name, justify="right")
    for one in now.indicators:
        new = now.of(one.code)
        cells = [told(one, new), *parts_told(one, new)]
        if then is not None:
            old = then.values.get((now.region, one.code))
            a, b = old.exact if old else None, new.exact
            rate = change_rate(a, b) if a is not None and b is not None else None
            cells = [told(one, old) if old else "-", told(one, new)]
            cells.append("-" if rate is None else percent(rate))
        table.add_row(one.code, f"{one.zh} {one.unit}", *cells)
    console.print(table)
    for code, columns in now.absent.items():
        console.print(f"not evaluated: {code} (no column {', '.join(columns)})")


def supervise(
    run: RunPlace,
    region: RegionPlace,
    policy: PolicyOption = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR", help="Default: RUN/supervision; also s3://…"),
    ] = None,
) -> None:
    """Supervision: signals per hospital, DRG and month, with the cases behind them (基金监管)."""
    from grouper.indicators.stays import Stays
    from grouper.indicators.supervise import supervise as watch
    from grouper.indicators.write import write_supervision
    from grouper.report import load_run
    from grouper.run.identity import check_region
    from grouper.settlement.policyfile import load_policy
    from grouper.stores import copied, written

    rules = None if policy is None else load_policy(policy)
    place = out or f"{run.rstrip('/')}/supervision"
    with copied(run) as settled, copied(region, without=("cases", "history")) as lists:
        check_region(settled, lists)
        found = watch(Stays(load_run(settled), rules), lists)
        with written(place, over="*.parquet") as folder:
            rows = write_supervision(folder, found)
        _tell_signals(found)
    typer.echo(
        f"{counted(rows['rates'], 'rate')} and {counted(rows['cases'], 'case')} written to {place}"
    )


def _tell_signals(found: Supervised) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    console = Console()
    table = Table("signal", Column("what it is", overflow="fold"), "cases", "rate", box=None)
    missing = []
    for row in found.signals_table().to_pylist():
        if row["evaluated"]:
            rate = _rate(row["cases"], row["among"])
            what = f"{row['en']} ({row['zh']})"
            table.add_row(row["signal"], what, f"{row['cases']:,}", rate)
        else:
            missing.append(f"not evaluated: {row['signal']} (no {row['absent']})")
    console.print(table)
    for line in missing:
        console.print(line)


def sample(
    run: RunPlace,
    share: Annotated[
        str, typer.Option("--share", metavar="SHARE", help="Share of the stays, at least 0.1.")
    ] = "0.1",
    seed: Annotated[
        int, typer.Option("--seed", metavar="S", min=0, help="The same seed draws the same.")
    ] = 0,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="Default: RUN/sample-S.csv; also s3://…"),
    ] = None,
) -> None:
    """Draw a stratified sample of stays to be looked at by other hospitals (交叉抽查)."""
    from decimal import Decimal, InvalidOperation
    from fractions import Fraction

    from grouper.indicators.sample import draw_sample
    from grouper.indicators.stays import Stays
    from grouper.indicators.write import write_sample
    from grouper.report import load_run
    from grouper.stores import copied, written

    try:
        wanted = Fraction(Decimal(share))
    except (InvalidOperation, ValueError, OverflowError):
        raise typer.BadParameter(f"{share!r} is not a share such as 0.1") from None
    place = out or f"{run.rstrip('/')}/sample-{seed}.csv"
    with copied(run) as folder:
        drawn = draw_sample(Stays(load_run(folder)), wanted, seed)
        with written(place, over=None) as path:
            write_sample(path, drawn.rows)
    typer.echo(f"{drawn.rows.num_rows:,} of {counted(drawn.stays, 'stay')} written to {place}")
