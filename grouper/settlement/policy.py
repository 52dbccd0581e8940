"""Policy files (政策文件): a region's payment rules as typed data.

A policy is a TOML file. It may extend another by name (`extends`) and state only its own keys.
Every key has a meaning in English and Chinese, a unit, a default and the article that it comes
from; the defaults are those of section 12 of settlement.md.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from grouper.settlement.policykeys import (
    Exact,
    NotNegative,
    OptionalLimit,
    OptionalPlaces,
    Positive,
    Section,
    Share,
    key,
)

CostColumn = Literal["total_cost", "compliant_cost"]
MeanOf = Literal["level", "region"]
Step = Literal["assessment", "surplus_cap", "self_pay", "prepaid"]
STEPS: tuple[Step, ...] = ("assessment", "surplus_cap", "self_pay", "prepaid")


class Multiple(Section):
    """One row of the high multiples: up to these base points, this multiple."""

    up_to: Positive | None = key(
        None,
        "base points up to which the multiple holds; empty in the last row",
        "适用的基准点数上限；末行留空",
        unit="points",
        source="Guigang Art. 12",
    )
    times: Positive = key(..., "multiple of the mean", "倍数", unit="×", source="Guigang Art. 12")


def _multiples() -> tuple[Multiple, ...]:
    rows = ((100, "3"), (200, "2.5"), (300, "2"), (500, "1.5"), (None, "1.3"))
    return tuple(Multiple.model_validate({"up_to": p, "times": t}) for p, t in rows)


class Population(Section):
    """Which cases the means, CV and coefficients are made of."""

    cases: Literal["auto", "history", "own"] = key(
        "auto",
        "history: earlier years; own: the run's cases; auto: history where there is one",
        "均值、CV、系数所用病例：history 历史年度，own 本期病例，auto 有历史则用历史",
        source="section 12",
    )


class Weights(Section):
    """Relative weights (权重) of the DRGs."""

    origin: Literal["auto", "published", "calibrated"] = key(
        "auto",
        "published: the pack's table; calibrated: group mean / M; auto: the table where one is",
        "权重：published 方案公布，calibrated 测算（组均/总均费用），auto 有公布表则用之",
        source="Guigang Art. 10",
    )
    places: OptionalPlaces = key(
        None,
        "decimal places of a calibrated weight; none: the exact quotient is used onward",
        "测算权重的小数位数；留空则以精确商继续计算",
        unit="places",
        source="section 4",
    )


class Stability(Section):
    """When a group is stable (稳定病组)."""

    use_flag: bool = key(
        True,
        "take the published flag of a DRG where it has one",
        "有公布的稳定标志时以其为准",
        source="section 12",
    )
    min_cases: Annotated[int, Field(ge=1)] = key(
        5, "fewest cases of a stable group", "稳定病组最少病例数", unit="cases", source="section 4"
    )
    max_cv: NotNegative = key(
        1, "largest CV of a stable group", "稳定病组 CV 上限", source="section 4"
    )
    literal: bool = key(
        False,
        "read the source literally: only a group of at most one case is unstable",
        "按原文字面：仅病例数≤1 的病组不稳定",
        source="section 4",
    )


class Coefficient(Section):
    """Coefficients (等级差异系数) between hospital levels."""

    kind: Literal["level", "none"] = key(
        "level",
        "level: mean of the level / region mean; none: 1 for all",
        "系数类型：level 按医院等级，none 不设系数",
        source="section 4",
    )
    basic_value: NotNegative = key(
        1, "common value of a basic group", "基础病组统一系数", source="section 4"
    )
    fallback: Literal["one", "nearest"] = key(
        "one",
        "a level without cases: 1, or as the nearest level (the lower one on a tie)",
        "无病例的等级：one 取 1，nearest 取最近等级（同距取低）",
        source="section 4",
    )


class High(Section):
    """High-cost cases (高倍率病例)."""

    enabled: bool = key(True, "whether there is this class", "是否设高倍率", source="section 5")
    cost: CostColumn = key(
        "compliant_cost", "cost that is compared", "比较所用费用", source="section 5"
    )
    mean: MeanOf = key(
        "level", "mean it is compared with", "比较所用均值：等级或全区域", source="section 5"
    )
    multiples: tuple[Multiple, ...] = Field(
        default_factory=_multiples,
        description="multiples by base points, in rising order",
        json_schema_extra={"zh": "按基准点数分档的倍数，升序", "source": "section 5"},
    )

    @model_validator(mode="after")
    def _rising(self) -> Self:
        bounds = [row.up_to for row in self.multiples]
        numbers = [bound for bound in bounds[:-1] if bound is not None]
        rising = all(a < b for a, b in itertools.pairwise(numbers))
        if not bounds or bounds[-1] is not None or len(numbers) != len(bounds) - 1 or not rising:
            raise ValueError("rows rise in up_to, and only the last row has none")
        return self


class Low(Section):
    """Low-cost cases (低倍率病例)."""

    enabled: bool = key(True, "whether there is this class", "是否设低倍率", source="section 5")
    cost: CostColumn = key(
        "total_cost", "cost that is compared and paid by", "比较与折算所用费用", source="section 5"
    )
    mean: MeanOf = key("level", "mean it is compared with", "比较所用均值", source="section 5")
    ratio: NotNegative = key(
        "0.3", "a cost below ratio × mean is low", "低于均值的该比例为低倍率", source="section 5"
    )
    points_mean: MeanOf = key(
        "region",
        "mean by which the cost is divided for the points",
        "折算点数所除的均值",
        source="section 5",
    )


class Band(Section):
    """A band of the cost ratio r = cost / mean that is paid base points × (r + add)."""

    above: NotNegative = key(..., "r above this", "r 大于", source="Zhejiang, section 5")
    up_to: Positive = key(..., "r up to this", "r 不大于", source="Zhejiang, section 5")
    add: Exact = key(..., "what is added to r", "加数", source="Zhejiang, section 5")


class Bands(Section):
    """Bands of the cost ratio (Zhejiang)."""

    cost: CostColumn = key("total_cost", "cost of the ratio", "比值所用费用", source="section 5")
    mean: MeanOf = key("region", "mean of the ratio", "比值所用均值", source="section 5")
    rows: tuple[Band, ...] = key((), "the bands", "区间", source="Zhejiang, section 5")


class Ungroupable(Section):
    """Cases without a benchmark: unstable, ambiguous (歧义) and ungrouped."""

    unstable_share: Share = key(
        "0.7",
        "share of cost / M × 100 that an unstable case carries until a decision",
        "非稳定病组病例在裁定前按该比例计点",
        source="section 5",
    )
    ambiguous_share: Share = key(
        "0.7", "the same for ambiguous cases", "歧义病例同上", source="section 5"
    )
    ungrouped_share: Share = key(
        "0.7", "the same for ungrouped cases", "未入组病例同上", source="section 5"
    )


class Pools(Section):
    """Which cases share a budget."""

    by: Literal["insurance", "city_insurance"] = key(
        "insurance",
        "a pool per insurance, or per city and insurance",
        "统筹池划分：按险种，或按市与险种",
        source="section 12",
    )


class Month(Section):
    """Monthly prepayment (月预结算)."""

    ratio: Share = key(
        "0.9",
        "share that is prepaid; the rest is the quality deposit (质量保证金)",
        "预付比例；其余为质量保证金",
        source="Guigang Art. 18",
    )
    basis: Literal["fund", "total"] = key(
        "fund",
        "what the budget pays for: the fund alone, or fund and patients together",
        "点值口径：fund 仅统筹基金，total 含患者现金",
        source="section 6",
    )


class YearEnd(Section):
    """Year-end clearing (年终清算)."""

    form: Literal["A", "B"] = key("B", "form of the formula", "清算公式 A 或 B", source="Art. 19")
    order: tuple[Step, ...] = key(
        STEPS,
        "order in which assessment, caps and payments are applied",
        "考核、结余上限、自费扣减、已付的先后次序",
        source="section 7",
    )
    surplus_cap: OptionalLimit = key(
        "0.30",
        "by how much the settled sum may exceed the actual cost; none: no cap",
        "清算额可高于实际费用的上限；留空不设",
        source="section 7",
    )
    self_pay_limit: OptionalLimit = key(
        "0.10",
        "share of the annual cost above which self-pay is deducted; none: no deduction",
        "自费占年度总费用超过该比例的部分扣减；留空不扣",
        source="section 7",
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if sorted(self.order) != sorted(STEPS):
            raise ValueError(f"names each of {', '.join(STEPS)} once")
        return self


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
    population: Population = key(Population, "population of the statistics", "统计口径")
    weights: Weights = key(Weights, "weights", "权重")
    stability: Stability = key(Stability, "stable groups", "稳定病组")
    coefficient: Coefficient = key(Coefficient, "coefficients", "系数")
    high: High = key(High, "high-cost cases", "高倍率")
    low: Low = key(Low, "low-cost cases", "低倍率")
    bands: Bands = key(Bands, "bands of the cost ratio", "费用区间")
    ungroupable: Ungroupable = key(Ungroupable, "cases without a benchmark", "无基准病例")
    pools: Pools = key(Pools, "pools", "统筹池")
    month: Month = key(Month, "monthly prepayment", "月预结算")
    year_end: YearEnd = key(YearEnd, "year-end clearing", "年终清算")

    def canonical(self) -> str:
        """The policy as JSON with every key, independent of how the file was written."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()
