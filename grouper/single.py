"""Grouping one case at once: the kernel's walk in plain Python, without Arrow around it.

A batch of one spends its time on making arrays. For a service that answers case by case this is
twenty times as quick; the answers are the kernel's, which a test holds on all published cases.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

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


@dataclass(frozen=True, slots=True)
class SingleResult:
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
        self.members = [
            sum(word << (64 * i) for i, word in enumerate(words))
            for words in table.members.tolist()
        ]

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
        self._nodes: list[list[int]] = compiled.decisions.nodes.tolist()
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
        numbers = [self._number(case, name) for name in self.scheme.compiled.numbers]
        answer = self._answer(dx, px, levels, numbers)
        if answer == NO_ANSWER and self.scheme.compiled.retry_other_procedures:
            for other in px[1:]:
                if other != BLANK and answer == NO_ANSWER:
                    answer = self._answer(dx, [other], levels, numbers)
        outcome = self.scheme.compiled.outcomes[answer]
        status = AMBIGUOUS if outcome.ambiguous else GROUPED
        if answer == NO_ANSWER:
            status = UNGROUPED
        severity = SEVERITY[min(levels, SeverityLevel.MCC)]
        named = (outcome.mdc, outcome.adrg, outcome.drg)
        return SingleResult(STATUS[status], *named, severity, "", *unknown)

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
        column = self._px.principal[px[0]] if px and self._root.shape[1] > 1 else 0
        at = int(self._root[self._dx.principal[dx[0]], column])
        while at >= 0:
            op, a, b, value, yes, no = self._nodes[at]
            at = yes if self._holds(op, a, b, value, dx, px, levels, numbers) else no
        return ~at

    def _holds(
        self,
        op: int,
        a: int,
        b: int,
        value: int,
        dx: Sequence[int],
        px: Sequence[int],
        levels: int,
        numbers: Sequence[int | None],
    ) -> bool:
        """Whether the test of a node holds (`kernels.layout.Op`)."""
        if op == Op.MCC:
            return levels >= 2
        if op == Op.CC:
            return levels & 1 == 1
        if op == Op.NUMBER:
            number = numbers[a]
            return number is not None and self._compare[b](number, value)
        if op == Op.SITES:
            found = len({self._sites[a][kind] for kind in dx} - {0})
        else:
            diagnoses = op in (Op.OTHER_DX, Op.COUNT_OTHER_DX)
            members = self._dx.members if diagnoses else self._px.members
            kinds = dx[1:] if diagnoses else px[1:]
            if op == Op.PRINCIPAL_PX:
                kinds = px[:1]
            elif op == Op.COUNT_PX:
                kinds = px
            found = sum(members[kind] >> a & 1 for kind in kinds)
            if op in (Op.OTHER_DX, Op.OTHER_PX, Op.PRINCIPAL_PX):
                return found > 0
        return self._compare[b](found, value)
