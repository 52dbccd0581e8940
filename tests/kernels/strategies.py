"""Random packs and random cases, drawn from so few codes that they meet often."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from grouper.scheme import rules
from grouper.scheme.pack import Pack
from grouper.scheme.rules import Rule
from tests.scheme import builder

DX = ("A", "A1", "A10", "A10.1", "A11", "A2", "B1", "B10", "B2x", "甲1", "甲10", "C9")
PX = ("0", "01", "01.1", "01.10", "02", "1x", "1x1", "乙", "02.2")
PREFIXES = ("A%", "A1%", "A10%", "B%", "甲%", "C%", "0%", "01%", "1%", "乙%", "%")
OLD = ("old1", "old2", "old3")
STRANGE = (*OLD, None, "", " ", "\t", "\u3000", "a1", "A1%", "Z99", "A10.1 ", "01.1\u3000", "%")
FAMILIES = ("F1", "F2")
NUMBERS = ("age", "age_days", "weight", "los", "sex", "icu_hours", "beds", "own.2")
DEPARTMENTS = ("ICU", "0301", "内科")
SETS = ("S0", "S.1", "_2", "S3", "S4")
HUGE = (2**31, 2**31 - 1, 2**31 - 2, -(2**31), -(2**31) + 1, 2**40, -(2**40), 2**63 - 1)

TOML = """\
id = "random"
retry_other_procedures = {retry}
[attributes]
beds = "beds"
"own.2" = "own"
"""


def _compared() -> st.SearchStrategy[tuple[rules.Comparison, int]]:
    comparison = st.sampled_from(("==", "!=", "<", "<=", ">", ">="))
    return st.tuples(comparison, st.integers(-1, 4))  # type: ignore[arg-type]


def _atoms() -> st.SearchStrategy[Rule]:
    lists = st.sampled_from(sorted(rules.LISTS))
    sets = st.sampled_from(SETS)
    edges = st.sampled_from((0, 1, 17, 18, rules.INTEGER_MIN, rules.INTEGER_MAX, -1))
    return st.one_of(
        st.just(rules.TRUE),
        st.sampled_from((rules.Severity("mcc"), rules.Severity("cc"))),
        st.builds(rules.InSet, lists, sets),
        st.builds(rules.InSet, st.sampled_from(("pdx", "ppx", "any_px", "other_px")), sets),
        st.builds(lambda x, s, c: rules.Count(x, s, *c), lists, sets, _compared()),
        st.builds(lambda f, c: rules.Sites(f, *c), st.sampled_from(FAMILIES), _compared()),
        st.builds(
            lambda n, c, v: rules.Compare(n, c[0], v), st.sampled_from(NUMBERS), _compared(), edges
        ),
        st.builds(rules.Discharge, st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple)),
        st.builds(rules.Dept, st.sampled_from(DEPARTMENTS)),
    )


def rule_trees() -> st.SearchStrategy[Rule]:
    return st.recursive(
        _atoms() | st.just(rules.TRUE),
        lambda inner: st.one_of(
            st.builds(rules.Not, inner),
            st.builds(rules.And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
            st.builds(rules.Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        ),
        max_leaves=5,
    )


@st.composite
def packs(draw: st.DrawFn) -> Pack:
    written = st.sampled_from(DX + PX + PREFIXES)
    codes = st.lists(written, min_size=1, max_size=4, unique=True)
    lists = st.sampled_from(("", "x", "y"))
    sets = [(name, code) for name in SETS for code in draw(codes)]
    sites = [
        (family, draw(st.sampled_from(("head", "leg", "arm"))), code)
        for family in FAMILIES
        for code in draw(codes)
    ]
    severity = [(code, level, draw(lists)) for level in ("MCC", "CC") for code in draw(codes)]
    return builder.bare(
        draw(decision_lists()),
        toml=TOML.format(retry=draw(st.sampled_from(("true", "false")))),
        sets=sets,
        sites=sites,
        severity=severity,
        exclusions=[(code, draw(lists)) for code in draw(codes)],
        dx=[(code, "") for code in draw(st.lists(st.sampled_from(DX), max_size=3))],
        px=[(code, "") for code in draw(st.lists(st.sampled_from(PX), max_size=3))],
        dx_map=draw(_map(DX)),
        px_map=draw(_map(PX)),
    )


def _map(own: tuple[str, ...]) -> st.SearchStrategy[list[tuple[str, str]]]:
    given = st.sampled_from((*OLD, *OLD, *own, "a1"))
    return st.lists(st.tuples(given, st.sampled_from((*own, *OLD, "-", "-", "Z99"))), max_size=5)


@st.composite
def decision_lists(draw: st.DrawFn) -> list[tuple[str, str, str, str]]:
    rows: list[tuple[str, str, str, str]] = []
    when = rule_trees().map(str)
    for letter in draw(st.sampled_from(("A", "AB", "BA", "ABC"))):
        rows.append(("mdc", letter, letter, draw(when)))
        for number in range(draw(st.sampled_from((3, 4, 2, 1, 0)))):
            code = letter + draw(st.sampled_from(("A1", "A2", "B1", "QY")))
            rows.append(("adrg", f"{code}_{number}", code, draw(when)))
            endings = draw(st.sampled_from(("9", "135", "15", "53", "")))
            names = [code] if code.endswith("QY") else [code + e for e in endings]
            rows += [("drg", name, name, draw(when)) for name in names]
    return rows


def _mostly(usual: st.SearchStrategy[Any], *rare: Any) -> st.SearchStrategy[Any]:
    chosen = st.sampled_from((*[True] * 12, *rare))
    return chosen.flatmap(lambda c: usual if c is True else st.just(c))


def cases() -> st.SearchStrategy[dict[str, Any]]:
    diagnoses = st.builds(
        lambda first, rest: [first, *rest],
        st.sampled_from(DX * 3 + STRANGE),
        st.lists(st.sampled_from(DX * 2 + STRANGE), max_size=5),
    )
    procedures = st.lists(st.sampled_from(PX * 3 + STRANGE), max_size=4)
    number = st.one_of(
        st.none(), st.integers(-2, 3), st.sampled_from((17, 18)), st.sampled_from(HUGE)
    )
    return st.fixed_dictionaries(
        {
            "case_id": st.sampled_from((*map(str, range(20)), "", "twice", None)),
            "dx": _mostly(diagnoses, [], None),
            "px": _mostly(procedures, None),
            "discharge": st.one_of(st.none(), st.integers(0, 9)),
            "dept": st.sampled_from((None, "", "ICU", "0301", "内科", "elsewhere")),
            **dict.fromkeys(NUMBERS, number),
        }
    )
