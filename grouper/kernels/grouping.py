"""The grouping kernel: code indices and numbers in, outcomes and severities out.

TECHNICAL.md beside this file draws the arrays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grouper.kernels import arguments as types
from grouper.kernels.arguments import ro, rw
from grouper.kernels.jit import inlined, kernel
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
_SITES, _NUMBER = int(Op.SITES), int(Op.NUMBER)
_NONE, _NO_DIAGNOSIS = int(Reason.NONE), int(Reason.NO_DIAGNOSIS)
_LEVEL_MCC = int(SeverityLevel.MCC)


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
def _different_sites(codes, start, end, kind, sites, family):  # type: ignore[no-untyped-def]
    """How many different sites the codes lie on; lists are short, so each looks back."""
    found = np.int64(0)
    for at in range(start, end):
        site = sites[family, kind[codes[at]]]
        seen = site == 0
        for before in range(start, at):
            seen |= sites[family, kind[codes[before]]] == site
        if not seen:
            found += 1
    return found


@inlined
def _levels(codes, start, end, complication, exclusion):  # type: ignore[no-untyped-def]
    """Levels found among the other diagnoses: bit 1 an MCC, bit 0 a CC, none of them excluded."""
    found = np.int64(0)
    for at in range(start + 1, end):
        lists = np.int64(complication[codes[at]])
        mcc, cc = lists >> 16, lists & 0xFFFF
        found |= np.int64((mcc != NO_LEVEL) & (mcc != exclusion)) << 1
        found |= np.int64((cc != NO_LEVEL) & (cc != exclusion))
    return found


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
    # Arrays are taken out of the tuples once: reading them inside the loop would count references.
    root, nodes, dx_members, px_members, sites, retry = scheme
    dx, dx_offsets, dx_kind, dx_principal, dx_exclusion, dx_complication = cases[:6]
    px, px_offsets, px_kind, px_principal, numbers = cases[6:]
    split_by_procedure = root.shape[1] > 1
    for i in range(len(outcome)):
        outcome[i] = NO_ANSWER
        severity[i] = 0
        if reason[i] != _NONE:
            continue
        d0, d1 = np.int64(dx_offsets[i]), np.int64(dx_offsets[i + 1])
        if d0 == d1 or dx_kind[dx[d0]] == BLANK:
            reason[i] = _NO_DIAGNOSIS
            continue
        p0, last = np.int64(px_offsets[i]), np.int64(px_offsets[i + 1])
        row = dx_principal[dx[d0]]
        levels = _levels(dx, d0, d1, dx_complication, np.int64(dx_exclusion[dx[d0]]))
        severity[i] = min(levels, _LEVEL_MCC)
        p1 = last
        while True:
            column = 0
            if split_by_procedure and p1 > p0:
                column = px_principal[px[p0]]
            at = root[row, column]
            while at >= 0:
                op, a, b = nodes[at, _OP], nodes[at, _A], nodes[at, _B]
                value = np.int64(nodes[at, _VALUE])
                if op == _MCC:
                    holds = levels >= 2
                elif op == _CC:
                    holds = (levels & 1) == 1
                elif op == _OTHER_PX:
                    holds = _any(px, p0 + 1, p1, px_kind, px_members, a)
                elif op == _NUMBER:
                    number = np.int64(numbers[a, i])
                    holds = number != MISSING and _compares(number, b, value)
                elif op == _OTHER_DX:
                    holds = _any(dx, d0 + 1, d1, dx_kind, dx_members, a)
                elif op == _PRINCIPAL_PX:
                    holds = _any(px, p0, min(p0 + 1, p1), px_kind, px_members, a)
                else:
                    if op == _SITES:
                        found = _different_sites(dx, d0, d1, dx_kind, sites, a)
                    elif op == _COUNT_OTHER_DX:
                        found = _count(dx, d0 + 1, d1, dx_kind, dx_members, a)
                    elif op == _COUNT_OTHER_PX:
                        found = _count(px, p0 + 1, p1, px_kind, px_members, a)
                    else:
                        found = _count(px, p0, p1, px_kind, px_members, a)
                    holds = _compares(found, b, value)
                at = nodes[at, _YES] if holds else nodes[at, _NO]
            outcome[i] = ~at
            # An ungrouped case is tried with each other procedure in turn, as the only one.
            if at != ~NO_ANSWER or retry[0] == 0:
                break
            p0 += 1
            while p0 < last and px_kind[px[p0]] == BLANK:
                p0 += 1
            if p0 >= last:
                break
            p1 = p0 + 1
