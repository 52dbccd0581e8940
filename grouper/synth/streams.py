"""Random streams: each chunk of a year has its own, so that chunks can be drawn in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from grouper.cases import PART_ROWS

CHUNKS_PER_PART: Final = 4
CHUNK_ROWS: Final = PART_ROWS // CHUNKS_PER_PART
"""Most cases drawn at a time; one row group of a file."""

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
        """How many chunks the year has; those of several files fill all of them alike."""
        if self.cases > PART_ROWS:
            return -(-self.cases // PART_ROWS) * CHUNKS_PER_PART
        return -(-self.cases // CHUNK_ROWS)

    def _begin(self, chunk: int) -> int:
        return self.cases * chunk // self.chunks

    def size(self, chunk: int) -> int:
        """Cases in a chunk; chunks differ by one at most."""
        return self._begin(chunk + 1) - self._begin(chunk)

    def index(self, chunk: int) -> npt.NDArray[np.int64]:
        """int64, the numbers of a chunk's cases."""
        return np.arange(self._begin(chunk), self._begin(chunk + 1), dtype=np.int64)

    def generator(self, chunk: int, purpose: int) -> np.random.Generator:
        """The random stream of a chunk for one purpose."""
        key = [self.seed, purpose, self.year, chunk]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))
