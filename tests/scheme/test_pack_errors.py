"""One broken pack per thing the format forbids: the error names the place and what to do."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import NamedTuple

import pytest

from grouper.cases import Kind
from grouper.errors import PackError
from grouper.grouping import columns_for
from grouper.scheme import compile as compiler
from grouper.scheme import from_pack, identity, layers, load_scheme, overlay, pack, rules, tables
from grouper.scheme import groups as groups_file
from grouper.scheme.pack import read_pack
from tests.scheme import builder
from tests.scheme.builder import SMALL, TOML


class Fault(NamedTuple):
    name: str
    file: str
    content: str | bytes
    line: int
    message: str
    hint: str
    rule: str = ""


def toml(name: str, text: str, line: int, message: str, hint: str) -> Fault:
    return Fault(name, "scheme.toml", text, line, message, hint)


def groups(name: str, old: str, new: str, line: int, message: str, hint: str, rule: str) -> Fault:
    """The small pack's decision list with one text replaced."""
    assert SMALL["groups.csv"].count(old) == 1, old
    text = SMALL["groups.csv"].replace(old, new)
    return Fault(name, "groups.csv", text, line, message, hint, rule)


def rule(
    name: str, text: str, column: int, message: str, hint: str = "docs/scheme-packs.md"
) -> Fault:
    """The small pack with another rule for BR25 in line 5."""
    quoted = text.replace('"', '""')
    told = f"the rule of BR25 cannot be read at column {column}: {message}"
    return groups(name, "not mcc", f'"{quoted}"', 5, told, hint, text)


def row(file: str, name: str, added: str, message: str, hint: str) -> Fault:
    """The small pack with one more row at the end of a file."""
    text = SMALL[file] + added + "\n"
    return Fault(name, file, text, text.count("\n"), message, hint)


