"""Grouping a batch of cases: Arrow in, Arrow out, the kernel between."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from grouper.caseids import REASON as REASON
from grouper.caseids import id_hashes, repeated_among, repeated_ids
from grouper.cases import (
    COLUMNS,
    GROUPING_REQUIRED,
    Column,
    check_columns,
    wanted_for_grouping,
)
from grouper.cases.given import as_table
from grouper.codelists import CodeLists, read_codes
from grouper.kernels.answers import NAMED, count_status, name_answers
from grouper.kernels.arrays import readonly
from grouper.kernels.grouping import CaseArrays, group_cases
from grouper.kernels.layout import MISSING, NO_ANSWER, Reason
from grouper.kernels.marked import fill_nulls
from grouper.loaded import AMBIGUOUS as AMBIGUOUS
from grouper.loaded import GROUPED as GROUPED
from grouper.loaded import INVALID as INVALID
from grouper.loaded import STATUS as STATUS
from grouper.loaded import UNGROUPED as UNGROUPED
from grouper.loaded import answers_of, load
from grouper.scheme import Scheme

Int32Array = npt.NDArray[np.int32]
UInt64Array = npt.NDArray[np.uint64]

SEVERITY: Final = ("none", "CC", "MCC")
RESULT_SCHEMA: Final = pa.schema(
    [(n, pa.string()) for n in ("case_id", "status", "mdc", "adrg", "drg", "severity", "reason")]
)
"""Columns of the grouped table."""

_STATUS, _SEVERITY, _REASON = (
    pa.array(texts, pa.string()) for texts in (STATUS, (*SEVERITY, ""), REASON)
)


class Lists(NamedTuple):
    """The codes of cases that one scheme grouped.

    Attributes:
        rows: which cases of the batch; None for all.
    """

    scheme: Scheme
    dx: CodeLists
    px: CodeLists
    rows: npt.NDArray[np.intp] | None = None


@dataclass(frozen=True)
class GroupedBatch:
    """The result of one batch, in the order of its cases.

    Attributes:
        case_id: the batch's own column.
        outcome: int32[n], number of the answer in the compiled scheme; 0 is none.
        severity: int8[n], 0 none, 1 CC, 2 MCC.
        reason: int8[n], 0 where the case is valid, else a position in `REASON`.
        unknown_dx, unknown_px: how many codes the pack knows nowhere.
        undated: how many cases were discharged on a day for which no pack of a registry is valid,
            or on an unknown day; they are ungrouped.
        lists: the codes of the cases, scheme by scheme, for counting odd ones.
    """

    scheme: Scheme = field(repr=False)
    case_id: pa.Array = field(repr=False)
    outcome: Int32Array = field(repr=False)
    severity: npt.NDArray[np.int8] = field(repr=False)
    reason: npt.NDArray[np.int8] = field(repr=False)
    unknown_dx: int
    unknown_px: int
    undated: int = 0
    lists: tuple[Lists, ...] = field(default=(), repr=False)

    @cached_property
    def hashes(self) -> tuple[UInt64Array, UInt64Array]:
        """Both hashes of each case id (`id_hashes`)."""
        return id_hashes(self.case_id)

    def mark_duplicates(self, duplicates: UInt64Array, version: pa.Array | None = None) -> None:
        """Make every case invalid whose id is among these (`duplicates.find_duplicates`).

        Args:
            duplicates: uint64[k, 2], hash pairs of ids; or uint64[k, 3], keys of lists
                (`list_keys`), each with its position in `REASON`.
            version: the batch's own column, where lists carry versions.
        """
        if not len(duplicates):
            return
        reason = repeated_among(self.hashes, duplicates, version)
        # The hash of a null means nothing: a case without an id stays what it is.
        repeated = (reason != 0) & (self.reason != Reason.NO_ID)
        self.reason[repeated] = reason[repeated]
        self.outcome[repeated] = NO_ANSWER
        self.severity[repeated] = 0

    @property
    def status(self) -> npt.NDArray[np.int8]:
        """int8[n], positions in `STATUS`."""
        status = answers_of(self.scheme).status[self.outcome]
        status[self.reason != 0] = INVALID
        return status

    @property
    def drg(self) -> Int32Array:
        """int32[n], number of the DRG in `Scheme.drgs`, -1 for none."""
        return self.scheme.drg_of_outcome[self.outcome]

    def table(self) -> pa.RecordBatch:
        """The columns of `RESULT_SCHEMA`, the texts as dictionaries."""
        answers = answers_of(self.scheme)
        named = np.empty((NAMED, len(self.case_id)), np.int32)
        name_answers(
            readonly(self.outcome), readonly(self.severity), readonly(self.reason), answers.texts,
            INVALID, len(SEVERITY), named,
        )  # fmt: skip
        words = (_STATUS, *answers.words, _SEVERITY, _REASON)
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(row), texts, safe=False)
            for row, texts in zip(named, words, strict=True)
        ]
        return pa.RecordBatch.from_arrays(
            [_plain(self.case_id), *columns], names=RESULT_SCHEMA.names
        )

    def counts(self) -> dict[str, int]:
        """Number of cases by status, and of unknown codes."""
        found = np.zeros(len(STATUS), np.int64)
        status = readonly(answers_of(self.scheme).status)
        count_status(readonly(self.outcome), readonly(self.reason), status, INVALID, found)
        counts = dict(zip(STATUS, found.tolist(), strict=True))
        return counts | {"unknown_dx": self.unknown_dx, "unknown_px": self.unknown_px}


def _plain(array: pa.Array) -> pa.Array:
    return array if array.type == pa.string() else array.cast(pa.string())


def columns_for(scheme: Scheme) -> tuple[Column, ...]:
    """The case columns that grouping by this scheme reads."""
    wanted = wanted_for_grouping(scheme.compiled.numbers, scheme.attributes)
    return (*wanted, COLUMNS["discharge_date"]) if scheme.dated else wanted


def required_for(scheme: Scheme) -> tuple[str, ...]:
    """Names of the columns without which nothing can be grouped."""
    return (*GROUPING_REQUIRED, "discharge_date") if scheme.dated else GROUPING_REQUIRED


def group_batch(
    batch: pa.RecordBatch, scheme: Scheme, duplicates: UInt64Array | None = None
) -> GroupedBatch:
    """Group the cases of a batch.

    Args:
        batch: columns by their names in the registry (`columns_for`); absent ones count as null.
        scheme: the scheme.
        duplicates: the ids that stand more than once in the whole input
            (`duplicates.find_duplicates`); all their cases are invalid, but where lists carry
            versions (column ``version``) the one of the highest version counts.

    Returns:
        One result per case, in the same order.
    """
    if scheme.dated:
        return _group_by_day(batch, scheme, duplicates)
    loaded = load(scheme)
    compiled = scheme.compiled
    rows = batch.num_rows
    dx = read_codes(_column(batch, "dx"), rows, loaded.dx, compiled.dx.dropped)
    px = read_codes(_column(batch, "px"), rows, loaded.px, compiled.px.dropped)
    cases = CaseArrays(
        dx=readonly(dx.positions),
        dx_offsets=readonly(dx.offsets),
        dx_kind=readonly(dx.kinds),
        dx_principal=readonly(compiled.dx.principal[dx.kinds]),
        dx_exclusion=readonly(compiled.exclusion[dx.kinds]),
        dx_complication=readonly(compiled.complication[dx.kinds]),
        px=readonly(px.positions),
        px_offsets=readonly(px.offsets),
        px_kind=readonly(px.kinds),
        px_principal=readonly(compiled.px.principal[px.kinds]),
        numbers=readonly(_numbers(batch, scheme)),
    )
    case_id = batch.column("case_id")
    reason = _id_reasons(case_id)
    outcome = np.empty(rows, np.int32)
    severity = np.empty(rows, np.int8)
    group_cases(loaded.arrays, cases, reason, outcome, severity)
    lists = (Lists(scheme, dx, px),)
    grouped = GroupedBatch(
        scheme, case_id, outcome, severity, reason, dx.unknown, px.unknown, lists=lists
    )
    if duplicates is not None:
        grouped.mark_duplicates(duplicates, _column(batch, "version"))
    return grouped


def grouped_again(case_id: pa.Array, rows: pa.Table, scheme: Scheme) -> GroupedBatch:
    """A result as `group_batch` gave it, from its rows of the grouped table.

    Args:
        case_id: the batch's own column.
        rows: status, mdc, adrg, drg, severity and reason of the same cases, as dictionaries; a
            reason that is none of grouping (`REASON`) leaves its case without an answer.
        scheme: the scheme that grouped them.
    """
    answers = answers_of(scheme)
    known = (
        words.take(pa.array(at)) for words, at in zip(answers.words, answers.texts[1:], strict=True)
    )
    numbers: dict[tuple[str, ...], int] = {}
    for number, names in enumerate(zip(*(column.to_pylist() for column in known), strict=True)):
        numbers.setdefault(names, number)
    texts = [rows[name].unify_dictionaries().combine_chunks() for name in ("mdc", "adrg", "drg")]
    sizes = [len(column.dictionary) for column in texts]
    place = np.ravel_multi_index([column.indices.to_numpy() for column in texts], sizes)
    coded = pa.array(place).dictionary_encode()
    words = [column.dictionary.to_pylist() for column in texts]
    outcomes = [
        numbers.get((words[0][mdc], words[1][adrg], words[2][drg]), NO_ANSWER)
        for mdc, adrg, drg in zip(
            *(p.tolist() for p in np.unravel_index(coded.dictionary.to_numpy(), sizes)), strict=True
        )
    ]
    return GroupedBatch(
        scheme,
        case_id,
        np.array(outcomes, np.int32)[coded.indices.to_numpy()],
        _positions(rows["severity"], SEVERITY),
        _positions(rows["reason"], REASON),
        0,
        0,
    )


def _positions(column: pa.ChunkedArray, texts: tuple[str, ...]) -> npt.NDArray[np.int8]:
    """Positions of a dictionary column in `texts`, 0 for any other text."""
    whole = column.unify_dictionaries().combine_chunks()
    words = whole.dictionary.to_pylist()
    table = np.array([texts.index(w) if w in texts else 0 for w in words], np.int8)
    found: npt.NDArray[np.int8] = table[whole.indices.to_numpy()]
    return found


_DAY_ONE: Final = date(1970, 1, 1).toordinal()


def _group_by_day(
    batch: pa.RecordBatch, scheme: Scheme, duplicates: UInt64Array | None
) -> GroupedBatch:
    """Group each case by the scheme that is valid on the day of its discharge."""
    rows = batch.num_rows
    days = np.full(rows, -(2**31), np.int64)
    column = _column(batch, "discharge_date")
    if column is not None:
        days[:] = pc.fill_null(column.cast(pa.int32()), -(2**31)).to_numpy(zero_copy_only=False)
    outcome, severity = np.zeros(rows, np.int32), np.zeros(rows, np.int8)
    reason = np.zeros(rows, np.int8)
    undated = np.ones(rows, np.bool_)
    unknown_dx = unknown_px = 0
    lists: list[Lists] = []
    # The answers of the schemes stand one after the other; number 0 is none in each of them.
    before = 0
    for member in scheme.dated:
        first = (member.valid_from or date.min).toordinal() - _DAY_ONE
        last = (member.valid_to or date.max).toordinal() - _DAY_ONE
        valid = (days >= first) & (days <= last)
        found = group_batch(batch.filter(pa.array(valid)), member)
        outcome[valid] = np.where(found.outcome == NO_ANSWER, NO_ANSWER, found.outcome + before)
        severity[valid], reason[valid] = found.severity, found.reason
        rows_here = np.flatnonzero(valid)
        lists += [mine._replace(rows=rows_here) for mine in found.lists]
        undated &= ~valid
        unknown_dx, unknown_px = unknown_dx + found.unknown_dx, unknown_px + found.unknown_px
        before += len(member.compiled.outcomes) - 1
    if undated.any():
        # No scheme answers for them; whether they are valid, and how severe, the latest one says.
        found = group_batch(batch.filter(pa.array(undated)), scheme.dated[-1])
        severity[undated], reason[undated] = found.severity, found.reason
    case_id = batch.column("case_id")
    grouped = GroupedBatch(
        scheme, case_id, outcome, severity, reason, unknown_dx, unknown_px, int(undated.sum()),
        tuple(lists),
    )  # fmt: skip
    if duplicates is not None:
        grouped.mark_duplicates(duplicates, _column(batch, "version"))
    return grouped


def _column(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    position = batch.schema.get_field_index(name)
    if position < 0 or pa.types.is_null(batch.schema.field(position).type):
        return None
    return batch.column(position)


def _id_reasons(case_id: pa.Array) -> npt.NDArray[np.int8]:
    reason = np.zeros(len(case_id), np.int8)
    if case_id.null_count:
        reason[_mask(case_id.is_null())] = Reason.NO_ID
    return reason


def _mask(array: pa.Array) -> npt.NDArray[np.bool_]:
    mask: npt.NDArray[np.bool_] = array.to_numpy(zero_copy_only=False)
    return mask


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
        # Rules compare with smaller constants only, so a larger value may stand at the bound; and
        # the least of all means null to the kernel.
        low = MISSING + 1 if pa.types.is_signed_integer(column.type) else 0
        values = _values(column)
        if column.type.bit_width >= row.itemsize * 8:
            np.clip(values, low, 2**31 - 1, out=row, casting="unsafe")
        else:
            row[:] = values
        if column.null_count:
            fill_nulls(np.frombuffer(column.buffers()[0], np.uint8), column.offset, MISSING, row)
    return numbers


def _values(column: pa.Array) -> npt.NDArray[np.integer]:
    """The numbers of a column without a copy; those of nulls mean nothing."""
    parts = [None, column.buffers()[1]]
    plain = pa.Array.from_buffers(column.type, len(column), parts, 0, column.offset)
    values: npt.NDArray[np.integer] = plain.to_numpy()
    return values


def group(table: Any, scheme: Scheme) -> pa.Table:
    """Group a table of cases in memory.

    Args:
        table: of pyarrow, pandas, Polars or DuckDB, with columns by their names in the registry
            (`grouper.cases.COLUMNS`); `case_id` and `dx` are needed, others that the scheme
            compares count as null where they are absent.
        scheme: the scheme.

    Returns:
        `case_id, status, mdc, adrg, drg, severity, reason`, in the order of the input.

    Raises:
        CaseTableError: a needed column is missing, or a known one has the wrong type.
        TypeError: the scheme is a name, and not what was loaded by it.

    >>> from grouper import load_scheme
    >>> cases = pa.table({"case_id": ["1"], "dx": [["K35.900"]], "px": [["47.0901"]]})
    >>> group(cases, load_scheme("chs-core")).column("adrg").to_pylist()
    ['GD2']
    """
    return group_counted(table, scheme)[0]


def group_counted(table: Any, scheme: Scheme) -> tuple[pa.Table, dict[str, int]]:
    """As `group`; beside the table how many cases have each status, and how many codes are unknown.

    Raises:
        CaseTableError: a needed column is missing, or a known one has the wrong type.
    """
    if not isinstance(scheme, Scheme):
        raise TypeError(f"the scheme is {scheme!r:.60}: grouper.load_scheme makes one of a name")
    cases = as_table(table)
    present = check_columns(cases.schema, columns_for(scheme), required=required_for(scheme))
    cases = cases.select(list(present)).combine_chunks()
    batches = cases.to_batches() or [pa.RecordBatch.from_pylist([], schema=cases.schema)]
    duplicates = repeated_ids(batch.column("case_id") for batch in batches)
    counts: Counter[str] = Counter()
    results = []
    for batch in batches:
        grouped = group_batch(batch, scheme, duplicates)
        counts.update(grouped.counts())
        results.append(grouped.table())
    return pa.Table.from_batches(results).cast(RESULT_SCHEMA), dict(counts)
