"""A small file of cases, grouped: CSV, Parquet or Excel in, the grouped table out.

The file lives in a private temporary folder while it is grouped, and nowhere afterwards.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from grouper.bulk import group_files
from grouper.cases import CaseSource, Column, open_cases, read_part
from grouper.errors import CaseTableError
from grouper.execution import LocalRunner
from grouper.grouping import columns_for
from grouper.scheme import Scheme
from grouper.web.settings import MAX_UPLOAD_CASES

FORMS: Final = (".csv", ".parquet", ".xlsx")

PREVIEW_ROWS: Final = 200
_MOST_VALUES: Final = 50_000_000
_MOST_UNPACKED: Final = 256 * 1024 * 1024
_MAPPED: Final = ", or map its name in a columns.toml"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class GroupedFile:
    """What became of a file.

    Attributes:
        table: the grouped columns with `drg_name` and `weight`, in the order of the file.
        counts: cases by status, and unknown codes (`unknown_dx`, `unknown_px`).
        mdcs: cases by MDC, the largest first.
        absent: columns that the scheme would read and the file lacks.
        renamed: our name to the file's, where they differ.
        cases: the first `PREVIEW_ROWS` cases, values by column.
    """

    table: pa.Table
    counts: dict[str, int]
    mdcs: list[tuple[str, int]]
    absent: tuple[str, ...]
    renamed: dict[str, str]
    cases: list[dict[str, Any]]

    def preview(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """The first results, each with its case."""
        rows = self.table.slice(0, PREVIEW_ROWS).to_pylist()
        return zip(rows, self.cases, strict=True)


def group_upload(name: str, data: bytes, scheme: Scheme) -> GroupedFile:
    """Group the cases of an uploaded file.

    Args:
        name: the file's name, which says what kind it is.
        data: its bytes.
        scheme: the scheme.

    Raises:
        CaseTableError: it is of another kind, cannot be read, lacks a needed column, or holds more
            than `MAX_UPLOAD_CASES` cases.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in FORMS:
        raise CaseTableError(
            f"unknown kind of file {suffix!r}",
            file=name,
            hint=f"name it by what it is: {', '.join(FORMS)}",
        )
    if not data:
        raise CaseTableError("the file is empty", file=name, hint="export it again")
    with TemporaryDirectory(prefix="grouper-web-") as folder:
        path = Path(folder) / f"cases{suffix}"
        try:
            if suffix == ".xlsx":
                path = path.with_suffix(".csv")
                _unpack_sheet(name, data, path)
            else:
                path.write_bytes(data)
            return _grouped(path, scheme)
        except CaseTableError as error:
            # The user knows the file by its own name.
            error.file = name if error.file in ("", path.name) else error.file
            error.hint = error.hint.replace(", say so: --encoding gb18030", ", save it as UTF-8")
            error.hint = error.hint.replace(_MAPPED, "; the names that are known stand below")
            raise


def _grouped(path: Path, scheme: Scheme) -> GroupedFile:
    wanted = columns_for(scheme)
    encoding = "utf-8"
    if path.suffix == ".csv":
        encoding = _encoding(path)
        header = _csv_header(path, encoding)
    else:
        header = _parquet_header(path)
    names = _renamed(header, wanted)
    source = open_cases(path, wanted=wanted, encoding=encoding, names=names)
    if source.rows > MAX_UPLOAD_CASES:
        raise _too_many()
    cases = _first_cases(source)
    out = path.with_name("grouped.parquet")
    counts = group_files(source, scheme, out, LocalRunner())
    table = _named(pq.read_table(out), scheme)
    found = Counter(m for m in table.column("mdc").to_pylist() if m)
    return GroupedFile(table, counts, found.most_common(), source.absent, names, cases)


def _too_many() -> CaseTableError:
    return CaseTableError(
        f"the file holds more than {MAX_UPLOAD_CASES:,} cases",
        hint="group it with the command line, which takes files of any size: grouper group",
    )


