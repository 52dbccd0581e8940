"""Small regions whose every number is worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from grouper.execution import LocalRunner
from grouper.run import rerun
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from tests.settlement.regions import write_cases, write_csv, write_pack

Rows = Sequence[Sequence[Any]]


def settle(
    folder: Path,
    policy: str,
    cases: Sequence[dict[str, Any]],
    *,
    weights: Rows,
    hospitals: Rows,
    budget: Rows = (),
    shares: Rows = (),
    rates: Rows = (),
    keys: str = "",
    files: Mapping[str, pa.Table] | None = None,
    **tables: tuple[Sequence[str], Rows],
) -> Path:
    """Settle a region of a few cases.

    Args:
        hospitals: hospital_id, level, class, city, alliance, lead, assessment, go_live, pilot.
        budget: pool, line, amount, all from January on.
        shares: pool, month (MM), amount.
        rates: table, drg, class, value.
        keys: TOML that overrides keys of the policy.
        files: further Parquet files by name.
        tables: further CSV tables by name: header and rows.
    """
    region = folder / "region"
    region.mkdir(parents=True)
    header = (
        *("hospital_id", "level", "class", "city", "alliance", "lead", "assessment", "go_live"),
        "pilot",
    )
    width = len(header)
    lines = [[*row, *[""] * (width - len(row))] for row in hospitals]
    write_csv(region / "hospitals.csv", header, lines)
    if budget:
        write_csv(
            region / "budget.csv",
            ("pool", "line", "effective_month", "amount"),
            [(pool, line, "2024-01", amount) for pool, line, amount in budget],
        )
    if shares:
        write_csv(
            region / "month_shares.csv",
            ("pool", "month", "amount"),
            [(pool, f"2023-{month}", amount) for pool, month, amount in shares],
        )
    if rates:
        write_csv(region / "rates.csv", ("table", "drg", "class", "value"), rates)
    for name, (columns, rows) in tables.items():
        write_csv(region / f"{name}.csv", columns, rows)
    for name, table in (files or {}).items():
        pq.write_table(table, region / f"{name}.parquet")
    write_cases(region / "cases", cases)
    pack = write_pack(folder / "pack", weights)
    file = folder / "policy.toml"
    file.write_text(f'extends = "{policy}"\nid = "golden"\n{keys}')
    rerun(region, load_scheme(pack), load_policy(file), folder / "run", LocalRunner())
    return folder / "run"


def case(
    name: str, hospital: str, dx: str, cost: int | Decimal, month: str = "01", **more: Any
) -> dict[str, Any]:
    """A case of an employee; the fund paid 80 % of the cost, the patient 20 %; no self-pay."""
    return {
        "case_id": name,
        "hospital_id": hospital,
        "insurance": "employee",
        "settle_month": f"2024-{month}",
        "dx": [dx],
        "px": [],
        "total_cost": cost,
        "self_pay": 0,
        "patient_cash": Decimal(cost) / 5,
        "fund_paid": Decimal(cost) * 4 / 5,
        **more,
    }


def lines(path: Path, columns: str) -> list[str]:
    """Rows as text; a decimal with its own places, nothing as a dash."""
    return [
        " ".join(text(row[column]) for column in columns.split())
        for row in pq.read_table(path).to_pylist()
    ]


def text(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
