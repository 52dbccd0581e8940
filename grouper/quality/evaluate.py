"""Evaluating the rules on a batch of cases.

`evaluate` is pure: the same batch gives the same findings wherever and with whatever others it is
evaluated. What compares cases with each other is in `across`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.grouping import GroupedBatch
from grouper.quality.codefacts import CodeFacts, facts_of
from grouper.quality.columns import Cases
from grouper.quality.registry import RULES, Rule, Severity
from grouper.quality.thresholds import Thresholds
from grouper.scheme import Scheme

Rows = NDArray[np.intp]

FINDINGS: Final = pa.schema(
    [
        (name, pa.string())
        for name in (
            "case_id", "hospital_id", "rule", "severity", "field", "value", "message", "message_zh",
        )
    ]
)  # fmt: skip
"""One row per case and rule that it breaks."""

_BETWEEN: Final = ", "


@dataclass(frozen=True)
class Plan:
    """What to evaluate.

    Attributes:
        scheme: whose codes are known.
        thresholds: what the rules compare with.
        rules: the rules that can be evaluated, in the order of `RULES`.
        absent: the columns that the other rules lack, by rule.
        facts: what is known of codes, for ``dx`` and ``px``.
    """

    scheme: Scheme = field(repr=False)
    thresholds: Thresholds
    rules: tuple[str, ...]
    absent: Mapping[str, tuple[str, ...]]
    facts: Mapping[str, CodeFacts] = field(repr=False)

    def severity(self, rule: Rule) -> Severity:
        """The severity of a rule: ``reject`` where the policy says so."""
        return "reject" if rule.code in self.thresholds.reject else rule.severity


def make_plan(scheme: Scheme, thresholds: Thresholds, columns: Collection[str]) -> Plan:
    """The plan for cases that have these columns.

    A rule with a column that the cases lack is not evaluated.
    """
    absent = {
        code: missing
        for code, rule in RULES.items()
        if (missing := tuple(name for name in rule.needs if name not in columns))
    }
    rules = tuple(code for code in RULES if code not in absent)
    return Plan(scheme, thresholds, rules, absent, facts_of(scheme, thresholds))


@dataclass(frozen=True)
class Found:
    """The rows of a batch that break a rule.

    Attributes:
        rows: int[found], rising.
        value: what is told of each, as text.
    """

    rule: Rule
    rows: Rows
    value: pa.Array


def evaluate(
    batch: pa.RecordBatch, plan: Plan, grouped: GroupedBatch | None = None
) -> tuple[Found, ...]:
    """What the cases of a batch break, rule by rule; rules that nothing breaks are left out.

    Args:
        batch: columns by their names in the registry of `grouper.cases`.
        plan: what to evaluate.
        grouped: the same cases as they were grouped, where they were.
    """
    cases = Cases(batch, plan.thresholds, plan.facts, plan.scheme, grouped)
    found = []
    for code in plan.rules:
        rule = RULES[code]
        if rule.places is not None:
            hit = _codes(cases, rule)
        elif rule.mask is not None:
            rows = np.flatnonzero(rule.mask(cases))
            hit = Found(rule, rows, _shown(cases, rule, rows)) if len(rows) else None
        else:
            hit = None
        if hit is not None:
            found.append(hit)
    return tuple(found)


def _codes(cases: Cases, rule: Rule) -> Found | None:
    """The first code at fault of each row."""
    assert rule.places is not None
    places, rows = rule.places(cases)
    if not len(places):
        return None
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    places, rows = places[first], rows[first]
    codes = cases.dx if rule.field == "dx" else cases.px
    texts = codes.texts(places, rows)
    if rule.code.startswith("retired"):
        own = cases.facts[rule.field].successors
        texts = pa.array([f"{t} → {own.get(t, '')}" for t in texts.to_pylist()], pa.string())
    return Found(rule, rows, texts)


def _shown(cases: Cases, rule: Rule, rows: Rows) -> pa.Array:
    """The values to tell of these rows."""
    taken = pa.array(rows)
    columns = []
    for name in rule.shows or (rule.field,):
        column = cases.column(name)
        if column is None or pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            columns.append(pa.array([""] * len(rows), pa.string()))
        else:
            columns.append(pc.fill_null(column.take(taken).cast(pa.string()), ""))
    return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, _BETWEEN)
