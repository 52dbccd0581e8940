"""From what the tables say to the rows of a pack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from grouper.errors import PackError
from grouper.scheme.identity import Identity
from grouper.scheme.imported import Imported, Unread
from grouper.scheme.rules import (
    TRUE,
    And,
    Compare,
    InSet,
    Or,
    Rule,
    Severity,
    Sites,
    atoms,
)
from grouper.scheme.sheets.codes import flag
from grouper.scheme.sheets.columns import ColumnMap
from grouper.scheme.sheets.gathered import Gathered, Group, Subgroup
from grouper.scheme.sheets.lists import Lists, SetNames
from grouper.scheme.sheets.notation import OR_PX, joined, parse_notation
from grouper.scheme.sheets.scan import NotationError
from grouper.scheme.sheets.subgroups import SUFFIXES, alternatives

FIRST_MDCS = "APYZ"
"""MDCs that are tried before all others, in this order, where no column says another."""

_SEXES = {"M": 1, "N": 2}


def assemble(found: Gathered, mapped: ColumnMap, scheme_id: str) -> Imported:
    """The rows of the pack.

    Args:
        scheme_id: its id where neither the map nor a sheet gives one.

    Raises:
        PackError: there are no groups, or MDCs that would take every case.
    """
    return _Assembly(found, mapped).imported(scheme_id)


@dataclass
class _Assembly:
    found: Gathered
    mapped: ColumnMap
    names: SetNames = field(init=False)
    attributes: dict[str, str] = field(init=False)
    suffixes: dict[str, str] = field(init=False)
    used: list[Rule] = field(default_factory=list)

    def __post_init__(self) -> None:
        said = self.found.scheme
        self.names = SetNames(self.found)
        self.attributes = {**_under("attributes.", said), **self.mapped.attributes}
        self.suffixes = {**SUFFIXES, **_under("suffix.", said), **self.mapped.suffix}

    def imported(self, scheme_id: str) -> Imported:
        for what, groups in (("ADRG", self.found.adrgs), ("DRG", self.found.drgs)):
            if not groups:
                raise PackError(
                    f"there is no table of {what}s",
                    hint=f"a sheet with a column {what}编码; or say in a map (--columns) which"
                    " sheet it is; `grouper scheme template` writes a workbook to fill in",
                )
        identity = self.identity(scheme_id)
        groups_rows = list(self.groups())
        found = self.found
        rows: dict[str, Iterable[Sequence[str]]] = {
            "groups.csv": groups_rows,
            "sets.csv": [
                *((name, code) for name, codes in self.names.sets.items() for code in codes),
                *((OR_PX, code) for code in self.operating()),
            ],
            "sites.csv": [
                (family, site, code)
                for family, members in found.sites.items()
                for code, site in members.items()
            ],
            "severity.csv": [
                (code, level, exclusion)
                for level, members in found.severity.items()
                for code, exclusion in members.items()
            ],
            "exclusions.csv": list(found.exclusions.items()),
            "dx.csv": list((found.dx or found.listed[0]).items()),
            "px.csv": list((found.px or found.listed[1]).items()),
            "dx_map.csv": list(found.dx_map.items()),
            "px_map.csv": list(found.px_map.items()),
            # A DRG has the same weight under each variant.
            "weights.csv": list(
                dict.fromkeys(
                    (drg.code, drg.weight, drg.basic, drg.stable)
                    for drg in found.drgs.values()
                    if drg.weight or drg.basic or drg.stable
                )
            ),
        }
        self.look_at_severities()
        return Imported(identity, rows, tuple(found.unread))

    def note(self, kind: str, message: str) -> None:
        self.tell(Unread("", 0, message, False, kind))

    def lost(self, row: Group | Subgroup, message: str) -> None:
        self.tell(Unread(row.file, row.row, message))

    def tell(self, one: Unread) -> None:
        """Once, though a DRG be read for each variant of its ADRG."""
        if one not in self.found.unread:
            self.found.unread.append(one)

    def identity(self, scheme_id: str) -> Identity:
        said = {**self.found.scheme, **self.mapped.scheme}
        days: dict[str, date | None] = {}
        for key in ("valid_from", "valid_to"):
            text = said.get(key, "").strip()
            try:
                days[key] = date.fromisoformat(text) if text else None
            except ValueError:
                raise PackError(
                    f"{key} is {text!r}",
                    file=self.mapped.file,
                    hint="a day such as 2024-01-01",
                ) from None
        return Identity(
            id=said.get("id", "").strip() or scheme_id,
            title=said.get("title", ""),
            base=said.get("base", ""),
            valid_from=days["valid_from"],
            valid_to=days["valid_to"],
            retry_other_procedures=flag(said.get("retry_other_procedures", "")) == "1",
            attributes=self.attributes,
        )

    def groups(self) -> Iterator[Sequence[str]]:
        by_adrg: dict[str, list[Subgroup]] = {}
        for drg in self.found.drgs.values():
            by_adrg.setdefault(drg.adrg, []).append(drg)
        self.add_ambiguous(by_adrg)
        for letter in self.mdc_order():
            own = [a for a in self.adrg_order() if a.code[0] == letter]
            mdc = self.found.mdcs.get(letter) or Group(letter, "", 0)
            if not own:
                self.note("empty-mdc", f"MDC{letter} has no ADRG and is left out")
                continue
            rule = self.mdc_rule(mdc)
            self.used.append(rule)
            yield "mdc", f"MDC{letter}", letter, mdc.name, str(rule)
            for adrg in own:
                drgs = by_adrg.get(adrg.code, [])
                yield from self.adrg(
                    adrg, [drg for drg in drgs if (drg.variant or adrg.variant) == adrg.variant]
                )
        for code in {adrg.code for adrg in self.adrg_order()}:
            by_adrg.pop(code, None)
        for drgs in by_adrg.values():
            for drg in drgs:
                self.lost(drg, f"{drg.code} stands under no ADRG of the ADRG list")
        known = {drg.code for drg in self.found.drgs.values()}
        for code, group in self.found.owned.items():
            if code not in known:
                self.lost(group, f"{code} has lists and does not stand in the DRG list")

    def mdc_order(self) -> list[str]:
        letters = list(dict.fromkeys([*self.found.mdcs, *(node[0] for node in self.found.adrgs)]))
        orders = {letter: group.order for letter, group in self.found.mdcs.items() if group.order}
        if orders:
            wrong = [letter for letter, order in orders.items() if not order.isdigit()]
            for letter in wrong:
                self.lost(self.found.mdcs[letter], f"the order of MDC{letter} is no number")
            at = {a: int(order) for a, order in orders.items() if order.isdigit()}
            return sorted(letters, key=lambda letter: at.get(letter, len(letters) + 10**6))
        told = ", ".join(f"MDC{letter}" for letter in FIRST_MDCS if letter in letters)
        if told and [a for a in letters if a in FIRST_MDCS] != letters[: len(told.split(","))]:
            self.note("mdc-order", f"{told} are tried first; a column 顺序 states another order")
        return sorted(letters, key=lambda a: (FIRST_MDCS + a).index(a))

    def adrg_order(self) -> list[Group]:
        return list(self.found.adrgs.values())

    def add_ambiguous(self, by_adrg: Mapping[str, Sequence[Subgroup]]) -> None:
        """The groups of ambiguous cases (歧义病案), behind the ADRGs with procedures."""
        known = {adrg.code for adrg in self.adrg_order()}
        for code, drgs in by_adrg.items():
            if code[1:] != "QY" or code in known:
                continue
            group = Group(code, drgs[0].file, drgs[0].row, drgs[0].name)
            group.conditions.append(("任意手术", group.file, group.row))
            adrgs = list(self.found.adrgs.values())
            at = next(
                (i for i, a in enumerate(adrgs) if a.code[0] == code[0] and a.code[1] >= "R"),
                len(adrgs),
            )
            adrgs.insert(at, group)
            self.found.adrgs = {a.node: a for a in adrgs}

    def conditions(self, group: Group, lists: Lists) -> Rule | None:
        """What is stated of a group; None where nothing is, or nothing that can be read."""
        terms: list[Rule] = []
        for text, file, row in group.conditions:
            try:
                terms.append(parse_notation(text, lists, self.attributes))
            except NotationError as error:
                told = f"the condition {text[:60]!r} of {group.node} cannot be read: {error}"
                self.found.unread.append(Unread(file, row, told))
        return joined(Or, terms) if terms else None

    def mdc_rule(self, mdc: Group) -> Rule:
        owner = f"MDC{mdc.code}"
        lists = Lists(self.names, owner, self.names.of(owner))
        stated = self.conditions(mdc, lists)
        if stated is not None:
            return stated
        terms: list[Rule] = [InSet(named.kind, name) for named, name in lists.own.items()]
        if mdc.code in _SEXES and terms:
            terms.append(Compare("sex", "==", _SEXES[mdc.code]))
        if mdc.code == "P":
            newborn = Compare("age", "==", 0) if terms else Compare("age_days", "<=", 28)
            terms.append(newborn)
        if mdc.code == "Z" and owner in self.found.sites:
            terms.append(Sites(owner, ">=", 2))
        if not terms and mdc.code != "A":
            raise PackError(
                f"{owner} has no diagnoses and no condition, so it would take every case",
                file=mdc.file,
                line=mdc.row,
                hint="give its list of diagnoses (a sheet 主诊表 with MDC编码 and 诊断编码), or"
                " write its condition in the MDC list",
            )
        if mdc.code in "MNPZ":
            self.note(
                "mdc-rule", f"{owner} is taken as: {joined(And, terms)}; its 条件 may say another"
            )
        return joined(And, terms)

    def adrg(self, adrg: Group, drgs: Sequence[Subgroup]) -> Iterator[Sequence[str]]:
        lists = Lists(self.names, adrg.node, self.names.of(adrg.node))
        stated = self.conditions(adrg, lists)
        if stated is None and adrg.conditions:
            return
        if stated is None:
            stated = lists.all()
            if not lists.own:
                self.lost(adrg, f"{adrg.node} has no codes and no condition")
                return
        if not drgs:
            self.lost(adrg, f"{adrg.node} has no DRG, so its cases go on to the next ADRG")
        yield "adrg", adrg.node, adrg.code, adrg.name, str(stated)
        self.used.append(stated)
        if adrg.code[1:] == "QY":
            for drg in drgs:
                yield "drg", drg.code, drg.code, drg.name, str(TRUE)
            return
        for one in alternatives(adrg, drgs, lists, self.suffixes, self.attributes):
            if one.fault:
                self.lost(one.drg, one.fault)
            if one.note:
                told = Unread(one.drg.file, one.drg.row, one.note, False, "name-and-digit")
                self.tell(told)
            if one.rule is not None:
                self.used.append(one.rule)
                yield "drg", one.drg.code, one.drg.code, one.drg.name, str(one.rule)

    def operating(self) -> Iterable[str]:
        """The operating-room procedures; where no table marks them, all that are known."""
        found = self.found
        asked = any(
            isinstance(atom, InSet) and atom.set == OR_PX
            for rule in self.used
            for atom in atoms(rule)
        )
        if found.or_px or not asked:
            return found.or_px
        known = found.px or {
            code: ""
            for name, codes in self.names.sets.items()
            if ".px" in name or "px" in name.rpartition(".")[2]
            for code in codes
        }
        if not known:
            raise PackError(
                "conditions ask for operating-room procedures, and no table has any procedure",
                hint="give a sheet 有效手术, or mark them in 手术名称 by a column 手术室手术",
            )
        self.note("or-px", f"no table marks operating-room procedures; all {len(known)} count")
        return known

    def look_at_severities(self) -> None:
        asked = {
            atom.level for rule in self.used for atom in atoms(rule) if isinstance(atom, Severity)
        }
        for level in sorted(asked):
            if not self.found.severity[level.upper()]:
                self.note("no-severity", f"there is no table of {level.upper()}, so none is found")
        known = set(self.found.exclusions.values())
        lists = {x for m in self.found.severity.values() for x in m.values() if x} - known
        for name in sorted(lists):
            self.note("no-exclusion", f"no principal diagnosis has the exclusion list {name}")


def _under(start: str, said: Mapping[str, str]) -> dict[str, str]:
    return {k.removeprefix(start): v for k, v in said.items() if k.startswith(start)}
