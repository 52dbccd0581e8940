"""Column maps (`columns.toml`): what a region's own tables call the columns of the registry."""

from __future__ import annotations

import tomllib
from pathlib import Path

from grouper.errors import CaseTableError


def column_names(region: Path) -> dict[str, str]:
    """Our column names to the table's, from columns.toml where a region has one.

    Raises:
        CaseTableError: the file is no map of names.
    """
    path = region / "columns.toml"
    if not path.is_file():
        return {}
    try:
        names = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as cause:
        raise CaseTableError(
            f"this is not TOML: {cause}", file=path.name, hint='write ours = "theirs"'
        ) from cause
    names = names.get("columns", names)
    for ours, theirs in names.items():
        if not isinstance(theirs, str):
            raise CaseTableError(
                f"'{ours}' is not mapped to a name", file=path.name, hint='write ours = "theirs"'
            )
    return dict(names)
