"""Settling from Python: Arrow tables in, Arrow tables out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from grouper.cases.given import as_table
from grouper.errors import RegionError
from grouper.execution import LocalRunner
from grouper.run.engine import rerun
from grouper.run.folder import Manifest
from grouper.run.identity import REGION_FILES
from grouper.scheme import Scheme
from grouper.settlement.policy import Policy

_PARQUET = ("cases", "history", "items", "outpatient")
_CSV = tuple(name.removesuffix(".csv") for name in REGION_FILES if name.endswith(".csv"))


@dataclass(frozen=True)
class Settlement:
    """A settled year.

    Attributes:
        tables: the tables of a run folder by name (`grouped`, `points`, `months`,
            `hospital_months`, `clearing`, …), as docs/regions-and-runs.md describes them.
        manifest: counts, checks and warnings of the run.
    """

    tables: Mapping[str, pa.Table]
    manifest: Manifest


def settle(region: str | Path | Mapping[str, Any], scheme: Scheme, policy: Policy) -> Settlement:
    """Settle a region's year in this process.

    Args:
        region: a region folder, or its tables by name: `cases` and `hospitals`, and where there
            are such `budget`, `month_shares`, `reviews`, `deductions`, `payments`, `closed`,
            `rates`, `items`, `outpatient`, `history`, with the columns of the files of these names,
            each of pyarrow, pandas, Polars or DuckDB.
        scheme: the grouping scheme.
        policy: the payment rules.

    Raises:
        GrouperError: an input is faulty, or the accounts do not close.
        TypeError: the scheme or the policy is a name, and not what was loaded by it.

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
    if not isinstance(scheme, Scheme):
        raise TypeError(f"the scheme is {scheme!r:.60}: grouper.load_scheme makes one of a name")
    if not isinstance(policy, Policy):
        raise TypeError(f"the policy is {policy!r:.60}: grouper.load_policy makes one of a name")
    with tempfile.TemporaryDirectory(prefix="grouper-") as place:
        folder = Path(region) if isinstance(region, str | Path) else _written(region, Path(place))
        out = Path(place) / "run"
        summary = rerun(folder, scheme, policy, out, LocalRunner())
        tables = {path.stem: pq.read_table(path) for path in sorted(out.glob("*.parquet"))}
        for path in sorted(out.iterdir()):
            if path.is_dir():
                tables[path.name] = pq.read_table(path)
    return Settlement(tables, summary.manifest)


def _written(tables: Mapping[str, Any], place: Path) -> Path:
    """The tables as a region folder."""
    folder = place / "region"
    folder.mkdir()
    if "cases" not in tables:
        raise RegionError("the table is missing", file="cases", hint="a region needs its cases")
    for name, given in tables.items():
        if name not in (*_PARQUET, *_CSV):
            known = ", ".join(sorted({*_PARQUET, *_CSV}))
            raise RegionError("a region has no such table", file=name, hint=f"it has {known}")
        table = as_table(given)
        try:
            _write(table, folder, name)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise RegionError(
                f"the table cannot be written: {str(error).partition(chr(10))[0]}",
                file=name,
                hint="give texts, whole numbers, decimals of two places, and dates",
            ) from error
    return folder


def _write(table: pa.Table, folder: Path, name: str) -> None:
    if name == "items":
        pq.write_table(table, folder / "items.parquet")
    elif name in _PARQUET:
        (folder / name).mkdir()
        pq.write_table(table, folder / name / "part-00000.parquet")
    else:
        pacsv.write_csv(table, folder / f"{name}.csv")
