"""The words of pages and workbooks, Chinese and English side by side.

A page carries keys; the browser shows the words of the language that is switched on. Codes of the
run's tables (classes, routes, reasons, budget lines …) are keys of their own: ``class.high``.
"""

from __future__ import annotations

from typing import Final

from grouper.quality.registry import RULES
from grouper.report.codewords import CODES

Words = dict[str, tuple[str, str]]

_ASK: Final = (
    'grouper sql RUN "select * from cases join points using (case_id) '
    "join grouped using (case_id) where case_id = '…'\""
)

_OWN: Final[Words] = {
    # navigation and controls
    "brand": ("DRG 结算报告", "DRG settlement report"),
    "nav.overview": ("总览", "Overview"),
    "nav.hospitals": ("医疗机构", "Hospitals"),
    "nav.drgs": ("病组", "DRGs"),
    "nav.accounts": ("账目核对", "Accounts"),
    "nav.rejected": ("退回病例", "Rejected"),
    "nav.quality": ("清单质控", "Data quality"),
    "nav.indicators": ("指标与监管", "Indicators"),
    "jump": ("查找机构或病组…", "Find a hospital or DRG…"),
    "jump.none": ("没有匹配项", "Nothing found"),
    "unit.yuan": ("元", "CNY"),
    "unit.wan": ("万元", "10k CNY"),
    "print": ("打印", "Print"),
    "filter": ("筛选…（可写 >1000、<0）", "Filter… (also >1000, <0)"),
    "csv": ("下载 CSV", "Download CSV"),
    "workbook": ("下载工作簿", "Download workbook"),
    "row": ("行", "row"),
    "rows": ("行", "rows"),
    "of": ("共", "of"),
    "total": ("合计", "Total"),
    "none": ("无记录", "No rows"),
    "all": ("全部列", "All columns"),
    "yes": ("是", "yes"),
    "no": ("否", "no"),
    "empty": ("—", "—"),
    "mdc": ("MDC", "MDC"),
    "adrg": ("ADRG", "ADRG"),
    "level": ("级", "Level"),
    "region": ("全区域", "Region"),
    "unknown_hospital": ("未知机构", "Unknown hospital"),
    "ungrouped_cases": ("未入组病例", "Ungrouped cases"),
    "run": ("运行编号", "Run"),
    "engine": ("引擎版本", "Engine"),
    "year": ("结算年度", "Year"),
    "scheme": ("分组方案", "Scheme"),
    "policy": ("支付政策", "Policy"),
    "footer": (
        "本报告仅由运行结果目录生成；金额精确到分，点数精确到八位小数。",
        "Made from the run folder alone; money is exact to the fen, points to eight places.",
    ),
    "footer.schemes": (
        "本页仅由两个分组方案与所给的病例生成。",
        "Made from the two schemes and the given cases alone.",
    ),
    # overview
    "h.region": ("区域总览", "Region overview"),
    "h.pools": ("各统筹池月度点值", "Pools by month"),
    "h.budget": ("预算构成", "What the budget is made of"),
    "h.spread": ("医疗机构分布", "Spread of hospitals"),
    "h.classes": ("病例类型", "Classes of cases"),
    "h.mdc": ("主要诊断大类", "Major diagnostic categories"),
    "h.hospitals": ("医疗机构一览", "All hospitals"),
    "h.drgs": ("病组一览", "All DRGs"),
    "h.cmi": ("CMI 分布", "Spread of CMI"),
    "c.point_value": ("每月点值（元/点）", "Point value by month (CNY per point)"),
    "c.budget_month": ("月度预算与拨付", "Month budget and payments"),
    "c.budget": ("从基金总额到 DRG 预算", "From fund total to DRG budget"),
    "c.spread": (
        "费用消耗指数与支付率（圆面积 = 病例数，点击进入机构页）",
        "Cost index and payment rate (area = cases; click opens the hospital)",
    ),
    "c.classes": ("各等级病例类型构成", "Share of classes by hospital level"),
    "c.cmi": ("各等级机构 CMI", "CMI of hospitals by level"),
    "c.mdc": (
        "各大类相对盈亏（按区域支付率折算，合计为零）",
        "Relative gain by MDC (at the region's payment rate; adds up to nothing)",
    ),
    # hospital
    "h.statement": ("月度结算单", "Monthly statement"),
    "h.clearing": ("年终清算单", "Year-end clearing"),
    "h.per_diem": ("床日付费", "Per-diem cases"),
    "h.incentive": ("激励机制基金", "Incentive pool"),
    "h.quota": ("定额结算", "Quota"),
    "h.simulation": ("按项目与按点数并列", "By item beside by points"),
    "h.flow": ("资金去向", "Where the money went"),
    "h.drg_gain": ("病组盈亏", "DRGs with gain and loss"),
    "h.peers": ("同级比较", "Comparison with peers"),
    "h.cases_loss": ("亏损最大的病例", "Cases with the largest loss"),
    "h.cases_gain": ("结余最大的病例", "Cases with the largest gain"),
    "h.rejected_here": ("退回本机构的病例", "Cases sent back to this hospital"),
    "c.months": ("每月费用、点数价值与拨付", "Cost, value of points and payment by month"),
    "c.flow_month": ("月结：从点数价值到实付", "Months: from value to payment"),
    "c.flow_year": (
        "清算：从年度点数价值到应补（退）",
        "Clearing: from the year's value to what is due",
    ),
    "c.drg_gain": (
        "相对盈亏最大的病组（按区域支付率折算）",
        "DRGs with the largest relative gain and loss (at the region's payment rate)",
    ),
    "c.peers": ("在同级机构中的位置", "Place among hospitals of the same level"),
    "peer.this": ("本机构", "This hospital"),
    "peer.others": ("同级机构", "Same level"),
    "ask": (f"查任一病例：{_ASK}", f"Any other case: {_ASK}"),
    # DRG
    "h.benchmark": ("基准", "Benchmarks"),
    "h.distribution": ("费用分布与高低倍率界", "Cost distribution with its bounds"),
    "h.drg_hospitals": ("各机构情况", "Hospitals"),
    "c.distribution": ("住院总费用分布", "Distribution of total cost"),
    "c.drg_hospitals": ("各机构次均费用", "Mean cost by hospital"),
    "bound.high": ("高倍率界", "high above"),
    "bound.low": ("低倍率界", "low below"),
    "mean": ("均值", "mean"),
    "axis.cost": ("总费用（元，对数轴）", "total cost (CNY, log scale)"),
    "axis.cases": ("病例数", "cases"),
    # accounts
    "h.checks": ("恒等式", "Equations"),
    "h.warnings": ("提示", "Notes"),
    "h.stages": ("各阶段计数", "Counts by stage"),
    "h.inputs": ("输入文件摘要", "Digests of the inputs"),
    "h.policy": ("政策参数", "Policy keys"),
    "h.closed_months": ("已关账月份", "Closed months"),
    "h.late_region": ("关账后的变化（年终清算）", "Beyond closed months, settled at year end"),
    "h.annual_prepay": ("一月预拨", "January prepayment"),
    "h.visits": ("入院前门诊急诊费用并入", "Visits before the stay"),
    "h.apart": ("国谈药单独结算", "Negotiated drugs paid apart"),
    "h.odd_region": ("不规范编码", "Odd codes"),
    "h.odd_codes": ("不规范编码", "Odd codes"),
    "h.late": ("关账后的变化（年终清算）", "Beyond closed months, settled at year end"),
    "h.late_cases": ("关账后到达的病例", "Cases that arrived after their month was closed"),
    "h.versions": ("清单更正", "Corrected lists"),
    "further.cut": (
        "此处仅列前若干行；全部明细见本机构工作簿。",
        "Only the first rows are listed; the workbook has them all.",
    ),
    "h.year_budget": ("年度预算与月度之和", "Year budget and sum of the months"),
    "checks.hold": ("项恒等式全部成立", "equations, all hold"),
    "checks.fail": ("项恒等式不成立", "of the equations not met"),
    # rejected
    "h.rejected": ("退回病例", "Rejected cases"),
    "h.by_rule": ("按规则", "By rule"),
    "h.by_hospital": ("按机构", "By hospital"),
    "h.rows": ("明细", "Rows"),
    "rejected.cut": (
        "此处仅列前若干行；全部明细见各机构工作簿。",
        "Only the first rows are listed; each hospital's workbook has them all.",
    ),
    "rejected.none": ("没有退回的病例。", "No case was rejected."),
    # data quality
    "h.quality": ("结算清单质控", "Quality of the settlement lists"),
    "h.quality_rules": ("按规则", "By rule"),
    "h.quality_scores": ("医疗机构得分与排名", "Scores and ranking of hospitals"),
    "h.quality_here": ("清单质控", "Quality of the lists"),
    "h.findings": ("质控明细", "Findings"),
    "c.quality_rules": ("违反各规则的病例", "Cases that break each rule"),
    "c.quality_scores": (
        "首次通过率与病例数（点击进入机构页）",
        "First-pass rate and cases (click opens the hospital)",
    ),
    "quality.off": (
        "本次运行未做质控（政策键 quality.report = false）。",
        "This run has not checked the lists (policy key quality.report = false).",
    ),
    "quality.first_pass": (
        "首次通过：不违反任何“退回”级规则的病例；名次按首次通过率，其次按上传率。",
        (
            "Passed at first: the case breaks no rule that rejects. Ranked by that rate, "
            "then by the upload rate."
        ),
    ),
    "findings.cut": (
        "此处仅列前若干条，退回级在前；更多见本机构工作簿。",
        "Only the first findings are listed, rejecting ones first; the workbook has more.",
    ),
    "severity.reject": ("退回", "reject"),
    "severity.warn": ("提示", "warn"),
    # indicators and supervision
    "h.indicators": ("指标与监管", "Indicators and supervision"),
    "h.indicator_table": ("监测指标", "Indicators"),
    "h.by_month_indicators": ("按月", "By month"),
    "h.by_hospital_indicators": ("按机构", "By hospital"),
    "h.signals": ("监管信号", "Supervision signals"),
    "h.signal_cases": ("信号所涉病例", "Cases behind the signals"),
    "c.signals": ("高于同级的机构数", "Hospitals above their peers"),
    "c.mean_by_month": ("每月次均费用与平均住院日", "Mean cost and length of stay by month"),
    "signals.note": (
        (
            "信号是线索，不是结论。占比高于同级其他机构达到政策倍数、且病例数足够的，标为“高于同级”；"
            "按病组和月份的明细：grouper supervise RUN --region REGION"
        ),
        (
            "A signal is a lead, not a verdict. Above peers: the rate exceeds that of the other "
            "hospitals of the level by the policy's factor, on enough cases. By DRG and month: "
            "grouper supervise RUN --region REGION"
        ),
    ),
    "signal_cases.note": (
        "仅列高于同级的信号，每项前若干例。",
        "Only signals above the peers, the first cases of each.",
    ),
    # comparison of two runs
    "h.compare": ("方案对比", "Comparison of two runs"),
    "h.causes": ("差异原因", "Why they differ"),
    "h.by_level": ("按等级", "By level"),
    "h.by_pool": ("按统筹池", "By pool"),
    "h.by_hospitals": ("按机构", "By hospital"),
    "h.by_drg": ("按病组", "By DRG"),
    "h.migration": ("病例迁移", "Cases that moved to another DRG"),
    "h.statements": ("结算与清算各项", "Items of the statements"),
    "c.causes": (
        "影响最大的十项原因（按 A 的点值计）",
        "The ten largest causes (at A's point values)",
    ),
    "c.hospital_change": ("各机构点数价值增减率", "Change of value by hospital"),
    "c.level_change": ("各等级点数价值增减", "Change of value by level"),
    "c.migration": ("最多的病例迁移", "The most frequent moves"),
    "compare.same": (
        "两次运行的输入、方案与政策相同。",
        "Both runs have the same inputs, scheme and policy.",
    ),
    "cause.cases": ("病例增减", "Cases in one run only"),
    "cause.route": ("付费方式改变", "Paid another way"),
    "cause.moved": ("病组改变", "Another DRG"),
    "cause.class": ("病例类型改变", "Another class"),
    "cause.weight": ("基准点数（权重）改变", "Base points (weight)"),
    "cause.coefficient": ("等级系数改变", "Coefficient of the level"),
    "cause.rule": ("计点规则或均值改变", "Rule or mean"),
    "cause.point_value": ("点值改变", "Point value"),
    "cause.rounding": ("尾差", "Rounding"),
    "term.month": ("月结", "Months"),
    "term.year": ("清算", "Clearing"),
    # two schemes
    "h.schemes": ("分组方案对比", "Comparison of two schemes"),
    "h.scheme_heat": ("大类之间的迁移", "Moves between MDCs"),
    "h.scheme_changes": ("方案的变化", "What the schemes say differently"),
    "h.scheme_sets": ("编码集合的变化", "Sets of codes that differ"),
    "c.scheme_flow": (
        "最多的病例迁移（蓝：权重上升，红：权重下降）",
        "The most frequent moves (blue: more weight, red: less)",
    ),
    "c.scheme_heat": ("迁移病例数（A 的大类 → B 的大类）", "Cases that moved, by MDC in A and B"),
    "c.scheme_hospitals": ("各机构 CMI", "CMI of hospitals"),
    "part.scheme": ("方案", "scheme"),
    "part.node": ("节点", "node"),
    "part.mdc": ("MDC", "MDC"),
    "part.adrg": ("ADRG 节点", "ADRG node"),
    "part.drg": ("DRG", "DRG"),
    "part.rule": ("条件", "condition"),
    "part.set": ("集合", "set"),
    "part.MCC": ("MCC", "MCC"),
    "part.CC": ("CC", "CC"),
    "part.severity": ("并发症等级", "severity"),
    "part.exclusion": ("排除表", "exclusion"),
    "part.weight": ("权重", "weight"),
    "part.dx": ("诊断编码", "known diagnoses"),
    "part.px": ("手术操作编码", "known procedures"),
    "part.dx_map": ("诊断映射", "mapped diagnoses"),
    "part.px_map": ("手术操作映射", "mapped procedures"),
    "change.added": ("新增", "added"),
    "change.dropped": ("删除", "dropped"),
    "change.renamed": ("改名", "renamed"),
    "change.coded": ("改码", "another code"),
    "change.moved": ("移动", "moved"),
    "change.changed": ("改变", "changed"),
    "change.narrower": ("变窄", "narrower"),
    "change.wider": ("变宽", "wider"),
    "change.other": ("不同", "other"),
    "change.rewritten": ("改写，含义相同", "rewritten, means the same"),
    "change.list": ("换排除表", "another list"),
    "change.flags": ("标志改变", "other flags"),
    "change.": ("改变", "changed"),
    # sweep
    "h.sweep": ("参数扫描", "Sweep of a policy key"),
    "h.outcome": ("结果", "Outcome"),
    "c.sweep_points": ("点数与点值", "Points and point value"),
    "c.sweep_classes": ("病例类型占比", "Share of classes"),
    "c.sweep_levels": ("各等级支付率", "Payment rate by level"),
    "c.sweep_hospitals": ("各机构支付率", "Payment rate of hospitals"),
    # series of charts
    "s.budget": ("预算", "budget"),
    "s.paid": ("实付", "paid"),
    "s.cost": ("总费用", "total cost"),
    "s.value": ("点数价值", "value of points"),
    "s.gain": ("盈亏", "gain"),
    "s.region": ("区域", "region"),
    "s.adjusted": ("单议与扣点", "Reviews, points"),
    "check.cases in = cases out": ("输入病例 = 输出病例", "cases in = cases out"),
    "check.cases in = cases of all routes": (
        "输入病例 = 各路径病例之和",
        "cases in = cases of all routes",
    ),
    "check.cases of route drg": ("结算单病例 = DRG 付费病例", "cases of route drg"),
    "check.cases cleared": ("清算病例 = DRG 付费病例", "cases cleared"),
    "check.cases written": ("写出病例 = 输入病例", "cases written"),
    "check.cost of route drg": ("DRG 付费总费用", "cost of route drg"),
    "check.cases": ("结算单病例 = 逐例之和", "cases of statements = case by case"),
    "check.points": ("结算单点数 = 逐例之和", "points of statements = case by case"),
    "check.month budget": (
        "现金 + 扣款 + 预付 + 保证金 + 余差 = 月预算",
        "cash + audit + prepaid + deposit + residual = month budget",
    ),
    "check.clearing": (
        "应补退 + 已付 + 现金 + 各项扣减 = 考核后金额",
        "due + already paid + cash + cuts = assessed",
    ),
    "warning.absent_column": ("缺少可选列", "Optional column is absent"),
    "warning.empty_amount": ("金额为空，按 0 计", "Empty amounts count as 0"),
    "warning.fund_basis": (
        "点值仅按统筹基金预算计算，患者现金另行扣除；病例“盈亏”因此整体偏低，请与区域支付率比较",
        "Point values share out the fund alone: compare payment rates with the region's",
    ),
    "warning.weights_calibrated": ("方案未公布权重，权重由病例测算", "Weights are calibrated"),
    "warning.own_month_shares": ("缺少上年月度占比，用本年拨付代替", "Own month shares are used"),
    "warning.closed_month_changed": ("已关账月份的点数有变", "Points of a closed month changed"),
    "warning.old_history": ("历史数据过早", "History is too old"),
}

