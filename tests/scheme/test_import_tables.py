"""Import of published tables: the layouts they come in, what is mended, and what is refused."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import xlsxwriter
from typer.testing import CliRunner

from grouper.cli.scheme import scheme_app
from grouper.errors import GrouperError, PackError
from grouper.scheme.import_tables import import_tables, write_tables
from grouper.scheme.imported import Imported
from grouper.scheme.layers import read_layers
from grouper.scheme.lint import lint
from grouper.scheme.pack import read_pack
from grouper.scheme.sheets.cells import read_sheets
from tests.scheme.published import Rows, answers, book, folder, lost

# A made-up scheme as a bureau prints it: titles above, merged cells, weights beside the names.
SHEETS: Mapping[str, Rows] = {
    "主诊表": [
        ("附件1 某市DRG分组方案（试行）",),
        ("MDC编码", "MDC名称", "主要诊断", None),
        (None, None, "编码", "名称"),
        ("MDCB", "神经系统疾病", "I61.900", "脑出血"),
        (None, None, "I63.900", "脑梗死"),
        ("MDCM", "男性生殖系统疾病", "N40.x00", "前列腺增生"),
        ("注：以上编码为医保版",),
    ],
    "ADRG": [
        ("ADRG编码", "ADRG名称", "主要诊断编码", "主要诊断名称", "主要手术编码", "主要手术名称"),
        ("BB1", "脑出血开颅术", "I61.900", "脑出血", "01.2400", "开颅术"),
        (None, None, None, None, "01.3900", "脑切开术"),
        ("BR2", "脑缺血性疾患", "Ｉ63. 900", "脑梗死"),
        ("MB1", "前列腺手术", None, None, "60.2100、60.2900"),
    ],
    "DRG及权重": [
        ("序号", "DRG编码", "DRG名称", "权重"),
        (1, "BB19", "脑出血开颅术", 6.25),
        (2, "BR25", "脑缺血性疾患，不伴并发症或合并症", 0.75),
        (3, "BR21", "脑缺血性疾患，伴严重并发症或合并症", "1.5"),
        (4, "MB19", "前列腺手术", None),
        (5, "BQY", "歧义病案"),
    ],
    "MCC": [("疾病编码", "疾病名称", "排除表"), ("J96.000", "急性呼吸衰竭", 7)],
    "CC排除表": [("排除表号", "诊断编码"), (7, "I63.900"), (None, "I61.900")],
}


def change(name: str, rows: Rows | None) -> dict[str, Rows]:
    changed = {**SHEETS, name: rows or []}
    return {key: value for key, value in changed.items() if value}


def imported(folder: Path, sheets: Mapping[str, Rows] = SHEETS, toml: str = "") -> Imported:
    columns = None
    if toml:
        columns = folder / "map.toml"
        columns.write_text(toml, "utf-8")
    return import_tables(book(folder / "city.xlsx", sheets), columns=columns)


def rules_of(found: Imported) -> list[tuple[str, str]]:
    return [(row[1], row[4]) for row in found.rows["groups.csv"]]


def kinds(found: Imported) -> set[str]:
    return {one.kind for one in found.unread}


RULES = [
    ("MDCB", "pdx in MDCB.dx"),
    ("BB1", "pdx in BB1.dx and ppx in BB1.px"),
    ("BB19", "true"),
    ("BQY", "any_px in or_px"),
    ("BQY", "true"),
    ("BR2", "pdx in BR2.dx"),
    ("BR21", "mcc"),
    ("BR25", "true"),
    ("MDCM", "pdx in MDCM.dx and sex == 1"),
    ("MB1", "ppx in MB1.px"),
    ("MB19", "true"),
]


def test_published_workbook(tmp_path: Path) -> None:
    found = imported(tmp_path)
    assert rules_of(found) == RULES
    assert lost(found) == []
    notes = [str(one) for one in found.unread]
    assert "city.xlsx[ADRG]:4: 'Ｉ63. 900' is read as I63.900" in notes
    assert kinds(found) == {"code-form", "mdc-rule", "or-px"}
    write_tables(found, tmp_path / "pack")
    pack, _ = lint(read_layers(tmp_path / "pack"))
    assert pack.sets["MB1.px"] == ("60.2100", "60.2900")
    assert pack.exclusions == {"I63.900": "7", "I61.900": "7"}
    assert pack.dx["I61.900"] == "脑出血"
    assert str(pack.weights["BR21"].weight) == "3/2"
    assert answers(
        tmp_path / "pack",
        {"dx": ["I61.900"], "px": ["01.3900"]},
        {"dx": ["I63.900", "J96.000"]},
        {"dx": ["I63.900"], "px": ["60.2100"]},
        {"dx": ["N40.x00"], "px": ["60.2900"], "sex": 1},
        {"dx": ["N40.x00"], "px": ["60.2900"], "sex": 2},
    ) == ["BB19", "BR25", "BQY", "MB19", "ungrouped"]


def test_folder_of_csv(tmp_path: Path) -> None:
    folder(tmp_path, SHEETS, "gb18030")
    assert rules_of(import_tables(tmp_path, encoding="gb18030")) == RULES
    with pytest.raises(PackError, match="not UTF-8 text") as caught:
        import_tables(tmp_path)
    assert "gb18030" in caught.value.hint


def test_a_workbook_for_each_table(tmp_path: Path) -> None:
    for name, rows in SHEETS.items():
        book(tmp_path / f"{name}.xlsx", {"Sheet1": rows})
    found = import_tables(tmp_path)
    assert rules_of(found) == RULES
    assert list(found.rows["severity.csv"]) == [("J96.000", "MCC", "7")]


def test_long_form_with_lines_that_name_the_list(tmp_path: Path) -> None:
    rows = [
        ("ADRG编码", "ADRG名称", "编码", "名称"),
        ("BB1", "脑出血开颅术", "包含以下主要诊断：", None),
        (None, None, "I61.900", "脑出血"),
        (None, None, "包含以下主要手术或操作：", None),
        (None, None, "01.2400 开颅术", None),
        ("BB2", "两项手术", "同时包含以下手术：", None),
        (None, None, "01.2400", None),
        (None, None, "和", None),
        (None, None, "01.3900", None),
        (None, None, "01.3900", None),
        ("BR2", "脑缺血性疾患", "I63.900", None),
        ("MB1", "前列腺手术", "全部手术", None),
    ]
    found = imported(tmp_path, change("ADRG", rows))
    assert [rule for rule in rules_of(found) if len(rule[0]) == 3] == [
        ("BB1", "pdx in BB1.dx and ppx in BB1.px"),
        ("BB2", "any_px in BB2.px1 and any_px in BB2.px2"),
        ("BQY", "any_px in or_px"),
        ("BQY", "true"),
        ("BR2", "pdx in BR2.dx"),
        ("MB1", "any_px in or_px"),
    ]
    assert lost(found) == ["city.xlsx[ADRG]:6: BB2 has no DRG, so its cases go on to the next ADRG"]
    assert "duplicate" in kinds(found)


@pytest.mark.parametrize(
    ("sheet", "row", "told"),
    [
        ("ADRG", ("BRX2", "x", "I63.900"), "city.xlsx[ADRG]:6: 'BRX2' is no ADRG"),
        ("ADRG", ("BT1", "x", "见附件"), "city.xlsx[ADRG]:6: '见附件' is no code"),
        ("DRG及权重", (6, "BR29", "y", "待定"), "[DRG及权重]:7: the weight '待定' of BR29"),
        ("DRG及权重", (6, "BR29", "y", "-1"), "[DRG及权重]:7: the weight '-1' of BR29"),
        ("DRG及权重", (6, "BR2X", "y"), "what the last character of BR2X means"),
        ("DRG及权重", (6, "BR27", "脑缺血性疾患，年龄6岁以下"), "in the name of BR27"),
        ("DRG及权重", (6, "BB15", "脑出血开颅术"), "BB15 asks for the same as BB19"),
        ("DRG及权重", (6, "BT19", "y"), "BT19 stands under no ADRG"),
        ("DRG及权重", (6, "BB19", "脑出血开颅术", 7), "weight of BB19 is '7' here and '6.25'"),
        ("DRG及权重", (6, None, "无编码"), "city.xlsx[DRG及权重]:7: the DRG is missing"),
        ("MCC", ("J96.000", "x", 8), "the MCC J96.000 has '8' here and '7' above"),
        ("MCC", (None, "注意缺陷多动障碍"), "city.xlsx[MCC]:3: the code is missing"),
        ("CC排除表", (8, "I63.900"), "the principal diagnosis I63.900 has '8' here"),
        ("主诊表", ("其他", "x", "I60.900"), "city.xlsx[主诊表]:8: '其他' is no MDC"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_read(
    tmp_path: Path, sheet: str, row: Sequence[object], told: str
) -> None:
    found = imported(tmp_path, change(sheet, [*SHEETS[sheet], row]))
    assert any(told in one for one in lost(found)), lost(found)
    assert ("BB1", "pdx in BB1.dx and ppx in BB1.px") in rules_of(found)


def test_a_code_held_as_a_number_is_told(tmp_path: Path) -> None:
    found = imported(tmp_path, change("ADRG", [*SHEETS["ADRG"], ("MB1", None, None, None, 60.3)]))
    assert "60.3 is a number in the workbook and may have lost zeros" in str(found.unread)


def test_a_yes_is_no_weight(tmp_path: Path) -> None:
    heads = ("DRG编码", "DRG名称", "权重", "基础病组")
    found = imported(tmp_path, change("DRG及权重", [heads, ("BB19", "脑出血开颅术", True, True)]))
    assert any("the weight 'TRUE' of BB19 is no decimal" in one for one in lost(found))
    found = imported(tmp_path, change("DRG及权重", [heads, ("BB19", "脑出血开颅术", 6.25, True)]))
    assert [row for row in found.rows["weights.csv"] if row[0] == "BB19"] == [
        ("BB19", "6.25", "1", "")
    ]


def test_a_heading_that_stands_twice_is_told(tmp_path: Path) -> None:
    rows = [("DRG编码", "DRG名称", "权重", "权 重"), ("BB19", "脑出血开颅术", 6.25, 5.5)]
    found = imported(tmp_path, change("DRG及权重", rows))
    (told,) = [str(one) for one in found.unread if one.kind == "doubled-heading"]
    assert told == (
        "city.xlsx[DRG及权重]: '权 重' stands twice: column 3 is read, and not column 4"
    )


def test_a_column_for_each_list(tmp_path: Path) -> None:
    rows = [
        ("ADRG Code", "ADRG Name", "Condition", "Other diagnosis 1 code", "手术1编码", "手术2编码"),
        ("BB1", "x", "(其他诊断1 或 手术1) + 主要手术2", "J96.000", "01.2400", "01.3900"),
        (None, None, None, "J96.900", None, "01.5900"),
        ("BR2", "y", "BB1手术2 且 部位 ≥ 2"),
        ("MB1", "z", "手术3"),
    ]
    found = imported(tmp_path, {**change("ADRG", rows), "DRG付费办法": [("一、总则",)]})
    adrg = "(other_dx in BB1.dx1 or any_px in BB1.px1) and ppx in BB1.px2"
    assert ("BB1", adrg) in rules_of(found)
    sets = list(found.rows["sets.csv"])
    assert [code for name, code in sets if name == "BB1.px2"] == ["01.3900", "01.5900"]
    told = "\n".join(lost(found))
    assert "city.xlsx[ADRG]:4: the condition 'BB1手术2 且 部位 ≥ 2' of BR2" in told
    assert "MB1 has no list any_px3; it has none" in told
    assert "unused-sheet" in kinds(found)


def test_numbers_keep_the_zeros_that_their_format_shows(tmp_path: Path) -> None:
    made = xlsxwriter.Workbook(str(tmp_path / "n.xlsx"))
    sheet = made.add_worksheet("手术名称")
    for row, (value, form) in enumerate([(37.51, "0.0000"), (0.66, "00.0000"), (37.5, "")]):
        sheet.write_number(row, 0, value, made.add_format({"num_format": form} if form else {}))
    sheet.merge_range(3, 0, 5, 0, "merged")
    made.close()
    (read,) = read_sheets(tmp_path / "n.xlsx")
    assert [cells[0] for _, cells in read.rows] == ["37.5100", "00.6600", "37.5", "merged"]
    assert read.numbers == {(1, 0), (2, 0), (3, 0)}


MAP = """
[scheme]
id = "mapped"
[suffix]
"A" = "年龄 <= 6岁"
[tables.adrg]
sheet = "表*"
header = 2
columns = { adrg = "组", pdx = ["主", 3], any_px1 = "术" }
"""


def test_column_map(tmp_path: Path) -> None:
    sheets = change("ADRG", None)
    sheets["表二"] = [
        ("任意标题",),
        ("组", "名", "主", "术"),
        ("BR2", "x", "I63.900", "01.2400"),
        ("MB1", "y", "N40.x00", "60.2100"),
    ]
    sheets["DRG及权重"] = [("DRG编码", "DRG名称"), ("BR2A", "x"), ("BR29", "x"), ("MB19", "y")]
    found = imported(tmp_path, sheets, MAP)
    assert found.identity.id == "mapped"
    assert ("BR2", "pdx in BR2.dx and any_px in BR2.px1") in rules_of(found)
    assert ("BR2A", "age <= 6") in rules_of(found)


def test_keys_of_a_scheme_keep_the_letters_of_a_name(tmp_path: Path) -> None:
    sheets = change("方案", [("项目", "值"), ("ID", "x"), ("suffix.A", "ICU_H > 2")])
    sheets["方案"] = [*sheets["方案"], ("attributes.ICU_H", "监护小时")]
    sheets["DRG及权重"] = [*SHEETS["DRG及权重"], (6, "BR2A", "脑缺血性疾患")]
    found = imported(tmp_path, sheets)
    assert found.identity.id == "x"
    assert found.identity.attributes == {"ICU_H": "监护小时"}
    assert ("BR2A", "ICU_H > 2") in rules_of(found)


@pytest.mark.parametrize(
    ("toml", "told", "hint"),
    [
        ("[tables.adrgs]", "no key 'adrgs'", "mdc, mdc_dx, adrg"),
        ("[tables.adrg]\nsheet = '组'", "names '组', and there is no such", "city.xlsx[ADRG]"),
        ("[tables.adrg]\nsheets = 'x'", "no key 'sheets'", "file, sheet, header"),
        ("[tables.adrg]\nheader = 'x'", "header of [tables.adrg] is 'x'", "row number"),
        ("[tables.adrg]\nsheet='ADRG'\nheader = 99", "row 99, which is empty", "header"),
        ("[tables.adrg.columns]\ndx = 'x'", "no column 'dx'", "pdx"),
        ("[tables.adrg]\nsheet='ADRG'\ncolumns = {adrg='组'}", "no column 组 for", "ADRG编码"),
        ("[tables.drg]\nsheet='ADRG'", "lacks the column drg", "DRG编码"),
        ("[scheme]\nname = 'x'", "no key 'name'", "id, title"),
        ("[scheme]\nvalid_from = 'x'", "valid_from is 'x'", "2024-01-01"),
        ("[suffix]\nAB = 'x'", "'AB' is not one character", "2"),
        ("tables = 3", "tables is not a table", "[tables.adrg]"),
        ("x", "not TOML", "quotes"),
    ],
)  # fmt: skip
def test_wrong_maps(tmp_path: Path, toml: str, told: str, hint: str) -> None:
    with pytest.raises(PackError) as caught:
        imported(tmp_path, toml=toml)
    assert told in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.file


@pytest.mark.parametrize(
    ("sheet", "rows", "told", "hint"),
    [
        ("DRG及权重", None, "there is no table of DRGs", "template"),
        ("ADRG", None, "there is no table of ADRGs", "template"),
        ("主诊表", None, "MDCB has no diagnoses and no condition", "主诊表"),
        ("MCC", [("甲", "乙"), ("x", "y")], "its columns are not found", "编码"),
        ("DRG及权重", [("组号", "权重"), ("BR29", 1)], "its columns are not found", "DRG编码"),
    ],
)
def test_missing_sheets_and_columns(
    tmp_path: Path, sheet: str, rows: Rows | None, told: str, hint: str
) -> None:
    with pytest.raises(PackError) as caught:
        imported(tmp_path, change(sheet, rows))
    assert told in str(caught.value)
    assert hint in caught.value.hint


def test_files_of_something_else(tmp_path: Path) -> None:
    def refused(name: str, data: bytes) -> str:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(PackError) as caught:
            import_tables(tmp_path / name)
        assert caught.value.hint
        return caught.value.message

    assert refused("a.xlsx", b"no workbook") == "not a workbook"
    assert "password" in refused("b.xlsx", bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 99)
    assert "unknown kind" in refused("c.pdf", b"%PDF")
    assert "not a CSV table" in refused("d.csv", b'a,"' + b"x" * 200_000)
    with zipfile.ZipFile(tmp_path / "e.xlsx", "w") as packed:
        packed.writestr("[Content_Types].xml", "<x/>")
    with pytest.raises(PackError, match="the workbook is damaged"):
        import_tables(tmp_path / "e.xlsx")
    with (tmp_path / "huge.csv").open("wb") as huge:
        huge.truncate(100 << 20)
    with pytest.raises(PackError, match="the file has 100 MB"):
        import_tables(tmp_path / "huge.csv")
    with pytest.raises(PackError, match="no such file"):
        import_tables(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PackError, match="holds no table"):
        import_tables(tmp_path / "empty")


def test_the_command_tells_what_is_lost(tmp_path: Path) -> None:
    sheets = change("ADRG", [*SHEETS["ADRG"], *(("?", "x", "I63.900") for _ in range(12))])
    source = book(tmp_path / "city.xlsx", sheets)
    words = ["import", "tables", str(source), "--out", str(tmp_path / "pack"), "--id", "mine"]
    done = CliRunner().invoke(scheme_app, words)
    assert isinstance(done.exception, GrouperError)
    assert "12 rows or cells" in str(done.exception)
    assert "mine: 5 DRGs" in done.output
    assert "not read: and 2 more [lost] (all with --all)" in done.output
    assert read_pack(tmp_path / "pack").id == "mine"
