"""Reading a scheme pack: a folder of small UTF-8 files that states one scheme (scheme-pack.md).

The reader checks what the format forbids and stops at the first fault with file, line, rule and
what to do. What is merely odd (an unused set, a DRG without a weight) is for `lint`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from grouper.errors import PackError
from grouper.scheme import rules
from grouper.scheme.groups import decision_list
from grouper.scheme.identity import NAME, Identity, read_identity
from grouper.scheme.layers import Layer, digest_of, read_layers
from grouper.scheme.model import Adrg, Drg, Mdc, Pack, Weight
from grouper.scheme.overlay import layer_tables, merge
from grouper.scheme.tables import COLUMNS, FILES, OPTIONAL_FILES, Line, Tables, decode

__all__ = [
    "COLUMNS",
    "FILES",
    "OPTIONAL_FILES",
    "Adrg",
    "Drg",
    "Mdc",
    "Pack",
    "Weight",
    "join",
    "parse_layers",
    "parse_pack",
    "read_pack",
]

_DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")


def read_pack(folder: Path) -> Pack:
    """Read and check the pack in `folder`, and the packs it extends.

    Raises:
        PackError: the first thing the format forbids, with file, line and rule.
    """
    return parse_layers(read_layers(folder))


def parse_pack(contents: Mapping[str, bytes | None], *, source: str = "") -> Pack:
    """Build a pack from the bytes of its files (name to content, None for an absent optional)."""
    toml = "scheme.toml"
    identity = read_identity(toml, decode(toml, contents[toml] or b""))
    layer = Layer(Path(source), "", identity, contents)
    return build_pack(identity, layer_tables(layer), source=source)


def parse_layers(layers: tuple[Layer, ...]) -> Pack:
    """Build a pack from its files and those of the packs that it extends."""
    identity, tables = join(layers)
    return build_pack(identity, tables, digest=digest_of(layers), source=str(layers[0].folder))


def join(layers: tuple[Layer, ...]) -> tuple[Identity, Tables]:
    """Identity and rows of a pack, with the changes of each overlay made in turn."""
    *overlays, base = layers
    tables = layer_tables(base)
    attributes = dict(base.identity.attributes)
    retry = base.identity.retry_other_procedures
    for layer in reversed(overlays):
        tables = merge(tables, layer)
        attributes.update(layer.identity.attributes)
        if layer.identity.retry_other_procedures is not None:
            retry = layer.identity.retry_other_procedures
    own = layers[0].identity
    identity = Identity(
        id=own.id,
        title=own.title,
        base=own.base or (layers[1].identity.id if overlays else ""),
        valid_from=own.valid_from,
        valid_to=own.valid_to,
        retry_other_procedures=retry,
        attributes=attributes,
    )
    return identity, tables


def build_pack(identity: Identity, tables: Tables, *, digest: str = "", source: str = "") -> Pack:
    """Check the rows of a pack and build it.

    Raises:
        PackError: the first thing the format forbids.
    """
    pack = Pack(
        id=identity.id,
        title=identity.title,
        base=identity.base,
        valid_from=identity.valid_from,
        valid_to=identity.valid_to,
        retry_other_procedures=bool(identity.retry_other_procedures),
        attributes=identity.attributes,
        mdcs=decision_list(tables["groups.csv"], frozenset(identity.attributes)),
        sets=_sets(tables["sets.csv"]),
        sites=_sites(tables["sites.csv"]),
        severity=_severity(tables["severity.csv"]),
        exclusions=_exclusions(tables["exclusions.csv"]),
        dx=_pairs(tables["dx.csv"], "code", "name"),
        px=_pairs(tables["px.csv"], "code", "name"),
        dx_map=_pairs(tables["dx_map.csv"], "from", "to"),
        px_map=_pairs(tables["px_map.csv"], "from", "to"),
        weights=_weights(tables["weights.csv"]),
        digest=digest,
        source=source,
    )
    _check_names(pack)
    return pack


def _name(line: Line, column: str, what: str) -> str:
    name = line.cells[column]
    if not NAME.fullmatch(name):
        raise line.fault(
            f"{name!r} cannot be the name of a {what}",
            hint="a letter or _, then letters, digits, _ and '.'",
        )
    return name


def _sets(lines: list[Line]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        name, code = _name(line, "set", "set"), line.cells["code"]
        if not code.strip():
            raise line.fault(
                f"the set {name} has a row without a code",
                hint="a set without a code holds for no case; drop the line or add the code",
            )
        found.setdefault(name, []).append(code)
    return {name: tuple(codes) for name, codes in found.items()}


def _sites(lines: list[Line]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        family, code = _name(line, "family", "family"), line.code("code")
        site = line.code("site")
        members = found.setdefault(family, {})
        if code in members:
            raise line.fault(
                f"the code {code} stands twice in the family {family}",
                hint="a code lies on one site of a family",
            )
        members[code] = site
    return found


def _severity(lines: list[Line]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {"MCC": {}, "CC": {}}
    for line in lines:
        code, level = line.code("code"), line.cells["level"]
        members = found.get(level)
        if members is None:
            raise line.fault(f"unknown level {level!r}", hint="MCC or CC")
        if code in members:
            raise line.fault(
                f"the code {code} stands twice with level {level}",
                hint="a code belongs to one exclusion list a level",
            )
        members[code] = line.cells["exclusion"].strip()
    return found


def _exclusions(lines: list[Line]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        pdx = line.code("pdx")
        if pdx in found:
            raise line.fault(
                f"the principal diagnosis {pdx} stands twice",
                hint="a principal diagnosis switches off one exclusion list",
            )
        found[pdx] = line.cells["exclusion"].strip()
    return found


def _pairs(lines: list[Line], key: str, value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        code = line.code(key)
        found.setdefault(code, line.cells[value] if value == "name" else line.code(value))
    return found


def _weights(lines: list[Line]) -> dict[str, Weight]:
    found: dict[str, Weight] = {}
    for line in lines:
        drg, text = line.code("drg"), line.cells["weight"].strip()
        if drg in found:
            raise line.fault(
                f"the DRG {drg} stands twice", hint="a DRG has one weight; drop one of the lines"
            )
        if text and not _DECIMAL.fullmatch(text):
            raise line.fault(
                f"the weight {text!r} of {drg} is not a plain decimal",
                hint="write it like 1.2345; leave it empty where none was published",
            )
        basic, stable = (_flag(line, drg, column) for column in ("basic", "stable"))
        found[drg] = Weight(Fraction(text) if text else None, basic, stable, line.number)
    return found


def _flag(line: Line, drg: str, column: str) -> bool | None:
    cell = line.cells[column].strip()
    if cell not in ("", "0", "1"):
        raise line.fault(f"{column} of {drg} is {cell!r}", hint="1, 0 or empty")
    return None if cell == "" else cell == "1"


def _check_names(pack: Pack) -> None:
    """Every set and family that a rule names exists."""
    for node in pack.nodes():
        for atom in rules.atoms(node.when):
            match atom:
                case rules.InSet(set=name) | rules.Count(set=name) if name not in pack.sets:
                    what, where = f"the set {name}", "sets.csv"
                case rules.Sites(family=name) if name not in pack.sites:
                    what, where = f"the site family {name}", "sites.csv"
                case _:
                    continue
            raise PackError(
                f"{what} of this rule has no code in {where}",
                file=node.file,
                line=node.line,
                rule=node.text,
                hint=f"add its codes to {where}, or mend the name in the rule",
            )
