"""How well a scheme groups cases: CV, RIV, group rate, and the size of its groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from grouper.counted import counted
from grouper.grouping import GROUPED, STATUS
from grouper.settlement.statistics import Sums, explained
from grouper.trial.count import Counts, Kinds


@dataclass(frozen=True, slots=True)
class GroupStat:
    """One DRG; or an MDC, whose `drg` is empty.

    Attributes:
        cases: all its cases; `sums`: of those with a cost, in fen.
        weight: as published; None where it has none.
        weighted: of an MDC, Σ weight and the number of cases that have one.
    """

    mdc: str
    adrg: str
    drg: str
    name: str
    status: str
    cases: int
    sums: Sums
    weight: Fraction | None = None
    weighted: tuple[Fraction, int] = (Fraction(0), 0)

    def record(self, whole: int) -> dict[str, Any]:
        """Plain values: costs in yuan, shares of `whole` cases, ratios for display."""
        known = {"mdc": self.mdc}
        if self.drg:
            known |= {"adrg": self.adrg, "drg": self.drg}
        return known | {
            "name": self.name,
            **({"status": self.status} if self.drg else {}),
            "cases": self.cases,
            "share": _shown(Fraction(self.cases, whole)) if whole else None,
            "cost": _yuan(self.sums.total),
            "mean_cost": None if self.sums.mean is None else _yuan(self.sums.mean),
            "cv": None if self.sums.cv is None else round(self.sums.cv, 6),
            **({"weight": _shown(self.weight)} if self.drg else {"cmi": _cmi(*self.weighted)}),
        }


@dataclass(frozen=True)
class SchemeStats:
    """What a scheme makes of cases.

    Attributes:
        status: cases by status.
        unpriced: cases without a good total cost; they count, but not in costs.
        groups: every DRG, by code; `mdcs`: every MDC, by code.
        sums: over the valid cases with a cost, in fen.
        riv: reduction in variance (组间方差降低), (SST − ΣSSW) / SST over the grouped cases.
        weighted: Σ weight and number of the grouped cases that have one: CMI is their quotient.
    """

    scheme: str
    status: Mapping[str, int]
    unpriced: int
    groups: tuple[GroupStat, ...]
    mdcs: tuple[GroupStat, ...]
    sums: Sums
    riv: Fraction | None
    weighted: tuple[Fraction, int]

    @property
    def valid(self) -> int:
        """Cases that are not invalid."""
        return sum(self.status.values()) - self.status["invalid"]

    @property
    def cmi(self) -> Fraction | None:
        """Case mix index of the grouped cases that have a weight."""
        return self.weighted[0] / self.weighted[1] if self.weighted[1] else None

    def largest(self, most: int) -> list[GroupStat]:
        """The groups with most cases."""
        return sorted(self._met(), key=lambda g: (-g.cases, g.drg))[:most]

    def smallest(self, most: int) -> list[GroupStat]:
        """The groups with fewest cases, those without any left out."""
        return sorted(self._met(), key=lambda g: (g.cases, g.drg))[:most]

    def widest(self, most: int) -> list[GroupStat]:
        """The groups with the largest CV."""
        spread = [(g.sums.cv, g) for g in self._met() if g.sums.count > 1]
        known = [(cv, g) for cv, g in spread if cv is not None]
        return [g for _, g in sorted(known, key=lambda pair: (-pair[0], pair[1].drg))[:most]]

    def empty(self) -> list[str]:
        """The DRGs without a case."""
        return [g.drg for g in self.groups if not g.cases]

    def _met(self) -> list[GroupStat]:
        return [g for g in self.groups if g.cases and g.status == STATUS[GROUPED]]

    def to_dict(self, most: int = 10) -> dict[str, Any]:
        """Plain values for JSON: costs in yuan."""
        valid = self.valid

        def records(groups: Iterable[GroupStat]) -> list[dict[str, Any]]:
            return [g.record(valid) for g in groups]

        rate = Fraction(self.status["grouped"], valid) if valid else None
        return {
            "scheme": self.scheme,
            "cases": sum(self.status.values()),
            "status": dict(self.status),
            "without_cost": self.unpriced,
            "group_rate": {"grouped": self.status["grouped"], "cases": valid, "rate": _shown(rate)},
            "mean_cost": None if self.sums.mean is None else _yuan(self.sums.mean),
            "cv": None if self.sums.cv is None else round(self.sums.cv, 6),
            "riv": _shown(self.riv),
            "cmi": {
                "weights": _shown(self.weighted[0]),
                "cases": self.weighted[1],
                "cmi": _shown(self.cmi),
            },
            "groups_with_cases": len(self.groups) - len(self.empty()),
            "groups_without_cases": self.empty(),
            "largest": records(self.largest(most)),
            "smallest": records(self.smallest(most)),
            "widest": records(self.widest(most)),
            "mdcs": records(self.mdcs),
            "groups": records(self.groups),
        }


def scheme_stats(counts: Counts, place: int = 0) -> SchemeStats:
    """The statistics of one of the schemes that cases were counted by."""
    kinds, cases, sums = counts.kinds[place], counts.cases[place].tolist(), counts.sums[place]
    weights = kinds.weights()
    groups = [
        GroupStat(
            kinds.mdc[k], kinds.adrg[k], kinds.codes[k], kinds.name(k), STATUS[kinds.status[k]],
            cases[k], sums[k], Fraction(*weights[k]) if weights[k][1] else None,
        )
        for k in range(len(kinds.codes) - 2)
    ]  # fmt: skip
    status = dict.fromkeys(STATUS, 0)
    for k, count in enumerate(cases):
        status[STATUS[kinds.status[k]]] += count
    grouped = [g.sums for g in groups if g.status == STATUS[GROUPED]]
    return SchemeStats(
        scheme=kinds.scheme.id,
        status=status,
        unpriced=counts.unpriced,
        groups=tuple(groups),
        mdcs=tuple(_mdcs(kinds, groups)),
        sums=sum(sums[:-1], Sums()),
        riv=explained(grouped),
        weighted=_weighted(groups),
    )


def _mdcs(kinds: Kinds, groups: list[GroupStat]) -> Iterator[GroupStat]:
    for mdc in sorted({g.mdc for g in groups}):
        mine = [g for g in groups if g.mdc == mdc]
        yield GroupStat(
            mdc, "", "", kinds.scheme.names.get(mdc, ""), "", sum(g.cases for g in mine),
            sum((g.sums for g in mine), Sums()), weighted=_weighted(mine),
        )  # fmt: skip


def _weighted(groups: Iterable[GroupStat]) -> tuple[Fraction, int]:
    known = [(g.weight, g.cases) for g in groups if g.weight is not None]
    return sum((w * n for w, n in known), Fraction(0)), sum(n for _, n in known)


def _cmi(weights: Fraction, cases: int) -> float | None:
    return _shown(weights / cases) if cases else None


def _shown(value: Fraction | None) -> float | None:
    return None if value is None else round(float(value), 6)


def _yuan(fen: int | Fraction) -> float:
    return float(Fraction(int(Fraction(fen) + Fraction(1, 2)), 100))


def tell_stats(stats: SchemeStats, *, most: int = 10) -> Iterator[str]:
    """The lines for a person: the whole, the MDCs, and the groups that stand out."""
    status, valid = stats.status, stats.valid
    yield f"{stats.scheme}: {counted(sum(status.values()), 'case')}: " + ", ".join(
        f"{count:,} {name}" for name, count in status.items()
    )
    if not valid:
        return
    yield f"group rate {status['grouped'] / valid:.2%} ({status['grouped']:,} of {valid:,})"
    if stats.cmi is not None:
        without = status["grouped"] - stats.weighted[1]
        beside = f"; {counted(without, 'grouped case')} without a weight" if without else ""
        yield f"CMI {float(stats.cmi):.4f} by published weights{beside}"
    if stats.sums.mean is not None and stats.sums.cv is not None:
        riv = "none" if stats.riv is None else f"{float(stats.riv):.4f}"
        yield f"mean cost {_yuan(stats.sums.mean):,.2f}, CV {stats.sums.cv:.4f}, RIV {riv}"
    else:
        yield "no cost: without the column total_cost there is no CV and no RIV"
    if stats.unpriced and stats.sums.count:
        cases = counted(stats.unpriced, "case")
        yield f"{cases} without a good total_cost: not in means, CV and RIV"
    empty = stats.empty()
    yield f"{len(stats.groups) - len(empty)} of {counted(len(stats.groups), 'DRG')} with cases"
    few: list[tuple[str, Callable[[int], list[GroupStat]]]] = [
        ("largest groups", stats.largest),
        ("smallest groups", stats.smallest),
        ("groups with the largest CV", stats.widest),
    ]
    yield ""
    yield f"{'MDC':8}{'cases':>10}{'share':>9}{'mean cost':>14}{'CV':>8}{'CMI':>9}"
    for mdc in stats.mdcs:
        yield _line(mdc.mdc, mdc, valid, _cmi(*mdc.weighted))
    for title, chosen in few:
        groups = chosen(most)
        if groups:
            yield ""
            yield title
            yield f"{'DRG':8}{'cases':>10}{'share':>9}{'mean cost':>14}{'CV':>8}{'weight':>9}"
            yield from (_line(g.drg, g, valid, _shown(g.weight)) for g in groups)
    if empty:
        yield ""
        shown = " ".join(empty[: 3 * most])
        more = f" and {len(empty) - 3 * most} more (all in --json)" if len(empty) > 3 * most else ""
        yield f"DRGs without a case ({len(empty)}): {shown}{more}"


def _line(head: str, group: GroupStat, valid: int, weight: float | None) -> str:
    mean, cv = group.sums.mean, group.sums.cv
    return (
        f"{head:8}{group.cases:>10,}{group.cases / valid:>9.2%}"
        f"{'' if mean is None else f'{_yuan(mean):,.2f}':>14}"
        f"{'' if cv is None else f'{cv:.3f}':>8}{'' if weight is None else f'{weight:.4f}':>9}"
        f"  {group.name}"
    ).rstrip()
