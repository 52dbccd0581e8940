"""The command `synth`: make up a region. Parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grouper.cli.options import SchemeOption, progress_bar
from grouper.counted import counted

if TYPE_CHECKING:
    from grouper.synth import RegionSummary


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(synth)


def synth(
    scheme: SchemeOption,
    cases: Annotated[int, typer.Option("--cases", metavar="N", min=1, help="Cases of the year.")],
    hospitals: Annotated[
        int, typer.Option("--hospitals", metavar="H", min=1, help="Hospitals, of three levels.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="REGION", help="The region folder, new or empty.")
    ],
    seed: Annotated[
        int, typer.Option("--seed", metavar="S", min=0, help="The same seed, the same bytes.")
    ] = 0,
    year: Annotated[int, typer.Option("--year", help="Calendar year of settlement.")] = 2024,
    reviews: Annotated[
        bool, typer.Option("--reviews", help="Also reviews.csv (特病单议).")
    ] = False,
    history: Annotated[
        int, typer.Option("--history", metavar="N", min=0, help="Also N earlier years of cases.")
    ] = 0,
    cities: Annotated[
        int, typer.Option("--cities", metavar="N", min=1, help="Cities, each with its own pools.")
    ] = 1,
) -> None:
    """Make up a believable region from a scheme's rules (模拟统筹区)."""
    from grouper.scheme import load_scheme
    from grouper.synth import synthesize

    loaded = load_scheme(scheme)
    with progress_bar("writing cases", cases * (1 + history)) as advance:
        summary = synthesize(
            loaded,
            cases=cases,
            hospitals=hospitals,
            seed=seed,
            out=out,
            year=year,
            reviews=reviews,
            history=history,
            cities=cities,
            progress=advance,
        )
    typer.echo(_told(summary))


def _told(summary: RegionSummary) -> str:
    faulty = f"{summary.faulty:,} of them faulty"
    lines = [
        f"{counted(summary.cases, 'case')} ({faulty}) of {counted(summary.hospitals, 'hospital')}"
    ]
    if summary.history_cases:
        lines.append(f"{counted(summary.history_cases, 'case')} of earlier years")
    if summary.reviews:
        lines.append(f"{counted(summary.reviews, 'special review')}")
    for pool, fen in summary.pools.items():
        lines.append(f"pool {pool}: the fund paid {fen // 100:,} yuan")
    lines.append(f"the cases can reach {summary.drgs_reached:,} of {counted(summary.drgs, 'DRG')}")
    lines.append(f"written to {summary.folder}")
    return "\n".join(lines)
