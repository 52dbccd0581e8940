"""Policy keys of data quality and supervision: thresholds; the rules are declared elsewhere."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated

from pydantic import Field

from grouper.quality import Thresholds
from grouper.settlement.policykeys import NotNegative, Positive, Section, Share, key

Count = Annotated[int, Field(ge=0)]
Days = Annotated[int, Field(ge=1)]


class Quality(Section):
    """Thresholds of the data-quality rules (结算清单质控)."""

    report: bool = key(
        True,
        "check the lists in every run: findings, scores and ranking in the run folder",
        "结算时同时质控，结果写入运行目录",
        source="section 11",
    )
    newborn_days: Count = key(
        28, "a child is newborn up to this age", "新生儿日龄上限", unit="days", source="section 11"
    )
    weight_low: Count = key(
        100, "smallest believable birth weight", "出生体重下限", unit="g", source="section 11"
    )
    weight_high: Count = key(
        9999, "largest believable birth weight", "出生体重上限", unit="g", source="section 11"
    )
    long_ventilation_hours: Count = key(
        96,
        "from so many hours on a ventilation is a long one (96.72)",
        "长时间机械通气起算小时数",
        unit="h",
        source="ICD-9-CM-3 96.7",
    )
    upload_day: Annotated[int, Field(ge=1, le=31)] = key(
        13,
        "day of the month after settle_month up to which an upload is in time",
        "次月该日前上传为及时",
        unit="day of month",
        source="section 11",
    )
    accepted_principals: tuple[str, ...] = key(
        (),
        "code prefixes that may be principal although they begin with R, V to Z",
        "允许作为主要诊断的 R、V–Z 编码前缀",
        source="section 11",
    )
    suspected: tuple[str, ...] = key(
        ("Z03", "U07.2"),
        "code prefixes of suspected diagnoses",
        "可疑诊断编码前缀",
        source="section 11",
    )

    def thresholds(self, reject: tuple[str, ...]) -> Thresholds:
        """The same for the rules; ``reject`` are those whose breach rejects a case."""
        limits = {name: value for name, value in self if name != "report"}
        return Thresholds(**limits, reject=reject)


class Supervision(Section):
    """Thresholds of the supervision indicators (基金监管指标)."""

    split_days: Days = key(
        2, "admitted again within so many days: split admission", "分解住院间隔天数上限",
        unit="days", source="section 11",
    )  # fmt: skip
    same_group_days: tuple[Days, ...] = key(
        (10, 15, 31), "admitted again to the same DRG within so many days",
        "同病组再入院间隔天数", unit="days", source="section 11",
    )  # fmt: skip
    above_low: Share = key(
        "0.05", "clustering: a cost ratio above the low bound by at most this",
        "低倍率界上聚集区间宽度", source="section 11",
    )  # fmt: skip
    short_stay_days: Days = key(
        2, "low-standard admission: no surgery, and a stay up to this", "低标准入院住院天数上限",
        unit="days", source="section 11",
    )  # fmt: skip
    long_stay_days: Days = key(
        60, "stays cluster below this length", "住院天数聚集上限", unit="days", source="section 11"
    )
    cluster_days: Days = key(
        5, "how many days below it count", "聚集区间天数", unit="days", source="section 11"
    )
    self_pay: Share = key(
        "0.10", "a self-pay share of the cost above this shifts cost", "自费占比上限",
        source="section 11",
    )  # fmt: skip
    outpatient_before: Days = key(
        3, "outpatient cost so many days before an admission", "入院前门诊天数", unit="days",
        source="section 11",
    )  # fmt: skip
    outpatient_after: Days = key(
        30, "outpatient cost so many days after a discharge", "出院后门诊天数", unit="days",
        source="section 11",
    )  # fmt: skip
    review_quota: Share = key(
        "0.005", "special reviews per case of route drg", "特病单议比例上限", source="section 11"
    )
    peer_factor: Positive = key(
        "1.5", "a rate is told when it exceeds the peers' by this factor", "高于同级均值倍数预警",
        unit="×", source="section 11",
    )  # fmt: skip
    past_factor: Positive = key(
        "1.5", "the same against the hospital's own past", "高于本院往期倍数预警", unit="×",
        source="section 11",
    )  # fmt: skip
    min_cases: Days = key(
        20, "fewest cases of a rate that is told", "预警最少病例数", unit="cases",
        source="section 11",
    )  # fmt: skip


class Monitoring(Section):
    """Which indicators a region follows, and what counts as in range (监测指标)."""

    shown: tuple[str, ...] = key(
        (), "indicators, in their order; empty: all", "监测指标及次序；空为全部", source="section 9"
    )
    range_low: NotNegative = key(
        "0.9", "in range from this multiple of the standard", "区间下限", source="section 9"
    )
    range_high: NotNegative = key(
        "1.1", "in range up to this multiple of the standard", "区间上限", source="section 9"
    )


def rejecting_rules(rules: tuple[str, ...]) -> tuple[str, ...]:
    """The same rules.

    Raises:
        ValueError: there is no such rule, or it compares cases, which no single case can break.
    """
    from grouper.quality.registry import DUPLICATE, RULES

    wrong = []
    for rule in rules:
        if rule not in RULES:
            close = get_close_matches(rule, RULES, 1)
            told = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(RULES)}"
            wrong.append(f"there is no data-quality rule '{rule}': {told}")
        elif RULES[rule].across and rule != DUPLICATE:
            wrong.append(f"the rule '{rule}' compares cases with each other and only reports")
    if wrong:
        raise ValueError("; ".join(wrong))
    return rules
