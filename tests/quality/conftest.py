"""The small scheme whose codes the lists of these tests use."""

from __future__ import annotations

import pytest

from grouper.scheme import Scheme, load_scheme
from tests.quality.lists import write_pack


@pytest.fixture(scope="session")
def scheme(tmp_path_factory: pytest.TempPathFactory) -> Scheme:
    return load_scheme(write_pack(tmp_path_factory.mktemp("quality") / "small"))
