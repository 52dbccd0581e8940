"""A short soak; `python benchmarks/soak.py` goes on for longer."""

import importlib.util
from pathlib import Path

from tests.conftest import PROJECT


def test_two_hundred_hospitals_and_nothing_lost(tmp_path: Path) -> None:
    place = PROJECT / "benchmarks" / "soak.py"
    spec = importlib.util.spec_from_file_location("soak", place)
    assert spec is not None
    assert spec.loader is not None
    soak = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(soak)
    counts = soak.soak(200, 3.0, tmp_path)
    assert counts["lost"] == 0
    assert not {kind for kind in counts if kind.startswith("refused")}
    assert min(counts[kind] for kind in ("calls", "streams", "denied", "broken bytes", "runs")) > 0
