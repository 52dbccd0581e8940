"""The faulty rows: half a percent, of the kinds that make a case invalid.

The kinds are those of scheme-pack.md ("How a case is grouped") and settlement.md, section 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from grouper.synth.streams import FAULT_STREAM, Streams

SHARE: Final = 0.005


class Fault(IntEnum):
    """What is wrong with a row."""

    NONE = 0
    NO_ID = 1
    SOURCE_ID = 2
    """Its id is used once more by a `SAME_ID` row, so both are invalid."""
    SAME_ID = 3
    NO_DX = 4
    NULL_DX = 5
    BLANK_DX = 6
    UNKNOWN_HOSPITAL = 7
    UNKNOWN_INSURANCE = 8
    OTHER_YEAR = 9
    NO_COST = 10
    NEGATIVE_COST = 11


@dataclass(frozen=True)
class Faults:
    """The faulty rows of a chunk.

    Attributes:
        kind: int8[rows], a `Fault`.
        copied: int64, for each `SAME_ID` row the number of the case whose id it repeats.
    """

    kind: npt.NDArray[np.int8]
    copied: npt.NDArray[np.int64]

    def rows(self, *kinds: Fault) -> npt.NDArray[np.bool_]:
        """bool[rows], where one of the kinds is."""
        return np.isin(self.kind, kinds)


def draw_faults(streams: Streams, chunk: int) -> Faults:
    """Choose the faulty rows of a chunk and what is wrong with each.

    Every other repeated id comes from the next chunk, since an exporter's doubled rows need not
    stand near each other; hence the streams of both chunks.
    """
    kind, sources, copies = _choose(streams, chunk)
    _, beyond, _ = _choose(streams, (chunk + 1) % streams.chunks)
    index = streams.index(chunk)
    copied = index[sources[: len(copies)]]
    across = np.arange(1, min(len(copies), len(beyond)), 2)
    copied[across] = streams.index((chunk + 1) % streams.chunks)[beyond[across]]
    ids = np.zeros(len(kind), np.int64)
    ids[copies] = copied
    return Faults(kind, ids[kind == Fault.SAME_ID])


def _choose(
    streams: Streams, chunk: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    count = streams.size(chunk)
    kind = np.zeros(count, np.int8)
    rows = streams.generator(chunk, FAULT_STREAM).permutation(count)[: round(SHARE * count)]
    pairs = len(rows) // (len(Fault) - 2)
    sources, copies, others = rows[:pairs], rows[pairs : 2 * pairs], rows[2 * pairs :]
    kind[sources], kind[copies] = Fault.SOURCE_ID, Fault.SAME_ID
    rest = [f for f in Fault if f not in (Fault.NONE, Fault.SOURCE_ID, Fault.SAME_ID)]
    kind[others] = np.resize(np.array(rest, np.int8), len(others))
    return kind, sources, copies


def no_faults(count: int) -> Faults:
    """A chunk without faults, as settled years have."""
    return Faults(np.zeros(count, np.int8), np.zeros(0, np.int64))
