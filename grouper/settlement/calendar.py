"""When the steps of a month are due (月度结算日程): upload, grouping, feedback, final, payment."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date
from typing import Final

from grouper.errors import RunError
from grouper.settlement.policy import Policy

STEPS: Final = ("upload", "grouping", "feedback", "final", "payment")
_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


def checked_month(month: str) -> str:
    """The month as it was given.

    Raises:
        RunError: it is not written YYYY-MM.
    """
    if not _MONTH.fullmatch(month):
        raise RunError(f"'{month}' is not a month", hint="write it like 2024-03")
    return month


def last_day(month: str) -> date:
    """The last day of a month ``YYYY-MM``."""
    year, number = map(int, month.split("-"))
    return date(year, number, monthrange(year, number)[1])


def due_dates(policy: Policy, month: str) -> dict[str, date]:
    """The day on which each of `STEPS` is due for a month of settlement ``YYYY-MM``."""
    rules = policy.calendar
    year, number = map(int, month.split("-"))
    year, number = divmod(year * 12 + number - 1 + rules.months_after, 12)
    number += 1
    days = {
        "upload": rules.upload_day or policy.quality.upload_day,
        "grouping": rules.grouping_day,
        "feedback": rules.feedback_day,
        "final": rules.final_day,
        "payment": rules.payment_day,
    }
    longest = monthrange(year, number)[1]
    return {step: date(year, number, min(days[step], longest)) for step in STEPS}
