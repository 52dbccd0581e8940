"""A scheme written into the layout of the template, to be changed in a spreadsheet program.

What is written is read back before it is handed over, and what would not come back as it is told.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from grouper.errors import OutputError, PackError
from grouper.scheme import rules
from grouper.scheme.diff import diff_packs
from grouper.scheme.diff_told import sections
from grouper.scheme.import_tables import read_tables
from grouper.scheme.model import Pack
from grouper.scheme.normal import normal
from grouper.scheme.rules import TRUE, Not, Or, Rule
from grouper.scheme.sheets.columns import ColumnMap
from grouper.scheme.sheets.filled import as_sheets, filled
from grouper.scheme.sheets.template import write_template

Node = tuple[str, str, str, str, tuple[tuple[str, str], ...]]
"""MDC, its rule, ADRG, its rule, and its DRGs with theirs; sets by what they hold."""

_MOST_ROWS = 1_048_575
_MOST_CHARACTERS = 32_767


def export_tables(pack: Pack, path: Path) -> tuple[str, ...]:
    """Write a scheme as a workbook that `import_tables` reads.

    Args:
        path: the workbook (.xlsx), which is new.

    Returns:
        What the layout cannot hold, group by group: empty where the scheme that is imported from
        the workbook groups every case as this one.

    Raises:
        OutputError: the layout cannot hold the scheme at all, there is a file already, or it cannot
            be written.
    """
    tables = filled(pack)
    try:
        imported, back = read_tables(as_sheets(path.name, tables), ColumnMap(), pack.id)
    except PackError as error:
        raise OutputError(
            f"the layout of spreadsheets cannot hold {pack.id}: {error.message}",
            hint="hand on the folder of the pack itself",
        ) from error
    for name, rows in tables.items():
        if len(rows) > _MOST_ROWS or any(len(cell) > _MOST_CHARACTERS for r in rows for cell in r):
            raise OutputError(
                f"the sheet {name} of {pack.id} is beyond what a workbook holds"
                f" ({_MOST_ROWS:,} rows, {_MOST_CHARACTERS:,} characters in a cell)",
                hint="hand on the folder of the pack itself",
            )
    write_template(path, tables, pack.title or pack.id)
    unread = (f"not read again: {one}" for one in imported.unread if one.lost)
    return (*unread, *lacking(pack, back))


def lacking(pack: Pack, back: Pack) -> Iterator[str]:
    """What of a scheme is otherwise in the one that came back."""
    before, after = list(_nodes(pack)), list(_nodes(back))
    odd = [*(Counter(before) - Counter(after)), *(Counter(after) - Counter(before))]
    if not odd and before != after:
        odd = [one for one, other in zip(before, after, strict=True) if one != other]
    for code in sorted({node[2] for node in odd}):
        yield f"the ADRG {code} comes back with another condition, place, or DRGs"
    diff = diff_packs(pack, back)
    for key, held, found in diff.head:
        yield f"{key} comes back as {found}, and is {held}"
    for title, lines in sections(replace(diff, nodes=(), rules=(), rewritten=(), sets=())):
        if lines:
            yield f"{title} ({len(lines):,}): {lines[0]}{' …' if len(lines) > 1 else ''}"


def _nodes(pack: Pack) -> Iterator[Node]:
    held: dict[str, Iterable[object]] = {
        **{name: frozenset(codes) for name, codes in pack.sets.items()},
        **{family: frozenset(members.items()) for family, members in pack.sites.items()},
    }
    names = {
        name: f"s{hashlib.sha256(repr(sorted(codes, key=repr)).encode()).hexdigest()}"
        for name, codes in held.items()
    }
    for mdc in pack.mdcs:
        when = str(normal(mdc.when, names))
        for adrg in mdc.adrgs:
            if adrg.drgs:
                told = tuple(
                    (drg.code, str(rule))
                    for drg, rule in zip(
                        adrg.drgs, _apart([normal(d.when, names) for d in adrg.drgs]), strict=True
                    )
                )
                yield mdc.code, when, adrg.code, str(normal(adrg.when, names)), told


def _apart(alternatives: list[Rule]) -> Iterator[Rule]:
    """Behind the DRGs before it, one for all other cases need not say so."""
    for at, rule in enumerate(alternatives):
        before = alternatives[:at]
        rest = normal(Not(Or(tuple(before)))) if before else rules.TRUE
        yield TRUE if rule == rest else rule
