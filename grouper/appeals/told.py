"""Why a case fell where it fell, in words, for whole hospitals at a time.

The answer of each case is known from the run, so only the nodes on its way are judged again, and
not the hundreds that it passed. The words are those of the rules (`web.phrase` has the same), with
the codes of the case that met them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from grouper.errors import PackError
from grouper.explain import Explainer, TestTrace, explainer_of
from grouper.explain.facts import Facts
from grouper.scheme import Scheme
from grouper.scheme.editions import translated
from grouper.scheme.model import Adrg, Drg, Mdc
from grouper.web.phrase import Phrases

Way = tuple[Mdc, Adrg, Drg]

LANGUAGES: Final = ("zh", "en")

MOST_CODES: Final = 6
"""Codes that are named at a condition."""

_WORDS: Final = {
    "fails": ("不满足：", "not met: "),
    "and": ("；", "; "),
    "none": ("任何 MDC 的条件均不满足", "the condition of no MDC is met"),
    "inside": ("满足 MDC {}，但其中没有 ADRG 满足", "MDC {} is met, but no ADRG in it"),
    "single": ("仅以手术操作 {} 再次分组", "grouped again with {} as the only procedure"),
    "other": ("病组 {}：按分值目录入组", "group {}: by the catalogue of disease scores"),
    "undated": ("出院日期无有效方案", "no scheme is valid on the day of discharge"),
    "no_list": ("区域文件夹中没有该病例的清单", "the region has no list of this case"),
    "excluded": ("被排除的并发症：{}", "excluded complications: {}"),
    "unknown": ("方案未收录的编码：{}", "codes unknown to the scheme: {}"),
    "ambiguous": ("歧义病例", "ambiguous case"),
    "ungrouped": ("未入组", "ungrouped"),
    "unstable": ("非稳定病组，按费用折算", "unstable group, paid by its cost"),
    "high": ("高倍率，单议通过前按常规点数", "high cost; normal points until a review approves"),
    "pending": ("特病单议待裁定", "special review is pending"),
    "near_high": ("费用接近高倍率界 {}", "cost is close to the high bound {}"),
    "near_low": ("费用接近低倍率界 {}", "cost is close to the low bound {}"),
    "pdx": ("主要诊断换为 {}", "principal diagnosis {}"),
    "ppx": ("主要手术换为 {}", "principal procedure {}"),
    "weight": ("（权重 {}）", " (weight {})"),
}


def words(name: str, language: str) -> str:
    """A sentence of the sheet in a language of `LANGUAGES`."""
    return _WORDS[name][LANGUAGES.index(language)]


class Teller:
    """Explains the cases of a run by its scheme.

    Args:
        scheme: the run's.
        language: one of `LANGUAGES`.
    """

    def __init__(self, scheme: Scheme, language: str) -> None:
        self._choose = explainer_of(scheme)
        self._language = language
        self._ways: dict[str, dict[tuple[str, str], list[Way]]] = {}
        phrases = Phrases(english=language == "en", link=str)
        self._phrase = lru_cache(4096)(lambda rule: phrases.text(rule).striptags())

    def explainer(self, case: Mapping[str, object]) -> Explainer | None:
        """Who explains a case; None where no scheme is valid on its day."""
        try:
            return self._choose(case)
        except PackError:
            return None

    def facts(self, case: Mapping[str, object]) -> Facts | None:
        """What the rules may ask of a case; None as `explainer`."""
        explainer = self.explainer(case)
        if explainer is None:
            return None
        return Facts(
            explainer,
            case,
            translated(codes_of(case, "dx"), explainer.dx_map),
            translated(codes_of(case, "px"), explainer.px_map),
        )

    def explain(self, facts: Facts | None, status: str, mdc: str, drg: str) -> str:
        """Why the case is in its group, a line for each node on its way.

        Args:
            facts: of `facts`.
            status: `grouped`, `ambiguous` or `ungrouped`.
            mdc, drg: where the run has it.
        """
        if facts is None:
            return words("undated", self._language)
        if status == "ungrouped":
            return self._nowhere(facts)
        for way, tried in self._tried(facts, mdc, drg):
            lines = [self._node(node, tried) for node in way]
            if tried is not facts:
                lines.insert(0, words("single", self._language).format(tried.px[0]))
            return "\n".join(lines)
        return words("other", self._language).format(drg)

    def complications(self, facts: Facts) -> list[str]:
        """The excluded MCC and CC of a case, such as `MCC J96.000`."""
        return [
            f"{level} {code}"
            for level in ("MCC", "CC")
            for code, _, excluded in facts.complications(level)
            if excluded
        ]

    def unknown(self, facts: Facts) -> list[str]:
        """Codes of a case that its scheme knows nowhere."""
        explainer = facts.explainer
        return [
            code
            for codes, known in ((facts.dx, explainer.known_dx), (facts.px, explainer.known_px))
            for code in codes
            if code and known.best(code) is None
        ]

    def _tried(self, facts: Facts, mdc: str, drg: str) -> Iterator[tuple[Way, Facts]]:
        """The way that the case went: the first of the nodes of its group that hold."""
        pack = facts.explainer.pack
        ways = self._ways.get(pack.digest)
        if ways is None:
            ways = self._ways[pack.digest] = {}
            for way in pack.drg_rows():
                ways.setdefault((way[0].code, way[2].code), []).append(way)
        mine = ways.get((mdc, drg), [])
        further = facts.px[1:] if pack.retry_other_procedures else ()
        tries = (facts, *(facts.with_procedures((code,)) for code in further if code))
        for tried in tries:
            for way in mine:
                if all(tried.holds(node.when) for node in way):
                    yield way, tried

    def _nowhere(self, facts: Facts) -> str:
        met = [mdc.code for mdc in facts.explainer.pack.mdcs if facts.holds(mdc.when)]
        if met:
            return words("inside", self._language).format(" ".join(met))
        return words("none", self._language)

    def _node(self, node: Mdc | Adrg | Drg, facts: Facts) -> str:
        _, tests = facts.judge(node.when)
        told = words("and", self._language).join(self._test(test, facts) for test in tests)
        colon = "：" if self._language == "zh" else ": "
        return f"{node.code} {node.name}{colon}{told}"

    def _test(self, test: TestTrace, facts: Facts) -> str:
        told = self._phrase(test.rule)
        if not test.holds:
            told = words("fails", self._language) + told
        if test.codes:
            more = len(test.codes) - MOST_CODES
            shown = " ".join(test.codes[:MOST_CODES]) + (f" +{more}" if more > 0 else "")
            return f"{told} [{shown}]"
        if test.value is not None:
            return f"{told} [{test.value}]"
        return told if test.text is None else f"{told} [{test.text}]"


def codes_of(case: Mapping[str, object], name: str) -> tuple[str, ...]:
    """The codes of a case; a null or blank one is empty and keeps its place."""
    codes = case.get(name)
    if not isinstance(codes, Sequence):
        return ()
    return tuple("" if code is None else str(code).strip() for code in codes)
