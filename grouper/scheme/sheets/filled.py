"""A pack as the tables of the template: lists, conditions and weights as a clerk would write them.

The way back from the import. What the layout has no words for is written as a rule of the pack's
language (规则: …).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from grouper.scheme import rules
from grouper.scheme.diff import decimal_text
from grouper.scheme.model import Adrg, Drg, Mdc, Pack, Weight
from grouper.scheme.normal import normal
from grouper.scheme.rules import ListName, Rule
from grouper.scheme.sheets.cells import Row, Sheet
from grouper.scheme.sheets.gathered import node_name
from grouper.scheme.sheets.layout import TABLES
from grouper.scheme.sheets.notation import OR_PX
from grouper.scheme.sheets.subgroups import RANKS
from grouper.scheme.sheets.words import List

Rows = list[Sequence[str]]

_LISTS: Mapping[ListName, str] = {
    "pdx": "主要诊断", "other_dx": "其他诊断", "any_dx": "诊断",
    "ppx": "主要手术", "other_px": "其他手术", "any_px": "手术",
}  # fmt: skip
_NUMBERS: Mapping[str, tuple[str, str]] = {
    "age": ("年龄", "岁"), "age_days": ("日龄", "天"), "weight": ("出生体重", "克"),
    "los": ("住院天数", "天"), "icu_hours": ("ICU小时", ""),
}  # fmt: skip
_SIGNS: Mapping[rules.Comparison, str] = {
    "==": "=", "!=": "≠", "<": "<", "<=": "≤", ">": ">", ">=": "≥",
}  # fmt: skip
_SEXES = {1: "男", 2: "女"}
_RANKS = {normal(rule): rank for rule, rank in RANKS.items()}
_EITHER_CC = {rules.Severity("mcc"), rules.Severity("cc")}


class _Wordless(Exception):  # noqa: N818 - a signal, not an error
    """The notation has no words for a rule."""


class _Home(NamedTuple):
    """Where a set stands: the list of a group, and whether it is that group's only one."""

    owner: str
    named: List
    only: bool

    @property
    def name(self) -> str:
        """What the import calls the set."""
        side = "dx" if self.named.kind in rules.DIAGNOSIS_LISTS else "px"
        return f"{self.owner}.{side}{self.named.number or ''}"

    @property
    def word(self) -> str:
        """What the column 列表 says."""
        return f"{_LISTS[self.named.kind]}{self.named.number or ''}"


class _Place(NamedTuple):
    """The group whose condition is written, and the one whose lists a bare word means there."""

    owner: str
    bare: str
    mdc: str


def filled(pack: Pack) -> dict[str, Rows]:
    """The rows of each table of the layout, without headings.

    MDCs without ADRGs, ADRG nodes without DRGs and sets that no rule names have no part in grouping
    and are left out.
    """
    return _Filler(pack).tables()


def as_sheets(file: str, tables: Mapping[str, Rows]) -> list[Sheet]:
    """The tables as they are read from a workbook."""
    sheets: list[Sheet] = []
    for table in TABLES:
        if tables.get(table.name):
            rows = [[column.zh for column in table.columns], *tables[table.name]]
            sheets.append(Sheet(file, table.name, [Row(i, row) for i, row in enumerate(rows, 1)]))
    return sheets