def _encoding(path: Path) -> str:
    """UTF-8 where the bytes are, else the Chinese national encoding."""
    data = path.read_bytes()
    if data.count(b"\n") > MAX_UPLOAD_CASES + 1:
        raise _too_many()
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8"


def _csv_header(path: Path, encoding: str) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as f:
            return next(csv.reader(f), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise CaseTableError(
            "neither UTF-8 nor GB18030 text", hint="save it as CSV in UTF-8"
        ) from error


def _parquet_header(path: Path) -> list[str]:
    """Names of the columns; a file that would unpack to far more than it weighs is refused."""
    try:
        meta = pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise CaseTableError(
            f"cannot be read as Parquet: {str(error).splitlines()[0]}",
            hint="the file may be incomplete: copy or export it again",
        ) from error
    if meta.num_rows > MAX_UPLOAD_CASES:
        raise _too_many()
    groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
    values = sum(g.column(c).num_values for g in groups for c in range(g.num_columns))
    unpacked = sum(g.total_byte_size for g in groups)
    if values > _MOST_VALUES or unpacked > _MOST_UNPACKED:
        raise CaseTableError(
            "the file unpacks to far more than a page can take",
            hint="group it with the command line: grouper group",
        )
    names: list[str] = meta.schema.to_arrow_schema().names
    return names


def _renamed(header: Iterable[str], wanted: Iterable[Column]) -> dict[str, str]:
    """Our names to the file's, where it uses the Chinese or the national ones."""
    present = {name.strip().casefold(): name for name in header}
    found = {}
    for column in wanted:
        if column.name not in present:
            for other in (column.zh, column.national):
                if other and other.casefold() in present:
                    found[column.name] = present[other.casefold()]
                    break
    return found


def _first_cases(source: CaseSource) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for part in source.parts:
        for batch in read_part(source, part):
            rows += batch.slice(0, PREVIEW_ROWS - len(rows)).to_pylist()
            if len(rows) >= PREVIEW_ROWS:
                return rows
    return rows


def _named(table: pa.Table, scheme: Scheme) -> pa.Table:
    """The grouped table with the names and weights of the groups."""
    known = list(scheme.names)
    position = pc.index_in(table.column("drg"), value_set=pa.array(known, pa.string()))
    names = pc.take(pa.array([scheme.names[code] for code in known], pa.string()), position)
    weights = {
        code: float(found.weight)
        for code, found in scheme.weights.items()
        if found.weight is not None
    }
    weight = pc.take(pa.array([weights.get(code) for code in known], pa.float64()), position)
    at = table.schema.get_field_index("drg") + 1
    return table.add_column(at, "drg_name", names).append_column("weight", weight)


def as_csv(table: pa.Table) -> bytes:
    """The table as CSV that Excel opens as it is meant: UTF-8 with its mark, no formulas."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(table.column_names)
    for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        writer.writerow([_cell(value) for value in row])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value


def as_parquet(table: pa.Table) -> bytes:
    """The table as a Parquet file."""
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", store_schema=False)
    return out.getvalue()


def _unpack_sheet(name: str, data: bytes, path: Path) -> None:
    """The first sheet of a workbook as CSV."""
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MOST_UNPACKED:
                raise CaseTableError(
                    "the workbook unpacks to far more than a page can take",
                    file=name,
                    hint="save the sheet as CSV",
                )
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            for number, row in enumerate(sheet.iter_rows(values_only=True)):
                if number > MAX_UPLOAD_CASES:
                    raise _too_many()
                if any(value is not None for value in row):
                    writer.writerow([_plain(value) for value in row])
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, IndexError) as error:
        raise CaseTableError(
            "cannot be read as an Excel workbook",
            file=name,
            hint="save it as .xlsx or as CSV in UTF-8",
        ) from error


def _plain(value: object) -> object:
    """A cell as CSV has it: Excel keeps every number as a fraction, and dates with a time."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    return "" if value is None else value
