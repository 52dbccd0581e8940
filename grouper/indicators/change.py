"""Before and after: what became of the indicators (前后对比)."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pyarrow as pa

from grouper.indicators.measure import Key, Measured, key_columns, order, rounded, shown


def change_rate(before: Fraction, after: Fraction) -> Fraction | None:
    """After / before − 1; None where there was nothing before.

    >>> float(change_rate(Fraction(4), Fraction(3)))
    -0.25
    """
    return after / before - 1 if before else None


def percent(share: Fraction, places: int = 2) -> str:
    """A share in percent with a sign, rounded half-up away from zero.

    >>> percent(Fraction(-1, 8), 0)
    '-13 %'
    """
    value = rounded(share * 100, Decimal(1).scaleb(-places))
    return f"{value:+} %"


def changes_table(before: Measured, after: Measured) -> pa.Table:
    """One row per scope and indicator that both runs have.

    Columns: scope, level, hospital_id, month, indicator, unit, numerator_before,
    denominator_before, numerator, denominator (decimals with 8 places), before, after, difference,
    change (after / before − 1), the last four floats for display. Months are matched by the month
    of the year and told as in the later run.
    """
    old = {(_of_year(key), code): value for (key, code), value in before.values.items()}
    codes = {one.code: i for i, one in enumerate(after.indicators)}
    rows = [
        row
        for row in sorted(after.values, key=lambda key: order(key, codes))
        if (_of_year(row[0]), row[1]) in old
    ]
    then = [old[_of_year(key), code] for key, code in rows]
    now = [after.values[row] for row in rows]
    units = {one.code: one.unit for one in after.indicators}
    exact = pa.decimal128(38, 8)
    pairs = [(a.exact, b.exact) for a, b in zip(then, now, strict=True)]
    return pa.table(
        {
            **key_columns([key for key, _ in rows]),
            "indicator": pa.array([code for _, code in rows], pa.string()),
            "unit": pa.array([units[code] for _, code in rows], pa.string()),
            "numerator_before": pa.array([rounded(v.numerator) for v in then], exact),
            "denominator_before": pa.array([Decimal(v.denominator) for v in then], exact),
            "numerator": pa.array([rounded(v.numerator) for v in now], exact),
            "denominator": pa.array([Decimal(v.denominator) for v in now], exact),
            "before": shown(a for a, _ in pairs),
            "after": shown(b for _, b in pairs),
            "difference": shown(None if a is None or b is None else b - a for a, b in pairs),
            "change": shown(
                None if a is None or b is None else change_rate(a, b) for a, b in pairs
            ),
        }
    )


def _of_year(key: Key) -> tuple[str, int, str, str]:
    return key.scope, key.level, key.hospital_id, key.month[5:]
