"""Commands about data quality and supervision. Parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grouper.cli import (
    EncodingOption,
    RayOption,
    SchemeOption,
    WorkersOption,
    check_encoding,
    progress_bar,
    running,
)

if TYPE_CHECKING:
    from grouper.quality.check import Checked

_SHOWN = 10
"""Hospitals that are named on the terminal."""


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(quality)


def quality(
    cases: Annotated[
        Path,
        typer.Argument(metavar="CASES_OR_REGION", help="Cases (file or folder), or a region."),
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

    rules, loaded = load_policy(policy), load_scheme(scheme)
    names, hospitals = {}, {}
    if (cases / "hospitals.csv").is_file():
        names = column_names(cases)
        region = load_region(cases)
        hospitals = {h.hospital_id: HospitalName(h.name, h.level) for h in region.hospitals}
        cases = cases / "cases"
    source = open_cases(
        cases,
        wanted=[COLUMNS[name] for name in COLUMNS_READ],
        encoding=check_encoding(encoding),
        names=names,
    )
    thresholds = rules.quality.thresholds(rules.reject)
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
    console.print(f"{cases:,} cases of {len(scores):,} hospitals; {_rate(passed, cases)} pass")
    rules = Table("rule", "", "cases", "rate", "what is wrong", box=None)
    for row in sorted(found.rules.to_pylist(), key=lambda row: -(row["broken"] or 0)):
        if row["broken"]:
            told = f"{row['en']} ({row['zh']})"
            rate = _rate(row["broken"], cases)
            rules.add_row(row["rule"], row["severity"], f"{row['broken']:,}", rate, told)
    console.print(rules)
    ranks = Table("rank", "hospital", "level", "cases", "first pass", "uploaded", box=None)
    for row in sorted(scores, key=lambda row: (row["rank"], row["hospital_id"]))[:_SHOWN]:
        uploaded = "-" if row["uploaded"] is None else _rate(row["uploaded"], row["cases"])
        name = " ".join(filter(None, (row["hospital_id"], row["name"]))) or "(no hospital_id)"
        level, first = str(row["level"] or "-"), _rate(row["passed"], row["cases"])
        ranks.add_row(str(row["rank"]), escape(name), level, f"{row['cases']:,}", first, uploaded)
    console.print(ranks)
    if len(scores) > _SHOWN:
        console.print(f"{len(scores) - _SHOWN:,} more hospitals in scores.parquet")
    for rule, columns in found.absent.items():
        console.print(f"not evaluated: {rule} (no column {', '.join(columns)})")
    console.print(f"written to {found.folder}")


def _rate(above: int, below: int) -> str:
    return f"{above / below:.2%}" if below else "-"
