"""What every test may ask for."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A process of the tests holds gRPC servers and starts Ray: what gRPC does at a fork can hang it.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# The first call of a kernel compiles it; no test is about time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

PROJECT = Path(__file__).resolve().parent.parent


def _shared_folder() -> Path:
    named = os.environ.get("GROUPER_SHARED")
    return Path(named) if named else PROJECT.parent / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a folder in one process, because they share what they have made."""
    for item in items:
        folder = item.path.relative_to(PROJECT / "tests").parts[0]
        item.add_marker(pytest.mark.xdist_group(folder))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of published schemes and conformance cases, which are no part of the project."""
    folder = _shared_folder()
    if folder.is_dir():
        return folder
    told = f"{folder} is missing: it holds the schemes and conformance cases (set GROUPER_SHARED)"
    if os.environ.get("CI"):
        pytest.fail(told)
    pytest.skip(told)
