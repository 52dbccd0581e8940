"""Tables that only some policies make, on the page of the hospital that they are about."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any, Final

from grouper.report.columns import COLUMNS
from grouper.report.view import Row, View, fen, number

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
}
"""Table of the run → its columns → the columns that show them."""


def policy_tables(view: View) -> dict[str, dict[str, list[Row]]]:
    """Rows by hospital of each of these tables that the run has."""
    found: dict[str, dict[str, list[Row]]] = {}
    for name, columns in POLICY_TABLES.items():
        if name not in view.run.files:
            continue
        rows: dict[str, list[Row]] = defaultdict(list)
        for row in view.facts.dicts(f'SELECT * FROM "{name}" ORDER BY ALL'):
            values = [_value(COLUMNS[shown].kind, row[column]) for column, shown in columns.items()]
            rows[row["hospital_id"]].append(values)
        found[name] = rows
    return found


def _value(kind: str, value: Any) -> Any:
    if isinstance(value, Decimal):
        return fen(value) if kind in {"money", "yuan"} else number(value)
    return value
