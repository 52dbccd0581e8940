"""Amounts in Chinese capitals (人民币大写), as statements are signed with."""

from __future__ import annotations

from typing import Final

_DIGITS: Final = "零壹贰叁肆伍陆柒捌玖"
_PLACES: Final = ("", "拾", "佰", "仟")
_GROUPS: Final = ("", "万", "亿", "万亿", "亿亿")


def capital(fen: int) -> str:
    """An amount in fen, written out so that no digit can be altered.

    >>> capital(140800000)
    '壹佰肆拾万捌仟元整'
    >>> capital(-100305)
    '负壹仟零叁元零伍分'
    """
    sign = "负" if fen < 0 else ""
    yuan, cents = divmod(abs(fen), 100)
    jiao, rest = divmod(cents, 10)
    whole = f"{_integer(yuan)}元" if yuan else ""
    if not cents:
        return f"{sign}{whole or '零元'}整"
    tail = f"{_DIGITS[jiao]}角" if jiao else ("零" if whole else "")
    tail += f"{_DIGITS[rest]}分" if rest else "整"
    return f"{sign}{whole}{tail}"


def _integer(number: int) -> str:
    groups = []
    while number:
        number, group = divmod(number, 10_000)
        groups.append(group)
    text = ""
    gap = False
    for position in reversed(range(len(groups))):
        group = groups[position]
        if not group:
            gap = bool(text)
            continue
        # A zero is said once, wherever digits are left out between two that are said.
        if text and (gap or group < 1000):
            text += "零"
        text += _group(group) + _GROUPS[position]
        gap = False
    return text


def _group(number: int) -> str:
    text = ""
    gap = False
    for place in reversed(range(4)):
        digit = number // 10**place % 10
        if not digit:
            gap = bool(text)
            continue
        text += ("零" if gap else "") + _DIGITS[digit] + _PLACES[place]
        gap = False
    return text
