"""Region folders for tests: random ones over a small scheme of our own."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from grouper.execution import LocalRunner, Runner
from grouper.run import RunSummary, rerun
from grouper.scheme import Scheme
from grouper.settlement.policyfile import load_policy

WEIGHTS = [["BR19", "0.7434", "", ""], ["BR29", "1.51", "1", "1"], ["BR59", "6.02", "", "1"]]
"""Weights of the DRGs of the scheme that `write_pack` makes."""
MONEY = pa.decimal128(18, 2)
SCHEMA = pa.schema(
    [
        ("case_id", pa.string()),
        ("hospital_id", pa.string()),
        ("insurance", pa.string()),
        ("settle_month", pa.string()),
        ("dx", pa.list_(pa.string())),
        ("px", pa.list_(pa.string())),
        ("total_cost", MONEY),
        ("compliant_cost", MONEY),
        ("self_pay", MONEY),
        ("patient_cash", MONEY),
        ("fund_paid", MONEY),
        ("other_funds", MONEY),
    ]
)
FURTHER = pa.schema(
    [
        ("person_id", pa.string()),
        ("city", pa.string()),
        ("admission_date", pa.date32()),
        ("discharge_date", pa.date32()),
        ("admission_time", pa.timestamp("s")),
        ("discharge_time", pa.timestamp("s")),
        ("age", pa.int16()),
        ("los", pa.int16()),
        ("discharge", pa.int8()),
        ("dept", pa.string()),
        ("bed_day_flag", pa.bool_()),
        ("tcm_flag", pa.bool_()),
        ("separate_items", MONEY),
        ("upload_date", pa.date32()),
        ("version", pa.int32()),
    ]
)
"""Columns that are written only where a case has them."""


def write_pack(folder: Path, weights: Sequence[Sequence[Any]]) -> Path:
    """A scheme of one MDC: principal diagnosis `Dn` makes DRG `BRn9`, and `Q` is ambiguous."""
    folder.mkdir(parents=True)
    (folder / "scheme.toml").write_text('id = "tiny"\nretry_other_procedures = false\n')
    drgs = [row[0] for row in weights]
    groups = [["mdc", "MDCB", "B", "nerves", "pdx in all"]]
    sets = [["all", "Q"]]
    for drg in drgs:
        code = f"D{drg[2]}"
        sets += [["all", code], [f"s{drg}", code]]
        groups += [
            ["adrg", drg[:3], drg[:3], drg, f"pdx in s{drg}"],
            ["drg", drg, drg, drg, "true"],
        ]
    sets.append(["q", "Q"])
    groups += [["adrg", "BQY", "BQY", "ambiguous", "pdx in q"], ["drg", "BQY", "BQY", "x", "true"]]
    tables: dict[str, tuple[list[str], list[list[Any]]]] = {
        "groups": (["level", "node", "code", "name", "when"], groups),
        "sets": (["set", "code"], sets),
        "sites": (["family", "site", "code"], []),
        "severity": (["code", "level", "exclusion"], []),
        "exclusions": (["pdx", "exclusion"], []),
        "dx": (["code", "name"], [[f"D{drg[2]}", "x"] for drg in drgs] + [["Q", "x"], ["U", "x"]]),
        "px": (["code", "name"], []),
        "dx_map": (["from", "to"], []),
        "px_map": (["from", "to"], []),
        "weights": (["drg", "weight", "basic", "stable"], [list(row) for row in weights]),
    }
    for name, (header, lines) in tables.items():
        write_csv(folder / f"{name}.csv", header, lines)
    return folder


def write_csv(path: Path, header: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(lines)


def write_cases(
    folder: Path, cases: Sequence[dict[str, Any]], parts: int = 1, rows: int = 10**6
) -> None:
    """Write cases as parts; amounts may be given as text, int or Decimal."""
    folder.mkdir(parents=True, exist_ok=True)
    further = [field for field in FURTHER if any(field.name in case for case in cases)]
    schema = pa.schema([*SCHEMA, *further])
    size = max(1, -(-len(cases) // parts))
    for number in range(parts):
        lines = [dict(case) for case in cases[number * size : (number + 1) * size]]
        for line in lines:
            for field in schema:
                if field.type == MONEY and line.get(field.name) is not None:
                    line[field.name] = Decimal(str(line[field.name])).quantize(Decimal("0.01"))
        table = pa.Table.from_pylist(lines, schema)
        pq.write_table(table, folder / f"part-{number:05d}.parquet", row_group_size=rows)


HOSPITAL = ("hospital_id", "name", "level", "class", "city", "alliance", "lead", "assessment")


def random_region(folder: Path, seed: int, cases: int = 1200) -> tuple[Path, list[dict[str, Any]]]:
    """A year with every kind of case, review, deduction and fault that guigang-points knows."""
    chance = random.Random(seed)
    folder.mkdir(parents=True)
    hospitals = [f"H{i}" for i in range(6)]
    write_csv(
        folder / "hospitals.csv",
        HOSPITAL,
        [
            [h, h, 1 + i % 3, "", "", "", "", "0.98" if i % 2 else ""]
            for i, h in enumerate(hospitals)
        ],
    )
    months = [f"2024-{m:02d}" for m in range(1, 13)]
    made = []
    for i in range(cases):
        cost = Decimal(int(chance.lognormvariate(13.3, 1.0))) / 100
        fund = (cost * chance.randint(40, 80) / 100).quantize(Decimal("0.01"))
        made.append(
            {
                "case_id": f"c{i:05d}",
                "hospital_id": chance.choice([*hospitals, "HX"] if i % 50 == 0 else hospitals),
                "insurance": chance.choice(
                    ["employee", "resident", "self", "other"]
                    if i % 20 == 0
                    else ["employee", "resident"]
                ),
                "settle_month": chance.choice(["2023-12", "2025-01", None])
                if i % 97 == 0
                else chance.choice(months),
                "dx": chance.choice([["D1"], ["D2"], ["D3"], ["D4"], ["D5"], ["D1"], ["Q"], ["U"]])
                if i % 83
                else [],
                "px": [],
                "total_cost": -cost if i % 211 == 0 else None if i % 223 == 0 else cost,
                "compliant_cost": None if i % 7 else (cost * chance.randint(70, 100) / 100),
                "self_pay": (cost * chance.randint(0, 25) / 100),
                "patient_cash": cost - fund,
                "fund_paid": fund,
                "other_funds": 0,
            }
        )
    budget = [
        ["employee", "fund_total", "2024-01", "1000000.00"],
        ["employee", "reserve", "2024-01", "-70000.01"],
        ["employee", "reserve", "2024-08", "-90000.10"],
        ["resident", "fund_total", "2023-06", "900000.00"],
        ["resident", "pharmacy", "2024-03", "-1234.56"],
    ]
    write_csv(folder / "budget.csv", ["pool", "line", "effective_month", "amount"], budget)
    if seed % 2:
        shares = [
            [pool, f"2023-{m:02d}", chance.randint(10**4, 10**6)]
            for pool in ("employee", "resident")
            for m in range(1, 13)
        ]
        write_csv(folder / "month_shares.csv", ["pool", "month", "amount"], shares)
    write_csv(
        folder / "deductions.csv",
        ["hospital_id", "month", "pool", "money", "points", "reason"],
        [
            ["H0", "2024-03", "employee", "125.50", "3.5", "audit"],
            ["H0", "2024-03", "employee", "10", "", "late"],
            ["H1", "2024-11", "resident", "", "12.12345678", "audit"],
        ],
    )
    if seed % 3 == 0:
        paid = [
            [h, pool, "2024-01", chance.randint(10**3, 10**4), kind]
            for h in hospitals[:4]
            for pool in ("employee", "resident")
            for kind in ("annual_prepay", "monthly")
        ]
        write_csv(folder / "payments.csv", ["hospital_id", "pool", "month", "amount", "kind"], paid)
    reviews = []
    valid = [c for c in made if c["total_cost"] is not None and c["total_cost"] > 200 and c["dx"]]
    for case in chance.sample(valid, min(60, len(valid) // 2)):
        state = chance.choice(["true", "true", "false", ""])
        month = f"2024-{chance.randint(1, 12):02d}" if state else ""
        kind = chance.choice(["add", "whole_group"])
        reviews.append([case["case_id"], kind, chance.choice(["", "12.5", "100"]), state, month])
    write_csv(
        folder / "reviews.csv",
        ["case_id", "kind", "unreasonable_cost", "approved", "decision_month"],
        reviews,
    )
    write_cases(folder / "cases", made)
    return folder, made


def settle(region: Path, scheme: Scheme, out: Path, runner: Runner | None = None) -> RunSummary:
    """Settle a region by the built-in policy of points."""
    return rerun(region, scheme, load_policy("guigang-points"), out, runner or LocalRunner())
