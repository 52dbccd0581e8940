"""Facts (work files): what later passes of a run need of a case, as memory-mapped Arrow IPC.

Rows stand in the order of the input, amounts are fen; the codes are those of `settlement.intake`.
``factor`` is there only where the policy gives cases a factor.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from grouper.settlement.amounts import Ints
from grouper.settlement.intake import Codes, Intake

SCHEMA: Final = pa.schema(
    [
        ("case_id", pa.string()),
        ("cell", pa.int32()),
        ("account", pa.int32()),
        ("total", pa.int64()),
        ("compliant", pa.int64()),
        ("route", pa.int8()),
        ("reason", pa.int16()),
        ("days", pa.int32()),
    ]
)
FACTOR: Final = pa.field("factor", pa.int64())
_NO_FACTORS = np.empty(0, np.int64)


@dataclass(frozen=True)
class Facts:
    """A batch of facts; the arrays are views of the file."""

    case_id: pa.Array
    cell: Codes
    account: Codes
    total: Ints
    compliant: Ints
    route: NDArray[np.int8]
    reason: NDArray[np.int16]
    days: Codes
    factor: Ints


class FactsWriter:
    """Writes the facts of a part; the file appears under its name when it is complete."""

    def __init__(self, path: Path, *, factors: bool) -> None:
        self._schema = SCHEMA.append(FACTOR) if factors else SCHEMA
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}")
        self._file = pa.OSFile(str(self._temporary), "wb")
        self._writer = pa.ipc.new_file(self._file, self._schema)

    def write(self, case_id: pa.Array, intake: Intake) -> None:
        """Append a batch."""
        columns = [
            intake.cell,
            intake.account,
            intake.total,
            intake.compliant,
            intake.route,
            intake.reason,
            intake.days,
        ]
        if intake.factor is not None:
            columns.append(intake.factor)
        self._writer.write_batch(
            pa.RecordBatch.from_arrays(
                [case_id.cast(pa.string()), *(pa.array(column) for column in columns)],
                schema=self._schema,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._writer.close()
            self._file.close()
            if kind is None:
                self._temporary.replace(self._path)
        finally:
            self._temporary.unlink(missing_ok=True)


def read_facts(path: Path) -> Iterator[Facts]:
    """The facts of a part, batch by batch, without copying them."""
    with pa.memory_map(str(path)) as stream:
        reader = pa.ipc.open_file(stream)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            arrays = {name: batch.column(name).to_numpy() for name in SCHEMA.names[1:]}
            place = batch.schema.get_field_index("factor")
            factor = _NO_FACTORS if place < 0 else batch.column(place).to_numpy()
            yield Facts(case_id=batch.column("case_id"), factor=factor, **arrays)
