"""The region looks like one: seen with the eyes of someone who knows such data."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pytest

from grouper.scheme import Scheme
from grouper.synth import RegionSummary
from tests.synth.conftest import CASES


@pytest.fixture(scope="module")
def seen(region: RegionSummary, cases: pa.Table, grouped: pa.Table) -> pa.Table:
    """The cases with their groups and the level of their hospital."""
    hospitals = pacsv.read_csv(region.folder / "hospitals.csv").select(["hospital_id", "level"])
    place = pc.index_in(cases["hospital_id"], hospitals["hospital_id"].combine_chunks())
    both = cases.append_column("level", hospitals["level"].take(place))
    for name in ("status", "mdc", "drg", "severity"):
        both = both.append_column(name, grouped[name])
    return both


def one(query: str, seen: pa.Table) -> tuple[float, ...]:
    """One row of a query over `c`, the cases."""
    with duckdb.connect() as connection:
        connection.register("c", seen)
        row = connection.execute(query).fetchone()
    assert row is not None
    return tuple(row)


def test_almost_all_valid_cases_are_grouped(grouped: pa.Table) -> None:
    counts = {row["values"]: row["counts"] for row in grouped["status"].value_counts().to_pylist()}
    assert counts["grouped"] > 0.98 * CASES
    assert 0 < counts["ungrouped"] < 0.02 * CASES


def test_groups_have_a_long_tail(grouped: pa.Table, core: Scheme) -> None:
    found = grouped.filter(pc.not_equal(grouped["drg"], ""))["drg"].value_counts()
    counts = sorted((row["counts"] for row in found.to_pylist()), reverse=True)
    assert len(counts) > 0.95 * len(core.drgs)
    assert sum(counts[: len(counts) // 10]) > 0.35 * CASES
    assert counts[len(counts) // 2] < CASES / len(counts)


def test_lists_have_the_usual_lengths(seen: pa.Table) -> None:
    dx, px, without, most = one(
        "select avg(len(dx)), avg(len(px)), avg((len(px) = 0)::int), max(len(dx)) from c", seen
    )
    assert 5 < dx < 6
    assert 1 < px < 2
    assert 0.1 < without < 0.5
    assert most < 25


def test_codes_hardly_repeat_within_a_case(seen: pa.Table) -> None:
    (repeated,) = one("select avg((len(dx) <> len(list_distinct(dx)))::int) from c", seen)
    assert repeated < 0.01


def test_large_hospitals_see_the_harder_cases(seen: pa.Table) -> None:
    query = """
        select avg(total_cost::double) filter (level = 3),
               avg(total_cost::double) filter (level = 1),
               avg((severity = 'MCC')::int) filter (level = 3),
               avg((severity = 'MCC')::int) filter (level = 1)
        from c
    """
    dear, cheap, severe, mild = one(query, seen)
    assert dear > 2 * cheap
    assert severe > 2 * mild


def test_cost_and_stay_follow_each_other(seen: pa.Table) -> None:
    row = one("select corr(ln(total_cost), ln(los)) from c where total_cost > 0", seen)
    assert row[0] > 0.4


def test_ages_and_sexes_fit(seen: pa.Table) -> None:
    query = """
        select count(*) filter (mdc = 'M' and sex <> 1),
               count(*) filter (mdc in ('N', 'O') and sex <> 2 and dx[1] not like 'Z38%'),
               count(*) filter (mdc = 'O' and age not between 12 and 55 and dx[1] not like 'Z38%'),
               count(*) filter (mdc = 'P' and age > 0), count(*) filter (mdc = 'P'),
               count(*) filter (age = 0 and age_days is null),
               count(*) filter (age > 0 and age_days is not null),
               count(*) filter (age_days <= 28 and weight is null),
               count(*) filter (weight not between 100 and 9999),
               count(*) filter (age > 110), count(*) filter (icu_hours > 24 * los)
        from c
    """
    row = one(query, seen)
    assert row[4] > 0.003 * CASES
    assert [*row[:4], *row[5:]] == [0] * 10


def test_dates_agree(seen: pa.Table) -> None:
    query = """
        select count(*) filter (los <> greatest(1, discharge_date - admission_date)),
               count(*) filter (settle_month < strftime(discharge_date, '%Y-%m')),
               avg((settle_month = strftime(discharge_date, '%Y-%m'))::int),
               count(distinct strftime(discharge_date, '%Y-%m')), avg(los)
        from c where settle_month between '2024-01' and '2024-12'
    """
    wrong, early, same, months, los = one(query, seen)
    assert (wrong, early, months) == (0, 0, 12)
    assert same > 0.95
    assert 5 < los < 10


def test_the_cold_months_have_more_cases_of_the_lungs(seen: pa.Table) -> None:
    winter, summer = one(
        """select count(*) filter (settle_month in ('2024-01', '2024-12')),
                  count(*) filter (settle_month in ('2024-07', '2024-08'))
           from c where mdc = 'E'""",
        seen,
    )
    assert winter > 1.2 * summer


def test_persons_come_again_but_never_while_they_are_there(seen: pa.Table) -> None:
    query = """
        select count(*) / count(distinct person_id)::double,
               count(*) filter (admission_date < last), count(*) filter (sex <> last_sex),
               count(*) filter (age <> last_age), count(*) filter (last_way = 5),
               count(*) filter (drg = last_drg and admission_date - last <= 15)
        from (select *, lag(discharge_date) over w as last, lag(sex) over w as last_sex,
                     lag(age) over w as last_age, lag(drg) over w as last_drg,
                     lag(discharge) over w as last_way
              from c window w as (partition by person_id order by admission_date))
    """
    stays, overlaps, sexes, ages, dead, soon = one(query, seen)
    assert 1.1 < stays < 1.6
    assert (overlaps, sexes, ages, dead) == (0, 0, 0, 0)
    assert soon > 0


def test_money_adds_up(seen: pa.Table) -> None:
    query = """
        select count(*) filter (fund_paid + patient_cash <> total_cost),
               count(*) filter (compliant_cost > total_cost),
               count(*) filter (other_funds > patient_cash),
               count(*) filter (self_pay > patient_cash),
               count(*) filter (least(fund_paid, patient_cash, other_funds, self_pay) < 0),
               count(*) filter (insurance = 'self' and fund_paid > 0),
               sum(fund_paid) / sum(total_cost), count(*) filter (compliant_cost is null)
        from c where total_cost > 0
    """
    *wrong, share, left_out = one(query, seen)
    assert wrong == [0] * 6
    assert 0.5 < share < 0.8
    assert left_out > 0


@pytest.mark.parametrize(
    ("insurance", "low", "high"),
    [("employee", 0.3, 0.5), ("resident", 0.5, 0.7), ("self", 0.003, 0.03)],
)
def test_insurances(cases: pa.Table, insurance: str, low: float, high: float) -> None:
    share = pc.sum(pc.equal(cases["insurance"], insurance)).as_py() / CASES
    assert low < share < high
