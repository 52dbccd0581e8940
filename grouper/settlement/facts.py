"""Facts (work files): what later passes of a run need of a case, as memory-mapped Arrow IPC.

Rows stand in the order of the input. Amounts are fen; -1 in ``cell`` and ``account`` means that
the case does not go the ``drg`` route.
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
    ]
)


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


class FactsWriter:
    """Writes the facts of a part; the file appears under its name when it is complete."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}")
        self._file = pa.OSFile(str(self._temporary), "wb")
        self._writer = pa.ipc.new_file(self._file, SCHEMA)

    def write(self, case_id: pa.Array, intake: Intake) -> None:
        """Append a batch."""
        columns = (
            intake.cell,
            intake.account,
            intake.total,
            intake.compliant,
            intake.route,
            intake.reason,
        )
        self._writer.write_batch(
            pa.RecordBatch.from_arrays(
                [case_id.cast(pa.string()), *(pa.array(column) for column in columns)],
                schema=SCHEMA,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._writer.close()
        self._file.close()
        if kind is None:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink(missing_ok=True)


def read_facts(path: Path) -> Iterator[Facts]:
    """The facts of a part, batch by batch, without copying them."""
    with pa.memory_map(str(path)) as stream:
        reader = pa.ipc.open_file(stream)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            arrays = [batch.column(name).to_numpy() for name in SCHEMA.names[1:]]
            yield Facts(batch.column("case_id"), *arrays)
