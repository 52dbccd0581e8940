"""Import of OpenDRG's form: every kind of rule, and what cannot be read."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from grouper.cli import scheme as scheme_commands
from grouper.errors import GrouperError, OutputError, PackError
from grouper.scheme.import_opendrg import Imported, import_variant, variants, write_variant
from grouper.scheme.import_python import Scope, Sets
from grouper.scheme.import_terms import Unreadable
from grouper.scheme.model import Pack
from grouper.scheme.pack import read_pack
from tests.scheme import checkout


def imported(folder: Path, changes: dict[str, str | None] | None = None) -> tuple[Imported, Pack]:
    found = import_variant(checkout.write(folder / "checkout", changes), "tiny")
    write_variant(found, folder / "pack")
    return found, read_pack(folder / "pack")


def faults(found: Imported) -> list[str]:
    return [str(unread) for unread in found.unread]


def test_rules(tmp_path: Path) -> None:
    found, pack = imported(tmp_path)
    rows = [(type(n).__name__.lower(), n.node, n.code, n.text) for n in pack.nodes()]
    assert rows == checkout.RULES
    assert faults(found) == ["tiny/ADRG/BJ1.py: the file is missing; BJ1_1 stand in its place"]
    assert not any(unread.lost for unread in found.unread)


def test_sets(tmp_path: Path) -> None:
    _, pack = imported(tmp_path)
    assert pack.sets["or_px"] == ("01.2", "02.2", "31.1")
    assert pack.sets["MDCZ.dx"] == ("S01", "S02", "S81")
    assert pack.sets["MDCA.lit"] == ("99.1",)
    assert (pack.sets["AH13.lit"], pack.sets["AH13.lit2"]) == (("39.6",), ("39.9",))
    assert [pack.sets[f"BB1.px{n}"] for n in (1, 2, 3)] == [("85.1",), ("85.2",), ("85.3",)]
    assert pack.sites == {"MDCZ": {"S01": "下肢创伤", "S02": "头部创伤", "S81": "下肢创伤"}}


def test_tables(tmp_path: Path) -> None:
    _, pack = imported(tmp_path)
    assert pack.severity == {"MCC": {"J96": "lung", "I21": ""}, "CC": {"E11": "sugar", "I10": ""}}
    assert pack.exclusions == {"I63": "sugar", "J44": "lung"}
    assert pack.dx == {"I63": "stroke", "I64": "stroke, unspecified"}
    assert pack.dx_map == {"OLD": "I63", "GONE": "-"}
    assert pack.px_map == {}
    assert (pack.id, pack.retry_other_procedures) == ("tiny", True)
    assert pack.mdcs[0].adrgs[0].name == "ventilation"
    names = {drg.code: drg.name for _, _, drg in pack.drg_rows()}
    assert (names["BR21"], names["BR23"]) == ("stroke", "")
    assert all(mdc.name for mdc in pack.mdcs)


def test_no_second_try(tmp_path: Path) -> None:
    _, pack = imported(tmp_path, {"Grouper_tiny.py": "class Grouper_tiny: pass"})
    assert not pack.retry_other_procedures


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("ADRG/BR2.py", "def group(record)\n", "tiny/ADRG/BR2.py:1: not Python"),
        ("ADRG/BR2.py", "x = 1\n", "tiny/ADRG/BR2.py: no function group"),
        ("ADRG/BR2.py", None, "tiny/ADRG/BR2.py: the file is missing"),
        (
            "ADRG/BR2.py",
            "def group(record):\n  if record.mood > 3:\n    return 'BR21'\n",
            "tiny/ADRG/BR2.py:2: cannot read record.mood > 3",
        ),
        (
            "ADRG/BR2.py",
            "def group(record):\n  if record.zdList[0] in codes:\n    return 'BR21'\n",
            "tiny/ADRG/BR2.py:2: unknown list codes",
        ),
        (
            "ADRG/BR2.py",
            "def group(record):\n  if record.ssList:\n    return 'BR21'\n",
            "tiny/ADRG/BR2.py:2: the rule language cannot ask",
        ),
        (
            "ADRG/BR2.py",
            "def group(record):\n  while True:\n    pass\n",
            "tiny/ADRG/BR2.py:2: cannot read while True",
        ),
        (
            "MDC/MDCB.py",
            "def group(record):\n  if not (record.mood):\n    return ''\n",
            "tiny/MDC/MDCB.py:2: cannot read record.mood",
        ),
        ("DRG/MDCP_DRG.py", "", "tiny/ADRG/PS1.py:6: MDCP_DRG has no function PS19_group"),
        (
            "DRG/MDCP_DRG.py",
            "def PS19_group(record):\n  return open('x')\n",
            "tiny/DRG/MDCP_DRG.py:2: cannot read open('x')",
        ),
    ],
)
def test_what_cannot_be_read_is_told(
    tmp_path: Path, name: str, text: str | None, expected: str
) -> None:
    found, pack = imported(tmp_path, {name: text})
    told = [f for f in faults(found) if f.startswith(expected)]
    assert told, faults(found)
    assert any(unread.lost for unread in found.unread)
    assert "AH1" in {n.node for n in pack.nodes()}


def test_nothing_is_executed(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    text = f"open({str(mark)!r}, 'w')\n" + checkout.FILES["ADRG/BR2.py"]
    imported(tmp_path, {"ADRG/BR2.py": text, "Base.py": text})
    assert not mark.exists()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("record.zdList[0] in a", "pdx in N.a"),
        ("record.zdList[0] not in a", "not pdx in N.a"),
        ("not record.zdList[0] in a", "not pdx in N.a"),
        ("record.zdList[0] in none", "not true"),
        ("intersect(a, record.zdList[1:])", "other_dx in N.a"),
        ("record.ssList and intersect(record.ssList[:1], a)", "ppx in N.a"),
        ("not record.ssList or not (record.ssList[0] in SS_VALID)", "not ppx in or_px"),
        ("not record.ssList or record.ssList[0] not in SS_VALID", "not ppx in or_px"),
        ("True and (False or record.age > 3)", "age > 3"),
        ("17 >= record.age", "age <= 17"),
        ("float(record.weight) >= 2500.0", "weight >= 2500"),
        ("record.gender in ['1', 2]", "sex == 1 or sex == 2"),
        ("record.leavingType == '5'", "discharge in (5)"),
        ("record.leavingType not in [4, 5]", "not discharge in (4, 5)"),
        ("record.dept in ['a', 'b']", 'dept == "a" or dept == "b"'),
        ("record.dept != 'a'", 'not dept == "a"'),
        ("record.ageDay is not None and record.ageDay < 29", "age_days < 29"),
        ("record.ageDay == None or 3 < record.age", "not age_days >= -2147483646 or age > 3"),
        ("len(record.zdList) >= 2 and has_cc(record.zdList[0], record.zdList[1:])", "cc"),
        ("len(record.zdList) > 0 and has_mcc(record.zdList[0], record.zdList[1:])", "mcc"),
        ("record.ssList and record.ssList[0] in a and record.age > -1", "ppx in N.a and age > -1"),
    ],
)  # fmt: skip
def test_conditions(text: str, rule: str) -> None:
    scope = Scope("N", Sets(), {"a": ("N.a", ["A", "B", "A"]), "none": ("N.none", [])})
    assert str(scope.rule(ast.parse(text, mode="eval").body)) == rule


@pytest.mark.parametrize(
    "text",
    [
        "record.zdList[3] in a",
        "record.zdList",
        "record.ssList",
        "not record.ssList",
        "record.leavingType > 3",
        "record.leavingType != None",
        "len(record.zdList) == 3",
        "record.age > x",
        "record.age > 1.5",
        "lambda: 1",
        "__import__('os').system('true')",
        "'x' in labels",
    ],
)
def test_unknown_conditions(text: str) -> None:
    with pytest.raises(Unreadable):
        Scope("N", Sets(), {"a": ("N.a", ["A"])}).rule(ast.parse(text, mode="eval").body)


def test_a_byte_order_mark_hides_a_code_as_in_the_original(tmp_path: Path) -> None:
    found, pack = imported(tmp_path, {"DATA/MCC.dat": "\ufeffJ96 lung\nI21 x\n"})
    assert pack.severity["MCC"] == {"I21": "x"}
    assert "tiny/DATA/MCC.dat:1: a byte order mark hides the code J96" in faults(found)[-1]
    assert not found.unread[-1].lost


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="is no checkout of OpenDRG") as caught:
        variants(tmp_path)
    assert caught.value.hint
    checkout.write(tmp_path)
    assert list(variants(tmp_path)) == list(variants(tmp_path / "drg_group")) == ["tiny"]
    with pytest.raises(PackError, match="no variant 'huge'") as caught:
        import_variant(tmp_path, "huge")
    assert "tiny" in caught.value.hint


def test_a_grouper_of_another_form(tmp_path: Path) -> None:
    checkout.write(tmp_path, {"Grouper.py": "\0"})
    with pytest.raises(PackError, match="no MDC of tiny could be read") as caught:
        import_variant(tmp_path, "tiny")
    assert "not Python" in caught.value.hint


def test_a_missing_table(tmp_path: Path) -> None:
    checkout.write(tmp_path, {"DATA/CCE.dat": None})
    with pytest.raises(PackError, match="cannot be read") as caught:
        import_variant(tmp_path, "tiny")
    assert caught.value.file == "tiny/DATA/CCE.dat"


@pytest.fixture(scope="module")
def command() -> Any:
    return lambda *words: CliRunner().invoke(
        scheme_commands.scheme_app, ["import", *map(str, words)]
    )


def test_command(command: Any, tmp_path: Path) -> None:
    folder = checkout.write(tmp_path / "checkout")
    done = command("opendrg", folder, "--variant", "tiny", "--out", tmp_path / "pack")
    assert done.exit_code == 0, done.output
    assert "tiny: 16 DRGs" in done.output
    assert "note: tiny/ADRG/BJ1.py" in done.output
    assert command("opendrg", folder, "--all", "--out", tmp_path / "all").exit_code == 0
    assert (tmp_path / "all" / "tiny" / "groups.csv").is_file()
    assert command("opendrg", folder, "--out", tmp_path / "x").exit_code == 2
    checkout.write(folder, {"ADRG/BR2.py": "x = 1"})
    taken = command("opendrg", folder, "--all", "--out", tmp_path / "all")
    assert isinstance(taken.exception, OutputError)
    done = command("opendrg", folder, "--all", "--out", tmp_path / "lossy")
    assert isinstance(done.exception, GrouperError)
    assert "not read: tiny/ADRG/BR2.py" in done.output
