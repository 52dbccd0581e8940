"""Every pack agrees with the independent grouper of its region on all its 20,000 cases."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from grouper.cases import open_cases, read_part
from grouper.grouping import columns_for, group, group_batch
from grouper.scheme import load_scheme
from tests.reference import Reference

SCHEMES = (
    "changsha_2023",
    "chs_drg_10",
    "chs_drg_11",
    "fuzhou_2022",
    "guangxi_2022",
    "zhejiang_2022",
)
EXPECTED = ("status", "mdc", "adrg", "drg")


def test_every_published_pack_is_tried(shared: Path) -> None:
    assert {p.stem for p in (shared / "conformance").glob("*.parquet")} == set(SCHEMES)


@pytest.mark.parametrize("name", SCHEMES)
def test_conformance(shared: Path, name: str) -> None:
    scheme = load_scheme(shared / "schemes" / name)
    path = shared / "conformance" / f"{name}.parquet"
    cases = pq.read_table(path)
    assert len(cases) == 20_000
    answers = group(cases, scheme)
    assert answers.column("case_id").to_pylist() == cases.column("case_id").to_pylist()
    for column in EXPECTED:
        expected = cases.column(f"expect_{column}").to_pylist()
        differing = [
            (row["case_id"], row[column], wanted)
            for row, wanted in zip(answers.to_pylist(), expected, strict=True)
            if row[column] != wanted
        ]
        assert differing == [], f"{len(differing)} cases differ in {column}"


@pytest.mark.parametrize("name", SCHEMES)
def test_dictionary_codes_group_alike(shared: Path, name: str) -> None:
    """The reader brings codes as dictionaries; a table in memory has plain ones."""
    scheme = load_scheme(shared / "schemes" / name)
    path = shared / "conformance" / f"{name}.parquet"
    source = open_cases(path, wanted=columns_for(scheme))
    batches = [b for part in source.parts for b in read_part(source, part)]
    coded = [row for b in batches for row in group_batch(b, scheme).table().to_pylist()]
    assert coded == group(pq.read_table(path), scheme).to_pylist()


@pytest.mark.parametrize("name", SCHEMES)
def test_the_plain_grouper_agrees(shared: Path, name: str) -> None:
    """Severity has no expected answers; the plain grouper stands for them."""
    scheme = load_scheme(shared / "schemes" / name)
    plain = Reference(scheme.pack)
    cases = pq.read_table(shared / "conformance" / f"{name}.parquet").slice(3000, 1500)
    for case, answer in zip(cases.to_pylist(), group(cases, scheme).to_pylist(), strict=True):
        assert {"case_id": case["case_id"], **plain.group(case)._asdict()} == answer
