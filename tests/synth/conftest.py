"""Regions and plans that several tests look at; making one takes a second or two."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grouper.cases import open_cases, read_part
from grouper.grouping import RESULT_SCHEMA, columns_for, group_batch
from grouper.scheme import Scheme, load_scheme
from grouper.synth import RegionSummary, synthesize
from tests.synth.packs import small_scheme

CASES = 140_000
"""A little more than one row group."""


@pytest.fixture(scope="session")
def core() -> Scheme:
    return load_scheme("chs-core")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Scheme:
    return small_scheme(tmp_path_factory.mktemp("packs") / "small")


@pytest.fixture(scope="session")
def region(core: Scheme, tmp_path_factory: pytest.TempPathFactory) -> RegionSummary:
    return synthesize(
        core,
        cases=CASES,
        hospitals=30,
        seed=11,
        out=tmp_path_factory.mktemp("regions") / "core",
        reviews=True,
    )


@pytest.fixture(scope="session")
def cases(region: RegionSummary) -> pa.Table:
    return pq.read_table(region.folder / "cases")


@pytest.fixture(scope="session")
def grouped(region: RegionSummary, core: Scheme) -> pa.Table:
    """The grouped table of the region's cases, in their order."""
    return group_all(region.folder / "cases", core)


def group_all(folder: Path, scheme: Scheme) -> pa.Table:
    source = open_cases(folder, wanted=columns_for(scheme))
    batches = [
        group_batch(batch, scheme).table().cast(RESULT_SCHEMA)
        for part in source.parts
        for batch in read_part(source, part)
    ]
    return pa.Table.from_batches(batches)
