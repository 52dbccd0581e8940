"""The case table: the registry of its columns, and reading it from files.

One row is one inpatient stay (a settled case, 结算病例). The registry below is the only place that
says what a column is called, holds and means; readers, documentation and the service follow it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from grouper.errors import CaseTableError

MONEY = pa.decimal128(18, 2)
CODES = pa.list_(pa.string())

PART_ROWS = 1 << 19
"""Row groups of one file are joined into parts of at least so many cases; a part is one task."""

_CSV_BLOCK = 16 << 20


class Kind(Enum):
    """What a column holds, and so which Arrow types it may arrive in."""

    TEXT = "string, large_string, or a dictionary of them"
    CODES = "list or large_list of strings (in CSV: separated by |)"
    INTEGER = "an integer of any width"
    MONEY = "decimal128, an integer number of yuan, or float64 of whole fen"
    DATE = "date32"
    TIME = "timestamp"
    FLAG = "boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the case table.

    Attributes:
        name: its name.
        kind: what it holds.
        type: the Arrow type it has inside the engine.
        unit: unit of the value, empty where it has none.
        en, zh: meaning.
        national: field of the national settlement list (医保基金结算清单), empty where none.
    """

    name: str
    kind: Kind
    type: pa.DataType
    unit: str
    en: str
    zh: str
    national: str


def _registry() -> dict[str, Column]:
    text, integer, money = Kind.TEXT, Kind.INTEGER, Kind.MONEY
    string, date, flag, time = pa.string(), pa.date32(), pa.bool_(), pa.timestamp("s")
    rows = (
        ("case_id", text, string, "", "settled case", "结算病例编号", "mdtrt_id"),
        ("person_id", text, string, "", "insured person", "参保人编号", "psn_no"),
        ("hospital_id", text, string, "", "hospital", "定点医疗机构编号", "fixmedins_code"),
        ("insurance", text, string, "", "employee, resident or self", "险种类型", "insutype"),
        ("city", text, string, "", "city of the fund", "统筹区", "insuplc"),
        ("settle_month", text, string, "", "month of settlement, YYYY-MM", "结算月份", "setl_time"),
        ("admission_date", Kind.DATE, date, "", "day of admission", "入院日期", "adm_date"),
        ("discharge_date", Kind.DATE, date, "", "day of discharge", "出院日期", "dscg_date"),
        ("admission_time", Kind.TIME, time, "", "time of admission", "入院时间", "adm_time"),
        ("discharge_time", Kind.TIME, time, "", "time of discharge", "出院时间", "dscg_time"),
        ("sex", integer, pa.int8(), "", "1 male, 2 female", "性别", "gend"),
        ("age", integer, pa.int16(), "years", "full years", "年龄", "age"),
        ("age_days", integer, pa.int32(), "days", "age of an infant", "不足一周岁天数", "nwb_age"),
        ("weight", integer, pa.int32(), "g", "birth weight", "新生儿出生体重", "nwb_bir_wt"),
        ("los", integer, pa.int16(), "days", "length of stay", "实际住院天数", "act_ipt_days"),
        ("discharge", integer, pa.int8(), "", "way of discharge", "离院方式", "dscg_way"),
        ("dept", text, string, "", "department of discharge", "出院科别", "dscg_caty"),
        ("icu_hours", integer, pa.int32(), "h", "hours in intensive care", "重症监护时长", "scs_cutd_sum_dura"),
        ("vent_hours", integer, pa.int32(), "h", "hours on a ventilator", "呼吸机使用时长", "vent_used_dura"),
        ("dx", Kind.CODES, CODES, "", "diagnoses, the principal first", "诊断编码", "diag_code"),
        ("px", Kind.CODES, CODES, "", "procedures, the principal first", "手术操作编码", "oprn_oprt_code"),
        ("total_cost", money, MONEY, "yuan", "total cost", "医疗总费用", "medfee_sumamt"),
        ("compliant_cost", money, MONEY, "yuan", "compliant cost", "合规费用", "inscp_scp_amt"),
        ("self_pay", money, MONEY, "yuan", "outside the insurance's scope", "自费金额", "fulamt_ownpay_amt"),
        ("patient_cash", money, MONEY, "yuan", "all the fund does not pay", "患者支付", "psn_pay"),
        ("fund_paid", money, MONEY, "yuan", "pooled fund at discharge", "统筹基金支付", "hifp_pay"),
        ("other_funds", money, MONEY, "yuan", "patient_cash paid by other funds", "其他基金支付", "oth_pay"),
        ("separate_items", money, MONEY, "yuan", "billed apart", "单独收费项目", ""),
        ("surgery_fee", money, MONEY, "yuan", "fee for surgery", "手术费", "oprn_fee"),
        ("bed_day_flag", Kind.FLAG, flag, "", "paid per day", "床日付费", ""),
        ("tcm_flag", Kind.FLAG, flag, "", "traditional Chinese medicine", "中医病例", ""),
        ("upload_date", Kind.DATE, date, "", "day of upload", "清单上传日期", ""),
    )  # fmt: skip
    return {row[0]: Column(*row) for row in rows}


