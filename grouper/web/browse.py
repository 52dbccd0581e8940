"""A scheme as pages: its tree, and for a set, a family or a code what it is and who asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from grouper.scheme import rules
from grouper.scheme.codes import PREFIX_MARK, CodeMap, code_map
from grouper.scheme.model import Adrg, Drg, Mdc, Pack

Node = Mdc | Adrg | Drg


@dataclass(frozen=True, slots=True)
class Place:
    """A node of the decision list with what stands above it.

    Attributes:
        key: names it in addresses: `mdc/MDCA`, `adrg/AH1_1`, `drg/AH1_1/AH11`.
    """

    key: str
    node: Node
    mdc: Mdc
    adrg: Adrg | None

    @property
    def level(self) -> str:
        """`mdc`, `adrg` or `drg`."""
        return self.key.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Named:
    """A code as written in a table of the pack, with its name.

    Attributes:
        prefix: whether it stands for every code that begins with it.
        extra: what else the table says of it, such as the body site.
    """

    code: str
    name: str
    prefix: bool
    extra: str = ""


@dataclass(frozen=True, slots=True)
class CodeFacts:
    """What a pack says of a code.

    Attributes:
        severity: level and exclusion list, as far as it has them.
        switches_off: exclusion list that it switches off as the principal diagnosis.
        sites: family and body site.
        sets: sets that it lies in.
        mapped: what the maps make of it; empty where they do not name it.
    """

    code: str
    name: str
    severity: tuple[tuple[str, str], ...]
    switches_off: str
    sites: tuple[tuple[str, str], ...]
    sets: tuple[str, ...]
    mapped: str


class Browser:
    """Looks things up in one pack."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self._severity = {level: code_map(table) for level, table in pack.severity.items()}
        self._exclusions = code_map(pack.exclusions)
        self._sites = {family: code_map(table) for family, table in pack.sites.items()}

    @cached_property
    def places(self) -> dict[str, Place]:
        """Every node, by key, in evaluation order."""
        found: dict[str, Place] = {}
        for mdc in self.pack.mdcs:
            found[f"mdc/{mdc.node}"] = Place(f"mdc/{mdc.node}", mdc, mdc, None)
            for adrg in mdc.adrgs:
                key = f"adrg/{adrg.node}"
                found[key] = Place(key, adrg, mdc, adrg)
                for drg in adrg.drgs:
                    key = f"drg/{adrg.node}/{drg.code}"
                    found[key] = Place(key, drg, mdc, adrg)
        return found

    @cached_property
    def _users(self) -> dict[str, list[Place]]:
        """The nodes whose own rule asks for a set or family."""
        users: dict[str, list[Place]] = {}
        for place in self.places.values():
            for name in dict.fromkeys(_asked(place.node)):
                users.setdefault(name, []).append(place)
        return users

    def users(self, names: Iterable[str]) -> list[Place]:
        """The nodes that ask for one of these sets or families, each once."""
        found = {place.key: place for name in names for place in self._users.get(name, ())}
        return [place for key, place in self.places.items() if key in found]

    def asked(self, place: Place) -> list[str]:
        """The sets and families that a node's rule asks for; an ADRG's with those of its DRGs."""
        nodes: list[Node] = [place.node]
        if isinstance(place.node, Adrg):
            nodes += place.node.drgs
        return list(dict.fromkeys(name for node in nodes for name in _asked(node)))

    def listed(self, name: str) -> list[Named] | None:
        """The codes of a set or family; None where the pack has neither."""
        pack = self.pack
        if name in pack.sets:
            return [self._named(code) for code in pack.sets[name]]
        if name in pack.sites:
            return [self._named(code, site) for code, site in pack.sites[name].items()]
        return None

    def _named(self, code: str, extra: str = "") -> Named:
        name = self.pack.dx.get(code) or self.pack.px.get(code) or ""
        return Named(code.removesuffix(PREFIX_MARK), name, code.endswith(PREFIX_MARK), extra)

    def code(self, code: str) -> CodeFacts:
        """What the pack says of a code, known or not."""
        pack = self.pack
        severity = [(level, table.best(code)) for level, table in self._severity.items()]
        sites = [(family, table.best(code)) for family, table in self._sites.items()]
        return CodeFacts(
            code=code,
            name=pack.dx.get(code) or pack.px.get(code) or "",
            severity=tuple((level, found) for level, found in severity if found is not None),
            switches_off=self._exclusions.best(code) or "",
            sites=tuple((family, site) for family, site in sites if site is not None),
            sets=tuple(dict.fromkeys(self._sets_of.every(code))),
            mapped=pack.dx_map.get(code) or pack.px_map.get(code) or "",
        )

    @cached_property
    def _sets_of(self) -> CodeMap[str]:
        sets = self.pack.sets
        return CodeMap((code, name) for name, codes in sets.items() for code in codes)

    def exclusion(self, name: str) -> tuple[list[Named], list[Named]]:
        """The codes that an exclusion list excludes, and the principal diagnoses that do it."""
        excluded = [
            self._named(code, level)
            for level, table in self.pack.severity.items()
            for code, exclusion in table.items()
            if exclusion == name
        ]
        excluding = [self._named(c) for c, listed in self.pack.exclusions.items() if listed == name]
        return excluded, excluding

    def find(self, text: str, *, most: int = 30) -> list[Place]:
        """Nodes whose code or name matches, those whose code begins with the text first."""
        wanted = text.strip().casefold()
        if not wanted:
            return []
        by_code, by_name = [], []
        for place in self.places.values():
            if place.node.code.casefold().startswith(wanted):
                by_code.append(place)
            elif wanted in place.node.name.casefold() or wanted == place.node.node.casefold():
                by_name.append(place)
        return (by_code + by_name)[:most]

    def weight(self, drg: str) -> str:
        """The published weight of a DRG as text; empty where none is."""
        found = self.pack.weights.get(drg)
        return "" if found is None or found.weight is None else f"{float(found.weight):g}"


def _asked(node: Node) -> Iterator[str]:
    for atom in rules.atoms(node.when):
        match atom:
            case rules.InSet(_, name) | rules.Count(_, name) | rules.Sites(name):
                yield name
            case _:
                pass
