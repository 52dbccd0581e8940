"""Rules in the words of a reader: `pdx in GD2.dx` as "principal diagnosis in GD2.dx"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from markupsafe import Markup, escape

from grouper.cases import COLUMNS
from grouper.scheme import rules

Link = Callable[[str], str]
"""The address of the page of a set or a family, by its name."""

_LISTS: Final = {
    "pdx": ("主要诊断", "principal diagnosis"),
    "other_dx": ("其他诊断", "other diagnosis"),
    "any_dx": ("任一诊断", "any diagnosis"),
    "ppx": ("主要手术", "principal procedure"),
    "other_px": ("其他手术", "other procedure"),
    "any_px": ("任一手术", "any procedure"),
}
_SIGNS: Final = {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥"}


class Phrases:
    """Rules in one language.

    Args:
        english: whether in English, else in Chinese.
        link: where a set or family is shown.
    """

    def __init__(self, *, english: bool, link: Link) -> None:
        self._at = int(english)
        self._link = link

    def text(self, rule: str) -> Markup:
        """A rule's text in words; as it stands where it is no rule."""
        try:
            return self.rule(rules.parse(rule))
        except rules.RuleSyntaxError:
            return Markup("<code>{}</code>").format(rule)

    def rule(self, rule: rules.Rule) -> Markup:
        """A rule in words, with its sets as links."""
        match rule:
            case rules.Or(terms):
                return self._word("或", "or").join(self._inner(t, rules.Or) for t in terms)
            case rules.And(terms):
                return self._word("且", "and").join(self._inner(t, rules.And) for t in terms)
            case rules.Not(term):
                return Markup('<span class="op">{}</span> {}').format(
                    ("非", "not")[self._at], self._inner(term, rules.Not)
                )
            case _:
                return self._atom(rule)

    def _inner(self, rule: rules.Rule, outer: type) -> Markup:
        told = self.rule(rule)
        if isinstance(rule, rules.Or | rules.And) and not isinstance(rule, outer):
            return Markup("({})").format(told)
        return told

    def _word(self, zh: str, en: str) -> Markup:
        return Markup(' <span class="op">{}</span> ').format((zh, en)[self._at])

    def _atom(self, atom: rules.Rule) -> Markup:
        zh_en: tuple[str, str]
        match atom:
            case rules.Constant(value):
                zh_en = ("无条件", "always") if value else ("从不", "never")
            case rules.Severity(level):
                zh_en = (f"有 {level.upper()}", f"has {level.upper()}")
            case rules.InSet(listed, name):
                verb = (" 属于 ", " in ")[self._at]
                return escape(_LISTS[listed][self._at] + verb) + self._set(name)
            case rules.Count(listed, name, comparison, value):
                before = (f"{_LISTS[listed][0]}中属于 ", f"{_LISTS[listed][1]} codes in ")[self._at]
                after = (" 的个数 ", " ")[self._at] + f"{_sign(comparison)} {value}"
                return escape(before) + self._set(name) + escape(after)
            case rules.Sites(family, comparison, value):
                before = ("诊断涉及 ", "body sites of ")[self._at]
                after = (" 的部位数 ", " ")[self._at] + f"{_sign(comparison)} {value}"
                return escape(before) + self._set(family) + escape(after)
            case rules.Compare(name, comparison, value):
                return escape(f"{self.column(name)} {_sign(comparison)} {value}")
            case rules.Discharge(values):
                listed_values = ("、", ", ")[self._at].join(map(str, values))
                zh_en = (f"离院方式为 {listed_values}", f"way of discharge {listed_values}")
            case rules.Dept(name):
                zh_en = (f"出院科别为「{name}」", f"department “{name}”")
            case _:
                zh_en = (str(atom), str(atom))
        return escape(zh_en[self._at])

    def column(self, name: str) -> str:
        """What a case column is called."""
        column = COLUMNS.get(name)
        return (column.zh, column.en)[self._at] if column else name

    def _set(self, name: str) -> Markup:
        return Markup('<a class="set" href="{}">{}</a>').format(self._link(name), name)


def _sign(comparison: str) -> str:
    return _SIGNS.get(comparison, comparison)
