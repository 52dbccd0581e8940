"""What another scheme would change: where cases go, DRG by DRG, and what they weigh there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from grouper.counted import counted
from grouper.grouping import STATUS
from grouper.trial.count import Counts, Kinds
from grouper.trial.stats import SchemeStats, scheme_stats

Weighted = tuple[Fraction, int]
"""Σ weight and the number of cases that have one; their quotient is the CMI."""


@dataclass(frozen=True, slots=True)
class Move:
    """Cases that fall into one group by A and into one by B.

    Attributes:
        a, b: DRG, `0000` for none, or `invalid`.
        cost: in fen, of the cases that have one.
        weight_a, weight_b: weight of each group in its own scheme.
    """

    a: str
    b: str
    status_a: str
    status_b: str
    cases: int
    cost: int
    weight_a: Fraction | None
    weight_b: Fraction | None

    @property
    def moved(self) -> bool:
        """Whether the two groups differ."""
        return self.a != self.b

    @property
    def gain(self) -> Fraction | None:
        """Change of Σ weight; None where one of the groups has no weight."""
        if self.weight_a is None or self.weight_b is None:
            return None
        return (self.weight_b - self.weight_a) * self.cases


@dataclass(frozen=True, slots=True)
class Mix:
    """CMI of an MDC or a hospital by both schemes; `cases` counts those that fell into a group."""

    key: str
    name: str
    cases_a: int
    cases_b: int
    weighted_a: Weighted
    weighted_b: Weighted

    @property
    def cmi(self) -> tuple[Fraction | None, Fraction | None]:
        """CMI by A and by B."""
        a, b = (w / n if n else None for w, n in (self.weighted_a, self.weighted_b))
        return a, b


@dataclass(frozen=True)
class Migration:
    """Cases grouped by two schemes.

    Attributes:
        stats: of A and of B.
        moves: the matrix, cell by cell where cases are: unmoved ones too, by (A, B).
        status: (status in A, status in B) to (cases, cost in fen).
        mdcs, hospitals: CMI by both schemes; hospitals where the cases name them.
        names: name of each DRG, of B where both have it.
    """

    a: SchemeStats
    b: SchemeStats
    moves: tuple[Move, ...]
    status: dict[tuple[str, str], tuple[int, int]]
    mdcs: tuple[Mix, ...]
    hospitals: tuple[Mix, ...]
    names: dict[str, str]

    @property
    def cases(self) -> int:
        """Number of all cases."""
        return sum(move.cases for move in self.moves)

    def most(self, limit: int | None = None) -> list[Move]:
        """Moves into another group, most cases first."""
        moved = [move for move in self.moves if move.moved]
        return sorted(moved, key=lambda m: (-m.cases, m.a, m.b))[:limit]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: costs in yuan."""
        moved = self.most()
        return {
            "cases": self.cases,
            "moved": sum(move.cases for move in moved),
            "cost_moved": sum(move.cost for move in moved) / 100,
            "status": [
                {"a": a, "b": b, "cases": cases, "cost": cost / 100}
                for (a, b), (cases, cost) in self.status.items()
            ],
            "schemes": [_brief(stats) for stats in (self.a, self.b)],
            "mdcs": [mix_record(mix, "mdc") for mix in self.mdcs],
            "hospitals": [mix_record(mix, "hospital_id") for mix in self.hospitals],
            "moves": [move_record(move) for move in moved],
        }


def _brief(stats: SchemeStats) -> dict[str, Any]:
    keys = ("scheme", "status", "group_rate", "mean_cost", "cv", "riv", "cmi", "groups_with_cases")
    whole = stats.to_dict()
    return {key: whole[key] for key in keys}


def shown(value: Fraction | None) -> float | None:
    """A quotient for display, six places."""
    return None if value is None else round(float(value), 6)


def move_record(move: Move) -> dict[str, Any]:
    """A move as plain values."""
    return {
        "drg_a": move.a,
        "drg_b": move.b,
        "status_a": move.status_a,
        "status_b": move.status_b,
        "cases": move.cases,
        "cost": move.cost / 100,
        "weight_a": shown(move.weight_a),
        "weight_b": shown(move.weight_b),
        "d_weight": shown(move.gain),
    }


def mix_record(mix: Mix, key: str) -> dict[str, Any]:
    """An MDC or a hospital as plain values."""
    a, b = mix.cmi
    return {
        key: mix.key,
        "name": mix.name,
        "cases_a": mix.cases_a,
        "cases_b": mix.cases_b,
        "cmi_a": shown(a),
        "cmi_b": shown(b),
        "d_cmi": shown(b - a) if a is not None and b is not None else None,
    }


def migration(counts: Counts) -> Migration:
    """The migration between the two schemes that cases were counted by."""
    a, b = counts.kinds
    weights = [_weights(kinds) for kinds in (a, b)]
    moves = []
    status: dict[tuple[str, str], tuple[int, int]] = {}
    for (x, y), (cases, cost) in counts.pairs.items():
        pair = STATUS[a.status[x]], STATUS[b.status[y]]
        before = status.get(pair, (0, 0))
        status[pair] = before[0] + cases, before[1] + cost
        moves.append(Move(a.codes[x], b.codes[y], *pair, cases, cost, weights[0][x], weights[1][y]))
    order = {name: place for place, name in enumerate(STATUS)}
    return Migration(
        a=scheme_stats(counts, 0),
        b=scheme_stats(counts, 1),
        moves=tuple(sorted(moves, key=lambda m: (m.a, m.b))),
        status=dict(sorted(status.items(), key=lambda i: (order[i[0][0]], order[i[0][1]]))),
        mdcs=tuple(_mdcs(counts)),
        hospitals=tuple(_hospitals(counts, weights)),
        names={**a.scheme.names, **b.scheme.names},
    )


