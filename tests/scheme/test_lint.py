"""The linter names file and line of what is odd, and is silent about what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from grouper.cli import scheme as scheme_commands
from grouper.errors import PackError
from grouper.scheme import logic, rules
from grouper.scheme.compile import principal_reach
from grouper.scheme.layers import read_layers
from grouper.scheme.lint import lint
from grouper.scheme.pack import read_pack
from grouper.scheme.rules import parse
from grouper.scheme.show import show_node, show_pack
from tests.kernels import strategies
from tests.reference import Reference
from tests.scheme import builder
from tests.scheme.builder import SMALL, TOML

QUIET = {
    "weights.csv": "drg,weight,basic,stable\nBR21,1.5,,\nBR25,1,,\n",
    "groups.csv": SMALL["groups.csv"].replace("any_px in or_px", "sites(Z) > 1 or ppx in or_px"),
}
HEAD = "level,node,code,name,when\nmdc,B,B,,pdx in B.dx\n"


def findings(folder: Path, **changes: str) -> list[tuple[str, str]]:
    """Place and kind of what the linter finds in the quiet pack with some files replaced."""
    changed = {("scheme.toml" if n == "toml" else f"{n}.csv"): t for n, t in changes.items()}
    builder.write(folder, {**QUIET, **changed})
    return [
        (f"{f.file}:{f.line}", f.kind)
        for f in lint(read_layers(folder))[1]
        if "groups" not in changes or f.kind not in ("drg-without-weight", "weight-without-drg")
    ]


def groups(*rows: str) -> str:
    """A decision list whose rows are `level code when`."""
    lines = []
    for row in rows:
        level, code, when = row.split(" ", 2)
        lines.append(f'{level},{code},{code},name of {level} {code},"{when}"')
    return HEAD + "\n".join(lines) + "\n"


def of_groups(folder: Path, *rows: str) -> list[tuple[str, str]]:
    """Line and kind of findings of conditions."""
    used = ("adrg BX9 pdx in BR2.dx and sites(Z) > 9 and ppx in or_px", "drg BX91 true")
    found = findings(folder, groups=groups(*used, *rows))
    return [(place.removeprefix("groups.csv:"), kind) for place, kind in found]


def test_a_sound_pack_is_quiet(tmp_path: Path) -> None:
    assert findings(tmp_path) == []


def test_spelling(tmp_path: Path) -> None:
    rows = ("adrg CA1 mcc", "drg BA11 true", "adrg BB1 cc", "drg BB11 mcc", "drg BC11 true")
    assert of_groups(tmp_path, *rows) == [
        ("5", "adrg-prefix"),
        ("6", "drg-prefix"),
        ("9", "drg-prefix"),
    ]


def test_names(tmp_path: Path) -> None:
    text = SMALL["groups.csv"].replace("BR25,stroke,", "BR25,stroke with MCC,")
    text += "adrg,BR2_2,BR2,stroke again,sites(Z) > 1\ndrg,BR21,BR21,stroke with MCC,true\n"
    assert findings(tmp_path, groups=text) == [
        ("groups.csv:5", "duplicate-name"),
        ("groups.csv:8", "two-names"),
    ]


def test_empty_nodes(tmp_path: Path) -> None:
    text = SMALL["groups.csv"] + "adrg,BS1,BS1,none,sites(Z) > 1\nmdc,C,C,none,mcc\n"
    assert findings(tmp_path, groups=text) == [
        ("groups.csv:8", "empty-node"),
        ("groups.csv:9", "empty-node"),
    ]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ("adrg BA1 mcc; drg BA11 true; drg BA15 cc", 7),
        ("adrg BA1 true; drg BA11 mcc; drg BA13 not mcc; drg BA15 cc", 8),
        ("adrg BA1 true; drg BA11 age < 17; drg BA15 age < 10", 7),
        ("adrg BA1 true; drg BA11 mcc; drg BA13 cc; drg BA15 true", 0),
        ("adrg BA1 mcc; drg BA19 true; adrg BB1 mcc and cc; drg BB19 true", 7),
        ("adrg BA1 mcc; drg BA19 cc; adrg BB1 mcc and cc; drg BB19 true", 0),
        ("adrg BA1 pdx in or_px; drg BA19 true", 5),
        ("adrg BA1 true; drg BA19 true; adrg BB1 cc; drg BB19 true", 7),
        ("adrg BA1 pdx in B.dx; drg BA19 true; adrg BB1 pdx in BR2.dx; drg BB19 true", 7),
    ],
)
def test_unreachable(tmp_path: Path, rows: str, line: int) -> None:
    expected = [(str(line), "unreachable")] if line else []
    assert of_groups(tmp_path, *rows.split("; ")) == expected


@pytest.mark.parametrize(
    "when",
    [
        "age < 5 and age > 10",
        "age < 5 and not age < 6",
        "not (mcc or not mcc)",
        "any_px in or_px and count(any_px in or_px) == 0",
        "ppx in or_px and not any_px in or_px",
        "count(any_dx in B.dx) < count_is_no_rule",
        "sites(Z) < 0",
        "discharge in (1, 2) and discharge in (3)",
        'dept == ""ICU"" and dept == ""ward""',
    ],
)
def test_a_condition_that_never_holds(tmp_path: Path, when: str) -> None:
    if "count_is_no_rule" in when:
        when = "count(any_dx in B.dx) < 0"
    assert of_groups(tmp_path, f"adrg BA1 {when}", "drg BA19 true") == [("5", "never-holds")]


@pytest.mark.parametrize(
    "when",
    [
        "age < 5 or age > 10",
        "not age < 5 and not age >= 5",
        "count(any_px in or_px) == 1 and ppx in or_px",
        "count(any_px in or_px) > 1 and not ppx in or_px",
        "discharge in (1, 2) and discharge in (2, 3)",
    ],
)
def test_a_condition_that_may_hold(tmp_path: Path, when: str) -> None:
    assert of_groups(tmp_path, f"adrg BA1 {when}", "drg BA19 true") == []


def test_a_contradiction_of_the_gate(tmp_path: Path) -> None:
    rows = ("adrg BA1 age < 5", "drg BA11 age > 6", "drg BA15 true")
    assert of_groups(tmp_path, *rows) == [("6", "never-holds")]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["drg BA11 age <= 17", "drg BA15 age >= 17"], [("7", "overlap")]),
        (["drg BA11 age < 17", "drg BA15 age >= 17"], []),
        (["drg BA11 age < 1", "drg BA15 age < 17"], []),
        (["drg BA11 discharge in (1, 2)", "drg BA15 discharge in (2, 3)"], [("7", "overlap")]),
        (["drg BA11 mcc", "drg BA15 cc"], []),
    ],
)
def test_overlaps(tmp_path: Path, rows: list[str], expected: list[tuple[str, str]]) -> None:
    assert of_groups(tmp_path, "adrg BA1 true", *rows) == expected


def test_overlapping_nodes_tell_where(tmp_path: Path) -> None:
    rows = ("adrg BA1 weight <= 1500", "drg BA19 mcc", "adrg BB1 weight >= 1500", "drg BB19 cc")
    used = ("adrg BX9 pdx in BR2.dx and sites(Z) > 9 and ppx in or_px", "drg BX91 true")
    builder.write(tmp_path, {**QUIET, "groups.csv": groups(*used, *rows)})
    told = [str(f) for f in lint(read_layers(tmp_path))[1] if f.kind == "overlap"]
    assert told == [
        "groups.csv:7: BB1 overlaps BA1 in line 5, which wins: for example weight = 1500 [overlap]"
    ]


@pytest.mark.parametrize(
    ("file", "added", "kind"),
    [
        ("sets", "X.dx,A\nX.dx,B", "unused-set"),
        ("sets", "or_px,01.2300", "duplicate-code"),
        ("sets", "or_px,02.1 ", "odd-code"),
        ("sets", "or_px,０２.1", "odd-code"),
        ("sites", "Y,arm,A", "unused-family"),
        ("severity", "E11,CC,none", "unused-exclusion"),
        ("severity", "J44.000,CC,lung", "own-exclusion"),
        ("exclusions", "E11,none", "unused-exclusion"),
        ("dx", "I63.900,again", "duplicate-code"),
        ("dx_map", "A,unknown", "map-target"),
        ("weights", "BX1,1,,", "weight-without-drg"),
    ],
)
def test_files(tmp_path: Path, file: str, added: str, kind: str) -> None:
    text = QUIET.get(f"{file}.csv", SMALL[f"{file}.csv"])
    line = text.count("\n") + 1
    assert findings(tmp_path, **{file: text + added + "\n"}) == [(f"{file}.csv:{line}", kind)]


def test_weights(tmp_path: Path) -> None:
    text = "drg,weight,basic,stable\nBR21,,,\n"
    assert findings(tmp_path, weights=text) == [
        ("groups.csv:5", "drg-without-weight"),
        ("weights.csv:2", "drg-without-weight"),
    ]
    assert findings(tmp_path, weights="drg,weight,basic,stable\n") == []


def test_attributes(tmp_path: Path) -> None:
    text = TOML + '[attributes]\nbeds = "beds"\n'
    assert findings(tmp_path, toml=text) == [("scheme.toml:0", "unused-attribute")]


def test_overlays_name_the_right_file(tmp_path: Path) -> None:
    builder.write(tmp_path / "small", {**QUIET, "sets.csv": SMALL["sets.csv"] + "X,A\n"})
    (tmp_path / "city").mkdir()
    (tmp_path / "city" / "scheme.toml").write_text('id = "city"\nextends = "../small"\n')
    (tmp_path / "city" / "sets.csv").write_text("set,code\nY,A\n")
    places = [(f.file, f.line) for f in lint(read_layers(tmp_path / "city"))[1]]
    assert sorted(places) == [("sets.csv", 2), ("small/sets.csv", 6)]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_logic_never_contradicts_a_case(data: st.DataObject) -> None:
    plain = Reference(data.draw(strategies.packs()))
    first, second = data.draw(strategies.rule_trees()), data.draw(strategies.rule_trees())
    can_hold, implies = logic.can_hold(first), logic.implies(first, second)
    for case in data.draw(st.lists(strategies.cases(), max_size=8)):
        dx, px = case["dx"] or [], case["px"] or []
        if not dx:
            continue
        if plain.holds(first, case, dx, px):
            assert can_hold
            assert plain.holds(second, case, dx, px) or not implies


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.packs(), st.lists(strategies.cases(), min_size=5, max_size=10))
def test_what_no_case_can_reach_no_case_reaches(pack: Any, cases: list[dict[str, Any]]) -> None:
    reached = principal_reach(pack)
    drgs = {drg for _, drg in reached}
    plain = Reference(pack)
    for case in cases:
        answer = plain.group(case)
        assert not answer.drg or answer.drg in drgs


def test_a_hard_question_stays_undecided() -> None:
    many = " and ".join(f"(pdx in S{n} or ppx in S{n} or sites(F{n}) > 2)" for n in range(40))
    hard = rules.And((parse(many), rules.Not(parse(many + " and true"))))
    assert logic.can_hold(hard)


@pytest.fixture(scope="module")
def scheme() -> Any:
    return lambda *words: CliRunner().invoke(scheme_commands.scheme_app, [str(w) for w in words])


def test_check_command(scheme: Any, tmp_path: Path) -> None:
    builder.write(tmp_path, QUIET)
    done = scheme("check", tmp_path)
    assert (done.exit_code, done.output) == (0, "small: 3 DRGs, no error, no warning\n")
    assert scheme("check", tmp_path, "--strict").exit_code == 0
    builder.write(tmp_path, {**QUIET, "sets.csv": SMALL["sets.csv"] + "X,A\n"})
    done = scheme("check", tmp_path)
    assert done.exit_code == 0
    assert "warning: sets.csv:6: no rule uses the set X [unused-set]\n" in done.output
    assert scheme("check", tmp_path, "--strict").exit_code == 1
    assert json.loads(scheme("check", tmp_path, "--json").output)[0]["line"] == 6
    builder.write(tmp_path, {"sets.csv": None})
    (tmp_path / "sets.csv").unlink()
    assert isinstance(scheme("check", tmp_path).exception, PackError)


def test_check_shows_a_few_of_a_kind(scheme: Any, tmp_path: Path) -> None:
    rows = "".join(f"X{n},A\n" for n in range(30))
    builder.write(tmp_path, {**QUIET, "sets.csv": SMALL["sets.csv"] + rows})
    told = scheme("check", tmp_path).output
    assert "and 20 more [unused-set] (all with --all)" in told
    assert scheme("check", tmp_path, "--all").output.count("unused-set") == 30


@pytest.mark.parametrize("name", ["chs_drg_10", "zhejiang_2022"])
def test_published_packs_have_no_error(shared: Path, name: str) -> None:
    _, found = lint(read_layers(shared / "schemes" / name))
    assert any(f.kind == "unreachable" for f in found)
    assert all(f.line > 0 and f.message for f in found)


def test_show(scheme: Any, tmp_path: Path) -> None:
    pack = read_pack(builder.write(tmp_path))
    tree = "\n".join(show_pack(pack))
    assert "1 MDC, 2 ADRGs, 3 DRGs, 2 weights" in tree
    assert "    BR21  stroke with MCC  1.5" in tree
    node = list(show_node(pack, "BR2"))
    assert "  when pdx in BR2.dx" in node
    assert "set BR2.dx: 1 code" in node
    assert "family Z: 2 sites" in list(show_node(pack, "Z"))
    assert "  01.2300  craniotomy reopened" in list(show_node(pack, "or_px"))
    with pytest.raises(PackError, match="no node, set or family 'X'"):
        list(show_node(pack, "X"))
    assert scheme("show", tmp_path, "BR21").output.startswith("DRG BR21  stroke with MCC")
    assert "chs-core" in scheme("list").output
