"""Which sheet is which table, where its headings stand, and which column means what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from grouper.errors import PackError
from grouper.scheme.imported import Unread
from grouper.scheme.sheets.cells import Row, Sheet
from grouper.scheme.sheets.columns import ColumnMap, Table, list_key
from grouper.scheme.sheets.words import (
    ROLES,
    List,
    columns_of,
    heading,
    list_column,
    role_of_name,
)

_LOOK_AT = 40
_LONGEST_HEADING = 40
# A heading such as 编码 serves in many tables; these say what a table is.
_TELLING = ("drg", "adrg", "mdc", "level", "site", "from", "exclusion")


@dataclass(frozen=True)
class Found:
    """A sheet that is understood.

    Attributes:
        role: a key of `ROLES`.
        columns: column key to position from 0.
        lists: (list, positions of its codes) of an ADRG list with a column per list.
        rows: those below the headings.
        again: columns that are not read, because another of the same heading is: the heading,
            the column that is read and the other, from 0.
    """

    sheet: Sheet
    role: str
    columns: Mapping[str, int]
    lists: Sequence[tuple[List, int]]
    rows: Sequence[Row]
    again: Sequence[tuple[str, int, int]] = ()


class _Header(NamedTuple):
    """Headings at some row, one or two rows deep."""

    at: int
    depth: int
    texts: Sequence[Sequence[str]]
    known: Mapping[int, tuple[str, ...]]
    lists: Mapping[int, tuple[List, bool]]

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(key for keys in self.known.values() for key in keys)

    @property
    def worth(self) -> int:
        return len(set(self.known) | set(self.lists))


def find_tables(sheets: Sequence[Sheet], mapped: ColumnMap) -> tuple[list[Found], list[Unread]]:
    """The tables among the sheets, and notes on what is not used.

    Raises:
        PackError: a sheet of the map is not there, or a table lacks a column.
    """
    found: list[Found] = []
    notes: list[Unread] = []
    for table in mapped.tables:
        own = [sheet for sheet in sheets if table.means(sheet)]
        if not own:
            wanted = " / ".join(filter(None, (table.file, table.sheet))) or "any"
            raise PackError(
                f"[tables.{table.role}] names {wanted!r}, and there is no such sheet",
                file=mapped.file,
                hint=f"there is {_listed(sheets)}",
            )
        found.extend(_mapped(sheet, table) for sheet in own)
    used = {id(one.sheet) for one in found}
    roles = {table.role for table in mapped.tables}
    refused: list[tuple[Sheet, PackError]] = []
    for sheet in sheets:
        if id(sheet) in used:
            continue
        try:
            table_found = _known(sheet)
        except PackError as error:
            refused.append((sheet, error))
            continue
        if table_found is not None and table_found.role not in roles:
            found.append(table_found)
        elif sheet.rows and role_of_name(sheet.title) != "readme":
            notes.append(_unused(sheet))
    for one in found:
        for text, read, other in one.again:
            told = f"'{text}' stands twice: column {read + 1} is read, and not column {other + 1}"
            notes.append(Unread(one.sheet.place, 0, told, False, "doubled-heading"))
    have = {one.role for one in found}
    for sheet, fault in refused:
        # A sheet of another matter may have such a name, too, beside the table itself.
        if role_of_name(sheet.title) not in have:
            raise fault
        notes.append(_unused(sheet))
    return found, notes


def _unused(sheet: Sheet) -> Unread:
    return Unread(sheet.place, 0, "not used: no known table", False, "unused-sheet")


def _listed(sheets: Sequence[Sheet]) -> str:
    names = [sheet.place for sheet in sheets]
    return ", ".join(names[:12]) + (" …" if len(names) > 12 else "")


def _headers(sheet: Sheet) -> Iterator[_Header]:
    rows = sheet.rows[:_LOOK_AT]
    for at, row in enumerate(rows):
        yield _header(at, 1, [[text] for text in row.cells])
        if at + 1 < len(rows):
            yield _header(at, 2, list(_doubled(row.cells, rows[at + 1].cells)))


def _doubled(above: Sequence[str], below: Sequence[str]) -> Iterator[list[str]]:
    """Headings of two rows; one that spans columns stands in its first only."""
    last = ""
    for at in range(max(len(above), len(below))):
        upper = above[at].strip() if at < len(above) else ""
        lower = below[at].strip() if at < len(below) else ""
        last = upper or last
        yield [last + lower, lower] if lower else [upper]


def _header(at: int, depth: int, texts: Sequence[Sequence[str]]) -> _Header:
    known: dict[int, tuple[str, ...]] = {}
    lists: dict[int, tuple[List, bool]] = {}
    for column, choices in enumerate(texts):
        for text in (part for choice in choices for part in (choice, *choice.split("\n"))):
            if not text.strip() or len(text) > _LONGEST_HEADING:
                continue
            if column not in known and columns_of(text):
                known[column] = columns_of(text)
            named = list_column(text)
            if column not in lists and named is not None:
                lists[column] = named
    return _Header(at, depth, texts, known, lists)


def _role(sheet: Sheet, header: _Header) -> str:
    """What a table is by its headings, and where these leave it open by its name; or empty."""
    keys, named = header.keys, role_of_name(sheet.title)
    coded = "code" in keys or bool(header.lists)
    if {"key", "value"} <= keys and named == "scheme":
        return "scheme"
    if "drg" in keys:
        # A list of DRGs may have a column 类型, too; codes beside it are lists of theirs.
        owned = {"list", "code"} <= keys and not keys & {"weight", "when"}
        return "drg_codes" if owned else "drg"
    if "adrg" in keys:
        return "adrg"
    if "from" in keys and "to" in keys:
        return named if named in ("dx_map", "px_map") else ""
    if "mdc" in keys and coded:
        return "mdc_dx"
    if "mdc" in keys and (keys & {"mdc_name", "when", "name"}):
        return "mdc"
    if not coded:
        return ""
    if "exclusion" in keys:
        return named if named in ("mcc", "cc", "severity") else "exclusions"
    if "level" in keys and named in ("severity", "mcc", "cc", ""):
        return "severity"
    if "site" in keys:
        return "sites"
    return named if named in ("mcc", "cc", "dx", "px", "or_px") else ""


def _known(sheet: Sheet) -> Found | None:
    """A table that needs no map.

    Raises:
        PackError: its name says what it is, and a column of that is missing.
    """
    named = role_of_name(sheet.title)
    if named == "readme":
        return None
    best: _Header | None = None
    role = ""
    for header in _headers(sheet):
        found = _role(sheet, header)
        if found and (best is None or header.worth > best.worth):
            best, role = header, found
    if best is None:
        if named and sheet.rows and named not in ("scheme", "mdc"):
            _, needed, _ = ROLES[named]
            raise PackError(
                f"by its name this is the {ROLES[named][0]}, and its columns are not found",
                file=sheet.place,
                hint=f"a row of headings for {', '.join(needed)}, such as"
                f" {_examples(needed)}; or say in a map (--columns) what the sheet is",
            )
        return None
    return _found(sheet, Table(role), best)


_EXAMPLES = {
    "mdc": "MDC编码",
    "adrg": "ADRG编码",
    "drg": "DRG编码",
    "code": "编码",
    "level": "级别",
    "exclusion": "排除表",
    "site": "部位",
    "from": "原编码",
    "to": "对应编码",
    "key": "项目",
    "value": "值",
}


def _examples(keys: Sequence[str]) -> str:
    return " ".join(_EXAMPLES[key] for key in keys)


def _mapped(sheet: Sheet, table: Table) -> Found:
    """A table of the map.

    Raises:
        PackError: the headings are not where the map says, or lack a column.
    """
    if table.header:
        at = next((i for i, row in enumerate(sheet.rows) if row.number >= table.header), None)
        if at is None or sheet.rows[at].number != table.header:
            raise PackError(
                f"the map says that the headings stand in row {table.header}, which is empty",
                file=sheet.place,
                hint="mend header in the map; rows are counted from 1",
            )
        return _found(sheet, table, _header(at, 1, [[text] for text in sheet.rows[at].cells]))
    best: _Header | None = None
    score = (0, 0)
    for header in _headers(sheet):
        own = sum(
            any(isinstance(one, str) and _position(header, one) is not None for one in given)
            for given in table.columns.values()
        )
        if (own, header.worth) > score:
            best, score = header, (own, header.worth)
    if best is None:
        # A table without headings has its columns by number.
        best = _Header(-1, 1, (), {}, {})
    return _found(sheet, table, best)


def _position(header: _Header, wanted: str) -> int | None:
    word = heading(wanted)
    for at, choices in enumerate(header.texts):
        if any(heading(text) == word for text in choices):
            return at
    return None


def _found(sheet: Sheet, table: Table, header: _Header) -> Found:
    _, needed, further = ROLES[table.role]
    columns: dict[str, int] = {}
    lists: list[tuple[List, int]] = []
    for key, given in table.columns.items():
        places = [one - 1 if isinstance(one, int) else _position(header, one) for one in given]
        present = [at for at in places if at is not None]
        if not present:
            texts = [choices[0] for choices in header.texts if choices[0]]
            raise PackError(
                f"there is no column {' / '.join(map(str, given))} for {key}",
                file=sheet.place,
                line=sheet.rows[header.at].number if header.at >= 0 and sheet.rows else 0,
                hint=f"the headings are {', '.join(texts[:20]) or 'not found; give header'}",
            )
        named = list_key(key)
        if named is not None:
            lists.extend((named, at) for at in present)
        else:
            columns[key] = present[0]
    taken = {*columns.values(), *(at for _, at in lists)}
    # In an ADRG list 主要诊断编码 is a list; elsewhere it is the code of the row.
    if table.role == "adrg" and "list" not in header.keys:
        further_lists = [(n, at) for at, (n, codes) in header.lists.items() if codes]
        lists += [(named, at) for named, at in further_lists if at not in taken]
        taken |= set(header.lists)
    for at, keys in header.known.items():
        for key in keys:
            if at not in taken and key in (*needed, *further) and key not in columns:
                columns[key] = at
                taken.add(at)
    if "code" in needed and "code" not in columns:
        coded = [at for at, (_, codes) in header.lists.items() if codes and at not in taken]
        if coded:
            columns["code"] = coded[0]
    missing = [key for key in needed if key not in columns]
    if missing:
        raise PackError(
            f"the {ROLES[table.role][0]} lacks the column {', '.join(missing)}",
            file=sheet.place,
            line=sheet.rows[header.at].number if header.at >= 0 and sheet.rows else 0,
            hint=f"give it a heading such as {_examples(missing)}, or name it in a map (--columns)",
        )
    rows = sheet.rows[header.at + header.depth :]
    return Found(sheet, table.role, columns, lists, rows, tuple(_again(header, columns, taken)))


def _again(
    header: _Header, columns: Mapping[str, int], taken: AbstractSet[int]
) -> Iterator[tuple[str, int, int]]:
    """As `Found.again`."""
    texts = [choices[0] for choices in header.texts]
    read = {heading(texts[at]): at for at in columns.values() if at < len(texts)}
    for at in header.known:
        if at not in taken and heading(texts[at]) in read:
            yield texts[at].strip(), read[heading(texts[at])], at
