"""Reading a scheme pack: a folder of small UTF-8 files that states one scheme (scheme-pack.md).

The reader checks what the format forbids and stops at the first fault with file, line, rule and
what to do. What is merely odd (an unused set, a DRG without a weight) is for `lint`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from grouper.errors import PackError
from grouper.scheme import rules
from grouper.scheme.rules import Rule

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "groups.csv": ("level", "node", "code", "name", "when"),
    "sets.csv": ("set", "code"),
    "sites.csv": ("family", "site", "code"),
    "severity.csv": ("code", "level", "exclusion"),
    "exclusions.csv": ("pdx", "exclusion"),
    "dx.csv": ("code", "name"),
    "px.csv": ("code", "name"),
    "dx_map.csv": ("from", "to"),
    "px_map.csv": ("from", "to"),
    "weights.csv": ("drg", "weight", "basic", "stable"),
}
OPTIONAL_FILES = frozenset(("weights.csv",))
FILES: tuple[str, ...] = ("scheme.toml", *COLUMNS)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")
# A published table is a few megabytes; anything far beyond is not a pack.
_MAX_BYTES = 64 * 1024 * 1024


class Line(NamedTuple):
    """One data row of a pack file: its line number and its cells by column name."""

    number: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class Drg:
    """A DRG alternative under an ADRG node (DRG 细分组)."""

    code: str
    name: str
    when: Rule
    line: int
    text: str

    @property
    def ambiguous(self) -> bool:
        """Whether this is the MDC's group for ambiguous cases (歧义病案), such as `BQY`."""
        return self.code[1:3] == "QY"


@dataclass(frozen=True, slots=True)
class Adrg:
    """One node of an ADRG (核心疾病诊断相关组); several nodes may share one `code`."""

    node: str
    code: str
    name: str
    when: Rule
    line: int
    text: str
    drgs: tuple[Drg, ...]


@dataclass(frozen=True, slots=True)
class Mdc:
    """A major diagnostic category (主要诊断大类) with its ADRG nodes in evaluation order."""

    node: str
    code: str
    name: str
    when: Rule
    line: int
    text: str
    adrgs: tuple[Adrg, ...]


@dataclass(frozen=True, slots=True)
class Weight:
    """The published relative weight (权重) of a DRG.

    Attributes:
        weight: exact decimal as published; None where none was published.
        basic: basic group (基础病组); None where the pack does not say.
        stable: stable group (稳定病组); None where the pack does not say.
    """

    weight: Fraction | None
    basic: bool | None
    stable: bool | None
    line: int = 0


@dataclass(frozen=True)
class Pack:
    """One scheme pack, parsed and checked.

    Attributes:
        id: the scheme's name for programs.
        mdcs: the decision list in evaluation order.
        sets: set name to its codes as written (`I21%` is a prefix), in file order.
        sites: family to (code as written) to site.
        severity: level (`MCC`, `CC`) to (code as written) to exclusion list, `""` for none.
        exclusions: principal diagnosis as written to the exclusion list it switches off.
        dx, px: known codes and their names.
        dx_map, px_map: codes of other editions; `-` drops the code.
        weights: by DRG; empty where the pack publishes none.
        attributes: further integer case columns and what they mean.
        digest: SHA-256 over the bytes of all files of the pack.
    """

    id: str
    title: str
    base: str
    valid_from: date | None
    valid_to: date | None
    retry_other_procedures: bool
    attributes: Mapping[str, str]
    mdcs: tuple[Mdc, ...]
    sets: Mapping[str, tuple[str, ...]]
    sites: Mapping[str, Mapping[str, str]]
    severity: Mapping[str, Mapping[str, str]]
    exclusions: Mapping[str, str]
    dx: Mapping[str, str]
    px: Mapping[str, str]
    dx_map: Mapping[str, str]
    px_map: Mapping[str, str]
    weights: Mapping[str, Weight]
    digest: str
    source: str = field(default="", compare=False)

    def nodes(self) -> Iterator[Mdc | Adrg | Drg]:
        """Every row of the decision list, in its order."""
        for mdc in self.mdcs:
            yield mdc
            for adrg in mdc.adrgs:
                yield adrg
                yield from adrg.drgs

    def drg_rows(self) -> Iterator[tuple[Mdc, Adrg, Drg]]:
        """Every DRG alternative with its ADRG node and MDC, in evaluation order."""
        for mdc in self.mdcs:
            for adrg in mdc.adrgs:
                for drg in adrg.drgs:
                    yield mdc, adrg, drg


