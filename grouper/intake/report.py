"""What an import tells: as JSON, and the list of the known fields."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from grouper.intake.columns import columns_by_field
from grouper.intake.fields import TABLES

if TYPE_CHECKING:
    from grouper.intake.importing import Imported, Understood


def report(done: Imported) -> dict[str, Any]:
    """What became of the rows and how the source was understood."""
    told = done.understood
    found: dict[str, Any] = {
        "cases": done.cases,
        "tables": {name: asdict(count) for name, count in done.counts.items()},
        "case_id": told.case_id,
        "join": told.join,
        "columns": {
            one.column.name: {"from": [".".join(f) for f in one.fields], "how": one.told}
            for one in told.columns
        },
        "fields": told.fields,
        "unused": told.unused,
        "alone": alone(told),
        "absent": told.absent,
        "not_understood": told.pieces,
        "notes": told.notes,
    }
    if done.shown is not None and done.rejected is not None:
        found["shown"] = done.shown.to_pylist()
        found["rejected"] = done.rejected.to_pylist()
    return found


def alone(told: Understood) -> dict[str, list[str]]:
    """Fields that the source has and no column takes, with the columns that others are needed for.

    A field that gives a column by itself where nothing better is there is not among them.
    """
    made = {one.column.name for one in told.columns}
    return {
        f"{table}.{field}": list(names)
        for (table, field), names in columns_by_field().items()
        if field in told.fields.get(table, {}) and not made & set(names)
    }


def as_json(done: Imported) -> str:
    """The report as a text; dates and amounts as texts."""
    return json.dumps(report(done), ensure_ascii=False, indent=2, default=str)


def field_rows() -> list[dict[str, Any]]:
    """Every known field: table, field, read, zh, en, also, and the columns that it can give."""
    gives = columns_by_field()
    return [
        {
            "table": table.name,
            "field": field.name,
            "read": field.read.value,
            "zh": field.zh,
            "en": field.en,
            "also": list(field.also),
            "columns": list(gives.get((table.name, field.name), ())),
        }
        for table in TABLES.values()
        for field in table.fields.values()
    ]
