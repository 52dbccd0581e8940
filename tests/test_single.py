"""One case at a time gives the kernel's answers."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grouper.grouping import group
from grouper.scheme import from_pack, load_scheme
from grouper.single import SingleGrouper
from tests.kernels import strategies
from tests.kernels.test_grouping_twin import unsplit
from tests.reference import Reference

SHOWN = ("status", "mdc", "adrg", "drg", "severity", "reason")


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_agrees_with_the_plain_grouper(data: st.DataObject) -> None:
    pack = data.draw(strategies.packs())
    scheme = from_pack(pack)
    plain = Reference(pack)
    for case in data.draw(st.lists(strategies.cases(), max_size=8)):
        expected = plain.group(case, ())
        for variant in (scheme, unsplit(scheme, pack)):
            found = SingleGrouper(variant).group(case)
            assert [getattr(found, n) for n in SHOWN] == [getattr(expected, n) for n in SHOWN]


@pytest.mark.parametrize("name", ["chs_drg_11", "guangxi_2022", "zhejiang_2022"])
def test_agrees_with_the_kernel_on_published_cases(shared: Path, name: str) -> None:
    scheme = load_scheme(shared / "schemes" / name)
    cases = pq.read_table(shared / "conformance" / f"{name}.parquet").slice(0, 4000)
    one = SingleGrouper(scheme)
    expected = group(cases, scheme).select(list(SHOWN)).to_pylist()
    found = [one.group(case) for case in cases.to_pylist()]
    assert [{n: getattr(f, n) for n in SHOWN} for f in found] == expected
