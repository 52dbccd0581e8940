"""What the rows of all tables say together: groups with lists, subgroups, severities, names."""

from __future__ import annotations

from dataclasses import dataclass, field

from grouper.scheme.imported import Unread
from grouper.scheme.sheets.words import List


def node_name(code: str, variant: int) -> str:
    """The name of an ADRG's node in the decision list."""
    return f"{code}_{variant}" if variant else code


@dataclass
class Group:
    """An MDC or ADRG, or the lists that a DRG has of its own.

    Attributes:
        variant: number of the variant (情形) of its ADRG; 0 where it has one only.
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
    variant: int = 0

    @property
    def node(self) -> str:
        """Its name in the decision list and before its sets, such as `BB1` or `AH1_2`."""
        return node_name(self.code, self.variant)


@dataclass
class Subgroup:
    """A DRG as its row states it.

    Attributes:
        variant: the variant of its ADRG that it stands under; 0 for all of them, None where its
            table has no such column.
    """

    code: str
    file: str
    row: int
    adrg: str
    name: str = ""
    when: str = ""
    weight: str = ""
    basic: str = ""
    stable: str = ""
    variant: int | None = None


@dataclass
class Gathered:
    """What all tables say together; dictionaries keep the order of the rows.

    Attributes:
        adrgs: ADRGs, or their variants, by node name.
        stated: ADRG to the first row (file, row) that numbers it as a variant, and that does not.
        drgs: by code and variant, 0 for all variants.
        owned: DRGs with lists of their own.
        severity: level to code to exclusion list.
        sites: family to code to site.
        listed: names that stand beside codes in lists: diagnoses, procedures.
        unread: rows that could not be read, and notes.
    """

    mdcs: dict[str, Group] = field(default_factory=dict)
    adrgs: dict[str, Group] = field(default_factory=dict)
    stated: dict[str, dict[bool, tuple[str, int]]] = field(default_factory=dict)
    drgs: dict[tuple[str, int], Subgroup] = field(default_factory=dict)
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
