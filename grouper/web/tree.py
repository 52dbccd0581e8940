"""The walk of a case as a tree to read: what was met in full, what was passed over folded up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from grouper.explain import NodeTrace, TestTrace
from grouper.scheme import rules
from grouper.web.phrase import Phrases


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that decided a rule, in words.

    Attributes:
        codes: the codes of the case that matched, with their names.
        actual: the value that was compared; empty where none was.
        missing: whether the value is missing.
    """

    told: Markup
    holds: bool
    codes: tuple[tuple[str, str], ...]
    actual: str
    missing: bool


@dataclass(frozen=True, slots=True)
class Met:
    """A node of the walk.

    Attributes:
        key: its address among the pages of the scheme.
        below: what the walk met under it.
    """

    trace: NodeTrace
    key: str
    conditions: tuple[Condition, ...]
    below: tuple[Met | Passed, ...]


@dataclass(frozen=True, slots=True)
class Passed:
    """Neighbouring nodes whose rule fails, folded into one line."""

    level: str
    nodes: tuple[Met, ...]


class Tree:
    """Makes trees of walks.

    Args:
        phrases: rules in words.
        names: names of the codes of the case.
    """

    def __init__(self, phrases: Phrases, names: Mapping[str, str]) -> None:
        self._phrases = phrases
        self._names = names

    def of(self, nodes: Sequence[NodeTrace], above: str = "") -> tuple[Met | Passed, ...]:
        """The nodes of one level, in the order of the walk."""
        return tuple(self._folded(nodes, above))

    def _folded(self, nodes: Sequence[NodeTrace], above: str) -> Iterator[Met | Passed]:
        passed: list[Met] = []
        for trace in nodes:
            node = self._node(trace, above)
            if trace.holds:
                if passed:
                    yield Passed(trace.level, tuple(passed))
                    passed = []
                yield node
            else:
                passed.append(node)
        if passed:
            yield Passed(passed[0].trace.level, tuple(passed))

    def _node(self, trace: NodeTrace, above: str) -> Met:
        place = f"{above}/{trace.node}" if trace.level == "drg" else trace.node
        return Met(
            trace,
            f"{trace.level}/{place}",
            tuple(self._condition(test) for test in trace.tests),
            self.of(trace.children, trace.node),
        )

    def _condition(self, test: TestTrace) -> Condition:
        actual = test.text or ""
        missing = False
        if test.value is not None:
            actual = str(test.value)
        elif not test.codes and not test.holds and test.text is None:
            missing = _compares(test.rule)
        codes = tuple((code, self._names.get(code, "")) for code in dict.fromkeys(test.codes))
        return Condition(self._phrases.text(test.rule), test.holds, codes, actual, missing)


def _compares(rule: str) -> bool:
    """Whether a condition compares a column of the case, which may be missing."""
    return isinstance(rules.parse(rule), rules.Compare | rules.Discharge | rules.Dept)
