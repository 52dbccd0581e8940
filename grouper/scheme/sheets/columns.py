"""The column map: which sheet is what, and which column means what, said by the user in TOML.

[tables.adrg]                 # one of the tables of `words.ROLES`; [[tables.adrg]] for several
file = "方案*.xlsx"            # may be left out; * stands for anything
sheet = "核心组*"
header = 3                    # row of the headings, from 1; found where it is left out
[tables.adrg.columns]
adrg = "组代码"                # a heading or a column number from 1; or several, one of them there
pdx = ["诊断", 7]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from grouper.errors import PackError
from grouper.scheme.sheets.cells import Sheet
from grouper.scheme.sheets.words import LISTS, ROLES, List

SCHEME_KEYS = ("id", "title", "base", "valid_from", "valid_to", "retry_other_procedures")
_MOST_BYTES = 1 << 20
_LIST_KEY = re.compile(rf"({'|'.join(LISTS)})([0-9]*)")
_WITH_LISTS = ("adrg", "drg_codes", "mdc_dx", "mdc")


@dataclass(frozen=True)
class Table:
    """What the map says of one table.

    Attributes:
        role: a key of `ROLES`.
        file, sheet: patterns of names; empty for any.
        header: row of the headings from 1; 0 where it is to be found.
        columns: key to headings and column numbers (from 1).
    """

    role: str
    file: str = ""
    sheet: str = ""
    header: int = 0
    columns: Mapping[str, tuple[str | int, ...]] = field(default_factory=dict)

    def means(self, sheet: Sheet) -> bool:
        """Whether the sheet is one of this table's."""
        return (not self.file or fnmatch(sheet.file, self.file)) and (
            not self.sheet or fnmatch(sheet.name, self.sheet) or fnmatch(sheet.title, self.sheet)
        )


@dataclass(frozen=True)
class ColumnMap:
    """A whole map; empty where the user gave none.

    Attributes:
        scheme: id, title and the like, which go before what the sheets say.
        suffix: last character of a DRG to its condition, in the notation.
        attributes: further integer columns of cases, name to description.
    """

    file: str = ""
    tables: tuple[Table, ...] = ()
    scheme: Mapping[str, str] = field(default_factory=dict)
    suffix: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)


def list_key(key: str) -> List | None:
    """The list of codes that a column key such as `any_px2` names."""
    found = _LIST_KEY.fullmatch(key)
    if found is None:
        return None
    kind = next(kind for kind in LISTS if kind == found.group(1))
    return List(kind, int(found.group(2) or 0))


def read_map(path: Path) -> ColumnMap:
    """Read a column map.

    Raises:
        PackError: it is no such map; the key is named, and what would be right.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise PackError("too large for a column map", file=path.name, hint="is it the map?")
        data = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise PackError(
            f"cannot be read: {error.strerror}", file=path.name, hint="check the path"
        ) from error
    except UnicodeDecodeError:
        raise PackError("not UTF-8 text", file=path.name, hint="save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        raise PackError(
            f"not TOML: {error}",
            file=path.name,
            line=int(found.group(1)) if found else 0,
            hint='write each key as key = "value", Chinese keys in double quotes',
        ) from None
    return _Reader(path.name).map(data)


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file

    def fault(self, message: str, hint: str) -> PackError:
        return PackError(message, file=self.file, hint=hint)

    def map(self, data: Mapping[str, object]) -> ColumnMap:
        self.known(data, ("tables", "scheme", "suffix", "attributes"), "the map")
        scheme = self.texts(data, "scheme")
        self.known(scheme, SCHEME_KEYS, "[scheme]")
        suffix = self.texts(data, "suffix")
        for end in suffix:
            if len(end) != 1:
                raise self.fault(f"the suffix {end!r} is not one character", 'write "2" = "…"')
        return ColumnMap(
            self.file,
            tuple(self.tables(data.get("tables", {}))),
            scheme,
            suffix,
            self.texts(data, "attributes"),
        )

    def known(self, given: Mapping[str, object], keys: tuple[str, ...], where: str) -> None:
        for key in given:
            if key not in keys:
                raise self.fault(f"{where} has no key {key!r}", f"it may have {', '.join(keys)}")

    def texts(self, data: Mapping[str, object], key: str) -> dict[str, str]:
        given = data.get(key, {})
        if not isinstance(given, dict):
            raise self.fault(f"{key} is not a table", f"write [{key}], and its keys below")
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in given.items()
        }

    def tables(self, given: object) -> Iterator[Table]:
        if not isinstance(given, dict):
            raise self.fault("tables is not a table", "write [tables.adrg], and its keys below")
        self.known(given, tuple(ROLES), "[tables]")
        for role, value in given.items():
            for one in value if isinstance(value, list) else [value]:
                if not isinstance(one, dict):
                    raise self.fault(
                        f"tables.{role} is not a table", f"write [tables.{role}], and keys below"
                    )
                yield self.table(role, one)

    def table(self, role: str, given: Mapping[str, object]) -> Table:
        where = f"[tables.{role}]"
        self.known(given, ("file", "sheet", "header", "columns"), where)
        header = given.get("header", 0)
        if not isinstance(header, int) or isinstance(header, bool) or header < 0:
            raise self.fault(f"header of {where} is {header!r}", "a row number, from 1")
        names = {key: given.get(key, "") for key in ("file", "sheet")}
        for key, name in names.items():
            if not isinstance(name, str):
                raise self.fault(f"{key} of {where} is {name!r}", 'a name in quotes, such as "D*"')
        columns = given.get("columns", {})
        if not isinstance(columns, dict):
            raise self.fault(f"columns of {where} is not a table", f"[tables.{role}.columns]")
        _, needed, further = ROLES[role]
        for key in columns:
            lists = role in _WITH_LISTS and list_key(key) is not None
            if key not in (*needed, *further) and not lists:
                more = f", and lists such as {', '.join(LISTS)}" if role in _WITH_LISTS else ""
                raise self.fault(
                    f"{where} has no column {key!r}",
                    f"it may have {', '.join((*needed, *further))}{more}",
                )
        found = {key: self.column(where, key, value) for key, value in columns.items()}
        return Table(role, str(names["file"]), str(names["sheet"]), header, found)

    def column(self, where: str, key: str, value: object) -> tuple[str | int, ...]:
        found = value if isinstance(value, list) else [value]
        for one in found:
            good = (isinstance(one, str) and one.strip()) or (
                isinstance(one, int) and not isinstance(one, bool) and one > 0
            )
            if not good:
                raise self.fault(
                    f"column {key} of {where} is {one!r}", "a heading, or a number from 1"
                )
        return tuple(found)
