"""All paths of a scheme as arrays, for drawing many candidates at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grouper.synth.catalogue import Int8Array, Int32Array
from grouper.synth.demand import Range
from grouper.synth.paths import NO_CODE, SLOTS, Numbers, Path


@dataclass(frozen=True)
class PathTable:
    """All paths as arrays, for drawing many candidates at once. First axis: paths.

    Attributes:
        letter: int8, position of the MDC's letter in A..Z, 26 for none.
        others_dx, others_px: int32[paths, SLOTS, 3], pool, number of pools, offset; -1 for none.
        low, high: int32[numbers, paths]; needed: bool, whether a null will not do.
        discharge: int16, bit mask of the allowed ways of discharge.
        dept: int32, position in `departments`.
    """

    letter: Int8Array
    state: Int8Array
    surgical: npt.NDArray[np.bool_]
    needs_px: npt.NDArray[np.bool_]
    pdx: Int32Array
    ppx: Int32Array
    others_dx: Int32Array
    others_px: Int32Array
    sex_low: Int8Array
    sex_high: Int8Array
    low: Int32Array
    high: Int32Array
    needed: npt.NDArray[np.bool_]
    discharge: npt.NDArray[np.int16]
    dept: Int32Array
    departments: tuple[str, ...]
    cc_low: Int8Array
    cc_high: Int8Array


def letter_number(letter: str) -> int:
    """Position in A..Z; 26 for anything else."""
    return ord(letter) - 65 if len(letter) == 1 and "A" <= letter <= "Z" else 26


def path_table(paths: Sequence[Path], numbers: Numbers) -> PathTable:
    """The paths as arrays."""
    count = len(paths)
    low = np.empty((len(numbers.names), count), np.int32)
    high = np.empty_like(low)
    needed = np.zeros(low.shape, np.bool_)
    others_dx = np.full((count, SLOTS, 3), NO_CODE, np.int32)
    others_px = np.full((count, SLOTS, 3), NO_CODE, np.int32)
    for i, path in enumerate(paths):
        for n, name in enumerate(numbers.names):
            bounds = path.bounds(name)
            low[n, i], high[n, i] = _usual_part(bounds, numbers.low[n], numbers.high[n])
            needed[n, i] = not bounds.missing
        for slot, triple in enumerate(path.others_dx):
            others_dx[i, slot] = triple
        for slot, triple in enumerate(path.others_px):
            others_px[i, slot] = triple
    _stay_long_enough(numbers, low, high)
    departments = tuple(sorted({path.dept for path in paths}))
    sexes = [path.bounds("sex") for path in paths]
    return PathTable(
        letter=np.array([letter_number(p.letter) for p in paths], np.int8),
        state=np.array([p.state for p in paths], np.int8),
        surgical=np.array([p.surgical for p in paths], np.bool_),
        needs_px=np.array([p.demand.needs_procedure for p in paths], np.bool_),
        pdx=np.array([p.pdx for p in paths], np.int32),
        ppx=np.array([p.ppx for p in paths], np.int32),
        others_dx=others_dx,
        others_px=others_px,
        sex_low=np.array([max(1, s.low) for s in sexes], np.int8),
        sex_high=np.array([min(2, s.high) for s in sexes], np.int8),
        low=low,
        high=high,
        needed=needed,
        discharge=np.array([sum(1 << d for d in p.demand.discharge) for p in paths], np.int16),
        dept=np.array([departments.index(p.dept) for p in paths], np.int32),
        departments=departments,
        cc_low=np.array([p.complications[0] for p in paths], np.int8),
        cc_high=np.array([p.complications[1] for p in paths], np.int8),
    )


def _usual_part(bounds: Range, low: int, high: int) -> tuple[int, int]:
    """The bounds as far as they are usual, or all of them where nothing usual is in them."""
    least = low if bounds.low < low <= bounds.high else bounds.low
    most = high if bounds.low <= high < bounds.high else bounds.high
    if least == -math.inf:
        least = most - 100
    if most == math.inf:
        most = least + 100
    return int(least), int(most)


def _stay_long_enough(numbers: Numbers, low: Int32Array, high: Int32Array) -> None:
    """Raise the length of stay to what the hours in intensive care need."""
    los, hours = numbers.names.index("los"), numbers.names.index("icu_hours")
    days = -(-low[hours] // 24)
    low[los] = np.where(days <= high[los], np.maximum(low[los], days), low[los])
