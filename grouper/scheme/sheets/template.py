"""Writing the template workbook, with the made-up miniature of the layout or with a scheme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from grouper.errors import OutputError
from grouper.scheme.sheets.layout import FLAGS, TABLES, Column, Table

_LAST_ROW: Final = 50_000
_NOTATION: Final[Sequence[tuple[str, str, str]]] = (
    ("主要诊断 其他诊断1 诊断", "principal diagnosis, other diagnosis 1, any diagnosis", "列表"),
    ("主要手术 手术2 其他手术", "principal procedure, procedure 2, other procedure", "列表 lists"),
    ("CB4手术 AH11手术", "CB4 procedure", "另一组的列表 a list of another ADRG or of a DRG"),
    ("AH1_2手术", "AH1_2 procedure", "AH1 情形 2 的列表 a list of the second variant of AH1"),
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
_EXAMPLE: Final = (
    "各工作表已填一个虚构的小方案作为示例；请删去示例行再填写，否则不予导入。",
    "Every sheet holds rows of a made-up scheme: delete them and fill in, else it is not imported.",
)
_SCHEME: Final = (
    "各工作表已填方案 {}，修改后可再导入。",
    "The sheets hold the scheme {}: change what is to change, and import it again.",
)
_HOW: Final[Sequence[tuple[str, str]]] = (
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


def write_template(
    path: Path, rows: Mapping[str, Sequence[Sequence[str]]] | None = None, scheme: str = ""
) -> None:
    """Write the template workbook; the same bytes each time.

    Args:
        rows: of each table by name, in place of the example.
        scheme: what the scheme of these rows is called.

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
        given = {t.name: t.example if rows is None else rows.get(t.name, ()) for t in TABLES}
        tables = [table for table in TABLES if given[table.name] or table.example]
        _write_about(book.add_worksheet("填写说明"), made, tables, scheme)
        for table in tables:
            _write_table(book.add_worksheet(table.name), table, given[table.name], made)
        book.close()
    except (OSError, XlsxWriterException) as error:
        raise OutputError(f"cannot write {path}: {error}", hint="check the folder") from error


def _write_about(sheet: Any, made: Mapping[str, Any], tables: Sequence[Table], scheme: str) -> None:
    for at, width in enumerate((44, 50, 52)):
        sheet.set_column(at, at, width)
    sheet.write_string(0, 0, "DRG 分组方案模板 Template of a DRG scheme", made["title"])
    row = 2
    for zh, en in (_SCHEME if scheme else _EXAMPLE, *_HOW):
        sheet.merge_range(row, 0, row, 2, "", made["wrap"])
        sheet.write_string(row, 0, f"{zh}\n{en}".replace("{}", scheme), made["wrap"])
        sheet.set_row(row, 30)
        row += 1
    for heading, rows in (
        (("工作表 Sheet", "列 Columns", "内容 Content"), [_told(table) for table in tables]),
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


def _write_table(
    sheet: Any, table: Table, rows: Sequence[Sequence[str]], made: Mapping[str, Any]
) -> None:
    for at, column in enumerate(table.columns):
        style = made["number" if column.number else "text"]
        sheet.set_column(at, at, column.width, style)
        sheet.write_string(0, at, f"{column.zh}\n{column.en}", made["head"])
        for row, cells in enumerate(rows, 1):
            # What a workbook's numbers cannot hold exactly stays a text.
            shown = repr(float(cells[at])) if column.number and cells[at] else "e"
            if "e" not in shown and Decimal(shown) == Decimal(cells[at]):
                sheet.write_number(row, at, float(shown), style)
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
            "error_type": "stop" if column.choices is FLAGS else "warning",
            "error_title": column.zh,
            "error_message": f"{column.zh} {column.en}: {' '.join(column.choices)}"[:250],
        }
    limits = {
        "权重": {"validate": "decimal", "criteria": ">=", "value": 0},
        "MDC编码": {"validate": "length", "criteria": "<=", "value": 5},
        # Lists of an MDC stand among those of ADRGs, as MDCA.
        "ADRG编码": {"validate": "length", "criteria": "between", "minimum": 3, "maximum": 4},
        "DRG编码": {"validate": "length", "criteria": "between", "minimum": 3, "maximum": 5},
        "编码": {"validate": "length", "criteria": "<=", "value": 30},
    }
    rule = limits.get(column.zh, {})
    return {**rule, "error_title": column.zh, "error_message": column.en} if rule else {}
