"""Pages about the region as a whole: overview, lists, accounts, rejected cases."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, Final

from grouper.report.facts import UNGROUPED
from grouper.report.policy_tables import region_tables
from grouper.report.view import Row, View, fen, number, relative, share, table

Page = dict[str, Any]

REJECTED_SHOWN: Final = 2_000
"""Rows of rejected cases on a page; workbooks have all."""

_HOSPITAL_COLUMNS = (
    "hospital level city cases group_rate cmi mean_cost cost_index high_share low_share "
    "points cost value gain relative rate paid_m due_m"
)
_DRG_COLUMNS = (
    "drg mdc cases hospitals weight mean_cost cv high_share low_share "
    "points cost value gain relative rate"
)


def overview(view: View) -> Page:
    """The first page."""
    region = view.region
    months = _months(view)
    kpis = [
        ["cases", region["cases"]],
        ["group_rate", region["group_rate"]],
        ["cmi", region["cmi"]],
        ["cost", region["cost"]],
        ["budget", sum(row[3] for row in months)],
        ["points", region["points"]],
        ["value", region["value"]],
        ["rate", region["rate"]],
    ]
    return {
        "kpis": kpis,
        "checks": _checks_hold(view),
        "tables": {
            "months": table("pool month cases budget points point_value paid_m residual", months),
            "budget": table("pool line month amount", _budget(view)),
            "classes": table("level class cases share cost value gain", _classes(view)),
            "mdc": table("mdc mdc_name cases cost points value gain relative rate", _mdcs(view)),
            "hospitals": table(_HOSPITAL_COLUMNS, _hospitals(view)),
        },
    }


def hospital_list(view: View) -> Page:
    """All hospitals."""
    return {"tables": {"hospitals": table(_HOSPITAL_COLUMNS, _hospitals(view))}}


def drg_list(view: View) -> Page:
    """All DRGs with cases."""
    facts = view.facts
    cv = dict(facts.rows("SELECT drg, cv FROM statistics WHERE level = 0"))
    weight = dict(facts.rows("SELECT drg, any_value(weight) FROM benchmarks GROUP BY drg"))
    count = dict(
        facts.rows("SELECT drg::VARCHAR, count(DISTINCT hospital_id) FROM cube GROUP BY 1")
    )
    rows: list[Row] = []
    for i, drg in enumerate(view.drgs):
        sums = drg.sums
        rows.append(
            [
                i,
                drg.mdc,
                sums["cases"],
                count.get(drg.code, 0),
                number(weight.get(drg.code), 6),
                sums["mean_cost"],
                cv.get(drg.code) and round(cv[drg.code], 4),
                sums["high_share"],
                sums["low_share"],
                round(sums["points"], 4),
                sums["cost"],
                sums["value"],
                sums["gain"],
                relative(view, sums["cost"], sums["value"]),
                sums["rate"],
            ]
        )
    return {"tables": {"drgs": table(_DRG_COLUMNS, rows)}}


def accounts(view: View) -> Page:
    """The equations of the run with both sides, and what the run says of itself."""
    manifest = view.run.manifest
    checks = []
    for check in manifest.checks:
        of = [check.get(key) for key in ("hospital", "pool", "month")]
        checks.append([check["check"], *of, check["left"], check["right"], check["holds"]])
    warnings = []
    for text in manifest.warnings:
        code, _, rest = text.partition(": ")
        warnings.append([code, rest])
    stages = [
        [stage["stage"], name, _text(count)]
        for stage in manifest.stages
        for name, count in stage["counts"].items()
    ]
    budgets = [
        [pool, both["year"], both["months"], both["difference"]]
        for pool, both in manifest.notes.get("budgets", {}).items()
    ]
    return {
        "checks": _checks_hold(view),
        "tables": {
            "checks": table("check hospital_id pool month left right holds", checks),
            "warnings": table("warning message", warnings),
            "budgets": table("pool year_amount months_amount difference", budgets),
            "stages": table("stage name count", stages),
            "inputs": table("name digest", [[n, d] for n, d in sorted(manifest.inputs.items())]),
            "policy": table("key key_value", _keys(manifest.policy["keys"])),
            **region_tables(view),
        },
    }


def rejected(view: View) -> Page:
    """Rejected cases by rule and hospital."""
    by_rule: dict[str, int] = defaultdict(int)
    by_hospital: dict[int, int] = defaultdict(int)
    found = rejected_rows(view)
    for hospital, row in found:
        by_rule[row[1]] += 1
        by_hospital[hospital] += 1
    return {
        "cut": len(found) > REJECTED_SHOWN,
        "tables": {
            "by_rule": table("rule cases", [[r, n] for r, n in sorted(by_rule.items())]),
            "by_hospital": table(
                "hospital cases", [[h, n] for h, n in sorted(by_hospital.items())]
            ),
            "rejected": table(
                "hospital case_id rule field bad_value",
                [[hospital, *row[:-1]] for hospital, row in found[:REJECTED_SHOWN]],
            ),
        },
    }


_REJECTED: Final = """
WITH invalid AS (
    SELECT c.case_id, c.hospital_id, p.reason
    FROM cases c POSITIONAL JOIN points p WHERE p.route = 'invalid'
),
-- An id that is missing or stands twice does not say whose the case is; its place does.
unnamed AS (
    SELECT rule, coalesce(case_id, '') AS case_id, any_value(field) AS field,
           any_value(value) AS value, any_value(message) AS message
    FROM rejected
    WHERE rule IN ('no_id', 'duplicate_id', 'superseded', 'conflicting_version') GROUP BY 1, 2
)
SELECT i.hospital_id, i.case_id, r.rule, r.field, r.value, r.message
FROM invalid i JOIN unnamed r ON coalesce(i.case_id, '') = r.case_id AND i.reason = r.rule
UNION ALL
SELECT DISTINCT i.hospital_id, r.case_id, r.rule, r.field, r.value, r.message
FROM rejected r LEFT JOIN invalid i ON i.case_id = r.case_id AND i.case_id <> ''
WHERE r.rule NOT IN ('no_id', 'duplicate_id', 'superseded', 'conflicting_version')
ORDER BY ALL
"""


def rejected_rows(view: View) -> list[tuple[int, Row]]:
    """Hospital's number (-1 unknown) and [case_id, rule, field, value, message] of each row."""
    return [
        (view.hospital_number.get(row[0], -1), [text or "" for text in row[1:]])
        for row in view.facts.rows(_REJECTED)
    ]


