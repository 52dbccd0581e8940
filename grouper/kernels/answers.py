"""From the numbers of answers to the texts that stand in the result."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from grouper.kernels import arguments as types
from grouper.kernels.arguments import ro, rw
from grouper.kernels.jit import kernel

Int8Array = npt.NDArray[np.int8]
Int32Array = npt.NDArray[np.int32]

NAMED = 6
"""Rows of `name_answers`: status, MDC, ADRG, DRG, severity, reason."""


@kernel(
    types.void(
        ro(types.int32),
        ro(types.int8),
        ro(types.int8),
        ro(types.int32, 2),
        types.int64,
        types.int64,
        rw(types.int32, 2),
    )
)
def name_answers(
    outcome: Int32Array,
    severity: Int8Array,
    reason: Int8Array,
    texts: Int32Array,
    invalid: int,
    no_severity: int,
    named: Int32Array,
) -> None:
    """Write the positions of the texts of each case.

    Args:
        outcome: int32[n], number of the answer.
        severity, reason: int8[n]; a case with a reason is invalid.
        texts: int32[4, outcomes], positions of an answer's status, MDC, ADRG and DRG.
        invalid: position of the status of invalid cases.
        no_severity: position of the severity of invalid cases.
        named: int32[6, n], out.
    """
    for i in range(len(outcome)):
        answer = outcome[i]
        valid = reason[i] == 0
        named[0, i] = texts[0, answer] if valid else invalid
        named[1, i] = texts[1, answer]
        named[2, i] = texts[2, answer]
        named[3, i] = texts[3, answer]
        named[4, i] = severity[i] if valid else no_severity
        named[5, i] = reason[i]


@kernel(types.void(ro(types.int32), ro(types.int8), ro(types.int8), types.int64, rw(types.int64)))
def count_status(
    outcome: Int32Array,
    reason: Int8Array,
    status: Int8Array,
    invalid: int,
    counts: npt.NDArray[np.int64],
) -> None:
    """Count the cases of each status on.

    Args:
        outcome, reason, invalid: as for `name_answers`.
        status: int8[outcomes].
        counts: int64[statuses], counted on.
    """
    for i in range(len(outcome)):
        counts[status[outcome[i]] if reason[i] == 0 else invalid] += 1