COLUMNS: Mapping[str, Column] = _registry()
"""All known columns, by name."""

GROUPING_REQUIRED = ("case_id", "dx")


def attribute_column(name: str, description: str) -> Column:
    """The column of an attribute that a scheme declares (`[attributes]`)."""
    return Column(name, Kind.INTEGER, pa.int32(), "", description, description, "")


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def accepts(column: Column, kind: pa.DataType) -> bool:
    """Whether the column may arrive in this Arrow type. A column of nulls may always."""
    if pa.types.is_null(kind):
        return True
    match column.kind:
        case Kind.TEXT:
            return _is_text(kind)
        case Kind.CODES:
            if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
                return False
            return _is_text(kind.value_type) or bool(pa.types.is_null(kind.value_type))
        case Kind.INTEGER:
            return bool(pa.types.is_integer(kind))
        case Kind.MONEY:
            return bool(
                pa.types.is_decimal128(kind)
                or pa.types.is_integer(kind)
                or pa.types.is_float64(kind)
            )
        case Kind.DATE:
            return bool(pa.types.is_date32(kind))
        case Kind.TIME:
            return bool(pa.types.is_timestamp(kind))
        case Kind.FLAG:
            return bool(pa.types.is_boolean(kind))


def check_columns(
    schema: pa.Schema,
    wanted: Iterable[Column],
    *,
    required: Collection[str] = GROUPING_REQUIRED,
    names: Mapping[str, str] | None = None,
    file: str = "",
) -> dict[str, str]:
    """Which of the wanted columns a table has: our name to the table's.

    Args:
        names: our name to the table's, where they differ.

    Raises:
        CaseTableError: a required column is absent, or a known one has a type it cannot have.
    """
    names = names or {}
    present: dict[str, str] = {}
    for column in wanted:
        theirs = names.get(column.name, column.name)
        positions = schema.get_all_field_indices(theirs)
        if len(positions) > 1:
            raise CaseTableError(
                f"the column {theirs} stands {len(positions)} times", file=file, column=theirs
            )
        if not positions:
            if column.name in required:
                raise CaseTableError(
                    f"the column {theirs} is missing; the table has {', '.join(schema.names)}",
                    file=file,
                    column=theirs,
                    hint="rename the column, or map its name in a columns.toml",
                )
            continue
        kind = schema.field(positions[0]).type
        if not accepts(column, kind):
            raise CaseTableError(
                f"the column {theirs} has the type {kind}",
                file=file,
                column=theirs,
                hint=f"it must be {column.kind.value}",
            )
        present[column.name] = theirs
    return present


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the input that one task works on.

    Attributes:
        number: position among all parts, from 0.
        path: the file.
        form: `parquet`, `csv` or `ipc`.
        row_groups: row groups of a Parquet file; empty for the whole of another file.
        rows: number of cases where the file says so without being read, else -1.
    """

    number: int
    path: str
    form: str
    row_groups: tuple[int, ...] = ()
    rows: int = -1

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return Path(self.path).name


@dataclass(frozen=True)
class CaseSource:
    """Where cases come from: a file or a folder of files, cut into parts.

    Attributes:
        parts: in the order of the files' names; the cut follows from the input alone.
        columns: wanted columns that the input has (our name to the file's).
        absent: wanted columns that no file has; they read as null.
        encoding: of CSV files.
    """

    parts: tuple[Part, ...]
    columns: Mapping[str, str]
    wanted: Mapping[str, Column]
    absent: tuple[str, ...] = ()
    encoding: str = "utf-8"
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of cases, -1 where only reading would tell."""
        return -1 if any(p.rows < 0 for p in self.parts) else sum(p.rows for p in self.parts)


_FORMS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".arrow": "ipc",
    ".ipc": "ipc",
    ".feather": "ipc",
    ".arrows": "ipc",
}


