"""A pack as text for a person: its tree, or one node with its rule and codes."""

from __future__ import annotations

from collections.abc import Iterator

from grouper.counted import counted
from grouper.errors import PackError
from grouper.scheme import rules
from grouper.scheme.codes import PREFIX_MARK
from grouper.scheme.model import Adrg, Drg, Mdc, Pack

MOST_CODES = 40


def show_pack(pack: Pack) -> Iterator[str]:
    """What the pack is, and its tree: MDCs, ADRG nodes, DRGs with their weights."""
    yield from _head(pack)
    for mdc in pack.mdcs:
        yield ""
        yield f"{mdc.code}  {_title(mdc)}"
        for adrg in mdc.adrgs:
            node = f" ({adrg.node})" if adrg.node != adrg.code else ""
            yield f"  {adrg.code}  {adrg.name}{node}"
            for drg in adrg.drgs:
                yield f"    {drg.code}  {drg.name}{_weight(pack, drg.code)}"


def show_node(pack: Pack, wanted: str, *, most: int = MOST_CODES) -> Iterator[str]:
    """One node, set or family: its rules, and its codes with their names.

    Args:
        wanted: the node or code of an MDC, ADRG or DRG, or the name of a set or site family.
        most: at most so many codes of a set.

    Raises:
        PackError: the pack has nothing of this name.
    """
    found = [node for node in pack.nodes() if wanted in (node.node, node.code)]
    if not found and wanted not in pack.sets and wanted not in pack.sites:
        raise PackError(
            f"{pack.id} has no node, set or family {wanted!r}",
            hint="without a name the command shows the whole tree",
        )
    asked: dict[str, None] = {}
    families: dict[str, None] = {}
    for node in found:
        yield from _node(pack, node)
        for part in _parts(node):
            for atom in rules.atoms(part.when):
                match atom:
                    case rules.InSet(_, name) | rules.Count(_, name):
                        asked[name] = None
                    case rules.Sites(name):
                        families[name] = None
                    case _:
                        pass
        yield ""
    for name in asked if found else pack.sets:
        if found or name == wanted:
            yield from _set(pack, name, most)
    for name in families if found else pack.sites:
        if found or name == wanted:
            yield from _family(pack, name, most)


def _head(pack: Pack) -> Iterator[str]:
    drgs = {drg.code for _, _, drg in pack.drg_rows()}
    adrgs = {adrg.code for mdc in pack.mdcs for adrg in mdc.adrgs}
    weights = sum(w.weight is not None for w in pack.weights.values())
    yield f"{pack.id}  {pack.title}".rstrip()
    if pack.base:
        yield f"based on {pack.base}"
    if pack.valid_from or pack.valid_to:
        yield f"valid from {pack.valid_from or 'ever'} to {pack.valid_to or 'now'}"
    for name, meaning in pack.attributes.items():
        yield f"attribute {name}: {meaning}"
    if pack.retry_other_procedures:
        yield "an ungrouped case is tried again with each other procedure alone"
    yield (
        f"{counted(len(pack.mdcs), 'MDC')}, {counted(len(adrgs), 'ADRG')}, "
        f"{counted(len(drgs), 'DRG')}, {counted(weights, 'weight')}; "
        f"{len(pack.severity['MCC']):,} MCC, {len(pack.severity['CC']):,} CC"
    )
    yield f"digest {pack.digest}"


def _title(mdc: Mdc) -> str:
    drgs = {drg.code for adrg in mdc.adrgs for drg in adrg.drgs}
    adrgs = {adrg.code for adrg in mdc.adrgs}
    return f"{mdc.name}  ({counted(len(adrgs), 'ADRG')}, {counted(len(drgs), 'DRG')})"


def _weight(pack: Pack, drg: str) -> str:
    found = pack.weights.get(drg)
    return "" if found is None or found.weight is None else f"  {float(found.weight):g}"


def _parts(node: Mdc | Adrg | Drg) -> tuple[Mdc | Adrg | Drg, ...]:
    """The node and its DRGs; an MDC's ADRGs are nodes of their own."""
    return (node, *node.drgs) if isinstance(node, Adrg) else (node,)


def _node(pack: Pack, node: Mdc | Adrg | Drg) -> Iterator[str]:
    level = type(node).__name__.upper()
    code = f" ({node.code})" if node.node != node.code else ""
    yield f"{level} {node.node}{code}  {node.name}  {node.file}:{node.line}"
    yield f"  when {node.text}"
    if isinstance(node, Drg):
        if weight := _weight(pack, node.code):
            yield f"  weight{weight}"
    elif isinstance(node, Adrg):
        for drg in node.drgs:
            yield f"  {drg.code}  {drg.name}{_weight(pack, drg.code)}"
            yield f"    when {drg.text}"
    else:
        for adrg in node.adrgs:
            yield f"  {adrg.node}  {adrg.name}"
            yield f"    when {adrg.text}"


def _set(pack: Pack, name: str, most: int) -> Iterator[str]:
    codes = pack.sets[name]
    yield f"set {name}: {counted(len(codes), 'code')}"
    yield from _codes(pack, codes, most)


def _family(pack: Pack, name: str, most: int) -> Iterator[str]:
    sites: dict[str, list[str]] = {}
    for code, site in pack.sites[name].items():
        sites.setdefault(site, []).append(code)
    yield f"family {name}: {counted(len(sites), 'site')}"
    for site, codes in sites.items():
        yield f" {site}: {counted(len(codes), 'code')}"
        yield from _codes(pack, codes, max(1, most // 10))


def _codes(pack: Pack, codes: tuple[str, ...] | list[str], most: int) -> Iterator[str]:
    for code in codes[:most]:
        name = pack.dx.get(code) or pack.px.get(code) or ""
        if code.endswith(PREFIX_MARK):
            name = f"every code that begins with {code[:-1]}"
        yield f"  {code}  {name}".rstrip()
    if len(codes) > most:
        yield f"  and {len(codes) - most} more (all with --all)"
