"""Settling from Python: Arrow tables in, Arrow tables out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from grouper.errors import RegionError
from grouper.execution import LocalRunner
from grouper.run.engine import rerun
from grouper.run.folder import Manifest
from grouper.scheme import Scheme
from grouper.settlement.policy import Policy

_PARQUET = ("cases", "history", "items", "outpatient")


@dataclass(frozen=True)
class Settlement:
    """A settled year.

    Attributes:
        tables: the tables of a run folder by name (`grouped`, `points`, `months`,
            `hospital_months`, `clearing`, …), as folders.md describes them.
        manifest: counts, checks and warnings of the run.
    """

    tables: Mapping[str, pa.Table]
    manifest: Manifest


def settle(
    region: str | Path | Mapping[str, pa.Table], scheme: Scheme, policy: Policy
) -> Settlement:
    """Settle a region's year in this process.

    Args:
        region: a region folder, or its tables by name: `cases` and `hospitals`, and where there
            are such `budget`, `month_shares`, `reviews`, `deductions`, `payments`, `closed`,
            `rates`, `items`, `outpatient`, `history`, with the columns of the files of these names.
        scheme: the grouping scheme.
        policy: the payment rules.

    Raises:
        GrouperError: an input is faulty, or the accounts do not close.

    >>> import pyarrow as pa
    >>> from grouper import load_policy, load_scheme, settle
    >>> cases = pa.table({
    ...     "case_id": ["a", "b", "c"],
    ...     "dx": [["I21.900"], ["I21.900"], ["J18.900"]],
    ...     "hospital_id": ["H1", "H1", "H2"],
    ...     "insurance": ["employee"] * 3,
    ...     "settle_month": ["2024-01"] * 3,
    ...     "total_cost": [8000, 9000, 4000],
    ...     "fund_paid": [6000, 7000, 3000],
    ...     "patient_cash": [2000, 2000, 1000],
    ... })
    >>> hospitals = pa.table({"hospital_id": ["H1", "H2"], "level": [3, 2]})
    >>> budget = pa.table({"pool": ["employee"], "line": ["fund_total"],
    ...                    "effective_month": ["2024-01"], "amount": [20000]})
    >>> region = {"cases": cases, "hospitals": hospitals, "budget": budget}
    >>> done = settle(region, load_scheme("chs-core"), load_policy("guigang-points"))
    >>> done.tables["months"].column("cases").to_pylist()
    [3]
    >>> all(check["holds"] for check in done.manifest.checks)
    True
    """
    with tempfile.TemporaryDirectory(prefix="grouper-") as place:
        folder = Path(region) if isinstance(region, str | Path) else _written(region, Path(place))
        out = Path(place) / "run"
        summary = rerun(folder, scheme, policy, out, LocalRunner())
        tables = {path.stem: pq.read_table(path) for path in sorted(out.glob("*.parquet"))}
        for path in sorted(out.iterdir()):
            if path.is_dir():
                tables[path.name] = pq.read_table(path)
    return Settlement(tables, summary.manifest)


def _written(tables: Mapping[str, pa.Table], place: Path) -> Path:
    """The tables as a region folder."""
    folder = place / "region"
    folder.mkdir()
    if "cases" not in tables:
        raise RegionError("the table is missing", file="cases", hint="a region needs its cases")
    for name, table in tables.items():
        if name == "items":
            pq.write_table(table, folder / "items.parquet")
        elif name in _PARQUET:
            (folder / name).mkdir()
            pq.write_table(table, folder / name / "part-00000.parquet")
        else:
            pacsv.write_csv(table, folder / f"{name}.csv")
    return folder
