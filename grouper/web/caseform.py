"""A case as the page sends it, or as somebody pastes it: checked, and in the engine's own words."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Final

from grouper.cases import COLUMNS, Kind
from grouper.errors import GrouperError
from grouper.explain import MOST_CODES
from grouper.run.quote import Stay
from grouper.scheme import Scheme
from grouper.scheme.rules import INTEGER_MAX, INTEGER_MIN
from grouper.settlement.numbers import FEN, MAX_FEN, decimal_text
from grouper.web.codesearch import CodeSearch
from grouper.web.settings import MAX_TEXT

NUMBERS: Final = ("sex", "age", "age_days", "weight", "los", "discharge", "icu_hours")
"""Integer columns of the form; those that a scheme declares come behind."""


class FormError(GrouperError):
    """A field of the form that cannot be what was entered.

    Attributes:
        field: its name.
    """

    code: ClassVar[str] = "BAD_FORM"

    def __init__(self, field: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{field}: {message}", hint=hint)
        self.field = field


def number_fields(scheme: Scheme) -> tuple[str, ...]:
    """The integer columns of the form, for a scheme."""
    return (*NUMBERS, *(name for name in scheme.attributes if name not in NUMBERS))


def read_case(form: Mapping[str, Any], scheme: Scheme) -> dict[str, object]:
    """The case of a form, values by column name.

    Raises:
        FormError: a field is too long, or not what its column holds.
    """
    case: dict[str, object] = {"case_id": "case"}
    room = MOST_CODES
    for name in ("dx", "px"):
        case[name] = codes = _codes(name, form.get(name), room)
        room -= len(codes)
    for name in number_fields(scheme):
        case[name] = _integer(name, form.get(name))
    dept = form.get("dept")
    if dept is not None and not (isinstance(dept, str) and len(dept) <= MAX_TEXT):
        raise FormError("dept", f"must be a text of at most {MAX_TEXT} characters")
    case["dept"] = dept or None
    return case


def read_stay(form: Mapping[str, Any], case: Mapping[str, object]) -> Stay | None:
    """What the price depends on; None where no cost is given.

    Raises:
        FormError: a field is not what it must be.
    """
    total = _fen("total_cost", form.get("total_cost"))
    if total is None:
        return None
    compliant = _fen("compliant_cost", form.get("compliant_cost"))
    level = _integer("level", form.get("level"))
    if level not in (1, 2, 3):
        raise FormError("level", "must be 1, 2 or 3")
    pool, month = form.get("pool"), form.get("month")
    if not isinstance(pool, str) or not isinstance(month, str):
        raise FormError("pool", "choose a pool and a month")
    age, los = case.get("age"), case.get("los")
    return Stay(
        level=level,
        pool=pool,
        month=month,
        total=total,
        compliant=total if compliant is None else compliant,
        age=age if isinstance(age, int) else None,
        los=los if isinstance(los, int) else None,
    )


def _codes(name: str, value: Any, room: int) -> list[str]:
    value = [] if value is None else value
    if not isinstance(value, list) or not all(isinstance(code, str) for code in value):
        raise FormError(name, "must be a list of codes")
    if len(value) > room or any(len(code) > MAX_TEXT for code in value):
        raise FormError(
            name,
            f"more than {MOST_CODES} codes in all, or one of more than {MAX_TEXT} characters",
            hint="a stay has a few dozen codes at most",
        )
    return value


def _integer(name: str, value: Any) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,12}\s*", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise FormError(name, "must be a whole number")
    if not INTEGER_MIN <= value <= INTEGER_MAX:
        raise FormError(name, "is too large")
    return value


def _fen(name: str, value: Any) -> int | None:
    if value is None or value == "":
        return None
    found = decimal_text(value.replace(",", "")) if isinstance(value, str) else None
    if found is None or len(value) > MAX_TEXT:
        raise FormError(name, "must be an amount in yuan, such as 8123.45")
    fen = found * FEN
    if fen.denominator != 1 or not 0 <= fen <= MAX_FEN:
        raise FormError(name, "must be whole fen, and not negative")
    return fen.numerator


# --- pasting ----------------------------------------------------------------------------------


@dataclass
class Pasted:
    """A case found in a text.

    Attributes:
        case: values by field of the form; codes as they are to be shown.
        ignored: pieces of the text that are nothing known.
    """

    case: dict[str, Any] = field(default_factory=lambda: {"dx": [], "px": []})
    ignored: list[str] = field(default_factory=list)


_SPLIT = re.compile(r"[\s,;|、，；]+")
_LABELLED = re.compile(r"([^\s:=：＝]{1,24})\s*[:=：＝]\s*([^\s,;，；]+)")
_NUMBER = re.compile(r"\d{1,7}")
_AGE = re.compile(r"(\d{1,3})\s*(?:周)?岁")
_SEXES = {"男": 1, "女": 2, "male": 1, "female": 2, "m": 1, "f": 2}
_DX_SHAPE = re.compile(r"[A-Za-z]\d\d?.*")
_PX_SHAPE = re.compile(r"\d{2}\.\d.*")
_MORE_LABELS = {
    "诊断": "dx",
    "主要诊断": "dx",
    "其他诊断": "dx",
    "次要诊断": "dx",
    "手术": "px",
    "手术操作": "px",
    "主要手术": "px",
    "其他手术": "px",
    "住院天数": "los",
    "体重": "weight",
    "出生体重": "weight",
    "日龄": "age_days",
    "科室": "dept",
    "总费用": "total_cost",
    "费用": "total_cost",
}


def read_paste(text: str, scheme: Scheme, search: CodeSearch) -> Pasted:
    """A case from whatever was pasted: JSON, a row copied with its header, or codes and names.

    Never fails: what is not understood is handed back as `ignored`.
    """
    labels = _labels(scheme)
    pasted = Pasted()
    for name, value in _pieces(text, labels):
        _take(pasted, name, value, scheme, search)
    return pasted


def _labels(scheme: Scheme) -> dict[str, str]:
    """Field by every name that people give it."""
    known = dict(_MORE_LABELS)
    for name in (*number_fields(scheme), "dx", "px", "dept", "total_cost", "compliant_cost"):
        known[name] = name
        if column := COLUMNS.get(name):
            known |= {key: name for key in (column.zh, column.en, column.national) if key}
    return {key.casefold(): name for key, name in known.items()}


def _pieces(text: str, labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(field, value), the field empty where the text names none."""
    text = text.strip()
    if text.startswith(("{", "[")):
        try:
            yield from _of_json(json.loads(text), labels)
        except (ValueError, RecursionError):
            pass
        else:
            return
    lines = [line for line in text.splitlines() if line.strip()]
    delimiter = "\t" if lines and "\t" in lines[0] else ","
    if len(lines) > 1:
        try:
            rows = list(csv.reader(lines[:2], delimiter=delimiter))
        except csv.Error:  # a field longer than the reader takes is no table
            rows = [[]]
        header = [labels.get(name.strip().casefold(), "") for name in rows[0]]
        if "dx" in header and len(rows) > 1:
            for name, value in zip(header, rows[1], strict=False):
                if name:
                    yield name, value
            return
    for line in lines:
        rest = line
        for label, value in _LABELLED.findall(line):
            if label.casefold() in labels:
                rest = rest.replace(value, " ", 1).replace(label, " ", 1)
                yield labels[label.casefold()], value
        if found := _AGE.search(rest):
            rest = rest.replace(found[0], " ")
            yield "age", found[1]
        for piece in _SPLIT.split(rest):
            piece = piece.strip(":=：＝()（）\"'")
            if piece:
                yield ("sex" if piece.casefold() in _SEXES else ""), piece


