"""The built-in scheme: whole, known by its codes, clinically plain, and not for payment."""

from __future__ import annotations

import random
import re
import tomllib
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grouper.grouping import group
from grouper.scheme import Scheme, load_scheme, pack_folder

MDC_ORDER = "APYZMNBCDEFGHIJKLOQRSTUVWX"

# Goals on the published cases; benchmarks/README.md tells what the pack reaches.
AGREEMENT = {"mdc": 0.88, "adrg": 0.78, "drg": 0.72}


@pytest.fixture(scope="module")
def scheme() -> Scheme:
    return load_scheme("chs-core")


def _rows(name: str) -> list[dict[str, str]]:
    lines = (pack_folder("chs-core") / name).read_text("utf-8").splitlines()
    # Names in this pack hold no comma and no quote, so that a line is its columns.
    head, *body = (line.split(",") for line in lines)
    assert all(len(row) == len(head) for row in body), name
    return [dict(zip(head, row, strict=True)) for row in body]


def _grouped(scheme: Scheme, *cases: dict[str, Any]) -> list[dict[str, Any]]:
    plain = {"sex": 1, "age": 50, "age_days": 18_262, "weight": 0, "los": 7, "px": []}
    rows = [{"case_id": str(i), **plain, **case} for i, case in enumerate(cases)]
    answers: list[dict[str, Any]] = group(pa.Table.from_pylist(rows), scheme).to_pylist()
    return answers


def test_says_that_it_is_not_for_payment(scheme: Scheme) -> None:
    told = tomllib.loads((pack_folder("chs-core") / "scheme.toml").read_text("utf-8"))
    assert scheme.id == told["id"] == "chs-core"
    assert "not for payment" in scheme.title
    assert "不得用于医保支付" in scheme.title
    assert told["retry_other_procedures"] is False
    assert scheme.valid_from is not None


def test_holds_every_mdc_and_adrg_of_chs_drg(scheme: Scheme) -> None:
    rows = _rows("groups.csv")
    assert "".join(r["code"] for r in rows if r["level"] == "mdc") == MDC_ORDER
    adrgs = [r["code"] for r in rows if r["level"] == "adrg"]
    assert len(adrgs) == len(set(adrgs)) == 376
    assert len(scheme.drgs) == 628
    assert {drg[:3] for drg in scheme.drgs} == set(adrgs)


def test_every_drg_weighs_more_with_complications(scheme: Scheme) -> None:
    assert set(scheme.weights) == set(scheme.drgs)
    weights = {drg: w.weight or Fraction(0) for drg, w in scheme.weights.items()}
    assert all(Fraction(1, 5) <= w <= 15 for w in weights.values())
    for adrg in {drg[:3] for drg in scheme.drgs}:
        falling = [weights[drg] for drg in scheme.drgs if drg[:3] == adrg]
        assert falling == sorted(set(falling), reverse=True), adrg
    assert 20 < sum(w.basic is True for w in scheme.weights.values()) < 80


def _known_by_set() -> dict[str, list[str]]:
    """Known codes of each set, by its prefixes."""
    known = [r["code"] for name in ("dx.csv", "px.csv") for r in _rows(name)]
    starts: dict[str, tuple[str, ...]] = {}
    for row in _rows("sets.csv"):
        starts[row["set"]] = (*starts.get(row["set"], ()), row["code"].removesuffix("%"))
    return {name: [c for c in known if c.startswith(prefixes)] for name, prefixes in starts.items()}


def test_every_set_has_a_known_code() -> None:
    assert [name for name, codes in _known_by_set().items() if not codes] == []