def _weights(kinds: Kinds) -> list[Fraction | None]:
    return [Fraction(*pair) if pair[1] else None for pair in kinds.weights()]


def _mdcs(counts: Counts) -> Iterator[Mix]:
    sides = [{s.mdc: s for s in scheme_stats(counts, place).mdcs} for place in (0, 1)]
    for mdc in sorted({*sides[0], *sides[1]}):
        found = [side.get(mdc) for side in sides]
        cases = [s.cases if s else 0 for s in found]
        weighted = [s.weighted if s else (Fraction(0), 0) for s in found]
        if any(cases):
            name = next((s.name for s in reversed(found) if s), "")
            yield Mix(mdc, name, cases[0], cases[1], weighted[0], weighted[1])


def _hospitals(counts: Counts, weights: list[list[Fraction | None]]) -> Iterator[Mix]:
    cases: list[Counter[str]] = [Counter(), Counter()]
    sums: list[dict[str, Weighted]] = [{}, {}]
    for place, (kinds, found) in enumerate(zip(counts.kinds, counts.hospitals, strict=True)):
        drgs = len(kinds.codes) - 2
        for (hospital, kind), count in sorted(found.items()):
            if kind < drgs:
                cases[place][hospital] += count
            weight = weights[place][kind]
            if weight is not None:
                whole, number = sums[place].get(hospital, (Fraction(0), 0))
                sums[place][hospital] = whole + weight * count, number + count
    none = (Fraction(0), 0)
    for hospital in sorted({*cases[0], *cases[1]}):
        yield Mix(
            hospital, "", cases[0][hospital], cases[1][hospital],
            sums[0].get(hospital, none), sums[1].get(hospital, none),
        )  # fmt: skip


def tell_migration(found: Migration, *, most: int = 20) -> Iterator[str]:
    """The lines for a person: status, CMI, then the most frequent moves."""
    moved = found.most()
    count, whole = sum(move.cases for move in moved), found.cases
    yield ""
    yield f"{counted(whole, 'case')} grouped by both"
    if not whole:
        return
    cost = sum(move.cost for move in moved) / 100
    priced = found.a.sums.count > 0
    yield f"  {count:,} ({count / whole:.2%}) fall into another group" + (
        f", with a cost of {cost:,.2f}" if priced else ""
    )
    for stats in (found.a, found.b):
        valid = stats.valid or 1
        told = [f"group rate {stats.status['grouped'] / valid:.2%}"]
        if stats.cmi is not None:
            told.append(f"CMI {float(stats.cmi):.4f}")
        if stats.riv is not None:
            told.append(f"RIV {float(stats.riv):.4f}")
        yield f"  {stats.scheme}: {', '.join(told)}"
    for (a, b), (cases, _) in found.status.items():
        if a != b:
            yield f"  {a} → {b}: {cases:,}"
    mixes = [m for m in found.mdcs if None not in m.cmi]
    if mixes:
        yield ""
        yield f"{'MDC':8}{'cases A':>10}{'cases B':>10}{'CMI A':>10}{'CMI B':>10}{'change':>10}"
        yield from map(_mix_line, mixes)
    if found.hospitals:
        changes = [(m, shown(m.cmi[1] - m.cmi[0])) for m in found.hospitals
                   if m.cmi[0] is not None and m.cmi[1] is not None]  # fmt: skip
        changes.sort(key=lambda pair: (pair[1], pair[0].key))
        few = changes if len(changes) <= 10 else [*changes[:5], *changes[-5:]]
        if few:
            yield ""
            yield f"hospitals by change of CMI ({len(few)} of {len(changes)})"
            yield from (f"  {_mix_line(mix)}" for mix, _ in few)
    if moved:
        yield ""
        yield f"moves ({len(moved):,})"
        yield f"  {'A':8}{'B':8}{'cases':>10}{'cost':>18}{'weight A':>10}{'weight B':>10}"
        yield from (f"  {_move_line(found, move, priced=priced)}" for move in moved[:most])
        if len(moved) > most:
            yield f"  and {len(moved) - most:,} more (all with --all or --out)"


def _mix_line(mix: Mix) -> str:
    a, b = (0.0 if cmi is None else float(cmi) for cmi in mix.cmi)
    return (
        f"{mix.key:8}{mix.cases_a:>10,}{mix.cases_b:>10,}{a:>10.4f}{b:>10.4f}{b - a:>+10.4f}"
        f"  {mix.name}"
    ).rstrip()


def _move_line(found: Migration, move: Move, *, priced: bool) -> str:
    weights = "".join(
        f"{'' if weight is None else f'{float(weight):.4f}':>10}"
        for weight in (move.weight_a, move.weight_b)
    )
    names = " → ".join(found.names.get(code, "") for code in (move.a, move.b))
    cost = f"{f'{move.cost / 100:,.2f}' if priced else '':>18}"
    return f"{move.a:8}{move.b:8}{move.cases:>10,}{cost}{weights}  {names}".rstrip()
