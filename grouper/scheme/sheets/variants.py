"""ADRGs that several rows state, numbered as variants (情形): do all rows of one agree.

A variant is a node of the decision list: it has its own place, condition and lists, and the DRGs of
its ADRG, or those that name it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from grouper.errors import PackError
from grouper.scheme.imported import Unread
from grouper.scheme.sheets.gathered import Gathered, Subgroup, node_name

OF_A_DRG = ("name", "weight", "basic", "stable")
"""What a DRG has once, whatever it stands under."""


def agree(first: Subgroup, further: Subgroup, keys: Sequence[str]) -> Iterator[Unread]:
    """Give one row what only the other says; what both say otherwise is told."""
    for key in keys:
        new, known = getattr(further, key), getattr(first, key)
        if new and known and new != known:
            said = f"{key} of {first.code} is {new!r} here and {known!r} in row {first.row}"
            if key == "name":
                yield Unread(further.file, further.row, said, False, "name")
            else:
                told = f"{said} of {first.file}; the first holds"
                yield Unread(further.file, further.row, told)
        setattr(first, key, known or new)


def settle(found: Gathered) -> None:
    """Make one of what is said of an ADRG's variants.

    Raises:
        PackError: some rows of an ADRG number its variants and others do not, or a DRG stands under
            a variant that is not there.
    """
    for code, rows in found.stated.items():
        if True not in rows:
            continue
        if False in rows:
            file, row = rows[False]
            raise _unnumbered(code, file, row, rows[True])
        # A table of DRGs may have named the ADRG.
        bare = found.adrgs.pop(code, None)
        variants = [group for group in found.adrgs.values() if group.code == code]
        names = [group.name for group in (*variants, *([bare] if bare else ())) if group.name]
        for group in variants:
            group.name = group.name or (names[0] if names else "")
    numbered: dict[str, list[Subgroup]] = {}
    for drg in found.drgs.values():
        if drg.variant:
            if node_name(drg.adrg, drg.variant) not in found.adrgs:
                raise PackError(
                    f"{drg.code} stands under the variant {drg.variant} of {drg.adrg}, which the"
                    " ADRG list does not have",
                    file=drg.file,
                    line=drg.row,
                    hint="mend the column 情形 (variant), or leave it empty for all variants",
                )
            numbered.setdefault(drg.code, []).append(drg)
    for code, drgs in numbered.items():
        general = found.drgs.get((code, 0))
        if general is not None:
            if general.variant is not None or general.when:
                first = (drgs[0].file, drgs[0].row)
                raise _unnumbered(code, general.file, general.row, first)
            del found.drgs[code, 0]
        for further in (*drgs[1:], *([general] if general else ())):
            found.unread.extend(agree(drgs[0], further, OF_A_DRG))
        for further in drgs[1:]:
            for key in OF_A_DRG:
                setattr(further, key, getattr(drgs[0], key))


def _unnumbered(code: str, file: str, row: int, other: tuple[str, int]) -> PackError:
    return PackError(
        f"the column 情形 (variant) of {code} is empty here, and {other[0]}:{other[1]} numbers it",
        file=file,
        line=row,
        hint=f"number every row of {code}, those of its lists too, or none of them",
    )
