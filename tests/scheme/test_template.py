"""The layout of the template: what is written in it and read again groups the same."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from openpyxl import load_workbook
from typer.testing import CliRunner

from grouper import group, load_scheme
from grouper.cli.scheme import scheme_app
from grouper.errors import GrouperError, OutputError
from grouper.scheme import pack_folder
from grouper.scheme.export_tables import export_tables, lacking
from grouper.scheme.import_tables import import_tables, write_tables
from grouper.scheme.layers import read_layers
from grouper.scheme.lint import lint
from grouper.scheme.pack import read_pack
from grouper.scheme.sheets.template import write_template
from tests.scheme import builder
from tests.scheme.published import Rows, answers, come_back, folder, lost


def test_the_example_of_the_template_is_a_scheme_and_no_regions(tmp_path: Path) -> None:
    run = CliRunner()
    form, pack = tmp_path / "form.xlsx", tmp_path / "pack"
    assert run.invoke(scheme_app, ["template", str(form)]).exit_code == 0
    wanted = ["import", "tables", str(form), "--out", str(pack)]
    unfilled = run.invoke(scheme_app, wanted).exception
    assert isinstance(unfilled, GrouperError)
    assert "made-up example" in unfilled.message
    assert not pack.exists()
    book = load_workbook(form)
    weight = next(cell for cell in book["DRG"][2] if cell.value == 20.5)
    weight.value = 20.25
    book.save(form)
    done = run.invoke(scheme_app, wanted)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [f"my-region: 14 DRGs, written to {pack}"]
    again = run.invoke(scheme_app, wanted).exception
    assert isinstance(again, OutputError)
    assert "name a new folder, or move this one away" in again.hint
    _, findings = lint(read_layers(pack))
    assert findings == []
    with pytest.raises(OutputError, match="is there already"):
        write_template(form)
    with pytest.raises(OutputError, match="no workbook's name"):
        write_template(tmp_path / "form.csv")


def test_what_the_template_writes_may_also_be_typed(tmp_path: Path) -> None:
    rows = [
        ("mdc", "A", "A", "any_px in A.px"),
        ("adrg", "AH1", "AH1", "ppx in AH1.px"),
        ("drg", "AH19", "AH19", "true"),
    ]
    pack = builder.bare(rows, sets=[("A.px", "31.1x00"), ("AH1.px", "39.6500")])
    assert export_tables(pack, tmp_path / "form.xlsx") == ()
    sheet = load_workbook(tmp_path / "form.xlsx")["ADRG编码"]
    rule = next(r for r in sheet.data_validations.dataValidation if r.type == "textLength")
    assert (rule.sqref, rule.operator) == ("A2:A50001", None)
    lengths = {len(str(cell.value)) for (cell,) in sheet.iter_rows(2, max_col=1) if cell.value}
    assert lengths == {int(rule.formula1), int(rule.formula2)}


def test_layout_of_chs_drg_20(tmp_path: Path) -> None:
    write_template(tmp_path / "form.xlsx")
    write_tables(import_tables(tmp_path / "form.xlsx"), tmp_path / "pack")
    ablation, mapping = "37.3400", "37.2700"
    assert answers(
        tmp_path / "pack",
        {"dx": ["I34.000", "I48.x00"], "px": [ablation], "age": 60},
        {"dx": ["I34.000"], "px": [ablation, mapping], "age": 60},
        {"dx": ["I34.000", "E11.900"], "px": [ablation, mapping], "age": 60},
        {"dx": ["I48.x00"], "px": [ablation], "age": 60},
        {"dx": ["I34.000"], "px": ["37.2200", "35.2300"], "age": 60},
        {"dx": ["I21.900", "R57.000"], "age": 16},
        {"dx": ["I21.900", "R57.000"], "age": 17},
        {"dx": ["P22.000", "J96.000"], "age": 0, "age_days": 3},
        {"dx": ["P22.000"], "age": 0, "age_days": 29},
        {"dx": ["S06.300", "S72.300"], "age": 30, "discharge": 5},
        {"dx": ["S06.300", "S72.300"], "age": 30, "discharge": 1},
        {"dx": ["S06.300"], "px": ["96.7201"], "age": 30},
        {"dx": ["S06.300"], "px": ["96.7201", "39.6500"], "age": 30},
    ) == [
        "FL15", "FL15", "FL13", "ungrouped", "FB29", "FR20", "FR21", "PR15", "PV19", "ZZ11",
        "ZZ15", "AH19", "AH11",
    ]  # fmt: skip


def test_the_built_in_scheme_survives_the_layout(tmp_path: Path) -> None:
    pack = read_pack(pack_folder("chs-core"))
    found, back = come_back(pack)
    assert lost(found) == list(lacking(pack, back)) == []
    write_tables(found, tmp_path / "pack")
    sample = [codes for name, codes in pack.sets.items() if name.endswith("dx")]
    operated = [codes for name, codes in pack.sets.items() if name.endswith("px")]
    severe = [*pack.severity["MCC"], *pack.severity["CC"]]
    cases = [
        {
            "case_id": f"{i}-{j}",
            "dx": [dx[j % len(dx)].rstrip("%"), severe[(7 * i + j) % len(severe)].rstrip("%")],
            "px": [px[j % len(px)].rstrip("%")] if (i + j) % 3 else [],
            "sex": 1 + i % 2,
            "age": (0, 5, 40, 80)[j],
            "age_days": (12, 400, None, None)[j],
            "weight": (1400, None, None, None)[j],
        }
        for i, (dx, px) in enumerate(zip(sample, operated * 4, strict=False))
        for j in range(4)
    ]
    table = pa.Table.from_pylist(cases)
    again = group(table, load_scheme(str(tmp_path / "pack")))
    assert again.equals(group(table, load_scheme("chs-core")))
    assert len(set(again.column("drg").to_pylist())) > 100


# Lists of DRGs alone, as Zhejiang's AH1 has them.
OWN: dict[str, list[tuple[str | None, ...]]] = {
    "MDC": [("MDC编码", "条件"), ("A", "任意手术")],
    "ADRG编码": [
        ("ADRG编码", "列表", "编码"),
        ("AH1", "主要手术", "96.7201、39.6500、31.1x00"),
        (None, "手术2", "39.9500"),
    ],
    "DRG编码": [
        ("DRG编码", "列表", "编码", "名称"),
        ("AH11", "手术", "39.6500", "体外膜氧合"),
        ("AH13", "手术1", "31.1x00", "气管切开"),
    ],
    "DRG": [
        ("DRG编码", "DRG名称", "细分条件"),
        ("AH11", "ECMO治疗", None),
        ("AH13", "气管切开伴呼吸机支持，伴CRRT", "手术1 + 手术2"),
        ("AH15", "气管切开", "AH13手术1"),
        ("AH19", "其他", None),
    ],
}
CARE = [["39.6500"], ["31.1x00", "39.9500"], ["31.1x00"], ["96.7201"]]


def test_lists_of_a_drg_alone(tmp_path: Path) -> None:
    sheets: dict[str, Rows] = {
        **OWN,
        "ADRG": [("ADRG编码", "ADRG名称", "条件"), ("AH1", "呼吸机", "主要手术")],
    }
    found = import_tables(folder(tmp_path / "tables", sheets))
    assert lost(found) == []
    write_tables(found, tmp_path / "pack")
    pack = read_pack(tmp_path / "pack")
    assert [(drg.code, drg.text) for _, _, drg in pack.drg_rows()] == [
        ("AH11", "any_px in AH11.px"),
        ("AH13", "any_px in AH13.px1 and any_px in AH1.px2"),
        ("AH15", "any_px in AH13.px1"),
        ("AH19", "true"),
    ]
    again, back = come_back(pack)
    assert lost(again) == list(lacking(pack, back)) == []
    write_tables(again, tmp_path / "second")
    for made in ("pack", "second"):
        cases = [{"dx": ["J96.000"], "px": px} for px in CARE]
        assert answers(tmp_path / made, *cases) == ["AH11", "AH13", "AH15", "AH19"]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (("AH17", "手术", "39.6500"), "AH17 has lists and does not stand in the DRG list"),
        (("AH1", "手术", "39.6500"), "AH1 is undivided, its lists are those of its ADRG"),
        (("病组", "手术", "39.6500"), "'病组' is no DRG such as BB11"),
        (("AH11", "名单", "39.6500"), "'名单' is no list such as"),
    ],
)
def test_wrong_lists_of_a_drg(tmp_path: Path, row: tuple[str, ...], told: str) -> None:
    sheets: dict[str, Rows] = {
        **OWN,
        "ADRG": [("ADRG编码", "ADRG名称"), ("AH1", "呼吸机")],
        "DRG编码": [*OWN["DRG编码"], row],
    }
    found = import_tables(folder(tmp_path, sheets))
    assert any(told in one for one in lost(found)), lost(found)
