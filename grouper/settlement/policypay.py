"""Policy keys about money: prices, quotas, per-diem, pools, months and the year end."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from grouper.settlement.policykeys import (
    NotNegative,
    OptionalLimit,
    OptionalPlainInt,
    Positive,
    Section,
    Share,
    key,
)

Step = Literal["assessment", "surplus_cap", "self_pay", "prepaid"]
STEPS: tuple[Step, ...] = ("assessment", "surplus_cap", "self_pay", "prepaid")


class Incentive(Section):
    """Incentive pool (激励机制基金池): a part of the budget kept for the year end (Shanwei)."""

    share: Share = key(
        0, "share of the budget kept for the pool", "激励资金池占预算比例", source="section 2"
    )
    table: str = key(
        "encouragement",
        "table of rates.csv with the encouragement coefficients (鼓励系数)",
        "rates.csv 中鼓励系数表名",
        source="section 2, Shanwei",
    )


class Price(Section):
    """A price or quota per case instead of points (收付费、定额): one point is then one yuan."""

    table: str = key(
        "",
        "table of rates.csv with the price of a group (drg empty: of any) and hospital class; "
        "empty: points",
        "rates.csv 中价格表名；空为点数法",
        unit="yuan",
        source="section 8",
    )
    fund_ratio: Share = key(
        1, "share of price and capped consumables that the fund pays", "基金支付比例",
        source="section 8",
    )  # fmt: skip
    bills: bool = key(
        False,
        "bill every case at its price: the patient pays what the fund does not; self-pay patients "
        "are billed, too",
        "按收付费出具账单：个人负担其余部分，自费患者同样适用",
        source="section 8",
    )
    shortest_stay: OptionalPlainInt = key(
        None, "stays up to this leave the payment", "住院天数不大于该值退出", unit="days",
        source="section 8",
    )  # fmt: skip
    longest_stay: OptionalPlainInt = key(
        None, "stays from this on leave the payment", "住院天数不小于该值退出", unit="days",
        source="section 8",
    )  # fmt: skip
    low_ratio: OptionalLimit = key(
        None, "costs below this share of the price leave", "费用低于价格该比例退出",
        source="section 8",
    )  # fmt: skip
    high_ratio: OptionalLimit = key(
        None, "costs above this multiple of the price leave", "费用高于价格该倍数退出",
        source="section 8",
    )  # fmt: skip
    transfer_hours: OptionalPlainInt = key(
        None, "a transfer out within so many hours leaves", "该小时数内转院退出", unit="h",
        source="section 8",
    )  # fmt: skip
    death: bool = key(False, "cases that died leave", "死亡病例退出", source="section 8")
    tcm: bool = key(False, "cases with tcm_flag leave", "中医治疗病例退出", source="section 8")
    departments: tuple[str, ...] = key(
        (), "departments whose cases leave, such as rehabilitation", "退出科室，如康复科",
        source="section 8",
    )  # fmt: skip
    procedures: tuple[str, ...] = key(
        (), "procedures whose cases leave, such as LDR delivery", "退出手术操作，如 LDR 分娩",
        source="section 8",
    )  # fmt: skip


class Quota(Section):
    """Year end of a per-stay quota (定额结算)."""

    used: bool = key(False, "whether quotas are settled", "是否按定额清算", source="section 2")
    borne: Share = key(
        "0.30", "share of its overspend that a hospital bears", "超支医院自担比例",
        source="section 2",
    )  # fmt: skip
    carried_table: str = key(
        "carried",
        "table of rates.csv with savings of earlier years (drg: pool, class: hospital)",
        "rates.csv 中历年结余表名",
        unit="yuan",
        source="section 2",
    )


class PerDiem(Section):
    """Cases paid per day (床日), from a budget line of their own."""

    flagged: bool = key(
        False, "cases with bed_day_flag are paid per day", "床日标志病例按床日", source="section 5"
    )
    long_stay_days: OptionalPlainInt = key(
        None,
        "stays longer than this are paid per day; none: never",
        "住院天数超过该值按床日；none 不设",
        unit="days",
        source="section 5",
    )
    table: str = key(
        "per_diem",
        "table of rates.csv with points per day (class: hospital, class or level)",
        "rates.csv 中每床日点数表名",
        unit="points per day",
        source="section 5",
    )
    line: str = key(
        "per_diem",
        "budget line, negative, whose amount pays these cases",
        "支付床日病例的预算项（负值）",
        source="section 2",
    )

    @property
    def used(self) -> bool:
        """Whether any case is paid per day."""
        return self.flagged or self.long_stay_days is not None


class Stay(Section):
    """What belongs to the cost of a stay (Jining)."""

    pre_admission_days: OptionalPlainInt = key(
        None,
        "outpatient and emergency visits up to so many days before the day of admission, of the "
        "same person in the same hospital (outpatient.parquet), are merged into the stay; none: "
        "never",
        "同一患者在同一医院入院前该天数内的门急诊费用（outpatient.parquet）并入住院；none 不并入",
        unit="days",
        source="section 2, Jining",
    )
    negotiated_drugs_apart: bool = key(
        False,
        "rows of items.parquet of kind negotiated_drug are paid apart: taken out of the case's "
        "cost, of what the fund paid and of the patient's cash",
        "items.parquet 中 kind 为 negotiated_drug 的国家医保谈判药品单独支付，不计入医院总费用",
        source="section 2, Jining",
    )


class Readmission(Section):
    """The same group again within some days halves the earlier stay."""

    days: OptionalPlainInt = key(
        None,
        "a stay is halved when the person is admitted to the same group within so many days; none: "
        "never",
        "同病组再入院天数；前次住院点数减半；none 不设",
        unit="days",
        source="section 5",
    )
    factor: Share = key(
        "0.5", "what the earlier stay keeps", "前次住院保留比例", source="section 5"
    )
    exempt: tuple[str, ...] = key(
        (),
        "ADRGs or DRGs that are exempt, such as chemo- and radiotherapy",
        "豁免的病组，如放化疗",
        source="section 5",
    )


class Pools(Section):
    """Which cases share a budget."""

    by: Literal["insurance", "city_insurance"] = key(
        "insurance",
        "a pool per insurance, or per city and insurance",
        "统筹池划分：按险种，或按市与险种",
        source="section 12",
    )


class Month(Section):
    """Monthly prepayment (月预结算)."""

    ratio: Share = key(
        "0.9",
        "share that is prepaid; the rest is the quality deposit (质量保证金)",
        "预付比例；其余为质量保证金",
        source="Guigang Art. 18",
    )
    annual_prepay: NotNegative = key(
        2,
        "January prepayment of a pool, in monthly means of last year's fund payments; it is told "
        "in the manifest, what is paid stands in payments.csv",
        "年初预付：按上年度基金月均支付的倍数；仅在清单中提示，实付以 payments.csv 为准",
        unit="× monthly mean",
        source="Guigang Art. 17",
    )
    basis: Literal["fund", "total"] = key(
        "fund",
        "what the budget pays for: the fund alone, or fund and patients together",
        "点值口径：fund 仅统筹基金，total 含患者现金",
        source="section 6",
    )
    value: Literal["budget", "rate", "yuan"] = key(
        "budget",
        "budget: month budget / points; rate: a fixed rate per weight, from rates.csv; yuan: one "
        "point is one yuan, as prices need it",
        "点值：budget 预算/点数，rate 固定费率（rates.csv），yuan 一点一元（价格法）",
        source="section 2, Tongren",
    )
    rate_table: str = key(
        "rate",
        "table of rates.csv with the rate per weight (class: pool, or empty)",
        "rates.csv 中费率表名",
        unit="yuan per weight",
        source="section 2, Tongren",
    )


class Overspend(Section):
    """A band of overspending that the fund shares."""

    up_to: Positive | None = key(
        None,
        "overspend / settled amount up to this; empty in the last row",
        "超支比例上限；末行留空",
        source="section 7",
    )
    share: Share = key(..., "share that the fund pays", "基金分担比例", source="section 7")


class YearEnd(Section):
    """Year-end clearing (年终清算)."""

    form: Literal["A", "B"] = key(
        "B", "form of the formula", "清算公式 A 或 B", source="Guigang Art. 19"
    )
    order: tuple[Step, ...] = key(
        STEPS,
        "order in which assessment, caps and payments are applied",
        "考核、结余上限、自费扣减、已付的先后次序",
        source="section 7",
    )
    surplus_cap: OptionalLimit = key(
        "0.30",
        "by how much the settled sum may exceed the actual cost; none: no cap",
        "清算额可高于实际费用的上限；留空不设",
        source="section 7",
    )
    self_pay_limit: OptionalLimit = key(
        "0.10",
        "share of the annual cost above which self-pay is deducted; none: no deduction",
        "自费占年度总费用超过该比例的部分扣减；留空不扣",
        source="section 7",
    )

    overspend: tuple[Overspend, ...] = key(
        (),
        "bands in which the fund shares what the cost exceeds the settled amount by",
        "超支分担区间",
        source="section 7",
    )
    alliances: bool = key(
        False,
        "settle an alliance as one entity and pay its lead hospital",
        "县域医共体合并清算，支付牵头医院",
        source="section 7",
    )
    coefficients: Literal["kept", "recomputed"] = key(
        "kept",
        "recomputed: the clearing uses coefficients of the year's own cases",
        "年终系数：kept 沿用，recomputed 按当年数据重算",
        source="section 7",
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if sorted(self.order) != sorted(STEPS):
            raise ValueError(f"order must name each of {', '.join(STEPS)} once")
        return self