def read_pack(folder: Path) -> Pack:
    """Read and check the pack in `folder`.

    Raises:
        PackError: the first thing the format forbids, with file, line and rule.
    """
    if not folder.is_dir():
        raise PackError(
            f"{folder} is not a folder",
            hint="a scheme pack is a folder with scheme.toml and groups.csv, or a built-in name",
        )
    contents = {name: _bytes(folder, name) for name in FILES}
    digest = hashlib.sha256()
    for name in FILES:
        data = contents[name]
        if data is not None:
            digest.update(f"{name}\0{len(data)}\0".encode())
            digest.update(data)
    return parse_pack(contents, digest=digest.hexdigest(), source=str(folder))


def _bytes(folder: Path, name: str) -> bytes | None:
    path = folder / name
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise PackError(
                f"the file is larger than {_MAX_BYTES // 2**20} MiB",
                file=name,
                hint="a pack file is a short table; check that this is the right folder",
            )
        return path.read_bytes()
    except FileNotFoundError:
        if name in OPTIONAL_FILES:
            return None
        header = "id and retry_other_procedures" if name == "scheme.toml" else "its header line"
        raise PackError(
            f"the pack in {folder} lacks this file",
            file=name,
            hint=f"add it; where the scheme has nothing to say there, with {header} only",
        ) from None
    except OSError as error:
        raise PackError(
            f"cannot be read: {error.strerror}", file=name, hint=f"look at {path}"
        ) from error


def parse_pack(contents: Mapping[str, bytes | None], *, digest: str = "", source: str = "") -> Pack:
    """Build a pack from the bytes of its files (name to content, None for an absent optional)."""
    identity = _identity(_text("scheme.toml", contents["scheme.toml"] or b""))
    tables = {name: list(_rows(name, contents.get(name))) for name in COLUMNS}
    attributes = frozenset(identity.attributes)
    mdcs = _decision_list(tables["groups.csv"], attributes)
    pack = Pack(
        id=identity.id,
        title=identity.title,
        base=identity.base,
        valid_from=identity.valid_from,
        valid_to=identity.valid_to,
        retry_other_procedures=identity.retry_other_procedures,
        attributes=identity.attributes,
        mdcs=mdcs,
        sets=_sets(tables["sets.csv"]),
        sites=_sites(tables["sites.csv"]),
        severity=_severity(tables["severity.csv"]),
        exclusions=_exclusions(tables["exclusions.csv"]),
        dx=_names("dx.csv", tables["dx.csv"]),
        px=_names("px.csv", tables["px.csv"]),
        dx_map=_map("dx_map.csv", tables["dx_map.csv"]),
        px_map=_map("px_map.csv", tables["px_map.csv"]),
        weights=_weights(tables["weights.csv"]),
        digest=digest,
        source=source,
    )
    _check_names(pack)
    return pack


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PackError(
            "not UTF-8 text", file=name, line=line, hint="save the file as UTF-8"
        ) from None


def _rows(name: str, data: bytes | None) -> Iterator[Line]:
    if data is None:
        return
    # Rows of a real table are short: without a limit a garbage file would be read as one huge cell.
    reader = csv.reader(io.StringIO(_text(name, data), newline=""), strict=True)
    try:
        header = next(reader, None)
        if header is None:
            raise PackError(
                "the file is empty", file=name, hint=f"its first line is {','.join(COLUMNS[name])}"
            )
        missing = [column for column in COLUMNS[name] if column not in header]
        if missing:
            raise PackError(
                f"the header lacks {', '.join(missing)}",
                file=name,
                line=1,
                hint=f"the first line is {','.join(COLUMNS[name])}",
            )
        if len(set(header)) != len(header):
            raise PackError(
                "a column stands twice in the header",
                file=name,
                line=1,
                hint=f"the first line is {','.join(COLUMNS[name])}",
            )
        width = len(header)
        for row in reader:
            if not row:
                continue
            if len(row) != width:
                raise PackError(
                    f"{len(row)} cells where the header has {width}",
                    file=name,
                    line=reader.line_num,
                    hint='a cell that holds a comma stands in double quotes: "…"',
                )
            yield Line(reader.line_num, dict(zip(header, row, strict=True)))
    except csv.Error as error:
        raise PackError(
            f"not a CSV table: {error}",
            file=name,
            line=reader.line_num,
            hint="save it as comma-separated UTF-8 text; a double quote within a cell is doubled",
        ) from None


