"""A settled region with wicked names, and the workbooks of one month of it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook, load_workbook

from grouper.appeals.gather import Scope, scheme_of
from grouper.appeals.layout import FIELDS
from grouper.appeals.send import send_sheets
from grouper.execution import LocalRunner
from grouper.report import Run, load_run
from grouper.run import rerun
from grouper.scheme import Scheme, load_scheme
from grouper.settlement.policyfile import load_policy
from grouper.synth import synthesize

MONTH = "2024-03"
WICKED = ("=1+1", "00012", "_x0041_", "@SUM(A1)", "two\nlines")
NAME = '=HYPERLINK("http://example.invalid","click")'
COLUMN = {field.name: i for i, field in enumerate(FIELDS, 1)}


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("appeals") / "region"
    synthesize(load_scheme("chs-core"), cases=2_000, hospitals=3, seed=4, out=folder, reviews=True)
    (folder / "reviews.csv").unlink()
    path = folder / "hospitals.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0]["name"] = NAME
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    path = folder / "cases" / "part-00000.parquet"
    table = pq.read_table(path)
    ids = table.column("case_id").to_pylist()
    months = table.column("settle_month").to_pylist()
    hospitals = table.column("hospital_id").to_pylist()
    mine = [
        i
        for i, (m, h) in enumerate(zip(months, hospitals, strict=True))
        if (m, h) == (MONTH, "H001")
    ]
    for place, wicked in zip(mine, WICKED, strict=False):
        ids[place] = wicked
    pq.write_table(table.set_column(0, "case_id", pa.array(ids)), path)
    return folder


@pytest.fixture(scope="session")
def run(region: Path) -> Run:
    out = region.parent / "run"
    rerun(region, load_scheme("chs-core"), load_policy("guigang-points"), out, LocalRunner())
    return load_run(out)


@pytest.fixture(scope="session")
def scheme(run: Run) -> Scheme:
    return scheme_of(run, None)


@pytest.fixture(scope="session")
def sent(run: Run, region: Path, scheme: Scheme) -> Path:
    """The workbooks of one month, explained in English."""
    out = region.parent / "sent"
    scope = Scope(None, MONTH)
    send_sheets(run, region, scheme, out, LocalRunner(), scope=scope, language="en")
    return out


@pytest.fixture(scope="session")
def cases(run: Run) -> dict[str, dict[str, Any]]:
    """All that the run says of each case, by id."""
    tables = [run.table(name).to_pylist() for name in ("cases", "grouped", "points")]
    return {row[0]["case_id"]: row[0] | row[1] | row[2] for row in zip(*tables, strict=True)}


Edit = Callable[[Workbook], None]


@pytest.fixture
def back(sent: Path, tmp_path: Path) -> Callable[..., Path]:
    """A workbook that comes back after an edit."""

    def edited(edit: Edit, hospital: str = "H001", name: str = "back.xlsx") -> Path:
        book = load_workbook(sent / f"{hospital}-{MONTH}.xlsx")
        edit(book)
        book.save(tmp_path / name)
        return tmp_path / name

    return edited


def put(book: Workbook, row: int, **values: object) -> None:
    """Write cells of a row by the names of their columns."""
    for name, value in values.items():
        book.worksheets[0].cell(row, COLUMN[name]).value = value  # type: ignore[assignment]
