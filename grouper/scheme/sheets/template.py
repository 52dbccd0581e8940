"""The template workbook: a sheet per table, filled with a made-up miniature that imports as it is.

It is the layout of CHS-DRG 2.0: lists of an ADRG combined by a condition, ages and ways of
discharge in the conditions of DRGs. A scheme of the 1.1 layout leaves the conditions empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from grouper.errors import OutputError
from grouper.scheme.sheets.words import LIST_WORDS

_LAST_ROW: Final = 50_000
_FLAGS: Final = ("1", "0")


class Column(NamedTuple):
    """A column of the template.

    Attributes:
        zh, en: its heading; the Chinese one is what the import knows.
        width: in characters.
        choices: what may be chosen; empty for free text.
        number: whether it holds decimals.
    """

    zh: str
    en: str
    width: int = 14
    choices: Sequence[str] = ()
    number: bool = False


class Table(NamedTuple):
    """A sheet of the template: what it is for, its columns and its example."""

    name: str
    about: str
    columns: Sequence[Column]
    example: Sequence[Sequence[str]]


_MDC = Column("MDC编码", "MDC", 10)
_ADRG = Column("ADRG编码", "ADRG", 11)
_WHEN = Column("条件", "Condition", 44)
_NAME = Column("名称", "Name", 36)
_CODE = Column("编码", "Code", 18)
_EXCLUSION = Column("排除表", "Exclusion list", 14)
_LIST_CHOICES = tuple(
    f"{word}{number or ''}" for word in LIST_WORDS for number in range(4 if word != "诊断" else 1)
)

TABLES: Final[Sequence[Table]] = (
    Table(
        "方案",
        "方案的标识、名称与有效期。What the scheme is called and when it is valid.",
        (Column("项目", "Key", 26), Column("值", "Value", 40), Column("说明", "Meaning", 50)),
        (
            ("id", "my-region", "标识 name for programs"),
            ("title", "示例方案 Example", "名称 title"),
            ("base", "CHS-DRG 2.0", "依据 what it follows"),
            ("valid_from", "2025-01-01", "自出院日期 first day of discharge"),
            ("valid_to", "", "至出院日期 last day of discharge"),
            (
                "retry_other_procedures",
                "0",
                "未入组时逐一试其他手术 try other procedures if ungrouped",
            ),
        ),
    ),
    Table(
        "MDC",
        "主要诊断大类，按入组顺序；条件为空时按主诊表（M、N 加性别，P 加年龄 0 岁，Z 加部位≥2）。"
        "MDCs in the order in which they are tried; without a condition by their diagnoses.",
        (_MDC, Column("MDC名称", "Name", 30), _WHEN, Column("顺序", "Order", 8)),
        (
            ("A", "先期分组疾病及相关操作", "任意手术", "1"),
            ("P", "新生儿疾病", "新生儿 或 (主要诊断 + 年龄 = 0岁)", "2"),
            ("Z", "多发严重创伤", "主要诊断 + 部位 ≥ 2", "3"),
            ("F", "循环系统疾病", "", "4"),
        ),
    ),
    Table(
        "主诊表",
        "每个 MDC 的主要诊断；部位只用于多发创伤。Diagnoses of each MDC; sites for trauma only.",
        (_MDC, _CODE, _NAME, Column("部位", "Site", 12)),
        (
            ("P", "P22.000", "新生儿呼吸窘迫综合征", ""),
            ("Z", "S06.300", "局灶性大脑损伤", "头颈部"),
            ("", "S72.300", "股骨干骨折", "下肢"),
            ("F", "I21.900", "急性心肌梗死", ""),
            ("", "I48.x00", "心房颤动和扑动", ""),
            ("", "I34.000", "二尖瓣关闭不全", ""),
        ),
    ),
    Table(
        "ADRG",
        "核心组，按入组顺序；条件为空时各列表须同时满足。"
        "ADRGs in the order in which they are tried; without a condition all lists must hold.",
        (_ADRG, Column("ADRG名称", "Name", 36), _WHEN),
        (
            ("AH1", "有创呼吸机支持≥96小时或ECMO", ""),
            ("PR1", "新生儿呼吸窘迫综合征", "主要诊断 + 29天 > 年龄"),
            ("PV1", "源于新生儿诊断的婴儿疾患", "29天 ≤ 年龄 < 1岁"),
            ("ZZ1", "多发性重要创伤无手术", "无手术"),
            ("FB2", "心脏瓣膜手术伴心导管操作", "手术1 + 手术2"),
            ("FL1", "经皮心脏消融术伴房颤", "(其他诊断1 或 手术1) + 手术2"),
            ("FR2", "急性心肌梗死", ""),
        ),
    ),
    Table(
        "ADRG编码",
        "每个核心组的诊断与手术列表；ADRG 与列表只写在首行即可。"
        "The lists of each ADRG; its code and the list need to stand in their first row only.",
        (_ADRG, Column("列表", "List", 14, _LIST_CHOICES), _CODE, _NAME),
        (
            ("AH1", "主要手术", "96.7201", "有创呼吸机治疗[大于等于96小时]"),
            ("", "", "39.6500", "体外膜氧合[ECMO]"),
            ("PR1", "主要诊断", "P22.000", "新生儿呼吸窘迫综合征"),
            ("FB2", "手术1", "35.2300", "二尖瓣生物瓣膜置换术"),
            ("", "手术2", "37.2200", "左心导管检查"),
            ("FL1", "其他诊断1", "I48.x00", "心房颤动和扑动"),
            ("", "手术1", "37.2700", "心脏标测"),
            ("", "手术2", "37.3400", "心脏病损射频消融术"),
            ("FR2", "主要诊断", "I21.900", "急性心肌梗死"),
        ),
    ),
    Table(
        "DRG编码",
        "只属于一个细分组的列表；其条件为空时各列表须同时满足。"
        "Lists of one DRG alone; without a condition of the DRG all of them must hold.",
        (Column("DRG编码", "DRG", 10), Column("列表", "List", 14, _LIST_CHOICES), _CODE, _NAME),
        (("AH11", "手术", "39.6500", "体外膜氧合[ECMO]"),),
    ),
    Table(
        "DRG",
        "细分组与权重；条件为空时先看名称（伴…、年龄…），再看末位：1 伴严重合并症或并发症，"
        "3 伴合并症或并发症，5 不伴，9 不区分。"
        "DRGs with weights; without a condition the name says it, else the last digit.",
        (
            Column("DRG编码", "DRG", 10),
            Column("DRG名称", "Name", 50),
            _WHEN,
            Column("权重", "Weight", 10, number=True),
            Column("基础病组", "Basic", 9, _FLAGS),
            Column("稳定病组", "Stable", 9, _FLAGS),
        ),
        (
            ("AH11", "体外膜氧合[ECMO]", "", "20.5", "0", "1"),
            ("AH19", "有创呼吸机支持≥96小时或ECMO", "", "14.25", "0", "1"),
            ("PR11", "新生儿呼吸窘迫综合征，伴严重合并症或并发症", "", "4.1", "0", "1"),
            ("PR15", "新生儿呼吸窘迫综合征，不伴合并症或并发症", "", "2.2", "0", "1"),
            ("PV19", "源于新生儿诊断的婴儿疾患", "", "0.8", "1", "1"),
            ("ZZ11", "多发性重要创伤无手术，死亡或转院", "离院方式 = (死亡, 转院)", "1.9", "0", ""),
            ("ZZ15", "多发性重要创伤无手术，其他", "不伴", "1.3", "0", ""),
            ("FB29", "心脏瓣膜手术伴心导管操作", "", "8.9", "0", "1"),
            ("FL11", "经皮心脏消融术伴房颤，伴严重合并症或并发症", "", "5.1", "0", "1"),
            ("FL13", "经皮心脏消融术伴房颤，伴合并症或并发症", "", "4.6", "0", "1"),
            ("FL15", "经皮心脏消融术伴房颤，不伴合并症或并发症", "", "4.2", "0", "1"),
            ("FR20", "急性心肌梗死，年龄<17岁", "年龄 < 17岁", "1.4", "0", "0"),
            ("FR21", "急性心肌梗死，伴严重合并症或并发症", "", "1.6", "0", "1"),
            ("FR25", "急性心肌梗死，不伴合并症或并发症", "", "0.9", "0", "1"),
        ),
    ),
    Table(
        "MCC",
        "严重合并症或并发症及其排除表（可空）。MCCs and the exclusion list of each, if any.",
        (_CODE, _NAME, _EXCLUSION),
        (("J96.000", "急性呼吸衰竭", "1"), ("R57.000", "心源性休克", "")),
    ),
    Table(
        "CC",
        "合并症或并发症及其排除表（可空）。CCs and the exclusion list of each, if any.",
        (_CODE, _NAME, _EXCLUSION),
        (("E11.900", "2型糖尿病", ""),),
    ),
    Table(
        "排除表",
        "主要诊断所排除的表。The exclusion list that a principal diagnosis switches off.",
        (_EXCLUSION, _CODE, _NAME),
        (("1", "P22.000", "新生儿呼吸窘迫综合征"),),
    ),
    Table(
        "诊断名称",
        "全部诊断编码（ICD-10 医保版）。All diagnoses with names.",
        (_CODE, _NAME),
        (
            ("I21.900", "急性心肌梗死"),
            ("I34.000", "二尖瓣关闭不全"),
            ("I48.x00", "心房颤动和扑动"),
            ("P22.000", "新生儿呼吸窘迫综合征"),
            ("S06.300", "局灶性大脑损伤"),
            ("S72.300", "股骨干骨折"),
            ("J96.000", "急性呼吸衰竭"),
            ("R57.000", "心源性休克"),
            ("E11.900", "2型糖尿病"),
        ),
    ),
    Table(
        "手术名称",
        "全部手术操作编码（ICD-9-CM-3 医保版）；手术室手术填 1。"
        "All procedures with names; 1 marks those of the operating room.",
        (_CODE, _NAME, Column("手术室手术", "Operating room", 12, _FLAGS)),
        (
            ("35.2300", "二尖瓣生物瓣膜置换术", "1"),
            ("37.2200", "左心导管检查", "1"),
            ("37.2700", "心脏标测", "1"),
            ("37.3400", "心脏病损射频消融术", "1"),
            ("39.6500", "体外膜氧合[ECMO]", "1"),
            ("96.7201", "有创呼吸机治疗[大于等于96小时]", "1"),
            ("89.5200", "心电图", "0"),
        ),
    ),
    Table(
        "诊断对照",
        "其他版本的诊断编码；- 表示去掉。Diagnoses of another edition; - drops the code.",
        (Column("原编码", "From", 18), Column("对应编码", "To", 18)),
        (("I21.9", "I21.900"),),
    ),
    Table(
        "手术对照",
        "其他版本的手术编码；- 表示去掉。Procedures of another edition; - drops the code.",
        (Column("原编码", "From", 18), Column("对应编码", "To", 18)),
        (("37.34", "37.3400"),),
    ),
)

_NOTATION: Final[Sequence[tuple[str, str, str]]] = (
    ("主要诊断 其他诊断1 诊断", "principal diagnosis, other diagnosis 1, any diagnosis", "列表"),
    ("主要手术 手术2 其他手术", "principal procedure, procedure 2, other procedure", "列表 lists"),
    ("CB4手术 AH11手术", "CB4 procedure", "另一组的列表 a list of another ADRG or of a DRG"),
    ("+ 且 和；或；非；( )", "+ and; or; not; ( )", "+ 先于 或；换行即 或 a new line is or"),
    ("手术1 ≥ 2个", "procedure 1 >= 2", "个数 how many codes"),
    ("任意手术 无手术", "any operating procedure, no procedure", "手术室手术 operating room"),
    ("年龄 < 17岁；29天 ≤ 年龄 < 1岁；新生儿", "age < 17; age_days <= 28; newborn", "年龄 age"),
    ("体重 1500-2499克；住院天数 ≤ 5；ICU小时 > 96", "weight, los, icu_hours", "数值 numbers"),
    ("男 女；部位 ≥ 2", "male, female; sites >= 2", "性别、创伤部位 sex, sites of trauma"),
    ("离院方式 = (死亡, 转院)", "discharge = (died, 2, 3)", "离院方式 way of discharge"),
    ("伴严重合并症或并发症；伴合并症或并发症；不伴", "with MCC; with CC; without CC", "并发症"),
    ('规则: pdx in FR2.dx and mcc', "rule: …", "方案包的规则语言 the pack's own language"),
)  # fmt: skip
_HOW: Final[Sequence[tuple[str, str]]] = (
    (
        "各工作表已填一个虚构的小方案，可直接导入；请删去示例行再填写。",
        "Every sheet holds rows of a made-up scheme that imports as it is: delete and fill in.",
    ),
    (
        "编码列均为文本格式，请勿改为数字，否则首尾的 0 会丢失。以 % 结尾表示前缀，如 I21%。",
        "Code columns are text: as numbers they lose zeros. A code that ends in % is a prefix.",
    ),
    (
        "组的编码可只写在首行，其下各行留空。不用的工作表可删除。",
        "A group's code may stand in its first row only. Sheets that are not used may be deleted.",
    ),
    (
        "导入：grouper scheme import tables 本文件.xlsx --out 方案文件夹",
        "Import: grouper scheme import tables THIS.xlsx --out PACK",
    ),
)


def write_template(path: Path) -> None:
    """Write the template workbook; the same bytes each time.

    Raises:
        OutputError: there is a file already, or it cannot be written.
    """
    # Imported here: most commands write no workbook.
    import xlsxwriter
    from xlsxwriter.exceptions import XlsxWriterException

    if path.suffix.lower() != ".xlsx":
        raise OutputError(f"{path.name} is no workbook's name", hint="end it in .xlsx")
    if path.exists():
        raise OutputError(
            f"{path} is there already", hint="name another file, so that no filled-in sheet is lost"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        book = xlsxwriter.Workbook(
            str(path), {"strings_to_formulas": False, "strings_to_urls": False}
        )
        book.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC)})
        base = {"font_name": "Microsoft YaHei", "font_size": 10, "valign": "top"}
        made: Mapping[str, Any] = {
            "head": book.add_format(
                {**base, "bold": True, "bg_color": "#E3EBF0", "border": 1, "text_wrap": True}
            ),
            "title": book.add_format({**base, "bold": True, "font_size": 16}),
            "wrap": book.add_format({**base, "text_wrap": True}),
            "text": book.add_format({**base, "num_format": "@"}),
            "number": book.add_format({**base, "num_format": "0.0000##"}),
        }
        _write_about(book.add_worksheet("填写说明"), made)
        for table in TABLES:
            _write_table(book.add_worksheet(table.name), table, made)
        book.close()
    except (OSError, XlsxWriterException) as error:
        raise OutputError(f"cannot write {path}: {error}", hint="check the folder") from error


def _write_about(sheet: Any, made: Mapping[str, Any]) -> None:
    for at, width in enumerate((44, 50, 52)):
        sheet.set_column(at, at, width)
    sheet.write_string(0, 0, "DRG 分组方案模板 Template of a DRG scheme", made["title"])
    row = 2
    for zh, en in _HOW:
        sheet.merge_range(row, 0, row, 2, "", made["wrap"])
        sheet.write_string(row, 0, f"{zh}\n{en}", made["wrap"])
        sheet.set_row(row, 30)
        row += 1
    for heading, rows in (
        (("工作表 Sheet", "列 Columns", "内容 Content"), [_told(table) for table in TABLES]),
        (("条件 Condition", "English", "含义 Meaning"), list(_NOTATION)),
    ):
        row += 1
        for at, text in enumerate(heading):
            sheet.write_string(row, at, text, made["head"])
        for cells in rows:
            row += 1
            for at, text in enumerate(cells):
                sheet.write_string(row, at, text, made["wrap"])
        row += 1


def _told(table: Table) -> tuple[str, str, str]:
    return table.name, " | ".join(f"{c.zh} {c.en}" for c in table.columns), table.about


def _write_table(sheet: Any, table: Table, made: Mapping[str, Any]) -> None:
    for at, column in enumerate(table.columns):
        style = made["number" if column.number else "text"]
        sheet.set_column(at, at, column.width, style)
        sheet.write_string(0, at, f"{column.zh}\n{column.en}", made["head"])
        for row, cells in enumerate(table.example, 1):
            if column.number and cells[at]:
                sheet.write_number(row, at, float(cells[at]), style)
            elif cells[at]:
                sheet.write_string(row, at, cells[at], style)
        rule = _rule(column)
        if rule:
            sheet.data_validation(1, at, _LAST_ROW, at, rule)
    sheet.set_row(0, 32)
    sheet.freeze_panes(1, 0)


def _rule(column: Column) -> dict[str, Any]:
    """What may be entered; a list is a proposal only, since numbers of lists are open."""
    if column.choices:
        return {
            "validate": "list",
            "source": list(column.choices),
            "error_type": "stop" if column.choices is _FLAGS else "warning",
            "error_title": column.zh,
            "error_message": f"{column.zh} {column.en}: {' '.join(column.choices)}"[:250],
        }
    limits = {
        "权重": {"validate": "decimal", "criteria": ">=", "value": 0},
        "MDC编码": {"validate": "length", "criteria": "<=", "value": 5},
        "ADRG编码": {"validate": "length", "criteria": "==", "value": 3},
        "DRG编码": {"validate": "length", "criteria": "between", "minimum": 3, "maximum": 5},
        "编码": {"validate": "length", "criteria": "<=", "value": 30},
    }
    rule = limits.get(column.zh, {})
    return {**rule, "error_title": column.zh, "error_message": column.en} if rule else {}
