"""The words of the notation of conditions, as tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_COMPLICATION = r"(?:合并症|并发症)(?:\s*[或和与及]\s*(?:合并症|并发症|伴随病))?"
_EITHER_LEVEL = "(?:严重[或和与及]一般|一般[或和与及]严重)"
_LISTS = (
    r"主要诊断或其他诊断|主要诊断|主诊断|主诊表|其他诊断|次要诊断|诊断"
    r"|(?:主要|其他|主)?手术(?:[或及和]?操作)?|主要操作|操作"
    r"|(?:(?:principal|main|other|secondary|any)\s+)?(?:diagnos[ie]s|dx|procedures?|px)\b"
    r"|(?:pdx|ppx|(?:other|any)_(?:dx|px))(?![a-z_])"
)
_ANY = "(?:任意|任何|全部|所有)"
_COMPARISON = (
    r"不(?:小|少)于|不(?:大|超)[于过]|小于或?等于|大于或?等于|至少|至多|不等于|小于|大于"
    r"|不足|超过|等于|at least\b|at most\b|less than\b|more than\b|<=|>=|!=|==|[<>=≤≥≦≧≠]"
)
TOKENS: tuple[tuple[str, str], ...] = (
    ("blank", r"\s+|[:。]"),
    (
        "no_px",
        r"(?:没有|无)(?:任何|任意)?(?:手术室)?手术(?:或操作|操作)?|no (?:operating )?procedures?\b",
    ),
    (
        "main_px",
        rf"{_ANY}主要手术(?:或操作|操作)?|principal operating(?:-room)? procedure\b",
    ),
    (
        "all_px",
        rf"{_ANY}(?:手术室)?手术(?:或操作|操作)?|any operating(?:-room)? procedure\b",
    ),
    ("not_mcc", rf"不伴有?[与或和及]伴有?一般的?{_COMPLICATION}"),
    ("either", rf"(?:不伴|伴)有?[与或和及](?:不伴|伴)有?(?:{_COMPLICATION})?"),
    (
        "rest",
        rf"不伴有?(?:严重|一般|任何)?(?:{_COMPLICATION})?|without (?:mcc|cc|complications?)\b",
    ),
    ("any_cc", rf"伴有?{_EITHER_LEVEL}的?{_COMPLICATION}|伴有?一般的?{_COMPLICATION}"),
    ("mcc", rf"伴有?(?:严重|重要)的?{_COMPLICATION}|(?:伴|with )?MCC\b"),
    ("some_cc", rf"伴有?{_COMPLICATION}|伴CC\b|with CC\b"),
    ("cc", r"CC\b"),
    ("newborn", r"新生儿|newborn\b"),
    ("discharge", r"离院方式|discharge\b"),
    (
        "way",
        r"非医嘱离院|医嘱离院|医嘱转院|转社区|转院|转出|死亡|transfer(?:red)?\b|died\b|death\b",
    ),
    ("sex", r"性别|sex\b|男性?|女性?|female\b|male\b"),
    ("sites", r"(?:不同)?(?:创伤)?部位|sites?\b"),
    ("dept", r"(?:出院)?科室|dept\b"),
    ("days", r"日龄|年龄天数|出生天数|age[ _]days\b|age in days\b"),
    ("age", r"(?:出生|周岁)?年龄|age\b"),
    ("weight", r"(?:新生儿)?(?:出生|入院)?体重|(?:birth )?weight\b"),
    ("los", r"实际?住院(?:天数|日数?|时间)|住院(?:天数|日数?|时间)|los\b|length of stay\b"),
    (
        "icu_hours",
        r"(?:ICU|重症监护(?:病房|室)?)(?:小时数?|时间|时长)|icu[ _]hours\b",
    ),
    ("comparison", _COMPARISON),
    ("number", r"[0-9]+(?:\.[0-9]+)?"),
    (
        "unit",
        (
            r"周岁|岁|天|日(?!龄)|公斤|千克|克|小时|次|个|处"
            r"|kg\b|g\b|h\b|years?\b|days?\b|hours?\b|times?\b|different\b"
        ),
    ),
    (
        "owner",
        (
        r"(?!(?:any|and|not|the|pdx|ppx)(?![a-z0-9]))"
        r"(?:MDC[A-Z]|[A-Z]{2}[0-9][A-Z0-9]{1,2}|[A-Z][A-Z0-9]{2}(?:_[0-9]{1,2})?)"
        rf"(?=\s*[.的]?\s*(?:{_LISTS}))"
        ),
    ),
    ("list", _LISTS),
    ("upto", r"[及和]以[上下]|\(含\)以[上下]|以[上下]\(含[^)]*\)"),
    ("range", r"[-~]|至|到"),
    ("not", r"不(?:包)?含|除外?|非|not\b|no\b"),
    ("or", r"或者|或|or\b|\|+|[;\n]"),
    ("and", r"并且|而且|同时|以及|[且和与并]|and\b|with\b|伴有?|\+|&+|,"),
    ("noise", r"包含以下|包含|以下|具有|之一|出生时?|的|\.|the\b|in\b|为|在"),
    ("comma", "、"),
    ("open", r"\("),
    ("close", r"\)"),
    ("text", r'"[^"]*"'),
)  # fmt: skip
_SCANNER = re.compile("|".join(f"(?P<{name}>{p})" for name, p in TOKENS), re.IGNORECASE)


class NotationError(ValueError):
    """A condition that cannot be read; the message says what and where."""


class Token(NamedTuple):
    """A word of a condition: its kind (`TOKENS`), its text, and where it stands (from 0)."""

    kind: str
    text: str
    at: int


def scan(text: str, attributes: Mapping[str, str]) -> Iterator[Token]:
    """The tokens of a condition, `end` at last.

    Raises:
        NotationError: there is a word without a meaning.
    """
    names = {re.escape(word): name for name, told in attributes.items() for word in (name, told)}
    own = [(re.compile(word, re.IGNORECASE), names[word]) for word in names if word]
    own.sort(key=lambda item: -len(item[0].pattern))
    at = 0
    while at < len(text):
        for pattern, name in own:
            found = pattern.match(text, at)
            if found is not None:
                yield Token("number_of", name, at)
                break
        else:
            found = _SCANNER.match(text, at)
            if found is None:
                raise NotationError(f"cannot read {text[at : at + 12]!r} at character {at + 1}")
            kind = str(found.lastgroup)
            if kind not in ("blank", "noise") or (kind == "blank" and "\n" in found.group()):
                yield Token("or" if kind == "blank" else kind, found.group(), at)
        at = found.end()
    yield Token("end", "", len(text))
