"""A comparison as a page and a workbook."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from grouper.compare.runs import Comparison
from grouper.compare.told import detail_text
from grouper.errors import OutputError
from grouper.report.sheets import Workbook
from grouper.report.site import Site
from grouper.report.view import table

_CHANGE: Final = "cases_a cases_b points_a points_b d_points value_a value_b d_value d_rate"
_WORKBOOK: Final = "compare.xlsx"
MOVES_SHOWN: Final = 3_000


def make_ready(out: Path) -> None:
    """Make the folder of a comparison, or see that it may be written over.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
    """
    with _written(out):
        if out.exists() and not out.is_dir():
            raise OutputError(f"{out} is a file", hint="name a folder")
        # Every kind of page is an index.html; only a comparison has this workbook beside it.
        if out.is_dir() and any(out.iterdir()) and not (out / _WORKBOOK).is_file():
            raise OutputError(
                f"{out} holds something else", hint="name a new folder, or one of a comparison"
            )
        out.mkdir(parents=True, exist_ok=True)


def write_comparison(found: Comparison, out: Path) -> Path:
    """Write DIR/index.html with its assets and DIR/compare.xlsx; return the page.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
    """
    make_ready(out)
    with _written(out):
        # By which the folder is known: a page that fails on a full disk is written again.
        _workbook(found, out / _WORKBOOK)
        _page(found, out)
    return out / "index.html"


@contextmanager
def _written(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{out} cannot be written: {error.strerror or error}",
            hint="check the folder's permissions and the free space",
        ) from error


def _tables(found: Comparison) -> dict[str, dict[str, Any]]:
    causes = [
        [
            c.kind,
            [detail_text(found, c.kind, c.detail, language) for language in (0, 1)],
            c.cases,
            c.points,
            c.effect,
        ]
        for c in found.causes
    ]
    return {
        # A case may have several causes, so that the numbers of cases have no sum.
        "causes": table("cause detail odd_cases d_points effect", causes),
        "by_pool": table(f"pool {_CHANGE}", found.by_pool),
        "by_level": table(f"level {_CHANGE}", found.by_level),
        "by_hospital": table(f"hospital level {_CHANGE} d_paid d_due", found.by_hospital),
        "by_drg": table(f"drg {_CHANGE}", found.by_drg),
        "migration": table("drg_a drg_b cases d_points d_value", found.migration[:MOVES_SHOWN]),
        "statement": table("term item money_a money_b d_money", found.statement, total=False),
    }


def _page(found: Comparison, out: Path) -> None:
    index = {
        "linked": False,
        "hospitals": [[h.hospital_id, h.name, h.level, h.city, h.slug] for h in found.hospitals],
        "drgs": [[d.code, d.name, d.mdc, d.slug] for d in found.drgs],
    }
    total = found.total
    site = Site(
        out, index, {"nav": (), "year": found.b.manifest.year, "run": ""}, diseases=found.b.diseases
    )
    site.page(
        "index.html",
        "compare",
        {
            "kpis": [
                ["cases_a", total[0]],
                ["cases_b", total[1]],
                ["d_points", total[4]],
                ["value_a", total[5]],
                ["value_b", total[6]],
                ["d_value", total[7]],
                ["moved", found.moved],
            ],
            "runs": [
                _run(found.a.folder, found.a.manifest),
                _run(found.b.folder, found.b.manifest),
            ],
            "differing": found.differing,
            "tables": _tables(found),
        },
        title="A / B",
    )


def _run(folder: Path, manifest: Any) -> list[str]:
    return [folder.name, manifest.scheme["id"], manifest.policy["id"], manifest.run]


def _workbook(found: Comparison, path: Path) -> None:
    names = {
        "causes": "原因 Causes",
        "by_hospital": "机构 Hospitals",
        "by_level": "等级 Levels",
        "by_pool": "统筹池 Pools",
        "by_drg": "病组 DRGs",
        "migration": "迁移 Migration",
        "statement": "结算 Statements",
    }
    tables = _tables(found)
    with Workbook(path, found) as book:
        for key, name in names.items():
            part = tables[key]
            book.table(
                book.sheet(name),
                0,
                part["cols"],
                part["rows"],
                total=part.get("total", True),
                filtered=True,
            )
