"""The fields of the national settlement list (医保基金结算清单) that an import understands.

Names are those of the interface (transactions 4101 and 4101A), with the spellings that other
transactions and the platform's own tables use for the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from grouper.cases import COLUMNS, Kind


class As(Enum):
    """How the value of a field is read."""

    TEXT = "text"
    CODE = "text in half-width characters"
    WHOLE = "whole number"
    FLOOR = "number, cut to a whole one"
    NEAREST = "number, rounded to a whole one"
    MONEY = "yuan, at most two places"
    TIME = "date or time"
    FLAG = "1 or 0"
    MINUTES = "duration"
    INSURANCE = "code of [insurance]"
    FUND = "code of [funds]"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a table.

    Attributes:
        name: as the interface calls it.
        read: how its value is read.
        zh, en: meaning.
        also: other names that mean the same, matched where the name itself is absent.
    """

    name: str
    read: As
    zh: str
    en: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class InterfaceTable:
    """A table (node) of the interface.

    Attributes:
        name: of the node.
        required: whether an import needs it.
        also: names of files, sheets and database tables that hold it, beside its own.
        fields: by name.
    """

    name: str
    zh: str
    required: bool
    also: tuple[str, ...]
    fields: Mapping[str, Field]


_KEYS = (
    Field("mdtrt_id", As.TEXT, "就诊ID", "visit", ("mdtrt_sn", "case_id")),
    Field("setl_id", As.TEXT, "结算ID", "settlement"),
    Field("setl_list_id", As.TEXT, "结算清单ID", "settlement list"),
    Field("version", As.WHOLE, "版本", "version of a resubmitted list"),
)
KEYS = ("mdtrt_id", "setl_id", "setl_list_id")
"""Fields that tables may be joined by, the preferred first."""

_T, _M = As.TEXT, As.MONEY
_SETTLEMENT = (
    Field("psn_no", _T, "人员编号", "insured person"),
    Field("hi_no", _T, "医保编号", "insured person, where there is no psn_no"),
    Field("fixmedins_code", _T, "定点医药机构编号", "hospital", ("定点医疗机构编号",)),
    Field("insutype", As.INSURANCE, "险种类型", "kind of insurance, mapped by [insurance]"),
    Field("hi_type", As.INSURANCE, "医保类型", "the same, where there is no insutype"),
    Field("insuplc", _T, "参保地", "place of insurance", ("insu_admdvs", "insuplc_admdvs")),
    Field("setl_end_date", As.TIME, "结算结束日期", "its month is the month of settlement",
          ("setl_time", "结算时间")),
    Field("adm_time", As.TIME, "入院时间", "admission", ("adm_date", "入院日期")),
    Field("dscg_time", As.TIME, "出院时间", "discharge", ("dscg_date", "出院日期")),
    Field("gend", As.WHOLE, "性别", "1 male, 2 female"),
    Field("brdy", As.TIME, "出生日期", "birthday; gives the age where age is absent"),
    Field("age", As.FLOOR, "年龄", "years, cut to full ones"),
    Field("nwb_age", As.WHOLE, "不足一周岁年龄", "age in days below one year",
          ("（年龄不足1周岁）年龄",)),
    Field("nwb_bir_wt", As.NEAREST, "新生儿出生体重", "birth weight in g"),
    Field("act_ipt_days", As.WHOLE, "实际住院天数", "days"),
    Field("dscg_way", As.WHOLE, "离院方式", "way of discharge"),
    Field("dscg_caty", _T, "出院科别", "department of discharge"),
    Field("vent_used_dura", As.MINUTES, "呼吸机使用时长", "days/hours/minutes, or hours",
          ("呼吸机使用时间",)),
    Field("medfee_sumamt", _M, "医疗费总额", "total cost", ("医疗总费用", "总费用")),
    Field("inscp_scp_amt", _M, "符合政策范围金额", "compliant cost", ("合规费用",)),
    Field("fulamt_ownpay_amt", _M, "全自费金额", "outside the insurance's scope"),
    Field("psn_selfpay", _M, "个人自付", "patient, inside the scope", ("psn_selfpay_amt",)),
    Field("psn_ownpay", _M, "个人自费", "patient, outside the scope", ("psn_ownpay_fee",)),
    Field("acct_pay", _M, "个人账户支出", "from the personal account"),
    Field("psn_cashpay", _M, "个人现金支付", "in cash", ("psn_cash_pay",)),
    Field("psn_part_amt", _M, "个人负担总金额", "all that the patient bears"),
    Field("hifp_pay", _M, "统筹基金支出", "pooled fund",
          ("基本医疗保险统筹基金支出", "统筹基金支付")),
    Field("cvlserv_pay", _M, "公务员医疗补助资金支出", "fund for civil servants"),
    Field("hifes_pay", _M, "企业补充医疗保险基金支出", "supplementary fund of employers"),
    Field("hifmi_pay", _M, "居民大病保险资金支出", "critical-illness fund of residents"),
    Field("hifob_pay", _M, "职工大额医疗费用补助基金支出", "large-expense fund of employees"),
    Field("maf_pay", _M, "医疗救助基金支出", "medical aid"),
    Field("oth_pay", _M, "其他支出", "other funds"),
    Field("oprn_fee", _M, "手术费", "fee for surgery"),
    Field("dcla_time", As.TIME, "申报时间", "its day is the day of upload"),
)  # fmt: skip

