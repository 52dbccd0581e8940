"""`scheme.toml`: what a pack is called, when it is valid, its switches, and what it extends."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from grouper.errors import PackError
from grouper.scheme import rules
from grouper.scheme.tables import COLUMNS

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
"""Names of sets, families and attributes."""

# A pack may declare once more what the language knows as a number anyway, such as icu_hours.
_NO_ATTRIBUTES = (rules.RESERVED - set(rules.NUMBERS)) | {"case_id", "dx", "px"}


@dataclass(frozen=True, slots=True)
class Identity:
    """The content of one `scheme.toml`.

    Attributes:
        retry_other_procedures: None only in an overlay that leaves it to the pack it extends.
        extends: the pack that this one changes (a folder, as seen from its own, or a
            built-in name); empty for a full pack.
        replace: files of an overlay that stand instead of those of the pack it extends.
    """

    id: str
    title: str = ""
    base: str = ""
    valid_from: date | None = None
    valid_to: date | None = None
    retry_other_procedures: bool | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    extends: str = ""
    replace: tuple[str, ...] = ()


class _Reader:
    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        try:
            self.data = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            found = re.search(r"at line (\d+)", str(error))
            line = int(found.group(1)) if found else text.count("\n") + 1
            raise PackError(
                f"not TOML: {error}", file=file, line=line, hint='write each key as key = "value"'
            ) from None

    def fault(self, key: str, message: str, hint: str) -> PackError:
        found = re.search(rf"^\s*\"?{re.escape(key)}\"?\s*=", self.text, re.MULTILINE)
        line = self.text.count("\n", 0, found.end()) + 1 if found else 0
        return PackError(message, file=self.file, line=line, hint=hint)

    def get(self, key: str, kind: type | tuple[type, ...], what: str) -> object:
        """The value of a key, None where it is absent."""
        value = self.data.get(key)
        if value is not None and not isinstance(value, kind):
            raise self.fault(key, f"{key} must be {what}, not {value!r}", f"write {key} = {what}")
        return value

    def text_of(self, key: str, what: str = "a text in quotes") -> str:
        return str(self.get(key, str, what) or "")

    def day(self, key: str) -> date | None:
        value = self.get(key, (date, str), "a date such as 2024-01-01")
        if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            raise self.fault(
                key,
                f"{key} must be a date such as 2024-01-01, not {value!r}",
                "year, month and day, without a time",
            ) from None

    def required(self, key: str, what: str) -> None:
        if key not in self.data:
            raise PackError(f"the key {key} is missing", file=self.file, hint=f"add {key} = {what}")

    def attributes(self) -> dict[str, str]:
        found = self.get("attributes", dict, "a table")
        if not isinstance(found, dict):
            return {}
        for name, meaning in found.items():
            if not NAME.fullmatch(name) or name in _NO_ATTRIBUTES:
                raise self.fault(
                    name,
                    f"{name!r} cannot be the name of an attribute",
                    "a letter or _, then letters, digits, _ and '.'; no word of the rule language",
                )
            if not isinstance(meaning, str):
                raise self.fault(
                    name,
                    f"the attribute {name} needs a description in quotes",
                    f'write {name} = "what the column holds"; quote a name that has a dot',
                )
        return dict(found)

    def replaced(self) -> tuple[str, ...]:
        found = self.get("replace", list, 'a list of files, such as ["weights.csv"]')
        for name in found if isinstance(found, list) else ():
            if name not in COLUMNS:
                raise self.fault(
                    "replace", f"{name!r} is no file of a pack", f"one of {', '.join(COLUMNS)}"
                )
        return tuple(found) if isinstance(found, list) else ()


def read_identity(file: str, text: str) -> Identity:
    """Read a `scheme.toml`.

    Raises:
        PackError: a key is missing, or holds what it cannot hold.
    """
    reader = _Reader(file, text)
    name = 'a name in quotes, such as "changsha_2023"'
    reader.required("id", name)
    own_id = reader.text_of("id", name)
    extends = reader.text_of("extends", "a pack in quotes: its folder, or a built-in name")
    if not extends:
        reader.required("retry_other_procedures", "true or false")
    identity = Identity(
        id=own_id,
        title=reader.text_of("title"),
        base=reader.text_of("base", "the id of a scheme in quotes"),
        valid_from=reader.day("valid_from"),
        valid_to=reader.day("valid_to"),
        retry_other_procedures=reader.get(  # type: ignore[arg-type]
            "retry_other_procedures", bool, "true or false"
        ),
        attributes=reader.attributes(),
        extends=extends,
        replace=reader.replaced(),
    )
    if not identity.id.strip():
        raise reader.fault("id", "id is empty", "give the scheme a name")
    first, last = identity.valid_from, identity.valid_to
    if first and last and last < first:
        raise reader.fault(
            "valid_to",
            "valid_to lies before valid_from",
            "both days belong to the time of validity",
        )
    if identity.replace and not extends:
        raise reader.fault(
            "replace", "replace has a meaning only beside extends", "drop it, or add extends"
        )
    return identity