FAULTS = (
    toml("toml syntax", 'id = "x"\nretry', 2, "not TOML", "key = "),
    toml("no id", "retry_other_procedures = true", 0, "the key id is missing", "add id ="),
    toml("no switch", 'id = "x"', 0, "retry_other_procedures is missing", "true or false"),
    toml("id a number", "\nid = 5\n", 2, "id must be a name in quotes", "write id ="),
    toml("id blank", 'id = " "\nretry_other_procedures = true', 1, "id is empty", "a name"),
    toml("switch a text", 'id = "x"\nretry_other_procedures = "no"', 2, "must be true or", "write"),
    toml("title a list", TOML + "title = []", 3, "title must be a text in quotes", "write title"),
    toml("date a number", TOML + "valid_from = 2024", 3, "valid_from must be a date", "write"),
    toml("date a text", TOML + 'valid_to = "May"', 3, "must be a date such as", "without a time"),
    toml("date and time", TOML + "valid_to = 2024-01-01T00:00:00", 3, "must be a date", "without"),
    toml(
        "dates reversed",
        TOML + "valid_from = 2024-01-01\nvalid_to = 2023-12-31",
        4,
        "valid_to lies before valid_from",
        "both days belong",
    ),
    toml("attributes a text", TOML + 'attributes = "beds"', 3, "attributes must be a table", "="),
    toml("attribute a keyword", TOML + '[attributes]\npdx = "x"', 4, "'pdx' cannot be", "a letter"),
    toml("attribute a list", TOML + '[attributes]\ndx = "x"', 4, "'dx' cannot be", "a letter"),
    toml("attribute misspelt", TOML + '[attributes]\n"1x" = ""', 4, "'1x' cannot be", "a letter"),
    toml("attribute bare", TOML + "[attributes]\nbeds = 1", 4, "a description", 'beds = "what'),
    Fault("empty file", "dx.csv", "", 0, "the file is empty", "its first line is code,name"),
    Fault("no column", "sets.csv", "set,kode\n", 1, "the header lacks code", "set,code"),
    Fault(
        "column twice", "dx.csv", "code,name,code\n", 1, "stands twice in the header", "code,name"
    ),
    Fault("cells", "dx.csv", "code,name\nA,a,b\n", 2, "3 cells where the header has 2", "quotes"),
    Fault("quotes", "dx.csv", 'code,name\nA,"a"b\n', 2, "not a CSV table", "doubled"),
    Fault("open quote", "dx.csv", 'code,name\nA,"a\nB,b\n', 3, "not a CSV table", "doubled"),
    Fault("one long cell", "dx.csv", "code,name\nA," + "a" * 200_000, 2, "field larger", "UTF-8"),
    Fault("not UTF-8", "px.csv", "code,name\n1,开颅\n".encode("gb18030"), 2, "not UTF-8", "UTF-8"),
    Fault("no groups", "groups.csv", "level,node,code,name,when\n", 0, "no mdc row", "one MDC"),
    groups("level", "mdc,B,", "chapter,B,", 2, "unknown level 'chapter'", "mdc, adrg or drg", ""),
    groups("no node", "mdc,B,B", "mdc,,B", 2, "node and code may not be empty", "reported", ""),
    groups("no code", "mdc,B,B", "mdc,B,", 2, "node and code may not be empty", "reported", ""),
    groups(
        "adrg before mdc",
        "mdc,B,B,nervous system,pdx in B.dx\n",
        "",
        2,
        "the ADRG BR2 stands before any mdc row",
        "list an MDC",
        "",
    ),
    groups(
        "drg before adrg",
        "adrg,BR2,BR2,stroke,pdx in BR2.dx\n",
        "",
        3,
        "the DRG BR21 stands under no adrg row",
        "list an MDC",
        "",
    ),
    groups(
        "mdc twice",
        "adrg,BQY,BQY,ambiguous,any_px in or_px\n",
        "mdc,B,B,again,true\n",
        6,
        "the mdc node B stands already in line 2",
        "its own name",
        "true",
    ),
    groups(
        "adrg twice",
        "adrg,BQY,BQY,ambiguous",
        "adrg,BR2,BR2,again",
        6,
        "the adrg node BR2 stands already in line 3",
        "its own name",
        "any_px in or_px",
    ),
    groups(
        "drg twice",
        "drg,BR25,BR25",
        "drg,BR21,BR21",
        5,
        "the DRG BR21 stands twice under the node BR2 (first in line 4)",
        "'or'",
        "not mcc",
    ),
    groups(
        "drg node not its code",
        "drg,BR25,BR25",
        "drg,BR25_1,BR25",
        5,
        "the node BR25_1 of a drg row must equal its code BR25",
        "both columns",
        "not mcc",
    ),
    groups(
        "drg of another mdc",
        "drg,BR25,BR25",
        "drg,CR25,CR25",
        5,
        "the first letter of the DRG CR25 is not its MDC B",
        "begins with B",
        "not mcc",
    ),
    groups("no set", "not mcc", "ppx in X.px", 5, "the set X.px", "sets.csv", "ppx in X.px"),
    groups(
        "no set counted",
        "not mcc",
        "count(px in X) > 1",
        5,
        "cannot be read",
        "",
        "count(px in X) > 1",
    ),
    groups(
        "no family",
        "not mcc",
        "sites(Y) >= 2",
        5,
        "the site family Y",
        "sites.csv",
        "sites(Y) >= 2",
    ),
    rule("empty rule", " ", 1, "an empty rule", "docs/scheme-packs.md"),
    rule("unknown name", "beds > 3", 1, "unknown name 'beds'", "[attributes]"),
    rule("unknown sign", "age > 3 & mcc", 9, "unexpected character '&'"),
    rule("open text", 'dept == "ICU', 9, "a string without its closing quote"),
    rule("dept without text", "dept == ICU", 9, "expected a department in double quotes"),
    rule("dept unequal", 'dept != "ICU"', 6, "expected '==' after dept"),
    rule("no comparison", "age 3", 5, "expected a comparison"),
    rule("no integer", "age > mcc", 7, "expected an integer, found 'mcc'"),
    rule("fraction", "age > 1.5", 8, "unexpected character '.'"),
    rule("large integer", "age > 9999999999", 7, "9999999999 lies outside"),
    rule("endless integer", f"age > {'9' * 5000}", 7, "9999"),
    rule("no in", "pdx B.dx", 5, "expected 'in', found 'B.dx'"),
    rule("no set name", "pdx in 5", 8, "expected the name of a set, found '5'"),
    rule("nothing after and", "mcc and", 8, "expected a condition, found the end of the rule"),
    rule("two atoms", "mcc cc", 5, "expected 'and', 'or' or the end of the rule, found 'cc'"),
    rule("open bracket", "(mcc or cc", 11, "expected ')', found the end of the rule"),
    rule("closing bracket", "mcc)", 4, "expected 'and', 'or' or the end of the rule, found ')'"),
    rule("sites bare", "sites > 2", 7, "expected '(' after sites"),
    rule("sites without family", "sites() > 2", 7, "expected the name of a site family"),
    rule("sites open", "sites(Z > 2", 9, "expected ')', found '>'"),
    rule("count bare", "count > 2", 7, "expected '(' after count"),
    rule("count of nothing", "count(B.dx) > 2", 7, "expected a list (pdx"),
    rule("count open", "count(any_dx in B.dx > 2", 22, "expected ')', found '>'"),
    rule("discharge bare", "discharge == 5", 11, "expected 'in' after discharge"),
    rule("discharge without bracket", "discharge in 5", 14, "expected '(', found '5'"),
    rule("discharge empty", "discharge in ()", 15, "expected an integer, found ')'"),
    rule("discharge open", "discharge in (5 6)", 17, "expected ')' or ',', found '6'"),
    rule("nested", "(" * 101 + "mcc" + ")" * 101, 101, "nested more than 100 deep"),
    rule("negated", "not " * 101 + "mcc", 401, "nested more than 100 deep"),
    row("sets.csv", "set misspelt", "1x,A", "'1x' cannot be the name of a set", "a letter or _"),
    row("sets.csv", "set without code", "X.dx,", "X.dx has a row without a code", "drop the line"),
    row(
        "sites.csv",
        "family misspelt",
        "a-b,arm,A",
        "'a-b' cannot be the name of a family",
        "a letter",
    ),
    row("sites.csv", "site empty", "Z,,A", "site is empty", "drop the line"),
    row("sites.csv", "site without code", "Z,arm, ", "code is empty", "drop the line"),
    row("sites.csv", "site twice", "Z,leg,S01%", "S01% stands twice in the family Z", "one site"),
    row("severity.csv", "severity level", "A,HCC,", "unknown level 'HCC'", "MCC or CC"),
    row(
        "severity.csv", "severity twice", "I10%,CC,x", "I10% stands twice with level CC", "one excl"
    ),
    row("severity.csv", "severity without code", ",CC,", "code is empty", "drop the line"),
    row(
        "exclusions.csv",
        "exclusion twice",
        "J44.000,x",
        "J44.000 stands twice",
        "one exclusion list",
    ),
    row("exclusions.csv", "exclusion without pdx", ",x", "pdx is empty", "drop the line"),
    row("dx.csv", "dx without code", ",x", "code is empty", "drop the line"),
    row("px.csv", "px without code", ",x", "code is empty", "drop the line"),
    row("dx_map.csv", "map without from", ",x", "from is empty", "drop the line"),
    row("px_map.csv", "map without to", "x,", "to is empty", "drop the line"),
    row("weights.csv", "weight twice", "BR25,1,,", "the DRG BR25 stands twice", "one weight"),
    row(
        "weights.csv",
        "weight with comma",
        '"B1","1,5",,',
        "'1,5' of B1 is not a plain decimal",
        "1.2345",
    ),
    row("weights.csv", "weight negative", "B1,-1,,", "'-1' of B1 is not a plain decimal", "1.2345"),
    row("weights.csv", "weight power", "B1,1e5,,", "'1e5' of B1 is not a plain decimal", "1.2345"),
    row("weights.csv", "weight endless", f"B1,{'9' * 5000},,", "is not a plain decimal", "1.2345"),
    row("weights.csv", "basic", "B1,1,yes,", "basic of B1 is 'yes'", "1, 0 or empty"),
    row("weights.csv", "stable", "B1,1,,2", "stable of B1 is '2'", "1, 0 or empty"),
    row("weights.csv", "weight without drg", ",1,,", "drg is empty", "drop the line"),
)


