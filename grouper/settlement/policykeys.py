"""How a policy key is declared: its value types, its unit, and its meaning in two languages."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from grouper.settlement.numbers import decimal_text


def _exact(value: object) -> Fraction:
    """A TOML number (read as a decimal), or a string such as "1/3", as an exact rational."""
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError('must be a decimal, or a fraction in quotes such as "1/3"')
    if isinstance(value, str):
        above, _, below = value.partition("/")
        numerator, denominator = decimal_text(above), decimal_text(below or "1")
        if numerator is None or not denominator:
            raise ValueError('must be a decimal, or a fraction in quotes such as "1/3"')
        return numerator / denominator
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError("must be finite")
    return Fraction(value)


def exact_text(value: Fraction) -> str:
    """An exact rational as a plain decimal where it has one, else as ``p/q``."""
    for places in range(19):
        scaled = value * 10**places
        if scaled.denominator == 1:
            sign = "-" if scaled < 0 else ""
            digits = str(abs(scaled.numerator)).rjust(places + 1, "0")
            return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)
    return f"{value.numerator}/{value.denominator}"


Exact = Annotated[Fraction, BeforeValidator(_exact), PlainSerializer(exact_text, return_type=str)]
"""An exact decimal or fraction."""

NONE = "none"
"""How a policy file says that an optional value is empty, where another policy gives one."""


def _optional(value: object) -> object:
    return None if value == NONE else value


NotNegative = Annotated[Exact, Field(ge=0)]
Positive = Annotated[Exact, Field(gt=0)]
Share = Annotated[Exact, Field(ge=0, le=1)]
OptionalLimit = Annotated[NotNegative | None, BeforeValidator(_optional)]
OptionalPlainInt = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_optional)]
OptionalPlaces = Annotated[Annotated[int, Field(ge=0, le=12)] | None, BeforeValidator(_optional)]


class Section(BaseModel):
    """A table of the policy file. A key that it does not know is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, validate_default=True
    )


def key(default: Any, en: str, zh: str, *, unit: str = "", source: str = "") -> Any:
    """Declare a policy key.

    Args:
        default: its value where a policy is silent; `...` where it must be given.
        en: its meaning.
        zh: the same in Chinese.
        unit: unit of the value.
        source: article of the document that the key comes from.
    """
    extra: dict[str, Any] = {"zh": zh, "unit": unit, "source": source}
    if isinstance(default, type) and issubclass(default, BaseModel):
        return Field(default_factory=default, description=en, json_schema_extra=extra)
    return Field(default, description=en, json_schema_extra=extra)
