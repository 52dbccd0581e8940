"""Settlement lists for tests: one without fault, and how to change it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from grouper.cases import COLUMNS
from grouper.quality.registry import COLUMNS_READ
from tests.scheme import builder

SCHEMA = pa.schema([(name, COLUMNS[name].type) for name in COLUMNS_READ])

DX = [
    "I63.900", "I10.x00", "N40.x00", "O80.000", "P07.300", "P27.100", "R50.900", "Z51.100",
    "Z03.900", "S72.000", "V01.000", "C61.x00",
]  # fmt: skip
PX = ["01.2300", "64.0001", "75.6901", "96.7101", "96.7201", "93.9001", "96.7000"]
RETIRED = {"I63.9": "I63.900", "N40.9": "N40.x00"}

PACK = {
    "dx.csv": "code,name\n" + "".join(f"{code},x\n" for code in DX),
    "px.csv": "code,name\n" + "".join(f"{code},x\n" for code in PX),
    "dx_map.csv": "from,to\n" + "".join(f"{a},{b}\n" for a, b in RETIRED.items()),
    "px_map.csv": "from,to\n01.23,01.2300\n",
    # Without prefixes a code is known only where it is listed.
    "groups.csv": "level,node,code,name,when\nmdc,B,B,x,pdx in B.dx\nadrg,BR2,BR2,x,true\n"
    "drg,BR25,BR25,x,true\n",
    "sets.csv": "set,code\nB.dx,I63.900\n",
    "sites.csv": "family,site,code\n",
    "severity.csv": "code,level,exclusion\n",
    "exclusions.csv": "pdx,exclusion\n",
    "weights.csv": None,
}

GOOD: Mapping[str, Any] = {
    "case_id": "c1",
    "person_id": "p1",
    "hospital_id": "H1",
    "settle_month": "2024-03",
    "admission_date": date(2024, 3, 1),
    "discharge_date": date(2024, 3, 6),
    "admission_time": None,
    "discharge_time": None,
    "sex": 1,
    "age": 60,
    "age_days": None,
    "weight": None,
    "los": 5,
    "dx": ["I63.900", "I10.x00"],
    "px": ["01.2300"],
    "principal_count": 1,
    "total_cost": Decimal("1000.00"),
    "items_total": Decimal("1000.00"),
    "fund_paid": Decimal("600.00"),
    "patient_cash": Decimal("400.00"),
    "surgery_fee": Decimal("10.00"),
    "vent_hours": 0,
    "upload_date": date(2024, 4, 13),
}


def write_pack(folder: Path) -> Path:
    return builder.write(folder, PACK)


def case(**changes: Any) -> dict[str, Any]:
    return {**GOOD, **changes}


def numbered(cases: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The cases with ids and persons of their own."""
    return [dict(c, case_id=f"c{i:05d}", person_id=f"p{i:05d}") for i, c in enumerate(cases)]


def table(cases: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([dict(c) for c in cases], SCHEMA)


def write(
    folder: Path, cases: Sequence[Mapping[str, Any]], *, parts: int = 1, rows: int = 10**6
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    size = max(1, -(-len(cases) // parts))
    for number in range(parts):
        mine = table(cases[number * size : (number + 1) * size])
        pq.write_table(mine, folder / f"part-{number:05d}.parquet", row_group_size=rows)
    return folder
