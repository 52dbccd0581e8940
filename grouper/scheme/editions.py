"""Codes of another edition: mapped to the pack's own where the user asks for it.

Hospitals may still write the clinical edition (临床版) while a scheme is stated in codes of the
insurance edition (医保版). `dx_map.csv` and `px_map.csv` say which code stands for which. A map is
applied in one step, never two, and only to a code that the pack itself knows nowhere; `-` drops
the code from its list, so that the next one takes its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from grouper.errors import PackError
from grouper.kernels.layout import BLANK, UNKNOWN
from grouper.scheme.codes import PREFIX_MARK, CodeMap
from grouper.scheme.compile import CodeTable, Compiled
from grouper.scheme.model import Pack

EDITIONS = ("insurance", "clinical")
"""Editions that cases may be coded in; the first is the scheme's own and maps nothing."""

DROP = "-"


def check_edition(edition: str) -> str:
    """The edition, empty for the scheme's own.

    Raises:
        PackError: there is none of this name.
    """
    if edition not in ("", *EDITIONS):
        raise PackError(f"unknown edition {edition!r}", hint=f"name one of {', '.join(EDITIONS)}")
    return "" if edition == EDITIONS[0] else edition


def edition_digest(digest: str, edition: str) -> str:
    """The digest of a scheme that is applied to codes of an edition."""
    return hashlib.sha256(f"{digest}\0{edition}".encode()).hexdigest() if edition else digest


def known_codes(table: CodeTable) -> CodeMap[int]:
    """The codes that a scheme knows, with their kinds."""
    return CodeMap(zip(table.codes, table.kind_of.tolist(), strict=True))


def applied(known: CodeMap[int], table: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The entries of a map that say something: their code is known nowhere."""
    for written, to in table.items():
        if not written.endswith(PREFIX_MARK) and known.best(written) is None:
            yield written, to


def translated(codes: Sequence[str], table: Mapping[str, str]) -> tuple[str, ...]:
    """A case's codes by the entries that `applied` gives."""
    mapped = (table.get(code, code) for code in codes)
    return tuple(code for code in mapped if code != DROP)


def with_edition(compiled: Compiled, pack: Pack) -> Compiled:
    """The compiled scheme with the codes of the other editions added to its own."""
    dx, px = _extended(compiled.dx, pack.dx_map), _extended(compiled.px, pack.px_map)
    # The dropped code's kind is the last one; no list that the kernel sees holds it.
    return replace(
        compiled,
        dx=dx,
        px=px,
        exclusion=np.append(compiled.exclusion, compiled.exclusion[BLANK]),
        complication=np.append(compiled.complication, compiled.complication[BLANK]),
        sites=np.append(compiled.sites, compiled.sites[:, [BLANK]], axis=1),
    )


def _extended(table: CodeTable, mapped: Mapping[str, str]) -> CodeTable:
    known = known_codes(table)
    dropped = len(table.principal)
    codes, kinds = [], []
    for written, to in applied(known, mapped):
        kind = dropped if to == DROP else known.best(to)
        codes.append(written)
        kinds.append(UNKNOWN if kind is None else kind)
    return replace(
        table,
        codes=(*table.codes, *codes),
        kind_of=np.append(table.kind_of, np.array(kinds, np.int32)),
        principal=np.append(table.principal, table.principal[BLANK]),
        members=np.append(table.members, table.members[[BLANK]], axis=0),
        dropped=dropped,
    )
