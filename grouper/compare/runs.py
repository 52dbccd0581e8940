"""What differs between two runs, by hospital, level, DRG and pool."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from grouper.compare.causes import Cause, find_causes
from grouper.compare.pairs import Pairs
from grouper.report.facts import UNGROUPED
from grouper.report.load import Run
from grouper.report.view import Drg, Hospital, Row, fen, unique_slugs

_SUMS = """
    sum(cases_a)::BIGINT, sum(cases_b)::BIGINT,
    round(sum(points_a)::DOUBLE, 4), round(sum(points_b)::DOUBLE, 4),
    (sum(value_a) * 100)::BIGINT, (sum(value_b) * 100)::BIGINT
"""
_PAID = ("gross", "cash", "audit_deduction", "prepaid", "deposit", "paid")
_CLEARED = ("gross", "assessed", "surplus_cut", "self_pay_cut", "cash", "already_paid", "due")


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side. Rows hold money in fen; a change is B − A.

    Attributes:
        hospitals, drgs: what the numbers in rows stand for.
        same_cases: whether both runs read the same files of cases.
        unpaired: cases without an id of their own where the files differ.
        by_hospital: hospital, level, cases, points and value of A and B with the change, change
            of what was paid in the months and of what is due at year end.
        by_level, by_drg, by_pool: the same without payments.
        migration: DRG in A, DRG in B, cases, change of points and value; unchanged ones left out.
        statement: item of the statements, sum in A, sum in B, change.
        causes: largest first; their effects add up to the change of value.
    """

    a: Run
    b: Run
    hospitals: list[Hospital]
    drgs: list[Drg]
    same_cases: bool
    unpaired: int
    by_hospital: list[Row]
    by_level: list[Row]
    by_drg: list[Row]
    by_pool: list[Row]
    migration: list[Row]
    statement: list[Row]
    causes: list[Cause]
    total: Row
    moved: int
    differing: list[str] = field(default_factory=list)


def compare_runs(a: Run, b: Run) -> Comparison:
    """Hold run B against run A.

    Raises:
        RunError: the tables of a run contradict each other.
    """
    pairs = Pairs(a, b)
    hospitals = _hospitals(pairs)
    drgs = _drgs(pairs)
    hospital = {h.hospital_id: i for i, h in enumerate(hospitals)}
    drg = {d.code: i for i, d in enumerate(drgs)}
    migration = [
        [drg[x], drg[y], *rest]
        for x, y, *rest in pairs.rows(
            """
            SELECT drg_a, drg_b, sum(cases)::BIGINT AS cases,
                   round(sum(points_b - points_a)::DOUBLE, 4),
                   (sum(value_b - value_a) * 100)::BIGINT
            FROM pairs WHERE drg_a <> drg_b GROUP BY ALL ORDER BY 3 DESC, 1, 2
            """
        )
    ]
    return Comparison(
        a=a,
        b=b,
        hospitals=hospitals,
        drgs=drgs,
        same_cases=pairs.same_cases,
        unpaired=pairs.unpaired,
        by_hospital=_by_hospital(pairs, hospital, hospitals),
        by_level=_changes(pairs, "level"),
        by_drg=_by_drg(pairs, drg),
        by_pool=_changes(pairs, "pool"),
        migration=migration,
        statement=_statement(pairs),
        causes=find_causes(pairs),
        total=_change(pairs.rows(f"SELECT {_SUMS} FROM pairs")[0]),
        moved=sum(row[2] for row in migration),
        differing=_differing(a, b),
    )


def _change(sums: tuple[Any, ...]) -> Row:
    cases_a, cases_b, points_a, points_b, value_a, value_b = (x or 0 for x in sums)
    return [
        cases_a,
        cases_b,
        points_a,
        points_b,
        round(points_b - points_a, 4),
        value_a,
        value_b,
        value_b - value_a,
        round((value_b - value_a) / value_a, 6) if value_a else None,
    ]