_AS_DISEASES: Final = (
    (
        ("ADRG", "类目"), ("主要诊断大类", "疾病章节"), ("各大类", "各章节"),
        ("大类名称", "章节名称"), ("MDC", "章节"), ("DRG", "DIP"), ("病组", "病种"),
        ("点数", "分值"),
    ),
    (
        ("DRG settlement", "DIP settlement"), ("DRG budget", "DIP budget"), ("ADRG", "Category"),
        ("Major diagnostic categories", "Chapters of ICD-10"), ("by MDC", "by chapter"),
        ("MDC", "Chapter"), ("DRGs", "disease groups"), ("DRG", "disease group"),
    ),
)  # fmt: skip


def as_diseases(pair: tuple[str, str]) -> tuple[str, str]:
    """The words for DRGs as those for the disease groups of DIP (病种).

    >>> as_diseases(("病组一览", "All DRGs"))
    ('病种一览', 'All disease groups')
    """
    zh, en = pair
    for old, new in _AS_DISEASES[0]:
        zh = zh.replace(old, new)
    for old, new in _AS_DISEASES[1]:
        en = en.replace(old, new)
    return zh, en[:1].upper() + en[1:] if pair[1][:1].isupper() else en


WORDS: Final[Words] = {f"rule.{r.code}": (r.zh, r.en) for r in RULES.values()} | CODES | _OWN
"""Key → (Chinese, English); rules of data quality say their own words."""
