"""What differs between two packs: nodes, rules, sets, severities, exclusion lists, weights, codes.

Nodes are the same by their name in the decision list (a DRG by its name and its ADRG node), else by
their code. Rules are held against each other in normal form, sets and exclusion lists by what they
hold: numbering them anew changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any, Literal, get_args

from grouper.scheme import logic, rules
from grouper.scheme.diff_nodes import Names, NodeChange, Pairs, node_changes, pair_nodes
from grouper.scheme.model import Pack, Weight
from grouper.scheme.normal import normal
from grouper.scheme.rules import And, Or, Rule

Relation = Literal["narrower", "wider", "other"]


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A condition that says something else.

    Attributes:
        before, after: the rules in normal form, sets by their names in A where they are the same.
        gone, new: terms of the outermost `and` or `or` that went and came, where both have it.
        relation: whether the rule of B holds for fewer or for more cases, sets apart.
    """

    level: str
    node: str
    code: str
    name: str
    before: str
    after: str
    gone: tuple[str, ...]
    new: tuple[str, ...]
    relation: Relation


@dataclass(frozen=True, slots=True)
class SetChange:
    """A set or site family that holds other codes.

    Attributes:
        kind: `added`, `dropped`, `changed`, or `renamed` where the codes are the same.
        name: its name in B; in A where it was dropped.
        before: its name in A; empty where it was added.
        gone, new: codes as written, sorted.
        used_by: nodes of both packs whose rules ask for it.
    """

    kind: str
    name: str
    before: str
    gone: tuple[str, ...]
    new: tuple[str, ...]
    used_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SeverityChange:
    """A diagnosis whose level changed, or its exclusion list.

    Attributes:
        kind: `added`, `dropped`, or `list`.
        before, after: exclusion list, by its name in each pack.
    """

    kind: str
    level: str
    code: str
    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ExclusionChange:
    """A principal diagnosis that switches off another exclusion list.

    Attributes:
        kind: `added`, `dropped`, or `list`.
    """

    kind: str
    code: str
    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class WeightChange:
    """A published weight, or its flags, that changed.

    Attributes:
        kind: `added`, `dropped`, `changed`, or `flags` where only basic or stable differ.
        before, after: exact decimals; empty where there is none.
        ratio: after / before, for display.
    """

    kind: str
    drg: str
    name: str
    before: str
    after: str
    ratio: float | None
    flags: str


@dataclass(frozen=True, slots=True)
class ListChange:
    """A list of known codes or a map to them that changed.

    Attributes:
        table: `dx`, `px`, `dx_map` or `px_map`.
        gone, new, other: codes that went, came, or have another name or target, sorted.
    """

    table: str
    gone: tuple[str, ...]
    new: tuple[str, ...]
    other: tuple[str, ...]


