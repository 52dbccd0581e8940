"""Explanations: they agree with the kernel, and name the condition that failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from grouper.cli import explain as explain_command
from grouper.explain import Explainer, Explanation, NodeTrace, RunnerUp, explain_case
from grouper.explain.render import render
from grouper.grouping import group
from grouper.scheme import from_pack, load_scheme
from tests.kernels import strategies
from tests.reference import Reference
from tests.scheme import builder
from tests.test_conformance import SCHEMES

RESULTS = ("status", "mdc", "adrg", "drg", "severity", "reason")
GROUPS = """\
level,node,code,name,when
mdc,B,B,nervous system,pdx in B.dx and not (any_px in or_px and age < 18)
adrg,BR1,BR1,on two sites,sites(Z) >= 2 or count(any_dx in B.dx) > 2
drg,BR19,BR19,on two sites,true
adrg,BR2,BR2,stroke,pdx in BR2.dx
drg,BR21,BR21,stroke with MCC,mcc
drg,BR23,BR23,stroke with CC,cc
drg,BR25,BR25,stroke,"dept == ""ICU"" or discharge in (1, 2) or icu_hours > 3"
"""


def explained(**case: Any) -> Explanation:
    """A case explained by the pack with the decision list above."""
    scheme = from_pack(
        builder.pack({
            "groups.csv": GROUPS,
            "exclusions.csv": "pdx,exclusion\nI63%,lung\n",
            "dx.csv": "code,name\nI63.900,stroke\nJ96.000,respiratory failure\nI10.x00,high\n",
        })
    )  # fmt: skip
    return explain_case({"case_id": "1", **case}, scheme, nearby=True)


def node(explanation: Explanation, name: str, walk: int = 0) -> NodeTrace:
    """The trace of a node."""
    stack = list(explanation.walks[walk].mdcs)
    while stack:
        found = stack.pop()
        if found.node == name:
            return found
        stack += found.children
    raise AssertionError(f"{name} was not met")


def conditions(explanation: Explanation, name: str) -> list[tuple[str, bool, tuple[str, ...]]]:
    return [(t.rule, t.holds, t.codes) for t in node(explanation, name).tests]


@pytest.mark.parametrize("name", SCHEMES)
def test_explanations_agree_with_the_kernel(shared: Path, name: str) -> None:
    scheme = load_scheme(shared / "schemes" / name)
    cases = pq.read_table(shared / "conformance" / f"{name}.parquet").slice(7000, 1500)
    explainer = Explainer(scheme)
    for case, answer in zip(cases.to_pylist(), group(cases, scheme).to_pylist(), strict=True):
        found = explainer.explain(case).result
        assert {k: getattr(found, k) for k in ("case_id", *RESULTS)} == answer


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.packs(), st.lists(strategies.cases(), max_size=8))
def test_explanations_agree_on_random_packs(pack: Any, cases: list[dict[str, Any]]) -> None:
    plain, explainer = Reference(pack), Explainer(from_pack(pack))
    mapping = Explainer(from_pack(pack, edition="clinical"))
    for case in cases:
        mapped = mapping.explain(case).result
        expected = plain.group(plain.translated(case))
        assert tuple(getattr(mapped, k) for k in RESULTS) == expected
        found = explainer.explain(case)
        assert tuple(getattr(found.result, k) for k in RESULTS) == plain.group(case)
        if found.walks and found.result.drg:
            last = found.walks[-1].mdcs[-1]
            assert last.code == found.result.mdc
            assert last.children[-1].children[-1].code == found.result.drg


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.packs(), strategies.cases())
def test_runners_up_come_true(pack: Any, case: dict[str, Any]) -> None:
    plain = Reference(pack)
    found = Explainer(from_pack(pack)).explain(case, nearby=True)
    dx, px = [n.code for n in found.diagnoses], [n.code for n in found.procedures]
    for other in found.runners_up:
        if other.change == "value":
            changes = [{other.code: other.value}]
        else:
            list_name, codes = ("dx", dx) if "diagnosis" in other.change else ("px", px)
            changes = [{list_name: way} for way in ways(other, codes)]
        answers = [plain.group({**case, **change}) for change in changes]
        assert (other.status, other.adrg, other.drg) in [(a[0], a[2], a[3]) for a in answers]


def ways(other: RunnerUp, codes: list[str]) -> Iterator[list[str]]:
    """The lists of codes that a change may mean; a code may stand in several positions."""
    action = other.change.partition("_")[0]
    if action == "add":
        yield [*codes, other.code]
    if action == "principal":
        yield [other.code, *codes]
    for at, code in enumerate(codes):
        if code == other.code and action != "add":
            rest = codes[:at] + codes[at + 1 :]
            yield rest if action == "drop" else [code, *rest]


def test_the_failed_condition_is_named() -> None:
    found = explained(dx=["I63.900"], px=["01.2300"], age=20, discharge=1)
    assert found.result.drg == "BR25"
    assert found.drg_name == "stroke"
    assert conditions(found, "BR1") == [
        ("sites(Z) >= 2", False, ()),
        ("count(any_dx in B.dx) > 2", False, ("I63.900",)),
    ]
    assert node(found, "BR1").tests[1].value == 1
    assert node(found, "BR1").line == 3
    assert conditions(found, "BR2") == [("pdx in BR2.dx", True, ("I63.900",))]
    assert conditions(found, "BR21") == [("mcc", False, ())]
    assert conditions(found, "BR25") == [("discharge in (1, 2)", True, ())]
    assert node(found, "BR25").tests[0].value == 1


def test_behind_not_a_condition_that_holds_fails_the_rule() -> None:
    found = explained(dx=["I63.900"], px=["01.2300"], age=17, discharge=1)
    assert found.result.status == "ungrouped"
    assert not node(found, "B").holds
    assert conditions(found, "B") == [
        ("any_px in or_px", True, ("01.2300",)),
        ("age < 18", True, ()),
    ]
    assert any(o.change == "drop_procedure" and o.code == "01.2300" for o in found.runners_up)


def test_a_missing_value_is_told_from_zero() -> None:
    found = explained(dx=["I63.900"], icu_hours=0)
    values = {t.rule: t.value for t in node(found, "BR25").tests}
    assert values == {'dept == "ICU"': None, "discharge in (1, 2)": None, "icu_hours > 3": 0}
    assert ("value", "icu_hours", 4, "BR25") in {
        (o.change, o.code, o.value, o.drg) for o in found.runners_up
    }


def test_complications_and_their_exclusion() -> None:
    found = explained(dx=["I63.900", "J96.000", "I10.x00", "U99", None], discharge=1)
    assert found.exclusion == "lung"
    assert [(c.code, c.level, c.exclusion, c.excluded) for c in found.complications] == [
        ("J96.000", "MCC", "lung", True),
        ("I10.x00", "CC", "", False),
    ]
    assert (found.result.severity, found.result.drg) == ("CC", "BR23")
    assert [(n.code, n.known) for n in found.diagnoses][3:] == [("U99", False), ("", False)]
    assert found.unknown == ("U99",)
    assert [o.drg for o in found.runners_up if o.change == "drop_diagnosis"] == ["BR25"]


def test_a_further_try_is_a_further_walk() -> None:
    rows = [("mdc", "A", "true"), ("adrg", "AA1", "ppx in S"), ("drg", "AA19", "true")]
    toml = builder.TOML.replace("false", "true")
    pack = builder.bare(((lv, c, c, w) for lv, c, w in rows), toml=toml, sets=[("S", "2")])
    case = {"case_id": "1", "dx": ["X"], "px": ["1", None, "3", "2", "4"]}
    found = explain_case(case, from_pack(pack))
    assert found.result.drg == "AA19"
    assert [walk.procedure for walk in found.walks] == ["", "3", "2"]


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"case_id": None}, "no_id"),
        ({"dx": []}, "no_diagnosis"),
        ({"dx": [" ", "A"]}, "no_diagnosis"),
    ],
)
def test_invalid_cases_are_not_walked(case: dict[str, Any], reason: str) -> None:
    found = explained(**case)
    assert (found.result.status, found.result.reason) == ("invalid", reason)
    assert found.walks == ()
    assert reason in str(next(render(found)))


def test_json_has_the_layout_of_the_service() -> None:
    told = explained(dx=["I63.900", "J96.000"], px=["01.2300"], age=17).to_dict()
    again = json.loads(json.dumps(told))
    assert list(again) == ["result", "explanation", "scheme"]
    assert list(again["result"]) == ["case_id", *RESULTS]
    assert again["explanation"]["walks"][0]["mdcs"][0]["tests"][1]["rule"] == "age < 18"


def test_text_for_a_person() -> None:
    lines = [
        str(x) for x in render(explained(dx=["I63.900", "J96.000", "U9"], px=["01.2300"], age=20))
    ]
    text = "\n".join(lines)
    assert "unknown to the scheme" in text
    assert "excluded: I63.900 switches off the exclusion list lung" in text
    assert "- DRG BR21 stroke with MCC: mcc fails" in text
    assert "icu_hours > 3 fails (is missing)" in text
    assert "one change away" in text


@pytest.fixture(scope="module")
def commands() -> Any:
    app = typer.Typer()
    explain_command.register(app)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_command(commands: Any, tmp_path: Path) -> None:
    pack = builder.write(tmp_path / "pack")
    case = ("--scheme", pack, "--dx", "I63.900, J96.000", "--sex", "1", "--age", "60")
    told = commands(*case)
    assert told.exit_code == 0, told.output
    assert "DRG BR21" in told.output
    assert json.loads(commands(*case, "--json").output)["result"]["drg"] == "BR21"
    assert "note" not in told.output
    odd = commands(*case[:4], "--sex", "7", "--age", "-4", "--los", "0", "--discharge", "9")
    assert "note: sex is 7, where 1, 2 is usual" in odd.output
    assert "age is -4, where 0–130 is usual" in odd.output
    assert odd.output.count("note: ") == 2
    assert commands("--scheme", pack).exit_code == 2
    assert commands("--scheme", pack, "--dx", "A", "--set", "beds=1").exit_code == 2


def test_command_on_a_table(commands: Any, tmp_path: Path) -> None:
    pack = builder.write(tmp_path / "pack")
    ids = [str(n) for n in range(30)]
    table = pa.table({"case_id": ids, "dx": [["I63.900"]] * 30})
    pq.write_table(table, tmp_path / "cases.parquet")
    words = ("--scheme", pack, "--cases", tmp_path / "cases.parquet", "--json")
    told = [json.loads(line) for line in commands(*words).output.splitlines()]
    assert [one["result"]["case_id"] for one in told] == ids[:10]
    told = [json.loads(x) for x in commands(*words, "--case-id", "21").output.splitlines()]
    assert [one["result"]["case_id"] for one in told] == ["21"]
    assert commands(*words, "--case-id", "none").exception is not None
    two = commands(*words, "--case-id", "21", "--case-id", "77")
    assert "no such case in the table: 77" in str(two.exception)


@pytest.mark.parametrize("between", [",", "|", "，", "、", " ", "；"])
def test_command_takes_the_codes_of_a_text_and_of_a_csv_apart(
    commands: Any, tmp_path: Path, between: str
) -> None:
    pack = builder.write(tmp_path / "pack")
    told = commands("--scheme", pack, "--json", "--dx", f"I63.900{between}J96.000")
    table = tmp_path / "cases.csv"
    table.write_bytes("case_id,科室,dx\n1,内科,I63.900|J96.000\n".encode("gb18030"))
    of_table = commands("--scheme", pack, "--json", "--cases", table, "--encoding", "gb18030")
    drgs = [json.loads(one.output)["result"]["drg"] for one in (told, of_table)]
    assert drgs == ["BR21", "BR21"], (told.output, of_table.output)
