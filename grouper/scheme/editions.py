"""Codes of another edition: mapped to the pack's own where the user asks for it.

Hospitals may still write the clinical edition (临床版) while a scheme is stated in codes of the
insurance edition (医保版). `dx_map.csv` and `px_map.csv` say which code stands for which. A map is
applied in one step, never two, and only to a code that the pack itself knows nowhere; `-` drops
the code from its list, so that the next one takes its place.

The maps also say which codes are odd. A *retired* code (停用编码) is known only to the map; a
*grey* code (灰码) is in the pack's own list and the map names another one for it. Grey codes are
never mapped. Both are counted, as unknown ones are.
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


ODD = ("unknown", "retired", "grey")
"""Kinds of odd codes; `CodeTable.odd` holds positions here, from 1."""
_UNKNOWN, _RETIRED, _GREY = 1, 2, 3


class _Twins:
    """Kinds that mean to the kernel what other kinds mean, and are odd."""

    def __init__(self, table: CodeTable) -> None:
        self.first = len(table.principal)
        self.of: list[int] = []
        self.odd: list[int] = []
        self._known: dict[tuple[int, int], int] = {}

    def kind(self, base: int, odd: int) -> int:
        """The kind that is like `base` and odd in this way."""
        if base == UNKNOWN:
            return UNKNOWN
        if (base, odd) not in self._known:
            self._known[base, odd] = self.first + len(self.of)
            self.of.append(base)
            self.odd.append(odd)
        return self._known[base, odd]

    def extend(self, table: CodeTable) -> CodeTable:
        """The table with the new kinds."""
        return replace(
            table,
            principal=np.append(table.principal, table.principal[self.of]),
            members=np.append(table.members, table.members[self.of], axis=0),
            odd=np.append(table.odd, np.array(self.odd, np.int8)),
        )


def with_odd_codes(compiled: Compiled, pack: Pack) -> Compiled:
    """The compiled scheme with grey codes and retired codes marked; no answer changes."""
    dx, twins = _marked(compiled.dx, pack.dx, pack.dx_map)
    px, _ = _marked(compiled.px, pack.px, pack.px_map)
    return _with_kinds(compiled, dx, px, twins.of)


def _marked(
    table: CodeTable, names: Mapping[str, str], mapped: Mapping[str, str]
) -> tuple[CodeTable, _Twins]:
    odd = np.zeros(len(table.principal), np.int8)
    odd[UNKNOWN] = _UNKNOWN
    table = replace(table, odd=odd)
    twins = _Twins(table)
    grey = {code for code, to in mapped.items() if code in names and code != to}
    kinds = [
        twins.kind(kind, _GREY) if code in grey else kind
        for code, kind in zip(table.codes, table.kind_of.tolist(), strict=True)
    ]
    retired = tuple(code for code, _ in applied(known_codes(table), mapped))
    marked = replace(table, kind_of=np.array(kinds, np.int32), retired=retired)
    return twins.extend(marked), twins


def with_edition(compiled: Compiled, pack: Pack) -> Compiled:
    """The compiled scheme with the codes of the other editions added to its own."""
    dx, of = _extended(compiled.dx, pack.dx_map)
    px, _ = _extended(compiled.px, pack.px_map)
    return _with_kinds(compiled, dx, px, of)


def _with_kinds(compiled: Compiled, dx: CodeTable, px: CodeTable, of: list[int]) -> Compiled:
    """The compiled scheme with other tables; `of` names what each new kind of diagnosis is like."""
    return replace(
        compiled,
        dx=dx,
        px=px,
        exclusion=np.append(compiled.exclusion, compiled.exclusion[of]),
        complication=np.append(compiled.complication, compiled.complication[of]),
        sites=np.append(compiled.sites, compiled.sites[:, of], axis=1),
    )


def _extended(table: CodeTable, mapped: Mapping[str, str]) -> tuple[CodeTable, list[int]]:
    known = known_codes(table)
    twins = _Twins(table)
    # No list that the kernel sees holds the dropped code's kind.
    dropped = twins.kind(BLANK, _RETIRED)
    codes, kinds = [], []
    for written, to in applied(known, mapped):
        kind = BLANK if to == DROP else known.best(to)
        codes.append(written)
        kinds.append(UNKNOWN if kind is None else twins.kind(kind, _RETIRED))
    extended = replace(
        table,
        codes=(*table.codes, *codes),
        kind_of=np.append(table.kind_of, np.array(kinds, np.int32)),
        dropped=dropped,
    )
    return twins.extend(extended), twins.of
