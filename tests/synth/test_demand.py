"""What a rule asks of a case."""

from __future__ import annotations

import pytest

from grouper.scheme.rules import parse
from grouper.synth.demand import DISCHARGES, Demand, Range, both, demands


def asked(text: str, *, holds: bool = True) -> list[Demand]:
    return demands(parse(text, frozenset({"robot"})), holds)


def names(*texts: str) -> frozenset[str]:
    return frozenset(texts)


def test_a_list_of_all_codes_may_be_met_by_the_principal_or_by_another() -> None:
    assert asked("any_dx in S") == [Demand(pdx_in=names("S")), Demand(dx_in=("S",))]
    assert asked("not any_px in S") == [Demand(ppx_out=names("S"), px_out=names("S"))]


def test_alternatives_multiply_and_contradictions_fall_away() -> None:
    found = asked("(pdx in A or pdx in B) and (mcc or cc)")
    assert [(d.pdx_in, d.mcc, d.cc) for d in found] == [
        (names("A"), True, None),
        (names("A"), None, True),
        (names("B"), True, None),
        (names("B"), None, True),
    ]
    assert asked("pdx in A and not pdx in A") == []
    assert asked("mcc and not (mcc or cc)") == []
    assert asked("age < 17 and age > 20") == []
    assert asked("discharge in (5) and not discharge in (5)") == []
    assert asked('dept == "A" and dept == "B"') == []


def test_negation_goes_down_to_the_atoms() -> None:
    assert asked("not (mcc or cc)") == [Demand(mcc=False, cc=False)]
    assert asked("not (mcc and cc)") == [Demand(mcc=False), Demand(cc=False)]
    assert asked("not true") == []


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("age < 17", [Range(high=16, missing=False)]),
        ("age <= 17", [Range(high=17, missing=False)]),
        ("age > 17", [Range(low=18, missing=False)]),
        ("age == 17", [Range(17, 17, missing=False)]),
        ("age != 17", [Range(high=16, missing=False), Range(low=18, missing=False)]),
        ("not age < 17", [Range(low=17)]),
        ("not age == 17", [Range(high=16), Range(low=18)]),
    ],
)
def test_comparisons_become_ranges_and_only_their_negation_takes_a_null(
    text: str, ranges: list[Range]
) -> None:
    assert [d.numbers["age"] for d in asked(text)] == ranges


def test_counts_become_further_codes() -> None:
    assert asked("count(any_px in S) >= 2") == [
        Demand(ppx_in=names("S"), px_in=("S",)),
        Demand(px_in=("S", "S")),
    ]
    assert asked("count(other_dx in S) == 3") == [Demand(dx_in=("S", "S", "S"))]
    assert asked("count(pdx in S) > 1") == []
    assert asked("count(any_dx in S) < 1") == [Demand(pdx_out=names("S"), dx_out=names("S"))]


def test_sites_ask_for_several_or_bar_them() -> None:
    assert asked("sites(F) >= 2") == [Demand(sites=(("F", 2),))]
    assert asked("not sites(F) >= 2") == [Demand(few_sites=names("F"))]


def test_discharge_and_department() -> None:
    assert asked("discharge in (4, 5)") == [Demand(discharge=frozenset({4, 5}))]
    assert asked("not discharge in (5)") == [Demand(discharge=DISCHARGES - {5})]
    assert asked('not dept == "A03"') == [Demand(not_dept=names("A03"))]


def test_two_lists_of_alternatives_meet_in_every_pair_that_agrees() -> None:
    children, grown = asked("age < 18"), asked("age >= 18")
    assert both(children, grown) == []
    assert len(both(children + grown, asked("sex == 1 or sex == 2"))) == 4
