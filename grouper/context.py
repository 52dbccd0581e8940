"""What a run keeps of its inputs, so that a report needs the run folder alone.

The tables of folders.md say what every case carries, but not which hospital it is of, nor what a
hospital or a group is called. These tables say it:

========================  ==============================================================
``cases/part-*.parquet``  `CASES`, in the order of the input, row by row as ``grouped``
``hospitals.parquet``     hospital_id, name, level, class, city, alliance, lead, assessment
``groups.parquet``        drg, adrg, mdc and their names, for every DRG of the scheme, or for
                          every disease group (category and chapter stand for ADRG and MDC)
``budget.parquet``        pool, line, effective_month, amount
========================  ==============================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from grouper.cases import COLUMNS, Column
from grouper.scheme import Scheme
from grouper.settlement.amounts import MONEY, POINTS, decimal_column, exact_column
from grouper.settlement.dipnames import group_rows
from grouper.settlement.intake import AMOUNTS, Accounts, Intake
from grouper.settlement.region import Region

_KEPT: Final = ("total_cost", "fund_paid", "patient_cash", "self_pay")

_TEXT: Final = pa.dictionary(pa.int32(), pa.string())
_AS_IT_IS: Final = (
    ("person_id", pa.string()),
    ("admission_date", pa.date32()),
    ("discharge_date", pa.date32()),
    ("los", pa.int64()),
    ("discharge", pa.int64()),
    ("upload_date", pa.date32()),
)
CASES: Final = pa.schema(
    [
        ("case_id", pa.string()),
        *((name, _TEXT) for name in ("hospital_id", "pool", "month")),
        *((name, MONEY) for name in _KEPT),
        *_AS_IT_IS,
    ]
)
"""hospital_id and month as the case has them; pool only where a budget pays or simulates; yuan.

What indicators and supervision need of a stay stands as the case has it, null where the input has
no such column.
"""

PLAIN: Final = ("case_id", *_KEPT, "person_id")
"""Columns of `CASES` that have about as many values as rows."""


def context_columns() -> tuple[Column, ...]:
    """The case columns that a run keeps beside those that it settles by."""
    return tuple(COLUMNS[name] for name, _ in _AS_IT_IS)


def pools_of(intake: Intake, accounts: Accounts) -> NDArray[np.int32]:
    """Position of each case's pool, -1 where no budget pays or simulates it."""
    # Cases that are simulated, or paid per day, carry their account below -1.
    place = accounts.pool_month(intake.account)
    return np.where(place < 0, -1, place // len(accounts.months)).astype(np.int32)


def case_rows(batch: pa.RecordBatch, intake: Intake, accounts: Accounts) -> pa.RecordBatch:
    """The rows of `CASES` of a batch.

    Args:
        batch: the cases as they were read.
        intake: the same cases, routed.
        accounts: the codes of the run.
    """
    pool = pools_of(intake, accounts)
    pools = pa.DictionaryArray.from_arrays(
        pa.array(pool, pa.int32(), mask=pool < 0), pa.array(accounts.pools, pa.string())
    )
    columns = [
        _column(batch, "case_id", pa.string()),
        _column(batch, "hospital_id", _TEXT),
        pools,
        _column(batch, "settle_month", _TEXT),
        *(decimal_column(intake.amounts[AMOUNTS.index(name)], MONEY) for name in _KEPT),
        *(_column(batch, name, kind) for name, kind in _AS_IT_IS),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=CASES)


def _column(batch: pa.RecordBatch, name: str, kind: pa.DataType) -> pa.Array:
    position = batch.schema.get_field_index(name)
    if position < 0:
        return pa.nulls(batch.num_rows, pa.string() if kind == _TEXT else kind).cast(kind)
    column = batch.column(position)
    if pa.types.is_dictionary(column.type) or not pa.types.is_dictionary(kind):
        return column.cast(kind)
    return column.cast(pa.string()).dictionary_encode()


def hospitals_table(region: Region) -> pa.Table:
    """``hospitals``: the columns of hospitals.csv, sorted by hospital_id."""
    rows = region.hospitals
    return pa.table(
        {
            "hospital_id": pa.array([row.hospital_id for row in rows], pa.string()),
            "name": pa.array([row.name for row in rows], pa.string()),
            "level": pa.array([row.level for row in rows], pa.int8()),
            "class": pa.array([row.kind for row in rows], pa.string()),
            "city": pa.array([row.city for row in rows], pa.string()),
            "alliance": pa.array([row.alliance for row in rows], pa.string()),
            "lead": pa.array([row.lead for row in rows], pa.string()),
            "assessment": exact_column((row.assessment for row in rows), POINTS),
        }
    )


def groups_table(scheme: Scheme, diseases: Iterable[str] | None = None) -> pa.Table:
    """``groups``: drg, adrg, mdc and their names, sorted by drg.

    Args:
        scheme: whose DRGs these are.
        diseases: the disease groups, where cases are grouped by them (DIP).
    """
    rows: list[tuple[str, ...]]
    if diseases is not None:
        rows = [*group_rows(diseases, scheme.pack.dx, scheme.pack.px)]
    else:
        place = {o.drg: (o.drg, o.adrg, o.mdc) for o in scheme.compiled.outcomes[::-1] if o.drg}
        rows = [
            (*codes, *(scheme.names.get(code, "") for code in codes))
            for codes in sorted(place.values())
        ]
    names = ("drg", "adrg", "mdc", "drg_name", "adrg_name", "mdc_name")
    return pa.table(
        {name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(names)}
    )


def budget_table(region: Region) -> pa.Table:
    """``budget``: pool, line, effective_month, amount in yuan (signed), sorted by these keys."""
    rows = sorted(region.budget, key=lambda row: (row.pool, row.line, row.effective_month))
    return pa.table(
        {
            "pool": pa.array([row.pool for row in rows], pa.string()),
            "line": pa.array([row.line for row in rows], pa.string()),
            "effective_month": pa.array([row.effective_month for row in rows], pa.string()),
            "amount": exact_column((row.amount for row in rows), MONEY),
        }
    )