def _changes(pairs: Pairs, key: str) -> list[Row]:
    rows = pairs.rows(
        f"SELECT {key}, {_SUMS} FROM pairs WHERE {key} IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    return [[name, *_change(tuple(sums))] for name, *sums in rows]


def _by_hospital(pairs: Pairs, number: dict[str, int], hospitals: list[Hospital]) -> list[Row]:
    paid = _both(pairs, "hospital_months", "paid")
    due = _both(pairs, "clearing", "due")
    rows = [
        [
            number[name],
            hospitals[number[name]].level,
            *_change(tuple(sums)),
            *(_moved(table, name) for table in (paid, due)),
        ]
        for name, *sums in pairs.rows(
            f"SELECT hospital_id, {_SUMS} FROM pairs GROUP BY 1 ORDER BY 1"
        )
        if name in number
    ]
    return sorted(rows, key=lambda row: (row[9], row[0]))


def _both(pairs: Pairs, table: str, column: str) -> list[dict[str, Decimal]]:
    return [
        dict(pairs.rows(f"SELECT hospital_id, sum({column}) FROM {side}_{table} GROUP BY 1"))
        for side in ("a", "b")
    ]


def _moved(both: list[dict[str, Decimal]], name: str) -> int | None:
    before, after = (side.get(name, Decimal(0)) for side in both)
    return fen(after - before)


def _by_drg(pairs: Pairs, number: dict[str, int]) -> list[Row]:
    """A case counts under its DRG of each run."""
    rows = pairs.rows(
        f"""
        WITH sides AS (
            SELECT drg_a AS drg, cases_a, 0 AS cases_b, points_a, 0 AS points_b, value_a,
                   0 AS value_b
            FROM pairs WHERE route_a = 'drg'
            UNION ALL
            SELECT drg_b, 0, cases_b, 0, points_b, 0, value_b FROM pairs WHERE route_b = 'drg'
        )
        SELECT drg, {_SUMS} FROM sides GROUP BY 1 ORDER BY 1
        """
    )
    changed = [[number[name], *_change(tuple(sums))] for name, *sums in rows]
    return sorted(changed, key=lambda row: (row[8], row[0]))


def _statement(pairs: Pairs) -> list[Row]:
    rows: list[Row] = []
    for table, columns, label in (
        ("hospital_months", _PAID, "month"),
        ("clearing", _CLEARED, "year"),
    ):
        for column in columns:
            before, after = (
                fen(pairs.rows(f"SELECT coalesce(sum({column}), 0) FROM {side}_{table}")[0][0])
                for side in ("a", "b")
            )
            rows.append([label, column, before, after, (after or 0) - (before or 0)])
    return rows


def _hospitals(pairs: Pairs) -> list[Hospital]:
    rows = pairs.rows(
        """
        SELECT hospital_id, max_by(name, side), max_by(level, side), max_by(class, side),
               max_by(city, side)
        FROM (SELECT *, 1 AS side FROM a_hospitals UNION ALL SELECT *, 2 FROM b_hospitals)
        GROUP BY 1 ORDER BY 1
        """
    )
    slugs = unique_slugs(row[0] for row in rows)
    return [
        Hospital(row[0], row[1] or row[0], row[2], row[3] or "", row[4] or "", slug, {})
        for row, slug in zip(rows, slugs, strict=True)
    ]


def _drgs(pairs: Pairs) -> list[Drg]:
    rows = pairs.rows(
        """
        WITH codes AS (SELECT drg_a AS drg FROM pairs UNION SELECT drg_b FROM pairs),
        names AS (
            SELECT drg, max_by(drg_name, side) AS name, max_by(mdc, side) AS mdc
            FROM (SELECT *, 1 AS side FROM a_groups UNION ALL SELECT *, 2 FROM b_groups) GROUP BY 1
        )
        SELECT drg, coalesce(name, ''), coalesce(mdc, '') FROM codes LEFT JOIN names USING (drg)
        WHERE drg IS NOT NULL ORDER BY drg = '-', drg
        """
    )
    slugs = unique_slugs("ungrouped" if row[0] == UNGROUPED else row[0] for row in rows)
    return [
        Drg(code, name, mdc, slug, {}) for (code, name, mdc), slug in zip(rows, slugs, strict=True)
    ]


def _differing(a: Run, b: Run) -> list[str]:
    """What the two runs were made of differently: scheme, policy keys, input files."""
    one, two = a.manifest, b.manifest
    found = []
    if one.scheme["digest"] != two.scheme["digest"]:
        found.append(f"scheme {one.scheme['id']} → {two.scheme['id']}")
    keys_a, keys_b = _flat(one.policy["keys"]), _flat(two.policy["keys"])
    found += [
        f"{key} {_short(keys_a.get(key))} → {_short(keys_b.get(key))}"
        for key in sorted({*keys_a, *keys_b} - {"id", "title", "title_zh", "document"})
        if keys_a.get(key) != keys_b.get(key)
    ]
    found += [
        name
        for name in sorted({*one.inputs, *two.inputs})
        if one.inputs.get(name) != two.inputs.get(name)
    ]
    if one.engine != two.engine:
        found.append(f"engine {one.engine} → {two.engine}")
    return found


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _flat(keys: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in keys.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
