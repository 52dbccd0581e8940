"""What a hospital sees of a run: its own rows, found by its own cases, and nobody else's."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cluster import codec
from cluster.errors import ForbiddenError, StateError

_BY_HOSPITAL = frozenset(("clearing", "hospital_months"))
_BY_CASE = frozenset(("grouped", "points"))
_ROWS = 16_384
_WHOSE = ("case_id", "hospital_id")

BESIDE = "cases"
"""The table of a run that says whose a case is, row by row as the other tables of cases."""


def must_be_own(table: str) -> None:
    """Raises ForbiddenError where a table has no rows that are one hospital's."""
    if table not in _BY_HOSPITAL | _BY_CASE:
        raise ForbiddenError(
            f"the role hospital may not read the table {table}",
            hint=f"it may read {', '.join(sorted(_BY_HOSPITAL | _BY_CASE))}",
        )


def own_pieces(
    files: list[pa.NativeFile], beside: list[pa.NativeFile], table: str, hospital: str
) -> Iterator[bytes]:
    """The hospital's rows of a table as Arrow IPC streams, at least one, in the table's order.

    Args:
        files: of the table, in order.
        beside: the files of `BESIDE`, part by part as those of a table of cases.
        table: its name.
        hospital: its id.

    Raises:
        StateError: the run folder does not hold the same cases in both tables.
    """
    if table in _BY_HOSPITAL:
        for path in files:
            whole = pq.read_table(path)
            yield from codec.messages(whole.filter(pc.equal(whole["hospital_id"], hospital)))
        return
    if len(files) != len(beside):
        raise _altered()
    for mine, theirs in zip(files, beside, strict=True):
        with pq.ParquetFile(mine) as file, pq.ParquetFile(theirs) as whose:
            if file.metadata.num_rows != whose.metadata.num_rows:
                raise _altered()
            yield codec.encode(pa.Table.from_batches([], file.schema_arrow))
            owners = whose.iter_batches(_ROWS, columns=list(_WHOSE), use_threads=False)
            for batch in file.iter_batches(_ROWS, use_threads=False):
                owner = next(owners)
                if not owner.column("case_id").equals(batch.column("case_id")):
                    raise _altered()
                own = batch.filter(pc.equal(owner.column("hospital_id"), hospital))
                if own.num_rows:
                    yield from codec.messages(own)


def _altered() -> StateError:
    return StateError(
        "the run folder was altered, so that whose its cases are is not certain",
        hint="ask the bureau to run again",
    )
