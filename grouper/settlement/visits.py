"""Outpatient and emergency visits shortly before a stay, whose cost belongs to it (Jining).

``outpatient.parquet``: person_id, hospital_id, date, amount (total cost), and, where known,
compliant_cost, self_pay, patient_cash, fund_paid, other_funds as a case has them. Yuan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from grouper.caseids import id_hashes
from grouper.settlement.amounts import MONEY, Ints, Mask, decimal_column, fen_column
from grouper.settlement.arrivals import MONEY_COLUMNS
from grouper.settlement.parquetfile import column_names, reading

FILE: Final = "outpatient.parquet"
NEEDED: Final = ("person_id", "hospital_id", "date", "amount")

MERGED, NO_STAY, SEVERAL, INCOMPLETE, BAD_AMOUNT = range(5)
OUTCOMES: Final = ("merged", "no_stay", "several_stays", "incomplete", "bad_amount")
"""What became of a visit."""

SCHEMA: Final = pa.schema(
    [
        ("row", pa.int64()),
        ("person_id", pa.string()),
        ("hospital_id", pa.string()),
        ("date", pa.date32()),
        ("amount", MONEY),
        ("outcome", pa.string()),
        ("case_id", pa.string()),
    ]
)
"""``visits`` of a run: every row of outpatient.parquet, from 1, and the stay it was merged into."""

_DAY_BITS = 24
_FIRST_DAY = 1 << 22


@dataclass(frozen=True)
class Visits:
    """The rows of outpatient.parquet.

    Attributes:
        table: person_id, hospital_id, date.
        amounts: int64 (6, rows), fen, in the order of `arrivals.MONEY_COLUMNS`.
        fault: `INCOMPLETE`, `BAD_AMOUNT`, or `NO_STAY` where nothing is wrong.
    """

    table: pa.Table
    amounts: Ints
    fault: NDArray[np.int8]


@dataclass(frozen=True)
class VisitIndex:
    """Visits in order of person and hospital, then day.

    Attributes:
        persons: first hashes of person and hospital, rising, each once.
        keys: position in ``persons`` and day in one number, rising.
        second: second hashes.
        rows: rows of the file.
    """

    persons: NDArray[np.uint64]
    keys: Ints
    second: NDArray[np.uint64]
    rows: Ints

    def before(
        self, person: pa.Array, hospital: pa.Array, admitted: pa.Array, days: int
    ) -> tuple[Ints, Ints]:
        """(stay, row of the visit) of all visits up to so many days before the day of admission.

        Args:
            person, hospital: texts of the stays.
            admitted: days of admission, date32.
            days: how far back.
        """
        first, second = _hashes(person, hospital)
        known = _valid(person) & _valid(hospital) & _valid(admitted)
        place = np.minimum(np.searchsorted(self.persons, first), max(len(self.persons) - 1, 0))
        known &= (self.persons[place] == first) if len(self.persons) else False
        stays = np.flatnonzero(known)
        day = _days(admitted)[stays]
        base = place[stays] << _DAY_BITS
        low = np.searchsorted(self.keys, base + np.maximum(day - days, 0))
        high = np.searchsorted(self.keys, base + day)
        count = np.maximum(high - low, 0)
        stay = np.repeat(stays, count)
        steps = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        visit = np.repeat(low, count) + steps
        same = self.second[visit] == second[stay]
        return stay[same], self.rows[visit[same]]


def read_visits(folder: Path) -> Visits | None:
    """The visits of a region; None where it has no outpatient.parquet.

    Raises:
        RegionError: the file is not Parquet, or a needed column is missing or of another type.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    names = column_names(path, NEEDED)
    with reading(FILE):
        wanted = [n for n in (*NEEDED, *MONEY_COLUMNS[1:]) if n in names]
        table = pq.read_table(path, columns=wanted).combine_chunks()
        texts = [table[name].cast(pa.string()) for name in NEEDED[:2]]
        date = table["date"].cast(pa.date32())
    amounts = np.zeros((len(MONEY_COLUMNS), table.num_rows), np.int64)
    bad = np.zeros(table.num_rows, np.bool_)
    for number, name in enumerate(("amount", *MONEY_COLUMNS[1:])):
        if name not in table.column_names:
            amounts[number] = amounts[0] if name == "compliant_cost" else 0
            continue
        fen, fault, null = fen_column(_whole(table[name]))
        bad |= (fault > 0) | (fen < 0)
        amounts[number] = np.where(null, amounts[0], fen) if name == "compliant_cost" else fen
        if name == "amount":
            bad |= null
    plain = pa.table({"person_id": texts[0], "hospital_id": texts[1], "date": date})
    fault = np.full(table.num_rows, NO_STAY, np.int8)
    fault[bad] = BAD_AMOUNT
    for name in plain.column_names:
        fault[~_valid(_whole(plain[name]))] = INCOMPLETE
    amounts[:, bad] = 0
    return Visits(plain, amounts, fault)


def index_of(visits: Visits) -> VisitIndex:
    """The visits without a fault, ordered for the search."""
    rows = np.flatnonzero(visits.fault == NO_STAY)
    table = visits.table.take(pa.array(rows)).combine_chunks()
    first, second = _hashes(_whole(table["person_id"]), _whole(table["hospital_id"]))
    persons, place = np.unique(first, return_inverse=True)
    keys = (place.astype(np.int64) << _DAY_BITS) + _days(_whole(table["date"]))
    order = np.lexsort((rows, keys))
    return VisitIndex(persons, keys[order], second[order], rows[order])


def outcome_table(
    visits: Visits, outcome: NDArray[np.int8], amount: Ints, cases: Mapping[int, str]
) -> pa.Table:
    """What became of every visit.

    Args:
        visits: the rows of the file.
        outcome: position in `OUTCOMES` of each.
        amount: fen.
        cases: case id by row of the merged visits.
    """
    ids = [cases.get(row) for row in range(len(outcome))] if cases else [None] * len(outcome)
    return pa.table(
        [
            pa.array(np.arange(1, len(outcome) + 1)),
            *visits.table.columns,
            decimal_column(amount, MONEY),
            pa.array(OUTCOMES, pa.string()).take(pa.array(outcome)),
            pa.array(ids, pa.string()),
        ],
        schema=SCHEMA,
    )


def _hashes(person: pa.Array, hospital: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    texts = [column.cast(pa.string()).fill_null("") for column in (person, hospital)]
    return id_hashes(pc.binary_join_element_wise(*texts, "\x1f"))


def _days(dates: pa.Array) -> Ints:
    """Days from a day far back; absurd dates are drawn in, so that they fit the keys."""
    days = pc.fill_null(dates.cast(pa.int32()), 0).to_numpy(zero_copy_only=False)
    found: Ints = np.clip(days.astype(np.int64) + _FIRST_DAY, 0, 2 * _FIRST_DAY)
    return found


def _valid(column: pa.Array) -> Mask:
    valid: Mask = column.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
