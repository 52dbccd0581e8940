"""Counting the indicators of a run, for the region, its levels, hospitals and months."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Final

import pyarrow as pa

from grouper.indicators.catalogue import Indicator, chosen
from grouper.indicators.stays import Stays

SCOPES: Final = ("region", "level", "hospital", "month", "hospital_month")
"""What an indicator is counted over."""

_SETS: Final = "(), (level), (hospital_id), (month), (hospital_id, month)"
_SCOPE: Final = (
    "CASE grouping(level) * 4 + grouping(hospital_id) * 2 + grouping(month) "
    "WHEN 7 THEN 0 WHEN 3 THEN 1 WHEN 5 THEN 2 WHEN 6 THEN 3 ELSE 4 END"
)
_EXACT: Final = pa.decimal128(38, 8)
_PLACES: Final = Decimal(1).scaleb(-8)
_WIDE: Final = Context(prec=60)


@dataclass(frozen=True, slots=True)
class Key:
    """What a value is of; what does not apply is empty, or 0."""

    scope: str
    level: int
    hospital_id: str
    month: str


@dataclass(frozen=True, slots=True)
class Value:
    """A value with its numerator and denominator.

    Attributes:
        counts: the value is the numerator, a number of things out of the denominator.
    """

    numerator: Fraction
    denominator: int
    counts: bool = False

    @property
    def exact(self) -> Fraction | None:
        """The quotient, None where the denominator is 0; of a count the count."""
        if self.counts:
            return self.numerator
        return self.numerator / self.denominator if self.denominator else None


@dataclass(frozen=True)
class Measured:
    """The indicators of a run.

    Attributes:
        indicators: those that were counted, in their order.
        absent: the columns that the others lack, by indicator.
        values: by key and indicator.
    """

    indicators: tuple[Indicator, ...]
    absent: dict[str, tuple[str, ...]]
    values: dict[tuple[Key, str], Value]

    @property
    def region(self) -> Key:
        """The key of the whole region."""
        return Key("region", 0, "", "")

    def of(self, code: str, scope: str = "region", **key: object) -> Value:
        """One value; ``key`` as the fields of `Key`."""
        place = Key(
            scope,
            int(str(key.get("level", 0))),
            str(key.get("hospital_id", "")),
            str(key.get("month", "")),
        )
        return self.values[place, code]


def measure(stays: Stays, codes: Sequence[str] | None = None) -> Measured:
    """Count the indicators that the policy names, or these.

    Raises:
        PolicyError: there is no such indicator.
    """
    wanted = chosen(stays.policy.monitoring.shown if codes is None else codes)
    absent = {
        one.code: missing
        for one in wanted
        if (missing := tuple(name for name in one.needs if name in stays.absent))
    }
    counted = tuple(one for one in wanted if one.code not in absent)
    stays.prepare_indicators()
    (drgs,) = stays.rows("SELECT count(*) FROM groups")[0]
    columns = [
        f"{part.format(drgs=drgs)}" for one in counted for part in (one.numerator, one.denominator)
    ]
    columns = [f"coalesce({column}, 0)::VARCHAR" for column in columns]
    keys = [_SCOPE, "coalesce(level, 0)", "coalesce(hospital_id, '')", "coalesce(month, '')"]
    query = f"SELECT {', '.join(keys + columns)} FROM facts GROUP BY GROUPING SETS ({_SETS})"
    values = {}
    for scope, level, hospital, month, *numbers in stays.rows(query):
        key = Key(SCOPES[scope], level, hospital, month)
        for i, one in enumerate(counted):
            above = Fraction(int(numbers[2 * i]), one.scale)
            values[key, one.code] = Value(above, int(numbers[2 * i + 1]), one.counts)
    return Measured(counted, absent, values)


def told(one: Indicator, value: Value) -> str:
    """A value as text: shares in percent, counts whole, money with two places, the rest four."""
    exact = value.exact
    if exact is None:
        return "-"
    if one.counts:
        return f"{int(exact):,}"
    if one.unit == "share":
        return f"{rounded(exact * 100, Decimal('0.01'))} %"
    return f"{rounded(exact, Decimal('0.01' if one.unit else '0.0001')):,}"


def parts_told(one: Indicator, value: Value) -> tuple[str, str]:
    """Numerator and denominator as text."""
    places = 0 if value.numerator.denominator == 1 and one.unit != "yuan" else 2
    return f"{float(value.numerator):,.{places}f}", f"{value.denominator:,}"


def rounded(value: Fraction | None, places: Decimal = _PLACES) -> Decimal | None:
    """A rational to 8 places, half-up; away from zero for negative ones."""
    if value is None:
        return None
    whole = _WIDE.divide(Decimal(value.numerator), Decimal(value.denominator))
    return whole.quantize(places, ROUND_HALF_UP, _WIDE)


def order(key: tuple[Key, str], codes: dict[str, int]) -> tuple[object, ...]:
    """How the rows of a table are sorted: by scope, level, hospital, month, then indicator."""
    place, code = key
    return SCOPES.index(place.scope), place.level, place.hospital_id, place.month, codes[code]


def indicators_table(measured: Measured) -> pa.Table:
    """One row per scope and indicator.

    Columns: scope, level (0 where it does not apply), hospital_id, month, indicator, unit,
    numerator, denominator (decimals with 8 places), value (float, for display: their quotient, of
    a count the numerator).
    """
    codes = {one.code: i for i, one in enumerate(measured.indicators)}
    rows = sorted(measured.values, key=lambda key: order(key, codes))
    values = [measured.values[row] for row in rows]
    units = {one.code: one.unit for one in measured.indicators}
    return pa.table(
        {
            **key_columns([key for key, _ in rows]),
            "indicator": pa.array([code for _, code in rows], pa.string()),
            "unit": pa.array([units[code] for _, code in rows], pa.string()),
            "numerator": pa.array([rounded(v.numerator) for v in values], _EXACT),
            "denominator": pa.array([Decimal(v.denominator) for v in values], _EXACT),
            "value": shown(v.exact for v in values),
        }
    )


def key_columns(keys: Sequence[Key]) -> dict[str, pa.Array]:
    """The key columns of a table."""
    return {
        "scope": pa.array([key.scope for key in keys], pa.string()),
        "level": pa.array([key.level for key in keys], pa.int8()),
        "hospital_id": pa.array([key.hospital_id for key in keys], pa.string()),
        "month": pa.array([key.month for key in keys], pa.string()),
    }


def shown(values: Iterable[Fraction | None]) -> pa.Array:
    """Rationals as floats."""
    return pa.array([None if v is None else float(v) for v in values], pa.float64())
