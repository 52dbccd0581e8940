"""How far the built-in scheme `chs-core` agrees with the published CHS-DRG 1.1.

    python benchmarks/agreement.py [--cases N] [--seeds S ...]

Two mixes: the conformance cases (every DRG alike) and a synthetic year of the published scheme, one
for each seed: a seed decides which groups are frequent, so that one year says less than several.
`chs-core` is written from clinical meaning by code prefixes; this measures it and changes nothing.
"""

from __future__ import annotations

import argparse

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from common import SHARED, region, scheme_folder, table

from grouper.grouping import columns_for, group
from grouper.scheme import load_scheme

LEVELS = ("mdc", "adrg", "drg")


def agreement(cases: pa.Table, expected: dict[str, pa.ChunkedArray]) -> list[str]:
    """Share of the cases with an expected group whose group is the same, in percent."""
    found = group(cases, load_scheme("chs-core"))
    shares = []
    for level in LEVELS:
        counted = pc.not_equal(expected[level], "")
        same = pc.and_(counted, pc.equal(expected[level], found.column(level)))
        shares.append(f"{100 * pc.sum(same).as_py() / pc.sum(counted).as_py():.1f}")
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=200_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7])
    options = parser.parse_args()
    published = load_scheme(scheme_folder("chs_drg_11"))
    columns = {c.name for c in columns_for(published)} | {"dept", "los", "discharge", "icu_hours"}
    conformance = pq.read_table(SHARED / "conformance" / "chs_drg_11.parquet")
    expected = {n: conformance.column(f"expect_{n}").fill_null("") for n in LEVELS}
    rows = [["conformance", f"{len(conformance):,}", *agreement(conformance, expected)]]
    for seed in options.seeds:
        words = () if seed == 7 else ("--seed", str(seed))
        folder = region(scheme_folder("chs_drg_11"), options.cases, 20, *words)
        made = pq.read_table(folder / "cases")
        made = made.select([n for n in made.column_names if n in columns])
        answers = group(made, published)
        expected = {n: answers.column(n) for n in LEVELS}
        rows.append([f"synthetic year, seed {seed}", f"{len(made):,}", *agreement(made, expected)])
    table(["mix", "cases", "MDC %", "ADRG %", "DRG %"], rows)


if __name__ == "__main__":
    main()