def _checks_hold(view: View) -> list[int]:
    checks = view.run.manifest.checks
    return [len(checks), sum(not check["holds"] for check in checks)]


def _months(view: View) -> list[Row]:
    return [
        [
            row["pool"],
            row["month"],
            row["cases"],
            fen(row["budget"]),
            number(row["points"]),
            number(row["point_value"]),
            fen(row["paid"]),
            fen(row["residual"]),
        ]
        for row in view.facts.dicts("SELECT * FROM months ORDER BY pool, month")
    ]


def _budget(view: View) -> list[Row]:
    rows = view.facts.dicts(
        "SELECT * FROM budget ORDER BY pool, line <> 'fund_total', line, effective_month"
    )
    return [[row["pool"], row["line"], row["effective_month"], fen(row["amount"])] for row in rows]


def _classes(view: View) -> list[Row]:
    rows = view.facts.dicts(
        """
        SELECT level, class, sum(cases)::BIGINT AS cases, (sum(cost) * 100)::BIGINT AS cost,
               (sum(value) * 100)::BIGINT AS value, (sum(gain) * 100)::BIGINT AS gain
        FROM cube JOIN levels USING (hospital_id) GROUP BY ALL ORDER BY ALL
        """
    )
    total: dict[int, int] = defaultdict(int)
    for row in rows:
        total[row["level"]] += row["cases"]
    return [
        [
            row["level"],
            row["class"],
            row["cases"],
            share(row["cases"], total[row["level"]]),
            row["cost"],
            row["value"],
            row["gain"],
        ]
        for row in rows
    ]


def _mdcs(view: View) -> list[Row]:
    names = dict(view.facts.rows("SELECT mdc, any_value(mdc_name) FROM groups GROUP BY 1"))
    sums: dict[str, list[Any]] = {}
    for drg in view.drgs:
        mine = sums.setdefault(UNGROUPED if drg.code == UNGROUPED else drg.mdc, [0, 0, 0.0, 0, 0])
        for i, key in enumerate(("cases", "cost", "points", "value", "gain")):
            mine[i] += drg.sums[key]
    return [
        [
            mdc,
            names.get(mdc, ""),
            *mine[:2],
            round(mine[2], 4),
            *mine[3:],
            relative(view, mine[1], mine[3]),
            share(mine[3], mine[1]),
        ]
        for mdc, mine in sorted(sums.items())
    ]


def _hospitals(view: View) -> list[Row]:
    paid = _by_hospital(view, "SELECT hospital_id, sum(paid) FROM hospital_months GROUP BY 1")
    due = _by_hospital(view, "SELECT hospital_id, sum(due) FROM clearing GROUP BY 1")
    rows: list[Row] = []
    for i, hospital in enumerate(view.hospitals):
        sums = hospital.sums
        rows.append(
            [
                i,
                hospital.level,
                hospital.city,
                sums["cases"],
                *(sums[k] for k in ("group_rate", "cmi", "mean_cost", "cost_index")),
                *(sums[k] for k in ("high_share", "low_share")),
                round(sums["points"] or 0, 4),
                *(sums[k] for k in ("cost", "value", "gain")),
                relative(view, sums["cost"], sums["value"]),
                sums["rate"],
                paid.get(hospital.hospital_id, 0),
                due.get(hospital.hospital_id, 0),
            ]
        )
    return rows


def _by_hospital(view: View, query: str) -> dict[str, int | None]:
    return {hospital: fen(amount) for hospital, amount in view.facts.rows(query)}


def _keys(keys: dict[str, Any], prefix: str = "") -> list[Row]:
    rows: list[Row] = []
    for name, value in keys.items():
        if isinstance(value, dict):
            rows += _keys(value, f"{prefix}{name}.")
        else:
            rows.append([f"{prefix}{name}", _text(value)])
    return rows


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: ""}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
