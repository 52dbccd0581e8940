"""Policy keys about groups: population, weights, stability, coefficients, classes of cases."""

from __future__ import annotations

import itertools
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


class Trim(Section):
    """Trimming (裁剪) of a group's costs before means are taken; trimmed cases are still paid."""

    method: Literal["none", "iqr", "percentile"] = key(
        "none",
        "none; iqr: fences around the quartiles; percentile: between two quantiles",
        "裁剪方法：none 不裁剪，iqr 四分位距，percentile 百分位",
        source="section 4",
    )
    lo_k: NotNegative = key(
        "1.5", "lower fence = Q1 − lo_k × IQR", "下界 = Q1 − lo_k×IQR", unit="×", source="section 4"
    )
    hi_k: NotNegative = key(
        "1.5", "upper fence = Q3 + hi_k × IQR", "上界 = Q3 + hi_k×IQR", unit="×", source="section 4"
    )
    low: Share = key("0.05", "lower quantile", "下百分位", source="section 4")
    high: Share = key("0.95", "upper quantile", "上百分位", source="section 4")
    action: Literal["drop", "winsorise"] = key(
        "drop",
        "drop: leave out what lies outside; winsorise: set it to the bound",
        "drop 剔除，winsorise 缩尾",
        source="section 4",
    )
    until_cv: OptionalLimit = key(
        None,
        "trim again until CV is at most this; none: once",
        "重复裁剪直至 CV 不大于此值；none 只裁剪一次",
        source="section 4",
    )


class Population(Section):
    """Which cases the means, CV and coefficients are made of."""

    cases: Literal["auto", "history", "own"] = key(
        "auto",
        "history: earlier years; own: the run's cases; auto: history where there is one",
        "均值、CV、系数所用病例：history 历史年度，own 本期病例，auto 有历史则用历史",
        source="section 12",
    )
    blend: tuple[Positive, ...] = key(
        (),
        "weights of the history's years, the last for the latest; empty: three years, equal",
        "各历史年度权重，由远及近；空为近三年等权",
        source="section 4; Zhejiang 2:3:5",
    )
    trim: Trim = key(Trim, "trimming", "裁剪")


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
    changes: dict[str, Positive] = key(
        {},
        "weights changed by hand, by DRG; the others are multiplied so that total weight stays",
        "人工调整的权重；其余权重同比调整以保持总权重不变",
        source="section 4",
    )
    frozen: tuple[str, ...] = key(
        (), "DRGs whose weight is never multiplied", "不参与同比调整的病组", source="section 4"
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


class High(Section):
    """High-cost cases (高倍率病例)."""

    enabled: bool = key(True, "whether there is this class", "是否设高倍率", source="section 5")
    cost: CostColumn = key(
        "compliant_cost", "cost that is compared", "比较所用费用", source="section 5"
    )
    mean: MeanOf = key(
        "level", "mean it is compared with", "比较所用均值：等级或全区域", source="section 5"
    )
    inclusive: bool = key(
        False, "a cost equal to the bound is high", "等于界值是否为高倍率", source="section 10"
    )
    pay: Literal["review", "deviation"] = key(
        "review",
        "review: P·k until a review adds points; deviation: P·k·(r − T + factor) at once",
        "review 经特病单议追加，deviation 按偏差直接计点",
        source="sections 5 and 10",
    )
    factor: NotNegative = key(1, "factor of the deviation rule", "偏差法系数", source="section 10")
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
            raise ValueError("the rows of multiples must rise in up_to, and only the last has none")
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
    inclusive: bool = key(
        False, "a cost equal to the bound is low", "等于界值是否为低倍率", source="section 10"
    )
    with_coefficient: bool = key(
        False, "points of a low case take the coefficient", "低倍率是否乘系数", source="section 5"
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


class Groups(Section):
    """What a case is grouped into, and what a weight of 1 is worth."""

    by: Literal["drg", "dip"] = key(
        "drg",
        "drg: the scheme's groups; dip: principal diagnosis and procedures, from the population",
        "drg 按分组方案，dip 按病种（主诊断亚目+手术操作）",
        source="section 10",
    )
    points_per_weight: Positive = key(
        100,
        "base points of weight 1 (DIP scores: 1000)",
        "权重 1 对应的基准点数（DIP 分值为 1000）",
        unit="points",
        source="section 4",
    )
    dip_characters: Annotated[int, Field(ge=1, le=10)] = key(
        5,
        "characters of the principal diagnosis in a DIP group, as written",
        "病种取主诊断编码位数",
        unit="characters",
        source="section 10",
    )
    dip_min_cases: Annotated[int, Field(ge=1)] = key(
        15,
        "a DIP group with fewer cases falls into its comprehensive group",
        "病例数少于该值的病种并入综合病种",
        unit="cases",
        source="section 10",
    )


class Participation(Section):
    """Dry run (空转): who is simulated and not paid by points."""

    dry_run: Literal["never", "before_go_live"] = key(
        "never",
        "before_go_live: a hospital's cases before the month of its go_live are paid by item and "
        "simulated",
        "before_go_live：医院上线前的病例按项目付费并模拟",
        source="section 2, Tongren",
    )
    non_pilot: Literal["paid", "item"] = key(
        "paid",
        "hospitals whose pilot is false: paid as all others, or paid by item (from a budget line "
        "of their own) and simulated",
        "非试点医院：paid 同样按点数付费，item 按项目付费（另列预算）并模拟",
        source="section 3",
    )
    side_by_side: bool = key(
        False,
        "write simulation.parquet: points payment beside the cost by item, per hospital and group",
        "输出模拟对照表：按点数付费与按项目费用对照",
        source="section 2, Hunan",
    )
