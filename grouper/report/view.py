"""What all pages share: the index of hospitals and DRGs, and the indicators of each."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from grouper.report.facts import UNGROUPED, Facts

Row = list[Any]
"""A row of a page's table: JSON values, money in fen."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

SUMS: Final = """
    sum(cases)::BIGINT AS cases, sum(grouped)::BIGINT AS grouped,
    (sum(cost) * 100)::BIGINT AS cost, sum(points)::DOUBLE AS points,
    (sum(value) * 100)::BIGINT AS value, (sum(gain) * 100)::BIGINT AS gain,
    coalesce(sum(cases) FILTER (class = 'high'), 0)::BIGINT AS high,
    coalesce(sum(cases) FILTER (class = 'low'), 0)::BIGINT AS low,
    sum(grouped * weight::DOUBLE) AS weights,
    coalesce(sum(grouped) FILTER (weight IS NOT NULL), 0)::BIGINT AS weighted,
    sum(cost::DOUBLE / region_mean::DOUBLE) FILTER (grouped > 0) AS indexed,
    coalesce(sum(grouped) FILTER (region_mean IS NOT NULL), 0)::BIGINT AS measured
"""
"""Sums over ``cube LEFT JOIN means``, from which `indicators` follow."""

INDICATORS: Final = (
    "cmi",
    "mean_cost",
    "cost_index",
    "rate",
    "group_rate",
    "high_share",
    "low_share",
)


@dataclass(frozen=True)
class Hospital:
    """A hospital that has a page.

    Attributes:
        slug: name of its page and workbook, safe in any file system.
        sums: over its cases, with the indicators of section 9.
    """

    hospital_id: str
    name: str
    level: int
    kind: str
    city: str
    slug: str
    sums: dict[str, Any]


@dataclass(frozen=True)
class Drg:
    """A DRG with cases; `UNGROUPED` gathers the cases without one."""

    code: str
    name: str
    mdc: str
    slug: str
    sums: dict[str, Any]


class View:
    """Everything that more than one page needs.

    Attributes:
        hospitals: all hospitals of the region by id, in the order of the index.
        drgs: all DRGs with cases by code, in the order of the index.
        region: sums over all cases.
    """

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.run = facts.run
        self.region = self._sums("'region'")["region"]
        self.hospitals = self._hospitals()
        self.drgs = self._drgs()
        self.hospital_number = {h.hospital_id: i for i, h in enumerate(self.hospitals)}
        self.drg_number = {d.code: i for i, d in enumerate(self.drgs)}
        self.peers: dict[int, list[Hospital]] = defaultdict(list)
        for hospital in self.hospitals:
            if hospital.sums["cases"]:
                self.peers[hospital.level].append(hospital)

    def _sums(self, key: str) -> dict[str, dict[str, Any]]:
        rows = self.facts.dicts(
            f"SELECT {key} AS key, {SUMS} FROM cube LEFT JOIN means USING (drg) GROUP BY 1"
        )
        found = {str(row["key"]): indicators(row) for row in rows}
        return found or {"region": indicators(dict.fromkeys(_EMPTY, 0))}

    def _hospitals(self) -> list[Hospital]:
        sums = self._sums("hospital_id")
        rows = self.facts.dicts("SELECT * FROM hospitals ORDER BY hospital_id")
        slugs = unique_slugs(row["hospital_id"] for row in rows)
        none = indicators(dict.fromkeys(_EMPTY, 0))
        return [
            Hospital(
                row["hospital_id"],
                row["name"] or row["hospital_id"],
                row["level"],
                row["class"] or "",
                row["city"] or "",
                slug,
                sums.get(row["hospital_id"], none),
            )
            for row, slug in zip(rows, slugs, strict=True)
        ]

    def _drgs(self) -> list[Drg]:
        sums = self._sums("drg")
        sums.pop("region", None)
        names = {
            row["drg"]: (row["drg_name"], row["mdc"])
            for row in self.facts.dicts("SELECT drg, drg_name, mdc FROM groups")
        }
        codes = sorted(sums, key=lambda code: (code == UNGROUPED, code))
        slugs = unique_slugs("ungrouped" if code == UNGROUPED else code for code in codes)
        return [
            Drg(code, *names.get(code, ("", code[:1].strip(UNGROUPED))), slug, sums[code])
            for code, slug in zip(codes, slugs, strict=True)
        ]


_EMPTY: Final = tuple(
    "cases grouped cost points value gain high low weights weighted indexed measured".split()  # noqa: SIM905
)


def indicators(sums: dict[str, Any]) -> dict[str, Any]:
    """Sums with the indicators that follow from them; None where the denominator is 0."""
    cases = sums["cases"]
    return sums | {
        "cmi": share(sums["weights"], sums["weighted"]),
        "mean_cost": round(sums["cost"] / cases) if cases else None,
        "cost_index": share(sums["indexed"], sums["measured"]),
        "rate": share(sums["value"], sums["cost"]),
        "group_rate": share(sums["grouped"], cases),
        "high_share": share(sums["high"], cases),
        "low_share": share(sums["low"], cases),
    }


def share(part: float | None, whole: float | None) -> float | None:
    """A quotient for display, six places; None where there is none."""
    return round(part / whole, 6) if whole and part is not None else None


def relative(view: View, cost: int, value: int) -> int | None:
    """Gain where all points were paid at the region's mean rate, in fen: it adds up to nothing.

    A value of points that shares out the fund alone lies below the cost everywhere; this says who
    gains from whom.
    """
    rate = view.region["value"] and view.region["cost"] / view.region["value"]
    return round(value * rate - cost) if rate else None


def fen(amount: Decimal | None) -> int | None:
    """A money column's value in fen."""
    return None if amount is None else int(amount * 100)


def number(value: Decimal | None, places: int = 8) -> float | None:
    """A decimal for display."""
    return None if value is None else round(float(value), places)


def unique_slugs(names: Iterable[str]) -> list[str]:
    """A file name for each name, safe and distinct even where upper and lower case are one."""
    slugs: list[str] = []
    taken: set[str] = set()
    for name in names:
        slug = name
        if not _PLAIN.fullmatch(name) or name.lower() in taken:
            slug = "x" + hashlib.sha256(name.encode()).hexdigest()[:16]
        taken.add(slug.lower())
        slugs.append(slug)
    return slugs


def table(columns: str, rows: list[Row], **more: Any) -> dict[str, Any]:
    """A table of a page: column names and rows."""
    return {"cols": columns.split(), "rows": rows, **more}
