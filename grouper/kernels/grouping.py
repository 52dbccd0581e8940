"""The grouping kernel: code indices and numbers in, outcomes and severities out.

TECHNICAL.md beside this file draws the arrays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types

from grouper.kernels.jit import inlined, kernel, ro, rw
from grouper.kernels.layout import (
    BLANK,
    MISSING,
    NO_ANSWER,
    NO_LEVEL,
    NodeColumn,
    Op,
    Reason,
    SeverityLevel,
)

Int32Array = npt.NDArray[np.int32]


class SchemeArrays(NamedTuple):
    """A compiled scheme.

    Attributes:
        root: int32[diagnosis classes, procedure classes].
        nodes: int32[nodes, 6].
        dx_members, px_members: uint64[kinds, words].
        sites: int32[families, diagnosis kinds].
        retry: int32[1], 1 where ungrouped cases are tried again with each other procedure alone.
    """

    root: Int32Array
    nodes: Int32Array
    dx_members: npt.NDArray[np.uint64]
    px_members: npt.NDArray[np.uint64]
    sites: Int32Array
    retry: Int32Array


class CaseArrays(NamedTuple):
    """A batch of n cases. `dx` and `px` hold positions in the batch's code dictionaries.

    The last entry of each dictionary array stands for null.

    Attributes:
        dx, px: int32[], the lists one after the other.
        dx_offsets, px_offsets: int32[n + 1], where the list of each case begins.
        dx_kind, px_kind: int32[dictionary], kind of each code.
        dx_principal, px_principal: int32[dictionary], class as principal code.
        dx_exclusion: int32[dictionary], exclusion list switched off as principal diagnosis.
        dx_complication: uint32[dictionary], MCC list (upper half) and CC list (lower half).
        numbers: int32[scheme's numbers, n], `MISSING` for null.
    """

    dx: Int32Array
    dx_offsets: Int32Array
    dx_kind: Int32Array
    dx_principal: Int32Array
    dx_exclusion: Int32Array
    dx_complication: npt.NDArray[np.uint32]
    px: Int32Array
    px_offsets: Int32Array
    px_kind: Int32Array
    px_principal: Int32Array
    numbers: Int32Array


_SCHEME = types.NamedTuple(
    [
        ro(types.int32, 2),
        ro(types.int32, 2),
        ro(types.uint64, 2),
        ro(types.uint64, 2),
        ro(types.int32, 2),
        ro(types.int32),
    ],
    SchemeArrays,
)
_CASES = types.NamedTuple(
    [
        ro(types.int32),
        ro(types.int32),
        ro(types.int32),
        ro(types.int32),
        ro(types.int32),
        ro(types.uint32),
        ro(types.int32),
        ro(types.int32),
        ro(types.int32),
        ro(types.int32),
        ro(types.int32, 2),
    ],
    CaseArrays,
)

_OP, _A, _B = int(NodeColumn.OP), int(NodeColumn.A), int(NodeColumn.B)
_VALUE, _YES, _NO = int(NodeColumn.VALUE), int(NodeColumn.YES), int(NodeColumn.NO)
_MCC, _CC = int(Op.MCC), int(Op.CC)
_OTHER_DX, _OTHER_PX, _PRINCIPAL_PX = int(Op.OTHER_DX), int(Op.OTHER_PX), int(Op.PRINCIPAL_PX)
_COUNT_OTHER_DX, _COUNT_OTHER_PX = int(Op.COUNT_OTHER_DX), int(Op.COUNT_OTHER_PX)
_COUNT_PX, _SITES = int(Op.COUNT_PX), int(Op.SITES)
_NONE, _NO_DIAGNOSIS = int(Reason.NONE), int(Reason.NO_DIAGNOSIS)
_LEVEL_CC, _LEVEL_MCC = int(SeverityLevel.CC), int(SeverityLevel.MCC)


@inlined
def _compares(left, comparison, right):  # type: ignore[no-untyped-def]
    """COMPARISONS: == != < <= > >=."""
    if comparison == 0:
        return left == right
    if comparison == 1:
        return left != right
    if comparison == 2:
        return left < right
    if comparison == 3:
        return left <= right
    if comparison == 4:
        return left > right
    return left >= right


@inlined
def _count(codes, start, end, kind, members, number):  # type: ignore[no-untyped-def]
    """How many of `codes[start:end]` are in the set."""
    word, bit = number >> 6, np.uint64(number & 63)
    found = np.int64(0)
    for at in range(start, end):
        found += np.int64((members[kind[codes[at]], word] >> bit) & np.uint64(1))
    return found


@inlined
def _any(codes, start, end, kind, members, number):  # type: ignore[no-untyped-def]
    """Whether one of `codes[start:end]` is in the set."""
    word, bit = number >> 6, np.uint64(number & 63)
    for at in range(start, end):
        if (members[kind[codes[at]], word] >> bit) & np.uint64(1):
            return True
    return False


@inlined
def _different_sites(codes, start, end, kind, sites):  # type: ignore[no-untyped-def]
    """How many different sites the codes lie on; lists are short, so each looks back."""
    found = 0
    for at in range(start, end):
        site = sites[kind[codes[at]]]
        if site == 0:
            continue
        seen = False
        for before in range(start, at):
            if sites[kind[codes[before]]] == site:
                seen = True
                break
        if not seen:
            found += 1
    return found


@inlined
def _severity(cases, start, end, exclusion):  # type: ignore[no-untyped-def]
    """Highest level among the other diagnoses that the principal one does not exclude."""
    cc = False
    for at in range(start + 1, end):
        lists = np.int64(cases.dx_complication[cases.dx[at]])
        level = lists >> 16
        if level != NO_LEVEL and level != exclusion:
            return _LEVEL_MCC
        level = lists & 0xFFFF
        if level != NO_LEVEL and level != exclusion:
            cc = True
    return _LEVEL_CC if cc else 0


@inlined
def _has_cc(cases, start, end, exclusion):  # type: ignore[no-untyped-def]
    for at in range(start + 1, end):
        level = np.int64(cases.dx_complication[cases.dx[at]]) & 0xFFFF
        if level != NO_LEVEL and level != exclusion:
            return True
    return False


@inlined
def _holds(scheme, cases, i, node, d0, d1, p0, p1, severity, exclusion):  # type: ignore[no-untyped-def]
    """Whether the test of a node holds for case i with diagnoses d0:d1 and procedures p0:p1."""
    op, a = scheme.nodes[node, _OP], scheme.nodes[node, _A]
    if op == _MCC:
        return severity == _LEVEL_MCC
    if op == _CC:
        # A case with an MCC may have a CC besides; only then is a second look needed.
        if severity == _LEVEL_MCC:
            return _has_cc(cases, d0, d1, exclusion)
        return severity == _LEVEL_CC
    if op == _OTHER_PX:
        return _any(cases.px, p0 + 1, p1, cases.px_kind, scheme.px_members, a)
    if op == _PRINCIPAL_PX:
        return _any(cases.px, p0, min(p0 + 1, p1), cases.px_kind, scheme.px_members, a)
    if op == _OTHER_DX:
        return _any(cases.dx, d0 + 1, d1, cases.dx_kind, scheme.dx_members, a)
    b, value = scheme.nodes[node, _B], np.int64(scheme.nodes[node, _VALUE])
    if op == _COUNT_OTHER_DX:
        found = _count(cases.dx, d0 + 1, d1, cases.dx_kind, scheme.dx_members, a)
    elif op == _COUNT_OTHER_PX:
        found = _count(cases.px, p0 + 1, p1, cases.px_kind, scheme.px_members, a)
    elif op == _COUNT_PX:
        found = _count(cases.px, p0, p1, cases.px_kind, scheme.px_members, a)
    elif op == _SITES:
        found = _different_sites(cases.dx, d0, d1, cases.dx_kind, scheme.sites[a])
    else:
        found = np.int64(cases.numbers[a, i])
        if found == MISSING:
            return False
    return _compares(found, b, value)


@inlined
def _answer(scheme, cases, i, d0, d1, p0, p1, severity, exclusion):  # type: ignore[no-untyped-def]
    """Outcome of case i with the procedures p0:p1."""
    row = cases.dx_principal[cases.dx[d0]]
    column = 0
    if scheme.root.shape[1] > 1 and p1 > p0:
        column = cases.px_principal[cases.px[p0]]
    at = scheme.root[row, column]
    while at >= 0:
        if _holds(scheme, cases, i, at, d0, d1, p0, p1, severity, exclusion):
            at = scheme.nodes[at, _YES]
        else:
            at = scheme.nodes[at, _NO]
    return ~at


@kernel(types.void(_SCHEME, _CASES, rw(types.int8), rw(types.int32), rw(types.int8)))
def group_cases(
    scheme: SchemeArrays,
    cases: CaseArrays,
    reason: npt.NDArray[np.int8],
    outcome: npt.NDArray[np.int32],
    severity: npt.NDArray[np.int8],
) -> None:
    """Group a batch.

    Args:
        scheme: the compiled scheme.
        cases: the batch.
        reason: int8[n], in and out. A case whose reason is set already is passed over; a case
            without a principal diagnosis gets `NO_DIAGNOSIS`.
        outcome: int32[n], out: number of the answer; `NO_ANSWER` for none and for invalid cases.
        severity: int8[n], out: 0 none, 1 CC, 2 MCC.
    """
    for i in range(len(outcome)):
        outcome[i] = NO_ANSWER
        severity[i] = 0
        if reason[i] != _NONE:
            continue
        d0, d1 = np.int64(cases.dx_offsets[i]), np.int64(cases.dx_offsets[i + 1])
        if d0 == d1 or cases.dx_kind[cases.dx[d0]] == BLANK:
            reason[i] = _NO_DIAGNOSIS
            continue
        p0, p1 = np.int64(cases.px_offsets[i]), np.int64(cases.px_offsets[i + 1])
        exclusion = np.int64(cases.dx_exclusion[cases.dx[d0]])
        level = _severity(cases, d0, d1, exclusion)
        severity[i] = level
        answer = _answer(scheme, cases, i, d0, d1, p0, p1, level, exclusion)
        if answer == NO_ANSWER and scheme.retry[0] == 1:
            for p in range(p0 + 1, p1):
                if cases.px_kind[cases.px[p]] == BLANK:
                    continue
                answer = _answer(scheme, cases, i, d0, d1, p, p + 1, level, exclusion)
                if answer != NO_ANSWER:
                    break
        outcome[i] = answer
