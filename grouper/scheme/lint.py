"""What is odd in a pack: allowed by the format, yet seldom meant.

What the format forbids is an error of the reader. The linter reads on: every finding names file and
line, and a published scheme may well keep some of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from grouper.scheme import rules
from grouper.scheme.compile import principal_reach
from grouper.scheme.layers import Layer
from grouper.scheme.lint_rules import condition_findings
from grouper.scheme.model import Adrg, Drg, Mdc, Pack
from grouper.scheme.pack import join, parse_layers
from grouper.scheme.tables import COLUMNS, Line, Tables


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One odd thing.

    Attributes:
        kind: a stable word, such as `unused-set`.
    """

    file: str
    line: int
    kind: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message} [{self.kind}]"


Findings = Iterator[Finding]


def lint(layers: tuple[Layer, ...]) -> tuple[Pack, list[Finding]]:
    """Read a pack and look for what is odd in it.

    Returns:
        The pack, and the findings by file (in the order of `COLUMNS`) and line.

    Raises:
        PackError: the pack breaks the format.
    """
    pack = parse_layers(layers)
    _, tables = join(layers)
    order = {name: number for number, name in enumerate(COLUMNS)}
    found: dict[tuple[str, int, str], Finding] = {}
    for look in _LOOKS:
        for finding in look(pack, tables):
            # Two looks may see the same fault in a row; the first says it.
            kind = "unreachable" if finding.kind == "never-holds" else finding.kind
            place = (finding.file, finding.line, kind)
            found.setdefault(place if finding.line else (*place[:2], finding.message), finding)
    return pack, sorted(found.values(), key=lambda f: (order.get(f.file.rpartition("/")[2], -1), f))


def _at(line: Line, kind: str, message: str) -> Finding:
    return Finding(line.file, line.number, kind, message)


def _node(node: Mdc | Adrg | Drg, kind: str, message: str) -> Finding:
    return Finding(node.file, node.line, kind, message)


def _spelling(pack: Pack, tables: Tables) -> Findings:
    """Codes of groups that do not begin as those above them."""
    for mdc in pack.mdcs:
        if len(mdc.code) != 1:
            yield _node(mdc, "mdc-code", f"the MDC {mdc.code} is not one letter")
        for adrg in mdc.adrgs:
            if not adrg.code.startswith(mdc.code):
                yield _node(
                    adrg,
                    "adrg-prefix",
                    f"the ADRG {adrg.code} does not begin with its MDC {mdc.code}",
                )
            for drg in adrg.drgs:
                if not drg.code.startswith(adrg.code):
                    told = f"the DRG {drg.code} does not begin with its ADRG {adrg.code}"
                    yield _node(drg, "drg-prefix", told)


def _names(pack: Pack, tables: Tables) -> Findings:
    """One name for two groups, or two names for one."""
    for level in ("mdc", "adrg", "drg"):
        named: dict[str, tuple[str, Line]] = {}
        codes: dict[str, tuple[str, Line]] = {}
        for line in tables["groups.csv"]:
            if line.cells["level"] != level or line.cells["code"][1:3] == "QY":
                continue
            code, name = line.cells["code"], line.cells["name"].strip()
            if not name:
                continue
            other, first = named.setdefault(name, (code, line))
            if other != code:
                yield _at(
                    line,
                    "duplicate-name",
                    f"{code} has the name of {other} in line {first.number}: {name}",
                )
            other, first = codes.setdefault(code, (name, line))
            if other != name:
                yield _at(
                    line,
                    "two-names",
                    f"{code} is called {name} here and {other} in line {first.number}",
                )


def _empty_nodes(pack: Pack, tables: Tables) -> Findings:
    for mdc in pack.mdcs:
        if not mdc.adrgs:
            yield _node(mdc, "empty-node", f"the MDC {mdc.code} has no ADRG")
        for adrg in mdc.adrgs:
            if not adrg.drgs:
                yield _node(
                    adrg, "empty-node", f"the ADRG node {adrg.node} has no DRG: no case stays in it"
                )


def _reach(pack: Pack, tables: Tables) -> Findings:
    """Alternatives that no pair of principal diagnosis and principal procedure leads to."""
    reached = principal_reach(pack)
    why = "its codes are never principal codes there, or earlier nodes take every case"
    for mdc in pack.mdcs:
        if mdc.adrgs and not any((a.node, d.code) in reached for a in mdc.adrgs for d in a.drgs):
            yield _node(mdc, "unreachable", f"no case can reach a DRG of the MDC {mdc.code}")
            continue
        for adrg in mdc.adrgs:
            lost = [d for d in adrg.drgs if (adrg.node, d.code) not in reached]
            if lost and len(lost) == len(adrg.drgs):
                told = f"no case can reach the ADRG node {adrg.node}: {why}"
                yield _node(adrg, "unreachable", told)
                continue
            for drg in lost:
                told = f"no case can reach the DRG {drg.code}: those above take every case"
                yield _node(drg, "unreachable", told)


def _conditions(pack: Pack, tables: Tables) -> Findings:
    for node, kind, message in condition_findings(pack):
        yield _node(node, kind, message)


