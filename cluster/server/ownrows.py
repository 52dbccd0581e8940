"""What a hospital sees of a run: its own rows, found by its own cases, and nobody else's."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cluster import codec
from cluster.errors import ForbiddenError, StateError
from cluster.storage import is_address
from grouper.cases import COLUMNS, open_cases, read_part
from grouper.cases.names import column_names

_BY_HOSPITAL = frozenset(("clearing", "hospital_months"))
_BY_CASE = frozenset(("grouped", "points"))
_ROWS = 16_384


def must_be_own(table: str) -> None:
    """Raises ForbiddenError where a table has no rows that are one hospital's."""
    if table not in _BY_HOSPITAL | _BY_CASE:
        raise ForbiddenError(
            f"the role hospital may not read the table {table}",
            hint=f"it may read {', '.join(sorted(_BY_HOSPITAL | _BY_CASE))}",
        )


def own_pieces(
    files: list[pa.NativeFile], table: str, hospital: str, region: str, encoding: str
) -> Iterator[bytes]:
    """The hospital's rows of a table as Arrow IPC streams, at least one, in the table's order.

    The tables of cases do not say whose a case is; the region folder does. It is read beside them,
    and where it no longer holds the same cases in the same order, nothing is given out.

    Raises:
        StateError: the region was changed after the run.
        CaseTableError: the region cannot be read.
    """
    if table in _BY_HOSPITAL:
        for path in files:
            whole = pq.read_table(path)
            yield from codec.messages(whole.filter(pc.equal(whole["hospital_id"], hospital)))
        return
    if is_address(region):
        raise StateError(
            "the cases of this run lie in an object store, where nobody looks up whose they are",
            hint="read clearing or hospital_months, or ask the bureau",
        )
    rows = _cases(Path(region), encoding)
    held = pa.table(
        {"case_id": pa.array([], pa.string()), "hospital_id": pa.array([], pa.string())}
    )
    for path in files:
        with pq.ParquetFile(path) as file:
            yield codec.encode(pa.Table.from_batches([], file.schema_arrow))
            for batch in file.iter_batches(_ROWS, use_threads=False):
                while held.num_rows < batch.num_rows:
                    following = next(rows, None)
                    if following is None:
                        raise _changed()
                    held = pa.concat_tables([held, following])
                beside, held = held.slice(0, batch.num_rows), held.slice(batch.num_rows)
                ids = batch.column("case_id").cast(pa.string())
                if not beside["case_id"].combine_chunks().equals(ids):
                    raise _changed()
                own = batch.filter(pc.equal(beside["hospital_id"].combine_chunks(), hospital))
                if own.num_rows:
                    yield from codec.messages(own)
    if held.num_rows or next(rows, None) is not None:
        raise _changed()


def _cases(region: Path, encoding: str) -> Iterator[pa.Table]:
    """`case_id` and `hospital_id` of every case of the region, in the order of the input."""
    wanted = (COLUMNS["case_id"], COLUMNS["hospital_id"])
    source = open_cases(
        region / "cases",
        wanted=wanted,
        required=("case_id", "hospital_id"),
        encoding=encoding,
        names=column_names(region),
    )
    for part in source.parts:
        for batch in read_part(source, part):
            yield pa.table(
                {name: batch.column(name).cast(pa.string()) for name in ("case_id", "hospital_id")}
            )


def _changed() -> StateError:
    return StateError(
        "the region's cases were changed after this run, so that whose they are is not certain",
        hint="ask the bureau to run again",
    )
