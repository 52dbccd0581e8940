"""Bytes and texts from strangers: every decoder answers or refuses in its own words.

hypothesis bends and cuts the seeds; `benchmarks/fuzz.py` goes on for as long as one likes.
"""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster import codec
from cluster.errors import RequestError
from tests.cluster.targets import SEEDS, TARGETS

EXAMPLES = int(os.environ.get("GROUPER_FUZZ", "0"))
"""How many inputs a decoder gets; by default few, and the same ones every time."""
FEW = {"pack": 40, "region": 40, "csv": 60}


@st.composite
def bent(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed with some bytes changed, left out or put in."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(("set", "cut", "put", "end", "word"))):
            case "set" if data:
                data[at] = draw(st.integers(0, 255))
            case "cut":
                del data[at : at + draw(st.integers(1, 16))]
            case "put":
                data[at:at] = draw(st.binary(min_size=1, max_size=16))
            case "end":
                del data[at:]
            case "word":
                value = draw(st.sampled_from((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)))
                data[at : at + 4] = value.to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_decoders(name: str) -> None:
    target = TARGETS[name]

    @settings(
        max_examples=EXAMPLES or FEW.get(name, 150),
        deadline=None,
        derandomize=not EXAMPLES,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(bent(target.seeds) | st.binary(max_size=400))
    def tried(data: bytes) -> None:
        target.run(data)

    tried()


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    for data in (*TARGETS[name].seeds, b""):
        TARGETS[name].run(data)


@pytest.mark.parametrize("name", ["cut", "dictionary-bomb", "run-ends", "wild-offset", "zstd-bomb"])
def test_streams_that_must_be_refused(name: str) -> None:
    with pytest.raises(RequestError):
        codec.decode((SEEDS / "arrow" / f"{name}.arrows").read_bytes(), "arrow_ipc")
