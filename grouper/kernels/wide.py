"""Exact unsigned arithmetic wider than a machine word, for kernels.

A wide number is four 64-bit limbs, least significant first, in a row of an array or as scalars.
Products are formed modulo 2**256, so a negative addend may be given in two's complement as long as
the final numerator is not negative. Everything here is compiled into its caller.
"""

from __future__ import annotations

import numpy as np
from numpy import int64, uint64

from grouper.kernels.jit import inlined

Wide = tuple[uint64, uint64, uint64, uint64]
LIMBS = 4
LIMB_BITS = 64
WIDE_BITS = LIMBS * LIMB_BITS

_LOW32 = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_B32 = np.uint64(1 << 32)
_TOP = np.uint64(1 << 63)
_S1 = np.uint64(1)
_S63 = np.uint64(63)


@inlined
def multiply(a: uint64, b: uint64) -> tuple[uint64, uint64]:
    """(high, low) limb of the product of two limbs."""
    a0 = a & _LOW32
    a1 = a >> _S32
    b0 = b & _LOW32
    b1 = b >> _S32
    low = a0 * b0
    middle = a1 * b0 + (low >> _S32)
    other = a0 * b1 + (middle & _LOW32)
    return a1 * b1 + (middle >> _S32) + (other >> _S32), (other << _S32) | (low & _LOW32)


@inlined
def divide_two_limbs(high: uint64, low: uint64, divisor: uint64) -> uint64:
    """Quotient of ``high * 2**64 + low`` by one limb. Needs ``high < divisor``.

    Knuth's algorithm D with two 32-bit digits, as there is no 128-bit division to call.
    """
    if high == _ZERO:
        return low // divisor
    shift = _ZERO
    while divisor & _TOP == _ZERO:
        divisor = divisor << _S1
        shift += _ONE
    d1 = divisor >> _S32
    d0 = divisor & _LOW32
    if shift > _ZERO:
        high = (high << shift) | (low >> (np.uint64(64) - shift))
        low = low << shift
    n1 = low >> _S32
    n0 = low & _LOW32
    q1 = high // d1
    rest = high - q1 * d1
    while q1 >= _B32 or q1 * d0 > ((rest << _S32) | n1):
        q1 -= _ONE
        rest += d1
        if rest >= _B32:
            break
    middle = ((high << _S32) | n1) - q1 * divisor
    q0 = middle // d1
    rest = middle - q0 * d1
    while q0 >= _B32 or q0 * d0 > ((rest << _S32) | n0):
        q0 -= _ONE
        rest += d1
        if rest >= _B32:
            break
    return (q1 << _S32) | q0


@inlined
def multiply_wide(a0: uint64, a1: uint64, a2: uint64, a3: uint64, b: uint64) -> Wide:
    """The wide number ``a`` times one limb, modulo 2**256."""
    h0, r0 = multiply(a0, b)
    h1, r1 = multiply(a1, b)
    h2, r2 = multiply(a2, b)
    r1 = r1 + h0
    carry = _ONE if r1 < h0 else _ZERO
    h1 = h1 + carry  # a high limb is at most 2**64 - 2, so this cannot wrap
    r2 = r2 + h1
    carry = _ONE if r2 < h1 else _ZERO
    return r0, r1, r2, a3 * b + h2 + carry


@inlined
def add_wide(
    a0: uint64, a1: uint64, a2: uint64, a3: uint64, b0: uint64, b1: uint64, b2: uint64, b3: uint64
) -> Wide:
    """Sum of two wide numbers, modulo 2**256."""
    r0 = a0 + b0
    c = _ONE if r0 < a0 else _ZERO
    t = a1 + b1
    c1 = _ONE if t < a1 else _ZERO
    r1 = t + c
    c = c1 | (_ONE if r1 < t else _ZERO)
    t = a2 + b2
    c2 = _ONE if t < a2 else _ZERO
    r2 = t + c
    c = c2 | (_ONE if r2 < t else _ZERO)
    return r0, r1, r2, a3 + b3 + c


@inlined
def _not_less(
    a0: uint64, a1: uint64, a2: uint64, a3: uint64, b0: uint64, b1: uint64, b2: uint64, b3: uint64
) -> bool:
    if a3 != b3:
        return bool(a3 > b3)
    if a2 != b2:
        return bool(a2 > b2)
    if a1 != b1:
        return bool(a1 > b1)
    return bool(a0 >= b0)


@inlined
def divide_wide(
    n0: uint64, n1: uint64, n2: uint64, n3: uint64, d0: uint64, d1: uint64, d2: uint64, d3: uint64
) -> tuple[uint64, bool]:
    """(quotient, fits): the wide ``n`` by the wide ``d`` > 0; it fits when below 2**63.

    Most divisors are one limb with a two-limb numerator; the rest, a few cases in a hundred, are
    divided bit by bit.
    """
    if (d1 | d2 | d3) == _ZERO and (n2 | n3) == _ZERO and n1 < d0:
        quotient = divide_two_limbs(n1, n0, d0)
        return quotient, bool(quotient < _TOP)
    # The quotient fits only if n < d * 2**63, that is n >> 63 < d.
    if _not_less(
        (n0 >> _S63) | (n1 << _S1),
        (n1 >> _S63) | (n2 << _S1),
        (n2 >> _S63) | (n3 << _S1),
        n3 >> _S63,
        d0,
        d1,
        d2,
        d3,
    ):
        return _ZERO, False
    r0 = (n0 >> _S63) | (n1 << _S1)
    r1 = (n1 >> _S63) | (n2 << _S1)
    r2 = (n2 >> _S63) | (n3 << _S1)
    r3 = n3 >> _S63
    quotient = _ZERO
    for step in range(63):
        bit = (n0 >> np.uint64(62 - step)) & _ONE
        # The remainder stays below d < 2**255 (the caller's bound), so doubling cannot wrap.
        r3 = (r3 << _S1) | (r2 >> _S63)
        r2 = (r2 << _S1) | (r1 >> _S63)
        r1 = (r1 << _S1) | (r0 >> _S63)
        r0 = (r0 << _S1) | bit
        quotient = quotient << _S1
        if _not_less(r0, r1, r2, r3, d0, d1, d2, d3):
            borrow = _ONE if r0 < d0 else _ZERO
            r0 = r0 - d0
            t = r1 - d1
            b1 = _ONE if r1 < d1 else _ZERO
            b1 = b1 | (_ONE if t < borrow else _ZERO)
            r1 = t - borrow
            t = r2 - d2
            b2 = _ONE if r2 < d2 else _ZERO
            b2 = b2 | (_ONE if t < b1 else _ZERO)
            r2 = t - b1
            r3 = r3 - d3 - b2
            quotient = quotient | _ONE
    return quotient, True


@inlined
def half_up_product(a: int64, b: int64, divisor: uint64) -> tuple[int64, bool]:
    """(half-up of a * b / divisor, whether it fits) for int64 a, b >= 0 and one limb."""
    high, low = multiply(np.uint64(a), np.uint64(b))
    half = divisor >> _S1
    low = low + half
    if low < half:
        high = high + _ONE
    if high >= divisor:
        return np.int64(0), False
    quotient = divide_two_limbs(high, low, divisor)
    return np.int64(quotient), bool(quotient < _TOP)
