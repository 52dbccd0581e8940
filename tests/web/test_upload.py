"""Small files: every kind gives the answers of the engine, and bad ones are told so."""

import csv
import io
import zipfile
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grouper.errors import CaseTableError
from grouper.grouping import group
from grouper.scheme import load_scheme
from grouper.web import upload
from grouper.web.upload import as_csv, as_parquet, group_upload

SCHEME = load_scheme("chs-core")
ROWS = [
    ("1", "I21.900|J96.000", "36.0601", 66, 1),
    ("2", "K35.900", "47.0901", 30, 2),
    ("3", "no such code", "", None, 1),
    ("=1+1", "J18.900|E11.900", "", 5, 2),
    ("2", "K35.900", "", 3, 2),
]
ENGLISH = ("case_id", "dx", "px", "age", "sex")
CHINESE = ("结算病例编号", "诊断编码", "手术操作编码", "年龄", "性别")


def _expected() -> list[dict[str, object]]:
    table = pa.table(
        {
            "case_id": [row[0] for row in ROWS],
            "dx": [row[1].split("|") for row in ROWS],
            "px": [row[2].split("|") if row[2] else [] for row in ROWS],
            "age": pa.array([row[3] for row in ROWS], pa.int16()),
            "sex": pa.array([row[4] for row in ROWS], pa.int8()),
        }
    )
    return group(table, SCHEME).to_pylist()


def _csv(names: tuple[str, ...], encoding: str) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([names, *ROWS])
    return text.getvalue().encode(encoding)


def _xlsx() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (CHINESE, *ROWS):
        sheet.append([f"'{v}" if str(v).startswith("=") else v for v in row])
    sheet["A5"].value = "=1+1"
    sheet["A5"].data_type = "s"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _parquet() -> bytes:
    table = pa.table(
        {
            "mdtrt_id": [row[0] for row in ROWS],
            "dx": [row[1].split("|") for row in ROWS],
            "px": [row[2].split("|") if row[2] else [] for row in ROWS],
            "age": pa.array([row[3] for row in ROWS], pa.int64()),
            "gend": pa.array([row[4] for row in ROWS], pa.int8()),
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", _csv(ENGLISH, "utf-8")),
        ("a.CSV", _csv(CHINESE, "utf-8-sig")),
        ("病例.csv", _csv(CHINESE, "gb18030")),
        ("a.xlsx", _xlsx()),
        ("a.parquet", _parquet()),
    ],
)
def test_a_file_gives_the_answers_of_the_engine(name: str, data: bytes) -> None:
    made = group_upload(name, data, SCHEME)
    columns = ["case_id", "status", "mdc", "adrg", "drg", "severity", "reason"]
    assert made.table.select(columns).to_pylist() == _expected()
    assert made.counts["unknown_dx"] == 1
    assert len(list(made.preview())) == len(ROWS)
    first = made.table.to_pylist()[0]
    assert first["drg_name"] == SCHEME.names[first["drg"]]
    rows = list(csv.reader(io.StringIO(as_csv(made.table).decode("utf-8-sig"))))
    assert rows[0][:2] == ["case_id", "status"]
    assert rows[4][0] == "'=1+1"
    assert pq.read_table(io.BytesIO(as_parquet(made.table))).equals(made.table)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.exe", b"MZ", "unknown kind of file"),
        ("noname", b"x", "unknown kind of file"),
        ("a.csv", b"", "empty"),
        ("a.csv", b"case_id,px\n1,2\n", "column dx is missing"),
        ("a.csv", b"case_id,dx,age\n1,K35.900,old\n", "Row #2: age: 'old'"),
        ("a.csv", b"case_id,dx\n1,K35,9,9\n", "cannot be read as CSV"),
        ("a.csv", b"\xff\xfe\x00\x81" * 20, "missing|neither"),
        ("a.parquet", b"PAR1 not at all PAR1", "cannot be read as Parquet"),
        ("a.xlsx", b"PK\x03\x04 broken", "cannot be read as an Excel workbook"),
        ("a.xlsx", b"", "empty"),
    ],
)
def test_a_bad_file_is_told_so(name: str, data: bytes, told: str) -> None:
    with pytest.raises(CaseTableError, match=told) as raised:
        group_upload(name, data, SCHEME)
    assert raised.value.file == name
    assert raised.value.hint
    assert "columns.toml" not in raised.value.hint


def _bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"\0" * (300 << 20))
    return out.getvalue()


def test_files_that_would_unpack_to_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CaseTableError, match="unpacks to far more"):
        group_upload("a.xlsx", _bomb(), SCHEME)
    monkeypatch.setattr(upload, "_MOST_VALUES", 3)
    with pytest.raises(CaseTableError, match="unpacks to far more"):
        group_upload("a.parquet", _parquet(), SCHEME)
    monkeypatch.setattr(upload, "MAX_UPLOAD_CASES", 3)
    for name, data in (("a.csv", _csv(ENGLISH, "utf-8")), ("a.parquet", _parquet()),
                       ("a.xlsx", _xlsx())):  # fmt: skip
        with pytest.raises(CaseTableError, match="more than 3 cases"):
            group_upload(name, data, SCHEME)


def test_nothing_stays_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    group_upload("a.csv", _csv(ENGLISH, "utf-8"), SCHEME)
    with pytest.raises(CaseTableError):
        group_upload("a.csv", b"case_id,px\n1,2\n", SCHEME)
    assert list(tmp_path.iterdir()) == []
