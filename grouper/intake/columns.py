"""How each column of the case table comes out of the fields that a source has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa

from grouper.cases import COLUMNS, Column
from grouper.intake.fields import KEYS, TABLES
from grouper.intake.layout import Layout
from grouper.intake.values import quoted

AGGREGATES: Mapping[str, str] = {
    "diseinfo": "a_dise",
    "oprninfo": "a_oprn",
    "iteminfo": "a_item",
    "payinfo": "a_pay",
    "icuinfo": "a_icu",
    "ventinfo": "a_vent",
}
"""Table to the alias of its sums and lists by case."""

_ICU = ("scs_cutd_inpool_time", "scs_cutd_exit_time", "scs_cutd_sum_dura")
_VENT = ("vent_begntime", "vent_endtime", "vent_used_dura")


@dataclass(frozen=True)
class Made:
    """A column of the case table and where it comes from.

    Attributes:
        column: of the registry, or one beside it.
        sql: its value, over `s` (the settlement) and the aliases of `AGGREGATES`.
        fields: table and field that it is made of.
        told: how it is made, in words; empty where it is one field as it is.
    """

    column: Column
    sql: str
    fields: tuple[tuple[str, str], ...]
    told: str = ""


@dataclass(frozen=True)
class _Way:
    """One way to make a column, for sources that have these fields."""

    needs: tuple[str, ...]
    sql: str = ""
    told: str = ""
    any_of: tuple[str, ...] = ()


_OTHER = ("cvlserv_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "maf_pay", "oth_pay")
_NO_AGE = "CASE WHEN s.age IS NULL AND s.nwb_age IS NOT NULL THEN 0 ELSE s.age END"
_FROM_BIRTH = "CASE WHEN s.adm_time >= s.brdy THEN datesub('year', s.brdy, s.adm_time) END"
_DAYS_OLD = (
    "CASE WHEN s.adm_time >= s.brdy AND datesub('year', s.brdy, s.adm_time) = 0"
    " THEN datediff('day', s.brdy, s.adm_time) END"
)
_STAY = "greatest(datediff('day', s.adm_time::DATE, s.dscg_time::DATE), 1)"

# For each column the ways in order; a settlement column of our own name always comes first.
_WAYS: Mapping[str, tuple[_Way, ...]] = {
    "person_id": (_Way(("psn_no",)), _Way(("hi_no",))),
    "hospital_id": (_Way(("fixmedins_code",)),),
    "insurance": (
        _Way(("insutype", "hi_type"), "coalesce(s.insutype, s.hi_type)", "insutype, else hi_type"),
        _Way(("insutype",)),
        _Way(("hi_type",)),
    ),
    "city": (_Way(("insuplc",)),),
    "settle_month": (
        _Way(("setl_end_date",), "strftime(s.setl_end_date, '%Y-%m')", "its month"),
    ),
    "admission_date": (_Way(("adm_time",), "s.adm_time::DATE", "its day"),),
    "discharge_date": (_Way(("dscg_time",), "s.dscg_time::DATE", "its day"),),
    "admission_time": (_Way(("adm_time",)),),
    "discharge_time": (_Way(("dscg_time",)),),
    "sex": (_Way(("gend",)),),
    "age": (
        _Way(("age", "nwb_age"), _NO_AGE, "0 where only nwb_age is given"),
        _Way(("age",)),
        _Way(("brdy", "adm_time"), _FROM_BIRTH, "full years at admission"),
    ),
    "age_days": (
        _Way(("nwb_age",)),
        _Way(("brdy", "adm_time"), _DAYS_OLD, "days at admission, below one year"),
    ),
    "weight": (_Way(("nwb_bir_wt",)),),
    "los": (
        _Way(("act_ipt_days",)),
        _Way(("adm_time", "dscg_time"), _STAY, "days between, at least 1"),
    ),
    "discharge": (_Way(("dscg_way",)),),
    "dept": (_Way(("dscg_caty",)),),
    "icu_hours": (
        _Way((), "coalesce(a_icu.minutes // 60, 0)", "full hours of all records",
             tuple(f"icuinfo.{name}" for name in _ICU)),
    ),
    "vent_hours": (
        _Way((), "coalesce(a_vent.minutes // 60, 0)", "full hours of all records",
             tuple(f"ventinfo.{name}" for name in _VENT)),
        _Way(("vent_used_dura",), "s.vent_used_dura // 60", "full hours"),
    ),
    "total_cost": (
        _Way(("medfee_sumamt",)),
        _Way(("iteminfo.amt",), "a_item.amt", "sum of the fee items"),
    ),
    "compliant_cost": (_Way(("inscp_scp_amt",)),),
    "self_pay": (
        _Way(("psn_ownpay",)),
        _Way(("fulamt_ownpay_amt",)),
        _Way(("iteminfo.fulamt_ownpay_amt",), "a_item.own", "sum over the fee items"),
    ),
    "patient_cash": (
        _Way(("psn_part_amt",), "s.psn_part_amt + {other}", "psn_part_amt + other funds"),
        _Way(("psn_selfpay", "psn_ownpay"), "s.psn_selfpay + s.psn_ownpay + {other}",
             "psn_selfpay + psn_ownpay + other funds"),
        _Way(("acct_pay", "psn_cashpay"), "s.acct_pay + s.psn_cashpay + {other}",
             "acct_pay + psn_cashpay + other funds"),
        _Way(("@total_cost", "@fund_paid"), "{total} - {fund}", "total_cost - fund_paid"),
    ),
    "fund_paid": (
        _Way(("hifp_pay",)),
        _Way(("payinfo.fund_pay_type", "payinfo.fund_payamt"),
             "coalesce(a_pay.fund_paid, 0)", "payments of the pooled fund, by [funds]"),
    ),
    "other_funds": (
        _Way(("payinfo.fund_pay_type", "payinfo.fund_payamt"),
             "coalesce(a_pay.other_funds, 0)", "payments of other funds, by [funds]"),
        _Way((), "{others}", "sum of the other funds", _OTHER),
    ),
    "items_total": (_Way(("iteminfo.amt",), "a_item.amt", "sum of the fee items"),),
    "surgery_fee": (
        _Way(("oprn_fee",)),
        _Way(("iteminfo.amt", "iteminfo.med_chrgitm"), "coalesce(a_item.surgery, 0)",
             "fee items of [surgery]"),
    ),
    "upload_date": (_Way(("dcla_time",), "s.dcla_time::DATE", "its day"),),
}  # fmt: skip

_PX_DATES = Column(
    "px_dates",
    COLUMNS["px"].kind,
    pa.list_(pa.date32()),
    "",
    "days of the procedures, as px",
    "手术操作日期",
    "oprn_oprt_date",
)
"""Beside the registry: nothing in the engine asks for it yet, and a list cannot be asked later."""


def made_columns(found: Mapping[str, Collection[str]], case_id: str) -> tuple[Made, ...]:
    """The columns that these fields give, in the order of the registry.

    Args:
        found: table to its fields.
        case_id: the field that names a case.
    """
    have = {f"{t}.{f}" for t, fields in found.items() for f in fields}
    made: dict[str, Made] = {}
    # The columns that others are made of come first.
    for name in ("total_cost", "fund_paid", "other_funds", *_WAYS, *COLUMNS):
        if name not in made and (one := _made(name, have, made)) is not None:
            made[name] = one
    made["case_id"] = Made(COLUMNS["case_id"], "s.case_id", (("setlinfo", case_id),))
    flag = ("diseinfo", "maindiag_flag")
    codes = (("diseinfo", "diag_code"), *([flag] if "diseinfo.maindiag_flag" in have else []))
    made["dx"] = Made(COLUMNS["dx"], "a_dise.codes", codes, "the principal first, then in order")
    made["principal_count"] = Made(
        COLUMNS["principal_count"], "1", (flag,), "1: others are rejected"
    )
    if "oprninfo.oprn_oprt_code" in have:
        code = (("oprninfo", "oprn_oprt_code"),)
        told = "the principal first, then in order"
        made["px"] = Made(COLUMNS["px"], "coalesce(a_oprn.codes, [])", code, told)
    if "oprninfo.oprn_oprt_date" in have and "px" in made:
        date = (("oprninfo", "oprn_oprt_date"),)
        made["px_dates"] = Made(_PX_DATES, "coalesce(a_oprn.dates, [])", date, "as px")
    return tuple(made[name] for name in (*COLUMNS, "px_dates") if name in made)


def columns_by_field() -> dict[tuple[str, str], tuple[str, ...]]:
    """Table and field to the columns that can be made of it."""
    pairs = [
        (_placed(field), name)
        for name, ways in _WAYS.items()
        for way in ways
        for field in (*way.needs, *way.any_of)
        if not field.startswith("@")
    ]
    pairs += [(("setlinfo", name), name) for name in COLUMNS if name in TABLES["setlinfo"].fields]
    pairs += [(("setlinfo", name), "case_id") for name in KEYS]
    pairs += [((table, field), name) for name, (table, field) in _CODES.items()]
    pairs.append((("diseinfo", "maindiag_flag"), "dx"))
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for place, name in pairs:
        before = found.get(place, ())
        found[place] = before if name in before else (*before, name)
    return found


_CODES = {
    "dx": ("diseinfo", "diag_code"),
    "px": ("oprninfo", "oprn_oprt_code"),
    "px_dates": ("oprninfo", "oprn_oprt_date"),
}


def _made(name: str, have: Collection[str], made: Mapping[str, Made]) -> Made | None:
    column = COLUMNS[name]
    ways = _WAYS.get(name, ())
    # A name that the interface uses itself, such as age, is no column of ours beside it.
    national = any(name in way.needs for way in ways)
    for way in ways if national else (_Way((name,)), *ways):
        fields = [_placed(one) for one in way.needs if not one.startswith("@")]
        some = [_placed(one) for one in way.any_of if ".".join(_placed(one)) in have]
        before = [one[1:] for one in way.needs if one.startswith("@")]
        if way.any_of and not some:
            continue
        if any(".".join(one) not in have for one in fields) or any(b not in made for b in before):
            continue
        sql = way.sql or f"s.{way.needs[0]}"
        if "{" in sql:
            others = " + ".join(f"coalesce(s.{field}, 0)" for _, field in some)
            sql = sql.format(
                other=_other(made),
                others=others,
                total=made["total_cost"].sql if "total_cost" in made else "",
                fund=made["fund_paid"].sql if "fund_paid" in made else "",
            )
        parts = [*fields, *some]
        for one in before:
            parts.extend(made[one].fields)
        return Made(column, f"({sql})", tuple(dict.fromkeys(parts)), way.told)
    return None


def _other(made: Mapping[str, Made]) -> str:
    return f"coalesce({made['other_funds'].sql}, 0)" if "other_funds" in made else "0"


def _placed(name: str) -> tuple[str, str]:
    table, dot, field = name.rpartition(".")
    return (table, field) if dot else ("setlinfo", name)


def sums_of(table: str, layout: Layout) -> str:
    """What a case takes from a table: an aggregation over `n`, to be filtered and grouped."""
    match table:
        case "diseinfo":
            return "list(diag_code ORDER BY pos) AS codes"
        case "oprninfo":
            return (
                "list(oprn_oprt_code ORDER BY pos) AS codes,"
                " list(oprn_oprt_date::DATE ORDER BY pos) AS dates"
            )
        case "iteminfo":
            items = ", ".join(map(quoted, layout.surgery))
            return (
                "sum(amt) AS amt, sum(fulamt_ownpay_amt) AS own,"
                f" sum(amt) FILTER (lpad(med_chrgitm, 2, '0') IN ({items})) AS surgery"
            )
        case "payinfo":
            return (
                "sum(fund_payamt) FILTER (fund_pay_type = 'fund_paid') AS fund_paid,"
                " sum(fund_payamt) FILTER (fund_pay_type = 'other_funds') AS other_funds"
            )
        case _:
            begin, end, total = _ICU if table == "icuinfo" else _VENT
            return f"sum(coalesce({total}, datediff('minute', {begin}, {end}))) AS minutes"
