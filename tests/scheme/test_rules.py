"""The rule language: what a text means, and that a tree prints as the same rule."""

from __future__ import annotations

import pytest
from hypothesis import given

from grouper.scheme import rules
from grouper.scheme.rules import (
    TRUE,
    And,
    Compare,
    Count,
    Dept,
    Discharge,
    InSet,
    Not,
    Or,
    Rule,
    Severity,
    Sites,
    parse,
)
from tests.kernels import strategies

MCC, CC = Severity("mcc"), Severity("cc")

MEANINGS: dict[str, Rule] = {
    "true": TRUE,
    "mcc or cc and true": Or((MCC, And((CC, TRUE)))),
    "(mcc or cc) and true": And((Or((MCC, CC)), TRUE)),
    "not mcc and cc": And((Not(MCC), CC)),
    "not not mcc": Not(Not(MCC)),
    "not(mcc or cc)": Not(Or((MCC, CC))),
    "pdx in B.dx": InSet("pdx", "B.dx"),
    "other_px in or_px": InSet("other_px", "or_px"),
    "any_dx in or": InSet("any_dx", "or"),
    "sites(MDCZ)>=2": Sites("MDCZ", ">=", 2),
    "count( any_px in S ) == 0": Count("any_px", "S", "==", 0),
    "age<-1": Compare("age", "<", -1),
    "weight != 007": Compare("weight", "!=", 7),
    "icu_hours > 0": Compare("icu_hours", ">", 0),
    "beds <= 3": Compare("beds", "<=", 3),
    "discharge in (5)": Discharge((5,)),
    "discharge in (4,5, 9)": Discharge((4, 5, 9)),
    'dept == "重症 医学科"': Dept("重症 医学科"),
    'dept == ""': Dept(""),
    "\tmcc  ": MCC,
}


@pytest.mark.parametrize("text", MEANINGS)
def test_meaning(text: str) -> None:
    assert parse(text, frozenset({"beds"})) == MEANINGS[text]


@given(strategies.rule_trees())
def test_a_tree_prints_as_its_rule(tree: Rule) -> None:
    numbers = frozenset(strategies.NUMBERS)
    text = str(tree)
    assert str(parse(text, numbers)) == text
    assert list(rules.atoms(parse(text, numbers))) == list(rules.atoms(tree))


@pytest.mark.parametrize("text", ["TRUE", "mcc OR cc", "Age > 3", "true false", "age > 3 or"])
def test_words_are_small_letters(text: str) -> None:
    with pytest.raises(rules.RuleSyntaxError):
        parse(text)
