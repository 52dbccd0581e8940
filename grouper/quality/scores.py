"""What each hospital is told of its lists: rates with numerator and denominator, and its rank."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from grouper.quality.evaluate import Plan
from grouper.quality.registry import RULES

Counts = NDArray[np.int64]

CASES, UPLOADED, PASSED, WARNED = range(4)
"""Columns of the counts of a hospital, before those of the rules."""
FIRST_RULE: Final = 4


@dataclass
class Tally:
    """Counts by hospital: cases, uploaded, passed, warned, then cases that break each rule.

    ``passed`` are the cases that break no rule of severity ``reject``; ``warned`` those that break
    any rule. The rules are all of `RULES`, in their order.
    """

    hospitals: dict[str, Counts] = field(default_factory=dict)

    def add(self, hospitals: Sequence[str], counts: Counts) -> None:
        """Add int64[hospitals, columns]."""
        for hospital, row in zip(hospitals, counts, strict=True):
            known = self.hospitals.get(hospital)
            self.hospitals[hospital] = row if known is None else known + row

    def merge(self, other: Tally) -> None:
        """Add the counts of another part."""
        for hospital, row in other.hospitals.items():
            self.add([hospital], row[None, :])

    @property
    def total(self) -> Counts:
        """Counts over all hospitals."""
        none = np.zeros(FIRST_RULE + len(RULES), np.int64)
        return sum(self.hospitals.values(), none)


@dataclass(frozen=True)
class HospitalName:
    """What a hospital is called, where the region says it."""

    name: str
    level: int


def ranked(tally: Tally, among: Collection[str] = ()) -> list[tuple[int, str]]:
    """(rank, hospital_id) by first-pass rate, then by upload rate; equal ones share a rank.

    Args:
        tally: counts.
        among: the hospitals that are ranked; empty ranks all.
    """

    def merit(hospital: str) -> tuple[Fraction, Fraction]:
        counts = tally.hospitals[hospital]
        cases = int(counts[CASES])
        return Fraction(int(counts[PASSED]), cases), Fraction(int(counts[UPLOADED]), cases)

    known = [hospital for hospital in tally.hospitals if not among or hospital in among]
    order = sorted(known, key=lambda h: (*(-rate for rate in merit(h)), h))
    found: list[tuple[int, str]] = []
    for place, hospital in enumerate(order, 1):
        same = found and merit(found[-1][1]) == merit(hospital)
        found.append((found[-1][0] if same else place, hospital))
    return found


def scores_table(tally: Tally, names: Mapping[str, HospitalName], *, with_upload: bool) -> pa.Table:
    """One row per hospital, sorted by hospital_id.

    Columns: hospital_id, name, level, cases, uploaded, upload_rate, passed, first_pass_rate,
    warned, rank. Rates are floats for display; uploaded and upload_rate are null where the cases
    have no ``upload_date``; the rank is null for a hospital that the region does not know.
    """
    ranks = {hospital: rank for rank, hospital in ranked(tally, names)}
    rows = sorted(tally.hospitals.items())
    none = HospitalName("", 0)
    uploaded = [int(counts[UPLOADED]) if with_upload else None for _, counts in rows]
    cases = [int(counts[CASES]) for _, counts in rows]
    passed = [int(counts[PASSED]) for _, counts in rows]
    named = [names.get(hospital, none) for hospital, _ in rows]
    return pa.table(
        {
            "hospital_id": pa.array([hospital for hospital, _ in rows], pa.string()),
            "name": pa.array([of.name for of in named], pa.string()),
            "level": pa.array([of.level or None for of in named], pa.int8()),
            "cases": pa.array(cases, pa.int64()),
            "uploaded": pa.array(uploaded, pa.int64()),
            "upload_rate": _rates(uploaded, cases),
            "passed": pa.array(passed, pa.int64()),
            "first_pass_rate": _rates(passed, cases),
            "warned": pa.array([int(counts[WARNED]) for _, counts in rows], pa.int64()),
            "rank": pa.array([ranks.get(hospital) for hospital, _ in rows], pa.int32()),
        }
    )


def errors_table(tally: Tally, plan: Plan) -> pa.Table:
    """One row per hospital and evaluated rule, sorted by both.

    Columns: hospital_id, rule, severity, broken (cases), cases, error_rate.
    """
    places = {code: FIRST_RULE + i for i, code in enumerate(RULES)}
    rows = [
        (hospital, code, int(counts[places[code]]), int(counts[CASES]))
        for hospital, counts in sorted(tally.hospitals.items())
        for code in sorted(plan.rules)
    ]
    broken, cases = [row[2] for row in rows], [row[3] for row in rows]
    severity = [plan.severity(RULES[row[1]]) for row in rows]
    return pa.table(
        {
            "hospital_id": pa.array([row[0] for row in rows], pa.string()),
            "rule": pa.array([row[1] for row in rows], pa.string()),
            "severity": pa.array(severity, pa.string()),
            "broken": pa.array(broken, pa.int64()),
            "cases": pa.array(cases, pa.int64()),
            "error_rate": _rates(broken, cases),
        }
    )


def rules_table(tally: Tally, plan: Plan) -> pa.Table:
    """One row per rule in the order of `RULES`.

    Columns: rule, severity, field, evaluated, absent (columns that it lacks), broken, cases,
    error_rate, en, zh, thresholds.
    """
    total = tally.total
    cases = int(total[CASES])
    evaluated = [code in plan.rules for code in RULES]
    broken = [int(total[FIRST_RULE + i]) if known else None for i, known in enumerate(evaluated)]
    rules = list(RULES.values())
    limits = [
        "; ".join(f"{name} = {getattr(plan.thresholds, name)}" for name in rule.limits)
        for rule in rules
    ]
    return pa.table(
        {
            "rule": pa.array(list(RULES), pa.string()),
            "severity": pa.array([plan.severity(rule) for rule in rules], pa.string()),
            "field": pa.array([rule.field for rule in rules], pa.string()),
            "evaluated": pa.array(evaluated, pa.bool_()),
            "absent": pa.array([", ".join(plan.absent.get(c, ())) for c in RULES], pa.string()),
            "broken": pa.array(broken, pa.int64()),
            "cases": pa.array([cases if known else None for known in evaluated], pa.int64()),
            "error_rate": _rates(broken, [cases] * len(rules)),
            "en": pa.array([rule.en for rule in rules], pa.string()),
            "zh": pa.array([rule.zh for rule in rules], pa.string()),
            "thresholds": pa.array(limits, pa.string()),
        }
    )


def quality_tables(
    tally: Tally, plan: Plan, columns: Collection[str], names: Mapping[str, HospitalName]
) -> dict[str, pa.Table]:
    """The tables ``rules``, ``scores`` and ``errors`` of a check.

    Args:
        tally: counts of all parts.
        plan: what was evaluated.
        columns: of the cases.
        names: the hospitals of the region; empty where they are not known.
    """
    return {
        "rules": rules_table(tally, plan),
        "scores": scores_table(tally, names, with_upload="upload_date" in columns),
        "errors": errors_table(tally, plan),
    }


def _rates(above: Iterable[int | None], below: Iterable[int]) -> pa.Array:
    return pa.array(
        [None if a is None or not b else a / b for a, b in zip(above, below, strict=True)],
        pa.float64(),
    )
