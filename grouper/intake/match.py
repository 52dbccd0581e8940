"""Which column of a source is which field."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from grouper.errors import CaseTableError
from grouper.intake.fields import KEYS, TABLES, Field
from grouper.intake.layout import Layout


def candidates(field: Field, table: str, layout: Layout) -> tuple[str, ...]:
    """Names under which a field is looked for: the layout's alone, else all that are known."""
    said = layout.table(table).columns.get(field.name)
    return (said,) if said else (field.name, *field.also, field.zh)


def names_in_documents(table: str, layout: Layout) -> dict[str, str]:
    """Names in documents to the fields that they are."""
    names: dict[str, str] = {}
    for field in TABLES[table].fields.values():
        for name in candidates(field, table, layout):
            names.setdefault(name, field.name)
    return names


def matched(table: str, columns: Collection[str], layout: Layout) -> dict[str, tuple[str, ...]]:
    """Field to the columns that are it, the first that has a value counting.

    Capitals do not matter, but where a layout names a column.
    """
    low: dict[str, str] = {}
    for name in columns:
        low.setdefault(name.lower(), name)
    found: dict[str, tuple[str, ...]] = {}
    taken: set[str] = set()
    fields = sorted(
        TABLES[table].fields.values(), key=lambda f: f.name not in layout.table(table).columns
    )
    for field in fields:
        said = layout.table(table).columns.get(field.name)
        names = [low.get(n.lower()) for n in candidates(field, table, layout)]
        mine = [n for n in dict.fromkeys(names) if n is not None and (n == said or n not in taken)]
        if mine:
            found[field.name] = tuple(mine)
            taken.update(mine)
    return found


@dataclass(frozen=True)
class Keys:
    """What joins the tables and names a case.

    Attributes:
        case_id: field of the settlement.
        join: field that every table has; empty where rows join by document.
        version: whether lists carry versions.
        versioned: tables that tell the version of their rows.
    """

    case_id: str
    join: str
    version: bool
    versioned: frozenset[str]


def choose_keys(
    present: Mapping[str, Collection[str]], layout: Layout, *, documents: bool, file: str
) -> Keys:
    """The keys, from the fields that each table has.

    Raises:
        CaseTableError: no field names the cases, or none joins all tables.
    """
    main = present.get("setlinfo", ())
    for name in (layout.case_id,) if layout.case_id else KEYS:
        if name in main:
            case_id = name
            break
    else:
        raise CaseTableError(
            f"setlinfo has no {layout.case_id or 'mdtrt_id and no setl_id'}",
            file=file,
            hint="map the column: [tables.setlinfo.columns] mdtrt_id = ...",
        )
    versioned = frozenset(name for name, fields in present.items() if "version" in fields)
    version = "setlinfo" in versioned
    if documents:
        return Keys(case_id, "", version, versioned)
    order = dict.fromkeys((case_id, *KEYS))
    for name in (layout.join,) if layout.join else order:
        if all(name in fields for fields in present.values()):
            return Keys(case_id, name, version, versioned)
    lacking = [t for t, fields in present.items() if not set(fields) & set(KEYS)]
    raise CaseTableError(
        f"no field joins all tables{': no key in ' + ', '.join(lacking) if lacking else ''}",
        file=file,
        hint=f"each table needs one of {', '.join(KEYS)}; map it in a layout",
    )
