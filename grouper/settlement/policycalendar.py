"""Policy keys of the calendar of a month (月度结算日程)."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from grouper.settlement.policykeys import NONE, Section, key

Day = Annotated[int, Field(ge=1, le=31)]
OptionalDay = Annotated[Day | None, BeforeValidator(lambda v: None if v == NONE else v)]


class Calendar(Section):
    """Days by which the steps of a month are due (各环节截止日)."""

    months_after: Annotated[int, Field(ge=0, le=11)] = key(
        1,
        "the steps fall into so many months after the month of settlement",
        "各环节在结算月之后第几个月",
        unit="months",
        source="section 6",
    )
    upload_day: OptionalDay = key(
        None,
        "hospitals upload their settlement lists up to this day; empty: quality.upload_day",
        "医院上传清单截止日；留空取 quality.upload_day",
        unit="day of month",
        source="section 6",
    )
    grouping_day: Day = key(
        16, "the bureau groups the cases", "经办机构分组截止日",
        unit="day of month", source="section 6 names the step; the day is a default of ours",
    )  # fmt: skip
    feedback_day: Day = key(
        20, "hospitals answer the groups and appeal", "医院反馈申诉截止日",
        unit="day of month", source="section 6 names the step; the day is a default of ours",
    )  # fmt: skip
    final_day: Day = key(
        25, "the groups are final and the month is closed", "分组确认与关账日",
        unit="day of month", source="section 6 names the step; the day is a default of ours",
    )  # fmt: skip
    payment_day: Day = key(
        31, "the month is paid; a day that the month lacks is its last", "月度拨付日；无该日取月末",
        unit="day of month", source="section 6 names the step; the day is a default of ours",
    )  # fmt: skip

    @model_validator(mode="after")
    def _steps_follow_each_other(self) -> Self:
        days = [self.upload_day or 1, self.grouping_day, self.feedback_day, self.final_day]
        days.append(self.payment_day)
        if days != sorted(days):
            raise ValueError(
                "no day may come before the one of the step before: upload_day, grouping_day, "
                "feedback_day, final_day, payment_day"
            )
        return self
