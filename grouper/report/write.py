"""`grouper report`: RUN/report, made from the run folder alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from grouper.execution import LocalRunner, Runner
from grouper.newfolder import new_folder
from grouper.report import region_pages
from grouper.report.drg_page import DrgPages
from grouper.report.facts import UNGROUPED, Facts
from grouper.report.hospital_page import HospitalPages
from grouper.report.indicator_pages import IndicatorPages
from grouper.report.load import Run
from grouper.report.policy_tables import REGION_TABLES
from grouper.report.quality_page import QualityPages
from grouper.report.region_pages import Page
from grouper.report.site import Site
from grouper.report.view import View

Advance = Callable[[int], None]
"""Told how many more pages or workbooks are finished."""

_NAV: Final = (
    ("overview", "index.html"),
    ("hospitals", "hospitals.html"),
    ("drgs", "drgs.html"),
    ("accounts", "accounts.html"),
    ("rejected", "rejected.html"),
    ("quality", "quality.html"),
    ("indicators", "indicators.html"),
)


@dataclass(frozen=True)
class Written:
    """What a report consists of."""

    folder: Path
    pages: int
    workbooks: int


def write_report(
    run: Run,
    *,
    workbooks: bool = True,
    runner: Runner | None = None,
    advance: Advance = lambda _: None,
) -> Written:
    """Write RUN/report: pages and workbooks; an earlier report is replaced when this one is whole.

    Args:
        run: a run that `load_run` has proved.
        workbooks: whether to write the workbooks, too.
        runner: where the workbooks are written; None is this process.
        advance: told about finished files.

    Raises:
        RunError: the tables of the run contradict each other.
        OutputError: the folder cannot be written, or RUN/report holds something else.
    """
    final = run.folder / "report"
    with new_folder(final, mark="index.html") as making:
        view = View(Facts(run))
        hospitals = HospitalPages(view, QualityPages(view), IndicatorPages(view))
        site = _pages(view, hospitals, making, advance)
        books = 0
        if workbooks:
            from grouper.report.workbooks import write_workbooks

            into = making / "workbooks"
            books = write_workbooks(view, hospitals, into, runner or LocalRunner(), advance)
    return Written(final, site.pages, books)


def page_index(view: View, *, linked: bool) -> dict[str, Any]:
    """What columns of hospitals and DRGs point to.

    Args:
        view: the run's hospitals and DRGs.
        linked: whether their pages stand beside.
    """
    return {
        "linked": linked,
        "hospitals": [[h.hospital_id, h.name, h.level, h.city, h.slug] for h in view.hospitals],
        "drgs": [[d.code, d.name, d.mdc, d.slug] for d in view.drgs],
    }


def _pages(view: View, hospitals: HospitalPages, folder: Path, advance: Advance) -> Site:
    manifest = view.run.manifest
    shared = {
        "nav": _NAV,
        "year": manifest.year,
        "run": manifest.run,
        "scheme": manifest.scheme["id"],
        "policy": manifest.policy["id"],
        "engine": manifest.engine,
        "further": tuple(hospitals.further),
    }
    site = Site(folder, page_index(view, linked=True), shared, diseases=view.run.diseases)
    makers: tuple[Callable[[View], Page], ...] = (
        region_pages.overview,
        region_pages.hospital_list,
        region_pages.drg_list,
        region_pages.accounts,
        region_pages.rejected,
        lambda _: hospitals.quality.region(),
        lambda _: hospitals.indicators.region(),
    )
    for (here, name), made in zip(_NAV, makers, strict=True):
        template = "list" if here in {"hospitals", "drgs"} else here
        page = made(view)
        given = {
            "checked": page.get("checked"),
            "odd": "odd_region" in page["tables"],
            "more": tuple(name for name in REGION_TABLES if name in page["tables"]),
        }
        title = site.words[f"nav.{here}"][0]
        site.page(name, template, page, title=title, here=here, given=given)
        advance(1)
    for sub in ("hospitals", "drgs"):
        (folder / sub).mkdir()
    for i, hospital in enumerate(view.hospitals):
        page = hospitals.page(i)
        site.page(
            f"hospitals/{hospital.slug}.html",
            "hospital",
            page,
            title=hospital.name,
            here="hospitals",
            given={
                "cut_tables": hospitals.cut(hospital.hospital_id),
                "scored": page["quality"] is not None,
                "signalled": bool(page["tables"]["signal_cases"]["rows"]),
            },
        )
        advance(1)
    drgs = DrgPages(view)
    for i, drg in enumerate(view.drgs):
        title = (
            site.words["ungrouped_cases"][0] if drg.code == UNGROUPED else f"{drg.code} {drg.name}"
        )
        site.page(f"drgs/{drg.slug}.html", "drg", drgs.page(i), title=title, here="drgs")
        advance(1)
    return site