@dataclass(frozen=True)
class _Identity:
    id: str
    title: str
    base: str
    valid_from: date | None
    valid_to: date | None
    retry_other_procedures: bool
    attributes: dict[str, str]


def _identity(text: str) -> _Identity:
    name = "scheme.toml"
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found.group(1)) if found else text.count("\n") + 1
        raise PackError(
            f"not TOML: {error}", file=name, line=line, hint='write each key as key = "value"'
        ) from None

    def key(wanted: str, kind: type | tuple[type, ...], what: str, default: object) -> object:
        value = data.get(wanted, default)
        if value is _REQUIRED:
            raise PackError(
                f"the key {wanted} is missing", file=name, hint=f"add {wanted} = {what}"
            )
        if value is not default and not isinstance(value, kind):
            line = _line_of(text, wanted)
            raise PackError(
                f"{wanted} must be {what}, not {value!r}",
                file=name,
                line=line,
                hint=f"write {wanted} = {what}",
            )
        return value

    def day(wanted: str) -> date | None:
        value = key(wanted, (date, str), "a date such as 2024-01-01", None)
        if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            raise PackError(
                f"{wanted} must be a date such as 2024-01-01, not {value!r}",
                file=name,
                line=_line_of(text, wanted),
                hint="year, month and day, without a time",
            ) from None

    identity = str(key("id", str, 'a name in quotes, such as "changsha_2023"', _REQUIRED))
    if not identity.strip():
        raise PackError(
            "id is empty", file=name, line=_line_of(text, "id"), hint="give the scheme a name"
        )
    attributes = key("attributes", dict, "a table", {})
    assert isinstance(attributes, dict)
    for attribute, meaning in attributes.items():
        line = _line_of(text, attribute)
        if not _NAME.fullmatch(attribute) or attribute in _NO_ATTRIBUTES:
            raise PackError(
                f"{attribute!r} cannot be the name of an attribute",
                file=name,
                line=line,
                hint="a letter or _, then letters, digits, _ and '.'; no word of the rule language",
            )
        if not isinstance(meaning, str):
            raise PackError(
                f"the attribute {attribute} needs a description in quotes",
                file=name,
                line=line,
                hint=f'write {attribute} = "what the column holds"; quote a name that has a dot',
            )
    valid_from, valid_to = day("valid_from"), day("valid_to")
    if valid_from and valid_to and valid_to < valid_from:
        raise PackError(
            "valid_to lies before valid_from",
            file=name,
            line=_line_of(text, "valid_to"),
            hint="both days belong to the time of validity",
        )
    return _Identity(
        id=identity,
        title=str(key("title", str, "a text in quotes", "")),
        base=str(key("base", str, "the id of a scheme in quotes", "")),
        valid_from=valid_from,
        valid_to=valid_to,
        retry_other_procedures=bool(
            key("retry_other_procedures", bool, "true or false", _REQUIRED)
        ),
        attributes=dict(attributes),
    )


_REQUIRED = object()
# A pack may declare once more what the language knows as a number anyway, such as icu_hours.
_NO_ATTRIBUTES = (rules.RESERVED - set(rules.NUMBERS)) | {"case_id", "dx", "px"}


def _line_of(text: str, key: str) -> int:
    found = re.search(rf"^\s*\"?{re.escape(key)}\"?\s*=", text, re.MULTILINE)
    return text.count("\n", 0, found.end()) + 1 if found else 0


