"""Conditions as spreadsheets write them, in the pack's rule language."""

from __future__ import annotations

import pytest

from grouper.scheme.sheets.notation import parse_notation


class Words:
    """Lists that are called as they are asked for."""

    def listed(self, wanted, owner, together):  # type: ignore[no-untyped-def]
        from grouper.scheme.rules import InSet

        return [InSet(wanted.kind, f"{owner or 'X'}.{wanted.number}")]

    def family(self) -> str:
        return "MDCZ"

    def rest(self):  # type: ignore[no-untyped-def]
        from grouper.scheme.rules import Not, Severity

        return Not(Severity("mcc"))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("（其他诊断或手术或操作1）＋手术或操作2",
         "(other_dx in X.0 or any_px in X.1) and any_px in X.2"),
        ("(other diagnosis or procedure 1) + procedure 2",
         "(other_dx in X.0 or any_px in X.1) and any_px in X.2"),
        ("条件1：主要诊断+手术1\n条件2：主要手术2", "pdx in X.0 and any_px in X.1 or ppx in X.2"),
        ("CB4手术 + 非 CB5主要手术", "any_px in CB4.0 and not ppx in CB5.0"),
        ("AH11手术 + AH1手术2", "any_px in AH11.0 and any_px in AH1.2"),
        ("AH11 procedure 1 or pdx and age > 3",
         "any_px in AH11.1 or pdx in X.0 and age > 3"),
        ("any diagnosis or not any procedure", "any_dx in X.0 or not any_px in X.0"),
        ("任意手术；无手术", "any_px in or_px or not any_px in or_px"),
        ("29天 ≤ 年龄 < 1岁", "age_days >= 29 and age < 1"),
        ("体重1500-2499g 且 6岁及以下", "weight >= 1500 and weight <= 2499 and age <= 6"),
        ("出生体重 < 1.5kg，住院天数不超过5天", "weight < 1500 and los <= 5"),
        ("伴严重合并症或并发症 + 年龄<17岁", "mcc and age < 17"),
        ("with CC and at least", None),
        ("伴并发症或合并症", "mcc or cc"),
        ("伴严重或一般并发症与合并症", "mcc or cc"),
        ("年龄>17岁伴严重并发症或合并症", "age > 17 and mcc"),
        ("不伴或伴一般并发症或合并症", "not mcc"),
        ("伴或不伴并发症或合并症", "true"),
        ("不伴", "not mcc"),
        ("离院方式=（死亡、转院） 且 ICU时间>96小时", "discharge in (5, 2, 3) and icu_hours > 96"),
        ("呼吸机时长 ≥ 96 或 女", "vent_hours >= 96 or sex == 2"),
        ("主要诊断 + 部位≥2", "pdx in X.0 and sites(MDCZ) >= 2"),
        ("手术1 ≥ 2个", "count(any_px in X.1) >= 2"),
        ("规则: dept == \"0301\" and mcc", 'dept == "0301" and mcc'),
        ("年龄 6岁以下", None),
        ("手术1 手术2", None),
        ("(主要诊断", None),
        ("3 > 2", None),
        ("3个月 ≤ 年龄", None),
        ("：", None),
    ],
)  # fmt: skip
def test_notation(text: str, rule: str | None) -> None:
    from grouper.scheme.sheets.scan import NotationError

    if rule is None:
        with pytest.raises(NotationError):
            parse_notation(text, Words())
        return
    assert str(parse_notation(text, Words(), {"vent_hours": "呼吸机时长"})) == rule
