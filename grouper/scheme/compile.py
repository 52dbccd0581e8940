"""From a pack to the flat arrays that the grouping kernel walks (kernels/TECHNICAL.md).

Codes that no rule can tell apart share a *kind*; `code_tables` finds the kinds. The decision list
becomes decision graphs, one for each pair of principal diagnosis and principal procedure as far as
the rules tell them apart; `graph.py` builds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from grouper.errors import PackError
from grouper.kernels.layout import BLANK, NO_ANSWER, NO_EXCLUSION, NO_LEVEL, PLAIN, UNKNOWN
from grouper.scheme import rules
from grouper.scheme.codes import PREFIX_MARK, CodeMap, code_map
from grouper.scheme.graph import MAX_ROOTS, Decisions, Names, build_decisions
from grouper.scheme.model import Pack

Int32Array = npt.NDArray[np.int32]


@dataclass(frozen=True)
class CodeTable:
    """The codes of one list (diagnoses or procedures) and what each means to the kernel.

    Attributes:
        codes: known codes as written in the pack, prefixes with their `%`.
        kind_of: int32[codes], the kind of each.
        principal: int32[kinds], class as principal code.
        members: uint64[kinds, words], sets that hold the code, one bit a set.
        dropped: kind of a code that is taken out of its list (`editions`); -1 where none is.
        odd: int8[kinds], 1 for unknown, 2 for retired, 3 for grey codes (`editions`), else 0.
        retired: codes of other editions that the pack's map names and the pack itself knows not.
    """

    codes: tuple[str, ...]
    kind_of: Int32Array
    principal: Int32Array
    members: npt.NDArray[np.uint64]
    dropped: int = -1
    odd: npt.NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    retired: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """One possible answer; number 0 is no answer at all."""

    mdc: str
    adrg: str
    drg: str
    ambiguous: bool


@dataclass(frozen=True)
class Compiled:
    """A scheme as flat arrays; the layout is drawn in kernels/TECHNICAL.md.

    Attributes:
        exclusion: int32[diagnosis kinds], exclusion list that the code as principal switches off.
        complication: uint32[diagnosis kinds], MCC list in the upper half, CC list in the lower.
        sites: int32[families, diagnosis kinds], body site, 0 for none.
        decisions: root table and nodes.
        numbers: integer case columns that the nodes compare, in the order of the matrix's rows.
        departments: `dept` texts that rules name; the row `dept` holds positions here.
    """

    dx: CodeTable
    px: CodeTable
    exclusion: Int32Array
    complication: npt.NDArray[np.uint32]
    sites: Int32Array
    decisions: Decisions
    numbers: tuple[str, ...]
    departments: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    retry_other_procedures: bool


def compile_pack(pack: Pack, *, max_roots: int = MAX_ROOTS) -> Compiled:
    """Compile a checked pack.

    Args:
        max_roots: beyond so many pairs of principal diagnosis and principal procedure the
            procedure is tested in the graphs.

    Raises:
        PackError: where the pack exceeds a limit of the layout (65,000 exclusion lists).
    """
    names = _names(pack)
    lists = _number_lists(pack)
    dx_signatures = _diagnosis_signatures(pack, names, lists)
    px_signatures = _procedure_signatures(pack, names)
    dx, dx_parts = _table(dx_signatures)
    px, _ = _table(px_signatures)
    kinds = len(dx.principal)
    exclusion = np.full(kinds, NO_EXCLUSION, np.int32)
    complication = np.full(kinds, NO_LEVEL << 16 | NO_LEVEL, np.uint32)
    families = list(names.families)
    sites = np.zeros((len(families), kinds), np.int32)
    for kind, (switched_off, mcc, cc, on_sites) in dx_parts:
        exclusion[kind] = switched_off
        complication[kind] = mcc << 16 | cc
        sites[:, kind] = on_sites
    outcomes, numbers = _outcomes(pack)
    decisions = build_decisions(
        pack,
        names,
        numbers,
        _principal_sets(dx, names.dx_sets),
        _principal_sets(px, names.px_sets),
        max_roots=max_roots,
    )
    return Compiled(
        dx=dx,
        px=px,
        exclusion=exclusion,
        complication=complication,
        sites=sites,
        decisions=decisions,
        numbers=tuple(names.numbers),
        departments=tuple(names.departments),
        outcomes=outcomes,
        retry_other_procedures=pack.retry_other_procedures,
    )


def principal_reach(pack: Pack) -> set[tuple[str, str]]:
    """The answers, as (ADRG node, DRG), that some pair of principal codes can lead to.

    What is missing here no case can reach; what is there may still be closed to every case by
    conditions on other things.
    """
    names = _names(pack)
    lists = _number_lists(pack)
    dx, _ = _table(_diagnosis_signatures(pack, names, lists))
    px, _ = _table(_procedure_signatures(pack, names))
    rows = [(adrg.node, drg.code) for _, adrg, drg in pack.drg_rows()]
    decisions = build_decisions(
        pack,
        names,
        {row: number for number, row in enumerate(rows, 1)},
        _principal_sets(dx, names.dx_sets),
        _principal_sets(px, names.px_sets),
    )
    reached = np.concatenate([decisions.root.ravel(), decisions.nodes[:, 4:].ravel()])
    answers = np.unique(~reached[reached < 0])
    return {rows[number - 1] for number in answers if number != NO_ANSWER}


def _names(pack: Pack) -> Names:
    """Everything that rules name, numbered in the order of first use."""
    names = Names()
    for node in pack.nodes():
        for atom in rules.atoms(node.when):
            match atom:
                case rules.InSet(codes, name) | rules.Count(codes, name):
                    table = names.dx_sets if codes in rules.DIAGNOSIS_LISTS else names.px_sets
                    table.setdefault(name, len(table))
                case rules.Sites(family):
                    names.families.setdefault(family, len(names.families))
                case rules.Compare(number):
                    names.numbers.setdefault(number, len(names.numbers))
                case rules.Discharge():
                    names.numbers.setdefault("discharge", len(names.numbers))
                case rules.Dept(department):
                    names.numbers.setdefault("dept", len(names.numbers))
                    names.departments.setdefault(department, len(names.departments))
    return names


def _number_lists(pack: Pack) -> dict[str, int]:
    """Exclusion lists by name; 0 is the empty name, which excludes nothing."""
    lists = {"": 0}
    for members in pack.severity.values():
        for name in members.values():
            lists.setdefault(name, len(lists))
    for name in pack.exclusions.values():
        lists.setdefault(name, len(lists))
    if len(lists) >= NO_EXCLUSION:
        raise PackError(
            f"{len(lists) - 1} exclusion lists, more than {NO_EXCLUSION - 1}",
            file="severity.csv",
            hint="join lists that no principal diagnosis tells apart",
        )
    return lists


Sites = tuple[int, ...]
DiagnosisParts = tuple[int, int, int, Sites]
# (sets as a bit number, everything else that must agree, known or not)
Signature = tuple[int, DiagnosisParts | None]


def _set_map(pack: Pack, sets: Mapping[str, int]) -> CodeMap[int]:
    return CodeMap((code, index) for name, index in sets.items() for code in pack.sets[name])


def _union(found: Iterable[int]) -> int:
    bits = 0
    for index in found:
        bits |= 1 << index
    return bits


def _diagnosis_signatures(
    pack: Pack, names: Names, lists: Mapping[str, int]
) -> dict[str, Signature]:
    """What the scheme can tell of each known diagnosis code, and of each prefix."""
    sets = _set_map(pack, names.dx_sets)
    levels = {level: code_map(members) for level, members in pack.severity.items()}
    exclusions = code_map(pack.exclusions)
    families: list[tuple[CodeMap[str], dict[str, int]]] = []
    for family in names.families:
        numbered = {site: i for i, site in enumerate(sorted(set(pack.sites[family].values())), 1)}
        families.append((code_map(pack.sites[family]), numbered))

    def level_of(code: str, level: str) -> int:
        found = levels[level].best(code)
        return NO_LEVEL if found is None else lists[found]

    def signature(code: str) -> Signature:
        switched_off = exclusions.best(code)
        on_sites = []
        for family, numbered in families:
            site = family.best(code)
            on_sites.append(0 if site is None else numbered[site])
        return (
            _union(sets.every(code)),
            (
                lists[switched_off] if switched_off else NO_EXCLUSION,
                level_of(code, "MCC"),
                level_of(code, "CC"),
                tuple(on_sites),
            ),
        )

    written = set(pack.dx)
    written.update(sets.written(), exclusions.written(), _unused_codes(pack, names))
    for members in levels.values():
        written.update(members.written())
    for by_family in pack.sites.values():
        written.update(by_family)
    return {code: signature(_example(code)) for code in sorted(written)}


def _procedure_signatures(pack: Pack, names: Names) -> dict[str, Signature]:
    sets = _set_map(pack, names.px_sets)
    written = {*pack.px, *sets.written(), *_unused_codes(pack, names)}
    return {code: (_union(sets.every(_example(code))), None) for code in sorted(written)}


def _unused_codes(pack: Pack, names: Names) -> Iterable[str]:
    """Codes of sets that no rule names: the pack knows them, if not what they are for."""
    for name, codes in pack.sets.items():
        if name not in names.dx_sets and name not in names.px_sets:
            yield from codes


def _example(written: str) -> str:
    """The code itself; for a prefix, some code that it is the longest match of."""
    return written[:-1] + "\0" if written.endswith(PREFIX_MARK) else written


def _table(
    signatures: Mapping[str, Signature],
) -> tuple[CodeTable, list[tuple[int, DiagnosisParts]]]:
    """Number the kinds; equal signatures are one kind."""
    nothing: DiagnosisParts | None = None
    for _, parts in signatures.values():
        if parts is not None:
            nothing = (NO_EXCLUSION, NO_LEVEL, NO_LEVEL, (0,) * len(parts[3]))
            break
    kinds: dict[Signature, int] = {(0, nothing): PLAIN}
    kind_of = np.empty(len(signatures), np.int32)
    for position, signature in enumerate(signatures.values()):
        kind_of[position] = kinds.setdefault(signature, len(kinds) + PLAIN)
    empty: Signature = (0, nothing)
    ordered: list[Signature] = [empty, empty, *kinds]
    assert ordered[BLANK] == ordered[UNKNOWN] == ordered[PLAIN] == empty
    classes: dict[int, int] = {0: 0}
    principal = np.array([classes.setdefault(s[0], len(classes)) for s in ordered], np.int32)
    width = max(1, max((s[0].bit_length() for s in ordered), default=1))
    words = -(-width // 64)
    members = np.frombuffer(
        b"".join(s[0].to_bytes(words * 8, "little") for s in ordered), "<u8"
    ).reshape(len(ordered), words)
    table = CodeTable(tuple(signatures), kind_of, principal, members.astype(np.uint64))
    return table, [(kind, s[1]) for kind, s in enumerate(ordered) if s[1] is not None]


def _principal_sets(table: CodeTable, sets: Mapping[str, int]) -> npt.NDArray[np.bool_]:
    """bool[principal classes, sets]: which sets a class of principal codes lies in."""
    classes = int(table.principal.max()) + 1
    rows = np.zeros((classes, table.members.shape[1]), np.uint64)
    rows[table.principal] = table.members
    bits = np.unpackbits(rows.view(np.uint8), axis=1, bitorder="little")
    return bits[:, : max(len(sets), 1)].astype(np.bool_)


def _outcomes(pack: Pack) -> tuple[tuple[Outcome, ...], dict[tuple[str, str], int]]:
    """All answers, and their number by (ADRG node, DRG)."""
    outcomes: dict[Outcome, int] = {Outcome("", "", "", False): 0}
    numbers: dict[tuple[str, str], int] = {}
    for mdc, adrg, drg in pack.drg_rows():
        answer = Outcome(mdc.code, "" if drg.ambiguous else adrg.code, drg.code, drg.ambiguous)
        numbers[adrg.node, drg.code] = outcomes.setdefault(answer, len(outcomes))
    return tuple(outcomes), numbers
