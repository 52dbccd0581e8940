"""What the corrected codes would give: the case grouped again, and priced as the run prices.

Prices are those of the run: its benchmarks, its point value of the month. A correction moves them
a little once the region is settled again; the whole effect is told by a new run with the corrected
cases (`grouper rerun`, `grouper compare`). Where the run's own points of a case do not follow from
its tables (a readmission, a price list), no price is told rather than a wrong one.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from grouper.appeals.checked import Answer
from grouper.appeals.gather import open_lists
from grouper.appeals.told import Teller
from grouper.cases import CODES, COLUMNS, read_part
from grouper.cases.names import column_names
from grouper.grouping import columns_for, group
from grouper.report import Run
from grouper.run.quote import Prices, Stay, read_prices
from grouper.scheme import Scheme
from grouper.settlement.amounts import MONEY, POINTS
from grouper.settlement.dip import Catalogue, dip_keys, kinds_of
from grouper.settlement.numbers import FEN, SCALE, points_text, yuan_text
from grouper.settlement.plain import plain_batch
from grouper.settlement.region import load_region

_TOLERANCE: Final = SCALE // 100
"""Points of a case follow from tables whose means are rounded to fen within a hundredth."""

BASES: Final = {
    "exact": "the run's own points of the case follow from its tables to the last digit",
    "rounded": "the run's means are rounded to fen in its tables; the last digits may differ",
    "readmitted": "the stay is cut for a readmission",
    "not_by_points": "the case is not paid by points",
    "not_reproduced": "the run's own points of the case do not follow from its tables",
    "rates": "the policy pays by prices or rates of its own",
    "no_price": "the new group has no price in the run",
}
"""Why a change is priced, or not."""

CHANGES: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("hospital_id", "case_id", "pool", "month")),
        *((name, CODES) for name in ("old_dx", "new_dx", "old_px", "new_px")),
        *(
            (f"{when}_{name}", pa.string())
            for name in ("status", "mdc", "drg", "class")
            for when in ("old", "new")
        ),
        *((name, POINTS) for name in ("old_points", "new_points", "points_change")),
        *((name, MONEY) for name in ("old_value", "new_value", "value_change")),
        ("basis", pa.string()),
    ]
)
"""Old and new group of each corrected case, with points and money where `basis` allows.