def test_every_drg_is_reached_by_known_codes(scheme: Scheme) -> None:
    known, levels = _known_by_set(), ["D65.x00", "E10.000", "C50.900", "N10.x00", "I50.900"]
    luck, mdc, cases = random.Random(7), "", []
    for row in _rows("groups.csv"):
        if row["level"] == "mdc":
            mdc = row["when"]
        if row["level"] != "adrg":
            continue
        dx_sets = re.findall(r"(?:pdx|any_dx) in ([\w.]+)", row["when"])
        dx_sets = dx_sets or re.findall(r"pdx in ([\w.]+)", mdc) or ["NZ1.dx", "GW1.dx"]
        px_sets = re.findall(r"(?:ppx|any_px) in ([\w.]+)", row["when"])
        newborn = row["code"].startswith("P")
        for _ in range(150):
            principal = luck.choice(known[luck.choice(dx_sets)])
            dx = [principal, *luck.sample(levels, luck.choice((0, 1)))]
            if newborn and luck.random() < 0.5:
                dx.append("P07.100")
            if row["code"].startswith("Z"):
                dx += ["S42.200", "S82.200"]
            chosen = [s for s in px_sets if luck.random() < 0.8]
            luck.shuffle(chosen)
            days = luck.choice((3, 40)) if newborn else 15_000
            cases.append(
                {
                    "sex": luck.choice((1, 2)),
                    "age": days // 366,
                    "age_days": days,
                    "weight": luck.choice((1200, 1700, 2200, 3000)),
                    "dx": dx,
                    "px": [luck.choice(known[s]) for s in chosen],
                }
            )
    reached = {answer["drg"] for answer in _grouped(scheme, *cases)}
    assert sorted(set(scheme.drgs) - reached) == []


NEWBORN = {"age": 0, "age_days": 1}
WOMAN = {"sex": 2, "age": 28}

KNOWN_CASES: dict[str, tuple[dict[str, Any], str]] = {
    "appendectomy": ({"dx": ["K35.800"], "px": ["47.0100"]}, "GD25"),
    "appendectomy of a perforated appendix": ({"dx": ["K35.200"], "px": ["47.0100"]}, "GD15"),
    "normal delivery": ({**WOMAN, "dx": ["O80.000", "Z37.000"]}, "OR19"),
    "caesarean section": ({**WOMAN, "dx": ["O34.200"], "px": ["74.1x00"]}, "OB19"),
    "ectopic pregnancy, salpingectomy": ({**WOMAN, "dx": ["O00.100"], "px": ["66.6200"]}, "OE19"),
    "hysterectomy for fibroids": ({**WOMAN, "dx": ["D25.900"], "px": ["68.4100"]}, "NC19"),
    "infarction with a stent": ({"dx": ["I21.000", "I10.x00"], "px": ["36.0700"]}, "FM19"),
    "infarction without a procedure": ({"dx": ["I21.000"]}, "FR19"),
    "bypass": ({"dx": ["I25.103"], "px": ["36.1300"]}, "FC19"),
    "pacemaker": ({"dx": ["I49.500"], "px": ["37.8300"]}, "FK39"),
    "heart failure": ({"dx": ["I50.900"]}, "FR25"),
    "pneumonia of a child": ({"age": 4, "age_days": 1500, "dx": ["J18.000"]}, "ES35"),
    "pneumonia with a stroke": ({"dx": ["J18.900", "I63.300"]}, "ES31"),
    "obstructive lung disease": ({"dx": ["J44.100"]}, "ET25"),
    "ventilated for four days": ({"dx": ["J96.000"], "px": ["96.7200"]}, "AH15"),
    "cataract": ({"dx": ["H25.900"], "px": ["13.4100", "13.7100"]}, "CB39"),
    "newborn under 1500 g": ({**NEWBORN, "weight": 1200, "dx": ["P07.100"]}, "PS15"),
    "newborn jaundice": ({**NEWBORN, "weight": 3200, "dx": ["P59.900"]}, "PU15"),
    "chemotherapy": ({"dx": ["Z51.100", "C50.900"], "px": ["99.2500"]}, "RE13"),
    "chemotherapy of acute leukaemia": ({"dx": ["C92.000"], "px": ["99.2500"]}, "RB15"),
    "stroke": ({"dx": ["I63.900"]}, "BR25"),
    "craniotomy after injury": ({"dx": ["S06.500"], "px": ["01.3100"]}, "BB15"),
    "multiple trauma, craniotomy": (
        {"dx": ["S06.500", "S27.200", "S36.000"], "px": ["01.3100"]},
        "ZB19",
    ),
    "gallbladder": ({"dx": ["K80.100"], "px": ["51.2300"]}, "HC29"),
    "liver transplant": ({"dx": ["K74.600"], "px": ["50.5900"]}, "AB19"),
    "hip replacement": ({"dx": ["M16.900"], "px": ["81.5100"]}, "IC29"),
    "broken femur": ({"dx": ["S72.300"], "px": ["79.3500"]}, "IF35"),
    "mastectomy": ({"sex": 2, "dx": ["C50.400"], "px": ["85.4300"]}, "JA29"),
    "thyroid cancer": ({"dx": ["C73.x00"], "px": ["06.4x00"]}, "KD19"),
    "diabetes": ({"dx": ["E11.900"]}, "KS15"),
    "dialysis": ({"dx": ["N18.500"], "px": ["39.9500"]}, "LL15"),
    "prostate": ({"dx": ["N40.x00"], "px": ["60.2900"]}, "MB19"),
    "tonsils": ({"age": 8, "age_days": 3000, "dx": ["J35.000"], "px": ["28.2x00"]}, "DE29"),
    "sepsis": ({"dx": ["A41.900"]}, "SR15"),
    "schizophrenia": ({"dx": ["F20.000"]}, "TR19"),
    "HIV": ({"dx": ["B20.600"]}, "YR15"),
    "skin graft for a large burn": ({"dx": ["T31.500"], "px": ["86.6900"]}, "WB19"),
}