_OWN = {
    Kind.TEXT: As.TEXT,
    Kind.INTEGER: As.WHOLE,
    Kind.MONEY: As.MONEY,
    Kind.DATE: As.TIME,
    Kind.TIME: As.TIME,
    Kind.FLAG: As.FLAG,
}
_NEVER_OWN = {"case_id", "dx", "px", "principal_count"}


def _own(taken: set[str]) -> tuple[Field, ...]:
    """A settlement column that is called as ours is ours."""
    return tuple(
        Field(c.name, As.INSURANCE if c.name == "insurance" else _OWN[c.kind], c.zh, c.en)
        for c in COLUMNS.values()
        if c.name not in taken and c.name not in _NEVER_OWN
    )


def _tables() -> dict[str, InterfaceTable]:
    main = (*_KEYS, *_SETTLEMENT)
    rows: tuple[tuple[str, str, bool, tuple[str, ...], tuple[Field, ...]], ...] = (
        ("setlinfo", "结算清单信息", True, ("结算信息", "结算清单"),
         (*main, *_own({field.name for field in main}))),
        ("diseinfo", "住院诊断信息", True, ("setl_list_diag", "诊断"), (
            *_KEYS,
            Field("diag_code", As.CODE, "诊断代码", "diagnosis", ("诊断编码",)),
            Field("maindiag_flag", As.FLAG, "主诊断标志", "1 marks the principal diagnosis",
                  ("主要诊断标志",)),
            Field("diag_type", As.CODE, "诊断类别", "western or traditional Chinese medicine"),
            Field("diag_srt_no", As.WHOLE, "诊断排序号", "order; else the order of the rows",
                  ("排序号", "顺序号")),
        )),
        ("oprninfo", "手术操作信息", False, ("setl_list_oprn", "手术操作", "手术"), (
            *_KEYS,
            Field("oprn_oprt_code", As.CODE, "手术操作代码", "procedure", ("手术操作编码",)),
            Field("oprn_oprt_date", As.TIME, "手术操作日期", "day of the procedure",
                  ("oprn_oprt_begntime", "手术操作开始时间")),
            Field("main_oprn_flag", As.FLAG, "主手术操作标志", "1 marks the principal procedure",
                  ("主要手术标志",)),
            Field("oprn_oprt_type", As.CODE, "手术操作类别", "1 marks the principal procedure"),
            Field("oprn_oprt_sn", As.WHOLE, "手术操作序列号", "order; else the order of the rows",
                  ("排序号", "顺序号", "sort")),
        )),
        ("iteminfo", "收费项目信息", False, ("收费项目", "收费"), (
            *_KEYS,
            Field("med_chrgitm", As.CODE, "医疗收费项目", "category of the fee"),
            Field("amt", _M, "金额", "amount"),
            Field("fulamt_ownpay_amt", _M, "全自费金额", "of it outside the scope"),
        )),
        ("payinfo", "基金支付信息", False, ("setldetail", "基金支付"), (
            *_KEYS,
            Field("fund_pay_type", As.FUND, "基金支付类型", "fund, mapped by [funds]"),
            Field("fund_payamt", _M, "基金支付金额", "amount"),
        )),
        ("icuinfo", "重症监护信息", False, ("重症监护", "重症"), (
            *_KEYS,
            Field("scs_cutd_inpool_time", As.TIME, "重症监护进入时间", "begin"),
            Field("scs_cutd_exit_time", As.TIME, "重症监护退出时间", "end"),
            Field("scs_cutd_sum_dura", As.MINUTES, "重症监护合计时长",
                  "days/hours/minutes, or hours"),
        )),
        ("ventinfo", "呼吸机使用记录", False, ("呼吸机",), (
            *_KEYS,
            Field("vent_begntime", As.TIME, "呼吸机开始时间", "begin"),
            Field("vent_endtime", As.TIME, "呼吸机结束时间", "end"),
            Field("vent_used_dura", As.MINUTES, "呼吸机使用时长", "days/hours/minutes, or hours"),
        )),
    )  # fmt: skip
    return {
        name: InterfaceTable(name, zh, required, also, {f.name: f for f in fields})
        for name, zh, required, also, fields in rows
    }


TABLES: Mapping[str, InterfaceTable] = _tables()
"""All known tables, the settlement first. `ventinfo` is ours: records of ventilators, where a
region keeps them; the interface knows one duration a case."""


def table_of(name: str) -> str | None:
    """The table that a file, sheet or database table of this name holds; None for no known one."""
    low = name.lower()
    found = [
        (len(word), table.name)
        for table in TABLES.values()
        for word in (table.name, table.zh, *table.also)
        if word in low
    ]
    return max(found)[1] if found else None
