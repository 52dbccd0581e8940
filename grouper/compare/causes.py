"""Why the value of points differs: each case's change goes to one cause, valued at A's point value.

==============  ==================================================================================
``cases``       the case stands in one run only
``route``       it is paid another way
``moved``       it falls into another DRG
``class``       it is of another class in the same DRG
``weight``      the base points of its DRG differ
``coefficient`` the coefficient of its level differs
``rule``        same DRG, class and benchmark: points follow the cost by another rule or mean
``point_value`` what is left: the points of B at B's point value instead of A's
``rounding``    fen that single roundings leave
==============  ==================================================================================

The effects add up to the change of value, so that nothing is explained twice and nothing left out.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from grouper.compare.pairs import Pairs


class Cause(NamedTuple):
    """A cause and what it changes.

    Attributes:
        kind: one of the words above.
        detail: DRG, level, pool or the two ends of a change.
        cases: cases that it touches.
        points: change of points, B − A; 0 for ``point_value`` and ``rounding``.
        effect: change of value in fen.
    """

    kind: str
    detail: str
    cases: int
    points: float
    effect: int


_CAUSES: Final = """
WITH valued AS (
    SELECT p.*, coalesce(wa.point_value, wb.point_value, 0)::DOUBLE AS worth_a,
           ba.base_points::DOUBLE AS base_a, bb.base_points::DOUBLE AS base_b,
           ba.coefficient::DOUBLE AS factor_a, bb.coefficient::DOUBLE AS factor_b,
           (points_b - points_a)::DOUBLE AS more
    FROM pairs p
    LEFT JOIN a_worth wa ON wa.pool = p.pool AND wa.month = p.month
    LEFT JOIN b_worth wb ON wb.pool = p.pool AND wb.month = p.month
    LEFT JOIN a_bench ba ON ba.drg = p.drg_a AND ba.level = p.level_a
    LEFT JOIN b_bench bb ON bb.drg = p.drg_b AND bb.level = p.level_b
),
kinds AS (
    SELECT *,
        CASE WHEN route_a IS NULL OR route_b IS NULL THEN 'cases'
             WHEN route_a <> route_b THEN 'route'
             WHEN drg_a <> drg_b THEN 'moved'
             WHEN class_a <> class_b THEN 'class'
             WHEN class_a IN ('normal', 'high') THEN 'split'
             WHEN base_a <> base_b AND class_a IN ('low', 'band') THEN 'weight'
             ELSE 'rule' END AS kind,
        cases * (base_b - base_a) * factor_a AS by_weight,
        cases * base_b * (factor_b - factor_a) AS by_factor
    FROM valued WHERE coalesce(route_a, '') = 'drg' OR coalesce(route_b, '') = 'drg'
),
parts AS (
    SELECT kind, CASE kind
            WHEN 'cases' THEN CASE WHEN route_a IS NULL THEN 'B' ELSE 'A' END
            WHEN 'route' THEN route_a || ' → ' || route_b
            WHEN 'moved' THEN drg_a || ' → ' || drg_b
            WHEN 'class' THEN class_a || ' → ' || class_b
            WHEN 'weight' THEN drg_a
            ELSE class_a END AS detail,
        cases, more, more * worth_a AS effect
    FROM kinds WHERE kind <> 'split'
    UNION ALL
    SELECT 'weight', drg_a, cases, by_weight, by_weight * worth_a
    FROM kinds WHERE kind = 'split' AND by_weight <> 0
    UNION ALL
    SELECT 'coefficient', level::VARCHAR, cases, by_factor, by_factor * worth_a
    FROM kinds WHERE kind = 'split' AND by_factor <> 0
    UNION ALL
    SELECT 'rule', class_a, cases, more - coalesce(by_weight, 0) - coalesce(by_factor, 0),
           (more - coalesce(by_weight, 0) - coalesce(by_factor, 0)) * worth_a
    FROM kinds WHERE kind = 'split'
        AND abs(more - coalesce(by_weight, 0) - coalesce(by_factor, 0)) > 1e-6 * cases
    UNION ALL
    SELECT 'point_value', pool, cases_b, 0,
           (value_b - value_a)::DOUBLE - more * worth_a
    FROM kinds
)
SELECT kind, detail, sum(cases)::BIGINT, round(sum(more), 4), round(sum(effect) * 100)::BIGINT
FROM parts GROUP BY ALL HAVING abs(sum(effect)) >= 0.005 ORDER BY abs(sum(effect)) DESC, 1, 2
"""


def find_causes(pairs: Pairs) -> list[Cause]:
    """All causes, the largest effect first."""
    causes = [Cause(*row) for row in pairs.rows(_CAUSES)]
    change = pairs.rows("SELECT coalesce((sum(value_b - value_a) * 100)::BIGINT, 0) FROM pairs")
    rest = change[0][0] - sum(cause.effect for cause in causes)
    if rest:
        causes.append(Cause("rounding", "", 0, 0.0, rest))
    return causes
