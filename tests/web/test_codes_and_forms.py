"""Finding codes, reading forms, and making a case of whatever was pasted."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grouper.explain import MOST_CODES
from grouper.scheme import Scheme, load_scheme
from grouper.web.caseform import FormError, read_case, read_paste, read_stay
from grouper.web.codesearch import CodeSearch

SCHEME: Scheme = load_scheme("chs-core")
SEARCH = CodeSearch(SCHEME)


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("I21.900", "I21.900"),
        ("i219", "I21.900"),
        ("Ｉ２１．９", "I21.900"),
        ("急性心肌梗死", "I21.900"),
        ("心梗", "I21.900"),
        ("急性 梗死", "I21.900"),
        ("47.09", "47.0900"),
        ("4709", "47.0900"),
        ("阑尾切除", "47.0900"),
    ],
)
def test_what_is_found_first(typed: str, first: str) -> None:
    found = [entry.code for entry in SEARCH.find(typed)]
    assert found
    assert found[0][:5] == first[:5], found


def test_what_is_not_found() -> None:
    assert SEARCH.find("") == []
    assert SEARCH.find("   ") == []
    assert SEARCH.find("no such thing") == []
    assert SEARCH.find("I21", kind="px") == []
    assert SEARCH.get("no such thing") is None
    assert all(entry.kind == "dx" for entry in SEARCH.find("心", kind="dx"))


def test_a_code_has_its_level() -> None:
    entry = SEARCH.get("J96.000")
    assert entry is not None
    assert "MCC" in entry.levels


@given(st.text(max_size=80))
@settings(max_examples=60, deadline=None)
def test_any_text_can_be_searched(text: str) -> None:
    assert len(SEARCH.find(text)) <= 20


@pytest.mark.parametrize(
    "text",
    [
        "I21.900, J96.000; 36.0601 66岁 男",
        "主要诊断：I21.900 其他诊断：J96.000 手术：36.0601 年龄：66 性别：男",
        "诊断 急性心肌梗死 急性呼吸衰竭\n手术 36.0601\nage=66 sex=male",
        "case_id,dx,px,age,sex\n1,I21.900|J96.000,36.0601,66,1",
        "结算病例编号\t诊断编码\t手术操作编码\t年龄\t性别\n1\tI21.900|J96.000\t36.0601\t66\t男",
        json.dumps({"dx": ["I21.900", "J96.000"], "px": "36.0601", "age": 66, "sex": "1"}),
        json.dumps([{"diag_code": "I21.900|J96.000", "oprn_oprt_code": ["36.0601"], "gend": 1,
                     "age": "66"}]),
        "i21.900 ｊ96.000 360601 66岁 M",
    ],
)  # fmt: skip
def test_a_pasted_case(text: str) -> None:
    case = read_paste(text, SCHEME, SEARCH).case
    assert case["dx"] == ["I21.900", "J96.000"]
    assert case["px"] == ["36.0601"]
    read = read_case(case, SCHEME)
    assert (read["age"], read["sex"]) == (66, 1)


def test_unknown_codes_stay_and_words_are_told() -> None:
    pasted = read_paste("Z99.999 98.7654 hello", SCHEME, SEARCH)
    assert pasted.case["dx"] == ["Z99.999"]
    assert pasted.case["px"] == ["98.7654"]
    assert pasted.ignored == ["hello"]


@given(st.text(max_size=300) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
@settings(max_examples=120, deadline=None)
def test_any_text_can_be_pasted(text: str) -> None:
    pasted = read_paste(text, SCHEME, SEARCH)
    assert all(isinstance(code, str) for code in pasted.case["dx"] + pasted.case["px"])


@pytest.mark.parametrize(
    "text",
    [
        *("[" * 50_000, '{"dx":' * 20_000, "I21.900 36.0601 " * 5_000),
        'case_id,dx\n1,"' + "I" * 200_000,
    ],
)
def test_pasted_monsters(text: str) -> None:
    case = read_paste(text, SCHEME, SEARCH).case
    assert len(case["dx"] + case["px"]) <= MOST_CODES


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dx", "I21.900"),
        ("dx", [1]),
        ("dx", ["A"] * (MOST_CODES + 1)),
        ("px", ["9"] * MOST_CODES),
        ("px", ["9" * 65]),
        ("age", "old"),
        ("age", 1.5),
        ("age", True),
        ("age", "99999999999"),
        ("dept", "x" * 65),
        ("dept", 5),
    ],
)
def test_a_form_that_cannot_be(field: str, value: object) -> None:
    with pytest.raises(FormError) as raised:
        read_case({"dx": ["I21.900"], field: value}, SCHEME)
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("total_cost", "1.234"),
        ("total_cost", "-1"),
        ("total_cost", "many"),
        ("total_cost", 5),
        ("total_cost", "9" * 30),
        ("level", "4"),
        ("pool", None),
    ],
)
def test_a_price_that_cannot_be(field: str, value: object) -> None:
    form = {"total_cost": "12,345.60", "level": "2", "pool": "employee", "month": "2024-01"}
    case = read_case({"age": " 66 "}, SCHEME)
    stay = read_stay(form, case)
    assert stay is not None
    assert (stay.total, stay.compliant, stay.age) == (1234560, 1234560, 66)
    with pytest.raises(FormError):
        read_stay({**form, field: value}, case)
    assert read_stay({}, case) is None