def _decision_list(lines: list[Line], attributes: frozenset[str]) -> tuple[Mdc, ...]:
    file = "groups.csv"
    mdcs: list[Mdc] = []
    adrgs: list[Adrg] = []
    drgs: list[Drg] = []
    mdc: tuple[Line, Rule] | None = None
    adrg: tuple[Line, Rule] | None = None
    seen: dict[tuple[str, str], int] = {}

    def close_adrg() -> None:
        nonlocal adrg
        if adrg is not None:
            line, when = adrg
            adrgs.append(Adrg(*_node(line), when, line.number, line.cells["when"], tuple(drgs)))
            drgs.clear()
            adrg = None

    def close_mdc() -> None:
        nonlocal mdc
        close_adrg()
        if mdc is not None:
            line, when = mdc
            mdcs.append(Mdc(*_node(line), when, line.number, line.cells["when"], tuple(adrgs)))
            adrgs.clear()
            mdc = None

    def once(level: str, node: str, line: Line) -> None:
        first = seen.setdefault((level, node), line.number)
        if first != line.number:
            raise PackError(
                f"the {level} node {node} stands already in line {first}",
                file=file,
                line=line.number,
                rule=line.cells["when"],
                hint="give each node of a level its own name (AH1_1, AH1_2); code may repeat",
            )

    for line in lines:
        cells = line.cells
        level, node, code = cells["level"], cells["node"], cells["code"]
        if not node or not code:
            raise PackError(
                "node and code may not be empty",
                file=file,
                line=line.number,
                hint="code is what is reported; node is a name for this row, often the code itself",
            )
        if level == "mdc":
            close_mdc()
            once(level, node, line)
            mdc = (line, _rule(line, attributes))
        elif level == "adrg":
            if mdc is None:
                raise PackError(
                    f"the ADRG {code} stands before any mdc row",
                    file=file,
                    line=line.number,
                    hint="list an MDC, then its ADRG nodes, each followed by its DRGs",
                )
            close_adrg()
            once(level, node, line)
            adrg = (line, _rule(line, attributes))
        elif level == "drg":
            if mdc is None or adrg is None:
                raise PackError(
                    f"the DRG {code} stands under no adrg row",
                    file=file,
                    line=line.number,
                    hint="list an MDC, then its ADRG nodes, each followed by its DRGs",
                )
            _check_drg(line, mdc[0], adrg[0], drgs)
            drgs.append(
                Drg(code, cells["name"], _rule(line, attributes), line.number, cells["when"])
            )
        else:
            raise PackError(
                f"unknown level {level!r}", file=file, line=line.number, hint="mdc, adrg or drg"
            )
    close_mdc()
    if not mdcs:
        raise PackError("no mdc row", file=file, hint="a scheme has at least one MDC")
    return tuple(mdcs)


def _node(line: Line) -> tuple[str, str, str]:
    return line.cells["node"], line.cells["code"], line.cells["name"]


def _check_drg(line: Line, mdc: Line, adrg: Line, siblings: list[Drg]) -> None:
    file, cells = "groups.csv", line.cells
    code, rule = cells["code"], cells["when"]
    if cells["node"] != code:
        raise PackError(
            f"the node {cells['node']} of a drg row must equal its code {code}",
            file=file,
            line=line.number,
            rule=rule,
            hint="write the code in both columns",
        )
    if code[0] != mdc.cells["code"]:
        raise PackError(
            f"the first letter of the DRG {code} is not its MDC {mdc.cells['code']}",
            file=file,
            line=line.number,
            rule=rule,
            hint=f"move it under its MDC, or give it a code that begins with {mdc.cells['code']}",
        )
    for other in siblings:
        if other.code == code:
            raise PackError(
                f"the DRG {code} stands twice under the node {adrg.cells['node']}"
                f" (first in line {other.line})",
                file=file,
                line=line.number,
                rule=rule,
                hint="join the two conditions with 'or'",
            )


def _rule(line: Line, attributes: frozenset[str]) -> Rule:
    text = line.cells["when"]
    try:
        return rules.parse(text, attributes)
    except rules.RuleSyntaxError as error:
        raise PackError(
            f"the rule of {line.cells['node']} cannot be read at column {error.column}: {error}",
            file="groups.csv",
            line=line.number,
            rule=text,
            hint="further integer columns are declared under [attributes] in scheme.toml"
            if "unknown name" in str(error)
            else "see 'The rule language' in the documentation of scheme packs",
        ) from None


