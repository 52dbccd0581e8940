"""The case table: the registry of its columns.

One row is one inpatient stay (a settled case, 结算病例). The registry below is the only place that
says what a column is called, holds and means; readers, documentation and the service follow it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

import pyarrow as pa

from grouper.errors import CaseTableError

MONEY = pa.decimal128(18, 2)
CODES = pa.list_(pa.string())

FEN = 100
"""Fen in a yuan."""

MAX_FEN = 10**13
"""The largest amount of one case, 100 billion yuan: sums of a batch stay below 2**63."""


class Kind(Enum):
    """What a column holds, and so which Arrow types it may arrive in."""

    TEXT = "string, large_string, or a dictionary of them"
    CODES = "list or large_list of strings (in CSV: separated by |)"
    INTEGER = "an integer of any width; in pandas: astype('Int64')"
    MONEY = "decimal128, an integer number of yuan, or float64 of whole fen"
    DATE = "date32"
    TIME = "timestamp"
    FLAG = "boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the case table.

    Attributes:
        name: its name.
        kind: what it holds.
        type: the Arrow type it has inside the engine.
        unit: unit of the value, empty where it has none.
        en, zh: meaning.
        national: field of the national settlement list (医保基金结算清单), empty where none.
    """

    name: str
    kind: Kind
    type: pa.DataType
    unit: str
    en: str
    zh: str
    national: str


def _registry() -> dict[str, Column]:
    text, integer, money = Kind.TEXT, Kind.INTEGER, Kind.MONEY
    string, date, flag, time = pa.string(), pa.date32(), pa.bool_(), pa.timestamp("s")
    rows: tuple[tuple[str, Kind, pa.DataType, str, str, str, str], ...] = (
        ("case_id", text, string, "", "settled case", "结算病例编号", "mdtrt_id"),
        ("person_id", text, string, "", "insured person", "参保人编号", "psn_no"),
        ("hospital_id", text, string, "", "hospital", "定点医疗机构编号", "fixmedins_code"),
        ("insurance", text, string, "", "employee, resident or self", "险种类型", "insutype"),
        ("city", text, string, "", "city of the fund", "统筹区", "insuplc"),
        ("settle_month", text, string, "", "month of settlement, YYYY-MM", "结算月份", "setl_time"),
        ("admission_date", Kind.DATE, date, "", "day of admission", "入院日期", "adm_date"),
        ("discharge_date", Kind.DATE, date, "", "day of discharge", "出院日期", "dscg_date"),
        ("admission_time", Kind.TIME, time, "", "time of admission", "入院时间", "adm_time"),
        ("discharge_time", Kind.TIME, time, "", "time of discharge", "出院时间", "dscg_time"),
        ("sex", integer, pa.int8(), "", "1 male, 2 female", "性别", "gend"),
        ("age", integer, pa.int16(), "years", "full years", "年龄", "age"),
        ("age_days", integer, pa.int32(), "days", "age of an infant", "不足一周岁天数", "nwb_age"),
        ("weight", integer, pa.int32(), "g", "birth weight", "新生儿出生体重", "nwb_bir_wt"),
        ("los", integer, pa.int16(), "days", "length of stay", "实际住院天数", "act_ipt_days"),
        ("discharge", integer, pa.int8(), "", "way of discharge", "离院方式", "dscg_way"),
        ("dept", text, string, "", "department of discharge", "出院科别", "dscg_caty"),
        ("icu_hours", integer, pa.int32(), "h", "hours in intensive care", "重症监护时长", "scs_cutd_sum_dura"),
        ("vent_hours", integer, pa.int32(), "h", "hours on a ventilator", "呼吸机使用时长", "vent_used_dura"),
        ("dx", Kind.CODES, CODES, "", "diagnoses, the principal first", "诊断编码", "diag_code"),
        ("principal_count", integer, pa.int8(), "", "diagnoses marked as principal", "主要诊断个数", "maindiag_flag"),
        ("px", Kind.CODES, CODES, "", "procedures, the principal first", "手术操作编码", "oprn_oprt_code"),
        ("total_cost", money, MONEY, "yuan", "total cost", "医疗总费用", "medfee_sumamt"),
        ("compliant_cost", money, MONEY, "yuan", "compliant cost", "合规费用", "inscp_scp_amt"),
        ("self_pay", money, MONEY, "yuan", "outside the insurance's scope", "自费金额", "fulamt_ownpay_amt"),
        ("patient_cash", money, MONEY, "yuan", "all the fund does not pay", "患者支付", "psn_pay"),
        ("fund_paid", money, MONEY, "yuan", "pooled fund at discharge", "统筹基金支付", "hifp_pay"),
        ("other_funds", money, MONEY, "yuan", "patient_cash paid by other funds", "其他基金支付", "oth_pay"),
        ("separate_items", money, MONEY, "yuan", "billed apart", "单独收费项目", ""),
        ("items_total", money, MONEY, "yuan", "sum of the fee items of the list", "收费项目合计", ""),
        ("surgery_fee", money, MONEY, "yuan", "fee for surgery", "手术费", "oprn_fee"),
        ("bed_day_flag", Kind.FLAG, flag, "", "paid per day", "床日付费", ""),
        ("tcm_flag", Kind.FLAG, flag, "", "traditional Chinese medicine", "中医病例", ""),
        ("upload_date", Kind.DATE, date, "", "day of upload", "清单上传日期", ""),
        ("version", integer, pa.int32(), "", "version of the list, the first is 1", "清单版本", ""),
    )  # fmt: skip
    return {row[0]: Column(*row) for row in rows}