def open_cases(
    path: str | Path,
    *,
    wanted: Iterable[Column] | None = None,
    required: Collection[str] = GROUPING_REQUIRED,
    encoding: str = "utf-8",
    names: Mapping[str, str] | None = None,
) -> CaseSource:
    """Look at a file or folder of cases and cut it into parts, without reading the cases.

    Raises:
        CaseTableError: nothing there, an unknown kind of file, a file that cannot be read, or
            columns that break the registry.
    """
    wanted = tuple(COLUMNS.values() if wanted is None else wanted)
    columns: dict[str, str] = {}
    parts: list[Part] = []
    for file in _files(Path(path)):
        form = _FORMS[file.suffix.lower()]
        schema, groups = _look(file, form, wanted, encoding, names or {})
        present = check_columns(schema, wanted, required=required, names=names, file=file.name)
        columns |= present
        if form == "parquet":
            parts.extend(_parquet_parts(len(parts), file, groups))
        else:
            parts.append(Part(len(parts), str(file), form))
    absent = tuple(c.name for c in wanted if c.name not in columns)
    by_name = {c.name: c for c in wanted}
    return CaseSource(tuple(parts), columns, by_name, absent, encoding, dict(names or {}))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(
            p
            for p in path.iterdir()
            if p.suffix.lower() in _FORMS and not p.name.startswith((".", "_"))
        )
        if not found:
            raise CaseTableError(
                "the folder holds no case file",
                file=str(path),
                hint=f"put files there that end in {', '.join(sorted(_FORMS))}",
            )
    elif not path.exists():
        raise CaseTableError("no such file or folder", file=str(path), hint="check the path")
    elif path.suffix.lower() not in _FORMS:
        raise CaseTableError(
            f"unknown kind of file {path.suffix!r}",
            file=path.name,
            hint=f"name it by what it is: {', '.join(sorted(_FORMS))}",
        )
    else:
        found = [path]
    for file in found:
        if file.stat().st_size == 0:
            raise CaseTableError(
                "the file is empty", file=file.name, hint="export it again, or take it away"
            )
    return found


def _parquet_parts(first: int, file: Path, rows: Sequence[int]) -> Iterator[Part]:
    number, start, gathered = first, 0, 0
    for group, count in enumerate(rows):
        gathered += count
        if gathered >= PART_ROWS or group == len(rows) - 1:
            groups = tuple(range(start, group + 1))
            yield Part(number, str(file), "parquet", groups, gathered)
            number, start, gathered = number + 1, group + 1, 0
    if not rows:
        yield Part(number, str(file), "parquet", (), 0)


def _look(
    file: Path, form: str, wanted: Sequence[Column], encoding: str, names: Mapping[str, str]
) -> tuple[pa.Schema, list[int]]:
    try:
        if form == "parquet":
            with pq.ParquetFile(file) as parquet:
                meta = parquet.metadata
                return parquet.schema_arrow, [
                    meta.row_group(i).num_rows for i in range(meta.num_row_groups)
                ]
        if form == "csv":
            types = _csv_types(_csv_header(file, encoding), wanted, names)
            return pa.schema([(n, _as_read(n, t, wanted, names)) for n, t in types.items()]), []
        with pa.memory_map(str(file)) as stream:
            return _open_ipc(stream).schema, []
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(file.name, form, error) from error


_FORM_NAMES = {"parquet": "Parquet", "csv": "CSV", "ipc": "Arrow IPC"}


def _unreadable(name: str, form: str, error: Exception) -> CaseTableError:
    text = str(error)
    if form == "csv" and ("UTF8" in text or "UTF-8" in text or "codec can't decode" in text):
        return CaseTableError(
            "not UTF-8 text",
            file=name,
            hint="if the file is in the Chinese national encoding, say so: --encoding gb18030",
        )
    hint = "the file may be incomplete: copy or export it again"
    if form == "csv":
        hint = "mend the row, or export the file again"
    return CaseTableError(
        f"cannot be read as {_FORM_NAMES[form]}: {text.splitlines()[0]}", file=name, hint=hint
    )


def _open_ipc(stream: pa.NativeFile) -> pa.RecordBatchFileReader | pa.RecordBatchStreamReader:
    magic = stream.read(6)
    stream.seek(0)
    return pa.ipc.open_file(stream) if magic == b"ARROW1" else pa.ipc.open_stream(stream)


def _csv_header(file: Path, encoding: str) -> list[str]:
    try:
        with file.open("rb") as raw:
            text = io.TextIOWrapper(raw, encoding="utf-8-sig" if encoding == "utf-8" else encoding)
            return next(csv.reader(text), [])
    except UnicodeDecodeError as error:
        raise pa.ArrowInvalid(str(error)) from error