@pytest.mark.parametrize("name", KNOWN_CASES)
def test_a_known_case_falls_where_a_clinician_expects(scheme: Scheme, name: str) -> None:
    case, drg = KNOWN_CASES[name]
    (answer,) = _grouped(scheme, case)
    assert (answer["status"], answer["drg"]) == ("grouped", drg)


def test_a_complication_of_the_same_family_is_excluded(scheme: Scheme) -> None:
    alone, same, other = _grouped(
        scheme,
        {"dx": ["J18.900"]},
        {"dx": ["J18.900", "J15.200"]},
        {"dx": ["J18.900", "E10.000"]},
    )
    assert [alone["drg"], same["drg"], other["drg"]] == ["ES35", "ES35", "ES31"]


# What a clinician counts beside a fracture of the forearm; no code here shares its exclusion list.
BESIDE = {
    "none": "I10.x00 I25.103 I25.200 I67.200 I70.000 E78.500 E79.000 E11.900 K29.500 K21.900"
    " K76.000 N28.100 N20.000 M47.800 M51.200 M81.900 D64.900 G47.000 J20.900 J45.900 I63.800",
    "CC": "I50.900 I48.200 I20.000 I63.900 J44.100 J18.900 J90.x00 D62.x00 E11.200 E87.100"
    " C50.900 C78.700 K74.600 K56.500 K80.000 N18.300 N10.x00 G81.900 L89.100 T81.400 O14.000",
    "MCC": "A41.900 R57.900 J96.000 J80.x00 I21.900 I26.900 I46.000 I61.900 I63.300 G41.900"
    " G93.600 K72.900 K65.000 K85.900 K25.400 N17.900 N18.500 D65.x00 E11.100 L89.300 S06.500",
}


def test_severity_follows_what_complicates(scheme: Scheme) -> None:
    asked = [(code, level) for level, codes in BESIDE.items() for code in codes.split()]
    answers = _grouped(scheme, *({"dx": ["S52.500", code]} for code, _ in asked))
    assert [(code, a["severity"]) for (code, _), a in zip(asked, answers, strict=True)] == asked


def test_a_severity_is_on_the_exclusion_list_of_its_own_block() -> None:
    lists = {row["pdx"].removesuffix("%"): row["exclusion"] for row in _rows("exclusions.csv")}
    severity = _rows("severity.csv")
    assert [r["code"] for r in severity if r["exclusion"] != lists[r["code"][:3]]] == []
    assert [r["code"] for r in severity if not re.fullmatch(r"[A-Z]\d\d(\.\d)?%", r["code"])] == []


def test_agrees_with_the_published_cases_as_told(scheme: Scheme, shared: Path) -> None:
    cases = pq.read_table(shared / "conformance" / "chs_drg_11.parquet")
    answers = group(cases, scheme)
    for column, goal in AGREEMENT.items():
        pairs = zip(
            cases.column(f"expect_{column}").to_pylist(),
            answers.column(column).to_pylist(),
            strict=True,
        )
        same = Counter(expected == got for expected, got in pairs)
        assert same[True] / cases.num_rows >= goal, column