@dataclass(frozen=True)
class SchemeDiff:
    """What differs between two packs, A first.

    Attributes:
        head: what differs in scheme.toml: (key, in A, in B).
        rewritten: nodes whose rule is written differently and means the same.
    """

    a: str
    b: str
    head: tuple[tuple[str, str, str], ...]
    nodes: tuple[NodeChange, ...]
    rules: tuple[RuleChange, ...]
    rewritten: tuple[str, ...]
    sets: tuple[SetChange, ...]
    severities: tuple[SeverityChange, ...]
    exclusions: tuple[ExclusionChange, ...]
    weights: tuple[WeightChange, ...]
    codes: tuple[ListChange, ...]

    @property
    def same(self) -> bool:
        """Whether both packs group and weigh every case alike, names apart."""
        return not (self.nodes or self.rules or self.sets or self.severities) and not (
            self.exclusions or self.weights or self.codes or self.head
        )

    def summary(self) -> dict[str, dict[str, int]]:
        """Number of changes by section and kind, sections without a change left out."""
        found: dict[str, Counter[str]] = {}
        for change in self.nodes:
            found.setdefault(change.level, Counter())[change.kind] += 1
        if self.rules or self.rewritten:
            relations = Counter(change.relation for change in self.rules)
            counts: Counter[str] = Counter()
            counts["changed"] = len(self.rules)
            for relation in get_args(Relation)[:2]:
                counts[relation] = relations[relation]
            counts["rewritten"] = len(self.rewritten)
            found["rule"] = +counts
        for name, changes in (("set", self.sets), ("weight", self.weights)):
            if changes:
                found[name] = Counter(c.kind for c in changes)  # type: ignore[attr-defined]
        for severity in self.severities:
            found.setdefault(severity.level, Counter())[severity.kind] += 1
        if self.exclusions:
            found["exclusion"] = Counter(change.kind for change in self.exclusions)
        for table in self.codes:
            kinds = {"added": table.new, "dropped": table.gone, "changed": table.other}
            found[table.table] = +Counter({kind: len(codes) for kind, codes in kinds.items()})
        return {name: dict(sorted(counts.items())) for name, counts in found.items()}

    def to_dict(self) -> dict[str, Any]:
        """The difference as plain values for JSON, the summary first."""
        names = [f.name for f in fields(self) if f.name not in ("a", "b", "head")]
        details = asdict(self)
        head = [{"key": key, "before": x, "after": y} for key, x, y in self.head]
        return {
            "a": self.a,
            "b": self.b,
            "same": self.same,
            "summary": self.summary(),
            "head": head,
            **{name: details[name] for name in names},
        }

    def rows(self) -> Iterator[dict[str, str]]:
        """Every change as a row: section, kind, level, node, code, name, before, after."""
        for key, before, after in self.head:
            yield _row("scheme", key, before=before, after=after)
        for n in self.nodes:
            yield _row("node", n.kind, n.level, n.node, n.code, n.name, n.before, n.after)
        for r in self.rules:
            yield _row("rule", r.relation, r.level, r.node, r.code, r.name, r.before, r.after)
        for node in self.rewritten:
            yield _row("rule", "rewritten", node=node)
        for s in self.sets:
            if s.kind == "renamed":
                yield _row("set", s.kind, node=s.name, before=s.before, after=s.name)
            for code in s.gone:
                yield _row("set", "dropped", node=s.name, code=code, before=s.before)
            for code in s.new:
                yield _row("set", "added", node=s.name, code=code, after=s.name)
        for v in self.severities:
            yield _row("severity", v.kind, v.level, "", v.code, v.name, v.before, v.after)
        for x in self.exclusions:
            yield _row("exclusion", x.kind, "", "", x.code, x.name, x.before, x.after)
        for w in self.weights:
            yield _row("weight", w.kind, "drg", w.drg, w.drg, w.name, w.before, w.after)
        for table in self.codes:
            kinds = (("dropped", table.gone), ("added", table.new), ("changed", table.other))
            for kind, codes in kinds:
                for code in codes:
                    yield _row(table.table, kind, code=code)


def _row(
    section: str,
    kind: str,
    level: str = "",
    node: str = "",
    code: str = "",
    name: str = "",
    before: str = "",
    after: str = "",
) -> dict[str, str]:
    return {
        "section": section, "kind": kind, "level": level, "node": node, "code": code,
        "name": name, "before": before, "after": after,
    }  # fmt: skip


def diff_packs(a: Pack, b: Pack) -> SchemeDiff:
    """What differs between two packs; the order follows B, then A for what is dropped."""
    sets, renamed = _sets(a, b)
    pairs = pair_nodes(a, b)
    changed, rewritten = _rules(pairs, renamed)
    lists = _same_lists(a.exclusions, b.exclusions)
    return SchemeDiff(
        a=a.id,
        b=b.id,
        head=tuple(_head(a, b)),
        nodes=tuple(node_changes(a, b, pairs)),
        rules=changed,
        rewritten=rewritten,
        sets=sets,
        severities=tuple(_severities(a, b, lists)),
        exclusions=tuple(_exclusions(a, b, lists)),
        weights=tuple(_weights(a, b)),
        codes=tuple(_codes(a, b)),
    )


