"""Special review (特病单议): which cases hospitals bring forward, and what was decided."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from grouper.synth.calendar import Calendar
from grouper.synth.draw import SELF, Chunk
from grouper.synth.faults import Faults
from grouper.synth.fund import yuan
from grouper.synth.plan import Plan
from grouper.synth.streams import REVIEW_STREAM, Streams
from grouper.synth.table import case_ids

HEADER: Final = ("case_id", "kind", "unreasonable_cost", "approved", "decision_month")
_DEAR_SHARE: Final = 0.30
_UNSTABLE_SHARE: Final = 0.05
_APPROVED: Final = 0.80
_REFUSED: Final = 0.14


def reviews(
    plan: Plan, year: Calendar, streams: Streams, number: int, chunk: Chunk, faults: Faults
) -> Iterator[tuple[str, ...]]:
    """Rows of reviews.csv for a chunk, by case.

    The generator does not know the group of a case. It asks for review where the cost is high for
    the kind of patient (`add`), or where the group is likely to be unstable or none at all
    (`whole_group`), so a few requests miss, as in life.
    """
    rng = streams.generator(number, REVIEW_STREAM)
    count = len(chunk.index)
    luck, share, verdict, delay = rng.random((4, count))
    asking = (faults.kind == 0) & (chunk.insurance != SELF)
    whole = plan.unstable[chunk.path] | plan.stray[chunk.path]
    dear = ~whole & (chunk.ratio > plan.thresholds[chunk.path]) & (luck < _DEAR_SHARE)
    rows = np.flatnonzero(asking & (dear | (whole & (luck < _UNSTABLE_SHARE))))
    ids = case_ids(year.year, chunk.index[rows])
    for row, letters in zip(rows.tolist(), ids, strict=True):
        total = int(chunk.money.total_cost[row])
        kind = "whole_group" if whole[row] else "add"
        unreasonable = int(total * 0.15 * max(0.0, share[row] - 0.3))
        month = int(chunk.month[row]) + 1 + int(3 * delay[row])
        decided = f"{year.year + month // 12}-{month % 12 + 1:02d}"
        if verdict[row] < _APPROVED:
            answer = ("true", decided)
        else:
            answer = ("false", decided) if verdict[row] < _APPROVED + _REFUSED else ("", "")
        yield (letters.tobytes().decode(), kind, yuan(unreasonable), *answer)