class _Filler:
    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.mdcs: list[tuple[Mdc, list[Adrg]]] = []
        self.nodes: dict[str, list[Adrg]] = {}
        for mdc in pack.mdcs:
            adrgs = [adrg for adrg in mdc.adrgs if adrg.drgs]
            if adrgs:
                self.mdcs.append((mdc, adrgs))
            for adrg in adrgs:
                self.nodes.setdefault(adrg.code, []).append(adrg)
        self.variants = {
            adrg.node: at if len(nodes) > 1 else 0
            for nodes in self.nodes.values()
            for at, adrg in enumerate(nodes, 1)
        }
        self.homes: dict[tuple[str, bool], _Home] = dict(self.housed())
        self.owned = {home.owner for home in self.homes.values()}
        self.names = {name: home.name for (name, _), home in self.homes.items()}

    # --- where each set stands ------------------------------------------------------------------

    def places(self) -> Iterator[tuple[Mdc | Adrg | Drg, str]]:
        """Every row of the decision list, with the group that may own lists."""
        for mdc, adrgs in self.mdcs:
            yield mdc, f"MDC{mdc.code}"
            for adrg in adrgs:
                yield adrg, self.node(adrg)
                for drg in adrg.drgs:
                    yield drg, drg.code if len(drg.code) > 3 else self.node(adrg)

    def node(self, adrg: Adrg) -> str:
        return node_name(adrg.code, self.variants[adrg.node])

    def housed(self) -> Iterator[tuple[tuple[str, bool], _Home]]:
        """A set stands with the group that it is named after, else with the first that asks."""
        named_after = {row.node: owner for row, owner in self.places()}
        users: dict[tuple[str, bool], tuple[str, ListName]] = {}
        for row, owner in self.places():
            for atom in rules.atoms(row.when):
                if isinstance(atom, rules.InSet | rules.Count) and atom.set != OR_PX:
                    own = named_after.get(atom.set.rpartition(".")[0], owner)
                    side = atom.codes in rules.DIAGNOSIS_LISTS
                    users.setdefault((atom.set, side), (own, atom.codes))
        lists: dict[tuple[str, bool], list[tuple[str, ListName]]] = {}
        for (name, side), (own, kind) in users.items():
            lists.setdefault((own, side), []).append((name, kind))
        for (own, side), members in lists.items():
            # The diagnoses of an MDC have a sheet of their own (主诊表), where no list is named.
            first = own.startswith("MDC") and members[0][1] == "pdx"
            for at, (name, kind) in enumerate(members):
                only = len(members) == 1
                number = at if first or only else at + 1
                yield (name, side), _Home(own, List(kind, number), only)

    # --- conditions -----------------------------------------------------------------------------

    def condition(self, rule: Rule, place: _Place) -> str:
        try:
            text = self.words(rule, place)
            told = text.casefold()
            # A word of a condition that names an attribute, too, would be read as that.
            own = (w.casefold() for pair in self.pack.attributes.items() for w in pair)
            if any(word in told for word in own if word):
                raise _Wordless
        except _Wordless:
            return f"规则: {normal(rule, self.names)}"
        return text

    def words(self, rule: Rule, place: _Place, *, within: bool = False) -> str:
        match rule:
            case rules.Or(terms):
                if set(terms) == _EITHER_CC:
                    return "伴合并症或并发症"
                text = " 或 ".join(self.words(t, place) for t in terms)
                return f"({text})" if within else text
            case rules.And(terms):
                return " + ".join(self.words(t, place, within=True) for t in terms)
            case rules.Not(term):
                return f"非 ({self.words(term, place)})"
            case rules.Severity(level):
                return "伴严重合并症或并发症" if level == "mcc" else "CC"
            case rules.InSet("ppx", "or_px"):
                return "任意主要手术"
            case rules.InSet("any_px", "or_px"):
                return "任意手术"
            case rules.InSet(codes, name):
                return self.listed(codes, name, place)
            case rules.Count(codes, name, comparison, value) if value >= 0:
                return f"{self.listed(codes, name, place)} {_SIGNS[comparison]} {value}个"
            case rules.Sites(family, comparison, value) if family == place.mdc and value >= 0:
                return f"部位 {_SIGNS[comparison]} {value}"
            case rules.Compare("sex", "==", value) if value in _SEXES:
                return _SEXES[value]
            case rules.Compare(number, comparison, value) if number in _NUMBERS and value >= 0:
                word, unit = _NUMBERS[number]
                return f"{word} {_SIGNS[comparison]} {value}{unit}"
            case rules.Discharge(values) if min(values) >= 0:
                return f"离院方式 = ({', '.join(map(str, values))})"
            case rules.Dept(name):
                return f'科室 "{name}"'
        raise _Wordless

    def listed(self, codes: ListName, name: str, place: _Place) -> str:
        if name == OR_PX:
            raise _Wordless
        home = self.homes[name, codes in rules.DIAGNOSIS_LISTS]
        if not (home.only or home.named.number or home.named.kind == codes):
            raise _Wordless
        owner = "" if home.owner == place.bare else home.owner
        return f"{owner}{_LISTS[codes]}{home.named.number or ''}"

    # --- tables ---------------------------------------------------------------------------------

    def tables(self) -> dict[str, Rows]:
        pack = self.pack
        flagged = pack.sets.get(OR_PX, ())
        operating = frozenset(flagged)
        return {
            "方案": list(self.identity()),
            "MDC": [
                (mdc.code, mdc.name, self.stated(mdc, f"MDC{mdc.code}", mdc), str(at))
                for at, (mdc, _) in enumerate(self.mdcs, 1)
            ],
            "主诊表": list(self.principal()),
            "ADRG": [
                (adrg.code, self.variant(adrg), adrg.name, self.stated(adrg, self.node(adrg), mdc))
                for mdc, adrgs in self.mdcs
                for adrg in adrgs
            ],
            "ADRG编码": list(self.lists()),
            "DRG编码": list(self.lists(drgs=True)),
            "DRG": list(self.drgs()),
            **{
                level: [(code, pack.dx.get(code, ""), x) for code, x in members.items()]
                for level, members in pack.severity.items()
            },
            "排除表": [(x, pdx, pack.dx.get(pdx, "")) for pdx, x in pack.exclusions.items() if x],
            "诊断名称": list(pack.dx.items()),
            "手术名称": [
                (code, name, str(int(code in operating))) for code, name in pack.px.items()
            ],
            "有效手术": [(code, "") for code in flagged if code not in pack.px],
            "创伤部位": [
                (family, site, code, pack.dx.get(code, ""))
                for family, members in pack.sites.items()
                for code, site in members.items()
            ],
            "诊断对照": list(pack.dx_map.items()),
            "手术对照": list(pack.px_map.items()),
        }

    def identity(self) -> Iterator[Sequence[str]]:
        pack = self.pack
        for key, value in (
            ("id", pack.id),
            ("title", pack.title),
            ("base", pack.base),
            ("valid_from", pack.valid_from),
            ("valid_to", pack.valid_to),
            ("retry_other_procedures", int(pack.retry_other_procedures)),
            *((f"attributes.{name}", told) for name, told in pack.attributes.items()),
        ):
            yield key, "" if value is None else str(value), ""

    def variant(self, adrg: Adrg) -> str:
        return str(self.variants[adrg.node] or "")

    def stated(self, row: Mdc | Adrg, owner: str, mdc: Mdc) -> str:
        """A condition that is never left to be guessed."""
        if row.when == rules.TRUE:
            return "规则: true"
        return self.condition(row.when, _Place(owner, owner, f"MDC{mdc.code}"))

    def principal(self) -> Iterator[Sequence[str]]:
        for (name, _), home in self.homes.items():
            if home.owner.startswith("MDC") and home.named == List("pdx"):
                for code in self.pack.sets[name]:
                    yield home.owner, code, self.pack.dx.get(code, ""), ""

    def lists(self, *, drgs: bool = False) -> Iterator[Sequence[str]]:
        """The lists of ADRGs, and further ones of MDCs; or those of DRGs."""
        dealt = {
            self.node(a): (a.code, self.variant(a)) for nodes in self.nodes.values() for a in nodes
        }
        for (name, _), home in self.homes.items():
            mdc = home.owner.startswith("MDC")
            if (mdc and home.named == List("pdx")) or drgs == (mdc or home.owner in dealt):
                continue
            owner = (home.owner,) if drgs else dealt.get(home.owner, (home.owner, ""))
            for code in self.pack.sets[name]:
                told = self.pack.px.get(code, "") or self.pack.dx.get(code, "")
                yield *owner, home.word, code, told

    def drgs(self) -> Iterator[Sequence[str]]:
        for nodes in self.nodes.values():
            stated = {adrg.node: [*self.alternatives(adrg)] for adrg in nodes}
            if all(rows == stated[nodes[0].node] for rows in stated.values()):
                yield from ((code, "", *rest) for code, *rest in stated[nodes[0].node])
                continue
            for adrg in nodes:
                yield from ((c, self.variant(adrg), *rest) for c, *rest in stated[adrg.node])

    def alternatives(self, adrg: Adrg) -> Iterator[Sequence[str]]:
        mdc = f"MDC{adrg.code[0]}"
        ranks = [_RANKS.get(normal(drg.when)) for drg in adrg.drgs]
        said = [rank for rank in ranks if rank is not None]
        in_order = said == sorted(said) and _RANKS[rules.TRUE] not in ranks[:-1]
        for drg in adrg.drgs:
            # A DRG's own lists come before those of its ADRG, which may have several variants.
            own = drg.code in self.owned
            bare = drg.code if own else "" if self.variants[adrg.node] else adrg.code
            if not in_order and normal(drg.when) in _RANKS:
                # Said in this way it keeps its place among the rows.
                text = f"规则: {rules.And((normal(drg.when), rules.TRUE))}"
            elif drg.when == rules.TRUE:
                text = "伴或不伴"
            else:
                text = self.condition(drg.when, _Place(drg.code, bare, mdc))
            weight = self.pack.weights.get(drg.code, Weight(None, None, None))
            flags = ("" if one is None else str(int(one)) for one in (weight.basic, weight.stable))
            yield drg.code, drg.name, text, decimal_text(weight.weight), *flags
