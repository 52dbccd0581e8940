"""Columns of arriving cases as numpy arrays, and the rules that single rows break."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from grouper.settlement.amounts import Ints, Mask, fen_column
from grouper.settlement.routes import CODE, MESSAGES

Codes = NDArray[np.int32]

AMOUNTS: Final = (
    "total_cost",
    "fund_paid",
    "patient_cash",
    "self_pay",
    "other_funds",
)
"""Amounts that are summed by account, in this order."""

MONEY_COLUMNS: Final = ("total_cost", "compliant_cost", *AMOUNTS[1:])

REJECTED_SCHEMA: Final = pa.schema(
    [(name, pa.string()) for name in ("case_id", "rule", "field", "value", "message")]
)


class Faults:
    """Collects the rules that rows break; the first rule of a row is its reason."""

    def __init__(self, batch: pa.RecordBatch, rows: int) -> None:
        self._batch = batch
        self._tables: list[pa.Table] = []
        self.reason = np.zeros(rows, np.int16)

    def add(self, rule: str, broken: Mask, column: str, field: str = "") -> None:
        """Add the rows that break a rule; ``column`` holds the value to show, '' for none."""
        where = np.flatnonzero(broken)
        if not len(where):
            return
        value = pa.array([""] * len(where), pa.string())
        position = self._batch.schema.get_field_index(column) if column else -1
        if position >= 0:
            shown = self._batch.column(position).take(pa.array(where))
            value = pc.fill_null(shown.cast(pa.string()), "")
        self.tell(rule, where, field or column, value)

    def tell(self, rule: str, where: NDArray[np.intp], field: str, value: pa.Array) -> None:
        """Add rows that break a rule, with the field at fault and the values to show."""
        self.reason[where] = np.where(self.reason[where] == 0, CODE[rule], self.reason[where])
        ids = self._batch.column("case_id").take(pa.array(where)).cast(pa.string())
        constant = [[text] * len(where) for text in (rule, field, MESSAGES[rule])]
        self._tables.append(
            pa.Table.from_arrays(
                [ids, pa.array(constant[0]), pa.array(constant[1]), value, pa.array(constant[2])],
                schema=REJECTED_SCHEMA,
            )
        )

    def table(self) -> pa.Table:
        """All rows that break a rule."""
        return pa.concat_tables([REJECTED_SCHEMA.empty_table(), *self._tables])


def column_of(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    """A column of a batch; None where it is absent."""
    position = batch.schema.get_field_index(name)
    return None if position < 0 else batch.column(position)


def coded(batch: pa.RecordBatch, name: str, code: Callable[[str], int]) -> Codes:
    """A text column as codes; null is -1. ``code`` is asked once per distinct text."""
    column = column_of(batch, name)
    if column is None or pa.types.is_null(column.type):
        return np.full(batch.num_rows, -1, np.int32)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    texts = column.dictionary.to_pylist()
    codes = np.array([-1 if text is None else code(text) for text in texts] + [-1], np.int32)
    positions = column.indices
    if positions.null_count:
        positions = pc.fill_null(positions, pa.scalar(len(texts), positions.type))
    result: Codes = codes[positions.to_numpy(zero_copy_only=False)]
    return result


def amounts_of(
    batch: pa.RecordBatch, faults: Faults
) -> tuple[Ints, dict[str, Ints], dict[str, Mask]]:
    """Amounts in fen; faulty ones are told to ``faults``.

    Returns:
        int64 (5, rows) in the order of `AMOUNTS`, its rows and compliant_cost by column, and which
        of them are empty.
    """
    whole = np.zeros((len(MONEY_COLUMNS), batch.num_rows), np.int64)
    fen = dict(zip((*AMOUNTS, "compliant_cost"), whole, strict=True))
    null = {}
    bad = np.zeros(batch.num_rows, np.bool_)
    for name in MONEY_COLUMNS:
        column = column_of(batch, name)
        if column is None:
            column = pa.nulls(batch.num_rows)
        _, fault, null[name] = fen_column(column, fen[name])
        if np.count_nonzero(fault):
            # One row per case and rule: a second faulty amount of a case adds nothing.
            faults.add("bad_amount", (fault > 0) & ~bad, name)
            bad |= fault > 0
    faults.add("no_total_cost", null["total_cost"], "total_cost")
    negative = fen["total_cost"] < 0
    faults.add("negative_cost", negative, "total_cost")
    faults.add("negative_cost", (fen["compliant_cost"] < 0) & ~negative, "compliant_cost")
    return whole[: len(AMOUNTS)], fen, null


def integers(batch: pa.RecordBatch, name: str, missing: int = 0) -> NDArray[np.int64]:
    """A column of integers; ``missing`` where it is null or absent."""
    column = column_of(batch, name)
    if column is None or pa.types.is_null(column.type):
        return np.full(batch.num_rows, missing, np.int64)
    found: NDArray[np.int64] = pc.fill_null(column.cast(pa.int64()), missing).to_numpy(
        zero_copy_only=False
    )
    return found


def flags(batch: pa.RecordBatch, name: str) -> Mask:
    """A column of flags; false where it is null or absent."""
    column = column_of(batch, name)
    if column is None or pa.types.is_null(column.type):
        return np.zeros(batch.num_rows, np.bool_)
    flags: Mask = pc.fill_null(column, False).to_numpy(zero_copy_only=False)
    return flags
