"""The quality of the settlement lists: a page of the region, and a section of each hospital."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import Any, Final

from grouper.report.policy_tables import odd_codes
from grouper.report.region_pages import Page
from grouper.report.view import Row, View, share, table

RULE_COLUMNS: Final = "rule severity field broken of_cases error_rate remark"
SCORE_COLUMNS: Final = (
    "quality_rank hospital level checked uploaded upload_rate passed first_pass_rate warned"
)
ERROR_COLUMNS: Final = "rule severity broken of_cases error_rate region_rate"
FINDING_COLUMNS: Final = "case_id rule severity field bad_value"
FINDINGS_SHOWN: Final = 200
"""Findings of a hospital on its page."""

FINDINGS_KEPT: Final = 10_000
"""Findings of a hospital in its workbook; what rejects a list comes first."""


class QualityPages:
    """What the check of the lists has found, where the run has checked them."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.checked = "quality_scores" in view.run.files

    def region(self) -> Page:
        """The page of the region."""
        odd = odd_codes(self.view)
        more = {"odd_region": odd} if odd["rows"] else {}
        if not self.checked:
            return {"checked": False, "kpis": [], "tables": more}
        cases, passed, warned, uploaded = self.view.facts.rows(
            "SELECT sum(cases)::BIGINT, sum(passed)::BIGINT, sum(warned)::BIGINT, "
            "sum(uploaded)::BIGINT FROM quality_scores"
        )[0]
        kpis = [
            ["checked", cases],
            ["first_pass_rate", share(passed, cases)],
            ["rejectable", cases - passed],
            ["warned", warned],
            ["upload_rate", share(uploaded, cases)],
        ]
        return {
            "checked": True,
            "kpis": [pair for pair in kpis if pair[1] is not None],
            "tables": {
                "quality_rules": table(RULE_COLUMNS, self._rules(), total=False),
                "quality_scores": table(SCORE_COLUMNS, list(self._scores())),
                **more,
            },
        }

    def hospital(self, number: int) -> Page:
        """What a hospital's page says of its lists."""
        score = self.scores.get(number)
        if score is None:
            return {"quality": None, "tables": {}}
        found = self.findings[number]
        return {
            "quality": score,
            "findingsCut": len(found) > FINDINGS_SHOWN,
            "tables": {
                "quality_errors": table(ERROR_COLUMNS, self.errors[number], total=False),
                "findings": table(FINDING_COLUMNS, found[:FINDINGS_SHOWN]),
            },
        }

    def _rules(self) -> list[Row]:
        rows = self.view.facts.dicts("SELECT * FROM quality_rules")
        return [
            [
                row["rule"],
                row["severity"],
                row["field"],
                row["broken"],
                row["cases"],
                share(row["broken"], row["cases"]),
                _remark(row),
            ]
            for row in rows
        ]

    def _scores(self) -> list[Row]:
        return sorted(self.scores.values(), key=lambda row: (row[0] is None, row[0], row[1]))

    @cached_property
    def scores(self) -> dict[int, Row]:
        """Rows of `SCORE_COLUMNS` by hospital's number; unknown hospitals are -1, together."""
        rows: dict[int, Row] = {}
        for row in self.view.facts.dicts("SELECT * FROM quality_scores ORDER BY hospital_id"):
            number = self.view.hospital_number.get(row["hospital_id"], -1)
            level = self.view.hospitals[number].level if number >= 0 else None
            counts = [row[name] for name in ("cases", "uploaded", "passed", "warned")]
            if number in rows:
                before = [rows[number][at] for at in (3, 4, 6, 8)]
                counts = [
                    None if a is None or b is None else a + b
                    for a, b in zip(before, counts, strict=True)
                ]
            cases, uploaded, passed, warned = counts
            rows[number] = [
                row["rank"] if number >= 0 else None,
                number,
                level,
                cases,
                uploaded,
                share(uploaded, cases),
                passed,
                share(passed, cases),
                warned,
            ]
        return rows

    @cached_property
    def errors(self) -> dict[int, list[Row]]:
        """Rows of `ERROR_COLUMNS` by hospital's number: the rules that it breaks, worst first."""
        region = {
            rule: share(broken, cases)
            for rule, broken, cases in self.view.facts.rows(
                "SELECT rule, broken, cases FROM quality_rules"
            )
        }
        rows: dict[int, list[Row]] = defaultdict(list)
        for hospital, rule, severity, broken, cases in self.view.facts.rows(
            "SELECT hospital_id, rule, severity, broken, cases FROM quality_errors "
            "WHERE broken > 0 ORDER BY hospital_id, severity, broken DESC, rule"
        ):
            rows[self.view.hospital_number.get(hospital, -1)].append(
                [rule, severity, broken, cases, share(broken, cases), region[rule]]
            )
        return rows

    @cached_property
    def findings(self) -> dict[int, list[Row]]:
        """Rows of `FINDING_COLUMNS` by hospital's number, those that reject first."""
        rows: dict[int, list[Row]] = defaultdict(list)
        if not self.checked:
            return rows
        for hospital, *row in self.view.facts.rows(
            f"""
            SELECT hospital_id, coalesce(case_id, ''), rule, severity, field, coalesce(value, '')
            FROM findings
            WINDOW mine AS (PARTITION BY hospital_id ORDER BY severity, rule, case_id, value)
            QUALIFY row_number() OVER mine <= {FINDINGS_KEPT}
            ORDER BY hospital_id, severity, rule, case_id, value
            """
        ):
            rows[self.view.hospital_number.get(hospital, -1)].append(row)
        return rows


def _remark(row: dict[str, Any]) -> list[str]:
    if row["evaluated"]:
        return [row["thresholds"], row["thresholds"]]
    return [f"未评价：缺少列 {row['absent']}", f"not evaluated: no column {row['absent']}"]
