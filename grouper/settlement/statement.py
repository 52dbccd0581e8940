"""The monthly statement of a hospital."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class HospitalMonth:
    """The statement of a hospital, pool and month; fen and 1e-8 points."""

    cases: int = 0
    points: int = 0
    extra_points: int = 0
    deducted_points: int = 0
    gross: int = 0
    cash: int = 0
    prepaid: int = 0
    audit_deduction: int = 0
    paid: int = 0
    deposit: int = 0
