"""When patients leave hospital: the seasons, the week, the long holidays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from grouper.synth.bedside import STEPS

_EPOCH: Final = date(1970, 1, 1)
_MONTHS: Final = (
    (0.98, 0.80, 1.06, 1.03, 1.02, 1.00, 1.04, 1.02, 0.99, 0.95, 1.04, 1.07),
    (1.20, 0.93, 1.08, 0.99, 0.93, 0.86, 0.85, 0.84, 0.90, 0.97, 1.14, 1.31),
)
"""Cases by month: the usual, and of categories that the cold brings."""
_WEEK: Final = (1.08, 1.05, 1.04, 1.04, 1.12, 0.92, 0.75)


@dataclass(frozen=True)
class Calendar:
    """The days of one year.

    Attributes:
        year: the calendar year.
        first: its first day, as days since 1970-01-01.
        days: 365 or 366.
        steps: int16[2, STEPS], day of the year as often as patients leave on it; the second row
            for categories that winter brings.
        month: int8[days + 1], month from 0 of each day of the year.
        month_end: int16[12], last day of the year of each month.
    """

    year: int
    first: int
    days: int
    steps: npt.NDArray[np.int16]
    month: npt.NDArray[np.int8]
    month_end: npt.NDArray[np.int16]


def calendar(year: int) -> Calendar:
    """The calendar of a year."""
    first = (date(year, 1, 1) - _EPOCH).days
    days = (date(year + 1, 1, 1) - date(year, 1, 1)).days
    starts = [(date(year, month, 1) - date(year, 1, 1)).days for month in range(1, 13)]
    month = np.searchsorted(starts, np.arange(days + 1), side="right").astype(np.int8) - 1
    week = np.array(_WEEK)[(np.arange(days) + date(year, 1, 1).weekday()) % 7]
    steps = []
    for months in _MONTHS:
        chance = np.array(months)[month[:days]] * week * _holidays(days)
        running = np.cumsum(chance)
        places = (np.arange(STEPS) + 0.5) / STEPS * running[-1]
        steps.append(np.searchsorted(running, places).astype(np.int16))
    ends = np.array([*starts[1:], days], np.int16) - 1
    return Calendar(year, first, days, np.stack(steps), np.minimum(month, 11), ends)


def _holidays(days: int) -> npt.NDArray[np.float64]:
    """Fewer discharges around Spring Festival (at its mean date) and in the October week."""
    usual = np.ones(days)
    usual[36:44] = 0.55
    usual[30:36] = 1.15
    usual[273:280] = 0.7
    return usual