Points are those before a review, which a correction makes void; money at the point value of the
month, in yuan.
"""


@dataclass(frozen=True)
class Corrections:
    """The corrected cases.

    Attributes:
        cases: the lists with the corrected codes and the next version, in the region's columns.
        changes: rows of `CHANGES`, sorted by hospital and case.
    """

    cases: pa.Table
    changes: pa.Table


def unknown_codes(
    answers: Sequence[Answer], before: Mapping[str, Mapping[str, Any]], scheme: Scheme
) -> dict[str, tuple[str, ...]]:
    """By case id, the codes of its corrections that the scheme knows nowhere."""
    teller = Teller(scheme, "en")
    found = {}
    for answer in answers:
        case = before[answer.case_id]
        had = set(case["dx"] or ()) | set(case["px"] or ())
        changed = dict(case) | {
            name: list(codes)
            for name, codes in (("dx", answer.dx), ("px", answer.px))
            if codes is not None
        }
        facts = teller.facts(changed)
        # A code that is mapped to another edition's is known under that name.
        if facts is not None and (new := set(teller.unknown(facts)) - had):
            found[answer.case_id] = tuple(sorted(new))
    return found


def correct(
    run: Run,
    region: Path,
    scheme: Scheme,
    answers: Sequence[Answer],
    before: Mapping[str, Mapping[str, Any]],
    encoding: str,
) -> Corrections:
    """Apply the corrections.

    Args:
        run, region, scheme: as for `send.send_sheets`.
        answers: those that bring codes.
        before: the cases of `gather.gathered` by id.
        encoding: of CSV files of cases.

    Raises:
        GrouperError: the region cannot be read.
    """
    wanted = {column.name: column for column in (*COLUMNS.values(), *columns_for(scheme))}
    source = open_lists(run, region, list(wanted.values()), encoding)
    columns = [c for c in wanted.values() if c.name in source.columns or c.name == "version"]
    ids = pa.array(sorted({answer.case_id for answer in answers}), pa.string())
    batches = []
    for part in source.parts:
        for batch in read_part(source, part):
            mine = pc.is_in(batch.column("case_id").cast(pa.string()), ids)
            batches.append(plain_batch(batch.filter(mine), columns))
    schema = pa.schema([(column.name, column.type) for column in columns])
    lists = _latest(pa.Table.from_batches(batches, schema).combine_chunks())
    by_id = {answer.case_id: answer for answer in answers}
    cases = _applied(lists, by_id)
    grouped = {row["case_id"]: row for row in group(_without(cases), scheme).to_pylist()}
    prices = read_prices(run.folder, load_region(region))
    moved: set[str] = set()
    if prices.catalogue is not None:
        for row, disease in zip(grouped.values(), _diseases(cases, prices.catalogue), strict=True):
            if row["status"] != "invalid":
                row |= {"status": "grouped" if disease else "ungrouped", "drg": disease}
        had = _diseases(lists, prices.catalogue)
        for case_id, disease in zip(lists.column("case_id").to_pylist(), had, strict=True):
            if before[case_id]["drg"] != disease:
                moved.add(case_id)
    levels = {row["hospital_id"]: row["level"] for row in run.table("hospitals").to_pylist()}
    rows = [
        _change(case, before[case["case_id"]], grouped[case["case_id"]], prices, levels, moved)
        for case in cases.to_pylist()
    ]
    rows.sort(key=lambda row: (row["hospital_id"], row["case_id"]))
    names = column_names(region)
    renamed = cases.rename_columns([names.get(name, name) for name in cases.column_names])
    return Corrections(renamed, pa.Table.from_pylist(rows, CHANGES))


def _diseases(cases: pa.Table, catalogue: Catalogue) -> list[str]:
    """The disease group of each case; empty for none."""
    found: list[str] = []
    for batch in cases.combine_chunks().to_batches():
        numbers = kinds_of(dip_keys(batch, catalogue.rules), catalogue)
        found += ["" if number < 0 else catalogue.codes[number] for number in numbers.tolist()]
    return found


def _without(cases: pa.Table) -> pa.Table:
    """The cases as `group` takes them: only the columns that it may compare."""
    return cases.drop_columns(["version"])


def _latest(lists: pa.Table) -> pa.Table:
    """One list per case, that of the highest version, sorted by id."""
    version = pc.fill_null(lists.column("version"), 1)
    place = lists.schema.get_field_index("version")
    lists = lists.set_column(place, "version", version)
    order = lists.sort_by([("case_id", "ascending"), ("version", "descending")])
    ids = order.column("case_id").to_pylist()
    first = [i for i, case_id in enumerate(ids) if i == 0 or ids[i - 1] != case_id]
    return order.take(pa.array(first, pa.int64()))


def _applied(lists: pa.Table, answers: Mapping[str, Answer]) -> pa.Table:
    ids = lists.column("case_id").to_pylist()
    for name in ("dx", "px"):
        place = lists.schema.get_field_index(name)
        if place < 0:
            lists = lists.append_column(name, pa.nulls(len(ids), CODES))
            place = lists.schema.get_field_index(name)
        given = [getattr(answers[case_id], name) for case_id in ids]
        values = [
            had if new is None else list(new)
            for had, new in zip(lists.column(place).to_pylist(), given, strict=True)
        ]
        lists = lists.set_column(place, name, pa.array(values, CODES))
    place = lists.schema.get_field_index("principal_count")
    if place >= 0:
        lists = lists.set_column(place, "principal_count", pa.array([1] * len(ids), pa.int8()))
    place = lists.schema.get_field_index("version")
    later = pc.add(lists.column("version"), 1).cast(pa.int32())
    return lists.set_column(place, "version", later)


def _change(
    case: Mapping[str, Any],
    was: Mapping[str, Any],
    now: Mapping[str, Any],
    prices: Prices,
    levels: Mapping[str, int],
    moved: Container[str],
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "hospital_id": was["hospital_id"],
        "case_id": case["case_id"],
        "pool": was["pool"],
        "month": was["month"],
        "old_dx": was["dx"],
        "new_dx": case["dx"],
        "old_px": was["px"],
        "new_px": case["px"],
        "old_class": was["class"],
        **{f"old_{name}": was[name] for name in ("status", "mdc", "drg")},
        **{f"new_{name}": now[name] for name in ("status", "mdc", "drg")},
    }
    if case["case_id"] in moved:
        return row | {"basis": "not_reproduced"}
    return row | _priced(was, now, prices, levels)


def _priced(
    was: Mapping[str, Any], now: Mapping[str, Any], prices: Prices, levels: Mapping[str, int]
) -> dict[str, Any]:
    if prices.reason:
        return {"basis": prices.reason}
    if was["route"] != "drg":
        return {"basis": "not_by_points"}
    if was["reason"] == "readmitted":
        return {"basis": "readmitted"}
    total = int(was["total_cost"] * FEN)
    compliant = was["compliant_cost"]
    stay = Stay(
        level=levels[was["hospital_id"]],
        pool=was["pool"],
        month=was["month"],
        total=total,
        compliant=total if compliant is None else int(compliant * FEN),
        age=was["age"],
        los=was["los"],
        tcm=bool(was["tcm_flag"]),
        hospital=was["hospital_id"],
    )
    paid, value = int(was["points"] * SCALE), int(was["value"] * FEN)
    old = prices.quote(was["status"], was["drg"], stay)
    if old is None or abs(old.points - paid) > (0 if prices.exact else _TOLERANCE):
        return {"basis": "not_reproduced"}
    new = prices.quote(now["status"], now["drg"], stay)
    if new is None:
        return {"basis": "no_price"}
    return {
        "new_class": new.kind,
        "old_points": _points(paid),
        "new_points": _points(new.points),
        "points_change": _points(new.points - paid),
        "old_value": _yuan(value),
        "new_value": _yuan(new.value),
        "value_change": _yuan(new.value - value),
        "basis": "exact" if prices.exact else "rounded",
    }


def _points(points: int) -> Any:
    return pa.scalar(points_text(points)).cast(POINTS).as_py()


def _yuan(fen: int) -> Any:
    return pa.scalar(yuan_text(fen)).cast(MONEY).as_py()
