"""The two units of account and the one rounding (settlement.md section 1).

Money is an integer number of fen (分). Points (点数), coefficients (系数) and point values (点值)
are integers of 1e-8. Everything in between is an exact rational.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Final

from grouper.cases.registry import FEN as FEN
from grouper.cases.registry import MAX_FEN as MAX_FEN

PLACES = 8
SCALE: Final[int] = 10**PLACES
"""One point, or one yuan of a point value, in units of 1e-8."""

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")


def half_up(numerator: int, denominator: int = 1) -> int:
    """The integer nearest to numerator / denominator; a half goes away from zero (四舍五入)."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    size = (2 * abs(numerator) + denominator) // (2 * denominator)
    return size if numerator >= 0 else -size


def rounded(value: Fraction | int) -> int:
    """A rational rounded half-up to an integer."""
    return half_up(value.numerator, value.denominator)


def p8(value: Fraction | int) -> int:
    """A rational as an integer of 1e-8, rounded half-up."""
    return half_up(value.numerator * SCALE, value.denominator)


def p8_ratio(one: Fraction, other: Fraction) -> int:
    """One / other as an integer of 1e-8, rounded half-up."""
    return half_up(one.numerator * other.denominator * SCALE, one.denominator * other.numerator)


def exact(value: Decimal | int | str) -> Fraction:
    """A decimal as an exact rational."""
    return Fraction(value)


def decimal_text(text: str) -> Fraction | None:
    """The value of a plain decimal such as ``-12.50``; None where the text is anything else."""
    text = text.strip()
    return Fraction(text) if _DECIMAL.fullmatch(text) else None


def money(points: int, value: int) -> Fraction:
    """Points (1e-8) times a point value (1e-8 yuan), in fen, exact."""
    return Fraction(points * value, SCALE * SCALE // FEN)


def yuan_text(fen: int) -> str:
    """An amount in fen as yuan with two places, for messages: ``-12.50``."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // FEN}.{abs(fen) % FEN:02d}"


def points_text(points: int) -> str:
    """An integer of 1e-8 with eight places, for messages: ``88.77225781``."""
    sign = "-" if points < 0 else ""
    return f"{sign}{abs(points) // SCALE}.{abs(points) % SCALE:08d}"
