"""Supervision: rates per hospital, DRG and month, against peers and the own past.

A rate is held against the pooled rate of the other hospitals of the level (同级) in the same DRG
and month, and against the same hospital's earlier months. It is told when it exceeds one of them by
the factor of the policy and stands on enough cases. All comparisons multiply integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv as pacsv

from grouper.errors import RegionError
from grouper.indicators.signals import (
    CASE_MIX_RISE,
    REFUSALS,
    SIGNALS,
    SURGICAL,
    Signal,
    limits_of,
)
from grouper.indicators.stays import Stays
from grouper.settlement.parquetfile import column_names

OUTPATIENT: Final = ("person_id", "date", "amount")
"""Columns of the region's optional outpatient.parquet: person, day, cost in yuan."""

RATES: Final = pa.schema(
    [
        ("signal", pa.string()),
        ("hospital_id", pa.string()),
        ("drg", pa.string()),
        ("month", pa.string()),
        ("cases", pa.int64()),
        ("among", pa.int64()),
        ("peer_cases", pa.int64()),
        ("peer_among", pa.int64()),
        ("past_cases", pa.int64()),
        ("past_among", pa.int64()),
        ("rate", pa.float64()),
        ("peer_rate", pa.float64()),
        ("past_rate", pa.float64()),
        ("above_peers", pa.bool_()),
        ("above_past", pa.bool_()),
    ]
)
"""`drg` and `month` are empty where a rate is over all; rates are floats for display."""

UNGROUPED: Final = "0000"
"""Stands for the cases without a DRG."""

CASES: Final = pa.schema(
    [
        (name, pa.string())
        for name in ("signal", "hospital_id", "drg", "month", "case_id", "other_case_id", "shows")
    ]
)
"""The cases behind the rates."""

_ORDER: Final = "admission_date, discharge_date, case_id"
_WATCHED: Final = f"""
CREATE TABLE watched AS
WITH known AS (
    SELECT * REPLACE (coalesce(nullif(drg, ''), '{UNGROUPED}') AS drg) FROM stays
    WHERE hospital_id IS NOT NULL AND month IS NOT NULL
),
followed AS (
    SELECT case_id,
        admission_date - lag(discharge_date) OVER whole AS previous_gap,
        lag(case_id) OVER whole AS previous_other,
        admission_date - lag(discharge_date) OVER same AS group_gap,
        lag(case_id) OVER same AS group_other
    FROM known
    WHERE person_id IS NOT NULL AND admission_date IS NOT NULL AND discharge_date IS NOT NULL
    WINDOW whole AS (PARTITION BY person_id, hospital_id ORDER BY {_ORDER}),
        same AS (PARTITION BY person_id, hospital_id, drg ORDER BY {_ORDER})
)
SELECT k.*, f.* EXCLUDE (case_id),
    substr(k.adrg, 2, 1) IN ({", ".join(f"'{letter}'" for letter in SURGICAL)}) AS surgical,
    b.cases::HUGEINT AS bound_cases, (b.cost_sum * 100)::HUGEINT AS bound_cost,
    (k.month || '-01')::DATE + INTERVAL 1 MONTH + INTERVAL {{days}} DAY AS upload_deadline,
    coalesce(o.before, 0) AS cost_before, coalesce(o.after, 0) AS cost_after,
    r.case_id IS NOT NULL AS reviewed, e.case_id IS NOT NULL AS edited
FROM known k
LEFT JOIN followed f ON f.case_id = k.case_id
LEFT JOIN statistics b ON b.drg = k.drg AND b.level = {{level}} AND b.cases > 0
    AND k.status = 'grouped'
LEFT JOIN beside o ON o.case_id = k.case_id
LEFT JOIN review_ids r ON r.case_id = k.case_id
LEFT JOIN edited_ids e ON e.case_id = k.case_id
"""

