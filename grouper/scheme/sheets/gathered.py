"""What the rows of all tables say together: groups with lists, subgroups, severities, names."""

from __future__ import annotations

from dataclasses import dataclass, field

from grouper.scheme.imported import Unread
from grouper.scheme.sheets.words import List


@dataclass
class Group:
    """An MDC or ADRG, or the lists that a DRG has of its own.

    Attributes:
        conditions: (text, row) of each alternative, in the notation.
        lists: its codes by list.
        order: position that a column states; empty where there is none.
    """

    code: str
    file: str
    row: int
    name: str = ""
    order: str = ""
    conditions: list[tuple[str, str, int]] = field(default_factory=list)
    lists: dict[List, dict[str, None]] = field(default_factory=dict)


@dataclass
class Subgroup:
    """A DRG as its row states it."""

    code: str
    file: str
    row: int
    adrg: str
    name: str = ""
    when: str = ""
    weight: str = ""
    basic: str = ""
    stable: str = ""


@dataclass
class Gathered:
    """What all tables say together; dictionaries keep the order of the rows.

    Attributes:
        owned: DRGs with lists of their own.
        severity: level to code to exclusion list.
        sites: family to code to site.
        listed: names that stand beside codes in lists: diagnoses, procedures.
        unread: rows that could not be read, and notes.
    """

    mdcs: dict[str, Group] = field(default_factory=dict)
    adrgs: dict[str, Group] = field(default_factory=dict)
    drgs: dict[str, Subgroup] = field(default_factory=dict)
    owned: dict[str, Group] = field(default_factory=dict)
    severity: dict[str, dict[str, str]] = field(default_factory=lambda: {"MCC": {}, "CC": {}})
    exclusions: dict[str, str] = field(default_factory=dict)
    sites: dict[str, dict[str, str]] = field(default_factory=dict)
    dx: dict[str, str] = field(default_factory=dict)
    px: dict[str, str] = field(default_factory=dict)
    or_px: dict[str, None] = field(default_factory=dict)
    dx_map: dict[str, str] = field(default_factory=dict)
    px_map: dict[str, str] = field(default_factory=dict)
    listed: tuple[dict[str, str], dict[str, str]] = field(default_factory=lambda: ({}, {}))
    scheme: dict[str, str] = field(default_factory=dict)
    unread: list[Unread] = field(default_factory=list)
