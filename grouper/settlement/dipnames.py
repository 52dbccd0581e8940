"""What the disease groups of DIP (病种) are called, from the names of codes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Final

from grouper.settlement.dip import CATEGORY_CHARACTERS

CHAPTERS: Final = (
    ("A00", "某些传染病和寄生虫病"), ("C00", "肿瘤"), ("D50", "血液及造血器官疾病"),
    ("E00", "内分泌、营养和代谢疾病"), ("F00", "精神和行为障碍"), ("G00", "神经系统疾病"),
    ("H00", "眼和附器疾病"), ("H60", "耳和乳突疾病"), ("I00", "循环系统疾病"),
    ("J00", "呼吸系统疾病"), ("K00", "消化系统疾病"), ("L00", "皮肤和皮下组织疾病"),
    ("M00", "肌肉骨骼系统和结缔组织疾病"), ("N00", "泌尿生殖系统疾病"),
    ("O00", "妊娠、分娩和产褥期"), ("P00", "起源于围生期的某些情况"),
    ("Q00", "先天性畸形、变形和染色体异常"), ("R00", "症状、体征和临床与实验室异常所见"),
    ("S00", "损伤、中毒和外因的某些其他后果"), ("U00", "特殊目的编码"),
    ("V01", "疾病和死亡的外因"), ("Z00", "影响健康状态和与保健机构接触的因素"),
)  # fmt: skip
"""Chapters of ICD-10 by their first category."""

_FIRST: Final = [first for first, _ in CHAPTERS]


def chapter(code: str) -> tuple[str, str]:
    """Number (01 to 22) and name of the chapter of a diagnosis code; empty where there is none."""
    place = bisect_left(_FIRST, code[:CATEGORY_CHARACTERS] + "~") if code else 0
    return (f"{place:02}", CHAPTERS[place - 1][1]) if place else ("", "")


class Names:
    """Names of disease groups.

    Args:
        dx, px: names by code.
    """

    def __init__(self, dx: Mapping[str, str], px: Mapping[str, str]) -> None:
        self._dx = dx
        self._px = px
        self._codes = sorted(dx)

    def diagnosis(self, head: str) -> str:
        """The name of the first code that begins so, which is the plainest one."""
        place = bisect_left(self._codes, head)
        if place < len(self._codes) and self._codes[place].startswith(head):
            return self._dx[self._codes[place]]
        return ""

    def group(self, key: str) -> str:
        """The name of a group: its diagnosis, then its procedures."""
        head, _, done = key.partition(":")
        if done in {"+", "-"} and len(head) == CATEGORY_CHARACTERS:
            kind = "手术综合病种" if done == "+" else "保守治疗综合病种"
            return f"{self.diagnosis(head) or head} {kind}"
        procedures = [self._px.get(code, code) for code in done.split("+") if code]
        return " / ".join(filter(None, (self.diagnosis(head), *procedures)))


def group_rows(
    codes: Iterable[str], dx: Mapping[str, str], px: Mapping[str, str]
) -> list[tuple[str, str, str, str, str, str]]:
    """Rows of the table ``groups``: the category stands for the ADRG, the chapter for the MDC."""
    names = Names(dx, px)
    rows = []
    for code in codes:
        category = code[:CATEGORY_CHARACTERS]
        number, title = chapter(code)
        rows.append((code, category, number, names.group(code), names.diagnosis(category), title))
    return rows