def _of_json(value: object, labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        value = next((one for one in value if isinstance(one, dict)), None)
    if not isinstance(value, dict):
        raise ValueError
    for key, found in value.items():
        name = labels.get(str(key).casefold(), "")
        many: Sequence[object] = found if isinstance(found, list) else [found]
        for one in many:
            if name and one is not None and not isinstance(one, dict | list):
                yield name, str(one)


def _take(pasted: Pasted, name: str, value: str, scheme: Scheme, search: CodeSearch) -> None:
    if name in ("dx", "px"):
        for code in _SPLIT.split(value):
            if code:
                _add(pasted, name, code, search)
    elif name == "sex":
        pasted.case["sex"] = _SEXES.get(value.casefold(), value[:MAX_TEXT])
    elif name in number_fields(scheme):
        number = _NUMBER.search(value)
        if number:
            pasted.case[name] = int(number[0])
        else:
            pasted.ignored.append(value[:MAX_TEXT])
    elif name:
        pasted.case[name] = _text(name, value)
    else:
        _guess(pasted, value, search)


def _text(name: str, value: str) -> str:
    if COLUMNS[name].kind is Kind.MONEY:
        plain = value.replace(",", "").removesuffix("元")
        amount = decimal_text(plain)
        return plain if amount is None else format(Decimal(plain.strip()), "f")
    return value[:MAX_TEXT]


def _guess(pasted: Pasted, value: str, search: CodeSearch) -> None:
    text = unicodedata.normalize("NFKC", value)
    entry = search.get(text)
    if entry is not None:
        _add(pasted, entry.kind, entry.code, search)
    elif _DX_SHAPE.fullmatch(text):
        _add(pasted, "dx", text, search)
    elif _PX_SHAPE.fullmatch(text):
        _add(pasted, "px", text, search)
    else:
        pasted.ignored.append(value[:MAX_TEXT])


def _add(pasted: Pasted, name: str, code: str, search: CodeSearch) -> None:
    entry = search.get(code)
    if sum(len(pasted.case[codes]) for codes in ("dx", "px")) < MOST_CODES:
        pasted.case[name].append(entry.code if entry and entry.kind == name else code[:MAX_TEXT])
    else:
        pasted.ignored.append(code[:MAX_TEXT])
