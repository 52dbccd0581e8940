"""The lists of MDCs and ADRGs as sets of the pack, and which of them a condition's word means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grouper.scheme.rules import DIAGNOSIS_LISTS, TRUE, And, InSet, Rule
from grouper.scheme.sheets.gathered import Gathered, Group
from grouper.scheme.sheets.notation import joined
from grouper.scheme.sheets.scan import NotationError
from grouper.scheme.sheets.words import LISTS, List


@dataclass
class SetNames:
    """The set of each list, named after its group: `BB1.dx`, `BB1.px2`."""

    found: Gathered
    sets: dict[str, Sequence[str]] = field(default_factory=dict)
    names: dict[tuple[str, List], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for owner, group in self._owners().items():
            for named in sorted(group.lists, key=lambda n: (LISTS.index(n.kind), n.number)):
                codes = group.lists[named]
                short = f"{owner}.{'dx' if _diagnoses(named) else 'px'}{named.number or ''}"
                name = short if short not in self.sets else f"{owner}.{named}"
                if codes:
                    self.sets[name] = tuple(codes)
                    self.names[owner, named] = name

    def _owners(self) -> Mapping[str, Group]:
        mdcs = {f"MDC{letter}": group for letter, group in self.found.mdcs.items()}
        return {**mdcs, **self.found.adrgs, **self.found.owned}

    def of(self, owner: str) -> dict[List, str]:
        """The lists of a group with their sets."""
        return {named: name for (whose, named), name in self.names.items() if whose == owner}


def _diagnoses(named: List) -> bool:
    return named.kind in DIAGNOSIS_LISTS


@dataclass
class Lists:
    """The meaning of conditions of one MDC, ADRG or DRG.

    Attributes:
        owner: `MDCB`, `BB1` or `BB11`.
        own: its lists and their sets.
        above: of a DRG the lists of its ADRG, which a word means where the DRG has none such.
    """

    names: SetNames
    owner: str
    own: Mapping[List, str]
    above: Lists | None = None

    def within(self, drg: str) -> Lists:
        """The meaning of conditions of a DRG of this ADRG."""
        own = self.names.of(drg)
        return Lists(self.names, drg, own, self) if own else self

    def all(self) -> Rule:
        """That all its own lists hold."""
        ordered = sorted(self.own, key=lambda n: (LISTS.index(n.kind), n.number))
        return joined(And, [InSet(n.kind, self.own[n]) for n in ordered])

    def listed(self, wanted: List, owner: str, together: bool) -> list[InSet]:
        """The sets that a word such as 主要诊断 or 手术2 means.

        The number says which list, the word how the case is matched with it: `手术2` may ask any
        procedure for the codes of a column called 主要手术2.

        Raises:
            NotationError: there is no such list, or there are several.
        """
        try:
            return self._listed(wanted, owner, together)
        except NotationError:
            if owner or self.above is None:
                raise
            return self.above.listed(wanted, owner, together)

    def _listed(self, wanted: List, owner: str, together: bool) -> list[InSet]:
        whose = owner or self.owner
        lists = self.names.of(owner) if owner else self.own
        alike = {n: name for n, name in lists.items() if _diagnoses(n) == _diagnoses(wanted)}
        if wanted in alike:
            return [InSet(wanted.kind, alike[wanted])]
        if wanted.number:
            same = [name for n, name in alike.items() if n.number == wanted.number]
            bare = [name for n, name in alike.items() if not n.number and wanted.number == 1]
            if len(same) == 1 or (not same and len(bare) == 1):
                return [InSet(wanted.kind, (same or bare)[0])]
        else:
            numbered = [name for n, name in alike.items() if n.kind == wanted.kind]
            if numbered:
                return [InSet(wanted.kind, name) for name in numbered]
            if len(alike) == 1:
                return [InSet(wanted.kind, name) for name in alike.values()]
            if alike and wanted.kind == "any_dx":
                return [InSet(n.kind, name) for n, name in alike.items()]
            if alike and together:
                return [InSet(wanted.kind, name) for name in alike.values()]
        has = ", ".join(str(n) for n in lists) or "none"
        raise NotationError(f"{whose} has no list {wanted}; it has {has}")

    def family(self) -> str:
        """The sites of its MDC.

        Raises:
            NotationError: no table gives them.
        """
        family = f"MDC{self.owner.removeprefix('MDC')[:1]}"
        if not self.names.found.sites.get(family):
            raise NotationError(f"no table says where codes of {family} lie; give a column 部位")
        return family

    def rest(self) -> Rule:
        """不伴 says nothing at an MDC or ADRG."""
        return TRUE