def _csv_types(
    header: Sequence[str], wanted: Sequence[Column], names: Mapping[str, str]
) -> dict[str, pa.DataType]:
    """The type that each wanted column of a CSV file is parsed as."""
    ours = {names.get(c.name, c.name): c for c in wanted}
    types: dict[str, pa.DataType] = {}
    for name in header:
        column = ours.get(name)
        if column is None:
            continue
        if column.kind is Kind.CODES:
            types[name] = pa.string()
        elif column.kind is Kind.INTEGER:
            types[name] = pa.int64()
        else:
            types[name] = column.type
    return types


def _as_read(
    name: str, kind: pa.DataType, wanted: Sequence[Column], names: Mapping[str, str]
) -> pa.DataType:
    lists = {names.get(c.name, c.name) for c in wanted if c.kind is Kind.CODES}
    return CODES if name in lists else kind


def read_part(
    source: CaseSource, part: Part, columns: Collection[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The cases of a part as batches that hold the wanted columns under our names.

    Text and code columns of a Parquet file arrive as dictionaries, which differ from batch to
    batch. A wanted column that the file lacks is left out.

    Args:
        columns: only these of the source's columns.

    Raises:
        CaseTableError: the file cannot be read to its end.
    """
    chosen = {
        name: source.names.get(name, name)
        for name in source.wanted
        if name in source.columns and (columns is None or name in columns)
    }
    try:
        match part.form:
            case "parquet":
                yield from _read_parquet(part, chosen)
            case "csv":
                yield from _read_csv(source, part, chosen)
            case _:
                yield from _read_ipc(part, chosen)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError, UnicodeDecodeError) as error:
        raise _unreadable(part.name, part.form, error) from error


# A column with nearly as many values as rows gains nothing from a dictionary.
_NEVER_DICTIONARY = frozenset(("case_id", "person_id"))


def _read_parquet(part: Part, chosen: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(part.path) as plain:
        meta, schema = plain.metadata, plain.schema
        theirs = {t: ours for ours, t in chosen.items()}
        paths = [schema.column(i).path for i in range(len(schema))]
        dictionaries = [
            path
            for path in paths
            if (ours := theirs.get(path.split(".")[0])) is not None
            and ours not in _NEVER_DICTIONARY
            and COLUMNS.get(ours, _INTEGER).kind in (Kind.TEXT, Kind.CODES)
        ]
        present = [t for t in theirs if t in plain.schema_arrow.names]
    with pq.ParquetFile(part.path, metadata=meta, read_dictionary=dictionaries) as file:
        for group in part.row_groups:
            table = file.read_row_group(group, columns=present, use_threads=False)
            table = table.rename_columns([theirs[n] for n in table.column_names])
            yield from table.combine_chunks().to_batches()


_INTEGER = Column("", Kind.INTEGER, pa.int32(), "", "", "", "")


def _read_ipc(part: Part, chosen: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(part.path) as stream:
        reader = _open_ipc(stream)
        ours = [name for name, theirs in chosen.items() if theirs in reader.schema.names]
        theirs = [chosen[name] for name in ours]
        batches: Iterable[pa.RecordBatch] = (
            (reader.get_batch(i) for i in range(reader.num_record_batches))
            if isinstance(reader, pa.RecordBatchFileReader)
            else reader
        )
        for batch in batches:
            yield batch.select(theirs).rename_columns(ours)


def _read_csv(
    source: CaseSource, part: Part, chosen: Mapping[str, str]
) -> Iterator[pa.RecordBatch]:
    header = _csv_header(Path(part.path), source.encoding)
    wanted = list(source.wanted.values())
    types = _csv_types(header, wanted, source.names)
    ours = [name for name, theirs in chosen.items() if theirs in types]
    reader = pacsv.open_csv(
        part.path,
        read_options=pacsv.ReadOptions(
            encoding=source.encoding, block_size=_CSV_BLOCK, use_threads=False
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=types,
            include_columns=[chosen[name] for name in ours],
            strings_can_be_null=True,
        ),
    )
    for batch in reader:
        arrays = [
            split_codes(array) if source.wanted[name].kind is Kind.CODES else array
            for name, array in zip(ours, batch.columns, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, names=ours)


def split_codes(array: pa.Array) -> pa.Array:
    """`A|B|C` to a list of codes; null stays null."""
    return pc.split_pattern(array, "|")


def wanted_for_grouping(
    numbers: Iterable[str], attributes: Mapping[str, str]
) -> tuple[Column, ...]:
    """The columns that grouping by a scheme reads.

    Args:
        numbers: case columns that the scheme's rules compare.
        attributes: columns that the scheme declares, with their descriptions.
    """
    wanted = [COLUMNS["case_id"], COLUMNS["dx"], COLUMNS["px"]]
    for name in numbers:
        wanted.append(COLUMNS.get(name) or attribute_column(name, attributes.get(name, "")))
    return tuple(wanted)
