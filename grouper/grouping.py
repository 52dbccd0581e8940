"""Grouping a batch of cases: Arrow in, Arrow out, the kernel between."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from grouper.cases import Column, check_columns, wanted_for_grouping
from grouper.kernels.arrays import readonly
from grouper.kernels.codes import CodeIndex, fill_slots, look_up
from grouper.kernels.grouping import CaseArrays, SchemeArrays, group_cases
from grouper.kernels.ids import hash_strings, mark
from grouper.kernels.layout import BLANK, MISSING, UNKNOWN, Reason
from grouper.scheme import Scheme
from grouper.scheme.codes import PREFIX_MARK
from grouper.scheme.compile import CodeTable

Int32Array = npt.NDArray[np.int32]
UInt64Array = npt.NDArray[np.uint64]
Bounds = npt.NDArray[np.int32] | npt.NDArray[np.int64]

STATUS: Final = ("grouped", "ambiguous", "ungrouped", "invalid")
GROUPED, AMBIGUOUS, UNGROUPED, INVALID = range(4)
SEVERITY: Final = ("none", "CC", "MCC")
REASON: Final = ("", "no_id", "duplicate_id", "no_diagnosis")

RESULT_SCHEMA: Final = pa.schema(
    [(n, pa.string()) for n in ("case_id", "status", "mdc", "adrg", "drg", "severity", "reason")]
)
"""Columns of the grouped table."""


@dataclass(frozen=True)
class GroupedBatch:
    """The result of one batch, in the order of its cases.

    Attributes:
        case_id: the batch's own column.
        outcome: int32[n], number of the answer in the compiled scheme; 0 is none.
        severity: int8[n], 0 none, 1 CC, 2 MCC.
        reason: int8[n], 0 where the case is valid, else a position in `REASON`.
        unknown_dx, unknown_px: how many codes the pack knows nowhere.
    """

    scheme: Scheme = field(repr=False)
    case_id: pa.Array = field(repr=False)
    outcome: Int32Array = field(repr=False)
    severity: npt.NDArray[np.int8] = field(repr=False)
    reason: npt.NDArray[np.int8] = field(repr=False)
    unknown_dx: int
    unknown_px: int

    @functools.cached_property
    def status(self) -> npt.NDArray[np.int8]:
        """int8[n], positions in `STATUS`."""
        status = _answers(self.scheme).status[self.outcome]
        status[self.reason != 0] = INVALID
        return status

    @property
    def drg(self) -> Int32Array:
        """int32[n], number of the DRG in `Scheme.drgs`, -1 for none."""
        return self.scheme.drg_of_outcome[self.outcome]

    def table(self) -> pa.RecordBatch:
        """The columns of `RESULT_SCHEMA`, the texts as dictionaries."""
        answers = _answers(self.scheme)
        severity = np.where(self.reason != 0, len(SEVERITY), self.severity)
        columns = [
            _plain(self.case_id),
            _dictionary(self.status, STATUS),
            _dictionary(answers.mdc[self.outcome], answers.mdcs),
            _dictionary(answers.adrg[self.outcome], answers.adrgs),
            _dictionary(answers.drg[self.outcome], answers.drgs),
            _dictionary(severity.astype(np.int8), (*SEVERITY, "")),
            _dictionary(self.reason, REASON),
        ]
        return pa.RecordBatch.from_arrays(columns, names=RESULT_SCHEMA.names)

    def counts(self) -> dict[str, int]:
        """Number of cases by status, and of unknown codes."""
        found = np.bincount(self.status, minlength=len(STATUS))
        counts = {name: int(n) for name, n in zip(STATUS, found, strict=True)}
        return counts | {"unknown_dx": self.unknown_dx, "unknown_px": self.unknown_px}


def _plain(array: pa.Array) -> pa.Array:
    return array if array.type == pa.string() else array.cast(pa.string())


def _dictionary(positions: npt.NDArray[np.signedinteger], texts: tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(
        pa.array(positions.astype(np.int32, copy=False)), pa.array(texts, pa.string())
    )


@dataclass(frozen=True)
class _Answers:
    """The texts of all outcomes, and per outcome the position of each text."""

    status: npt.NDArray[np.int8]
    mdcs: tuple[str, ...]
    mdc: Int32Array
    adrgs: tuple[str, ...]
    adrg: Int32Array
    drgs: tuple[str, ...]
    drg: Int32Array


@dataclass(frozen=True)
class _Loaded:
    """A scheme as the kernel takes it, in this process."""

    arrays: SchemeArrays
    dx: CodeIndex
    px: CodeIndex
    answers: _Answers


# Keyed by content, not by object: the same scheme arrives anew with every task on a worker.
_loaded: dict[str, _Loaded] = {}


def _load(scheme: Scheme) -> _Loaded:
    found = _loaded.get(scheme.digest)
    if found is None:
        compiled = scheme.compiled
        arrays = SchemeArrays(
            root=readonly(compiled.decisions.root),
            nodes=readonly(compiled.decisions.nodes),
            dx_members=readonly(compiled.dx.members),
            px_members=readonly(compiled.px.members),
            sites=readonly(compiled.sites),
            retry=readonly(np.array([compiled.retry_other_procedures], np.int32)),
        )
        found = _Loaded(arrays, _index(compiled.dx), _index(compiled.px), _texts(scheme))
        if scheme.digest:
            _loaded[scheme.digest] = found
    return found


def _answers(scheme: Scheme) -> _Answers:
    return _load(scheme).answers


def _index(table: CodeTable) -> CodeIndex:
    keys = [code.encode() for code in table.codes]
    offsets = np.zeros(len(keys) + 1, np.int32)
    offsets[1:] = np.cumsum([len(k) for k in keys])
    data = np.frombuffer(b"".join(keys) or b"\0", np.uint8)
    slots = np.zeros(1 << (2 * len(keys) + 1).bit_length(), np.int32)
    fill_slots(readonly(data), readonly(offsets), slots)
    lengths = {len(k) - 1 for k in keys if k.endswith(PREFIX_MARK.encode())}
    return CodeIndex(
        readonly(data),
        readonly(offsets),
        readonly(table.kind_of),
        readonly(slots),
        readonly(np.array(sorted(lengths, reverse=True), np.int32)),
    )


def _texts(scheme: Scheme) -> _Answers:
    outcomes = scheme.compiled.outcomes

    def numbered(texts: list[str]) -> tuple[tuple[str, ...], Int32Array]:
        names = {text: i for i, text in enumerate(sorted(set(texts)))}
        return tuple(names), np.array([names[t] for t in texts], np.int32)

    status = [AMBIGUOUS if o.ambiguous else GROUPED for o in outcomes]
    status[0] = UNGROUPED
    return _Answers(
        np.array(status, np.int8),
        *numbered([o.mdc for o in outcomes]),
        *numbered([o.adrg for o in outcomes]),
        *numbered([o.drg for o in outcomes]),
    )


def columns_for(scheme: Scheme) -> tuple[Column, ...]:
    """The case columns that grouping by this scheme reads."""
    return wanted_for_grouping(scheme.compiled.numbers, scheme.attributes)


def group_batch(
    batch: pa.RecordBatch, scheme: Scheme, duplicates: UInt64Array | None = None
) -> GroupedBatch:
    """Group the cases of a batch.

    Args:
        batch: columns by their names in the registry (`columns_for`); absent ones count as null.
        scheme: the scheme.
        duplicates: hash pairs of the ids that stand more than once in the whole input
            (`duplicates.find_duplicates`); all their cases are invalid.

    Returns:
        One result per case, in the same order.
    """
    loaded = _load(scheme)
    compiled = scheme.compiled
    rows = batch.num_rows
    dx, dx_offsets, dx_kind, unknown_dx = _codes(_column(batch, "dx"), rows, loaded.dx)
    px, px_offsets, px_kind, unknown_px = _codes(_column(batch, "px"), rows, loaded.px)
    cases = CaseArrays(
        dx=readonly(dx),
        dx_offsets=readonly(dx_offsets),
        dx_kind=readonly(dx_kind),
        dx_principal=readonly(compiled.dx.principal[dx_kind]),
        dx_exclusion=readonly(compiled.exclusion[dx_kind]),
        dx_complication=readonly(compiled.complication[dx_kind]),
        px=readonly(px),
        px_offsets=readonly(px_offsets),
        px_kind=readonly(px_kind),
        px_principal=readonly(compiled.px.principal[px_kind]),
        numbers=readonly(_numbers(batch, scheme)),
    )
    case_id = batch.column("case_id")
    reason = _id_reasons(case_id, duplicates)
    outcome = np.empty(rows, np.int32)
    severity = np.empty(rows, np.int8)
    group_cases(loaded.arrays, cases, reason, outcome, severity)
    return GroupedBatch(scheme, case_id, outcome, severity, reason, unknown_dx, unknown_px)


def id_hashes(case_id: pa.Array) -> tuple[UInt64Array, UInt64Array]:
    """Both hashes of each id; those of a null mean nothing."""
    if not (pa.types.is_string(case_id.type) or pa.types.is_large_string(case_id.type)):
        case_id = case_id.cast(pa.string())
    rows = len(case_id)
    first, second = np.empty(rows, np.uint64), np.empty(rows, np.uint64)
    if rows:
        wide = pa.types.is_large_string(case_id.type)
        _, offsets, data = case_id.buffers()
        dtype = np.int64 if wide else np.int32
        bounds: Bounds = np.frombuffer(offsets, dtype)[case_id.offset : case_id.offset + rows + 1]
        text = np.frombuffer(data, np.uint8) if data is not None and data.size else _NO_TEXT
        hash_strings(text, bounds, first, second)
    return first, second


def _column(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    position = batch.schema.get_field_index(name)
    if position < 0 or pa.types.is_null(batch.schema.field(position).type):
        return None
    return batch.column(position)


def _id_reasons(case_id: pa.Array, duplicates: UInt64Array | None) -> npt.NDArray[np.int8]:
    reason = np.zeros(len(case_id), np.int8)
    if duplicates is not None and len(duplicates):
        first, second = id_hashes(case_id)
        mark(readonly(first), readonly(second), readonly(duplicates), reason, Reason.DUPLICATE_ID)
    if case_id.null_count:
        # The hash of a null means nothing, so this comes last.
        reason[_mask(case_id.is_null())] = Reason.NO_ID
    return reason


def _mask(array: pa.Array) -> npt.NDArray[np.bool_]:
    mask: npt.NDArray[np.bool_] = array.to_numpy(zero_copy_only=False)
    return mask


def _codes(
    lists: pa.Array | None, rows: int, index: CodeIndex
) -> tuple[Int32Array, Int32Array, Int32Array, int]:
    """Lists of codes for the kernel: positions, offsets, kind of each dictionary entry."""
    if lists is None:
        return np.empty(0, np.int32), np.zeros(rows + 1, np.int32), np.zeros(1, np.int32), 0
    if lists.null_count:
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
        offsets = np.zeros(rows + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        values = lists.flatten()
    else:
        offsets = lists.offsets.to_numpy(zero_copy_only=False)
        values = lists.values
        if offsets[0] != 0 or offsets[-1] != len(values):
            values = values.slice(offsets[0], offsets[-1] - offsets[0])
            offsets = offsets - offsets[0]
    if pa.types.is_null(values.type):
        positions, kinds = np.zeros(len(values), np.int32), np.zeros(1, np.int32)
        return positions, offsets.astype(np.int32), kinds, 0
    if not pa.types.is_dictionary(values.type):
        # Without a dictionary each code is looked up where it stands; the kinds are its positions.
        kinds = _kinds(values, index)[:-1]
        unknown = int(np.count_nonzero(kinds == UNKNOWN))
        positions = kinds
        kinds = np.arange(int(index.kinds.max(initial=UNKNOWN)) + 1, dtype=np.int32)
        return positions, offsets.astype(np.int32), kinds, unknown
    kinds = _kinds(values.dictionary, index)
    positions = values.indices
    if positions.null_count:
        # A full dictionary of 8-bit positions has no room for one more.
        positions = pc.fill_null(positions.cast(pa.int32()), len(kinds) - 1)
    positions = positions.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    unknown = 0
    if np.any(kinds == UNKNOWN):
        unknown = int(np.count_nonzero(kinds[positions] == UNKNOWN))
    return positions, offsets.astype(np.int32, copy=False), kinds, unknown


def _kinds(strings: pa.Array, index: CodeIndex) -> Int32Array:
    """The kind of each string, and of null behind them."""
    if pa.types.is_large_string(strings.type):
        dtype: type[np.signedinteger] = np.int64
    else:
        dtype = np.int32
    _, offsets, data = strings.buffers()
    kinds = np.full(len(strings) + 1, BLANK, np.int32)
    if len(strings):
        bounds = np.frombuffer(offsets, dtype)[strings.offset : strings.offset + len(strings) + 1]
        text = np.frombuffer(data, np.uint8) if data is not None and data.size else _NO_TEXT
        look_up(index, readonly(text), readonly(bounds), kinds[:-1])
        if strings.null_count:
            kinds[:-1][_mask(strings.is_null())] = BLANK
    return kinds


_NO_TEXT = np.frombuffer(b"\0", np.uint8)


def _numbers(batch: pa.RecordBatch, scheme: Scheme) -> Int32Array:
    """The numbers that the scheme compares, a row each; null is `MISSING`."""
    names = scheme.compiled.numbers
    numbers = np.full((len(names), batch.num_rows), MISSING, np.int32)
    for row, name in zip(numbers, names, strict=True):
        column = _column(batch, name)
        if column is None:
            continue
        if name == "dept":
            departments = pa.array(scheme.compiled.departments, pa.string())
            column = pc.index_in(_plain(column), value_set=departments, skip_nulls=True)
        elif column.type.bit_width >= 32:
            # Rules compare with smaller constants only, so a larger value may stand at the bound;
            # and the least of all means null to the kernel.
            high = pa.scalar(2**31 - 1, column.type)
            column = pc.min_element_wise(column, high, skip_nulls=False)
            if pa.types.is_signed_integer(column.type):
                low = pa.scalar(MISSING + 1, column.type)
                column = pc.max_element_wise(column, low, skip_nulls=False)
        if column.null_count:
            column = pc.fill_null(column.cast(pa.int32()), MISSING)
        row[:] = column.to_numpy(zero_copy_only=False)
    return numbers


def group(table: pa.Table | pa.RecordBatch, scheme: Scheme) -> pa.Table:
    """Group a table of cases in memory.

    Args:
        table: columns by their names in the registry (`grouper.cases.COLUMNS`); `case_id` and `dx`
            are needed, others that the scheme compares count as null where they are absent.
        scheme: the scheme.

    Returns:
        `case_id, status, mdc, adrg, drg, severity, reason`, in the order of the input.

    Raises:
        CaseTableError: a needed column is missing, or a known one has the wrong type.

    >>> from grouper import load_scheme
    >>> cases = pa.table({"case_id": ["1"], "dx": [["K35.900"]], "px": [["47.0901"]]})
    >>> group(cases, load_scheme("chs-core")).column("adrg").to_pylist()
    ['GD2']
    """
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    present = check_columns(table.schema, columns_for(scheme))
    table = table.select(list(present)).combine_chunks()
    batches = table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
    ids = pa.concat_arrays([_plain(b.column("case_id")) for b in batches])
    counted = ids.drop_null().value_counts()
    repeated = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
    pairs = np.stack(id_hashes(repeated), axis=1)
    duplicates = np.ascontiguousarray(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))])
    results = [group_batch(batch, scheme, duplicates).table() for batch in batches]
    return pa.Table.from_batches(results).cast(RESULT_SCHEMA)
