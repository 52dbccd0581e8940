"""The columns of an appeal sheet, what may be answered, and what the hidden sheet says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FORMAT: Final = 1
"""Version of the layout; a workbook of another one is not read."""

CASES_SHEET: Final = "病例 Cases"
TOTALS_SHEET: Final = "合计 Totals"
REJECTED_SHEET: Final = "退回 Rejected"
TICKET_SHEET: Final = "_grouper"

HEAD_ROW: Final = 3
"""Row of the headings, from 1 as Excel counts; the cases begin below."""

MOST_ROWS: Final = 1_048_576 - HEAD_ROW
"""Cases that fit on a sheet."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the sheet.

    Attributes:
        name: its name in the tables that reading makes.
        kind: `text`, `money` (yuan of fen), `points` (of 1e-8) or a kind of words such as `class`.
        told: whether it holds words that another version of the engine may say otherwise.
        answer: whether the hospital fills it in.
        width: in characters.
    """

    name: str
    kind: str
    zh: str
    en: str
    width: float
    told: bool = False
    answer: bool = False

    @property
    def heading(self) -> str:
        """What stands above the column."""
        return f"{self.zh}\n{self.en}"


def _fields() -> tuple[Field, ...]:
    rows: tuple[tuple[str, str, str, str, float], ...] = (
        ("case_id", "text", "病例编号", "Case", 20),
        ("month", "text", "月份", "Month", 9),
        ("pool", "pool", "统筹池", "Pool", 12),
        ("discharge_date", "text", "出院日期", "Discharged", 11),
        ("pdx", "text", "主要诊断", "Principal diagnosis", 13),
        ("odx", "text", "其他诊断", "Other diagnoses", 26),
        ("px", "text", "手术操作", "Procedures", 22),
        ("status", "status", "状态", "Status", 8),
        ("drg", "text", "病组", "DRG", 8),
        ("drg_name", "text", "病组名称", "Name of the DRG", 28),
        ("route", "route", "付费方式", "Route", 11),
        ("class", "class", "类型", "Class", 9),
        ("reason", "reason", "依据", "Reason", 14),
        ("total_cost", "money", "总费用(元)", "Total cost (CNY)", 14),
        ("points", "points", "点数", "Points", 16),
        ("extra_points", "points", "单议增加点数", "Extra points", 14),
        ("value", "money", "点数价值(元)", "Value (CNY)", 14),
        ("gain", "money", "盈亏(元)", "Gain (CNY)", 14),
    )
    told = (
        ("explanation", "text", "入组说明", "Explanation", 60),
        ("uncertain", "text", "不确定事项", "What is uncertain", 34),
        ("near", "text", "邻近病组", "Groups one change away", 40),
    )
    answers = (
        ("answer", "text", "答复", "Answer", 16),
        ("dispute", "text", "异议理由", "Reason of the dispute", 22),
        ("remark", "text", "说明", "Remark", 34),
        ("new_pdx", "text", "更正主要诊断", "Corrected principal diagnosis", 15),
        ("new_odx", "text", "更正其他诊断", "Corrected other diagnoses", 26),
        ("new_px", "text", "更正手术操作", "Corrected procedures", 22),
    )
    return (
        *(Field(*row) for row in rows),
        *(Field(*row, told=True) for row in told),
        *(Field(*row, answer=True) for row in answers),
    )


FIELDS: Final = _fields()
"""All columns in their order."""

PROTECTED: Final = tuple(field for field in FIELDS if not field.answer)
ANSWERS: Final = tuple(field for field in FIELDS if field.answer)

ACCEPTED, DISPUTED = "accepted", "disputed"

ANSWER_WORDS: Final = {ACCEPTED: "认可 accepted", DISPUTED: "异议 disputed"}
"""What may stand in `answer`."""

DISPUTE_WORDS: Final = {
    "codes": "编码更正 codes",
    "review": "申请特病单议 review",
    "data": "费用或信息有误 data",
    "other": "其他 other",
}
"""What may stand in `dispute`."""

NONE_LEFT: Final = "-"
"""In a column of corrected codes: the list is empty. A blank cell leaves the list as it is."""

MOST_REMARK: Final = 2_000
"""Characters of a remark."""

TOTAL_WORDS: Final = {
    "pool": ("统筹池", "Pool"),
    "month": ("月份", "Month"),
    "cases": ("病例数（本表）", "Cases (this sheet)"),
    "points": ("点数（本表）", "Points (this sheet)"),
    "value": ("点数价值(元)（本表）", "Value (CNY, this sheet)"),
    "stated_cases": ("病例数（结算单）", "Cases (statement)"),
    "stated_points": ("点数（结算单）", "Points (statement)"),
    "gross": ("点数价值(元)（结算单）", "Gross (CNY, statement)"),
    "difference": ("差额(元)：逐例取整、关账后到达", "Difference (CNY): rounding, late cases"),
}
"""Headings of the sheet of totals."""
