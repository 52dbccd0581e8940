"""What differs between two packs: said once, in the same words whatever the numbering."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from grouper.scheme.diff import diff_packs
from grouper.scheme.diff_model import SchemeDiff
from grouper.scheme.diff_told import tell
from grouper.scheme.normal import normal
from grouper.scheme.pack import read_pack
from grouper.scheme.rules import parse
from tests.scheme import builder

GROUPS = """\
level,node,code,name,when
mdc,B,B,nervous system,pdx in B.dx
adrg,BQY,BQY,ambiguous,any_px in or_px
drg,BQY,BQY,ambiguous,true
adrg,BR2,BR2,stroke and more,pdx in stroke
drg,BR21,BR21,stroke with MCC,mcc or age > 80
drg,BR29,BR29,stroke,true
"""
OTHER: dict[str, str | bytes | None] = {
    "scheme.toml": 'id = "other"\nretry_other_procedures = true\n',
    "groups.csv": GROUPS,
    "sets.csv": "set,code\nB.dx,G%\nB.dx,I63%\nB.dx,I64%\nstroke,I63%\nor_px,01.2300\n",
    "severity.csv": "code,level,exclusion\nJ96.000,MCC,7\nI10%,CC,\nE11%,CC,\n",
    "exclusions.csv": "pdx,exclusion\nJ44.000,7\n",
    "weights.csv": "drg,weight,basic,stable\nBR21,1.8,0,0\nBR29,0.75,,\n",
}


def diff(changes: dict[str, str | bytes | None]) -> SchemeDiff:
    return diff_packs(builder.pack(), builder.pack(changes))


def test_a_pack_does_not_differ_from_itself() -> None:
    same = diff({})
    assert same.same
    assert list(same.rows()) == []
    assert "no difference" in list(tell(same))[1]


def test_every_kind_of_change_is_named() -> None:
    found = diff(OTHER)
    assert found.head == (("retry_other_procedures", "False", "True"),)
    nodes = {(n.kind, n.node, n.before, n.after) for n in found.nodes}
    assert nodes == {
        ("renamed", "BR2", "stroke", "stroke and more"),
        ("moved", "BQY", "after BR2", "first"),
        ("added", "BR29", "", "BR2"),
        ("dropped", "BR25", "BR2", ""),
    }
    (rule,) = found.rules
    assert (rule.node, rule.relation, rule.new) == ("BR21", "wider", ("age >= 81",))
    sets = {(s.kind, s.before, s.name, s.gone, s.new) for s in found.sets}
    assert sets == {
        ("changed", "B.dx", "B.dx", (), ("I64%",)),
        ("renamed", "BR2.dx", "stroke", (), ()),
    }
    # The exclusion list is only called otherwise, so no diagnosis of it is told of.
    assert [(v.kind, v.code) for v in found.severities] == [("added", "E11%")]
    assert found.exclusions == ()
    weights = {w.drg: (w.kind, w.before, w.after, w.flags) for w in found.weights}
    assert weights["BR21"] == ("changed", "1.5", "1.8", "stable: yes → no")
    assert weights["BR29"][0] == "added"
    assert weights["BR25"][0] == "dropped"
    text = "\n".join(tell(found))
    assert "  conditions: 1 changed (1 met by more cases), 1 written" in text
    assert "DRG BR21 stroke with MCC, met by more cases\n" in text
    assert "BR21 stroke with MCC: 1.5 → 1.8 (+20.0%); stable: yes → no" in text
    json.dumps(found.to_dict())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mcc or cc", "cc or mcc or cc"),
        ("age <= 16", "age < 17"),
        ("not (age < 17 or mcc)", "not mcc and not age < 17"),
        ("not not pdx in A", "count(pdx in A) >= 1"),
        ("discharge in (5, 4, 4)", "discharge in (4, 5)"),
        ("mcc and true", "mcc"),
        ("sites(F) > 1", "not sites(F) <= 1"),
    ],
)
def test_rules_that_mean_the_same_have_one_normal_form(one: str, other: str) -> None:
    assert normal(parse(one)) == normal(parse(other))


def test_a_missing_value_keeps_a_comparison_and_its_opposite_apart() -> None:
    assert normal(parse("not age < 17")) != normal(parse("age >= 17"))


def test_real_packs_differ_in_the_same_order_every_time(shared: Path) -> None:
    packs = [read_pack(shared / "schemes" / name) for name in ("chs_drg_11", "fuzhou_2022")]
    found = diff_packs(*packs)
    assert [change.name for change in found.sets] == ["or_px"]
    assert found.severities == found.exclusions == ()
    assert found.summary()["drg"]["added"]
    again = diff_packs(*packs)
    for one, other in itertools.zip_longest(tell(found, most=10**9), tell(again, most=10**9)):
        assert one == other
