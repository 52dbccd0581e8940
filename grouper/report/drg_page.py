"""The page of a DRG: its benchmarks, its cost distribution with the bounds, its hospitals."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import Any

from grouper.report.facts import BINS
from grouper.report.hospital_page import extreme_cases
from grouper.report.region_pages import Page
from grouper.report.view import Row, View, fen, number, relative, table

_HOSPITAL_COLUMNS = (
    "hospital level cases mean_cost to_mean high_share low_share points cost value gain relative "
    "rate"
)
_BENCHMARK_COLUMNS = (
    "level cases mean_cost cv coefficient level_mean low_below high_above inversion"
)
_CASE_COLUMNS = "hospital case_id class month case_cost points case_value case_gain"


class DrgPages:
    """Makes the pages of all DRGs; what all of them need is asked for once."""

    def __init__(self, view: View) -> None:
        self.view = view

    def page(self, number_: int) -> Page:
        """The page of a DRG, by its number in the index."""
        drg = self.view.drgs[number_]
        sums = drg.sums
        known = self.benchmarks.get(drg.code, {})
        first = next(iter(known.values()), {})
        statistics = self.statistics.get(drg.code, {})
        whole = statistics.get(0)
        return {
            "title": drg.code,
            "name": drg.name,
            "facts": list(self.places.get(drg.code, ("", "", "", ""))),
            "stable": first.get("stable"),
            "basic": first.get("basic"),
            "kpis": [
                ["cases", sums["cases"]],
                ["weight", number(first.get("weight"), 6)],
                ["base_points", number(first.get("base_points"))],
                ["mean_cost", sums["mean_cost"]],
                ["cv", whole and round(whole["cv"], 4)],
                ["value", sums["value"]],
                ["gain", sums["gain"]],
                ["rate", sums["rate"], self.view.region["rate"]],
            ],
            "mean": fen(first.get("region_mean")),
            "bounds": [
                [level, fen(row["level_mean"]), fen(row["low_below"]), fen(row["high_above"])]
                for level, row in sorted(known.items())
            ],
            "bins": BINS,
            "histogram": self.histograms[drg.code],
            "tables": {
                "benchmark": table(_BENCHMARK_COLUMNS, _levels(known, statistics), total=False),
                "hospitals": table(_HOSPITAL_COLUMNS, self.hospitals[drg.code]),
                "cases_loss": table(_CASE_COLUMNS, _without_drg(self.extremes["loss"][drg.code])),
                "cases_gain": table(_CASE_COLUMNS, _without_drg(self.extremes["gain"][drg.code])),
            },
        }

    @cached_property
    def places(self) -> dict[str, tuple[str, str, str, str]]:
        """ADRG, its name, MDC and its name by DRG."""
        rows = self.view.facts.rows("SELECT drg, adrg, adrg_name, mdc, mdc_name FROM groups")
        return {row[0]: (row[1], row[2], row[3], row[4]) for row in rows}

    @cached_property
    def benchmarks(self) -> dict[str, dict[int, dict[str, Any]]]:
        """Rows of the table ``benchmarks`` by DRG and level."""
        return _by_drg_and_level(self.view.facts.dicts("SELECT * FROM benchmarks"))

    @cached_property
    def statistics(self) -> dict[str, dict[int, dict[str, Any]]]:
        """Rows of the table ``statistics`` by DRG and level; level 0 is the region."""
        return _by_drg_and_level(self.view.facts.dicts("SELECT * FROM statistics"))

    @cached_property
    def histograms(self) -> dict[str, list[Row]]:
        """[level, class, bin, cases] by DRG; bin b holds costs from 10 ** (b / BINS) yuan."""
        rows: dict[str, list[Row]] = defaultdict(list)
        for drg, *row in self.view.facts.rows(
            f"""
            SELECT drg::VARCHAR, level, class,
                   floor(log10(greatest(cost::DOUBLE, 1)) * {BINS})::INT, count(*)
            FROM facts JOIN levels USING (hospital_id) GROUP BY ALL ORDER BY ALL
            """
        ):
            rows[drg].append(row)
        return rows

    @cached_property
    def hospitals(self) -> dict[str, list[Row]]:
        """Rows of hospitals by DRG, the most cases first."""
        rows: dict[str, list[Row]] = defaultdict(list)
        for (
            drg,
            hospital,
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
                SELECT drg::VARCHAR, hospital_id, sum(cases)::BIGINT AS cases,
                       round(sum(cost)::DOUBLE / sum(cases) / any_value(region_mean)::DOUBLE, 4),
                       coalesce(sum(cases) FILTER (class = 'high'), 0)::BIGINT,
                       coalesce(sum(cases) FILTER (class = 'low'), 0)::BIGINT,
                       round(sum(points)::DOUBLE, 4), (sum(cost) * 100)::BIGINT,
                       (sum(value) * 100)::BIGINT, (sum(gain) * 100)::BIGINT
                FROM cube LEFT JOIN means USING (drg)
                GROUP BY drg, hospital_id ORDER BY drg, cases DESC, hospital_id
                """
        ):
            place = self.view.hospital_number[hospital]
            rows[drg].append(
                [
                    place,
                    self.view.hospitals[place].level,
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
        return rows

    @cached_property
    def extremes(self) -> dict[str, dict[str, list[Row]]]:
        """The cases of each DRG with the largest loss and gain."""
        return {
            "loss": extreme_cases(self.view, "drg", "gain"),
            "gain": extreme_cases(self.view, "drg", "-gain"),
        }


def _without_drg(rows: list[Row]) -> list[Row]:
    return [[*row[:2], *row[3:]] for row in rows]


def _by_drg_and_level(rows: list[dict[str, Any]]) -> dict[str, dict[int, dict[str, Any]]]:
    found: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        found[row["drg"]][row["level"]] = row
    return found


def _levels(known: dict[int, dict[str, Any]], statistics: dict[int, dict[str, Any]]) -> list[Row]:
    rows: list[Row] = []
    for level in sorted({*known, *statistics}):
        counted, benchmark = statistics.get(level, {}), known.get(level, {})
        rows.append(
            [
                level,
                counted.get("cases", 0),
                fen(counted.get("mean_cost")),
                counted and round(counted["cv"], 4),
                number(benchmark.get("coefficient")),
                *(fen(benchmark.get(name)) for name in ("level_mean", "low_below", "high_above")),
                benchmark.get("inversion"),
            ]
        )
        rows[-1] = [None if value == {} else value for value in rows[-1]]
    return rows
