"""What the tests of settlement share."""

from __future__ import annotations

from pathlib import Path

import pytest

from grouper.scheme import Scheme, load_scheme
from tests.settlement.regions import WEIGHTS, random_region, write_pack


@pytest.fixture(scope="module")
def scheme(tmp_path_factory: pytest.TempPathFactory) -> Scheme:
    """The small scheme of `regions`, with weights."""
    return load_scheme(write_pack(tmp_path_factory.mktemp("pack") / "tiny", WEIGHTS))


@pytest.fixture
def region(tmp_path: Path) -> Path:
    """A random region of 400 cases."""
    return random_region(tmp_path / "region", 1, 400)[0]
