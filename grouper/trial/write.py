"""Files of a trial: a page with its picture, tables as Parquet and CSV, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from grouper.newfolder import new_folder
from grouper.report.spreadsheet import write_for_people
from grouper.scheme.diff_model import SchemeDiff
from grouper.trial.migration import Migration, mix_record, move_record
from grouper.trial.stats import SchemeStats

_TEXT = ("mdc", "adrg", "drg", "name", "status", "drg_a", "drg_b", "status_a", "status_b")
_COUNTS = ("cases", "cases_a", "cases_b")
_MONEY = ("cost", "mean_cost", "cost_a", "cost_b")


def write_diff(diff: SchemeDiff, found: Migration | None, out: Path) -> Path:
    """Write a difference between schemes into a folder; return its page.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
    """
    whole = diff.to_dict()
    tables: dict[str, Sequence[Mapping[str, Any]]] = {"changes": list(diff.rows())}
    if found is not None:
        moves = [move_record(move) for move in found.moves]
        tables |= {
            "migration": moves,
            "mdcs": [mix_record(mix, "mdc") for mix in found.mdcs],
            "hospitals": [mix_record(mix, "hospital_id") for mix in found.hospitals],
            "drgs": _drgs(found),
        }
        whole["migration"] = found.to_dict()

    with new_folder(out, mark="diff.json") as folder:
        _write_tables(tables, folder)
        _write_json(whole, folder / "diff.json")
        _page(diff, found, folder)
    return out / "index.html"


def write_stats(stats: SchemeStats, out: Path) -> None:
    """Write the statistics of a scheme into a folder: `groups` and `mdcs`, and `stats.json`.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
    """
    whole = stats.to_dict()
    tables = {"groups": whole.pop("groups"), "mdcs": whole.pop("mdcs")}

    with new_folder(out, mark="stats.json") as folder:
        _write_tables(tables, folder)
        _write_json(whole, folder / "stats.json")


def _write_json(value: object, path: Path) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _write_tables(tables: Mapping[str, Sequence[Mapping[str, Any]]], folder: Path) -> None:
    for name, rows in tables.items():
        if rows:
            table = pa.table({key: _column(key, rows) for key in rows[0]})
            pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
            write_for_people(table, folder / f"{name}.csv")


def _column(key: str, rows: Sequence[Mapping[str, Any]]) -> pa.Array:
    values = [row[key] for row in rows]
    if key in _COUNTS:
        return pa.array(values, pa.int64())
    if key in _MONEY:
        # Whole fen below 2**53 are exact as a float of two places.
        texts = [None if value is None else f"{value:.2f}" for value in values]
        return pa.array(texts, pa.string()).cast(pa.decimal128(18, 2))
    if any(isinstance(value, str) for value in values) or key in _TEXT:
        return pa.array(values, pa.string())
    return pa.array(values, pa.float64())


def _drgs(found: Migration) -> list[dict[str, Any]]:
    sides = [{g.drg: g for g in stats.groups} for stats in (found.a, found.b)]
    stayed = {move.a: move.cases for move in found.moves if not move.moved}
    rows = []
    for drg in sorted({*sides[0], *sides[1]}):
        records = [side[drg].record(stats.valid) if drg in side else {} for side, stats in
                   zip(sides, (found.a, found.b), strict=True)]  # fmt: skip
        row: dict[str, Any] = {"drg": drg, "name": found.names.get(drg, "")}
        for key in ("cases", "cost", "mean_cost", "cv", "weight"):
            for record, side_name in zip(records, "ab", strict=True):
                empty = 0 if key == "cases" else None
                row[f"{key}_{side_name}"] = record.get(key, empty)
        rows.append(row | {"stayed": stayed.get(drg, 0)})
    return rows


def _page(diff: SchemeDiff, found: Migration | None, folder: Path) -> None:
    from grouper.trial.page import write_page

    write_page(diff, found, folder)
