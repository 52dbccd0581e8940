"""Layouts: what a region's files call the fields of the settlement list, and its code tables."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from grouper.errors import CaseTableError
from grouper.intake.fields import KEYS, TABLES

_NATIONAL = Path(__file__).parent / "national.toml"

Insurance = Literal["employee", "resident", "self"]
FundUse = Literal["fund_paid", "other_funds", "account"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TableLayout(_Strict):
    """Where a table is and what its columns are called.

    Attributes:
        file: file, folder or pattern (`diag/*.csv`), relative to the source.
        sheet: sheet of a workbook.
        query: SQL of a database.
        columns: field of the interface (or our column) to their name.
    """

    file: str = ""
    sheet: str = ""
    query: str = ""
    columns: Mapping[str, str] = {}


class Layout(_Strict):
    """How to read a source; `national.toml` holds and explains the defaults.

    Attributes:
        case_id: field of setlinfo that names a case.
        join: field that the tables share; empty takes the first of `KEYS` that all have.
        principal: `flag` takes the diagnosis with `maindiag_flag`, `first` the first in order
            where a source marks none.
        values: field to (their value to the interface's value).
        tables: by name of the node.
    """

    case_id: str = ""
    join: str = ""
    principal: Literal["flag", "first"] = "flag"
    nulls: tuple[str, ...]
    date_formats: tuple[str, ...]
    surgery: tuple[str, ...]
    western: tuple[str, ...]
    traditional: tuple[str, ...]
    insurance: Mapping[str, Insurance]
    funds: Mapping[str, FundUse]
    values: Mapping[str, Mapping[str, str]] = {}
    tables: Mapping[str, TableLayout] = {}

    def table(self, name: str) -> TableLayout:
        """The layout of a table; an empty one where nothing is said of it."""
        return self.tables.get(name, TableLayout())


def load_layout(path: Path | None = None) -> Layout:
    """The national layout, with a file's keys laid over it.

    Raises:
        CaseTableError: no such file, not TOML, an unknown key, table or field.
    """
    national = tomllib.loads(_NATIONAL.read_text(encoding="utf-8"))
    if path is None:
        return Layout.model_validate(national)
    own = _read(path)
    merged = {
        key: _over(national.get(key), own.get(key)) for key in dict.fromkeys((*national, *own))
    }
    try:
        layout = Layout.model_validate(merged)
    except ValidationError as cause:
        fault = cause.errors(include_url=False)[0]
        key = ".".join(map(str, fault["loc"]))
        raise CaseTableError(
            f"{key}: {fault['msg']}", file=path.name, column=key, hint=_HINT
        ) from None
    _check(layout, path.name)
    return layout


_HINT = "docs/importing-cases.md lists the keys of a layout"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise CaseTableError("no such layout", file=str(path), hint="check the path") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as cause:
        raise CaseTableError(f"this is not TOML: {cause}", file=path.name, hint=_HINT) from None


def _over(base: Any, own: Any) -> Any:
    """A file's value over the national one: tables key by key, everything else whole."""
    if isinstance(base, dict) and isinstance(own, dict):
        return {k: _over(base.get(k), own.get(k)) for k in dict.fromkeys((*base, *own))}
    return base if own is None else own


def _check(layout: Layout, file: str) -> None:
    for name, table in layout.tables.items():
        if name not in TABLES:
            raise CaseTableError(
                f"tables.{name}: there is no such table", file=file, hint=_known(TABLES)
            )
        for field in table.columns:
            if field not in TABLES[name].fields:
                raise CaseTableError(
                    f"tables.{name}.columns.{field}: {name} has no such field",
                    file=file,
                    column=field,
                    hint="`grouper cases fields` prints the fields",
                )
    every = {field for table in TABLES.values() for field in table.fields}
    for key, known in (("case_id", TABLES["setlinfo"].fields), ("join", KEYS)):
        wanted = getattr(layout, key)
        if wanted and wanted not in known:
            raise CaseTableError(
                f"{key}: {wanted!r} cannot be it", file=file, column=key, hint=_known(KEYS)
            )
    for field in layout.values:
        if field not in every:
            raise CaseTableError(
                f"values.{field}: there is no such field",
                file=file,
                column=field,
                hint="`grouper cases fields` prints the fields",
            )


def _known(names: Mapping[str, object] | tuple[str, ...]) -> str:
    return f"there are {', '.join(names)}"
