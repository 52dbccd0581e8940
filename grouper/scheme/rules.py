"""The rule language of a scheme pack (`when` in groups.csv): parser and syntax tree.

Grammar and meaning: scheme-pack.md, "The rule language". A tree is made of frozen dataclasses, so
that equal rules are equal values; `str()` of a tree is a rule again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

ListName = Literal["pdx", "any_dx", "other_dx", "ppx", "any_px", "other_px"]
Comparison = Literal["==", "!=", "<", "<=", ">", ">="]

LISTS: frozenset[str] = frozenset(("pdx", "any_dx", "other_dx", "ppx", "any_px", "other_px"))
DIAGNOSIS_LISTS: frozenset[str] = frozenset(("pdx", "any_dx", "other_dx"))
NUMBERS: tuple[str, ...] = ("age", "age_days", "weight", "los", "sex", "icu_hours")
RESERVED: frozenset[str] = frozenset(
    (*LISTS, *NUMBERS, "or", "and", "not", "in", "true", "mcc", "cc")
) | {"sites", "count", "discharge", "dept"}

# Case values saturate at 32 bits on their way into the kernel, which keeps every comparison with a
# constant inside these bounds exact.
INTEGER_MIN, INTEGER_MAX = -(2**31) + 2, 2**31 - 2


class RuleSyntaxError(ValueError):
    """A rule that cannot be parsed; `column` counts from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True, slots=True)
class Constant:
    """`true`; and what partial evaluation leaves of a decided term."""

    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "not true"


@dataclass(frozen=True, slots=True)
class Severity:
    """`mcc` / `cc`: another diagnosis has the level and is not excluded by the principal one."""

    level: Literal["mcc", "cc"]

    def __str__(self) -> str:
        return self.level


@dataclass(frozen=True, slots=True)
class InSet:
    """`list in SET`."""

    codes: ListName
    set: str

    def __str__(self) -> str:
        return f"{self.codes} in {self.set}"


@dataclass(frozen=True, slots=True)
class Sites:
    """`sites(FAMILY) cmp n`: number of different body sites among all diagnoses."""

    family: str
    comparison: Comparison
    value: int

    def __str__(self) -> str:
        return f"sites({self.family}) {self.comparison} {self.value}"


@dataclass(frozen=True, slots=True)
class Count:
    """`count(list in SET) cmp n`: codes of the list in the set, repeats counted."""

    codes: ListName
    set: str
    comparison: Comparison
    value: int

    def __str__(self) -> str:
        return f"count({self.codes} in {self.set}) {self.comparison} {self.value}"


@dataclass(frozen=True, slots=True)
class Compare:
    """`number cmp n`; false where the number is missing."""

    number: str
    comparison: Comparison
    value: int

    def __str__(self) -> str:
        return f"{self.number} {self.comparison} {self.value}"


@dataclass(frozen=True, slots=True)
class Discharge:
    """`discharge in (…)`; false where the way of discharge is missing."""

    values: tuple[int, ...]

    def __str__(self) -> str:
        return f"discharge in ({', '.join(map(str, self.values))})"


@dataclass(frozen=True, slots=True)
class Dept:
    """`dept == "…"`; false where the department is missing."""

    name: str

    def __str__(self) -> str:
        return f'dept == "{self.name}"'


@dataclass(frozen=True, slots=True)
class Not:
    """`not term`; true where the term compares a missing value."""

    term: Rule

    def __str__(self) -> str:
        return f"not {_bracketed(self.term)}"


@dataclass(frozen=True, slots=True)
class And:
    """All terms hold."""

    terms: tuple[Rule, ...]

    def __str__(self) -> str:
        return " and ".join(_bracketed(t) for t in self.terms)


@dataclass(frozen=True, slots=True)
class Or:
    """At least one term holds."""

    terms: tuple[Rule, ...]

    def __str__(self) -> str:
        return " or ".join(str(t) for t in self.terms)


Atom: TypeAlias = Constant | Severity | InSet | Sites | Count | Compare | Discharge | Dept
Rule: TypeAlias = Atom | Not | And | Or

TRUE = Constant(True)
FALSE = Constant(False)


def _bracketed(rule: Rule) -> str:
    return f"({rule})" if isinstance(rule, And | Or) else str(rule)


def atoms(rule: Rule) -> Iterator[Atom]:
    """The atoms of a rule, left to right."""
    match rule:
        case Not(term):
            yield from atoms(term)
        case And(terms) | Or(terms):
            for term in terms:
                yield from atoms(term)
        case _:
            yield rule


def compares(left: int | None, comparison: Comparison, right: int) -> bool:
    """Whether `left comparison right`; false where `left` is missing."""
    if left is None:
        return False
    match comparison:
        case "==":
            return left == right
        case "!=":
            return left != right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case ">=":
            return left >= right


