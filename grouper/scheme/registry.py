"""A registry: a folder of packs of one region, each with its time of validity.

Cases are grouped by the pack that is valid on the day of their discharge (出院日期).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

from grouper.errors import PackError
from grouper.scheme.identity import Identity
from grouper.scheme.layers import read_layers


@dataclass(frozen=True, slots=True)
class Entry:
    """A pack of a registry."""

    folder: Path
    identity: Identity

    @property
    def first(self) -> date:
        """The first day of validity."""
        return self.identity.valid_from or date.min

    @property
    def last(self) -> date:
        """The last day of validity."""
        return self.identity.valid_to or date.max


def is_registry(folder: Path) -> bool:
    """Whether the folder is no pack itself but holds packs."""
    return not (folder / "scheme.toml").exists() and any(folder.glob("*/scheme.toml"))


def read_registry(folder: Path) -> tuple[Entry, ...]:
    """The packs of a registry in the order of their validity.

    Raises:
        PackError: a pack cannot be read, or two are valid on the same day.
    """
    found = []
    for path in sorted(folder.glob("*/scheme.toml")):
        try:
            found.append(Entry(path.parent, read_layers(path.parent)[0].identity))
        except PackError as error:
            error.file = f"{path.parent.name}/{error.file}" if error.file else path.parent.name
            raise
    found.sort(key=lambda entry: (entry.first, entry.folder.name))
    for earlier, later in pairwise(found):
        if later.first <= earlier.last:
            raise PackError(
                f"{earlier.folder.name} and {later.folder.name} are both valid on {later.first}",
                file=f"{later.folder.name}/scheme.toml",
                hint="give each pack its valid_from and valid_to; both days belong to the time",
            )
    return tuple(found)


def valid_on(entries: Sequence[Entry], day: date) -> Entry | None:
    """The pack that is valid on a day; None where none is."""
    return next((entry for entry in entries if entry.first <= day <= entry.last), None)
