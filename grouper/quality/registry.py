"""The rules of data quality (结算清单质控, settlement.md section 11) as declarations.

A rule has a code, a severity, what it needs, its words in two languages, and the function that
finds what breaks it. `reject` asks for the list to be sent back; `warn` only tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from grouper.quality import rows
from grouper.quality.columns import Cases, Mask
from grouper.quality.rows import Codes

Severity = Literal["reject", "warn"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        code: its name in tables and policies.
        severity: ``reject`` or ``warn``.
        field: the column that is told to be at fault.
        needs: columns without which it is not evaluated.
        shows: columns whose values are told, where the field's alone do not show the fault.
        en, zh: what is wrong, as the hospital is told.
        mask: rows that break it; None where it finds codes, or looks at all cases together.
        places: where the codes at fault stand among those of ``field``, rising, and their rows.
        limits: the thresholds that it compares with.
    """

    code: str
    severity: Severity
    field: str
    needs: tuple[str, ...]
    en: str
    zh: str
    mask: Callable[[Cases], Mask] | None = None
    places: Callable[[Cases], Codes] | None = None
    shows: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    @property
    def across(self) -> bool:
        """Whether it compares cases with each other."""
        return self.mask is None and self.places is None


_DATES: Final = ("admission_date", "discharge_date")

DUPLICATE: Final = "duplicate_id"
OVERLAP: Final = "overlapping_stays"

_ALL: Final = (
    Rule(
        "sex_diagnosis", "reject", "dx", ("sex", "dx"),
        "the diagnosis is one of the other sex", "诊断与性别不符",
        places=rows.sex_diagnosis,
    ),
    Rule(
        "sex_procedure", "reject", "px", ("sex", "px"),
        "the procedure is one of the other sex", "手术操作与性别不符",
        places=rows.sex_procedure,
    ),
    Rule(
        "age_diagnosis", "reject", "dx", ("age", "dx"),
        "the diagnosis is not met at this age", "诊断与年龄不符",
        places=rows.age_diagnosis,
    ),
    Rule(
        "age_procedure", "reject", "px", ("age", "px"),
        "the procedure is not met at this age", "手术操作与年龄不符",
        places=rows.age_procedure,
    ),
    Rule(
        "age_missing", "reject", "age", ("age",),
        "the age is missing", "缺少年龄",
        mask=rows.age_missing,
    ),
    Rule(
        "age_days_missing", "reject", "age_days", ("age", "age_days"),
        "the patient is below one year, and the age in days is missing", "不足一周岁缺少天数",
        mask=rows.age_days_missing,
    ),
    Rule(
        "birth_weight_missing", "reject", "weight", ("age_days", "weight"),
        "the birth weight of the newborn is missing", "新生儿缺少出生体重",
        mask=rows.birth_weight_missing, shows=("age_days",), limits=("newborn_days",),
    ),
    Rule(
        "birth_weight_range", "reject", "weight", ("age_days", "weight"),
        "the birth weight of the newborn is out of range", "新生儿出生体重超出范围",
        mask=rows.birth_weight_range, limits=("newborn_days", "weight_low", "weight_high"),
    ),
    Rule(
        "dates_order", "reject", "discharge_date", _DATES,
        "the discharge lies before the admission", "出院早于入院",
        mask=rows.dates_order, shows=_DATES,
    ),
    Rule(
        "los_differs", "reject", "los", ("los", *_DATES),
        "the length of stay is not the difference of the dates", "住院天数与出入院日期不符",
        mask=rows.los_differs, shows=("los", *_DATES),
    ),
    Rule(
        "no_principal", "reject", "dx", ("dx",),
        "there is no principal diagnosis", "缺少主要诊断",
        mask=rows.no_principal,
    ),
    Rule(
        "several_principals", "reject", "principal_count", ("principal_count",),
        "not exactly one diagnosis is marked as principal", "主要诊断不唯一",
        mask=rows.several_principals,
    ),
    Rule(
        "items_differ", "reject", "items_total", ("total_cost", "items_total"),
        "the total cost is not the sum of the items", "总费用与收费项目合计不符",
        mask=rows.items_differ, shows=("total_cost", "items_total"),
    ),
    Rule(
        "funding_differs", "reject", "total_cost", ("total_cost", "fund_paid", "patient_cash"),
        "fund and patient together do not pay the total cost", "基金支付与个人支付之和不等于总费用",
        mask=rows.funding_differs, shows=("total_cost", "fund_paid", "patient_cash"),
    ),
    Rule(
        DUPLICATE, "reject", "case_id", ("case_id",),
        "the settlement id stands more than once", "结算编号重复",
    ),
    Rule(
        OVERLAP, "reject", "admission_date", ("person_id", *_DATES),
        "the stay overlaps another stay of the same person", "同一参保人住院时间重叠",
    ),
    Rule(
        "unknown_diagnosis", "warn", "dx", ("dx",),
        "the scheme does not know the diagnosis", "诊断编码不在方案编码库",
        places=rows.unknown_diagnosis,
    ),
    Rule(
        "unknown_procedure", "warn", "px", ("px",),
        "the scheme does not know the procedure", "手术操作编码不在方案编码库",
        places=rows.unknown_procedure,
    ),
    Rule(
        "retired_diagnosis", "warn", "dx", ("dx",),
        "the diagnosis is a code of another edition", "诊断为停用或其他版本编码",
        places=rows.retired_diagnosis,
    ),
    Rule(
        "retired_procedure", "warn", "px", ("px",),
        "the procedure is a code of another edition", "手术操作为停用或其他版本编码",
        places=rows.retired_procedure,
    ),
    Rule(
        "symptom_principal", "warn", "dx", ("dx",),
        "a symptom is the principal diagnosis", "以症状（R 编码）为主要诊断",
        places=rows.symptom_principal, limits=("accepted_principals",),
    ),
    Rule(
        "factor_principal", "warn", "dx", ("dx",),
        "an external cause or a Z code is the principal diagnosis", "以 V–Z 编码为主要诊断",
        places=rows.factor_principal, limits=("accepted_principals",),
    ),
    Rule(
        "suspected_principal", "warn", "dx", ("dx",),
        "a suspected disease is the principal diagnosis", "以可疑诊断为主要诊断",
        places=rows.suspected_principal, limits=("suspected", "accepted_principals"),
    ),
    Rule(
        "surgery_fee_alone", "warn", "surgery_fee", ("surgery_fee", "px"),
        "there is a fee for surgery and no procedure", "有手术费而无手术操作",
        mask=rows.surgery_fee_alone,
    ),
    Rule(
        "ventilation_differs", "warn", "vent_hours", ("vent_hours", "px"),
        "the ventilation hours contradict the procedures", "呼吸机使用时长与手术操作不符",
        mask=rows.ventilation_differs, limits=("long_ventilation_hours",),
    ),
    Rule(
        "late_upload", "warn", "upload_date", ("upload_date",),
        "the list was uploaded late", "清单上传逾期",
        mask=rows.late_upload, shows=("upload_date", "settle_month"), limits=("upload_day",),
    ),
)  # fmt: skip

RULES: Final[Mapping[str, Rule]] = {rule.code: rule for rule in _ALL}
"""All rules by code, in the order in which they are told."""

COLUMNS_READ: Final = tuple(
    dict.fromkeys(
        (
            "case_id",
            "hospital_id",
            "settle_month",
            *(name for rule in _ALL for name in rule.needs),
            "age_days",
            "admission_time",
            "discharge_time",
            "version",
        )
    )
)
"""The case columns that the rules and scores look at."""