@pytest.mark.parametrize("fault", FAULTS, ids=[f.name for f in FAULTS])
def test_fault_is_named(fault: Fault) -> None:
    with pytest.raises(PackError) as caught:
        builder.pack({fault.file: fault.content})
    error = caught.value
    assert (error.file, error.line, error.rule) == (fault.file, fault.line, fault.rule)
    assert fault.message in error.message
    assert error.hint
    assert fault.hint in error.hint
    assert error.where() in str(error)
    assert error.rule in str(error)


def test_small_pack_is_valid() -> None:
    assert [drg.code for _, _, drg in builder.pack().drg_rows()] == ["BR21", "BR25", "BQY"]
    assert builder.pack({"weights.csv": None}).weights == {}


def test_a_byte_order_mark_is_no_part_of_the_header() -> None:
    assert builder.pack({"dx.csv": "\ufeffcode,name\nA,a\n"}).dx == {"A": "a"}


def test_line_ends_and_empty_lines_do_not_matter() -> None:
    text = SMALL["groups.csv"].replace("\n", "\r\n\r\n")
    assert builder.pack({"groups.csv": text}).mdcs[0].adrgs[0].drgs[1].line == 9


@pytest.mark.parametrize("name", rules.NUMBERS)
def test_a_number_may_be_declared_once_more(name: str) -> None:
    text = TOML + f'[attributes]\n{name} = "declared"'
    changes = {
        "scheme.toml": text,
        "groups.csv": SMALL["groups.csv"].replace("not mcc", f"{name} > 1"),
    }
    assert name in from_pack(builder.pack(changes)).compiled.numbers


