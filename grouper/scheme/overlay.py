"""Overlays: a pack that says only how it differs from the pack it extends.

A row of an overlay stands instead of the row with the same key, or is added; `change = drop` takes
the row away. `groups.csv` has two columns more, `change` and `place`; its rules are in
docs/scheme-packs.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from grouper.scheme.layers import Layer
from grouper.scheme.tables import COLUMNS, Form, Line, Tables, read_rows

KEYS: Mapping[str, tuple[str, ...]] = {
    "sets.csv": ("set", "code"),
    "sites.csv": ("family", "code"),
    "severity.csv": ("code", "level"),
    "exclusions.csv": ("pdx",),
    "dx.csv": ("code",),
    "px.csv": ("code",),
    "dx_map.csv": ("from",),
    "px_map.csv": ("from",),
    "weights.csv": ("drg",),
}
"""What makes two rows of a file the same row."""

ALL_CODES = "*"
"""In place of a code: the whole set (`change = drop`)."""


def layer_tables(layer: Layer) -> Tables:
    """The rows of one folder; those of an overlay have the columns `change` and `place`."""
    tables: Tables = {}
    for name, columns in COLUMNS.items():
        further: tuple[str, ...] = ()
        if layer.identity.extends:
            further = ("change", "place") if name == "groups.csv" else ("change",)
        data = layer.contents[name]
        rows = () if data is None else read_rows(Form(layer.file(name), columns, further), data)
        tables[name] = list(rows)
    return tables


def merge(below: Tables, layer: Layer) -> Tables:
    """The tables of a pack with an overlay's changes.

    Raises:
        PackError: a change that cannot be made, at the overlay's row.
    """
    own = layer_tables(layer)
    merged: Tables = {}
    for name, rows in own.items():
        if name in layer.identity.replace:
            merged[name] = rows
        elif name == "groups.csv":
            merged[name] = list(_Groups(below[name]).changed(rows))
        elif name == "sets.csv":
            merged[name] = _sets(below[name], rows)
        else:
            merged[name] = _keyed(below[name], rows, KEYS[name])
    return merged


def _change(line: Line, known: Sequence[str]) -> str:
    change = line.cells.get("change", "")
    if change not in known:
        raise line.fault(
            f"unknown change {change!r}",
            hint=f"empty to add or replace the row, or {', '.join(k for k in known if k)}",
        )
    return change


def _key(line: Line, columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(line.cells[column] for column in columns)


def _keyed(below: Sequence[Line], own: Sequence[Line], columns: Sequence[str]) -> list[Line]:
    rows = {_key(line, columns): line for line in below}
    seen: set[tuple[str, ...]] = set()
    for line in own:
        key = _key(line, columns)
        if key in seen:
            raise line.fault(f"{' '.join(key)} stands twice in this overlay", hint="drop one line")
        seen.add(key)
        if _change(line, ("", "drop")) == "":
            rows[key] = line
        elif rows.pop(key, None) is None:
            raise _nothing_to_drop(line, " ".join(key))
    return list(rows.values())


def _nothing_to_drop(line: Line, what: str) -> Exception:
    return line.fault(
        f"there is no {what} to drop", hint="mend the name as the extended pack writes it"
    )


def _sets(below: Sequence[Line], own: Sequence[Line]) -> list[Line]:
    sets: dict[str, dict[str, Line]] = {}
    for line in below:
        sets.setdefault(line.cells["set"], {})[line.cells["code"]] = line
    replaced: set[str] = set()
    for line in own:
        name, code = line.cells["set"], line.cells["code"]
        change = _change(line, ("", "drop", "replace"))
        if change == "drop":
            gone: object = None
            if code == ALL_CODES:
                gone = sets.pop(name, None)
            elif name in sets:
                gone = sets[name].pop(code, None)
            if gone is None:
                raise _nothing_to_drop(line, f"{name} {code}")
            continue
        if change == "replace" and name not in replaced:
            replaced.add(name)
            sets[name] = {}
        sets.setdefault(name, {})[code] = line
    return [line for codes in sets.values() for line in codes.values()]


@dataclass
class _Node:
    """An mdc or adrg row with what stands under it."""

    line: Line
    children: list[_Node] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.line.cells["node"]

    def rows(self) -> Iterator[Line]:
        yield self.line
        for child in self.children:
            yield from child.rows()


class _Groups:
    """The decision list below an overlay, and how its rows change it."""

    def __init__(self, below: Sequence[Line]) -> None:
        self.top: list[_Node] = []
        for line in below:
            level = line.cells["level"]
            if level == "mdc":
                self.top.append(_Node(line))
            elif level == "adrg":
                self.top[-1].children.append(_Node(line))
            else:
                self.top[-1].children[-1].children.append(_Node(line))
        self.mdc: _Node | None = None
        self.adrg: _Node | None = None
        self.restated: set[str] = set()

    def changed(self, own: Sequence[Line]) -> Iterator[Line]:
        for line in own:
            level = line.cells["level"]
            if level == "mdc":
                self.mdc, self.adrg = self.change(line, self.top), None
            elif level == "adrg":
                self.adrg = self.change_adrg(line)
            elif level == "drg":
                self.change_drg(line)
            else:
                raise line.fault(f"unknown level {level!r}", hint="mdc, adrg or drg")
        for node in self.top:
            yield from node.rows()

    def change_adrg(self, line: Line) -> _Node | None:
        name = line.cells["node"]
        for mdc in self.top:
            if any(child.name == name for child in mdc.children):
                self.mdc = mdc
                return self.change(line, mdc.children)
        if _change(line, ("", "drop")) == "drop":
            raise _nothing_to_drop(line, f"adrg node {name}")
        if self.mdc is None:
            raise line.fault(
                f"the new ADRG node {name} stands under no mdc row",
                hint="write the row of its MDC above it; empty cells there stay as they are",
            )
        return self.change(line, self.mdc.children)

    def change(self, line: Line, siblings: list[_Node]) -> _Node | None:
        """Add, change, move or drop a node."""
        name, place = line.cells["node"], line.cells["place"]
        found = next((node for node in siblings if node.name == name), None)
        if _change(line, ("", "drop")) == "drop":
            if found is None:
                raise _nothing_to_drop(line, f"{line.cells['level']} node {name}")
            siblings.remove(found)
            return None
        if found is None:
            if not place:
                raise line.fault(
                    f"the new node {name} needs a place: the first node that holds decides",
                    hint="in the column place write first, last, before NODE or after NODE",
                )
            found = _Node(line)
        else:
            kept = {k: v or found.line.cells.get(k, "") for k, v in line.cells.items()}
            found.line = Line(line.file, line.number, kept)
        if place:
            if found in siblings:
                siblings.remove(found)
            siblings.insert(_position(line, siblings), found)
        return found

    def change_drg(self, line: Line) -> None:
        code = line.cells["code"]
        if self.adrg is None:
            raise line.fault(
                f"the DRG {code} stands under no adrg row",
                hint="write the row of its ADRG node above it; empty cells there stay as they are",
            )
        siblings = self.adrg.children
        if _change(line, ("", "drop")) == "drop":
            found = next((node for node in siblings if node.line.cells["code"] == code), None)
            if found is None:
                raise _nothing_to_drop(line, f"DRG {code} under {self.adrg.name}")
            siblings.remove(found)
            return
        if self.adrg.name not in self.restated:
            # The alternatives of a node are an ordered choice: they are restated together.
            self.restated.add(self.adrg.name)
            siblings.clear()
        siblings.append(_Node(line))


def _position(line: Line, siblings: Sequence[_Node]) -> int:
    place = line.cells["place"].split()
    names = [node.name for node in siblings]
    match place:
        case ["first"]:
            return 0
        case ["last"]:
            return len(siblings)
        case ["before" | "after" as side, name] if name in names:
            return names.index(name) + (side == "after")
        case ["before" | "after", name]:
            raise line.fault(
                f"there is no {line.cells['level']} node {name} beside {line.cells['node']}",
                hint=f"its neighbours are {', '.join(names[:12])}",
            )
    raise line.fault(
        f"{line.cells['place']!r} is no place", hint="first, last, before NODE or after NODE"
    )
