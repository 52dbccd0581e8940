"""The case table of a chunk, with its faulty rows, and Parquet parts of it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from grouper.cases import CODES, COLUMNS
from grouper.synth import arrays
from grouper.synth.bedside import Lists
from grouper.synth.calendar import Calendar
from grouper.synth.catalogue import Codes
from grouper.synth.draw import INSURANCES, Chunk
from grouper.synth.faults import Fault, Faults
from grouper.synth.plan import Plan
from grouper.synth.streams import CHUNK_ROWS, CHUNKS_PER_PART

UNKNOWN_HOSPITAL: Final = "H99999"
UNKNOWN_INSURANCE: Final = "commercial"

_NAMES: Final = (
    "case_id", "person_id", "hospital_id", "insurance", "city", "settle_month", "admission_date",
    "discharge_date", "sex", "age", "age_days", "weight", "los", "discharge", "dept", "icu_hours",
    "dx", "px", "total_cost", "compliant_cost", "self_pay", "patient_cash", "fund_paid",
    "other_funds", "separate_items",
)  # fmt: skip
_MONEY: Final = _NAMES[-7:]
# Nearly as many values as rows: a dictionary would only be abandoned half way.
_PLAIN: Final = ("case_id", "person_id", *_MONEY)
_ID_DIGITS: Final = 9
# Some exporters leave out the compliant cost where it equals the total.
_COMPLIANT_LEFT_OUT: Final = 0.01


def schema(plan: Plan) -> pa.Schema:
    """Columns of the case table, the scheme's own attributes last."""
    columns = [(name, COLUMNS[name].type) for name in _NAMES]
    attributes = [name for name in plan.ward.numbers.names if name not in COLUMNS]
    return pa.schema(columns + [(name, pa.int32()) for name in attributes])


def case_ids(year: int, index: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """uint8[rows, width], the ids of cases by their numbers."""
    return arrays.numbered(str(year), index, _ID_DIGITS)


def chunk_table(plan: Plan, year: Calendar, chunk: Chunk, faults: Faults) -> pa.Table:
    """The chunk as a table: texts and codes as dictionaries."""
    index = chunk.index.copy()
    index[faults.kind == Fault.SAME_ID] = faults.copied
    hospitals = [h.hospital_id for h in plan.hospitals]
    hospital = np.where(faults.rows(Fault.UNKNOWN_HOSPITAL), len(hospitals), chunk.hospital)
    insurance = np.where(faults.rows(Fault.UNKNOWN_INSURANCE), len(INSURANCES), chunk.insurance)
    months = [f"{year.year}-{month:02d}" for month in range(1, 13)]
    later = np.where(chunk.index % 2 == 0, 12, 13)
    month = np.where(faults.rows(Fault.OTHER_YEAR), later, chunk.month)
    beyond = [f"{year.year - 1}-12", f"{year.year + 1}-01"]
    columns = {
        "case_id": arrays.ids(case_ids(year.year, index), faults.rows(Fault.NO_ID)),
        "person_id": arrays.ids(arrays.numbered(f"P{year.year}", chunk.person, _ID_DIGITS)),
        "hospital_id": arrays.texts(hospital, [*hospitals, UNKNOWN_HOSPITAL]),
        "insurance": arrays.texts(insurance, [*INSURANCES, UNKNOWN_INSURANCE]),
        "city": arrays.texts(chunk.city, plan.cities),
        "settle_month": arrays.texts(month, months + beyond),
        "admission_date": arrays.dates(chunk.admission),
        "discharge_date": arrays.dates(chunk.discharge_day),
        "sex": pa.array(chunk.sex),
        "discharge": pa.array(chunk.stay.discharge),
        "dept": arrays.texts(plan.ward.table.dept[chunk.path], plan.ward.table.departments),
        "dx": _diagnoses(plan.ward.codes.dx, chunk.dx, faults),
        "px": arrays.code_lists(chunk.px, plan.ward.codes.px.texts),
        **_money(chunk, faults),
    }
    wanted = schema(plan)
    for name, values in chunk.stay.numbers.items():
        columns[name] = arrays.integers(values, wanted.field(name).type)
    return pa.table({name: columns[name] for name in wanted.names})


def _diagnoses(codes: Codes, lists: Lists, faults: Faults) -> pa.Array:
    """The diagnoses: some lists empty, some principal codes null or blank."""
    empty = faults.rows(Fault.NO_DX)
    starts = lists.offsets[:-1]
    kept = np.ones(len(lists.codes), np.bool_)
    for row in np.flatnonzero(empty):
        kept[lists.offsets[row] : lists.offsets[row + 1]] = False
    lengths = np.where(empty, 0, np.diff(lists.offsets))
    null = np.zeros(len(lists.codes), np.bool_)
    null[starts[faults.rows(Fault.NULL_DX)]] = True
    entries = lists.codes.copy()
    entries[starts[faults.rows(Fault.BLANK_DX)]] = len(codes.texts)
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    blanked = Lists(offsets, entries[kept])
    return arrays.code_lists(blanked, [*codes.texts, " "], null[kept])


def _money(chunk: Chunk, faults: Faults) -> dict[str, pa.Array]:
    columns = {}
    negative = faults.rows(Fault.NEGATIVE_COST)
    for name in _MONEY:
        fen = getattr(chunk.money, name)
        null = None
        if name == "total_cost":
            fen = np.where(negative, -fen, fen)
            null = faults.rows(Fault.NO_COST)
        elif name == "compliant_cost":
            null = (chunk.money.self_pay == 0) | (chunk.index % round(1 / _COMPLIANT_LEFT_OUT) == 7)
        columns[name] = arrays.money(fen, null)
    return columns


class PartWriter:
    """Writes chunks of one year to `<prefix>-NNNNN.parquet` files of `CHUNKS_PER_PART` chunks."""

    def __init__(self, folder: Path, columns: pa.Schema, prefix: str = "part") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._prefix = prefix
        self._columns = columns
        self._writer: pq.ParquetWriter | None = None
        self._chunks = 0
        self.parts = 0

    def write(self, table: pa.Table) -> None:
        """Append a chunk; it becomes a row group."""
        if self._writer is None:
            path = self._folder / f"{self._prefix}-{self.parts:05d}.parquet"
            paths = [
                f"{field.name}.list.element" if field.type == CODES else field.name
                for field in self._columns
                if field.name not in _PLAIN
            ]
            self._writer = pq.ParquetWriter(
                path,
                table.schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=paths,
                store_schema=False,
            )
            self.parts += 1
        self._writer.write_table(table, row_group_size=CHUNK_ROWS)
        self._chunks += 1
        if self._chunks == CHUNKS_PER_PART:
            self.close()

    def close(self) -> None:
        """Finish the file at hand."""
        if self._writer is not None:
            self._writer.close()
        self._writer, self._chunks = None, 0
