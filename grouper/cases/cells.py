"""Cells of a CSV file as spreadsheets and people write them, where that can mean one thing only."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from grouper.cases.registry import Column, Kind
from grouper.errors import CaseTableError

PLAIN: Mapping[int, str | None] = (
    {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    | {0x3000: " ", 0xA0: " ", 0xFFE5: "¥"}
    | {0x200B: None, 0xFEFF: None}
)
"""Full-width characters as a Chinese keyboard gives them, and blanks that do not look different."""

_DAY = r"(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|年(\d{1,2})月(\d{1,2})日|(\d\d)(\d\d))"
_TIME = re.compile(_DAY + r"(?:(?:\s+|T)(\d{1,2}):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?", re.ASCII)
_NUMBER = re.compile(
    r"([-+]?)¥?((?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d*)?(?:[eE][-+]?\d{1,2})?)(?:\s?元)?", re.ASCII
)
_SEX = {"男": "1", "女": "2", "男性": "1", "女性": "2"}
_FLAGS = {"是": True, "yes": True, "y": True, "否": False, "no": False, "n": False}
_FLAGS |= {"true": True, "1": True, "false": False, "0": False}
_BETWEEN_CODES = re.compile(r"\s*[|,;、]\s*")
_WRITTEN = {
    Kind.INTEGER: "write a whole number like 79",
    Kind.MONEY: "write yuan like 1234.50, with at most two places",
    Kind.DATE: "write year, month and day like 2024-01-31",
    Kind.TIME: "write times like 2024-01-31 08:30:00",
    Kind.FLAG: "write true or false",
}


def read_cells(
    texts: pa.Array, column: Column, kind: pa.DataType, *, file: str, name: str, first: int
) -> pa.Array:
    """A column of texts as values of a type; a cell of blanks is null.

    Args:
        name: the column's heading in the file.
        first: the row of the file that the first cell stands in.

    Raises:
        CaseTableError: a cell means nothing, or may mean more than one thing.
    """
    coded = texts.dictionary_encode()
    values = []
    for place, text in enumerate(coded.dictionary.to_pylist()):
        try:
            values.append(read_cell(text, column.kind, sex=column.name == "sex"))
        except (ValueError, ArithmeticError) as error:
            row = first + pc.index(coded.indices, place).as_py()
            raise CaseTableError(
                f"cannot be read as CSV: Row #{row}: {name}: {text!r}",
                file=file,
                column=name,
                hint=f"mend the row, or the column: {_WRITTEN[column.kind]};"
                " lists with other columns and ways of writing: `grouper cases import`",
            ) from error
    return pa.array(values, kind).take(coded.indices)


def read_cell(text: str, kind: Kind, *, sex: bool = False) -> object:
    """The value of a text: an int, a Decimal of yuan, a date, a datetime or a bool.

    None where the text is blank.

    Args:
        sex: whether the words for the sexes are taken, too.

    Raises:
        ValueError, ArithmeticError: the text means nothing, or may mean more than one thing.
    """
    plain = text.translate(PLAIN).strip()
    if sex:
        plain = _SEX.get(plain, plain)
    return _READERS[kind](plain) if plain else None


def _time(text: str) -> datetime:
    if not (found := _TIME.fullmatch(text)):
        raise ValueError(text)
    year, _, *parts = found.groups()
    given = [part for part in parts if part]
    month, day, hour, minute, second = given + ["0"] * (_PARTS - len(given))
    return datetime.fromisoformat(
        f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute:0>2}:{second:0>2}"
    )


_PARTS = 5


def _date(text: str) -> date:
    return _time(text).date()


def _number(text: str) -> Decimal:
    if not (found := _NUMBER.fullmatch(text)):
        raise ValueError(text)
    return Decimal(found[1] + found[2].replace(",", ""))


def _money(text: str) -> Decimal:
    yuan = _number(text)
    fen = yuan.quantize(Decimal("0.01"))
    if fen != yuan or abs(fen) >= 10**16:
        raise ValueError(text)
    return fen


def _integer(text: str) -> int:
    number = _number(text)
    whole = int(number)
    if whole != number or abs(whole) >= 2**63 or not text.isascii():
        raise ValueError(text)
    return whole


def _flag(text: str) -> bool:
    if (flag := _FLAGS.get(text.lower())) is None:
        raise ValueError(text)
    return flag


_READERS: dict[Kind, Callable[[str], object]] = {
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.MONEY: _money,
    Kind.INTEGER: _integer,
    Kind.FLAG: _flag,
}


def plain_texts(texts: pa.Array, kind: Kind) -> pa.Array:
    """Texts without blanks at their ends; codes also in plain letters with `|` between them.

    Texts that hold neither blanks nor anything but ASCII are told at the speed of memory and
    given back as they are.
    """
    data, ends = _bytes(texts)
    if len(data) == 0:
        return texts
    blank, wide = bool(data.min() <= _BLANK), bool(data.max() > _ASCII)
    if kind is not Kind.CODES:
        if blank or (wide and _WIDE_BLANK.search(data.tobytes())):
            cut = pc.utf8_trim_whitespace(texts)
            return pc.if_else(pc.equal(cut, ""), pa.scalar(None, pa.string()), cut)
        return texts
    written = data.tobytes()
    parted = b"," in written or b";" in written
    if not (blank or wide or parted):
        return texts
    odd = data <= _BLANK
    if wide:
        odd |= data > _ASCII
    if parted:
        odd |= (data == ord(",")) | (data == ord(";"))
    rows = np.unique(np.searchsorted(ends, np.flatnonzero(odd) + ends[0], "right") - 1)
    mask = np.zeros(len(texts), np.bool_)
    mask[rows] = True
    mended = [_codes(text) for text in texts.take(pa.array(rows)).to_pylist()]
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(mended, pa.string()))


_BLANK = ord(" ")
_ASCII = 0x7F
_WIDE_BLANK = re.compile(rb"\xe3\x80\x80|\xc2\xa0")


def _codes(text: str) -> str | None:
    return _BETWEEN_CODES.sub("|", text.translate(PLAIN).strip()) or None


def _bytes(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """The bytes of a string array, and where each text ends, counted like the first begins."""
    _, offsets, data = texts.buffers()
    if data is None or len(texts) == 0:
        return np.empty(0, np.uint8), np.zeros(1, np.int32)
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]], ends