_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"[^"]*")
      | (?P<integer>-?[0-9]+)
      | (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
      | (?P<mark>==|!=|<=|>=|<|>|\(|\)|,)
    )""",
    re.VERBOSE,
)
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
# Deep nesting would overrun the parser's own stack; no published rule comes near.
_MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            if text[start] == '"':
                raise RuleSyntaxError("a string without its closing quote", start + 1)
            raise RuleSyntaxError(f"unexpected character {text[start]!r}", start + 1)
        kind = cast(str, match.lastgroup)
        found.append(_Token(kind, match.group(kind), match.start(kind) + 1))
        at = match.end()
    found.append(_Token("end", "", end + 1))
    return found


class _Parser:
    def __init__(self, text: str, attributes: frozenset[str]) -> None:
        self.tokens = _tokens(text)
        self.at = 0
        self.depth = 0
        self.numbers = frozenset(NUMBERS) | attributes

    def peek(self) -> _Token:
        return self.tokens[self.at]

    def next(self) -> _Token:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def accept(self, kind: str, text: str) -> bool:
        token = self.peek()
        if token.kind == kind and token.text == text:
            self.at += 1
            return True
        return False

    def fail(self, expected: str, token: _Token) -> RuleSyntaxError:
        found = repr(token.text) if token.text else "the end of the rule"
        return RuleSyntaxError(f"expected {expected}, found {found}", token.column)

    def expect(self, kind: str, text: str | None, expected: str) -> str:
        token = self.next()
        if token.kind != kind or (text is not None and token.text != text):
            raise self.fail(expected, token)
        return token.text

    def rule(self) -> Rule:
        terms = [self.term()]
        while self.accept("word", "or"):
            terms.append(self.term())
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def term(self) -> Rule:
        factors = [self.factor()]
        while self.accept("word", "and"):
            factors.append(self.factor())
        return factors[0] if len(factors) == 1 else And(tuple(factors))

    def factor(self) -> Rule:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise RuleSyntaxError(f"nested more than {_MAX_DEPTH} deep", self.peek().column)
        try:
            if self.accept("word", "not"):
                return Not(self.factor())
            if self.accept("mark", "("):
                inner = self.rule()
                self.expect("mark", ")", "')'")
                return inner
            return self.atom()
        finally:
            self.depth -= 1

    def atom(self) -> Rule:
        token = self.next()
        if token.kind != "word":
            raise self.fail("a condition", token)
        word = token.text
        if word == "true":
            return TRUE
        if word in ("mcc", "cc"):
            return Severity(cast(Literal["mcc", "cc"], word))
        if word in LISTS:
            return InSet(cast(ListName, word), self.set_after_in())
        if word == "sites":
            self.expect("mark", "(", "'(' after sites")
            family = self.name("the name of a site family")
            self.expect("mark", ")", "')'")
            return Sites(family, *self.comparison())
        if word == "count":
            self.expect("mark", "(", "'(' after count")
            listed = self.next()
            if listed.kind != "word" or listed.text not in LISTS:
                raise self.fail("a list (pdx, any_dx, other_dx, ppx, any_px, other_px)", listed)
            name = self.set_after_in()
            self.expect("mark", ")", "')'")
            return Count(cast(ListName, listed.text), name, *self.comparison())
        if word == "discharge":
            return self.discharge()
        if word == "dept":
            self.expect("mark", "==", "'==' after dept")
            return Dept(self.expect("string", None, "a department in double quotes")[1:-1])
        if word in self.numbers:
            return Compare(word, *self.comparison())
        raise RuleSyntaxError(f"unknown name {word!r}", token.column)

    def name(self, expected: str) -> str:
        token = self.next()
        if token.kind != "word":
            raise self.fail(expected, token)
        return token.text

    def set_after_in(self) -> str:
        self.expect("word", "in", "'in'")
        return self.name("the name of a set")

    def integer(self) -> int:
        column = self.peek().column
        text = self.expect("integer", None, "an integer")
        # Python refuses to read thousands of digits.
        value = int(text) if len(text) < 1000 else INTEGER_MAX + 1
        if not INTEGER_MIN <= value <= INTEGER_MAX:
            raise RuleSyntaxError(
                f"{text[:30]} lies outside {INTEGER_MIN} to {INTEGER_MAX} (bounds of a value)",
                column,
            )
        return value

    def comparison(self) -> tuple[Comparison, int]:
        token = self.next()
        if token.kind != "mark" or token.text not in _COMPARISONS:
            raise self.fail("a comparison (== != < <= > >=)", token)
        return cast(Comparison, token.text), self.integer()

    def discharge(self) -> Discharge:
        self.expect("word", "in", "'in' after discharge")
        self.expect("mark", "(", "'('")
        values = [self.integer()]
        while self.accept("mark", ","):
            values.append(self.integer())
        self.expect("mark", ")", "')' or ','")
        return Discharge(tuple(values))


def parse(text: str, attributes: frozenset[str] = frozenset()) -> Rule:
    """Parse one rule.

    Args:
        text: the rule, for example `pdx in BB1.dx and (mcc or age < 17)`.
        attributes: further integer columns that the pack declares under `[attributes]`.

    Raises:
        RuleSyntaxError: with the column (from 1) and what was expected there.
    """
    if not text.strip():
        raise RuleSyntaxError("an empty rule; write 'true' for a node that always holds", 1)
    parser = _Parser(text, attributes)
    rule = parser.rule()
    token = parser.peek()
    if token.kind != "end":
        raise parser.fail("'and', 'or' or the end of the rule", token)
    return rule
