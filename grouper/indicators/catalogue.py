"""The indicators (监测指标, settlement.md section 9) as declarations.

Each has a numerator and a denominator, whole numbers or exact decimals; only the quotient that is
shown is a float. They look at the cases of route ``drg``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from grouper.errors import PolicyError


@dataclass(frozen=True, slots=True)
class Indicator:
    """One indicator.

    Attributes:
        code: its name in tables and policies.
        unit: unit of the value; empty for a plain ratio, ``share`` for one that is told in percent.
        numerator, denominator: SQL over the cases of a scope, both integers.
        scale: the numerator counts units of 1/scale.
        needs: columns of the run's table ``cases`` without which it is not evaluated.
        counts: the value is the numerator itself, and the denominator how many there are in all.
        en, zh: what it is.
    """

    code: str
    unit: str
    numerator: str
    denominator: str
    en: str
    zh: str
    scale: int = 1
    needs: tuple[str, ...] = ()
    counts: bool = False


INDEX_SCALE: Final = 10**16
"""Summands of an index are rounded to 1e-16: ten million of them are exact in eight places."""

_GROUPED: Final = "count(*) FILTER (status = 'grouped')"


def _of_class(name: str) -> str:
    return f"count(*) FILTER (class = '{name}')"


_ALL: Final = (
    Indicator(
        "mean_cost", "yuan", "sum(cost)", "count(*)",
        "mean cost per stay", "次均住院费用", scale=100,
    ),
    Indicator(
        "mean_los", "days", "sum(los)", "count(los)",
        "mean length of stay", "平均住院日", needs=("los",),
    ),
    Indicator(
        "stays_per_person", "", "count(person_id)", "count(DISTINCT person_id)",
        "stays per person", "人次人头比", needs=("person_id",),
    ),
    Indicator(
        "cmi", "", "sum(weight) FILTER (status = 'grouped')", _GROUPED,
        "case mix index: sum of weights / grouped cases", "病例组合指数（CMI）", scale=10**8,
    ),
    Indicator("group_rate", "share", _GROUPED, "count(*)", "group rate", "入组率"),
    Indicator(
        "cost_index", "", "sum(cost_share)", "count(cost_share)",
        "cost index: mean cost against the region, group by group", "费用消耗指数",
        scale=INDEX_SCALE,
    ),
    Indicator(
        "time_index", "", "sum(los_share)", "count(los_share)",
        "time index: length of stay against the region, group by group", "时间消耗指数",
        scale=INDEX_SCALE, needs=("los",),
    ),
    Indicator(
        "drg_count", "DRGs", "count(DISTINCT drg) FILTER (status = 'grouped')", "{drgs}",
        "DRGs treated, of those that the region has", "DRG 组数", counts=True,
    ),
    Indicator(
        "low_risk_mortality", "share", "count(*) FILTER (low_risk AND died)",
        "count(*) FILTER (low_risk)",
        "deaths in groups of low risk", "低风险组死亡率", needs=("discharge",),
    ),
    Indicator("high_share", "share", _of_class("high"), "count(*)",
              "share of high-cost cases", "高倍率病例占比"),
    Indicator("low_share", "share", _of_class("low"), "count(*)",
              "share of low-cost cases", "低倍率病例占比"),
    Indicator("normal_share", "share", _of_class("normal"), "count(*)",
              "share of normal cases", "正常病例占比"),
    Indicator(
        "in_range_share", "share", "count(*) FILTER (in_range)", "count(in_range)",
        "share of cases with a cost near the standard, the region's mean of the group",
        "费用区间内病例占比",
    ),
)  # fmt: skip

INDICATORS: Final[Mapping[str, Indicator]] = {one.code: one for one in _ALL}
"""All indicators by code."""


def chosen(codes: Iterable[str]) -> tuple[Indicator, ...]:
    """The indicators that a policy names (`monitoring.shown`); all where it names none.

    Raises:
        PolicyError: there is no such indicator.
    """
    codes = tuple(codes)
    for fault in unknown(codes):
        raise fault
    return tuple(INDICATORS[code] for code in codes) or tuple(INDICATORS.values())


def unknown(codes: Iterable[str]) -> Iterator[PolicyError]:
    """What to tell of the codes that are no indicators."""
    for code in codes:
        if code not in INDICATORS:
            close = get_close_matches(code, INDICATORS, 1)
            told = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(INDICATORS)}"
            yield PolicyError(f"there is no indicator '{code}'", key="monitoring.shown", hint=told)
