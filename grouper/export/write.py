"""`grouper export`: a folder that may leave, its manifest, and the line in the audit log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from grouper import __version__
from grouper.audit import account_name, append_line
from grouper.errors import ExportError
from grouper.export.keys import Key, read_key
from grouper.export.pseudonyms import METHOD, Pseudonyms
from grouper.export.public import public_tables, write_public
from grouper.export.records import (
    DATES,
    LISTS,
    RECORDS,
    Cover,
    Written,
    case_records,
    open_source,
    run_records,
)
from grouper.newfolder import new_folder
from grouper.report import load_run
from grouper.run.folder import MANIFEST

AUDIT: Final = "audit.jsonl"
"""Name of the audit log, beside what is exported."""

LEAST: Final = 5
"""The smallest count that a public table tells."""


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes:
        source: a run folder; or cases, or a region.
        key: the key file; None without pseudonyms.
        public: whether public tables, and no records, are wanted.
        identified: whether ids leave as they are.
        purpose: what for; needed where ids leave as they are.
        dates: `day`, `month` or `year`.
        least: the smallest count that a public table tells.
        joins: earlier exports that this one is to be joined with.
        audit: the audit log; None: `AUDIT` beside the source.
    """

    source: Path
    key: Path | None = None
    public: bool = False
    identified: bool = False
    purpose: str = ""
    dates: str = "day"
    least: int = LEAST
    joins: Sequence[Path] = ()
    audit: Path | None = None
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: where.
        manifest: what the folder says of itself.
        audit: the audit log that holds a line of it.
    """

    folder: Path
    manifest: dict[str, Any]
    audit: Path


def export(wish: Wish, out: Path) -> Exported:
    """Write an export.

    Args:
        wish: what is asked for.
        out: a new or empty folder.

    Raises:
        ExportError: the wish contradicts itself, or does not go with an earlier export.
        KeyFileError: the key cannot be used.
        OutputError: `out` or the audit log cannot be written; nothing has left then.
        GrouperError: the source cannot be read.
    """
    _check(wish)
    key = _key(wish, out)
    for folder in wish.joins:
        require_key(folder, key)
    audit = wish.source.resolve().parent / AUDIT if wish.audit is None else wish.audit
    with new_folder(out) as folder:
        manifest: dict[str, Any] = {
            "kind": "public" if wish.public else "records",
            "engine": __version__,
            "pseudonyms": None if key is None else {"key": key.id, "method": METHOD},
            "identified": wish.identified,
            "purpose": wish.purpose,
            "run": None,
        }
        manifest["files"] = _write(wish, key, folder, manifest)
        text = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        (folder / MANIFEST).write_text(text, encoding="utf-8")
        # Before the folder gets its name: what is not logged does not leave.
        append_line(audit, _line(wish, key, out, manifest))
    return Exported(out, manifest, audit)


def _check(wish: Wish) -> None:
    if wish.dates not in DATES:
        raise ExportError(f"dates are told by day, month or year, not by '{wish.dates}'")
    if wish.least < 2:
        raise ExportError(
            f"a smallest count of {wish.least} hides nobody", hint="name 2 or more: --least 5"
        )
    if wish.public and (wish.identified or wish.key):
        raise ExportError(
            "public tables hold no ids, so they need neither a key nor --identified",
            hint="leave these options out, or leave --public out to export records",
        )
    if wish.identified and wish.key:
        raise ExportError(
            "ids leave either as they are or as pseudonyms", hint="name --key or --identified"
        )
    if wish.identified and not wish.purpose.strip():
        raise ExportError(
            "an export with the real ids needs a purpose",
            hint="say what it is for: --purpose '…'; it is written to the audit log",
        )
    if not (wish.public or wish.identified or wish.key):
        raise ExportError(
            "what leaves the bureau carries pseudonyms, and these need the region's key",
            hint="name it: --key FILE (grouper key new FILE makes one)",
        )


def _key(wish: Wish, out: Path) -> Key | None:
    if wish.key is None:
        return None
    data = [wish.source, out]
    if (wish.source.parent / "hospitals.csv").is_file():
        data.append(wish.source.parent)
    return read_key(wish.key, away_from=data)


def require_key(folder: Path, key: Key | None) -> None:
    """Refuse an export that was made with another key, so that nothing is joined in vain.

    Raises:
        ExportError: it was, or it has no pseudonyms, or the folder is no export.
    """
    known = read_export(folder)["pseudonyms"]
    if known is None or key is None:
        raise ExportError(
            f"{folder} cannot be joined: "
            + ("it has no pseudonyms" if known is None else "this export has no pseudonyms"),
            hint="export both as records with the same key",
        )
    if known["key"] != key.id:
        raise ExportError(
            f"{folder} was made with the key {known['key']}, and this is the key {key.id}: "
            "no pseudonym of one stands in the other",
            hint="name the key file that the first export was made with",
        )


def read_export(folder: Path) -> dict[str, Any]:
    """The manifest of an export.

    Raises:
        ExportError: the folder is no export.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest["pseudonyms"], manifest["kind"], manifest["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportError(
            f"{folder} is no export: it has no such {MANIFEST}",
            hint="name a folder that grouper export has written",
        ) from error
    return manifest


def _write(wish: Wish, key: Key | None, folder: Path, manifest: dict[str, Any]) -> Written:
    is_run = (wish.source / MANIFEST).is_file()
    if wish.public:
        if not is_run:
            raise ExportError(
                f"{wish.source} is no run folder, and public tables are made of a run",
                hint="settle the region first: grouper rerun",
            )
        run = load_run(wish.source)
        tables, told = public_tables(run, wish.least)
        manifest |= {"run": run.manifest.run, "least": wish.least, "suppressed": told}
        return write_public(tables, folder)
    cover = Cover(None if key is None else Pseudonyms(key), wish.dates)
    manifest["dates"] = wish.dates
    if not is_run:
        return case_records(open_source(wish.source, wish.encoding), cover, folder)
    run = load_run(wish.source)
    manifest["run"] = run.manifest.run
    manifest["left_out"] = sorted(set(run.tables) - {*RECORDS, *LISTS})
    return run_records(run, cover, folder)


def _line(wish: Wish, key: Key | None, out: Path, manifest: dict[str, Any]) -> dict[str, object]:
    kind = "identified" if wish.identified else manifest["kind"]
    return {
        "principal": account_name(),
        "role": "",
        "method": "export",
        "run_id": manifest["run"] or "",
        "detail": kind,
        "code": "OK",
        "purpose": wish.purpose,
        "key": key.id if key else "",
        "source": str(wish.source.resolve()),
        "out": str(out.resolve()),
        "rows": sum(int(str(file["rows"])) for file in manifest["files"].values()),
    }
