"""The supervision indicators (基金监管指标, settlement.md section 11) as declarations.

Each is a condition on a stay: the stays that fulfil it are the numerator and the list of cases
behind it. The view that they look at, ``watched``, is made in `supervise`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from grouper.settlement.policy import Policy

SURGICAL: Final = "ABCDEFGHJ"
"""Second letters of surgical ADRGs (外科手术操作组)."""

REFUSALS: Final = "records of refusals"
"""What neither the cases nor any file of a region holds (推诿记录)."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One supervision indicator.

    Attributes:
        code: its name in tables.
        among: the stays that it is asked of, the denominator, as a condition.
        when: the condition on them, the numerator; `{name}` are limits.
        other: column with the other case that is told, empty where there is none.
        shows: SQL text of what is told of a case.
        needs: columns of the run's cases, or files of the region, that it needs.
        en, zh: what it is.
    """

    code: str
    when: str
    en: str
    zh: str
    among: str = "true"
    other: str = ""
    shows: str = "''"
    needs: tuple[str, ...] = ()


_PERSON: Final = ("person_id", "admission_date", "discharge_date")
_AGAIN: Final = "previous_gap BETWEEN 0 AND {split_days}"
_MEAN: Final = "bound_cases IS NOT NULL"
_SAME: Final = tuple(
    Signal(
        f"same_group_{place}", f"group_gap BETWEEN 0 AND {{same_group_days_{place}}}",
        f"admitted again to the same hospital and DRG within {{same_group_days_{place}}} days",
        f"{{same_group_days_{place}}} 天内同院同病组再入院",
        among="status = 'grouped'", other="group_other",
        shows="group_gap || ' days'", needs=_PERSON,
    )
    for place in (1, 2, 3)
)  # fmt: skip

_ALL: Final = (
    Signal(
        "split_admission", _AGAIN,
        "admitted again to the same hospital within {split_days} days", "疑似分解住院",
        other="previous_other", shows="previous_gap || ' days'", needs=_PERSON,
    ),
    *_SAME,
    Signal("low_ratio", "class = 'low'", "low-cost case", "低倍率病例", shows="yuan(cost)"),
    Signal(
        "above_low",
        "cost::HUGEINT * bound_cases * {low_below} >= bound_cost * {low_above} "
        "AND cost::HUGEINT * bound_cases * {step_below} < bound_cost * {step_above}",
        "cost just above the low bound", "费用聚集于低倍率界上", among=_MEAN,
        shows="yuan(cost)",
    ),
    Signal("mcc_rate", "severity = 'MCC'", "grouped with MCC", "MCC 占比",
           among="status = 'grouped'", shows="drg"),
    Signal("cc_rate", "severity IN ('CC', 'MCC')", "grouped with CC or MCC", "CC/MCC 占比",
           among="status = 'grouped'", shows="drg"),
    Signal(
        "low_standard", "NOT surgical AND los <= {short_stay_days} AND discharge = 1",
        "no surgery, and a stay of at most {short_stay_days} days", "疑似低标准入院",
        shows="los || ' days'", needs=("los", "discharge"),
    ),
    Signal("transfer", "discharge IN (2, 3)", "transferred", "转院", shows="discharge",
           needs=("discharge",)),
    Signal(
        "long_stay_cluster", "los >= {long_stay_from} AND los < {long_stay_days}",
        "a stay just below {long_stay_days} days", "住院天数聚集于 {long_stay_days} 天下",
        shows="los || ' days'", needs=("los",),
    ),
    Signal(
        "self_pay", "self_pay::HUGEINT * {self_pay_below} > cost::HUGEINT * {self_pay_above}",
        "a large share is self-pay", "自费占比过高", among="cost > 0",
        shows="yuan(self_pay) || ' / ' || yuan(cost)",
    ),
    Signal(
        "outpatient_before", "cost_before > 0",
        "outpatient cost within {outpatient_before} days before", "入院前门诊费用转移",
        shows="yuan(cost_before)", needs=(*_PERSON, "outpatient.parquet"),
    ),
    Signal(
        "outpatient_after", "cost_after > 0",
        "outpatient cost within {outpatient_after} days after", "出院后门诊费用转移",
        shows="yuan(cost_after)", needs=(*_PERSON, "outpatient.parquet"),
    ),
    Signal(
        "late_upload", "upload_date > upload_deadline", "uploaded late", "清单上传逾期",
        among="upload_date IS NOT NULL", shows="upload_date::VARCHAR", needs=("upload_date",),
    ),
    Signal("special_review", "reviewed", "asked for special review", "特病单议",
           needs=("reviews.csv",)),
    Signal("refusal", "false", "refused admission", "推诿病人", needs=(REFUSALS,)),
    Signal("edited", "edited", "a later version changed the group", "入组后修改致病组变化",
           needs=("version",)),
)  # fmt: skip

SIGNALS: Final[Mapping[str, Signal]] = {one.code: one for one in _ALL}
"""All supervision indicators by code."""

CASE_MIX_RISE: Final = "case_mix_rise"
"""Case mix up without cost or length of stay: told of months, not of single stays."""


def limits_of(policy: Policy) -> dict[str, int]:
    """The limits that conditions name; a share is told as numerator and denominator."""
    rules = policy.supervision
    low = Fraction(policy.low.ratio)
    step = low + Fraction(rules.above_low)
    pay = Fraction(rules.self_pay)
    # A list of other length than three: the last days stand for what is missing.
    days = (*rules.same_group_days, *(rules.same_group_days[-1:] or (31,)) * 3)[:3]
    return {
        "split_days": rules.split_days,
        **{f"same_group_days_{place}": count for place, count in enumerate(days, 1)},
        "low_above": low.numerator,
        "low_below": low.denominator,
        "step_above": step.numerator,
        "step_below": step.denominator,
        "short_stay_days": rules.short_stay_days,
        "long_stay_days": rules.long_stay_days,
        "long_stay_from": rules.long_stay_days - rules.cluster_days,
        "self_pay_above": pay.numerator,
        "self_pay_below": pay.denominator,
        "outpatient_before": rules.outpatient_before,
        "outpatient_after": rules.outpatient_after,
    }
