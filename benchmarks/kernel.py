"""The grouping kernel alone, arrays to arrays: cases a second on one core.

    python benchmarks/kernel.py [--scheme NAME] [--cases N]

Two mixes: a synthetic region (a believable year) and the conformance cases (every corner of the
pack alike). Data stays in memory; the best and the middle of the runs are printed.
"""

from __future__ import annotations

import argparse

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from common import SHARED, goal, machine, region, scheme_folder, table, timed

from grouper import grouping
from grouper.cases import open_cases, read_part
from grouper.kernels.grouping import group_cases
from grouper.scheme import Scheme, load_scheme

ROWS = 131_072


def kernel_arguments(batch: pa.RecordBatch, scheme: Scheme) -> tuple:
    """What `group_batch` hands to the kernel."""
    caught = []
    original = grouping.group_cases
    grouping.group_cases = lambda *arguments: (caught.append(arguments), original(*arguments))
    try:
        grouping.group_batch(batch, scheme)
    finally:
        grouping.group_cases = original
    return caught[0]


def synthetic(folder, scheme: Scheme, cases: int) -> pa.RecordBatch:
    source = open_cases(region(folder, cases, 20) / "cases", wanted=grouping.columns_for(scheme))
    return next(read_part(source, source.parts[0])).slice(0, ROWS)


def conformance(name: str) -> pa.RecordBatch | None:
    path = SHARED / "conformance" / f"{name}.parquet"
    if not path.exists():
        return None
    found = pq.read_table(path, read_dictionary=["dx.list.element", "px.list.element"])
    rows = np.random.default_rng(1).integers(0, found.num_rows, ROWS)
    return found.take(rows).combine_chunks().to_batches()[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--scheme", nargs="*", default=["chs_drg_11", "guangxi_2022", "zhejiang_2022"]
    )
    parser.add_argument("--cases", type=int, default=1_000_000)
    options = parser.parse_args()
    print(machine())
    rows = []
    speeds: dict[tuple[str, str], float] = {}
    for name in options.scheme:
        folder = scheme_folder(name)
        scheme = load_scheme(folder)
        mixes = {
            "region": synthetic(folder, scheme, options.cases),
            "conformance": conformance(name),
        }
        for mix, batch in mixes.items():
            if batch is None:
                continue
            arrays, cases, reason, outcome, severity = kernel_arguments(batch, scheme)

            def run(a=arrays, c=cases, r=reason, o=outcome, s=severity) -> None:
                r[:] = 0
                group_cases(a, c, r, o, s)

            timing = timed(run, 31)
            n = batch.num_rows
            speeds[name, mix] = n / timing.middle / 1e6
            rows.append(
                [
                    name,
                    mix,
                    f"{len(cases.dx) / n:.1f}",
                    f"{len(cases.px) / n:.1f}",
                    f"{n / timing.best / 1e6:.1f}",
                    f"{n / timing.middle / 1e6:.1f}",
                ]
            )
    table(["scheme", "mix", "diagnoses", "procedures", "M cases/s best", "M cases/s middle"], rows)
    if (found := speeds.get(("chs_drg_11", "region"))) is not None:
        goal("kernel, CHS-DRG 1.1", "8 M cases/s a core", f"{found:.1f} M", met=found >= 8)


if __name__ == "__main__":
    main()
