"""An OpenDRG checkout (Python) beside this engine: the same cases, the rate and the agreement.

    python benchmarks/peers.py --opendrg DIR [--variant chs_drg_11] [--cases N]

DIR is your own checkout; it is run as it is, in a process of its own, from memory. The engine is
timed on one worker, Parquet to Parquet, so reading and writing are on its side of the scale.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
from common import SHARED, machine, region, scheme_folder, table

from grouper.bulk import group_files
from grouper.cases import open_cases
from grouper.execution import LocalRunner
from grouper.grouping import columns_for
from grouper.scheme import load_scheme

# Runs inside the checkout: reads the records, prints the seconds and the answers.
DRIVER = """
import importlib, json, sys, time
variant, path = sys.argv[1:3]
proxy = importlib.import_module(f"drg_group.{variant}.GroupProxy")
grouper = proxy.GroupProxy()
records = [proxy.MedicalRecord(*r) for r in json.load(open(path, encoding="utf8"))]
start = time.perf_counter()
answers = [grouper.group(record).drg for record in records]
print(json.dumps([time.perf_counter() - start, answers]))
"""
NO_GROUP = ("", "00", "000", "0000")


def record(case: dict) -> list:
    """A case in the order of the checkout's `MedicalRecord`."""
    fields = ("case_id", "sex", "age", "age_days", "weight", "dept", "los", "discharge")
    codes = ("|".join(case["dx"] or []), "|".join(case["px"] or []))
    return [*(case.get(f) for f in fields), *codes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--opendrg", type=Path, required=True)
    parser.add_argument("--variant", default="chs_drg_11")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--source", type=Path, help="cases; by default the conformance cases")
    options = parser.parse_args()
    folder = scheme_folder(options.variant)
    scheme = load_scheme(folder)
    path = options.source or SHARED / "conformance" / f"{options.variant}.parquet"
    if not path.exists():
        path = region(folder, 100_000, 10) / "cases" / "part-00000.parquet"
    cases = [c for c in pq.read_table(path).slice(0, options.cases).to_pylist() if c["case_id"]]
    print(machine(), f"{len(cases):,} cases of {path.name}", sep="; ")
    with tempfile.TemporaryDirectory() as scratch:
        records = Path(scratch) / "cases.json"
        records.write_text(json.dumps([record(c) for c in cases]), encoding="utf8")
        command = [sys.executable, "-W", "ignore", "-c", DRIVER, options.variant, str(records)]
        done = subprocess.run(
            command, cwd=options.opendrg, check=True, stdout=subprocess.PIPE, text=True
        )
        peer_seconds, answers = json.loads(done.stdout.splitlines()[-1])
        source = Path(scratch) / "cases.parquet"
        pq.write_table(pq.read_table(path).slice(0, options.cases), source)
        opened = open_cases(source, wanted=columns_for(scheme))
        out = Path(scratch) / "out.parquet"
        times = []
        for _ in range(5):
            start = time.perf_counter()
            group_files(opened, scheme, out, LocalRunner())
            times.append(time.perf_counter() - start)
        ours = {r["case_id"]: r["drg"] for r in pq.read_table(out).to_pylist()}
    agreed = sum(
        (theirs if theirs not in NO_GROUP else "") == ours[case["case_id"]]
        for case, theirs in zip(cases, answers, strict=True)
    )
    rates = {
        "OpenDRG, from memory": len(cases) / peer_seconds,
        "grouper, files": len(cases) / min(times),
    }
    slow = rates["OpenDRG, from memory"]
    table(
        ["engine", "cases/s", "ratio"],
        [[name, f"{rate:,.0f}", f"{rate / slow:,.0f}"] for name, rate in rates.items()],
    )
    print(f"same DRG: {agreed:,} of {len(cases):,}")


if __name__ == "__main__":
    main()
