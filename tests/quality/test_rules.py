"""Each rule with a case that breaks it and one that does not, and all of them against the twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grouper.quality import Thresholds
from grouper.quality.evaluate import evaluate, make_plan
from grouper.quality.registry import COLUMNS_READ, RULES
from grouper.scheme import Scheme
from tests.quality.lists import DX, GOOD, PX, RETIRED, case, numbered, table
from tests.quality.twin import broken

NEWBORN = {"age": 0, "age_days": 3, "weight": 3200, "dx": ["P07.300"]}
WOMAN = {"sex": 2, "age": 30}


def found(
    scheme: Scheme,
    batch: pa.RecordBatch,
    limits: Thresholds | None = None,
    columns: Sequence[str] = COLUMNS_READ,
) -> list[dict[str, str]]:
    """Rule to value by row."""
    told: list[dict[str, str]] = [{} for _ in range(batch.num_rows)]
    for hit in evaluate(batch, make_plan(scheme, limits or Thresholds(), columns)):
        assert list(hit.rows) == sorted(set(hit.rows.tolist()))
        for row, value in zip(hit.rows.tolist(), hit.value.to_pylist(), strict=True):
            told[row][hit.rule.code] = value
    return told


def of_one(scheme: Scheme, limits: Thresholds | None = None, **changes: Any) -> dict[str, str]:
    (batch,) = table([case(**changes)]).to_batches()
    return found(scheme, batch, limits)[0]


def test_a_good_list_breaks_nothing(scheme: Scheme) -> None:
    assert of_one(scheme) == {}


# rule, a case that breaks it, what is told, and a case close by that does not
EXAMPLES: Mapping[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "sex_diagnosis": (
        {"sex": 2, "dx": ["I63.900", "N40.x00"]}, "N40.x00", {"dx": ["I63.900", "N40.x00"]}
    ),
    "sex_procedure": ({"sex": 2, "px": ["64.0001"]}, "64.0001", {"px": ["64.0001"]}),
    "age_diagnosis": (
        {"sex": 2, "age": 65, "dx": ["O80.000"]}, "O80.000", {**WOMAN, "dx": ["O80.000"]}
    ),
    "age_procedure": (
        {"sex": 2, "age": 8, "px": ["75.6901"]}, "75.6901", {"sex": 2, "age": 9, "px": ["75.6901"]}
    ),
    "age_missing": ({"age": None}, "", {"age": None, "age_days": 100}),
    "age_days_missing": ({"age": 0}, "", {"age": 0, "age_days": 29}),
    "birth_weight_missing": ({**NEWBORN, "weight": None}, "3", {**NEWBORN, "age_days": 29,
                                                               "weight": None}),
    "birth_weight_range": ({**NEWBORN, "weight": 99}, "99", {**NEWBORN, "weight": 100}),
    "dates_order": (
        {"discharge_date": date(2024, 2, 28)}, "2024-03-01, 2024-02-28",
        {"discharge_date": date(2024, 3, 1), "los": 1},
    ),
    "los_differs": ({"los": 6}, "6, 2024-03-01, 2024-03-06", {"los": 5}),
    "no_principal": ({"dx": [" ", "I10.x00"]}, "", {"dx": ["I10.x00"]}),
    "several_principals": ({"principal_count": 2}, "2", {"principal_count": None}),
    "items_differ": (
        {"items_total": Decimal("999.99")}, "1000.00, 999.99", {"items_total": None}
    ),
    "funding_differs": (
        {"fund_paid": Decimal("600.01")}, "1000.00, 600.01, 400.00",
        {"fund_paid": Decimal("600.01"), "patient_cash": Decimal("399.99")},
    ),
    "unknown_diagnosis": (
        {"dx": ["I63.900", "Q", "T"]}, "Q", {"dx": ["I63.900", None, " "]}
    ),
    "unknown_procedure": ({"px": ["01.2300", "01.23x"]}, "01.23x", {"px": ["01.2300", None]}),
    "retired_diagnosis": ({"dx": ["I63.9"]}, "I63.9 → I63.900", {"dx": ["I63.900"]}),
    "retired_procedure": ({"px": ["01.23"]}, "01.23 → 01.2300", {"px": ["01.2300"]}),
    "symptom_principal": ({"dx": ["R50.900"]}, "R50.900", {"dx": ["I63.900", "R50.900"]}),
    "factor_principal": ({"dx": ["Z51.100"]}, "Z51.100", {"dx": ["S72.000", "V01.000"]}),
    "suspected_principal": ({"dx": ["Z03.900"]}, "Z03.900", {"dx": ["I63.900", "Z03.900"]}),
    "surgery_fee_alone": ({"px": [" "]}, "10.00", {"px": [], "surgery_fee": Decimal(0)}),
    "ventilation_differs": (
        {"vent_hours": 96, "px": ["96.7101"]}, "96", {"vent_hours": 95, "px": ["96.7101"]}
    ),
    "late_upload": (
        {"upload_date": date(2024, 4, 14)}, "2024-04-14, 2024-03",
        {"upload_date": date(2024, 4, 13)},
    ),
}  # fmt: skip


def test_there_is_an_example_of_every_rule() -> None:
    assert set(EXAMPLES) == {code for code, rule in RULES.items() if not rule.across}


@pytest.mark.parametrize("code", EXAMPLES)
def test_rule(scheme: Scheme, code: str) -> None:
    bad, told, good = EXAMPLES[code]
    assert of_one(scheme, **bad)[code] == told
    assert code not in of_one(scheme, **good)


@pytest.mark.parametrize(
    ("hours", "px", "differs"),
    [
        (0, ["96.7101"], True), (None, ["96.7101"], False), (5, [], True), (5, ["93.9001"], False),
        (95, ["96.7201"], True), (96, ["96.7201"], False), (200, ["96.7101", "96.7201"], False),
        (200, ["96.7000"], False), (1, ["01.2300"], True),
    ],
)  # fmt: skip
def test_ventilation(scheme: Scheme, hours: int | None, px: list[str], differs: bool) -> None:
    told = of_one(scheme, vent_hours=hours, px=px)
    assert ("ventilation_differs" in told) == differs


def test_thresholds_decide(scheme: Scheme) -> None:
    limits = Thresholds(
        weight_low=300, upload_day=20, accepted_principals=("Z51",), suspected=("R50",)
    )
    assert "birth_weight_range" in of_one(scheme, limits, **{**NEWBORN, "weight": 299})
    assert "late_upload" not in of_one(scheme, limits, upload_date=date(2024, 4, 20))
    assert "factor_principal" not in of_one(scheme, limits, dx=["Z51.100"])
    assert set(of_one(scheme, limits, dx=["R50.900"])) == {
        "symptom_principal", "suspected_principal",
    }  # fmt: skip


def test_times_within_a_day_are_in_order(scheme: Scheme) -> None:
    same = {"discharge_date": date(2024, 3, 1), "los": 1}
    early, late = datetime(2024, 3, 1, 8), datetime(2024, 3, 1, 17)  # noqa: DTZ001
    assert "dates_order" in of_one(scheme, **same, admission_time=late, discharge_time=early)
    assert of_one(scheme, **same, admission_time=early, discharge_time=late) == {}


def test_a_rule_whose_column_is_absent_is_not_evaluated(scheme: Scheme) -> None:
    plan = make_plan(scheme, Thresholds(), [c for c in COLUMNS_READ if c != "vent_hours"])
    assert plan.absent == {"ventilation_differs": ("vent_hours",)}
    (batch,) = table([case(vent_hours=5, px=[])]).drop(["vent_hours"]).to_batches()
    assert not {hit.rule.code for hit in evaluate(batch, plan)} & {"ventilation_differs"}


FORMS = {
    "joined": lambda codes: pa.array([None if c is None else "|".join(c) for c in codes]),
    "large lists": lambda codes: pa.array(codes, pa.large_list(pa.large_string())),
    "dictionary": lambda codes: pa.ListArray.from_arrays(
        pa.array(
            [0, *(sum(len(c) for c in codes[: i + 1]) for i in range(len(codes)))], pa.int32()
        ),
        pa.array([x for c in codes for x in c], pa.string()).dictionary_encode(),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_codes_in_any_form(scheme: Scheme, form: str) -> None:
    lists = [["I63.900"], ["N40.9", "Q"], ["N40.x00"], ["I10.x00", "O80.000", "T"], ["Z03.900"]]
    cases = [case(sex=1 + i % 2, dx=dx) for i, dx in enumerate(lists)]
    (batch,) = table(cases).to_batches()
    other = batch.set_column(batch.schema.get_field_index("dx"), "dx", FORMS[form](lists))
    assert found(scheme, other) == found(scheme, batch)


def test_batches_that_are_slices(scheme: Scheme) -> None:
    cases = [case(dx=["I63.900", code], sex=2) for code in (*DX, "Q", "N40.9")]
    (batch,) = table(cases).to_batches()
    assert found(scheme, batch.slice(2, 9)) == found(scheme, batch)[2:11]


CODES_DX = st.lists(st.sampled_from([*DX, *RETIRED, "Q", "C61", "N40", None, " ", ""]), max_size=4)
CODES_PX = st.lists(st.sampled_from([*PX, "01.23", "75", None, ""]), max_size=3)
DAYS = st.one_of(st.none(), st.dates(date(2024, 2, 26), date(2024, 3, 3)))
AMOUNT = st.one_of(st.none(), st.sampled_from([Decimal("0.00"), Decimal("1.50"), Decimal("3.00")]))
TIMES = st.one_of(st.none(), st.sampled_from([datetime(2024, 3, d) for d in (1, 2)]))  # noqa: DTZ001
CASES = st.fixed_dictionaries(
    {
        "case_id": st.just("c"),
        "person_id": st.just("p"),
        "hospital_id": st.just("H"),
        "settle_month": st.sampled_from([None, "2024-02", "2023-12"]),
        "admission_date": DAYS,
        "discharge_date": DAYS,
        "admission_time": TIMES,
        "discharge_time": TIMES,
        "sex": st.sampled_from([None, 0, 1, 2, 9]),
        "age": st.sampled_from([None, 0, 1, 8, 9, 15, 64, 65]),
        "age_days": st.sampled_from([None, 0, 28, 29]),
        "weight": st.sampled_from([None, 0, 99, 100, 9999, 10000]),
        "los": st.sampled_from([None, 0, 1, 2, 3]),
        "dx": st.one_of(st.none(), CODES_DX),
        "px": st.one_of(st.none(), CODES_PX),
        "principal_count": st.sampled_from([None, 0, 1, 2]),
        "total_cost": AMOUNT,
        "items_total": AMOUNT,
        "fund_paid": AMOUNT,
        "patient_cash": AMOUNT,
        "surgery_fee": AMOUNT,
        "vent_hours": st.sampled_from([None, 0, 95, 96]),
        "upload_date": st.one_of(st.none(), st.dates(date(2024, 1, 12), date(2024, 3, 15))),
    }
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases=st.lists(CASES, min_size=1, max_size=12))
def test_the_twin_agrees(scheme: Scheme, cases: list[dict[str, Any]]) -> None:
    limits = Thresholds(accepted_principals=("Z51",))
    (batch,) = table(numbered(cases)).combine_chunks().to_batches()
    told = found(scheme, batch, limits)
    for row, mine in zip(cases, told, strict=True):
        wanted = broken(row, limits)
        assert set(mine) == set(wanted), row
        for rule, code in wanted.items():
            if code is not None:
                assert mine[rule] == code


def test_the_columns_that_are_read_are_those_of_the_example() -> None:
    # Which lists are repeated follows from their versions, too; no rule looks at one.
    assert set(GOOD) | {"version"} == set(COLUMNS_READ)
