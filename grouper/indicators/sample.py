"""Cross-sampling (交叉抽查): stays to be looked at by hand, seeded, stratified, reproducible.

Strata are hospital and class of payment. In each the cases with the smallest hash of seed and id
are taken, so that the sample depends on the seed and the cases alone, never on their order. Each
hospital's sample is looked at by another hospital of its level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import pyarrow as pa

from grouper.errors import RunError
from grouper.indicators.stays import Stays

LEAST: Final = Fraction(1, 10)
"""Section 11: at least 10 % of the stays."""

SAMPLE: Final = pa.schema(
    [
        (name, pa.string())
        for name in ("hospital_id", "class", "case_id", "drg", "month", "cost", "reviewer")
    ]
)
"""The sample, sorted by hospital, class and case; cost in yuan; who looks at it."""

_QUERY: Final = """
WITH drawn AS (
    SELECT hospital_id, class, case_id, coalesce(nullif(drg, ''), '0000') AS drg, month, cost,
        row_number() OVER (PARTITION BY hospital_id, class
            ORDER BY md5('{seed}|' || case_id), case_id) AS place,
        count(*) OVER (PARTITION BY hospital_id, class) AS size
    FROM stays WHERE case_id IS NOT NULL
)
SELECT d.hospital_id, d.class, d.case_id, d.drg, d.month,
    (d.cost / 100)::DECIMAL(38, 2)::VARCHAR AS cost, r.reviewer
FROM drawn d JOIN reviewers r ON r.hospital_id = d.hospital_id
WHERE d.place <= (d.size * {above} + {below} - 1) // {below}
ORDER BY d.hospital_id, d.class, d.case_id
"""


@dataclass(frozen=True)
class Sample:
    """A sample.

    Attributes:
        rows: rows of `SAMPLE`.
        stays: how many stays there are.
    """

    rows: pa.Table
    stays: int


def draw_sample(stays: Stays, share: Fraction, seed: int) -> Sample:
    """Draw a sample; of each stratum the share is rounded up.

    Raises:
        RunError: the share is below 10 % or above all.
    """
    if not LEAST <= share <= 1:
        raise RunError(
            f"a share of {float(share):g} is not between 0.1 and 1",
            hint="the rule of cross-sampling asks for at least 10 % of the stays",
        )
    reviewers = reviewers_of(stays, seed)
    stays.register(
        "reviewers",
        pa.table(
            {
                "hospital_id": pa.array(list(reviewers), pa.string()),
                "reviewer": pa.array(list(reviewers.values()), pa.string()),
            }
        ),
    )
    query = _QUERY.format(seed=int(seed), above=share.numerator, below=share.denominator)
    (count,) = stays.rows("SELECT count(*) FROM stays")[0]
    return Sample(stays.relation(query).to_arrow_table().cast(SAMPLE), count)


def reviewers_of(stays: Stays, seed: int) -> Mapping[str, str]:
    """Who looks at each hospital's sample: the next of its level in a seeded order.

    A hospital that is alone in its level is looked at by the next of all; one that is alone in the
    region by nobody (empty).
    """
    rows = stays.rows(
        "SELECT DISTINCT hospital_id, level FROM stays WHERE hospital_id IS NOT NULL "
        f"ORDER BY md5('{int(seed)}|' || hospital_id), hospital_id"
    )
    order = [hospital for hospital, _ in rows]
    found = {}
    for level in sorted({level for _, level in rows}, key=str):
        mine = [hospital for hospital, other in rows if other == level]
        circle = mine if len(mine) > 1 else order
        for hospital in mine:
            following = circle[(circle.index(hospital) + 1) % len(circle)]
            found[hospital] = following if following != hospital else ""
    return found
