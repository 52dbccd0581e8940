"""Random streams: each chunk of a year has its own, so that chunks can be drawn in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

CHUNK_ROWS: Final = 1 << 17
"""Cases drawn at a time; one row group of a file."""

CASE_STREAM: Final = 1
FAULT_STREAM: Final = 2
REVIEW_STREAM: Final = 3
REGION_STREAM: Final = 4


@dataclass(frozen=True)
class Streams:
    """The chunks of one year's cases.

    Attributes:
        seed: the region's seed.
        year: calendar year; another year has other streams.
        cases: number of cases in the year.
    """

    seed: int
    year: int
    cases: int

    @property
    def chunks(self) -> int:
        """How many chunks the year has."""
        return -(-self.cases // CHUNK_ROWS)

    def size(self, chunk: int) -> int:
        """Cases in a chunk."""
        return min(CHUNK_ROWS, self.cases - chunk * CHUNK_ROWS)

    def index(self, chunk: int) -> npt.NDArray[np.int64]:
        """int64, the numbers of a chunk's cases."""
        return chunk * CHUNK_ROWS + np.arange(self.size(chunk), dtype=np.int64)

    def generator(self, chunk: int, purpose: int) -> np.random.Generator:
        """The random stream of a chunk for one purpose."""
        key = [self.seed, purpose, self.year, chunk]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))