def _head(a: Pack, b: Pack) -> Iterator[tuple[str, str, str]]:
    for key in ("retry_other_procedures", "valid_from", "valid_to"):
        before, after = (str(getattr(pack, key)) for pack in (a, b))
        if before != after:
            yield key, before, after
    before, after = (", ".join(sorted(pack.attributes)) for pack in (a, b))
    if before != after:
        yield "attributes", before, after


# --- rules ------------------------------------------------------------------------------------


def _rules(
    pairs: Pairs, renamed: Mapping[str, str]
) -> tuple[tuple[RuleChange, ...], tuple[str, ...]]:
    found, rewritten = [], []
    for level, one, other in pairs.every():
        if one.text == other.text and not renamed:
            continue
        before, after = normal(one.when), normal(other.when, renamed)
        if before == after:
            if one.text != other.text:
                rewritten.append(other.node)
            continue
        relation = _relation(before, after)
        if relation is None:
            rewritten.append(other.node)
            continue
        gone, new = _terms(before, after)
        found.append(
            RuleChange(
                level, other.node, other.code, other.name, str(before), str(after), gone, new,
                relation,
            )
        )  # fmt: skip
    return tuple(found), tuple(rewritten)


def _relation(before: Rule, after: Rule) -> Relation | None:
    """How two rules differ; None where each implies the other."""
    narrower, wider = logic.implies(after, before), logic.implies(before, after)
    if narrower and wider:
        return None
    return "narrower" if narrower else "wider" if wider else "other"


def _terms(before: Rule, after: Rule) -> tuple[tuple[str, ...], tuple[str, ...]]:
    kind = And if isinstance(before, And) or isinstance(after, And) else Or
    both = (before, after)
    if any(isinstance(rule, And | Or) and not isinstance(rule, kind) for rule in both):
        return (), ()
    one, other = ([*r.terms] if isinstance(r, And | Or) else [r] for r in both)
    gone = tuple(str(term) for term in one if term not in other)
    return gone, tuple(str(term) for term in other if term not in one)


# --- sets -------------------------------------------------------------------------------------


def _sets(a: Pack, b: Pack) -> tuple[tuple[SetChange, ...], dict[str, str]]:
    """What changed, and for each set of B that only has another name in A that name."""
    held = [
        {**{name: frozenset(codes) for name, codes in pack.sets.items()}, **_families(pack)}
        for pack in (a, b)
    ]
    one, other = held
    free: dict[frozenset[str], list[str]] = {}
    for name in one:
        if name not in other:
            free.setdefault(one[name], []).append(name)
    renamed: dict[str, str] = {}
    for name in other:
        if name not in one and free.get(other[name]):
            renamed[name] = free[other[name]].pop(0)
    used = _users(a, b)
    found = []
    for name in (*other, *(n for n in one if n not in other and n not in renamed.values())):
        before = renamed.get(name, name if name in one else "")
        gone = one.get(before, frozenset()) - other.get(name, frozenset())
        new = other.get(name, frozenset()) - one.get(before, frozenset())
        if gone or new or before not in ("", name):
            kind = "renamed" if before and before != name else "changed"
            kind = "added" if not before else "dropped" if name not in other else kind
            found.append(
                SetChange(
                    kind, name, before, tuple(sorted(gone)), tuple(sorted(new)),
                    tuple(used.get(name, ())),
                )
            )  # fmt: skip
    return tuple(found), renamed


def _families(pack: Pack) -> dict[str, frozenset[str]]:
    """Families of sites as sets of `code on site`."""
    return {
        family: frozenset(f"{code} on {site}" for code, site in members.items())
        for family, members in pack.sites.items()
    }


