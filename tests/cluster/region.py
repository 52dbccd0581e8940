"""A small region whose cases follow from a seed."""

import random
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_DX = ("K35.900", "I21.900", "J18.900", "I10.x00", "O82.900", "E11.900", "no such code")
_OTHER = ("I10.x00", "E11.900", "J96.000", "N17.900")
_MONEY = pa.decimal128(18, 2)


def make_region(folder: Path, *, parts: int = 4, rows: int = 1000, seed: int = 1) -> Path:
    """Writes `folder` with `parts` files of `rows` cases each, four hospitals and two pools."""
    chosen = random.Random(seed)
    cases = folder / "cases"
    cases.mkdir(parents=True)
    for part in range(parts):
        pq.write_table(_cases(chosen, part, rows), cases / f"part-{part:05d}.parquet")
    hospitals = ["hospital_id,name,level"]
    hospitals += [f"H{number},Hospital {number},{1 + number % 3}" for number in range(4)]
    (folder / "hospitals.csv").write_text("\n".join(hospitals) + "\n")
    budget = "\n".join(f"{pool},fund_total,2024-01,9000000.00" for pool in ("employee", "resident"))
    (folder / "budget.csv").write_text("pool,line,effective_month,amount\n" + budget + "\n")
    shares = [
        f"{pool},2023-{month:02d},{100 + month}.00"
        for pool in ("employee", "resident")
        for month in range(1, 13)
    ]
    (folder / "month_shares.csv").write_text("pool,month,amount\n" + "\n".join(shares) + "\n")
    return folder


def _cases(chosen: random.Random, part: int, rows: int) -> pa.Table:
    total = [Decimal(chosen.randrange(50_000, 5_000_000)) / 100 for _ in range(rows)]
    fund = [(cost * chosen.randrange(40, 80) / 100).quantize(Decimal("0.01")) for cost in total]
    money = {
        "total_cost": total,
        "fund_paid": fund,
        "patient_cash": [cost - paid for cost, paid in zip(total, fund, strict=True)],
        "self_pay": [cost // 20 for cost in total],
    }
    return pa.table(
        {
            "case_id": [f"{part}-{row}" for row in range(rows)],
            "hospital_id": [f"H{chosen.randrange(4)}" for _ in range(rows)],
            "insurance": [chosen.choice(("employee", "resident")) for _ in range(rows)],
            "settle_month": [f"2024-{chosen.randrange(1, 13):02d}" for _ in range(rows)],
            "dx": [
                [chosen.choice(_DX), *chosen.sample(_OTHER, chosen.randrange(3))]
                for _ in range(rows)
            ],
            "px": [["47.0901"] if chosen.random() < 0.3 else [] for _ in range(rows)],
            "sex": pa.array([chosen.randrange(1, 3) for _ in range(rows)], pa.int8()),
            "age": pa.array([chosen.randrange(1, 95) for _ in range(rows)], pa.int16()),
            **{name: pa.array(values, _MONEY) for name, values in money.items()},
        }
    )