@pytest.mark.parametrize("name", ["vent_hours", "total_cost", "tcm_flag", "beds"])
def test_an_attribute_is_an_integer_column(name: str) -> None:
    text = TOML + f'[attributes]\n{name} = "declared"'
    when = SMALL["groups.csv"].replace("not mcc", f"{name} > 1")
    scheme = from_pack(builder.pack({"scheme.toml": text, "groups.csv": when}))
    kinds = {column.name: column.kind for column in columns_for(scheme)}
    assert kinds[name] is Kind.INTEGER


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(PackError) as caught:
        read_pack(tmp_path / "absent")
    assert "is not a folder" in caught.value.message
    assert "scheme.toml" in caught.value.hint


def test_a_folder_that_is_no_pack(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("case_id,dx\n")
    with pytest.raises(PackError, match="is no scheme pack") as caught:
        read_pack(tmp_path)
    assert all(word in caught.value.hint for word in ("groups.csv", "scheme import", "chs-core"))
    (tmp_path / "2024").mkdir()
    (tmp_path / "2024" / "scheme.toml").write_text("")
    with pytest.raises(PackError, match="but a folder of packs") as caught:
        read_pack(tmp_path)
    assert str(tmp_path / "2024") in caught.value.hint


def test_no_such_pack() -> None:
    with pytest.raises(PackError, match="no scheme pack 'nowhere'") as caught:
        load_scheme("nowhere")
    assert "chs-core" in caught.value.hint


@pytest.mark.parametrize("name", [n for n in pack.FILES if n not in pack.OPTIONAL_FILES])
def test_missing_file(tmp_path: Path, name: str) -> None:
    builder.write(tmp_path, {name: None})
    with pytest.raises(PackError) as caught:
        load_scheme(tmp_path)
    assert caught.value.file == name
    assert "add it" in caught.value.hint


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    builder.write(tmp_path, {"dx.csv": None})
    (tmp_path / "dx.csv").mkdir()
    with pytest.raises(PackError, match="cannot be read") as caught:
        load_scheme(tmp_path)
    assert caught.value.file == "dx.csv"
    assert str(tmp_path / "dx.csv") in caught.value.hint


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    builder.write(tmp_path)
    with (tmp_path / "sets.csv").open("r+b") as file:
        file.truncate(100 * 2**20)
    with pytest.raises(PackError, match="larger than 64 MiB") as caught:
        read_pack(tmp_path)
    assert caught.value.file == "sets.csv"


def test_garbage_is_told_quickly() -> None:
    for data in (b"\0" * 2**20, b"\xff" * 2**20, b"," * 2**20, b'"' * 2**20, b"a\n" * 2**20):
        for name in pack.FILES:
            with pytest.raises(PackError):
                builder.pack({name: data})


def test_too_many_exclusion_lists() -> None:
    rows = "".join(f"A{n},CC,{n}\n" for n in range(0xFFFE))
    with pytest.raises(PackError, match="65535 exclusion lists, more than") as caught:
        compiler.compile_pack(builder.pack({"severity.csv": "code,level,exclusion\n" + rows}))
    assert "join lists" in caught.value.hint


def test_every_error_says_what_to_do() -> None:
    """A PackError without a hint leaves the user alone with it."""
    for module in (pack, compiler, groups_file, identity, layers, overlay, tables):
        for call in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "PackError":
                assert "hint" in {k.arg for k in call.keywords}, f"{module.__name__}:{call.lineno}"
