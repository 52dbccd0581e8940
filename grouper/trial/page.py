"""The page of a difference between two schemes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from grouper.report.site import Site
from grouper.report.view import Row, table
from grouper.scheme.diff_model import SchemeDiff
from grouper.trial.migration import Migration, Mix, shown

MOVES_SHOWN: Final = 3_000
CHANGES_SHOWN: Final = 5_000
_TOLD: Final = ("scheme", "node", "rule", "severity", "exclusion", "weight")


def write_page(diff: SchemeDiff, found: Migration | None, folder: Path) -> None:
    """Write `index.html` with its assets."""
    codes: list[str] = []
    if found is not None:
        codes = sorted({code for move in found.moves for code in (move.a, move.b)})
    number = {code: place for place, code in enumerate(codes)}
    names = {} if found is None else found.names
    index = {
        "linked": False,
        "hospitals": [] if found is None else [[h.key, h.key, 0, "", ""] for h in found.hospitals],
        "drgs": [["-" if c == "0000" else c, names.get(c, ""), c[:1], ""] for c in codes],
    }
    site = Site(folder, index, {"nav": (), "year": "", "run": ""})
    tables = _tables(diff)
    kpis: list[list[Any]] = []
    heat: dict[str, Any] = {}
    if found is not None:
        tables |= _case_tables(found, number)
        kpis = _kpis(found)
        heat = _heat(found)
    site.page(
        "index.html",
        "schemes",
        {"schemes": [diff.a, diff.b], "kpis": kpis, "tables": tables, "heat": heat},
        title=f"{diff.a} / {diff.b}",
        here="" if found is None else "cases",
    )


def _tables(diff: SchemeDiff) -> dict[str, Any]:
    summary: list[Row] = [
        [section, kind, count]
        for section, counts in diff.summary().items()
        for kind, count in counts.items()
    ]
    rows = [row for row in diff.rows() if row["section"] in _TOLD]
    keys = ("section", "kind", "level", "node", "code", "name", "before", "after")
    changes: list[Row] = [[row[key] for key in keys] for row in rows[:CHANGES_SHOWN]]
    sets: list[Row] = [
        [s.kind, s.before, s.name, len(s.gone), len(s.new), " ".join(s.used_by)] for s in diff.sets
    ]
    return {
        "summary": table("part change changes", summary, total=False),
        "changes": table(
            "part change node_level node code text before after", changes, total=False
        ),
        "sets": table("change set_a set_b codes_gone codes_new used_by", sets, total=False),
    }


def _kpis(found: Migration) -> list[list[Any]]:
    moved = found.most()
    kpis: list[list[Any]] = [
        ["cases", found.cases],
        ["moved", sum(move.cases for move in moved)],
        ["moved_cost", sum(move.cost for move in moved)],
    ]
    for stats, side in ((found.a, "a"), (found.b, "b")):
        rate = stats.status["grouped"] / stats.valid if stats.valid else None
        kpis += [
            [f"cmi_{side}", shown(stats.cmi)],
            [f"rate_{side}", rate],
            [f"riv_{side}", shown(stats.riv)],
        ]
    return [kpi for kpi in kpis if kpi[1] is not None]


def _case_tables(found: Migration, number: dict[str, int]) -> dict[str, Any]:
    status: list[Row] = [[a, b, n, cost] for (a, b), (n, cost) in found.status.items()]
    moves: list[Row] = [
        [
            number[m.a], number[m.b], m.cases, m.cost, shown(m.weight_a), shown(m.weight_b),
            shown(m.gain),
        ]
        for m in found.most(MOVES_SHOWN)
    ]  # fmt: skip
    places = {mix.key: place for place, mix in enumerate(found.hospitals)}
    return {
        "statuses": table("status_a status_b cases cost", status),
        "migration": table("drg_a drg_b cases cost weight_a weight_b d_weight", moves),
        "mdcs": table("mdc mdc_name cases_a cases_b cmi_a cmi_b d_cmi",
                      [[m.key, m.name, *_mix(m)] for m in found.mdcs]),
        "hospitals": table("hospital cases_a cases_b cmi_a cmi_b d_cmi",
                           [[places[m.key], *_mix(m)] for m in found.hospitals]),
    }  # fmt: skip


def _mix(mix: Mix) -> Row:
    a, b = mix.cmi
    change = shown(b - a) if a is not None and b is not None else None
    return [mix.cases_a, mix.cases_b, shown(a), shown(b), change]


def _heat(found: Migration) -> dict[str, Any]:
    """Cases that moved by MDC in A and in B; `-` is no group."""
    cells: dict[tuple[str, str], int] = {}
    for move in found.most():
        key = _mdc(move.a), _mdc(move.b)
        cells[key] = cells.get(key, 0) + move.cases
    rows = sorted({a for a, _ in cells}, reverse=True)
    columns = sorted({b for _, b in cells})
    return {
        "a": rows,
        "b": columns,
        "cases": [[cells.get((a, b), 0) for b in columns] for a in rows],
    }


def _mdc(code: str) -> str:
    return "-" if code in ("0000", "invalid") else code[:1]
