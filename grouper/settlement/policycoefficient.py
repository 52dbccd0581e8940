"""Policy keys about what multiplies the base points of a case."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from grouper.settlement.policykeys import NotNegative, Positive, Section, Share, key

BY_HOSPITAL = ("hospital", "blend")
"""Kinds of coefficient that differ between hospitals of a level."""


class Uplift(Section):
    """Something that multiplies the points of a case where all of its conditions hold."""

    name: str = key(..., "what it is", "名称", source="sections 4 and 10")
    times: Positive = key(..., "multiplies the points", "点数乘以", unit="×", source="section 10")
    severity: tuple[Literal["MCC", "CC", "none"], ...] = key(
        (), "severity of the case", "严重程度", source="section 10"
    )
    age_from: Annotated[int, Field(ge=0)] | None = key(
        None, "from this age on", "年龄下限", unit="years", source="section 10"
    )
    age_to: Annotated[int, Field(ge=0)] | None = key(
        None, "up to this age", "年龄上限", unit="years", source="section 10"
    )
    dx: tuple[str, ...] = key(
        (),
        "beginnings of the principal diagnosis, such as C for tumours",
        "主要诊断编码前缀，如肿瘤 C",
        source="section 10",
    )
    px: tuple[str, ...] = key(
        (),
        "beginnings of a procedure, such as a new technology",
        "手术操作编码前缀，如新技术",
        source="section 4",
    )

    @model_validator(mode="after")
    def _some_condition(self) -> Self:
        ages = (self.age_from, self.age_to)
        if not (self.severity or self.dx or self.px) and ages == (None, None):
            raise ValueError("an uplift needs a condition: severity, age_from, age_to, dx or px")
        return self


class Coefficient(Section):
    """Coefficients (等级差异系数) between hospital levels."""

    kind: Literal["level", "none", "hospital", "blend"] = key(
        "level",
        "level: mean of the level / region mean; hospital: mean of the hospital / region mean; "
        "blend: a part of each; none: 1 for all",
        "系数类型：level 按医院等级，hospital 按医院，blend 两者加权，none 不设系数",
        source="section 4; Jinhua",
    )
    level_part: Share = key(
        "0.5", "part of the level in a blend", "加权时等级系数占比", source="section 4"
    )
    basic_value: NotNegative = key(
        1, "common value of a basic group", "基础病组统一系数", source="section 4"
    )
    factor_table: str = key(
        "",
        "table of rates.csv with a factor per hospital (class: hospital, class or level); "
        "empty: none",
        "rates.csv 中医院系数表名；空为无",
        source="section 10",
    )
    tcm_uplift: NotNegative = key(
        0, "added to 1 for a case with tcm_flag", "中医病例加成", source="section 4"
    )
    child_uplift: NotNegative = key(0, "added to 1 for a child", "儿童病例加成", source="section 4")
    child_age: Annotated[int, Field(ge=0)] = key(
        6, "a child is at most this old", "儿童年龄上限", unit="years", source="section 4"
    )
    uplifts: tuple[Uplift, ...] = key(
        (),
        "what else multiplies the points: severity, age, tumours (DIP auxiliary factors), new "
        "technology",
        "其他加成：如严重程度、年龄、肿瘤（DIP 辅助目录）、新技术",
        source="sections 4 and 10",
    )
    fallback: Literal["one", "nearest"] = key(
        "one",
        "a level without cases: 1, or as the nearest level (the lower one on a tie)",
        "无病例的等级：one 取 1，nearest 取最近等级（同距取低）",
        source="section 4",
    )
