"""Codes as they stand in spreadsheets: several in a cell, full-width, with blanks, as numbers."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

# A slash stands in codes of morphology only: C81.001M96590/3.
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+*†-]*(?:(?<=[0-9])/[0-9])?%?")
_BLANKS = re.compile(r"[\s\u200b-\u200f\u2060\ufeff\u00ad]+")
_BETWEEN = re.compile(r"[、，,;；|\n\r]+")
_NAMED = re.compile(r"([A-Za-z0-9.+*†/-]+)\s+(\S.*)", re.DOTALL)
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_GROUP = re.compile(r"[A-Z][A-Z0-9]{2,5}")


class Code(NamedTuple):
    """One code of a cell.

    Attributes:
        code: mended; empty where it is none.
        written: as it stands in the cell.
        name: the name behind it in the same cell, mostly empty.
    """

    code: str
    written: str
    name: str = ""

    @property
    def mended(self) -> bool:
        """Whether it stands otherwise in the cell."""
        return self.code != self.written


def plain(text: str) -> str:
    """Full-width characters as half-width ones, and no blanks."""
    if text.isascii() and text.isalnum():
        return text
    return _BLANKS.sub("", unicodedata.normalize("NFKC", text))


def split_codes(text: str) -> list[Code]:
    """The codes of a cell; what is no code has an empty `code`."""
    if _CODE.fullmatch(text):
        return [Code(text, text)]
    found: list[Code] = []
    for piece in _BETWEEN.split(text):
        written = piece.strip(" \t")
        if not written:
            continue
        name = ""
        named = _NAMED.fullmatch(unicodedata.normalize("NFKC", written).strip())
        if named is not None and _CHINESE.search(named.group(2)):
            written, name = named.group(1), named.group(2)
        code = plain(written)
        found.append(Code(code if _CODE.fullmatch(code) else "", written, name))
    return found


def group_code(text: str) -> str:
    """The code of an ADRG or DRG; empty where it is none."""
    code = plain(text).upper()
    return code if _GROUP.fullmatch(code) else ""


def mdc_letter(text: str) -> str:
    """The letter of an MDC written as `MDCB`, `MDC B` or `B`; empty where it is none."""
    code = plain(text).upper().removeprefix("MDC")
    return code if len(code) == 1 and "A" <= code <= "Z" else ""


def flag(text: str) -> str | None:
    """`1`, `0` or empty of a cell that says yes or no; None where it says neither."""
    word = plain(text).lower()
    if word in ("", "-", "/"):
        return ""
    if word in ("1", "是", "y", "yes", "true", "√", "✓", "有", "手术", "or"):
        return "1"
    return "0" if word in ("0", "否", "n", "no", "false", "×", "无", "操作") else None
