"""Why a row of a source is no part of a case table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Reason(NamedTuple):
    """What is wrong, in both languages."""

    en: str
    zh: str


REASONS: Mapping[str, Reason] = {
    "damaged": Reason("the row or document cannot be read at all", "整行或整份文件无法读取"),
    "no_id": Reason("the row has no id to join by", "缺少关联编号"),
    "several_settlements": Reason("several settlements have this id", "同一编号有多条结算"),
    "conflicting_versions": Reason("this id has one version twice", "同一编号同一版本有多条"),
    "ambiguous_version": Reason(
        "several versions, and a table does not say which its rows belong to",
        "有多个版本，而明细表未注明版本",
    ),
    "unreadable": Reason("a value of the settlement cannot be read", "结算信息中有无法读取的值"),
    "unknown_code": Reason("a code stands in no table of the layout", "代码不在对照表中"),
    "unreadable_detail": Reason("a value in another table cannot be read", "明细中有无法读取的值"),
    "no_diagnosis": Reason("the settlement has no diagnosis", "结算没有诊断"),
    "no_principal": Reason("no diagnosis is marked as principal", "没有主要诊断"),
    "several_principals": Reason("several diagnoses are marked as principal", "主要诊断多于一个"),
    "no_settlement": Reason("the row belongs to no settlement", "找不到对应的结算"),
    "no_code": Reason("the row has no code", "缺少编码"),
    "no_value": Reason("the row has no amount or duration", "缺少金额或时长"),
}
"""Reasons by code, in the order in which they are tried; a row is told the first that holds."""