COLUMNS: Mapping[str, Column] = _registry()
"""All known columns, by name."""

GROUPING_REQUIRED = ("case_id", "dx")


def attribute_column(name: str, description: str) -> Column:
    """The column of an attribute that a scheme declares (`[attributes]`)."""
    return Column(name, Kind.INTEGER, pa.int32(), "", description, description, "")


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def accepts(column: Column, kind: pa.DataType) -> bool:
    """Whether the column may arrive in this Arrow type. A column of nulls may always."""
    if pa.types.is_null(kind):
        return True
    match column.kind:
        case Kind.TEXT:
            return _is_text(kind)
        case Kind.CODES:
            if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
                return False
            return _is_text(kind.value_type) or bool(pa.types.is_null(kind.value_type))
        case Kind.INTEGER:
            return bool(pa.types.is_integer(kind))
        case Kind.MONEY:
            return bool(
                pa.types.is_decimal128(kind)
                or pa.types.is_integer(kind)
                or pa.types.is_float64(kind)
            )
        case Kind.DATE:
            return bool(pa.types.is_date32(kind))
        case Kind.TIME:
            return bool(pa.types.is_timestamp(kind))
        case Kind.FLAG:
            return bool(pa.types.is_boolean(kind))


def check_columns(
    schema: pa.Schema,
    wanted: Iterable[Column],
    *,
    required: Collection[str] = GROUPING_REQUIRED,
    names: Mapping[str, str] | None = None,
    file: str = "",
) -> dict[str, str]:
    """Which of the wanted columns a table has: our name to the table's.

    Args:
        names: our name to the table's, where they differ.

    Raises:
        CaseTableError: a required column is absent, or a known one has a type it cannot have.
    """
    names = names or {}
    present: dict[str, str] = {}
    for column in wanted:
        theirs = names.get(column.name, column.name)
        positions = schema.get_all_field_indices(theirs)
        if len(positions) > 1:
            raise CaseTableError(
                f"the column {theirs} stands {len(positions)} times",
                file=file,
                column=theirs,
                hint="leave one of them out, or give the others another name",
            )
        if not positions:
            if column.name in required:
                has = ", ".join(schema.names) or "no column of a case"
                raise CaseTableError(
                    f"the column {theirs} is missing; the table has {has}",
                    file=file,
                    column=theirs,
                    hint="rename the column, or map its name in a columns.toml",
                )
            continue
        kind = schema.field(positions[0]).type
        if not accepts(column, kind):
            raise CaseTableError(
                f"the column {theirs} has the type {kind}",
                file=file,
                column=theirs,
                hint=f"it must be {column.kind.value}",
            )
        present[column.name] = theirs
    return present


def wanted_for_grouping(
    numbers: Iterable[str], attributes: Mapping[str, str]
) -> tuple[Column, ...]:
    """The columns that grouping by a scheme reads.

    Args:
        numbers: case columns that the scheme's rules compare.
        attributes: columns that the scheme declares, with their descriptions.
    """

    def compared(name: str) -> Column:
        known = COLUMNS.get(name)
        if known is None or (name in attributes and known.kind is not Kind.INTEGER):
            # A scheme's attribute is an integer column, whatever else has this name elsewhere.
            return attribute_column(name, attributes.get(name, ""))
        return known

    return (COLUMNS["case_id"], COLUMNS["dx"], COLUMNS["px"], *map(compared, numbers))
