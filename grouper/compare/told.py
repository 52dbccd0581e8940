"""A comparison on the terminal."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

from grouper.compare.runs import Comparison
from grouper.report.sheets import word
from grouper.report.words import WORDS

SHOWN: Final = 10


def terminal_tables(found: Comparison) -> list[Table]:
    """The change by pool and level, the ten largest causes, who gains and who loses most."""
    return [_groups(found), _causes(found), _hospitals(found)]


def detail_text(found: Comparison, kind: str, detail: str, language: int = 0) -> str:
    """What a cause is about, in Chinese (0) or English (1) words."""
    ends = detail.split(" → ")
    if kind in {"moved", "weight"}:
        names = {drg.code: drg.name for drg in found.drgs}
        names["-"] = WORDS["ungrouped_cases"][language]
        return " → ".join(f"{code} {names.get(code, '')}".strip("- ") for code in ends)
    prefix = {"route": "route", "class": "class", "rule": "class", "point_value": "pool"}.get(kind)
    if kind == "coefficient":
        return word("level", detail, language)
    return " → ".join(word(prefix, code, language) for code in ends) if prefix else detail


def _groups(found: Comparison) -> Table:
    table = _table(
        f"A {found.a.folder.name} → B {found.b.folder.name}",
        ("", "cases A", "cases B", "points B − A", "value A", "value B", "B − A", "%"),
    )
    for name, *change in (
        *((word("pool", str(row[0])), *row[1:]) for row in found.by_pool),
        *((word("level", str(row[0])), *row[1:]) for row in found.by_level),
        ("合计 total", *found.total),
    ):
        table.add_row(Text(str(name)), *_change_cells(change))
    return table


def _causes(found: Comparison) -> Table:
    table = _table(
        "原因 causes",
        ("", "", "cases", "points", "effect (CNY)"),
        left=2,
    )
    for cause in found.causes[:SHOWN]:
        table.add_row(
            Text(word("cause", cause.kind)),
            Text(detail_text(found, cause.kind, cause.detail)),
            f"{cause.cases:,}",
            f"{cause.points:,.2f}",
            yuan(cause.effect),
        )
    return table


def _hospitals(found: Comparison) -> Table:
    table = _table(
        "机构 hospitals",
        ("", "cases A", "cases B", "points B − A", "value A", "value B", "B − A", "%"),
    )
    rows = found.by_hospital
    shown = rows if len(rows) <= SHOWN else [*rows[: SHOWN // 2], *rows[-SHOWN // 2 :]]
    for row in shown:
        table.add_row(Text(found.hospitals[row[0]].name), *_change_cells(row[2:11]))
    return table


def _change_cells(change: list[object]) -> list[str]:
    cases_a, cases_b, _, _, points, value_a, value_b, value, rate = change
    return [
        f"{cases_a:,}",
        f"{cases_b:,}",
        f"{points:,.2f}",
        yuan(value_a),
        yuan(value_b),
        yuan(value),
        "" if rate is None else f"{rate:+.2%}",
    ]


def _table(title: str, columns: tuple[str, ...], left: int = 1) -> Table:
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i < left else "right", no_wrap=i >= left)
    return table


def yuan(fen: object) -> str:
    """An amount in fen as yuan with separators."""
    assert isinstance(fen, int)
    return f"{Decimal(fen) / 100:,.2f}"
