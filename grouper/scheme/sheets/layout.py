"""The layout of the template: its sheets and their columns, with a made-up miniature as example.

It is the layout of CHS-DRG 2.0: lists of an ADRG combined by a condition, ages and ways of
discharge in the conditions of DRGs. A scheme of the 1.1 layout leaves the conditions empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from grouper.scheme.sheets.words import LIST_WORDS

FLAGS: Final = ("1", "0")


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
    """A sheet of the template: what it is for, its columns and its example.

    A sheet without an example is written only where a scheme has rows for it.
    """

    name: str
    about: str
    columns: Sequence[Column]
    example: Sequence[Sequence[str]] = ()


_MDC = Column("MDC编码", "MDC", 10)
_ADRG = Column("ADRG编码", "ADRG", 11)
_VARIANT = Column("情形", "Variant", 9, ("1", "2", "3", "4"))
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
        "核心组，按入组顺序；条件为空时各列表须同时满足。一个核心组有几种入组情形时，每种一行，情形填"
        " 1、2、3…，各有自己的列表与条件；只有一种时情形留空。"
        "ADRGs in the order in which they are tried; without a condition all lists must hold. An"
        " ADRG that is entered in several ways has a row for each, numbered 1, 2, 3 as variants"
        " with lists and a condition of their own; with one way only the column stays empty.",
        (_ADRG, _VARIANT, Column("ADRG名称", "Name", 36), _WHEN),
        (
            ("AH1", "1", "有创呼吸机支持≥96小时或ECMO", "主要手术"),
            ("", "2", "", "手术"),
            ("PR1", "", "新生儿呼吸窘迫综合征", "主要诊断 + 29天 > 年龄"),
            ("PV1", "", "源于新生儿诊断的婴儿疾患", "29天 ≤ 年龄 < 1岁"),
            ("ZZ1", "", "多发性重要创伤无手术", "无手术"),
            ("FB2", "", "心脏瓣膜手术伴心导管操作", "手术1 + 手术2"),
            ("FL1", "", "经皮心脏消融术伴房颤", "(其他诊断1 或 手术1) + 手术2"),
            ("FR2", "", "急性心肌梗死", ""),
        ),
    ),
    Table(
        "ADRG编码",
        "每个核心组（有几种情形时为每种情形）的诊断与手术列表；ADRG、情形与列表只写在首行即可。主诊表"
        "以外的 MDC 列表也填在此，编码写 MDCA 等。"
        "The lists of each ADRG, or of each variant of it; ADRG, variant and list need to stand in"
        " their first row only. Lists of an MDC beside its diagnoses stand here, too, under MDCA.",
        (_ADRG, _VARIANT, Column("列表", "List", 14, _LIST_CHOICES), _CODE, _NAME),
        (
            ("AH1", "1", "主要手术", "96.7201", "有创呼吸机治疗[大于等于96小时]"),
            ("", "2", "手术", "39.6500", "体外膜氧合[ECMO]"),
            ("PR1", "", "主要诊断", "P22.000", "新生儿呼吸窘迫综合征"),
            ("FB2", "", "手术1", "35.2300", "二尖瓣生物瓣膜置换术"),
            ("", "", "手术2", "37.2200", "左心导管检查"),
            ("FL1", "", "其他诊断1", "I48.x00", "心房颤动和扑动"),
            ("", "", "手术1", "37.2700", "心脏标测"),
            ("", "", "手术2", "37.3400", "心脏病损射频消融术"),
            ("FR2", "", "主要诊断", "I21.900", "急性心肌梗死"),
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
        "3 伴合并症或并发症，5 不伴，9 不区分。情形为空时适用于核心组的各种情形。"
        "DRGs with weights; without a condition the name says it, else the last digit. Without a"
        " variant a DRG stands under all variants of its ADRG.",
        (
            Column("DRG编码", "DRG", 10),
            _VARIANT,
            Column("DRG名称", "Name", 50),
            _WHEN,
            Column("权重", "Weight", 10, number=True),
            Column("基础病组", "Basic", 9, FLAGS),
            Column("稳定病组", "Stable", 9, FLAGS),
        ),
        (
            ("AH11", "", "体外膜氧合[ECMO]", "", "20.5", "0", "1"),
            ("AH19", "", "有创呼吸机支持≥96小时或ECMO", "", "14.25", "0", "1"),
            ("PR11", "", "新生儿呼吸窘迫综合征，伴严重合并症或并发症", "", "4.1", "0", "1"),
            ("PR15", "", "新生儿呼吸窘迫综合征，不伴合并症或并发症", "", "2.2", "0", "1"),
            ("PV19", "", "源于新生儿诊断的婴儿疾患", "", "0.8", "1", "1"),
            (
                "ZZ11",
                "",
                "多发性重要创伤无手术，死亡或转院",
                "离院方式 = (死亡, 转院)",
                "1.9",
                "0",
                "",
            ),
            ("ZZ15", "", "多发性重要创伤无手术，其他", "不伴", "1.3", "0", ""),
            ("FB29", "", "心脏瓣膜手术伴心导管操作", "", "8.9", "0", "1"),
            ("FL11", "", "经皮心脏消融术伴房颤，伴严重合并症或并发症", "", "5.1", "0", "1"),
            ("FL13", "", "经皮心脏消融术伴房颤，伴合并症或并发症", "", "4.6", "0", "1"),
            ("FL15", "", "经皮心脏消融术伴房颤，不伴合并症或并发症", "", "4.2", "0", "1"),
            ("FR20", "", "急性心肌梗死，年龄<17岁", "年龄 < 17岁", "1.4", "0", "0"),
            ("FR21", "", "急性心肌梗死，伴严重合并症或并发症", "", "1.6", "0", "1"),
            ("FR25", "", "急性心肌梗死，不伴合并症或并发症", "", "0.9", "0", "1"),
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
        (_CODE, _NAME, Column("手术室手术", "Operating room", 12, FLAGS)),
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
    Table("有效手术", "其他手术室手术。Further operating-room procedures.", (_CODE, _NAME)),
    Table(
        "创伤部位",
        "诊断所在的部位。The site of the body that a diagnosis lies on.",
        (Column("所属大类", "Family", 12), Column("部位", "Site", 14), _CODE, _NAME),
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
