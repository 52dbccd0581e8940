"""The protected cells of a sheet: what a hospital is told of each of its cases.

Sending and reading make them from the same run in the same way, so that every cell that comes back
can be held against what was sent.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from grouper.appeals.layout import PROTECTED
from grouper.appeals.near import Near, near_groups
from grouper.appeals.told import Teller, codes_of, words
from grouper.grouping import columns_for
from grouper.report import Run
from grouper.report.sheets import word
from grouper.scheme import Scheme
from grouper.settlement.numbers import FEN, SCALE
from grouper.settlement.policy import Policy

Cells = tuple[str | int | None, ...]
"""One case: texts, fen and 1e-8 by the kinds of `PROTECTED`."""

CLOSE: Final = 20
"""A cost within a twentieth of a bound is uncertain: an item more or less moves the case."""

_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_LONGEST: Final = 32_000

Case = Mapping[str, Any]


def clean(text: str) -> str:
    """A text as a cell can hold it: control characters become blanks."""
    return _CONTROL.sub(" ", text.replace("\r\n", "\n"))[:_LONGEST]


@dataclass(frozen=True)
class Bounds:
    """The bounds of the normal class and the weight of a group, as the run states them."""

    weight: Decimal | None
    high: Decimal | None
    low: Decimal | None


class Rows:
    """Makes the cells of the cases of a run.

    Args:
        run: the run.
        scheme: its scheme.
        language: of the explanations, `zh` or `en`.
    """

    def __init__(self, run: Run, scheme: Scheme, language: str) -> None:
        self._scheme = scheme
        self._language = language
        self._teller = Teller(scheme, language)
        # The keys of a run's policy were checked when it was settled.
        policy = Policy.model_validate(run.manifest.policy["keys"])
        self._reviewed = policy.high.pay == "review"
        self._costs = (policy.high.cost, policy.low.cost)
        self._walked = policy.groups.by == "drg"
        self._names = {row["drg"]: row["drg_name"] for row in run.table("groups").to_pylist()}
        self._levels = {r["hospital_id"]: r["level"] for r in run.table("hospitals").to_pylist()}
        rows = run.table("benchmarks").to_pylist()
        self._bounds = {
            (row["drg"], row["level"]): Bounds(row["weight"], row["high_above"], row["low_below"])
            for row in rows
        }
        self._weights = {row["drg"]: row["weight"] for row in rows if row["weight"] is not None}

    def of(self, hospital: str, cases: pa.Table) -> list[Cells]:
        """The cells of the cases of a hospital.

        Args:
            hospital: its id.
            cases: a table of `gather.gathered`.
        """
        found: list[list[Near]] = [[] for _ in range(cases.num_rows)]
        if self._walked:
            names = [c.name for c in columns_for(self._scheme) if c.name in cases.column_names]
            drgs = [drg or "" for drg in cases.column("drg").to_pylist()]
            found = near_groups(cases.select(names), drgs, self._scheme, self._weights)
        level = self._levels[hospital]
        return [
            self._cells(case, level, near)
            for case, near in zip(cases.to_pylist(), found, strict=True)
        ]

    def _cells(self, case: Case, level: int, near: Sequence[Near]) -> Cells:
        dx, px = codes_of(case, "dx"), codes_of(case, "px")
        explanation, uncertain = self._told(case, level)
        values: dict[str, str | int | None] = {
            "case_id": case["case_id"],
            "month": case["month"],
            "pool": case["pool"] and word("pool", case["pool"]),
            "discharge_date": case["discharge_date"] and case["discharge_date"].isoformat(),
            "pdx": dx[0] if dx else "",
            "odx": "|".join(dx[1:]),
            "px": "|".join(px),
            "drg": case["drg"],
            "drg_name": self._names.get(case["drg"], ""),
            "total_cost": _integer(case["total_cost"], FEN),
            "points": _integer(case["points"], SCALE),
            "extra_points": _integer(case["extra_points"], SCALE),
            "value": _integer(case["value"], FEN),
            "gain": _integer(case["gain"], FEN),
            "explanation": explanation,
            "uncertain": "\n".join(uncertain),
            "near": "\n".join(self._near(one) for one in near),
        }
        for name in ("status", "route", "class", "reason"):
            values[name] = word(name, case[name]) if case[name] else ""
        return tuple(
            clean(value) if isinstance(value, str) else value
            for value in (values[field.name] for field in PROTECTED)
        )

    def _told(self, case: Case, level: int) -> tuple[str, list[str]]:
        language, status = self._language, case["status"]
        if not case["listed"]:
            return words("no_list", language), []
        uncertain = []
        if status in ("ambiguous", "ungrouped"):
            uncertain.append(words(status, language))
        if case["class"] == "unstable":
            uncertain.append(words("unstable", language))
        if case["reason"] == "review_pending":
            uncertain.append(words("pending", language))
        elif case["class"] == "high" and self._reviewed and case["reason"] == "above_high":
            uncertain.append(words("high", language))
        if case["route"] == "drg" and status == "grouped":
            uncertain += self._near_bounds(case, level)
        if not self._walked:
            return words("other", language).format(case["drg"]), uncertain
        facts = self._teller.facts(case)
        if facts is not None:
            for name, codes in (
                ("excluded", self._teller.complications(facts)),
                ("unknown", self._teller.unknown(facts)),
            ):
                if codes:
                    uncertain.append(words(name, language).format(" ".join(codes)))
        return self._teller.explain(facts, status, case["mdc"], case["drg"]), uncertain

    def _near_bounds(self, case: Case, level: int) -> list[str]:
        bounds = self._bounds.get((case["drg"], level))
        if bounds is None:
            return []
        found = []
        for name, bound, cost in (
            ("near_high", bounds.high, self._costs[0]),
            ("near_low", bounds.low, self._costs[1]),
        ):
            spent = case["total_cost"] if case.get(cost) is None else case[cost]
            if bound and abs(spent - bound) * CLOSE <= bound:
                found.append(words(name, self._language).format(f"{bound:.2f}"))
        return found

    def _near(self, near: Near) -> str:
        told = words(near.change, self._language).format(near.code)
        told = f"{told} → {near.drg} {self._names.get(near.drg, '')}".rstrip()
        if near.weight is None:
            return told
        shown = f"{near.weight.normalize():f}"
        return told + words("weight", self._language).format(shown)


def _integer(value: Decimal | None, unit: int) -> int | None:
    return None if value is None else int(value * unit)


def digest_of(rows: Sequence[Cells]) -> str:
    """SHA-256 of the cells of a sheet."""
    digest = hashlib.sha256()
    for cells in rows:
        digest.update(json.dumps(cells, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()
