"""Reading cases: forms, encodings, parts, and what is said about a file that cannot be read."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grouper.cases import COLUMNS, CaseSource, open_cases, read_part, split_codes
from grouper.cases import files as case_files
from grouper.cases.given import as_table
from grouper.cases.times import on_one_clock
from grouper.errors import CaseTableError

TABLE = pa.table(
    {
        "case_id": ["1", "2", None],
        "dx": pa.array([["I21.900", "I10.x00x002"], [], None], pa.list_(pa.string())),
        "px": pa.array([["36.0600"], None, [None, "38.9301"]], pa.list_(pa.string())),
        "age": pa.array([60, None, 0], pa.int64()),
        "dept": ["0301", None, "11"],
        "colour": ["red", "green", "blue"],
    }
)
WANTED = tuple(COLUMNS[n] for n in ("case_id", "dx", "px", "age", "sex", "dept"))


def cases_of(source: CaseSource) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for part in source.parts:
        for batch in read_part(source, part):
            for name in {"dx", "px"} & set(batch.schema.names):
                if pa.types.is_string(batch.schema.field(name).type):
                    place = batch.schema.get_field_index(name)
                    batch = batch.set_column(place, name, split_codes(batch.column(name)))
            rows.extend(batch.to_pylist())
    return rows


def write_ipc(table: pa.Table, path: Path, *, stream: bool = False) -> None:
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as sink, new(sink, table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.arrows", "a.csv"])
def test_every_form_reads_the_same(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.parquet":
        pq.write_table(TABLE, path)
    elif name == "a.csv":
        path.write_text(
            "colour,case_id,dx,px,age,dept\n"
            "red,1,I21.900|I10.x00x002,36.0600,60,0301\ngreen,2,,,,\nblue,,,|38.9301,0,11\n"
        )
    else:
        write_ipc(TABLE, path, stream=name.endswith("s"))
    source = open_cases(path, wanted=WANTED)
    assert source.absent == ("sex",)
    rows = cases_of(source)
    assert [r["case_id"] for r in rows] == ["1", "2", None]
    assert rows[0]["dx"] == ["I21.900", "I10.x00x002"]
    assert not rows[1]["dx"]
    assert rows[2]["px"] in ([None, "38.9301"], ["", "38.9301"])
    assert [r["age"] for r in rows] == [60, None, 0]
    assert [r["dept"] for r in rows] == ["0301", None, "11"]
    assert "colour" not in rows[0]


def test_parts_follow_from_the_input_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_files, "PART_ROWS", 4)
    table = pa.table({"case_id": [str(i) for i in range(11)], "dx": [["A"]] * 11})
    pq.write_table(table, tmp_path / "b.parquet", row_group_size=3)
    pq.write_table(table.slice(0, 0), tmp_path / "a.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".hidden.parquet").write_text("")
    source = open_cases(tmp_path)
    assert [(p.name, p.row_groups, p.rows) for p in source.parts] == [
        ("a.parquet", (0,), 0),
        ("b.parquet", (0, 1), 6),
        ("b.parquet", (2, 3), 5),
    ]
    assert source.rows == 11
    assert [r["case_id"] for r in cases_of(source)] == [str(i) for i in range(11)]


VIEWS = TABLE.select(["case_id", "dx", "age"]).cast(
    pa.schema(
        {"case_id": pa.string_view(), "dx": pa.large_list(pa.string_view()), "age": pa.int64()}
    )
)
"""As Polars writes it."""


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.arrows"])
def test_string_views_read_as_strings(tmp_path: Path, name: str) -> None:
    if name == "a.parquet":
        pq.write_table(VIEWS, tmp_path / name)
    else:
        write_ipc(VIEWS, tmp_path / name, stream=name.endswith("s"))
    wanted = [COLUMNS[n] for n in VIEWS.column_names]
    assert cases_of(open_cases(tmp_path / name, wanted=wanted)) == VIEWS.to_pylist()


def test_tables_of_other_libraries() -> None:
    class Frame:
        def __arrow_c_stream__(self, requested: object = None) -> object:
            return VIEWS.__arrow_c_stream__(requested)

    given = (VIEWS, Frame(), VIEWS.to_batches()[0], VIEWS.to_reader())
    assert all(as_table(one).to_pylist() == VIEWS.to_pylist() for one in given)
    assert as_table(Frame()).schema.field("case_id").type == pa.large_string()
    for wrong in ([{"case_id": "1"}], None, pa.array([1]), "a.parquet"):
        with pytest.raises(CaseTableError, match="no table of cases but") as caught:
            as_table(wrong)
        assert "pyarrow.Table" in caught.value.hint


def test_columns_by_other_names(tmp_path: Path) -> None:
    pq.write_table(
        TABLE.rename_columns(["id", "diag", "px", "age", "dept", "x"]), tmp_path / "a.parquet"
    )
    source = open_cases(tmp_path / "a.parquet", names={"case_id": "id", "dx": "diag"})
    assert cases_of(source)[0]["dx"] == ["I21.900", "I10.x00x002"]


def test_national_encoding_is_read_when_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("case_id,dx,dept\n病例1,I21.900,内科\n".encode("gb18030"))
    with pytest.raises(CaseTableError, match="--encoding gb18030") as caught:
        cases_of(open_cases(path))
    assert caught.value.file == "a.csv"
    rows = cases_of(open_cases(path, encoding="gb18030"))
    assert rows == [{"case_id": "病例1", "dx": ["I21.900"], "dept": "内科"}]


def test_national_encoding_in_the_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("病例,case_id,dx\n1,1,A\n".encode("gb18030"))
    with pytest.raises(CaseTableError, match="--encoding gb18030"):
        open_cases(path)
    assert cases_of(open_cases(path, encoding="gb18030")) == [{"case_id": "1", "dx": ["A"]}]


def test_utf8_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("case_id,dx\n1,A\n".encode("utf-8-sig"))
    assert cases_of(open_cases(path)) == [{"case_id": "1", "dx": ["A"]}]


def broken(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    good = tmp_path / "good.parquet"
    pq.write_table(TABLE, good)
    made: dict[str, tuple[Path, str]] = {}

    def add(name: str, data: bytes, message: str) -> None:
        path = tmp_path / "broken" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        made[name] = (path, message)

    add("empty.parquet", b"", "the file is empty")
    add("truncated.parquet", good.read_bytes()[:-30], "cannot be read as Parquet.*incomplete")
    add("text.parquet", b"case_id,dx\n1,A\n", "cannot be read as Parquet")
    add("noise.arrow", b"\x07" * 200, "cannot be read as Arrow IPC")
    add("age.csv", b"case_id,dx,age\n1,A,old\n", "cannot be read as CSV: Row #2: age: .*'old'")
    add("row.csv", b"case_id,dx\n1,A\n2\n", "cannot be read as CSV")
    add(
        "quote.csv",
        b'case_id,dx,"age\n' + b"1,A,3\n" * 40_000,
        "cannot be read as CSV: field larger",
    )
    add("no_dx.csv", b"case_id,px\n1,A\n", "the column dx is missing; the table has case_id, px")
    add("foreign.csv", b"name,sum\n1,2\n", "case_id is missing; the table has name, sum")
    add("twice.csv", b"case_id,dx,dx\n1,A,B\n", "stands 2 times|twice")
    add("cases.xlsx", b"PK", "unknown kind of file")
    made["missing.csv"] = (tmp_path / "missing.csv", "no such file or folder")
    (tmp_path / "nothing").mkdir()
    made["nothing"] = (tmp_path / "nothing", "holds no case file")
    return made


BROKEN = (
    *("empty.parquet", "truncated.parquet", "text.parquet", "noise.arrow", "age.csv", "row.csv"),
    *("quote.csv", "no_dx.csv", "foreign.csv", "twice.csv", "cases.xlsx", "missing.csv", "nothing"),
)


def test_a_workbook_among_the_cases_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("case_id,dx\n1,A\n")
    (tmp_path / "~$a.csv").write_bytes(b"lock")
    assert len(cases_of(open_cases(tmp_path))) == 1
    (tmp_path / "二月.XLSX").write_bytes(b"PK")
    with pytest.raises(CaseTableError, match="cannot hold this kind") as caught:
        open_cases(tmp_path)
    assert caught.value.file == "二月.XLSX"


@pytest.mark.parametrize("text", ["14.035", '"12,34.50"', "5万元", "-", "1_000", "1e99", "1²"])
def test_a_cell_that_cannot_be_read_is_told_by_its_heading(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"科室,case_id,dx,费用\nx,1,A,{text}\n")
    with pytest.raises(CaseTableError, match="Row #2: 费用: ") as caught:
        cases_of(open_cases(path, names={"total_cost": "费用"}))
    assert "write yuan like 1234.50" in caught.value.hint


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_said_with_the_way_out(tmp_path: Path, name: str) -> None:
    path, message = broken(tmp_path)[name]
    with pytest.raises(CaseTableError, match=message) as caught:
        cases_of(open_cases(path))
    assert path.name in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "data", "encoding", "message"),
    [
        ("a.csv", "case_id,dx,dept\n1,A,内科\n".encode("gb18030"), "utf-8", "--encoding gb18030"),
        ("a.csv", "\ufeffcase_id,dx,dept\n1,A,\n".encode("utf-16"), "utf-8", "as UTF-8"),
        ("a.csv", "case_id,dx,科\n1,A,心内科\n".encode(), "gb18030", "not gb18030.*\n.*no --encod"),
        ("a.csv", b"PK\x03\x04\xff\xff", "utf-8", "a workbook, not CSV"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xff\xff", "gb18030", "a workbook, not CSV"),
        ("a.xlsx", b"PK", "utf-8", "cases import"),
        ("a.doc", b"PK", "utf-8", "name it by what it is: .arrow"),
    ],
)
def test_the_way_out_of_a_wrong_encoding(
    tmp_path: Path, name: str, data: bytes, encoding: str, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CaseTableError) as caught:
        cases_of(open_cases(tmp_path / name, encoding=encoding))
    assert re.search(message, f"{caught.value}\n{caught.value.hint}")


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("case_id", pa.array([1])),
        ("dx", pa.array(["A|B"])),
        ("dx", pa.array([[1]])),
        ("age", pa.array(["60"])),
        ("age", pa.array([60.0])),
        ("total_cost", pa.array(["1.00"])),
        ("admission_date", pa.array(["2024-01-01"])),
        ("tcm_flag", pa.array([1])),
    ],
)
def test_a_known_name_with_a_wrong_type(tmp_path: Path, column: str, values: pa.Array) -> None:
    columns = {"case_id": pa.array(["1"]), "dx": pa.array([["A"]])} | {column: values}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(CaseTableError, match=f"the column {column} has the type") as caught:
        open_cases(tmp_path / "a.parquet")
    assert caught.value.column == column
    assert "must be" in caught.value.hint


def test_a_second_stream_in_a_file_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "two.arrows"
    write_ipc(TABLE, path, stream=True)
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(CaseTableError, match="bytes stand behind the end") as caught:
        cases_of(open_cases(path, wanted=WANTED))
    assert caught.value.hint == "give each stream as a file of its own"


@pytest.mark.parametrize("name", ["klingon", "rot13", "undefined", "a\0b"])
def test_no_file_of_texts_is_in_this_encoding(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_text("case_id,dx\n1,A\n")
    with pytest.raises(CaseTableError, match="unknown encoding") as caught:
        open_cases(tmp_path / "a.csv", encoding=name)
    assert "gb18030" in caught.value.hint


def test_times_of_other_units_and_zones_are_compared() -> None:
    def times(hour: int, unit: str, zone: str | None = None) -> pa.Array:
        return pa.array([hour * 3600], pa.timestamp("s")).cast(pa.timestamp(unit, zone))

    eight = times(8, "s")
    finer = pa.array([8 * 3600 * 10**9 + 1], pa.timestamp("ns"))
    for first, last in (
        (eight, finer),
        (times(0, "us", "Asia/Shanghai"), eight),
        (times(0, "us", "Asia/Shanghai"), times(0, "ns", "UTC")),
    ):
        one, other = on_one_clock(first, last)
        assert one.equals(other)


def test_registry_is_complete() -> None:
    for column in COLUMNS.values():
        assert column.en
        assert column.zh
    assert COLUMNS["dx"].national == "diag_code"
