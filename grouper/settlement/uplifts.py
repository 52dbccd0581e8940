"""What multiplies the points of a case beside its coefficient (settlement.md sections 4 and 10).

The factor of its hospital, uplifts for TCM and children, and the rows of ``coefficient.uplifts``:
severity, age, tumours, new technology, whatever a region names by codes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.settlement.amounts import Ints, Mask
from grouper.settlement.arrivals import Codes, column_of, flags, integers
from grouper.settlement.numbers import SCALE, p8
from grouper.settlement.plan import IntakePlan
from grouper.settlement.policy import Uplift

_SEVERITY = ("none", "CC", "MCC")
"""Severity by the codes of `grouping.GroupedBatch`."""


def case_factors(
    batch: pa.RecordBatch, severity: NDArray[np.int8], plan: IntakePlan, hospital: Codes
) -> Ints:
    """The factor of each case in 1e-8: hospital factor × all uplifts that hold, rounded once.

    Args:
        batch: with tcm_flag, age, dx and px where the policy asks for them.
        severity: of each case, 0 none, 1 CC, 2 MCC.
        plan: factors of the hospitals, and the policy.
        hospital: position of each case's hospital; -1 for none.
    """
    rules = plan.policy.coefficient
    times = [1 + rules.tcm_uplift, 1 + rules.child_uplift]
    held = [flags(batch, "tcm_flag"), np.zeros(batch.num_rows, np.bool_)]
    if rules.child_uplift:
        held[1] = _aged(batch, 0, rules.child_age)
    for uplift in rules.uplifts:
        times.append(uplift.times)
        held.append(_holds(batch, severity, uplift))
    variant = np.zeros(batch.num_rows, np.int64)
    for place, mask in enumerate(held):
        variant |= mask.astype(np.int64) << place
    own = (*(plan.factors or (SCALE,) * len(plan.first_paid)), SCALE)
    hospitals = np.where(hospital < 0, len(own) - 1, hospital).astype(np.int64)
    kinds, where = np.unique((hospitals << len(times)) | variant, return_inverse=True)
    table = []
    for kind in kinds.tolist():
        factor = Fraction(own[kind >> len(times)], SCALE)
        for place, more in enumerate(times):
            if kind >> place & 1:
                factor *= more
        table.append(p8(factor))
    found: Ints = np.array(table, np.int64)[where]
    return found


def _holds(batch: pa.RecordBatch, severity: NDArray[np.int8], uplift: Uplift) -> Mask:
    """Which cases meet all conditions of an uplift."""
    mask = np.ones(batch.num_rows, np.bool_)
    if uplift.age_from is not None or uplift.age_to is not None:
        mask &= _aged(batch, uplift.age_from or 0, uplift.age_to)
    if uplift.severity:
        wanted = [_SEVERITY.index(name) for name in uplift.severity]
        mask &= np.isin(severity, wanted)
    if uplift.dx:
        mask &= _coded(batch, "dx", uplift.dx, principal=True)
    if uplift.px:
        mask &= _coded(batch, "px", uplift.px, principal=False)
    return mask


def _aged(batch: pa.RecordBatch, least: int, most: int | None) -> Mask:
    age = integers(batch, "age", -1)
    known: Mask = (age >= least) & (age >= 0)
    return known if most is None else known & (age <= most)


def _coded(batch: pa.RecordBatch, name: str, prefixes: Sequence[str], *, principal: bool) -> Mask:
    """Which cases have a code, or a principal one, that begins with one of the prefixes."""
    mask = np.zeros(batch.num_rows, np.bool_)
    column = column_of(batch, name)
    if column is None or pa.types.is_null(column.type):
        return mask
    codes = column.flatten()
    if pa.types.is_null(codes.type):
        return mask
    member = _beginning(codes, lambda text: text.strip().startswith(tuple(prefixes)))
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    parents = np.repeat(np.arange(batch.num_rows), lengths)
    if principal:
        first = np.diff(parents, prepend=-1) > 0
        member &= first
    mask[parents[member]] = True
    return mask


def _beginning(codes: pa.Array, test: Callable[[str], bool]) -> Mask:
    if not pa.types.is_dictionary(codes.type):
        codes = codes.dictionary_encode()
    known = [text is not None and test(text) for text in codes.dictionary.to_pylist()]
    places = pc.fill_null(codes.indices.cast(pa.int64()), len(known))
    found: Mask = np.array([*known, False])[places.to_numpy(zero_copy_only=False)]
    return found
