"""What belongs to the cost of a stay: visits before it come in, drugs paid apart go out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from grouper.settlement.amounts import Ints, Mask
from grouper.settlement.arrivals import MONEY_COLUMNS, Faults
from grouper.settlement.plan import IntakePlan

AS_GIVEN, MERGED, APART = "as given", "merged", "apart"


@dataclass(frozen=True)
class Moved:
    """What was moved in a batch.

    Attributes:
        cost: total cost in fen `AS_GIVEN` by the cases, `MERGED` into them and set `APART`.
        apart: positions of the cases in `apart.Apart` of which something was set apart.
    """

    cost: dict[str, int] = field(default_factory=dict)
    apart: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


def settle_scope(
    batch: pa.RecordBatch,
    plan: IntakePlan,
    place: tuple[int, int] | None,
    fen: dict[str, Ints],
    null: dict[str, Mask],
    faults: Faults,
) -> Moved:
    """Add merged visits to the amounts of the cases, and take out what is paid apart.

    Args:
        batch: the cases.
        plan: what is merged and set apart.
        place: part and row of the batch's first case; None: nothing is merged.
        fen, null: amounts and which of them are empty, by column; altered in place.
        faults: cases whose drugs cost more than the case are told here, and stay as they are.
    """
    merged = plan.merged.get(place[0]) if place is not None else None
    if merged is None and plan.apart is None and not plan.merged:
        return Moved()
    np.copyto(fen["compliant_cost"], fen["total_cost"], where=null["compliant_cost"])
    null["compliant_cost"] = np.zeros(batch.num_rows, np.bool_)
    cost = {AS_GIVEN: int(fen["total_cost"].sum()), MERGED: 0, APART: 0}
    if merged is not None and place is not None:
        here = (merged.rows >= place[1]) & (merged.rows < place[1] + batch.num_rows)
        rows = merged.rows[here] - place[1]
        for name, more in zip(MONEY_COLUMNS, merged.amounts[:, here], strict=True):
            fen[name][rows] += more
        cost[MERGED] = int(merged.amounts[0, here].sum())
    if plan.apart is None:
        return Moved(cost)
    position = plan.apart.places(batch.column("case_id"))
    mine = (position >= 0) & (faults.reason == 0)
    amount = np.where(mine, plan.apart.amount[position], 0) if len(plan.apart.amount) else 0
    fund = np.where(mine, plan.apart.fund[position], 0) if len(plan.apart.amount) else 0
    least = {"total_cost": amount, "fund_paid": fund, "patient_cash": amount - fund}
    over = np.zeros(batch.num_rows, np.bool_)
    for name, less in least.items():
        over |= mine & ~null[name] & (fen[name] < less)
    faults.add("apart_exceeds_cost", over, "total_cost", "items")
    for name, less in least.items():
        np.subtract(fen[name], less, out=fen[name], where=~(over | null[name]))
    compliant = np.maximum(fen["compliant_cost"] - amount, 0)
    done = mine & ~over
    np.copyto(fen["compliant_cost"], compliant, where=done)
    cost[APART] = int(np.where(done, amount, 0).sum())
    return Moved(cost, position[done])