def _users(*packs: Pack) -> dict[str, dict[str, None]]:
    found: dict[str, dict[str, None]] = {}
    for pack in packs:
        for node in pack.nodes():
            for atom in rules.atoms(node.when):
                match atom:
                    case rules.InSet(_, name) | rules.Count(_, name) | rules.Sites(name):
                        found.setdefault(name, {})[node.node] = None
                    case _:
                        pass
    return found


# --- severities and exclusion lists -----------------------------------------------------------


def _same_lists(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, str]:
    """For each exclusion list of B the list of A that most of its principal diagnoses are in."""
    shared = Counter((b[pdx], a[pdx]) for pdx in b if pdx in a)
    shared.update({(name, name): 0 for name in b.values()})
    found: dict[str, str] = {}
    for (other, one), _ in sorted(shared.items(), key=lambda item: (-item[1], item[0])):
        if other not in found and one not in found.values():
            found[other] = one
    return {name: found.get(name, f"\0{name}") for name in b.values()}


def _severities(a: Pack, b: Pack, lists: Mapping[str, str]) -> Iterator[SeverityChange]:
    names = Names(a, b)
    switched = {*a.exclusions.values()}
    for level in ("MCC", "CC"):
        one, other = a.severity[level], b.severity[level]
        for code in sorted({*one, *other}):
            before, after = one.get(code), other.get(code)
            if before is None:
                kind = "added"
            elif after is None:
                kind = "dropped"
            # A list that no principal diagnosis switches off excludes nothing.
            elif (before if before in switched else "") != lists.get(after, ""):
                kind = "list"
            else:
                continue
            yield SeverityChange(kind, level, code, names.dx(code), before or "", after or "")


def _exclusions(a: Pack, b: Pack, lists: Mapping[str, str]) -> Iterator[ExclusionChange]:
    names = Names(a, b)
    for code in sorted({*a.exclusions, *b.exclusions}):
        before, after = a.exclusions.get(code), b.exclusions.get(code)
        if before is None:
            kind = "added"
        elif after is None:
            kind = "dropped"
        elif before != lists[after]:
            kind = "list"
        else:
            continue
        yield ExclusionChange(kind, code, names.dx(code), before or "", after or "")


# --- weights and codes ------------------------------------------------------------------------


def _weights(a: Pack, b: Pack) -> Iterator[WeightChange]:
    names = Names(a, b)
    for drg in sorted({*a.weights, *b.weights}):
        one, other = a.weights.get(drg), b.weights.get(drg)
        before, after = (w.weight if w else None for w in (one, other))
        flags = ", ".join(_flags(one, other))
        if before == after and not flags:
            continue
        kind = "changed"
        if before == after:
            kind = "flags"
        elif before is None:
            kind = "added"
        elif after is None:
            kind = "dropped"
        ratio = round(float(after / before), 6) if before and after else None
        yield WeightChange(
            kind, drg, names.drg(drg), _decimal(before), _decimal(after), ratio, flags
        )


def _flags(one: Weight | None, other: Weight | None) -> Iterator[str]:
    words = {True: "yes", False: "no", None: "not said"}
    for flag in ("basic", "stable") if one and other else ():
        before, after = getattr(one, flag), getattr(other, flag)
        if before != after:
            yield f"{flag}: {words[before]} → {words[after]}"


def _decimal(weight: Fraction | None) -> str:
    if weight is None:
        return ""
    places = 0
    while weight * 10**places % 1:
        places += 1
    digits = str(int(weight * 10**places)).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits


def _codes(a: Pack, b: Pack) -> Iterator[ListChange]:
    for table in ("dx", "px", "dx_map", "px_map"):
        one, other = getattr(a, table), getattr(b, table)
        gone, new = sorted(one.keys() - other.keys()), sorted(other.keys() - one.keys())
        differing = sorted(code for code in one.keys() & other.keys() if one[code] != other[code])
        if gone or new or differing:
            yield ListChange(table, tuple(gone), tuple(new), tuple(differing))
