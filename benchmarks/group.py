"""`grouper group`, Parquet to Parquet, beside the floor: reading and writing without grouping.

    python benchmarks/group.py [--cases N] [--workers 1 2]

The floor reads the grouping columns as dictionaries, maps codes to integers and writes the result
columns, with the same reader, writer and row groups. All are measured in turn in one run, and what
is stated is the middle of the ratios within each turn. What the work before has left is removed,
and is off the disk, before the clock starts.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from common import alternating, goal, machine, of, region, scheme_folder, table

from grouper.bulk import _WRITTEN, group_files
from grouper.cases import CaseSource, Part, open_cases, read_part
from grouper.execution import open_runner
from grouper.grouping import columns_for
from grouper.parts import ParquetFile, part_name
from grouper.scheme import load_scheme


def floor_part(source: CaseSource, part: Part, folder: Path) -> None:
    """Read, map codes to integers, write as many columns as grouping does."""
    with ParquetFile(folder / part_name(part.number), _WRITTEN) as file:
        for batch in read_part(source, part):
            rows = batch.num_rows
            for name in ("dx", "px"):
                values = batch.column(name).values
                kinds = np.arange(len(values.dictionary) + 1, dtype=np.int32)
                kinds[values.indices.fill_null(len(kinds) - 1).to_numpy()]
            texts = pa.array([f"T{i}" for i in range(700)])
            positions = pa.array((np.arange(rows) * 7919 % 700).astype(np.int32))
            column = pa.DictionaryArray.from_arrays(positions, texts)
            file.write(
                pa.RecordBatch.from_arrays(
                    [batch.column("case_id"), *[column] * 6], names=_WRITTEN.names
                )
            )


def floor(source: CaseSource, folder: Path, threads: int) -> None:
    folder.mkdir()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda part: floor_part(source, part, folder), source.parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000_000)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--scheme", default="chs_drg_11")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    pa.set_cpu_count(1)
    folder = scheme_folder(options.scheme)
    scheme = load_scheme(folder)
    cases = region(folder, options.cases, 450, "--reviews", "--cities", "4") / "cases"
    source = open_cases(cases, wanted=columns_for(scheme))
    print(machine(), f"{source.rows:,} cases", sep="; ")
    with tempfile.TemporaryDirectory(dir=cases.parent) as scratch:
        out = Path(scratch) / "out"

        def ready() -> None:
            shutil.rmtree(out, ignore_errors=True)
            os.sync()

        runners = {workers: open_runner(workers) for workers in options.workers}
        works: dict[tuple[int, str], Callable[[], object]] = {}
        for workers, runner in runners.items():
            works[workers, "floor"] = partial(floor, source, out, workers)
            works[workers, "group"] = partial(group_files, source, scheme, out, runner)
        found = alternating(works, options.runs, ready)
        for runner in runners.values():
            runner.close()
    rows = []
    for (workers, name), timing in found.items():
        speed = source.rows / timing.middle / 1e6
        share = of(found[workers, "floor"], timing)
        rows.append([str(workers), name, f"{timing.middle:.2f}", f"{speed:.2f}", f"{share:.2f}"])
    table(["workers", "what", "seconds", "M cases/s", "of the floor"], rows)
    if 1 in runners:
        share = of(found[1, "floor"], found[1, "group"])
        goal("of the floor, one worker", "0.50", f"{share:.2f}", met=share >= 0.5)
    if 1 in runners and 2 in runners:
        gains = {name: of(found[1, name], found[2, name]) for name in ("floor", "group")}
        gained = gains["group"] / gains["floor"]
        text = f"{gains['group']:.2f} where the floor gains {gains['floor']:.2f}: {gained:.2f}"
        goal("gain of a second worker", "0.95 of the floor's", text, met=gained >= 0.95)


if __name__ == "__main__":
    main()
