"""The page of a hospital: its statements, where the money went, its DRGs, its peers."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from statistics import median
from typing import Any, Final

from grouper.report.indicator_pages import IndicatorPages
from grouper.report.policy_tables import POLICY_TABLES, SHOWN, policy_tables
from grouper.report.quality_page import SCORE_COLUMNS, QualityPages
from grouper.report.region_pages import REJECTED_SHOWN, Page, rejected_rows
from grouper.report.view import INDICATORS, Hospital, Row, View, fen, number, relative, share, table

MONTH_COLUMNS: Final = (
    "pool month cases st_points extra_points deducted_points gross cash audit_deduction "
    "prepaid deposit paid"
)
CLEARING_COLUMNS: Final = (
    "pool cases st_points deducted_points point_value gross assessed surplus_cut self_pay_cut "
    "cash already_paid due"
)
DRG_COLUMNS: Final = (
    "drg cases mean_cost to_mean high_share low_share points cost value gain relative rate"
)
_RELATIVE: Final = DRG_COLUMNS.split().index("relative")
CASE_COLUMNS: Final = "case_id drg class month case_cost points case_value case_gain"
CASES_SHOWN: Final = 20

_MONEY = ("gross", "cash", "audit_deduction", "prepaid", "deposit", "paid")
_CLEARED = ("gross", "assessed", "surplus_cut", "self_pay_cut", "cash", "already_paid", "due")


class HospitalPages:
    """Makes the pages of all hospitals; what all of them need is asked for once."""

    def __init__(self, view: View, quality: QualityPages, indicators: IndicatorPages) -> None:
        self.view = view
        self.quality = quality
        self.indicators = indicators

    def page(self, number_: int) -> Page:
        """The page of a hospital, by its number in the index."""
        hospital = self.view.hospitals[number_]
        sums = hospital.sums
        found = self.rejected[number_]
        cleared = self.clearing[hospital.hospital_id]
        quality = self.quality.hospital(number_)
        return {
            **{name: value for name, value in quality.items() if name != "tables"},
            "scoreCols": SCORE_COLUMNS.split(),
            "ranked": len(self.quality.scores.keys() - {-1}),
            "title": hospital.name,
            "facts": [hospital.hospital_id, hospital.level, hospital.kind, hospital.city],
            "slug": hospital.slug,
            "level": hospital.level,
            "kpis": [
                ["cases", sums["cases"]],
                ["cmi", sums["cmi"]],
                ["cost", sums["cost"]],
                ["points", sums["points"]],
                ["value", sums["value"]],
                ["rate", sums["rate"], self.view.region["rate"]],
                ["paid_m", sum(row[11] for row in self.months[hospital.hospital_id])],
                ["due_m", sum(row[11] for row in cleared)],
            ],
            "monthCost": self.month_cost[hospital.hospital_id],
            "peers": self._peer_values(hospital),
            "cut": len(found) > REJECTED_SHOWN,
            "tables": {
                "statement": table(MONTH_COLUMNS, self.months[hospital.hospital_id]),
                "clearing": table(CLEARING_COLUMNS, cleared),
                "classes": table(
                    "class cases share cost points value gain", self.classes[hospital.hospital_id]
                ),
                "drgs": table(DRG_COLUMNS, self.drgs[hospital.hospital_id]),
                "peers": table(
                    "indicator here median region_value rank", [], kinds=list(INDICATORS)
                ),
                "cases_loss": table(CASE_COLUMNS, self.extremes["loss"][hospital.hospital_id]),
                "cases_gain": table(CASE_COLUMNS, self.extremes["gain"][hospital.hospital_id]),
                "rejected": table(
                    "case_id rule field bad_value", [row[:-1] for row in found[:REJECTED_SHOWN]]
                ),
                **self._policy_tables(hospital.hospital_id),
                **quality["tables"],
                **self.indicators.hospital(number_)["tables"],
            },
        }

    @cached_property
    def further(self) -> dict[str, dict[str, list[Row]]]:
        """Tables that only some policies make, by hospital."""
        return policy_tables(self.view)

    def cut(self, hospital: str) -> tuple[str, ...]:
        """Which of the further tables have more rows than the hospital's page shows."""
        return tuple(n for n, rows in self.further.items() if len(rows[hospital]) > SHOWN)

    def _policy_tables(self, hospital: str) -> dict[str, Any]:
        return {
            name: table(" ".join(POLICY_TABLES[name].values()), rows[hospital][:SHOWN])
            for name, rows in self.further.items()
        }

    @cached_property
    def months(self) -> dict[str, list[Row]]:
        """Rows of `MONTH_COLUMNS` by hospital."""
        rows: dict[str, list[Row]] = defaultdict(list)
        for row in self.view.facts.dicts(
            "SELECT * FROM hospital_months ORDER BY hospital_id, pool, month"
        ):
            points = (row["points"], row["extra_points"], row["deducted_points"])
            rows[row["hospital_id"]].append(
                [row["pool"], row["month"], row["cases"], *map(number, points)]
                + [fen(row[name]) for name in _MONEY]
            )
        return rows

    @cached_property
    def clearing(self) -> dict[str, list[Row]]:
        """Rows of `CLEARING_COLUMNS` by hospital."""
        rows: dict[str, list[Row]] = defaultdict(list)
        for row in self.view.facts.dicts("SELECT * FROM clearing ORDER BY hospital_id, pool"):
            points = (row["points"], row["deducted_points"], row["point_value"])
            rows[row["hospital_id"]].append(
                [row["pool"], row["cases"], *map(number, points)]
                + [fen(row[name]) for name in _CLEARED]
            )
        return rows

    @cached_property
    def month_cost(self) -> dict[str, list[Row]]:
        """[month, cost, value] by hospital, in fen."""
        rows: dict[str, list[Row]] = defaultdict(list)
        for hospital, *row in self.view.facts.rows(
            """
            SELECT hospital_id, month, (sum(cost) * 100)::BIGINT, (sum(value) * 100)::BIGINT
            FROM facts GROUP BY ALL ORDER BY ALL
            """
        ):
            rows[hospital].append(row)
        return rows

    @cached_property
    def classes(self) -> dict[str, list[Row]]:
        """Cases, share, cost, points, value and gain of each class by hospital."""
        rows: dict[str, list[Row]] = defaultdict(list)
        for hospital, name, cases, cost, points, value, gain in self.view.facts.rows(
            """
            SELECT hospital_id, class, sum(cases)::BIGINT, (sum(cost) * 100)::BIGINT,
                   round(sum(points)::DOUBLE, 4), (sum(value) * 100)::BIGINT,
                   (sum(gain) * 100)::BIGINT
            FROM cube GROUP BY ALL ORDER BY 1, 3 DESC, 2
            """
        ):
            whole = self.view.hospitals[self.view.hospital_number[hospital]].sums["cases"]
            rows[hospital].append([name, cases, share(cases, whole), cost, points, value, gain])
        return rows

    @cached_property
    def drgs(self) -> dict[str, list[Row]]:
        """Rows of `DRG_COLUMNS` by hospital, the largest relative loss first."""
        rows: dict[str, list[Row]] = defaultdict(list)
        for (
            hospital,
            drg,
            cases,
            to_mean,
            high,
            low,
            points,
            cost,
            value,
            gain,
        ) in self.view.facts.rows(
            """
            SELECT hospital_id, drg::VARCHAR, sum(cases)::BIGINT AS cases,
                   round(sum(cost)::DOUBLE / sum(cases) / any_value(region_mean)::DOUBLE, 4),
                   coalesce(sum(cases) FILTER (class = 'high'), 0)::BIGINT,
                   coalesce(sum(cases) FILTER (class = 'low'), 0)::BIGINT,
                   round(sum(points)::DOUBLE, 4), (sum(cost) * 100)::BIGINT AS cost,
                   (sum(value) * 100)::BIGINT, (sum(gain) * 100)::BIGINT AS gain
            FROM cube LEFT JOIN means USING (drg)
            GROUP BY hospital_id, drg ORDER BY hospital_id, drg
            """
        ):
            rows[hospital].append(
                [
                    self.view.drg_number[drg],
                    cases,
                    round(cost / cases),
                    to_mean,
                    round(high / cases, 4),
                    round(low / cases, 4),
                    points,
                    cost,
                    value,
                    gain,
                    relative(self.view, cost, value),
                    value and cost and round(value / cost, 4),
                ]
            )
        for mine in rows.values():
            mine.sort(key=lambda row: (row[_RELATIVE] or 0, row[0]))
        return rows

    @cached_property
    def extremes(self) -> dict[str, dict[str, list[Row]]]:
        """Rows of `CASE_COLUMNS` of the cases that cost each hospital most, and brought most."""
        return {
            "loss": extreme_cases(self.view, "hospital_id", "gain"),
            "gain": extreme_cases(self.view, "hospital_id", "-gain"),
        }

    @cached_property
    def rejected(self) -> dict[int, list[Row]]:
        """Rejected rows by hospital's number; -1 gathers those of unknown hospitals."""
        rows: dict[int, list[Row]] = defaultdict(list)
        for hospital, row in rejected_rows(self.view):
            rows[hospital].append(row)
        return rows

    def _peer_values(self, hospital: Hospital) -> dict[str, Any]:
        """Of each indicator: here, median and rank in the level, region, and all peers' values."""
        peers = self.view.peers[hospital.level]
        values = {}
        for name in INDICATORS:
            level = [p.sums[name] for p in peers if p.sums[name] is not None]
            here = hospital.sums[name]
            rank = None if here is None else 1 + sum(value > here for value in level)
            values[name] = {
                "here": here,
                "median": median(level) if level else None,
                "region": self.view.region[name],
                "rank": rank,
                "of": len(level),
                "all": level,
            }
        return values


def extreme_cases(view: View, key: str, order: str) -> dict[str, list[Row]]:
    """The first cases of each hospital or DRG in an order, as rows of `CASE_COLUMNS`.

    A row begins with the hospital's number where the key is a DRG.
    """
    found = view.facts.rows(
        f"""
        SELECT {key}::VARCHAR, arg_min(
            row(case_id, drg::VARCHAR, class, month, (cost * 100)::BIGINT,
                round(points::DOUBLE, 4), (value * 100)::BIGINT, (gain * 100)::BIGINT,
                hospital_id::VARCHAR),
            row({order}, case_id), {CASES_SHOWN})
        FROM facts GROUP BY 1
        """
    )
    rows: dict[str, list[Row]] = {}
    sign = -1 if order.startswith("-") else 1
    for owner, cases in found:
        mine = []
        for case_id, drg, *rest, gain, hospital in cases:
            if gain * sign < 0:
                head = [view.hospital_number[hospital]] if key == "drg" else []
                mine.append([*head, case_id, view.drg_number[drg], *rest, gain])
        rows[owner] = mine
    return defaultdict(list, rows)