def _code(file: str, line: Line, column: str) -> str:
    code = line.cells[column]
    if not code.strip():
        raise PackError(f"{column} is empty", file=file, line=line.number, hint="drop the line")
    return code


def _sets(lines: list[Line]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        name = line.cells["set"]
        if not _NAME.fullmatch(name):
            raise PackError(
                f"{name!r} cannot be the name of a set",
                file="sets.csv",
                line=line.number,
                hint="a letter or _, then letters, digits, _ and '.'",
            )
        if not line.cells["code"].strip():
            raise PackError(
                f"the set {name} has a row without a code",
                file="sets.csv",
                line=line.number,
                hint="a set without a code holds for no case; drop the line or add the code",
            )
        found.setdefault(name, []).append(line.cells["code"])
    return {name: tuple(codes) for name, codes in found.items()}


def _sites(lines: list[Line]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        family, code = line.cells["family"], _code("sites.csv", line, "code")
        if not _NAME.fullmatch(family):
            raise PackError(
                f"{family!r} cannot be the name of a family",
                file="sites.csv",
                line=line.number,
                hint="a letter or _, then letters, digits, _ and '.'",
            )
        site = _code("sites.csv", line, "site")
        members = found.setdefault(family, {})
        if code in members:
            raise PackError(
                f"the code {code} stands twice in the family {family}",
                file="sites.csv",
                line=line.number,
                hint="a code lies on one site of a family",
            )
        members[code] = site
    return found


def _severity(lines: list[Line]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {"MCC": {}, "CC": {}}
    for line in lines:
        code, level = _code("severity.csv", line, "code"), line.cells["level"]
        members = found.get(level)
        if members is None:
            raise PackError(
                f"unknown level {level!r}",
                file="severity.csv",
                line=line.number,
                hint="MCC or CC",
            )
        if code in members:
            raise PackError(
                f"the code {code} stands twice with level {level}",
                file="severity.csv",
                line=line.number,
                hint="a code belongs to one exclusion list a level",
            )
        members[code] = line.cells["exclusion"].strip()
    return found


def _exclusions(lines: list[Line]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        pdx = _code("exclusions.csv", line, "pdx")
        if pdx in found:
            raise PackError(
                f"the principal diagnosis {pdx} stands twice",
                file="exclusions.csv",
                line=line.number,
                hint="a principal diagnosis switches off one exclusion list",
            )
        found[pdx] = line.cells["exclusion"].strip()
    return found


def _names(file: str, lines: list[Line]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        found.setdefault(_code(file, line, "code"), line.cells["name"])
    return found


def _map(file: str, lines: list[Line]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        found.setdefault(_code(file, line, "from"), _code(file, line, "to"))
    return found


def _weights(lines: list[Line]) -> dict[str, Weight]:
    file = "weights.csv"
    found: dict[str, Weight] = {}
    for line in lines:
        drg, text = _code(file, line, "drg"), line.cells["weight"].strip()
        if drg in found:
            raise PackError(
                f"the DRG {drg} stands twice",
                file=file,
                line=line.number,
                hint="a DRG has one weight; drop one of the lines",
            )
        if text and not _DECIMAL.fullmatch(text):
            raise PackError(
                f"the weight {text!r} of {drg} is not a plain decimal",
                file=file,
                line=line.number,
                hint="write it like 1.2345; leave it empty where none was published",
            )
        flags: list[bool | None] = []
        for column in ("basic", "stable"):
            cell = line.cells[column].strip()
            if cell not in ("", "0", "1"):
                raise PackError(
                    f"{column} of {drg} is {cell!r}",
                    file=file,
                    line=line.number,
                    hint="1, 0 or empty",
                )
            flags.append(None if cell == "" else cell == "1")
        found[drg] = Weight(Fraction(text) if text else None, flags[0], flags[1], line.number)
    return found


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
                file="groups.csv",
                line=node.line,
                rule=node.text,
                hint=f"add its codes to {where}, or mend the name in the rule",
            )
