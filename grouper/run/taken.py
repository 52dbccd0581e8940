"""The cases of an earlier run as it routed them, where the policies differ in later steps only.

Where nothing that decides about a case before its points has changed, the tables of the earlier
run say what a case is: its group, route, account and cost. Of the input only its id and the amounts
are read that no table keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from grouper.cases import Part
from grouper.errors import RunError
from grouper.grouping import AMBIGUOUS, GROUPED, STATUS, GroupedBatch
from grouper.parts import part_name
from grouper.run.reuse import Reuse, positions, whole_file
from grouper.scheme import Scheme
from grouper.settlement.amounts import Ints, fen_column
from grouper.settlement.arrivals import AMOUNTS, REJECTED_SCHEMA, column_of
from grouper.settlement.intake import Intake, IntakePlan
from grouper.settlement.months import MONTHS
from grouper.settlement.region import LEVELS
from grouper.settlement.reviews import STATES
from grouper.settlement.routes import CODE, DRG, ROUTES
from grouper.settlement.scope import Moved

_KEPT: Final = ("total_cost", "fund_paid", "patient_cash", "self_pay")
COLUMNS: Final = frozenset({"case_id", "compliant_cost", *AMOUNTS} - set(_KEPT))
"""The columns of the cases that are read all the same."""

_NOTHING: Final = pa.RecordBatch.from_arrays([], names=[])
_REVIEWED: Final = [CODE[f"review_{state}"] for state in STATES]
_PLACES: Final = ("hospital_id", "pool", "month")


class TakenPart:
    """A part of the earlier run, read beside the few columns of the cases that are needed."""

    def __init__(self, reuse: Reuse, part: Part, plan: IntakePlan, scheme: Scheme) -> None:
        """Read the part.

        Raises:
            RunError: a table of the part is missing or was altered.
        """
        self._scheme = scheme
        name = part_name(reuse.parts[part.number])

        def read(folder: str, texts: Sequence[str], others: Sequence[str] = ()) -> pa.Table:
            path = whole_file(reuse, f"{folder}/{name}")
            with pq.ParquetFile(path, read_dictionary=list(texts)) as file:
                return file.read(columns=[*texts, *others], use_threads=False)

        accounts = plan.accounts
        cases = read("cases", _PLACES, _KEPT)
        names = (accounts.hospitals, accounts.pools, accounts.months)
        hospital, pool, month = (
            _places(cases[column], texts) for column, texts in zip(_PLACES, names, strict=True)
        )
        points = read("points", ("route", "reason"))
        self._route = _places(points["route"], ROUTES).astype(np.int8)
        reason = positions(points["reason"], CODE).astype(np.int16)
        paid = self._route == DRG
        # The table tells of a paid case by which rule it is paid.
        self._reason = np.where(paid, 0, reason).astype(np.int16)
        self._suspects = None
        if reuse.same_reviews:
            # The table tells the reviewed ones among the paid cases, and no others.
            self._suspects = ~paid | np.isin(reason, _REVIEWED)
        self._last = slice(0)
        own = (hospital * len(accounts.pools) + pool) * MONTHS + month
        known = pool >= 0
        self._account = np.where(known, np.where(paid, own, -2 - own), -1).astype(np.int32)
        grouped = read("grouped", ("status", "drg"))
        self._status = _places(grouped["status"], STATUS).astype(np.int8)
        drgs = len(scheme.drgs)
        kind = _places(grouped["drg"], scheme.drgs)
        other = np.where(self._status == AMBIGUOUS, drgs, drgs + 1)
        kind = np.where(self._status == GROUPED, kind, other)
        level = np.array((*accounts.levels, 1), np.int32)[hospital]
        self._cell = np.where(known, kind * len(LEVELS) + level - 1, -1).astype(np.int32)
        self._amounts = {column: fen_column(cases[column].combine_chunks())[0] for column in _KEPT}
        self._place = 0

    def take(self, batch: pa.RecordBatch, *_: object) -> tuple[GroupedBatch, Intake]:
        """The next cases as they were routed; the grouping names no groups.

        Args:
            batch: the cases with `COLUMNS`.

        Raises:
            RunError: the earlier run has fewer cases.
        """
        rows = batch.num_rows
        mine = self._last = slice(self._place, self._place + rows)
        self._place += rows
        if self._place > len(self._route):
            raise RunError(
                "a part of the run to reuse has fewer cases than its file",
                hint="leave --reuse out, or name a run that is whole",
            )
        amounts = {name: values[mine] for name, values in self._amounts.items()}
        for name in AMOUNTS:
            if name not in amounts:
                amounts[name] = _given(batch, name)[0]
        compliant, null = _given(batch, "compliant_cost")
        none = np.zeros(rows, np.int8)
        grouped = GroupedBatch(
            self._scheme, batch.column("case_id"), none.astype(np.int32), none, none, 0, 0
        )
        return grouped, Intake(
            grouped=_NOTHING,
            status=self._status[mine],
            route=self._route[mine],
            reason=self._reason[mine],
            cell=self._cell[mine],
            account=self._account[mine],
            compliant=np.where(null, amounts["total_cost"], compliant),
            amounts=np.stack([amounts[name] for name in AMOUNTS]),
            factor=None,
            days=np.zeros(rows, np.int32),
            bills=None,
            rejected=REJECTED_SCHEMA.empty_table(),
            empty=dict.fromkeys(AMOUNTS[1:], 0),
            moved=Moved(),
        )

    def reviewed(self) -> NDArray[np.int64] | None:
        """Rows of the last batch among which are all reviewed cases; None: any."""
        return None if self._suspects is None else np.flatnonzero(self._suspects[self._last])


def _given(batch: pa.RecordBatch, name: str) -> tuple[Ints, NDArray[np.bool_]]:
    column = column_of(batch, name)
    fen, _, null = fen_column(pa.nulls(batch.num_rows) if column is None else column)
    return fen, null


def _places(column: pa.ChunkedArray, names: Sequence[str]) -> NDArray[np.int32]:
    return positions(column, {name: place for place, name in enumerate(names)})
