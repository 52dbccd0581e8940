"""Overlays: a short pack that says how it differs from another."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from grouper.errors import PackError
from grouper.scheme import load_scheme
from grouper.scheme.model import Pack
from grouper.scheme.pack import read_pack
from tests.scheme import builder

TOML = 'id = "city"\nextends = "../small"\n'


def overlay(folder: Path, **files: str) -> Path:
    """A pack `city` in `folder` that extends the small pack beside it."""
    builder.write(folder / "small")
    city = folder / "city"
    city.mkdir(exist_ok=True)
    for name, text in {"toml": TOML, **files}.items():
        (city / ("scheme.toml" if name == "toml" else f"{name}.csv")).write_text(text, "utf-8")
    return city


def groups(*rows: str) -> str:
    return "\n".join(["change,place,level,node,code,name,when", *rows]) + "\n"


def drgs(pack: Pack) -> list[str]:
    return [f"{adrg.node}:{drg.code}" for _, adrg, drg in pack.drg_rows()]


def fault(folder: Path, **files: str) -> PackError:
    with pytest.raises(PackError) as caught:
        read_pack(overlay(folder, **files))
    assert caught.value.hint
    return caught.value


def test_an_empty_overlay_is_the_pack_it_extends(tmp_path: Path) -> None:
    city, small = read_pack(overlay(tmp_path)), read_pack(tmp_path / "small")
    assert (city.id, city.base) == ("city", "small")
    assert city.mdcs == small.mdcs
    for name in ("sets", "sites", "severity", "exclusions", "dx", "px", "dx_map", "weights"):
        assert getattr(city, name) == getattr(small, name)
    assert city.digest != small.digest


def test_identity_and_switches(tmp_path: Path) -> None:
    text = TOML + 'title = "City"\nvalid_from = 2024-01-01\nretry_other_procedures = true\n'
    city = read_pack(overlay(tmp_path, toml=text + '[attributes]\nbeds = "beds"\n'))
    assert (city.title, city.retry_other_procedures) == ("City", True)
    assert city.attributes == {"beds": "beds"}
    assert not read_pack(overlay(tmp_path)).retry_other_procedures


def test_a_cell_is_changed_and_empty_ones_stay(tmp_path: Path) -> None:
    city = read_pack(
        overlay(tmp_path, groups=groups(",,adrg,BR2,,brain stroke,", ",,mdc,B,,,true"))
    )
    adrg = city.mdcs[0].adrgs[0]
    assert (adrg.name, adrg.code, adrg.text, adrg.line) == (
        "brain stroke",
        "BR2",
        "pdx in BR2.dx",
        2,
    )
    assert city.mdcs[0].text == "true"
    assert drgs(city) == ["BR2:BR21", "BR2:BR25", "BQY:BQY"]


def test_alternatives_are_restated_together(tmp_path: Path) -> None:
    rows = (",,adrg,BR2,,,", ",,drg,BR21,BR21,,mcc", ",,drg,BR23,BR23,,cc", ",,drg,BR25,BR25,,true")
    assert drgs(read_pack(overlay(tmp_path, groups=groups(*rows)))) == [
        "BR2:BR21", "BR2:BR23", "BR2:BR25", "BQY:BQY",
    ]  # fmt: skip


def test_one_alternative_is_dropped(tmp_path: Path) -> None:
    rows = (",,adrg,BR2,,,", "drop,,drg,BR21,BR21,,")
    assert drgs(read_pack(overlay(tmp_path, groups=groups(*rows)))) == ["BR2:BR25", "BQY:BQY"]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("first", ["BA1", "BR2", "BQY"]),
        ("last", ["BR2", "BQY", "BA1"]),
        ("before BQY", ["BR2", "BA1", "BQY"]),
        ("after BR2", ["BR2", "BA1", "BQY"]),
    ],
)
def test_a_node_is_added_at_its_place(tmp_path: Path, place: str, expected: list[str]) -> None:
    rows = (",,mdc,B,,,", f",{place},adrg,BA1,BA1,new,true", ",,drg,BA19,BA19,new,true")
    city = read_pack(overlay(tmp_path, groups=groups(*rows)))
    assert [adrg.node for adrg in city.mdcs[0].adrgs] == expected
    assert "BA1:BA19" in drgs(city)


def test_nodes_are_moved_and_dropped(tmp_path: Path) -> None:
    city = read_pack(overlay(tmp_path, groups=groups(",first,adrg,BQY,,,", "drop,,adrg,BR2,,,")))
    assert drgs(city) == ["BQY:BQY"]
    rows = (",before B,mdc,A,A,,true", ",first,adrg,AA1,AA1,,true", ",,drg,AA19,AA19,,true")
    assert drgs(read_pack(overlay(tmp_path, groups=groups(*rows))))[0] == "AA1:AA19"
    rows = (*rows, "drop,,mdc,B,,,")
    assert drgs(read_pack(overlay(tmp_path, groups=groups(*rows)))) == ["AA1:AA19"]


def test_sets(tmp_path: Path) -> None:
    rows = ",B.dx,H%", "drop,B.dx,G%", "replace,BR2.dx,I60%", "replace,BR2.dx,I61%", "drop,or_px,*"
    text = "\n".join(("change,set,code", *rows, ",or_px,02.1%"))
    city = read_pack(overlay(tmp_path, sets=text))
    assert city.sets == {"B.dx": ("I63%", "H%"), "BR2.dx": ("I60%", "I61%"), "or_px": ("02.1%",)}


def test_keyed_files(tmp_path: Path) -> None:
    city = read_pack(
        overlay(
            tmp_path,
            severity="change,code,level,exclusion\n,J96.000,MCC,other\ndrop,I10%,CC,\n,E11%,CC,x\n",
            exclusions="change,pdx,exclusion\n,J44.000,other\n",
            sites="family,site,code\nZ,arm,S81%\n",
            weights="drg,weight,basic,stable\nBR21,1.75,,\n",
            dx="code,name\nI63.900,stroke\n",
        )
    )
    assert city.severity == {"MCC": {"J96.000": "other"}, "CC": {"E11%": "x"}}
    assert city.exclusions == {"J44.000": "other"}
    assert city.sites["Z"] == {"S01%": "head", "S81%": "arm"}
    assert city.weights["BR21"].weight == Fraction(7, 4)
    assert set(city.weights) == {"BR21", "BR25"}
    assert city.dx == {"I63.900": "stroke"}


def test_a_whole_file_is_replaced(tmp_path: Path) -> None:
    text = TOML + 'replace = ["weights.csv", "severity.csv"]\n'
    city = read_pack(overlay(tmp_path, toml=text, weights="drg,weight,basic,stable\nBR25,1,,\n"))
    assert set(city.weights) == {"BR25"}
    assert city.severity == {"MCC": {}, "CC": {}}


def test_overlays_stand_on_overlays(tmp_path: Path) -> None:
    overlay(tmp_path, weights="drg,weight,basic,stable\nBR21,3,,\n")
    county = tmp_path / "county"
    county.mkdir()
    (county / "scheme.toml").write_text('id = "county"\nextends = "../city"\n')
    (county / "weights.csv").write_text("change,drg,weight,basic,stable\ndrop,BR25,,,\n")
    pack = read_pack(county)
    assert {k: w.weight for k, w in pack.weights.items()} == {"BR21": 3}
    assert pack.base == "city"


def test_a_builtin_pack_is_extended_by_name(tmp_path: Path) -> None:
    (tmp_path / "scheme.toml").write_text('id = "mine"\nextends = "chs-core"\n')
    assert load_scheme(tmp_path).drgs == load_scheme("chs-core").drgs


def test_a_change_below_is_seen(tmp_path: Path) -> None:
    city = overlay(tmp_path)
    before = load_scheme(city)
    builder.write(tmp_path / "small", {"weights.csv": "drg,weight,basic,stable\nBR21,9,,\n"})
    after = load_scheme(city)
    assert before.digest != after.digest
    assert after.weights["BR21"].weight == 9


def test_cycles(tmp_path: Path) -> None:
    overlay(tmp_path)
    (tmp_path / "small" / "scheme.toml").write_text('id = "small"\nextends = "../city"\n')
    with pytest.raises(PackError, match="extends itself: city → small → city") as caught:
        read_pack(tmp_path / "city")
    assert caught.value.file == "small/scheme.toml"
    assert caught.value.hint


def test_faults_below_name_the_extended_pack(tmp_path: Path) -> None:
    overlay(tmp_path)
    builder.write(tmp_path / "small", {"weights.csv": "drg,weight,basic,stable\nBR21,x,,\n"})
    with pytest.raises(PackError) as caught:
        read_pack(tmp_path / "city")
    assert caught.value.where() == "small/weights.csv:2"


GROUP_FAULTS = {
    ",,mdc,C,C,,true": (2, "the new node C needs a place"),
    ",,adrg,BA1,BA1,,true": (2, "the new ADRG node BA1 stands under no mdc row"),
    ",,drg,BA19,BA19,,true": (2, "the DRG BA19 stands under no adrg row"),
    "remove,,adrg,BR2,,,": (2, "unknown change 'remove'"),
    "drop,,adrg,BA1,,,": (2, "no adrg node BA1 to drop"),
    "drop,,mdc,C,,,": (2, "no mdc node C to drop"),
    ",beside BR2,adrg,BQY,,,": (2, "'beside BR2' is no place"),
    ",before BA1,adrg,BR2,,,": (2, "no adrg node BA1 beside BR2"),
    ",,chapter,B,,,": (2, "unknown level 'chapter'"),
    ",,adrg,BR2,,,mcc and": (2, "cannot be read at column 8"),
    ",,adrg,BR2,,,ppx in none": (2, "the set none"),
}


@pytest.mark.parametrize("row", GROUP_FAULTS)
def test_faults_of_groups(tmp_path: Path, row: str) -> None:
    line, message = GROUP_FAULTS[row]
    error = fault(tmp_path, groups=groups(row))
    assert error.where() == f"groups.csv:{line}"
    assert message in error.message


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("sets", "change,set,code\ndrop,B.dx,X\n", "no B.dx X to drop"),
        ("sets", "change,set,code\ndrop,none,*\n", "no none * to drop"),
        ("sets", "change,set,code\nnew,B.dx,X\n", "unknown change 'new'"),
        ("weights", "change,drg,weight,basic,stable\ndrop,BX,,,\n", "no BX to drop"),
        ("weights", "drg,weight,basic,stable\nBR21,x,,\n", "not a plain decimal"),
        ("dx", "code,name\nI63.900,a\n", ""),
        ("dx", "code\nA\n", "the header lacks name"),
    ],
)
def test_faults_of_files(tmp_path: Path, file: str, text: str, message: str) -> None:
    if not message:
        read_pack(overlay(tmp_path, **{file: text}))
        return
    error = fault(tmp_path, **{file: text})
    assert error.file == f"{file}.csv"
    assert error.line > 0
    assert message in error.message


def test_twice_in_one_overlay(tmp_path: Path) -> None:
    error = fault(tmp_path, dx="code,name\nA,a\nA,b\n")
    assert error.where() == "dx.csv:3"
    assert "A stands twice in this overlay" in error.message


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('id = "x"\nextends = "../none"\n', "extends names no pack: '../none'"),
        ('id = "x"\nextends = 5\n', "extends must be a pack in quotes"),
        (TOML + 'replace = ["groups"]\n', "'groups' is no file of a pack"),
        (builder.TOML + 'replace = ["dx.csv"]\n', "replace has a meaning only beside extends"),
    ],
)
def test_faults_of_the_identity(tmp_path: Path, toml: str, message: str) -> None:
    error = fault(tmp_path, toml=toml)
    assert error.file == "scheme.toml"
    assert message in error.message
