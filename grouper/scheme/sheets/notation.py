"""The notation of conditions in spreadsheets, Chinese and English, as rules of the pack.

    (其他诊断 或 手术1) + 手术2        (other diagnosis or procedure 1) + procedure 2
    年龄 < 17岁 且 伴严重合并症或并发症   age < 17 and with MCC
    29天 ≤ 年龄 < 1岁                 离院方式 = 死亡        CB4手术 + CB5手术

`+`, 且, 和 and `and` bind tighter than 或 and `or`; a new line or `;` begins another alternative.
Which codes a list holds, and what 不伴 leaves over, is said by a `Meaning`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Protocol

from grouper.scheme import rules
from grouper.scheme.rules import (
    TRUE,
    And,
    Compare,
    Comparison,
    Count,
    Discharge,
    InSet,
    Not,
    Or,
    Rule,
    Severity,
    Sites,
)
from grouper.scheme.sheets.scan import NotationError, Token, scan
from grouper.scheme.sheets.words import List, list_of

OR_PX = "or_px"
_COMPARISONS: Mapping[str, Comparison] = {
    "不小于": ">=", "不少于": ">=", "至少": ">=", "大于等于": ">=", "大于或等于": ">=", "≥": ">=",
    "≧": ">=", ">=": ">=", "at least": ">=",
    "不大于": "<=", "不超过": "<=", "至多": "<=", "小于等于": "<=", "小于或等于": "<=", "≤": "<=",
    "≦": "<=", "<=": "<=", "at most": "<=",
    "小于": "<", "不足": "<", "<": "<", "less than": "<",
    "大于": ">", "超过": ">", ">": ">", "more than": ">",
    "等于": "==", "=": "==", "==": "==",
    "不等于": "!=", "≠": "!=", "!=": "!=",
}  # fmt: skip
_MIRRORED: Mapping[str, Comparison] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_WAYS: Mapping[str, tuple[int, ...]] = {
    "医嘱离院": (1,), "医嘱转院": (2,), "转社区": (3,), "转院": (2, 3), "转出": (2, 3),
    "非医嘱离院": (4,), "死亡": (5,), "transfer": (2, 3), "transferred": (2, 3), "died": (5,),
    "death": (5,),
}  # fmt: skip
_NUMBERS = ("age", "days", "weight", "los", "icu_hours", "number_of")
# 年龄<17岁伴严重合并症: these begin a condition of their own, so no word stands between.
_FOLLOWING = ("age", "days", "mcc", "any_cc", "some_cc", "rest", "not_mcc")
_COLUMN = {"days": "age_days"}
_DAY_UNITS = ("天", "日", "day", "days")
_YEAR_UNITS = ("岁", "周岁", "year", "years")
_GRAMS = {"kg": 1000, "公斤": 1000, "千克": 1000}


class Meaning(Protocol):
    """What the words of a condition stand for."""

    def listed(self, wanted: List, owner: str, together: bool) -> list[InSet]:
        """The sets of a list, of this group or of `owner`; several where no number is given."""

    def family(self) -> str:
        """The family of body sites."""

    def rest(self) -> Rule:
        """What 不伴 means here."""


def parse_notation(
    text: str, meaning: Meaning, attributes: Mapping[str, str] | None = None
) -> Rule:
    """Read a condition.

    Args:
        text: a condition; behind `rule:` or `规则:` it is one of the pack's rule language.
        meaning: of its words.
        attributes: further integer columns of the pack, name to description; either is understood.

    Raises:
        NotationError: it cannot be read.
    """
    attributes = attributes or {}
    text = unicodedata.normalize("NFKC", text).strip()
    own = re.match(r"(?:rule|规则)\s*:\s*", text, re.IGNORECASE)
    if own is not None:
        try:
            return rules.parse(text[own.end() :], frozenset(attributes))
        except rules.RuleSyntaxError as error:
            raise NotationError(f"{error} (at character {error.column} of the rule)") from None
    # 入组条件1: … begins an alternative and says nothing more.
    text = re.sub(r"(?:^|(?<=[\n;]))\s*(?:入组)?条件\s*[0-9一二三四五六]?\s*:", "", text)
    tokens = list(scan(text, attributes))
    if not any(token.kind not in ("blank", "end") for token in tokens):
        raise NotationError("the condition is empty")
    return _Parser(tokens, meaning).whole()


class _Parser:
    def __init__(self, tokens: list[Token], meaning: Meaning) -> None:
        self.tokens = tokens
        self.meaning = meaning
        self.at = 0
        self.depth = 0
        # 同时包含以下手术: every list that the word may mean.
        self.together = any(t.kind == "and" and t.text == "同时" for t in tokens)

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def next(self) -> Token:
        token = self.token
        self.at += 1
        return token

    def accept(self, kind: str) -> Token | None:
        return self.next() if self.token.kind == kind else None

    def fail(self, expected: str) -> NotationError:
        found = repr(self.token.text) if self.token.text.strip() else "the end"
        return NotationError(f"expected {expected}, found {found} at character {self.token.at + 1}")

    def whole(self) -> Rule:
        rule = self.rule()
        if self.token.kind != "end":
            raise self.fail("+ (和), 或 or the end")
        return rule

    def rule(self) -> Rule:
        terms: list[Rule] = []
        while self.token.kind not in ("end", "close"):
            if self.accept("or"):
                continue
            terms.append(self.term())
            if self.token.kind not in ("or", "end", "close"):
                raise self.fail("+ (和), 或 or the end")
        if not terms:
            raise self.fail("a condition")
        return joined(Or, terms)

    def term(self) -> Rule:
        while self.accept("and"):
            pass
        factors = [self.factor()]
        while self.token.kind in ("and", *_FOLLOWING):
            while self.accept("and"):
                pass
            factors.append(self.factor())
        return joined(And, factors)

    def factor(self) -> Rule:
        self.depth += 1
        if self.depth > 50:
            raise NotationError("nested more than 50 deep")
        try:
            if self.accept("not"):
                return Not(self.factor())
            if self.accept("open"):
                inner = self.rule()
                if not self.accept("close"):
                    raise self.fail("a closing bracket")
                return inner
            return self.atom()
        finally:
            self.depth -= 1

    def atom(self) -> Rule:
        kind = self.token.kind
        simple = _SIMPLE.get(kind)
        if simple is not None:
            self.next()
            return simple
        if kind in _NUMBERS:
            return self.compared()
        reader = self.readers().get(kind)
        if reader is None:
            raise self.fail("a condition such as 主要诊断, 手术1, 年龄 < 17岁 or 伴严重合并症")
        return reader()

    def readers(self) -> Mapping[str, Callable[[], Rule]]:
        return {
            "list": self.listed,
            "owner": self.listed,
            "rest": self.leftover,
            "number": self.bounded,
            "comparison": self.unnamed,
            "discharge": self.discharge,
            "way": self.discharge,
            "sex": self.sex,
            "sites": self.sites,
            "dept": self.dept,
        }

    def leftover(self) -> Rule:
        self.next()
        return self.meaning.rest()

    def listed(self) -> Rule:
        owner = self.accept("owner")
        word = self.accept("list")
        if word is None:
            raise self.fail("a list such as 主要诊断 or 手术1")
        text = "主要诊断" if word.text == "主诊表" else word.text
        number = self.accept("number")
        named = list_of(text + (number.text if number else ""))
        if named is None:
            raise NotationError(f"cannot read the list {text!r} at character {word.at + 1}")
        sets = self.meaning.listed(named, owner.text.upper() if owner else "", self.together)
        if self.token.kind == "comparison":
            comparison, value, _ = self.bound()
            if len(sets) != 1:
                raise NotationError("only one list can be counted; give its number")
            return Count(sets[0].codes, sets[0].set, comparison, value)
        return joined(And if self.together else Or, list(sets))

    def bound(self) -> tuple[Comparison, int, str]:
        """`≥ 2 岁`: comparison, value and unit."""
        word = self.accept("comparison")
        if word is None:
            raise self.fail("a comparison such as < or ≥")
        value, unit = self.value()
        return _COMPARISONS[word.text.lower()], value, unit

    def value(self) -> tuple[int, str]:
        number = self.accept("number")
        if number is None:
            raise self.fail("a number")
        word = self.accept("unit")
        while self.token.kind == "unit":
            self.next()
        unit = word.text.lower() if word else ""
        exact = float(number.text) * _GRAMS.get(unit, 1)
        if exact != int(exact):
            raise NotationError(f"{number.text} is no whole number; write months as days")
        return int(exact), unit

    def compared(self) -> Rule:
        """`年龄 < 17岁`, `体重 1500-2499g`."""
        name = self.next()
        if self.token.kind == "number":
            low, low_unit = self.value()
            upto = self.accept("upto")
            if upto is not None:
                return _compare(name, _upto(upto), low, low_unit)
            if not self.accept("range"):
                raise self.fail("a comparison, or a range such as 1500-2499")
            high, unit = self.value()
            return And(
                (
                    _compare(name, ">=", low, low_unit or unit),
                    _compare(name, "<=", high, unit),
                )
            )
        return _compare(name, *self.bound())

    def bounded(self) -> Rule:
        """`29天 ≤ 年龄 < 1岁`."""
        value, unit = self.value()
        upto = self.accept("upto")
        if upto is not None:
            return self.of_age(_upto(upto), value, unit)
        word = self.accept("comparison")
        if word is None or self.token.kind not in _NUMBERS:
            raise self.fail("a bound such as 29天 ≤ 年龄")
        comparison = _COMPARISONS[word.text.lower()]
        name = self.next()
        low = _compare(name, _MIRRORED.get(comparison, comparison), value, unit)
        if self.token.kind != "comparison":
            return low
        return And((low, _compare(name, *self.bound())))

    def unnamed(self) -> Rule:
        """`< 17岁`: the unit says that it is an age."""
        return self.of_age(*self.bound())

    def of_age(self, comparison: Comparison, value: int, unit: str) -> Rule:
        if unit not in (*_DAY_UNITS, *_YEAR_UNITS):
            raise NotationError(f"{value}{unit} of what? write 年龄, 体重, 住院天数 or the like")
        return _compare(Token("age", "", 0), comparison, value, unit)

    def discharge(self) -> Rule:
        values: list[int] = []
        if self.accept("discharge"):
            self.accept("comparison")
        bracket = self.accept("open")
        while True:
            word = self.accept("way") or self.accept("number")
            if word is None:
                raise self.fail("a way of discharge such as 死亡 or 5")
            values += _WAYS.get(word.text.lower()) or (int(float(word.text)),)
            # Outside brackets 或 may begin another condition.
            further = (
                self.tokens[self.at + 1].kind if self.token.kind in ("or", "and", "comma") else ""
            )
            listing = bool(bracket) or self.token.text in (",", "、")
            if further not in ("way", "number") or not listing:
                break
            self.next()
        if bracket and not self.accept("close"):
            raise self.fail("a closing bracket")
        return Discharge(tuple(dict.fromkeys(values)))

    def sex(self) -> Rule:
        word = self.next()
        if word.text in ("性别", "sex"):
            self.accept("comparison")
            word = self.accept("sex") or self.accept("number") or word
        values = {"男": 1, "男性": 1, "male": 1, "1": 1, "女": 2, "女性": 2, "female": 2, "2": 2}
        if word.text.lower() not in values:
            raise self.fail("男 (1) or 女 (2)")
        return Compare("sex", "==", values[word.text.lower()])

    def sites(self) -> Rule:
        self.next()
        comparison, value, _ = self.bound()
        return Sites(self.meaning.family(), comparison, value)

    def dept(self) -> Rule:
        self.next()
        self.accept("comparison")
        word = self.accept("text") or self.accept("number")
        if word is None:
            raise self.fail('a department such as "0301"')
        return rules.Dept(word.text.strip('"'))


_OPERATED = InSet("any_px", OR_PX)
_SIMPLE: Mapping[str, Rule] = {
    "either": TRUE,
    "no_px": Not(_OPERATED),
    "all_px": _OPERATED,
    "main_px": InSet("ppx", OR_PX),
    "mcc": Severity("mcc"),
    "cc": Severity("cc"),
    "any_cc": Or((Severity("mcc"), Severity("cc"))),
    "some_cc": Or((Severity("mcc"), Severity("cc"))),
    "not_mcc": Not(Severity("mcc")),
    "newborn": Compare("age_days", "<=", 28),
}


def _upto(word: Token) -> Comparison:
    """`6岁及以下` includes the six; 以下 alone is read in both ways and therefore not at all."""
    return "<=" if "下" in word.text else ">="


def _compare(name: Token, comparison: Comparison, value: int, unit: str) -> Compare:
    column = name.text if name.kind == "number_of" else _COLUMN.get(name.kind, name.kind)
    if column == "age" and unit in _DAY_UNITS:
        column = "age_days"
    return Compare(column, comparison, value)


def joined(kind: type[And] | type[Or], terms: list[Rule] | list[InSet]) -> Rule:
    """The terms in one, flat, without repeats and without what says nothing."""
    flat: list[Rule] = []
    for term in terms:
        flat.extend(term.terms if isinstance(term, kind) else (term,))
    unique = list(dict.fromkeys(t for t in flat if not (kind is And and t == TRUE)))
    if not unique:
        return TRUE
    return unique[0] if len(unique) == 1 else kind(tuple(unique))
