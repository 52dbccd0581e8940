"""A scheme as the kernel takes it, and the texts of its answers; kept once per process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from grouper.codelists import build_index
from grouper.kernels.arrays import readonly
from grouper.kernels.codes import CodeIndex
from grouper.kernels.grouping import SchemeArrays
from grouper.scheme import Scheme

Int32Array = npt.NDArray[np.int32]

STATUS: Final = ("grouped", "ambiguous", "ungrouped", "invalid")
GROUPED, AMBIGUOUS, UNGROUPED, INVALID = range(4)


@dataclass(frozen=True)
class Answers:
    """The texts of all outcomes, and per outcome the position of each text.

    Attributes:
        status: int8[outcomes], positions in `STATUS`.
        texts: int32[4, outcomes], position of the status, MDC, ADRG and DRG.
        words: the texts of MDC, ADRG and DRG as Arrow columns.
    """

    status: npt.NDArray[np.int8]
    texts: Int32Array
    words: tuple[pa.Array, pa.Array, pa.Array]


@dataclass(frozen=True)
class Loaded:
    """A scheme as the kernel takes it, in this process."""

    arrays: SchemeArrays
    dx: CodeIndex
    px: CodeIndex
    answers: Answers


# Keyed by content, not by object: the same scheme arrives anew with every task on a worker.
_loaded: dict[str, Loaded] = {}


def load(scheme: Scheme) -> Loaded:
    """A scheme as the kernel takes it; made once per process and content."""
    found = _loaded.get(scheme.digest)
    if found is None:
        compiled = scheme.compiled
        arrays = SchemeArrays(
            root=readonly(compiled.decisions.root),
            nodes=readonly(compiled.decisions.nodes),
            dx_members=readonly(compiled.dx.members),
            px_members=readonly(compiled.px.members),
            sites=readonly(compiled.sites),
            retry=readonly(np.array([compiled.retry_other_procedures], np.int32)),
        )
        found = Loaded(arrays, build_index(compiled.dx), build_index(compiled.px), _texts(scheme))
        if scheme.digest:
            _loaded[scheme.digest] = found
    return found


def answers_of(scheme: Scheme) -> Answers:
    """The texts of a scheme's answers."""
    return load(scheme).answers


def _texts(scheme: Scheme) -> Answers:
    outcomes = scheme.compiled.outcomes

    def numbered(texts: list[str]) -> tuple[pa.Array, Int32Array]:
        names = {text: i for i, text in enumerate(sorted(set(texts)))}
        return pa.array(names, pa.string()), np.array([names[t] for t in texts], np.int32)

    status = np.array([AMBIGUOUS if o.ambiguous else GROUPED for o in outcomes], np.int8)
    status[0] = UNGROUPED
    mdcs, mdc = numbered([o.mdc for o in outcomes])
    adrgs, adrg = numbered([o.adrg for o in outcomes])
    drgs, drg = numbered([o.drg for o in outcomes])
    texts = readonly(np.stack([status.astype(np.int32), mdc, adrg, drg]))
    return Answers(status, texts, (mdcs, adrgs, drgs))