_BESIDE: Final = """
CREATE TABLE beside AS
SELECT s.case_id,
    sum(fen) FILTER (o.date >= s.admission_date - {before} AND o.date < s.admission_date) AS before,
    sum(fen) FILTER (o.date > s.discharge_date AND o.date <= s.discharge_date + {after}) AS after
FROM stays s JOIN outpatient o ON o.person_id = s.person_id
    AND o.date BETWEEN s.admission_date - {before} AND s.discharge_date + {after}
GROUP BY s.case_id
"""

_RATES: Final = """
WITH counted AS (
    SELECT hospital_id, level, coalesce(drg, '') AS drg, coalesce(month, '') AS month,
        grouping(drg) AS all_drgs, grouping(month) AS all_months,
        count(*) FILTER ({when}) AS cases, count(*) AS among
    FROM {watched} WHERE {among}
    GROUP BY GROUPING SETS ({sets})
), held AS (
    SELECT *,
        sum(cases) OVER peers - cases AS peer_cases, sum(among) OVER peers - among AS peer_among,
        CASE all_months WHEN 0 THEN coalesce(sum(cases) OVER past, 0) ELSE 0 END AS past_cases,
        CASE all_months WHEN 0 THEN coalesce(sum(among) OVER past, 0) ELSE 0 END AS past_among
    FROM counted
    WINDOW peers AS (PARTITION BY level, all_drgs, drg, all_months, month),
        past AS (PARTITION BY hospital_id, all_drgs, drg, all_months ORDER BY month
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT '{code}' AS signal, hospital_id, drg, month, cases, among,
    peer_cases::BIGINT AS peer_cases, peer_among::BIGINT AS peer_among,
    past_cases::BIGINT AS past_cases, past_among::BIGINT AS past_among,
    cases / among AS rate, peer_cases / nullif(peer_among, 0) AS peer_rate,
    past_cases / nullif(past_among, 0) AS past_rate,
    among >= {least} AND peer_among > 0 AND cases::HUGEINT * peer_among * {peer_below}
        > peer_cases::HUGEINT * among * {peer_above} AS above_peers,
    among >= {least} AND past_among >= {least} AND cases::HUGEINT * past_among * {past_below}
        > past_cases::HUGEINT * among * {past_above} AS above_past
FROM held WHERE cases > 0
ORDER BY hospital_id, drg, month
"""

_EVERY: Final = {
    "watched": "watched",
    "sets": "(hospital_id, level), (hospital_id, level, drg), (hospital_id, level, month), "
    "(hospital_id, level, drg, month)",
}
_WHOLE: Final = {
    "watched": "(SELECT * REPLACE (NULL::VARCHAR AS drg, NULL::VARCHAR AS month) FROM watched)",
    "sets": "(hospital_id, level, drg, month)",
}

_FIRST: Final = "QUALIFY row_number() OVER (PARTITION BY hospital_id ORDER BY month, case_id) <= {}"

_CASES: Final = """
SELECT '{code}' AS signal, hospital_id, drg, month, case_id,
    coalesce({other}, '') AS other_case_id, coalesce(({shows})::VARCHAR, '') AS shows
FROM watched WHERE ({among}) AND ({when})
{only}
ORDER BY hospital_id, drg, month, case_id
"""

# Weight, cost and stay of a month against the months before it: (sum, cases) each, as integers.
_RISE: Final = """
WITH months AS (
    SELECT hospital_id, month, count(*) AS cases, sum(coalesce(weight, 0))::HUGEINT AS weight,
        sum(cost)::HUGEINT AS cost, sum(coalesce(los, 0))::HUGEINT AS los
    FROM watched WHERE status = 'grouped' GROUP BY hospital_id, month
), held AS (
    SELECT *, sum(cases) OVER past AS n, sum(weight) OVER past AS w, sum(cost) OVER past AS c,
        sum(los) OVER past AS l
    FROM months WINDOW past AS (PARTITION BY hospital_id ORDER BY month
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT hospital_id, month, cases, weight, cost, los, n::HUGEINT AS past_cases,
    w::HUGEINT AS past_weight, c::HUGEINT AS past_cost, l::HUGEINT AS past_los
FROM held
WHERE cases >= {least} AND n >= {least} AND weight * n * 20 > w * cases * 21
    AND cost * n <= c * cases AND los * n <= l * cases
ORDER BY hospital_id, month
"""


