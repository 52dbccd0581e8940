"""The columns of tables that people see: kind, and heading in two languages.

The kind decides how a value is shown, sorted, summed and put into a workbook:

========= =====================================================================
text      as it is; ``code`` the same, in a fixed-width face
int       a whole number with separators
money     fen; shown in yuan or in ten thousand yuan (万元), as switched
yuan      fen; always shown in yuan with two places
points    points, two places; ``points4`` four places
value     yuan per point, four places
coef      a coefficient, four places
exact     a number in text, shown with separators and all its places
ratio     a plain ratio, two places
pct       a share, shown in percent
shown     a number that is text already, right aligned
bool      yes or no
level     hospital level
hospital  position in the index of hospitals: name and link
drg       position in the index of DRGs: code, name and link
word:X    a code whose words are ``X.<code>``
both      a text in Chinese and one in English
========= =====================================================================
"""

from __future__ import annotations

from typing import Final, NamedTuple

from grouper.indicators.catalogue import INDICATORS


class Shown(NamedTuple):
    """How a column is shown.

    Attributes:
        summed: whether a total row adds it up.
    """

    kind: str
    zh: str
    en: str
    summed: bool = False


COLUMNS: Final[dict[str, Shown]] = {
    "hospital": Shown("hospital", "医疗机构", "Hospital"),
    "hospital_id": Shown("code", "机构编码", "Hospital id"),
    "drg": Shown("drg", "病组", "DRG"),
    "level": Shown("level", "等级", "Level"),
    "city": Shown("text", "统筹区", "City"),
    "mdc": Shown("code", "MDC", "MDC"),
    "mdc_name": Shown("text", "大类名称", "Name"),
    "pool": Shown("word:pool", "统筹池", "Pool"),
    "month": Shown("code", "月份", "Month"),
    "class": Shown("word:class", "类型", "Class"),
    "reason": Shown("word:reason", "原因", "Reason"),
    "rule": Shown("word:rule", "规则", "Rule"),
    "line": Shown("word:line", "项目", "Line"),
    "case_id": Shown("code", "病例编号", "Case"),
    "cases": Shown("int", "病例数", "Cases", summed=True),
    "grouped": Shown("int", "入组病例", "Grouped", summed=True),
    "hospitals": Shown("int", "机构数", "Hospitals"),
    "share": Shown("pct", "占比", "Share"),
    "group_rate": Shown("pct", "入组率", "Group rate"),
    "cmi": Shown("coef", "CMI", "CMI"),
    "weight": Shown("coef", "权重", "Weight"),
    "base_points": Shown("points", "基准点数", "Base points"),
    "coefficient": Shown("coef", "等级系数", "Coefficient"),
    "cv": Shown("ratio", "CV", "CV"),
    "stable": Shown("bool", "稳定", "Stable"),
    "basic": Shown("bool", "基础", "Basic"),
    "inversion": Shown("bool", "倒挂", "Inversion"),
    "mean_cost": Shown("yuan", "次均费用(元)", "Mean cost (CNY)"),
    "region_mean": Shown("yuan", "区域均值(元)", "Region mean (CNY)"),
    "level_mean": Shown("yuan", "等级均值(元)", "Level mean (CNY)"),
    "high_above": Shown("yuan", "高倍率界(元)", "High above (CNY)"),
    "low_below": Shown("yuan", "低倍率界(元)", "Low below (CNY)"),
    "to_mean": Shown("ratio", "均费/区域均值", "To region mean"),
    "cost_index": Shown("ratio", "费用消耗指数", "Cost index"),
    "high_share": Shown("pct", "高倍率占比", "High"),
    "low_share": Shown("pct", "低倍率占比", "Low"),
    "cost": Shown("money", "总费用", "Total cost", summed=True),
    "points": Shown("points", "点数", "Points", summed=True),
    "value": Shown("money", "点数价值", "Value", summed=True),
    "gain": Shown("money", "盈亏", "Gain", summed=True),
    "relative": Shown("money", "相对盈亏", "Relative gain", summed=True),
    "rate": Shown("pct", "支付率", "Payment rate"),
    "case_cost": Shown("yuan", "总费用(元)", "Total cost (CNY)", summed=True),
    "case_value": Shown("yuan", "点数价值(元)", "Value (CNY)", summed=True),
    "case_gain": Shown("yuan", "盈亏(元)", "Gain (CNY)", summed=True),
    "budget": Shown("money", "预算", "Budget", summed=True),
    "amount": Shown("money", "金额", "Amount", summed=True),
    "point_value": Shown("value", "点值(元)", "Point value"),
    "residual": Shown("yuan", "余差(元)", "Residual (CNY)", summed=True),
    "paid_m": Shown("money", "实付", "Paid", summed=True),
    "due_m": Shown("money", "清算应补(退)", "Due", summed=True),
    "st_points": Shown("points4", "点数", "Points", summed=True),
    "extra_points": Shown("points4", "单议增加点数", "Extra points", summed=True),
    "deducted_points": Shown("points4", "扣减点数", "Deducted points", summed=True),
    "gross": Shown("yuan", "点数价值", "Gross", summed=True),
    "cash": Shown("yuan", "患者现金", "Patient cash", summed=True),
    "audit_deduction": Shown("yuan", "审核扣款", "Audit deduction", summed=True),
    "deposit": Shown("yuan", "质量保证金", "Deposit", summed=True),
    "prepaid": Shown("yuan", "预付", "Prepaid", summed=True),
    "paid": Shown("yuan", "实付", "Paid", summed=True),
    "assessed": Shown("yuan", "考核后金额", "Assessed", summed=True),
    "surplus_cut": Shown("yuan", "结余超限扣减", "Surplus cut", summed=True),
    "self_pay_cut": Shown("yuan", "自费超限扣减", "Self-pay cut", summed=True),
    "already_paid": Shown("yuan", "已付", "Already paid", summed=True),
    "due": Shown("yuan", "应补(退)", "Due", summed=True),
    "encouragement": Shown("coef", "鼓励系数", "Encouragement"),
    "incentive": Shown("yuan", "激励金", "Incentive", summed=True),
    "entitled": Shown("yuan", "定额应付", "Entitled", summed=True),
    "spent": Shown("yuan", "实际发生", "Spent", summed=True),
    "saved": Shown("yuan", "结余", "Saved", summed=True),
    "overspent": Shown("yuan", "超支", "Overspent", summed=True),
    "carried_in": Shown("yuan", "上年结转", "Carried in", summed=True),
    "used": Shown("yuan", "动用结转", "Used", summed=True),
    "covered": Shown("yuan", "分担", "Covered", summed=True),
    "carried_out": Shown("yuan", "结转下年", "Carried out", summed=True),
    "group": Shown("code", "病组", "Group"),
    "status": Shown("word:status", "状态", "Status"),
    "simulated_cases": Shown("int", "模拟病例", "Simulated", summed=True),
    "item_cost": Shown("yuan", "按项目付费", "By item", summed=True),
    "by_points": Shown("yuan", "按点数付费", "By points", summed=True),
    "by_difference": Shown("yuan", "差额", "Difference", summed=True),
    "indicator": Shown("word:column", "指标", "Indicator"),
    "here": Shown("shown", "本机构", "This hospital"),
    "median": Shown("shown", "同级中位数", "Median of level"),
    "region_value": Shown("shown", "全区域", "Region"),
    "rank": Shown("shown", "同级名次", "Rank in level"),
    "severity": Shown("word:severity", "级别", "Severity"),
    "broken": Shown("int", "违反病例", "Cases that break it"),
    "of_cases": Shown("int", "检查病例", "Of cases"),
    "error_rate": Shown("pct", "错误率", "Error rate"),
    "region_rate": Shown("pct", "全区域错误率", "Region"),
    "remark": Shown("both", "备注", "Note"),
    "quality_rank": Shown("int", "名次", "Rank"),
    "checked": Shown("int", "检查病例", "Cases checked", summed=True),
    "uploaded": Shown("int", "已上传", "Uploaded", summed=True),
    "upload_rate": Shown("pct", "上传率", "Upload rate"),
    "passed": Shown("int", "首次通过", "Passed at first", summed=True),
    "first_pass_rate": Shown("pct", "首次通过率", "First-pass rate"),
    "rejectable": Shown("int", "应退回病例", "To be sent back"),
    "warned": Shown("int", "有问题病例", "With any finding", summed=True),
    "measure": Shown("both", "指标", "Indicator"),
    "level_3": Shown("shown", "三级", "Level 3"),
    "level_2": Shown("shown", "二级", "Level 2"),
    "level_1": Shown("shown", "一级", "Level 1"),
    "whole": Shown("shown", "全区域", "Region"),
    "level_value": Shown("shown", "同级", "Same level"),
    "numerator": Shown("shown", "分子", "Numerator"),
    "denominator": Shown("shown", "分母", "Denominator"),
    "signal": Shown("both", "信号", "Signal"),
    "flagged_cases": Shown("int", "病例数", "Cases"),
    "among": Shown("int", "分母病例", "Among"),
    "signal_rate": Shown("pct", "占比", "Rate"),
    "peer_rate": Shown("pct", "同级其他机构", "Others of the level"),
    "above_peers": Shown("bool", "高于同级", "Above peers"),
    "flagged_hospitals": Shown("int", "高于同级的机构", "Hospitals above peers"),
    "drg_code": Shown("code", "病组", "DRG"),
    "other_case_id": Shown("code", "相关病例", "Other case"),
    "shows": Shown("text", "依据", "Shows"),
    "field": Shown("code", "字段", "Field"),
    "bad_value": Shown("text", "值", "Value"),
    "message": Shown("text", "说明", "Message"),
    "check": Shown("word:check", "恒等式", "Equation"),
    "left": Shown("exact", "左边", "Left side"),
    "right": Shown("exact", "右边", "Right side"),
    "holds": Shown("bool", "成立", "Holds"),
    "stage": Shown("code", "阶段", "Stage"),
    "name": Shown("code", "名称", "Name"),
    "count": Shown("shown", "数量", "Count"),
    "digest": Shown("code", "SHA-256", "SHA-256"),
    "key": Shown("code", "参数", "Key"),
    "key_value": Shown("text", "取值", "Value"),
    "cases_a": Shown("int", "病例数 A", "Cases A", summed=True),
    "cases_b": Shown("int", "病例数 B", "Cases B", summed=True),
    "points_a": Shown("points", "点数 A", "Points A", summed=True),
    "points_b": Shown("points", "点数 B", "Points B", summed=True),
    "d_points": Shown("points", "点数增减", "Points B − A", summed=True),
    "value_a": Shown("money", "价值 A", "Value A", summed=True),
    "value_b": Shown("money", "价值 B", "Value B", summed=True),
    "d_value": Shown("money", "价值增减", "Value B − A", summed=True),
    "d_rate": Shown("pct", "增减率", "Change"),
    "d_paid": Shown("money", "实付增减", "Paid B − A", summed=True),
    "d_due": Shown("money", "清算增减", "Due B − A", summed=True),
    "moved": Shown("int", "迁移病例", "Cases that moved"),
    "drg_a": Shown("drg", "A 中病组", "DRG in A"),
    "drg_b": Shown("drg", "B 中病组", "DRG in B"),
    "term": Shown("word:term", "环节", "Statement"),
    "item": Shown("word:column", "项目", "Item"),
    "money_a": Shown("money", "A", "A"),
    "money_b": Shown("money", "B", "B"),
    "d_money": Shown("money", "增减", "B − A"),
    "cause": Shown("word:cause", "原因", "Cause"),
    "detail": Shown("both", "具体", "Detail"),
    "effect": Shown("money", "影响金额", "Effect", summed=True),
    "key_number": Shown("shown", "参数值", "Key value"),
    "due_sum": Shown("money", "清算应补(退)", "Due"),
    "spread_rate": Shown("pct", "机构支付率离散", "Spread of payment rates"),
    "losers": Shown("int", "低于区域支付率的机构", "Hospitals below the region's rate"),
    "warning": Shown("word:warning", "提示", "Note"),
    "year_amount": Shown("exact", "年度(元)", "Year (CNY)"),
    "months_amount": Shown("exact", "月度之和(元)", "Sum of months (CNY)"),
    "difference": Shown("exact", "差额(元)", "Difference (CNY)"),
    "closed_cases": Shown("int", "关账时病例", "Cases when closed", summed=True),
    "late_cases": Shown("int", "关账后到达", "Arrived late", summed=True),
    "gone_cases": Shown("int", "关账后消失", "No longer there", summed=True),
    "visit_outcome": Shown("word:visit", "处理结果", "Outcome"),
    "visits": Shown("int", "人次", "Visits", summed=True),
    "year_yuan": Shown("exact", "金额(元)", "Amount (CNY)"),
    "apart_cases": Shown("int", "病例数", "Cases"),
    "apart_cost": Shown("exact", "单独结算药费(元)", "Drugs paid apart (CNY)"),
    "apart_missing": Shown("int", "无有效病例", "Without a valid case"),
    "apart_missing_cost": Shown("exact", "无有效病例药费(元)", "Drugs without a case (CNY)"),
    "code_list": Shown("word:list", "编码类别", "List"),
    "odd_kind": Shown("word:odd", "问题", "Kind"),
    "odd_times": Shown("int", "出现次数", "Times", summed=True),
    "odd_cases": Shown("int", "涉及病例", "Cases"),
    "version_before": Shown("int", "原版本", "Version before"),
    "version": Shown("int", "新版本", "Version"),
    "version_change": Shown("word:version", "变化", "Change"),
    "drg_before": Shown("code", "原病组", "DRG before"),
    "drg_now": Shown("code", "新病组", "DRG now"),
    "points_before": Shown("points4", "原点数", "Points before"),
    "points_now": Shown("points4", "新点数", "Points now"),
    "points_change": Shown("points4", "点数增减", "Change in points", summed=True),
    "month_closed": Shown("bool", "原月已关账", "Month closed"),
    "part": Shown("word:part", "部分", "Part"),
    "change": Shown("word:change", "变化", "Change"),
    "changes": Shown("int", "数量", "Changes"),
    "node_level": Shown("code", "层级", "Level"),
    "node": Shown("code", "节点", "Node"),
    "code": Shown("code", "编码", "Code"),
    "text": Shown("text", "名称", "Name"),
    "before": Shown("text", "A 中", "In A"),
    "after": Shown("text", "B 中", "In B"),
    "set_a": Shown("code", "A 中集合", "Set in A"),
    "set_b": Shown("code", "B 中集合", "Set in B"),
    "codes_gone": Shown("int", "减少编码", "Codes that went", summed=True),
    "codes_new": Shown("int", "新增编码", "Codes that came", summed=True),
    "used_by": Shown("text", "用于", "Used by"),
    "weight_a": Shown("coef", "权重 A", "Weight A"),
    "weight_b": Shown("coef", "权重 B", "Weight B"),
    "d_weight": Shown("points", "权重之和增减", "Weights B − A", summed=True),
    "cmi_a": Shown("coef", "CMI A", "CMI A"),
    "cmi_b": Shown("coef", "CMI B", "CMI B"),
    "d_cmi": Shown("coef", "CMI 增减", "CMI B − A"),
    "rate_a": Shown("pct", "入组率 A", "Group rate A"),
    "rate_b": Shown("pct", "入组率 B", "Group rate B"),
    "riv_a": Shown("coef", "RIV A", "RIV A"),
    "riv_b": Shown("coef", "RIV B", "RIV B"),
    "status_a": Shown("word:status", "A 中状态", "Status in A"),
    "status_b": Shown("word:status", "B 中状态", "Status in B"),
    "moved_cost": Shown("money", "迁移病例费用", "Cost of cases that moved"),
}
"""Column → how it is shown."""

_UNITS: Final = {
    "yuan": ("yuan", "(元)", " (CNY)"),
    "share": ("pct", "", ""),
    "DRGs": ("int", "", ""),
}
for _one in INDICATORS.values():
    _kind, _zh, _en = _UNITS.get(_one.unit, ("coef", "", ""))
    _name = _one.en.partition(":")[0].partition(",")[0]
    COLUMNS[f"by_{_one.code}"] = Shown(_kind, _one.zh + _zh, _name[:1].upper() + _name[1:] + _en)