def _unused(pack: Pack, tables: Tables) -> Findings:
    """Sets, families, exclusion lists and attributes that nothing asks for."""
    sets, families, numbers = set(), set(), set()
    for node in pack.nodes():
        for atom in rules.atoms(node.when):
            match atom:
                case rules.InSet(_, name) | rules.Count(_, name):
                    sets.add(name)
                case rules.Sites(family):
                    families.add(family)
                case rules.Compare(number):
                    numbers.add(number)
                case _:
                    pass
    for line in _first(tables["sets.csv"], "set"):
        if line.cells["set"] not in sets:
            yield _at(line, "unused-set", f"no rule uses the set {line.cells['set']}")
    for line in _first(tables["sites.csv"], "family"):
        if line.cells["family"] not in families:
            yield _at(line, "unused-family", f"no rule uses the site family {line.cells['family']}")
    for name in pack.attributes:
        if name not in numbers:
            yield Finding(
                "scheme.toml", 0, "unused-attribute", f"no rule uses the attribute {name}"
            )
    switched = set(pack.exclusions.values())
    for line in _first(tables["severity.csv"], "exclusion"):
        name = line.cells["exclusion"].strip()
        if name and name not in switched:
            told = f"no principal diagnosis switches off the exclusion list {name}"
            yield _at(line, "unused-exclusion", told)
    listed = {name for members in pack.severity.values() for name in members.values()}
    for line in _first(tables["exclusions.csv"], "exclusion"):
        name = line.cells["exclusion"].strip()
        if name and name not in listed:
            yield _at(line, "unused-exclusion", f"no MCC or CC is on the exclusion list {name}")


def _first(lines: list[Line], column: str) -> Iterator[Line]:
    """The first row of each value of a column."""
    seen: set[str] = set()
    for line in lines:
        if line.cells[column] not in seen:
            seen.add(line.cells[column])
            yield line


def _weights(pack: Pack, tables: Tables) -> Findings:
    known = {drg.code for _, _, drg in pack.drg_rows()}
    for line in tables["weights.csv"]:
        code = line.cells["drg"]
        if code not in known:
            yield _at(line, "weight-without-drg", f"a weight for {code}, which groups.csv has not")
        elif not line.cells["weight"].strip():
            yield _at(line, "drg-without-weight", f"the weight of {code} is empty")
    if not pack.weights:
        return
    told: set[str] = set()
    for _, _, drg in pack.drg_rows():
        if not drg.ambiguous and drg.code not in pack.weights and drg.code not in told:
            told.add(drg.code)
            yield _node(drg, "drg-without-weight", f"weights.csv has no row for {drg.code}")


def _own_exclusion(pack: Pack, tables: Tables) -> Findings:
    """A complication that, as principal diagnosis, switches its own list off."""
    for line in tables["severity.csv"]:
        code, name = line.cells["code"], line.cells["exclusion"].strip()
        if name and pack.exclusions.get(code) == name:
            told = f"as principal diagnosis {code} excludes itself: both stand on list {name}"
            yield _at(line, "own-exclusion", told)


_CODE_COLUMNS = {
    "sets.csv": "code",
    "sites.csv": "code",
    "severity.csv": "code",
    "exclusions.csv": "pdx",
    "dx.csv": "code",
    "px.csv": "code",
    "dx_map.csv": "from",
    "px_map.csv": "from",
}


def _odd_codes(pack: Pack, tables: Tables) -> Findings:
    """Codes with spaces or full-width characters: they compare exactly, so no case has them."""
    for name, column in _CODE_COLUMNS.items():
        for line in tables[name]:
            code = line.cells[column]
            if any(c.isspace() or "\uff01" <= c <= "\uff5e" for c in code):
                told = f"the code {code!r} holds a space or a full-width character"
                yield _at(line, "odd-code", told)


def _repeated_codes(pack: Pack, tables: Tables) -> Findings:
    for name, columns in (
        ("sets.csv", ("set", "code")),
        ("dx.csv", ("code",)),
        ("px.csv", ("code",)),
        ("dx_map.csv", ("from",)),
        ("px_map.csv", ("from",)),
    ):
        seen: dict[tuple[str, ...], int] = {}
        for line in tables[name]:
            key = tuple(line.cells[column] for column in columns)
            first = seen.setdefault(key, line.number)
            if first != line.number:
                told = f"{' '.join(key)} stands already in line {first}"
                yield _at(line, "duplicate-code", told)


def _maps(pack: Pack, tables: Tables) -> Findings:
    for name, known in (("dx_map.csv", pack.dx), ("px_map.csv", pack.px)):
        for line in tables[name] if known else ():
            to = line.cells["to"]
            if to != "-" and to not in known:
                yield _at(line, "map-target", f"{line.cells['from']} becomes {to}, an unknown code")


_LOOKS: tuple[Callable[[Pack, Tables], Findings], ...] = (
    _spelling,
    _names,
    _empty_nodes,
    _conditions,
    _reach,
    _unused,
    _weights,
    _own_exclusion,
    _odd_codes,
    _repeated_codes,
    _maps,
)