@dataclass(frozen=True)
class Supervised:
    """What supervision found.

    Attributes:
        stays: the stays that it looked at.
        absent: the columns or files that a signal lacks, by signal.
    """

    stays: Stays
    absent: dict[str, tuple[str, ...]]

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The signals that were evaluated."""
        return tuple(one for code, one in SIGNALS.items() if code not in self.absent)

    def signals_table(self) -> pa.Table:
        """One row per signal, evaluated or not, in their order.

        Columns: signal, evaluated, absent, cases, among (over the region), rate (float), en, zh.
        """
        limits = limits_of(self.stays.policy)
        counts: dict[str, tuple[int, int]] = {}
        for one in self.signals:
            words = self._words(one)
            query = "SELECT count(*) FILTER ({when}), count(*) FROM watched WHERE {among}"
            counts[one.code] = self.stays.rows(query.format(**words))[0]
        none = (None, None)
        rows = [(one, *counts.get(code, none)) for code, one in SIGNALS.items()]
        return pa.table(
            {
                "signal": pa.array(list(SIGNALS), pa.string()),
                "evaluated": pa.array([code in counts for code in SIGNALS], pa.bool_()),
                "absent": pa.array([", ".join(self.absent.get(c, ())) for c in SIGNALS]),
                "cases": pa.array([cases for _, cases, _ in rows], pa.int64()),
                "among": pa.array([among for _, _, among in rows], pa.int64()),
                "rate": pa.array([c / n if n else None for _, c, n in rows], pa.float64()),
                "en": pa.array([one.en.format(**limits) for one, _, _ in rows], pa.string()),
                "zh": pa.array([one.zh.format(**limits) for one, _, _ in rows], pa.string()),
            }
        )

    def rates(self) -> Iterator[pa.RecordBatch]:
        """Rows of `RATES`, sorted by signal in their order, hospital, DRG, month."""
        yield from self._rates(_EVERY)

    def hospital_rates(self) -> Iterator[pa.RecordBatch]:
        """The rows of `rates` over all DRGs and months."""
        yield from self._rates(_WHOLE)

    def _rates(self, cut: dict[str, str]) -> Iterator[pa.RecordBatch]:
        rules = self.stays.policy.supervision
        peer, past = Fraction(rules.peer_factor), Fraction(rules.past_factor)
        for one in self.signals:
            query = _RATES.format(
                **self._words(one),
                **cut,
                least=rules.min_cases,
                peer_above=peer.numerator,
                peer_below=peer.denominator,
                past_above=past.numerator,
                past_below=past.denominator,
            )
            yield from self._batches(query, RATES)

    def cases(self) -> Iterator[pa.RecordBatch]:
        """Rows of `CASES`, sorted by signal, hospital, DRG, month, case."""
        yield from self._cases("")

    def first_cases(self, count: int) -> Iterator[dict[str, str]]:
        """The first cases of each signal and hospital, as rows of `CASES`."""
        for batch in self._cases(_FIRST.format(count)):
            yield from batch.to_pylist()

    def _cases(self, only: str) -> Iterator[pa.RecordBatch]:
        for one in self.signals:
            words = self._words(one)
            query = _CASES.format(**words, only=only, other=one.other or "NULL", shows=one.shows)
            yield from self._batches(query, CASES)

    def case_mix_rises(self) -> pa.Table:
        """Hospitals and months whose mean weight rose by more than 5 % without cost or stay.

        Columns: hospital_id, month, cases, weight (1e-8), cost (fen), los (days), each a sum, and
        past_cases, past_weight, past_cost, past_los of the months before.
        """
        least = self.stays.policy.supervision.min_cases
        names = ("cases", "weight", "cost", "los")
        schema = pa.schema(
            [("hospital_id", pa.string()), ("month", pa.string())]
            + [(name, pa.decimal128(38, 0)) for name in names]
            + [(f"past_{name}", pa.decimal128(38, 0)) for name in names]
        )
        if CASE_MIX_RISE in self.absent:
            return schema.empty_table()
        return pa.Table.from_batches(self._batches(_RISE.format(least=least), schema), schema)

    def _words(self, one: Signal) -> dict[str, str]:
        limits = limits_of(self.stays.policy)
        return {"code": one.code, "when": one.when.format(**limits), "among": one.among}

    def _batches(self, query: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        reader = self.stays.relation(query).to_arrow_reader(65_536)
        for batch in reader:
            if batch.num_rows:
                yield batch.cast(schema)


def supervise(stays: Stays, region: Path | None = None) -> Supervised:
    """Prepare the signals of a run.

    Args:
        stays: the stays of the run.
        region: the region folder, for ``reviews.csv`` and ``outpatient.parquet``; without it the
            reviews are those that the run has decided on.

    Raises:
        RegionError: there is no such folder, or a file in it is faulty.
    """
    if region is not None and not region.is_dir():
        raise RegionError("there is no such region folder", file=str(region), hint="check the path")
    rules = stays.policy
    absent = set(stays.absent) | {REFUSALS}
    _edited(stays, absent)
    _visits(stays, region, absent)
    _reviews(stays, region, absent)
    stays.execute("CREATE MACRO yuan(fen) AS (fen / 100)::DECIMAL(38, 2)::VARCHAR")
    level = "k.level" if rules.low.mean == "level" else "0"
    stays.execute(_WATCHED.format(level=level, days=rules.quality.upload_day - 1))
    missing = {
        code: tuple(name for name in one.needs if name in absent) for code, one in SIGNALS.items()
    }
    missing[CASE_MIX_RISE] = ("los",) if "los" in absent else ()
    return Supervised(stays, {code: names for code, names in missing.items() if names})


def _visits(stays: Stays, region: Path | None, absent: set[str]) -> None:
    path = None if region is None else region / "outpatient.parquet"
    if path is None or not path.is_file():
        absent.add("outpatient.parquet")
        stays.execute("CREATE TABLE beside (case_id VARCHAR, before HUGEINT, after HUGEINT)")
        return
    column_names(path, OUTPATIENT)
    quoted = str(path).replace("'", "''")
    stays.execute(
        "CREATE VIEW outpatient AS SELECT person_id, date::DATE AS date, "
        f"(amount * 100)::BIGINT AS fen FROM read_parquet('{quoted}')"
    )
    rules = stays.policy.supervision
    stays.execute(_BESIDE.format(before=rules.outpatient_before, after=rules.outpatient_after))


def _edited(stays: Stays, absent: set[str]) -> None:
    """The cases whose group a later version of their list changed."""
    if "versions" in stays.run.tables:
        stays.execute(
            "CREATE TABLE edited_ids AS SELECT DISTINCT case_id FROM versions "
            "WHERE change = 'group'"
        )
        return
    absent.add("version")
    stays.execute("CREATE TABLE edited_ids (case_id VARCHAR)")


def _reviews(stays: Stays, region: Path | None, absent: set[str]) -> None:
    if region is None:
        stays.execute(
            "CREATE TABLE review_ids AS SELECT DISTINCT case_id FROM stays "
            "WHERE starts_with(reason, 'review_')"
        )
        return
    path = region / "reviews.csv"
    ids = pa.array([], pa.string())
    if path.is_file():
        options = pacsv.ConvertOptions(
            include_columns=["case_id"], column_types={"case_id": pa.string()}
        )
        try:
            ids = pacsv.read_csv(path, convert_options=options).column("case_id")
        except (pa.ArrowInvalid, KeyError) as cause:
            raise RegionError(
                f"not a table of reviews: {cause}", file=path.name, hint="it needs case_id"
            ) from cause
    else:
        absent.add(path.name)
    stays.register("review_rows", pa.table({"case_id": ids}))
    stays.execute("CREATE TABLE review_ids AS SELECT DISTINCT case_id FROM review_rows")
