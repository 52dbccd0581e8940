"""A scheme written into the layout of spreadsheets comes back, or what does not is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from grouper import group
from grouper.cli.scheme import scheme_app
from grouper.errors import GrouperError, OutputError, PackError
from grouper.scheme import from_pack
from grouper.scheme.export_tables import export_tables, lacking
from grouper.scheme.import_tables import import_tables
from grouper.scheme.model import Pack
from grouper.scheme.pack import read_pack
from tests.kernels import strategies
from tests.reference import Reference
from tests.scheme import builder
from tests.scheme.published import Rows, come_back, folder, lost
from tests.test_conformance import EXPECTED, SCHEMES

# One scheme comes back whole; of the others all rules, with the codes that some cases have.
WHOLE = "chs_drg_10"
SOME = 400


def only(pack: Pack, codes: frozenset[str]) -> Pack:
    """A pack without the exact codes that are none of these; each set keeps one at least."""

    def kept(members: Mapping[str, str]) -> dict[str, str]:
        return {code: v for code, v in members.items() if code in codes or code[-1] == "%"}

    sets = {
        name: tuple(c for c in members if c in codes or c[-1] == "%") or members[:1]
        for name, members in pack.sets.items()
    }
    return replace(
        pack,
        sets=sets,
        sites={family: kept(members) for family, members in pack.sites.items()},
        severity={level: kept(members) for level, members in pack.severity.items()},
        exclusions=kept(pack.exclusions),
        dx=kept(pack.dx),
        px=kept(pack.px),
        dx_map=kept(pack.dx_map),
        px_map=kept(pack.px_map),
    )


@pytest.mark.parametrize("name", SCHEMES)
def test_a_published_scheme_comes_back(shared: Path, name: str) -> None:
    pack = read_pack(shared / "schemes" / name)
    cases = pq.read_table(shared / "conformance" / f"{name}.parquet")
    if name != WHOLE:
        nodes = Counter(adrg.code for mdc in pack.mdcs for adrg in mdc.adrgs)
        several = pa.array([code for code, count in nodes.items() if count > 1], pa.string())
        asked = pc.is_in(cases.column("expect_adrg"), several)
        cases = pa.concat_tables([cases.filter(asked), cases.filter(pc.invert(asked))[:SOME]])
        given = (cases.column(c).combine_chunks().flatten().to_pylist() for c in ("dx", "px"))
        pack = only(pack, frozenset(code for column in given for code in column))
    imported, back = come_back(pack)
    assert lost(imported) == []
    assert list(lacking(pack, back)) == []
    answers = group(cases, from_pack(back))
    differing = {
        column: sum(
            one != other
            for one, other in zip(
                answers.column(column).to_pylist(),
                cases.column(f"expect_{column}").to_pylist(),
                strict=True,
            )
        )
        for column in EXPECTED
    }
    assert differing == dict.fromkeys(EXPECTED, 0)


# AH1 is tried before and behind AB1, and its second node has DRGs of its own.
APART = [
    ("mdc", "MDCA", "A", "ppx in or_px"),
    ("adrg", "AH1_1", "AH1", "any_px in AH1_1.px and not any_px in AH1_1.px2"),
    ("drg", "AH11", "AH11", "mcc"),
    ("drg", "AH19", "AH19", "true"),
    ("adrg", "AB1", "AB1", "count(other_px in or_px) >= 2 or vent > 96"),
    ("drg", "AB19", "AB19", "true"),
    ("adrg", "AH1_2", "AH1", "pdx in AH1_2.dx and any_px in AH1_1.px2"),
    ("drg", "AH19", "AH19", "cc"),
    ("drg", "AH11", "AH11", "any_px in AH1_1.px"),
    ("drg", "AH1X", "AH1X", "mcc"),
]
HELD: Mapping[str, object] = {
    "sets": [
        ("or_px", "31.1x00"), ("or_px", "39.%"), ("AH1_1.px", "31.1x00"), ("AH1_1.px2", "39.6500"),
        ("AH1_2.dx", "C81.001M96590/3"), ("AH1_2.dx", "J96%"),
    ],
    "severity": [("E11.900", "CC", "x"), ("R57.000", "MCC", "")],
}  # fmt: skip
VENT = builder.TOML + '[attributes]\nvent = "呼吸机小时"\n'


def test_variants_keep_place_lists_and_drgs(tmp_path: Path) -> None:
    source = tmp_path / "pack"
    builder.write(
        source,
        {
            "scheme.toml": VENT,
            "groups.csv": builder.table("groups.csv", [(a, b, c, "", d) for a, b, c, d in APART]),
            "weights.csv": "drg,weight,basic,stable\nAH19,1.25,0,1\nAH11,0.123456789012345678,,\n",
            **{
                f"{stem}.csv": builder.table(f"{stem}.csv", rows)  # type: ignore[arg-type]
                for stem, rows in HELD.items()
            },
        },
    )
    run, form, out = CliRunner(), tmp_path / "form.xlsx", tmp_path / "again"
    done = run.invoke(scheme_app, ["template", str(form), "--scheme", str(source)])
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"{form}: small, 4 DRGs; change it, then: grouper scheme import")
    done = run.invoke(scheme_app, ["import", "tables", str(form), "--out", str(out)])
    assert done.exit_code == 0, done.output
    pack, again = read_pack(source), read_pack(out)
    assert [node.node for node in again.nodes()] == [row[1] for row in APART]
    assert list(lacking(pack, again)) == []
    assert again.weights["AH11"].weight == pack.weights["AH11"].weight
    with pytest.raises(OutputError, match="is there already"):
        export_tables(pack, form)


def test_what_does_not_come_back_is_named(tmp_path: Path) -> None:
    rows = [
        ("mdc", "B", "B", "pdx in B.dx"),
        ("adrg", "BR2", "BR2", "true"),
        ("drg", "BT21", "BT21", "true"),
        ("adrg", "BQY", "BQY", "any_px in B.px"),
        ("drg", "BQY", "BQY", "mcc"),
        ("adrg", "BR3", "BR3", "true"),
        ("drg", "BR39", "BR39", "true"),
    ]
    sets = [("B.dx", "I63%"), ("B.px", "01.2300")]
    pack = builder.bare(rows, sets=sets, dx=[("I63.900", "x"), ("甲", "y")])
    told = export_tables(pack, tmp_path / "form.xlsx")
    assert [one for one in told if one.startswith("the ADRG")] == [
        f"the ADRG {code} comes back with another condition, place, or DRGs"
        for code in ("BQY", "BR2")
    ]
    assert "not read again: form.xlsx[DRG]:2: BT21 stands under no ADRG of the ADRG list" in told
    assert told[-1] == "known diagnoses, dropped (1): 甲"
    assert (tmp_path / "form.xlsx").is_file()
    with pytest.raises(OutputError, match="cannot hold small: there is no table of ADRGs"):
        export_tables(builder.bare(rows[:1], sets=sets), tmp_path / "none.xlsx")
    long = " or ".join(f"age == {n}" for n in range(4000))
    with pytest.raises(OutputError, match="sheet ADRG of small is beyond what a workbook holds"):
        export_tables(
            builder.bare([*rows[:5], ("adrg", "BR3", "BR3", long), rows[6]], sets=sets),
            tmp_path / "none.xlsx",
        )


def test_the_command_ends_with_1_where_something_is_lost(tmp_path: Path) -> None:
    odd = builder.SMALL["groups.csv"].replace("drg,BQY,BQY,ambiguous,true", "drg,BQY,BQY,x,mcc")
    source = builder.write(tmp_path / "pack", {"groups.csv": odd})
    words = ["template", str(tmp_path / "form.xlsx"), "--scheme", str(source)]
    done = CliRunner().invoke(scheme_app, words)
    assert isinstance(done.exception, GrouperError)
    assert "1 thing of small that the workbook cannot hold" in str(done.exception)
    assert "warning: the ADRG BQY comes back with another condition" in done.output


@settings(max_examples=25)
@given(strategies.decision_lists(), st.lists(strategies.cases(), min_size=12, max_size=12))
def test_no_rule_is_lost_silently(
    rows: list[tuple[str, str, str, str]], cases: list[dict[str, Any]]
) -> None:
    pack = builder.bare(
        rows,
        toml=strategies.TOML.format(retry="true"),
        sets=[
            ("S0", "A%"), ("S.1", "A10"), ("S.1", "1x1"), ("_2", "02%"), ("S3", "01%"),
            ("S3", "A1%"), ("S4", "02.2"),
        ],
        sites=[("F1", "head", "A%"), ("F1", "leg", "B%"), ("F2", "arm", "A1%")],
        severity=[("B1", "MCC", "x"), ("C9", "MCC", ""), ("A2", "CC", "")],
        exclusions=[("A10", "x")],
    )  # fmt: skip
    try:
        imported, back = come_back(pack)
    except PackError:
        # The layout has no form for it, and says so.
        return
    if lost(imported) or list(lacking(pack, back)):
        return
    one, other = Reference(pack), Reference(back)
    for case in cases:
        if case["dx"] and (case["dx"][0] or "").strip():
            assert other.group(case) == one.group(case)


# --- the column as a clerk fills it in ---------------------------------------------------------

SHEETS: dict[str, list[Sequence[str]]] = {
    "MDC": [("MDC编码", "条件"), ("A", "任意手术")],
    "ADRG": [
        ("ADRG编码", "情形", "ADRG名称", "条件"),
        ("AH1", "1", "呼吸机或ECMO", "手术1 + 手术2"),
        ("", "情形２", "", ""),
        ("AB1", "", "肝移植", ""),
    ],
    "ADRG编码": [
        ("ADRG编码", "情形", "列表", "编码"),
        ("AH1", "1", "手术1", "31.1x00"),
        ("", "", "手术2", "96.7201"),
        ("", "2", "主要手术", "39.6500"),
        ("AB1", "", "手术", "50.5900"),
    ],
    "DRG": [
        ("DRG编码", "情形", "DRG名称", "条件", "权重"),
        ("AH11", "1", "x", "伴MCC", "3.5"),
        ("AH19", "", "y", "", "2"),
        ("AB19", "", "z", "AH1_2手术", ""),
    ],
    "DRG权重": [("DRG编码", "权重"), ("AH11", "3.5"), ("AB19", "9")],
}


# The same with a column for each list.
WIDE = [
    ("ADRG编码", "情形", "ADRG名称", "条件", "手术1编码", "手术2编码", "主要手术编码", "手术编码"),
    ("AH1", "1", "呼吸机或ECMO", "手术1 + 手术2", "31.1x00", "96.7201"),
    ("", "2", "", "", "", "", "39.6500"),
    ("AB1", "", "肝移植", "手术", "", "", "", "50.5900"),
]


@pytest.mark.parametrize("wide", [False, True])
def test_rows_of_variants(tmp_path: Path, wide: bool) -> None:
    sheets: dict[str, Rows] = {**SHEETS, "ADRG": WIDE} if wide else {**SHEETS}
    if wide:
        del sheets["ADRG编码"]
    found = import_tables(folder(tmp_path, sheets))
    assert lost(found) == []
    assert [row[1:] for row in found.rows["groups.csv"]] == [
        ("MDCA", "A", "", "any_px in or_px"),
        ("AH1_1", "AH1", "呼吸机或ECMO", "any_px in AH1_1.px1 and any_px in AH1_1.px2"),
        ("AH11", "AH11", "x", "mcc"),
        ("AH19", "AH19", "y", "true"),
        ("AH1_2", "AH1", "呼吸机或ECMO", "ppx in AH1_2.px"),
        ("AH19", "AH19", "y", "true"),
        ("AB1", "AB1", "肝移植", "any_px in AB1.px"),
        ("AB19", "AB19", "z", "any_px in AH1_2.px"),
    ]
    assert list(found.rows["weights.csv"]) == [
        ("AH11", "3.5", "", ""), ("AH19", "2", "", ""), ("AB19", "9", "", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sheet", "row", "line", "told", "hint"),
    [
        ("ADRG", ("AB1", "二", "", ""), 5, "情形 (variant) holds '二'", "1, 2, 3"),
        ("ADRG", ("AB1", "1.5", "", ""), 5, "情形 (variant) holds '1.5'", "at most 99"),
        ("ADRG", ("AB1", "100", "", ""), 5, "情形 (variant) holds '100'", "at most 99"),
        ("DRG", ("AB19", "0", "", "", ""), 5, "情形 (variant) holds '0'", "1, 2, 3"),
        ("ADRG", ("AH1", "", "", "手术3"), 5, "AH1 is empty here, and ADRG.csv:2", "every row of"),
        ("ADRG编码", ("AH1", "", "手术3", "1"), 6, "AH1 is empty here, and ADRG.csv:2", "none of"),
        ("ADRG编码", ("MDCA", "1", "手术", "1"), 6, "numbers MDCA", "only ADRGs have variants"),
        ("DRG", ("AH15", "3", "", "", ""), 5, "AH15 stands under the variant 3 of AH1", "for all"),
        ("DRG", ("AB15", "1", "", "", ""), 5, "AB15 stands under the variant 1 of AB1", "leave"),
        ("DRG", ("AH11", "", "", "", ""), 5, "AH11 is empty here, and DRG.csv:2", "every row of"),
    ],
)  # fmt: skip
def test_wrong_numbers_of_variants(
    tmp_path: Path, sheet: str, row: Sequence[str], line: int, told: str, hint: str
) -> None:
    sheets: dict[str, Rows] = {**SHEETS, sheet: [*SHEETS[sheet][: line - 1], row]}
    with pytest.raises(PackError) as caught:
        import_tables(folder(tmp_path, sheets))
    assert (caught.value.file, caught.value.line) == (f"{sheet}.csv", line)
    assert told in caught.value.message
    assert hint in caught.value.hint
