"""Where a case goes and why: the words of the output tables, as codes inside."""

from __future__ import annotations

from typing import Final

from grouper.caseids import REASON as GROUPING_REASONS
from grouper.quality.registry import RULES

ROUTES: Final = ("drg", "per_diem", "item", "invalid")
DRG, PER_DIEM, ITEM, INVALID = range(len(ROUTES))

REASONS: Final = (
    # none, and invalid: the codes of grouping are the same here
    *GROUPING_REASONS,
    "unknown_hospital",
    "unknown_insurance",
    "month_outside_year",
    "bad_amount",
    "no_total_cost",
    "negative_cost",
    # item
    "self_pay",
    "before_go_live",
    "no_price",
    "short_stay",
    "very_long_stay",
    "far_below_price",
    "far_above_price",
    "early_transfer",
    "died",
    "tcm_treatment",
    "department",
    "procedure",
    # per_diem
    "bed_day_flag",
    "long_stay",
    # drg
    "within_bounds",
    "above_high",
    "below_low",
    "in_band",
    "no_weight",
    "published_unstable",
    "few_cases",
    "high_cv",
    "ambiguous",
    "ungrouped",
    "readmitted",
    "price",
    "review_approved",
    "review_refused",
    "review_pending",
    # invalid, where the policy rejects by these rules
    *(code for code in RULES if code != "duplicate_id"),
    # invalid
    "apart_exceeds_cost",
    # item
    "non_pilot",
)
"""Reason of a case, by code."""

CODE: Final = {reason: code for code, reason in enumerate(REASONS)}

MESSAGES: Final = {code: rule.en for code, rule in RULES.items()} | {
    "no_id": "the case has no case_id",
    "duplicate_id": "the case_id stands more than once",
    "no_diagnosis": "the case has no principal diagnosis",
    "superseded": "a later version of the case counts",
    "conflicting_version": "lists of the same case and version differ",
    "unknown_hospital": "the hospital is not in hospitals.csv",
    "unknown_insurance": "insurance is none of employee, resident, self",
    "month_outside_year": "settle_month is not a month of the settlement year",
    "bad_amount": "the amount is not whole fen, or larger than the engine computes with",
    "no_total_cost": "total_cost is empty",
    "negative_cost": "the cost is negative",
    "apart_exceeds_cost": "drugs paid apart cost more than the case, its fund or its patient paid",
}
"""What a rejected row is told, by rule."""
