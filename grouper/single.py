"""Grouping one case at once: the kernel's walk in plain Python, without Arrow around it.

A batch of one spends its time on making arrays. For a service that answers case by case this is
twenty times as quick; the answers are the kernel's, which a test holds on all published cases.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from grouper.errors import PackError
from grouper.grouping import AMBIGUOUS, GROUPED, INVALID, REASON, SEVERITY, STATUS, UNGROUPED
from grouper.kernels.layout import (
    BLANK,
    COMPARISONS,
    NO_ANSWER,
    NO_LEVEL,
    UNKNOWN,
    Op,
    Reason,
    SeverityLevel,
)
from grouper.scheme import Scheme
from grouper.scheme.codes import PREFIX_MARK
from grouper.scheme.compile import CodeTable

_COMPARE: Final[dict[str, Callable[[int, int], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


# Plain integers: a member of an enumeration is looked up and compared more slowly.
_MCC, _CC, _NUMBER, _SITES = int(Op.MCC), int(Op.CC), int(Op.NUMBER), int(Op.SITES)
_OTHER_DX, _OTHER_PX, _PRINCIPAL_PX = int(Op.OTHER_DX), int(Op.OTHER_PX), int(Op.PRINCIPAL_PX)
_COUNT_OTHER_DX, _COUNT_PX = int(Op.COUNT_OTHER_DX), int(Op.COUNT_PX)
_LEVEL_MCC = int(SeverityLevel.MCC)


class SingleResult(NamedTuple):
    """Where one case falls; texts as in the grouped table, empty where they do not apply."""

    status: str
    mdc: str
    adrg: str
    drg: str
    severity: str
    reason: str
    unknown_dx: int
    unknown_px: int


class _Codes:
    """Kinds of codes, and what a kind means."""

    def __init__(self, table: CodeTable) -> None:
        self._kinds: dict[str, int] = dict(zip(table.codes, table.kind_of.tolist(), strict=True))
        prefixes = {len(c) - 1 for c in table.codes if c.endswith(PREFIX_MARK)}
        self._lengths = sorted(prefixes, reverse=True)
        self._dropped = table.dropped
        self.principal: list[int] = table.principal.tolist()
        bits = np.unpackbits(table.members.view(np.uint8), axis=1, bitorder="little")
        self.sets = [frozenset(np.flatnonzero(column).tolist()) for column in bits.T]

    def kinds(self, codes: object) -> list[int]:
        """The kinds of a list's codes, those left out that an edition's map drops."""
        kinds = (self.kind(c) for c in codes) if isinstance(codes, list | tuple) else ()
        return [kind for kind in kinds if kind != self._dropped]

    def kind(self, code: str | None) -> int:
        """The kind of a code, as `kernels.codes` finds it."""
        if code is None:
            return BLANK
        found = self._kinds.get(code)
        if found is not None:
            return found
        if not code.strip(" \t\n\v\f\r\u3000"):
            return BLANK
        for length in self._lengths:
            if length <= len(code):
                found = self._kinds.get(code[:length] + PREFIX_MARK)
                if found is not None:
                    return found
        return UNKNOWN


class SingleGrouper:
    """Groups cases one by one; made once for a scheme, and then shared by threads.

    Raises:
        PackError: the scheme is a registry.
    """

    def __init__(self, scheme: Scheme) -> None:
        compiled = scheme.compiled
        self.scheme = scheme
        if scheme.dated:
            raise PackError(
                f"{scheme.source} is a registry, and cases are grouped here by one scheme",
                hint=f"name one of its packs, such as {scheme.dated[-1].source}",
            )
        self._dx, self._px = _Codes(compiled.dx), _Codes(compiled.px)
        self._exclusion: list[int] = compiled.exclusion.tolist()
        self._complication = [(c >> 16, c & 0xFFFF) for c in compiled.complication.tolist()]
        self._sites: list[list[int]] = compiled.sites.tolist()
        self._root = compiled.decisions.root
        self._by_procedure = self._root.shape[1] > 1
        self._nodes = [tuple(node) for node in compiled.decisions.nodes.tolist()]
        self._numbers = compiled.numbers
        self._retry = compiled.retry_other_procedures
        self._answers = [
            (STATUS[AMBIGUOUS if o.ambiguous else GROUPED], o.mdc, o.adrg, o.drg)
            for o in compiled.outcomes
        ]
        self._answers[NO_ANSWER] = (STATUS[UNGROUPED], *self._answers[NO_ANSWER][1:])
        self._compare = [_COMPARE[name] for name in COMPARISONS]
        self._departments = {name: i for i, name in enumerate(compiled.departments)}

    def group(self, case: Mapping[str, object]) -> SingleResult:
        """Group a case.

        Args:
            case: columns by their names in the registry; absent ones count as null. `dx` and `px`
                are sequences of codes, the principal one first.
        """
        dx, px = self._dx.kinds(case.get("dx")), self._px.kinds(case.get("px"))
        unknown = (dx.count(UNKNOWN), px.count(UNKNOWN))
        if case.get("case_id") is None:
            return self._invalid(Reason.NO_ID, unknown)
        if not dx or dx[0] == BLANK:
            return self._invalid(Reason.NO_DIAGNOSIS, unknown)
        levels = self._levels(dx)
        numbers = [self._number(case, name) for name in self._numbers]
        answer = self._answer(dx, px, levels, numbers)
        if answer == NO_ANSWER and self._retry:
            for other in px[1:]:
                if other != BLANK and answer == NO_ANSWER:
                    answer = self._answer(dx, [other], levels, numbers)
        severity = SEVERITY[min(levels, _LEVEL_MCC)]
        return SingleResult(*self._answers[answer], severity, "", *unknown)

    def _invalid(self, reason: Reason, unknown: tuple[int, int]) -> SingleResult:
        return SingleResult(STATUS[INVALID], "", "", "", "", REASON[reason], *unknown)

    def _number(self, case: Mapping[str, object], name: str) -> int | None:
        value = case.get(name)
        if name == "dept":
            return self._departments.get(str(value)) if value is not None else None
        return value if isinstance(value, int) else None

    def _levels(self, dx: Sequence[int]) -> int:
        """Bit 1: an MCC that is not excluded; bit 0: a CC."""
        excluded = self._exclusion[dx[0]]
        levels = 0
        for kind in dx[1:]:
            mcc, cc = self._complication[kind]
            if mcc != NO_LEVEL and mcc != excluded:
                levels |= 2
            if cc != NO_LEVEL and cc != excluded:
                levels |= 1
        return levels

    def _answer(
        self, dx: Sequence[int], px: Sequence[int], levels: int, numbers: Sequence[int | None]
    ) -> int:
        column = self._px.principal[px[0]] if px and self._by_procedure else 0
        at = int(self._root[self._dx.principal[dx[0]], column])
        while at >= 0:
            op, a, b, value, yes, no = self._nodes[at]
            if op == _MCC:
                holds = levels >= 2
            elif op == _CC:
                holds = levels & 1 == 1
            elif op == _NUMBER:
                number = numbers[a]
                holds = number is not None and self._compare[b](number, value)
            elif op == _OTHER_PX:
                holds = not self._px.sets[a].isdisjoint(px[1:])
            elif op == _OTHER_DX:
                holds = not self._dx.sets[a].isdisjoint(dx[1:])
            elif op == _PRINCIPAL_PX:
                holds = not self._px.sets[a].isdisjoint(px[:1])
            else:
                holds = self._compare[b](self._count(op, a, dx, px), value)
            at = yes if holds else no
        return ~at

    def _count(self, op: int, a: int, dx: Sequence[int], px: Sequence[int]) -> int:
        """What a counting test counts (`kernels.layout.Op`)."""
        if op == _SITES:
            return len({self._sites[a][kind] for kind in dx} - {0})
        if op == _COUNT_OTHER_DX:
            return sum(kind in self._dx.sets[a] for kind in dx[1:])
        return sum(kind in self._px.sets[a] for kind in (px if op == _COUNT_PX else px[1:]))
