"""`grouper group` on plain strings and CSV, beside what pyarrow alone needs to read them.

    python benchmarks/texts.py [--cases N]

Both run on one thread, in turn, and read the same columns; pyarrow throws away what it read.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from common import alternating, goal, machine, of, region, scheme_folder, table

from grouper.bulk import group_files
from grouper.cases import open_cases
from grouper.execution import LocalRunner
from grouper.grouping import columns_for
from grouper.scheme import load_scheme

FORMS = ("parquet", "csv")


def write(form: str, cases: pa.Table, path: Path) -> None:
    """The cases without dictionaries, or as CSV with codes like `A|B`."""
    if form == "parquet":
        pq.write_table(cases, path, use_dictionary=False, row_group_size=1 << 17)
        return
    for name in ("dx", "px"):
        place = cases.schema.get_field_index(name)
        cases = cases.set_column(place, name, pc.binary_join(cases[name], "|"))
    pacsv.write_csv(cases, path)


def read(form: str, path: Path, names: list[str]) -> None:
    """Read the columns as pyarrow does on its own."""
    if form == "parquet":
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                file.read_row_group(group, columns=names, use_threads=False)
        return
    options = pacsv.ReadOptions(use_threads=False, block_size=1 << 24)
    for _ in pacsv.open_csv(
        path, options, convert_options=pacsv.ConvertOptions(include_columns=names)
    ):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    pa.set_cpu_count(1)
    folder = scheme_folder("chs_drg_11")
    scheme = load_scheme(folder)
    made = region(folder, options.cases, 100) / "cases"
    known = open_cases(made, wanted=columns_for(scheme))
    names = list(known.columns)
    cases = pa.concat_tables(pq.read_table(part.path, columns=names) for part in known.parts)
    print(machine(), f"{cases.num_rows:,} cases", sep="; ")
    rows = []
    shares = {}
    with tempfile.TemporaryDirectory(dir=made.parent) as scratch:
        for form in FORMS:
            path = Path(scratch) / f"cases.{form}"
            write(form, cases, path)
            source = open_cases(path, wanted=columns_for(scheme))
            out = Path(scratch) / f"out-{form}"
            found = alternating(
                {
                    "pyarrow reads": lambda f=form, p=path: read(f, p, names),
                    "grouper group": lambda s=source, o=out: group_files(
                        s, scheme, o, LocalRunner()
                    ),
                },
                options.runs,
            )
            for what, timing in found.items():
                share = shares[form] = of(found["pyarrow reads"], timing)
                speed = cases.num_rows / timing.middle / 1e6
                rows.append([form, what, f"{timing.middle:.2f}", f"{speed:.2f}", f"{share:.2f}"])
    table(["form", "what", "seconds", "M cases/s", "of reading"], rows)
    for form, share in shares.items():
        goal(f"{form}, of pyarrow's reading", "0.40", f"{share:.2f}", met=share >= 0.4)


if __name__ == "__main__":
    main()
