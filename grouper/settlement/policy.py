"""Policy files (政策文件): a region's payment rules as typed data.

A policy is a TOML file. It may extend another by name (`extends`) and state only its own keys.
Every key has a meaning in English and Chinese, a unit, a default and the article that it comes
from; the defaults are those of section 12 of settlement.md.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from grouper.settlement.policycalendar import Calendar
from grouper.settlement.policycoefficient import BY_HOSPITAL, Coefficient, Uplift
from grouper.settlement.policygroups import (
    Band,
    Bands,
    Groups,
    High,
    Low,
    Multiple,
    Participation,
    Population,
    Stability,
    Trim,
    Ungroupable,
    Weights,
)
from grouper.settlement.policykeys import Section, key
from grouper.settlement.policypay import (
    Incentive,
    Month,
    Overspend,
    PerDiem,
    Pools,
    Price,
    Quota,
    Readmission,
    Stay,
    YearEnd,
)
from grouper.settlement.policyquality import Monitoring, Quality, Supervision, rejecting_rules

__all__ = [
    "BY_HOSPITAL",
    "Band",
    "Bands",
    "Calendar",
    "Coefficient",
    "Groups",
    "High",
    "Incentive",
    "Low",
    "Monitoring",
    "Month",
    "Multiple",
    "Overspend",
    "Participation",
    "PerDiem",
    "Policy",
    "Pools",
    "Population",
    "Price",
    "Quality",
    "Quota",
    "Readmission",
    "Stability",
    "Stay",
    "Supervision",
    "Trim",
    "Ungroupable",
    "Uplift",
    "Weights",
    "YearEnd",
]


class Policy(Section):
    """The payment rules of a region."""

    id: str = key(..., "short name of the policy", "政策代号")
    title: str = key("", "what it is", "英文名称")
    title_zh: str = key("", "what it is, in Chinese", "中文名称")
    document: str = key("", "the document that it follows", "依据文件")
    year: Annotated[int, Field(ge=1990, le=2200)] | None = key(
        None,
        "settlement year; empty: the year of most cases",
        "结算年度；留空取病例最多的年度",
        unit="year",
    )
    reject: tuple[str, ...] = key(
        (),
        "data-quality rules whose breach makes a case invalid; by default they only report",
        "违反即作废的质控规则；缺省仅提示",
        source="sections 11 and 12",
    )
    edition: Literal["insurance", "clinical"] = key(
        "insurance",
        "edition of the cases' codes; those of the clinical edition are mapped as the scheme says",
        "病例编码版本；临床版编码按分组方案的映射转换",
        source="docs/scheme-packs.md",
    )
    groups: Groups = key(Groups, "groups", "分组")
    participation: Participation = key(Participation, "dry run", "空转与模拟")
    population: Population = key(Population, "population of the statistics", "统计口径")
    weights: Weights = key(Weights, "weights", "权重")
    stability: Stability = key(Stability, "stable groups", "稳定病组")
    coefficient: Coefficient = key(Coefficient, "coefficients", "系数")
    high: High = key(High, "high-cost cases", "高倍率")
    low: Low = key(Low, "low-cost cases", "低倍率")
    bands: Bands = key(Bands, "bands of the cost ratio", "费用区间")
    ungroupable: Ungroupable = key(Ungroupable, "cases without a benchmark", "无基准病例")
    stay: Stay = key(Stay, "cost of a stay", "住院费用口径")
    per_diem: PerDiem = key(PerDiem, "per-diem cases", "床日付费")
    price: Price = key(Price, "price or quota per case", "价格与定额")
    quota: Quota = key(Quota, "quota sharing", "定额分担")
    readmission: Readmission = key(Readmission, "readmission", "再入院")
    incentive: Incentive = key(Incentive, "incentive pool", "激励资金池")
    pools: Pools = key(Pools, "pools", "统筹池")
    month: Month = key(Month, "monthly prepayment", "月预结算")
    calendar: Calendar = key(Calendar, "calendar of a month", "月度结算日程")
    year_end: YearEnd = key(YearEnd, "year-end clearing", "年终清算")
    quality: Quality = key(Quality, "data quality", "清单质控")
    monitoring: Monitoring = key(Monitoring, "indicators that are followed", "监测指标")
    supervision: Supervision = key(Supervision, "supervision", "基金监管")

    @field_validator("reject")
    @classmethod
    def _rules_are_known(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        return rejecting_rules(rules)

    @model_validator(mode="after")
    def _hospitals_are_not_trimmed(self) -> Self:
        by_hospital = self.coefficient.kind in BY_HOSPITAL
        if by_hospital and self.population.trim.method != "none":
            raise ValueError('coefficients by hospital need population.trim.method = "none"')
        return self

    @model_validator(mode="after")
    def _prices_are_yuan(self) -> Self:
        if bool(self.price.table) != (self.month.value == "yuan"):
            raise ValueError('price.table and month.value = "yuan" belong together')
        return self

    def canonical(self) -> str:
        """The policy as JSON with every key, independent of how the file was written."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()
