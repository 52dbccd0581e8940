"""What a difference between two packs is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from grouper.scheme.diff_nodes import NodeChange

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
                found[name] = Counter(c.kind for c in changes)
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
