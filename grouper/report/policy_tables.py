"""Tables that not every run has: on the page of their hospital, and for the region."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any, Final

from grouper.report.columns import COLUMNS
from grouper.report.view import Row, View, fen, number, table
from grouper.settlement.visits import OUTCOMES

POLICY_TABLES: Final[dict[str, dict[str, str]]] = {
    "per_diem": {
        "pool": "pool",
        "month": "month",
        "cases": "cases",
        "points": "st_points",
        "point_value": "point_value",
        "gross": "gross",
        "cash": "cash",
        "paid": "paid",
    },
    "incentive": {
        "pool": "pool",
        "points": "st_points",
        "coefficient": "encouragement",
        "amount": "incentive",
    },
    "quota": {
        "pool": "pool",
        "entitled": "entitled",
        "spent": "spent",
        "saved": "saved",
        "overspent": "overspent",
        "carried_in": "carried_in",
        "used": "used",
        "covered": "covered",
        "carried_out": "carried_out",
    },
    "simulation": {
        "pool": "pool",
        "drg": "group",
        "status": "status",
        "cases": "cases",
        "simulated_cases": "simulated_cases",
        "item": "item_cost",
        "by_points": "by_points",
        "difference": "by_difference",
    },
    "late": {
        "pool": "pool",
        "month": "month",
        "cases": "cases",
        "points": "st_points",
        "cash": "cash",
    },
    "late_cases": {
        "case_id": "case_id",
        "pool": "pool",
        "month": "month",
        "points": "st_points",
        "extra_points": "extra_points",
        "total_cost": "case_cost",
    },
    "versions": {
        "case_id": "case_id",
        "version_before": "version_before",
        "version": "version",
        "change": "version_change",
        "drg_before": "drg_before",
        "drg": "drg_now",
        "points_before": "points_before",
        "points": "points_now",
        "points_change": "points_change",
        "month_closed": "month_closed",
    },
    "odd_codes": {
        "list": "code_list",
        "kind": "odd_kind",
        "code": "code",
        "codes": "odd_times",
        "cases": "odd_cases",
    },
}
"""Table of the run → its columns → the columns that show them."""

REGION_TABLES: Final = ("closed_months", "late_region", "annual_prepay", "visits", "apart")
"""Tables of `region_tables`, in their order."""

SHOWN: Final = 500
"""Rows of one of these tables on a page; the hospital's workbook has all."""

_CLOSED: Final = ("pool", "month", "closed_cases", "late_cases", "no_longer_there")
_APART: Final = ("cases", "cost", "without_case", "cost_without_case")

_IF_ANY: Final = ("late", "late_cases", "versions", "odd_codes")
"""Tables that are not shown where they are empty."""

_ORDER: Final = {"odd_codes": "cases DESC, codes DESC, list, kind, code, hospital_id"}


def policy_tables(view: View) -> dict[str, dict[str, list[Row]]]:
    """Rows by hospital of each of these tables that the run has."""
    found: dict[str, dict[str, list[Row]]] = {}
    for name, columns in POLICY_TABLES.items():
        if name not in view.run.files:
            continue
        rows: dict[str, list[Row]] = defaultdict(list)
        order = _ORDER.get(name, "ALL")
        for row in view.facts.dicts(f'SELECT * FROM "{name}" ORDER BY {order}'):
            values = [_value(COLUMNS[shown].kind, row[column]) for column, shown in columns.items()]
            rows[row["hospital_id"]].append(values)
        if rows or name not in _IF_ANY:
            found[name] = rows
    return found


def region_tables(view: View) -> dict[str, dict[str, Any]]:
    """What a run says region-wide of closed months, prepayments, visits and drugs paid apart.

    Only tables that have rows; each is a section of the page of the accounts.
    """
    notes = view.run.manifest.notes
    apart, visits = notes.get("apart"), notes.get("visits", {})
    found = {
        "closed_months": table(
            "pool month closed_cases late_cases gone_cases",
            [[of[name] for name in _CLOSED] for of in notes.get("closed_months", [])],
        ),
        "late_region": table("hospital pool month cases st_points cash", _late(view)),
        "annual_prepay": table(
            "pool year_yuan", [list(pair) for pair in notes.get("annual_prepay", {}).items()]
        ),
        "visits": table(
            "visit_outcome visits year_yuan",
            [[name, visits[name]["visits"], visits[name]["cost"]] for name in OUTCOMES if visits],
        ),
        "apart": table(
            "apart_cases apart_cost apart_missing apart_missing_cost",
            [[apart[name] for name in _APART]] if apart else [],
        ),
    }
    return {name: part for name, part in found.items() if part["rows"]}


def odd_codes(view: View) -> dict[str, Any]:
    """Odd codes of the whole region, the most frequent first; empty where the run has none."""
    rows: list[Row] = []
    if "odd_codes" in view.run.files:
        rows = [
            list(row)
            for row in view.facts.rows(
                """
                SELECT list, kind, code, count(DISTINCT hospital_id), sum(codes)::BIGINT,
                       sum(cases)::BIGINT AS cases
                FROM odd_codes GROUP BY 1, 2, 3 ORDER BY cases DESC, 1, 2, 3
                """
            )
        ]
    return table("code_list odd_kind code hospitals odd_times odd_cases", rows)


def _late(view: View) -> list[Row]:
    if "late" not in view.run.files:
        return []
    return [
        [
            view.hospital_number[row["hospital_id"]],
            row["pool"],
            row["month"],
            row["cases"],
            number(row["points"]),
            fen(row["cash"]),
        ]
        for row in view.facts.dicts("SELECT * FROM late ORDER BY hospital_id, pool, month")
    ]


def _value(kind: str, value: Any) -> Any:
    if isinstance(value, Decimal):
        return fen(value) if kind in {"money", "yuan"} else number(value)
    return value
