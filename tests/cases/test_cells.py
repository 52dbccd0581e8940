"""Cells of CSV files as Excel and people in China write them: taken, or refused by row and text."""

from __future__ import annotations

import csv
import datetime as dt
import io
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from grouper.cases import csvfiles, open_cases, read_part
from grouper.errors import CaseTableError

DAY = dt.date(2024, 1, 5)
TIME = dt.datetime.combine(DAY, dt.time(8, 30))


def csv_text(*rows: dict[str, str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def table(path: Path, text: str, encoding: str = "utf-8") -> pa.Table:
    path.write_bytes(text.encode(encoding))
    source = open_cases(path, encoding=encoding.removesuffix("-sig"))
    return pa.Table.from_batches([b for part in source.parts for b in read_part(source, part)])


def cell(tmp_path: Path, column: str, text: str) -> object:
    row = {"case_id": "1", "dx": "I21.900"} | {column: text}
    return table(tmp_path / "a.csv", csv_text(row)).column(column)[0].as_py()


@pytest.mark.parametrize(
    ("column", "meant", "forms"),
    [
        (
            "admission_date",
            DAY,
            [
                *("2024/1/5", "2024-1-5", "2024/01/05", "2024.1.5", "20240105", "2024年1月5日"),
                *("2024/1/5 8:30", "2024-01-05 00:00:00", "2024-01-05T00:00:00"),
                *("２０２４／１／５", "\u30002024/1/5\t"),
            ],
        ),
        ("admission_date", None, ["", "NULL", "\u3000"]),
        (
            "admission_time",
            TIME,
            ["2024/1/5 8:30", "2024-1-5 08:30:00", "2024年1月5日 8:30", "2024-01-05 08:30:00.000"],
        ),
        ("age", 60, ["６０", "60.0", " 60 "]),
        ("weight", 3250, ["3,250", "3250.00"]),
        ("sex", 1, ["男", "１", "男性"]),
        ("sex", 2, ["女 ", "2.0"]),
        (
            "total_cost",
            Decimal("1234.50"),
            ["1,234.50", "１２３４.５", "1234.5元", "¥1,234.50", "￥1234.50", "1234.500 元"],
        ),
        ("total_cost", Decimal("-1234567.00"), ["-1,234,567", "-¥1,234,567.00"]),
        ("tcm_flag", True, ["是", "Y", "１"]),
        ("tcm_flag", False, ["否", "no"]),
        ("case_id", "1", ["1\t", " 1", "\u30001\xa0"]),
        ("dx", "I21.900|J96.000", ["I21.900 | J96.000\t", "Ｉ２１.９００｜J96.000"]),
        ("dx", "I21.900|J96.000", ["I21.900,J96.000", "I21.900；J96.000", "I21.900、J96.000"]),
        ("dx", "I21.900", ["\tI21.900", "I21.900\u3000"]),
    ],
)
def test_what_can_mean_one_thing_is_taken(
    tmp_path: Path, column: str, meant: object, forms: list[str]
) -> None:
    assert [cell(tmp_path, column, form) for form in forms] == [meant] * len(forms)


@pytest.mark.parametrize(
    ("column", "forms", "hint"),
    [
        (
            "admission_date",
            ["5/1/2024", "24/1/5", "45296", "2024/2/30", "2024/1", "########", "2024-1/5"],
            "year, month and day like 2024-01-31",
        ),
        ("admission_time", ["2024/1/5 25:00", "2024/1/5 下午3:30"], "times like"),
        ("age", ["60岁", "60.5", "6,0", "9" * 20, "60元"], "whole number"),
        ("sex", ["M", "男女"], "whole number"),
        ("total_cost", ["1234.567", "1.2万元", "(5.00)", "1E2.5"], "yuan like 1234.50"),
        ("tcm_flag", ["2", "有"], "true or false"),
    ],
)
def test_what_can_not_is_refused_by_row_and_text(
    tmp_path: Path, column: str, forms: list[str], hint: str
) -> None:
    for form in forms:
        with pytest.raises(CaseTableError, match="Row #2: ") as caught:
            cell(tmp_path, column, form)
        assert repr(form) in str(caught.value)
        assert (caught.value.column, caught.value.file) == (column, "a.csv")
        assert hint in caught.value.hint


def rows(count: int, late: bool) -> list[dict[str, str]]:
    """Cases of one meaning; written late, the second half is in other forms."""
    made = []
    for i in range(count):
        plain = {"case_id": f"{i}", "dx": f"I21.90{i % 7}|J96.000", "dept": "内科"}
        plain |= {"admission_date": f"2024-01-{i % 28 + 1:02}", "total_cost": f"{1000 + i}.50"}
        if late and i >= count // 2:
            plain["admission_date"] = f"2024/1/{i % 28 + 1}"
            plain["total_cost"] = f"{1000 + i:,}.50"
            plain["dx"] = f" I21.90{i % 7}；J96.000"
            plain["dept"] = "内科\u3000"
        made.append(plain)
    return made


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_other_forms_in_a_later_block_change_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setattr(csvfiles, "_CSV_BLOCK", 1000)
    given = csv_text(*rows(200, late=True))
    read = table(tmp_path / "a.csv", given, encoding)
    plain = table(tmp_path / "b.csv", csv_text(*rows(200, late=False)), encoding)
    assert read.schema == plain.schema
    assert read.to_pylist() == plain.to_pylist()
    assert read.column("case_id").num_chunks > 3
    with pytest.raises(CaseTableError, match=r"Row #202: admission_date: '5/1/2024'"):
        table(tmp_path / "c.csv", given + "200,I10,x,5/1/2024,1\r\n", encoding)


def test_a_header_without_an_end_and_a_locked_file_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CaseTableError, match="no row below the header"):
        table(tmp_path / "b.csv", "case_id,dx")

    def locked(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(csvfiles, "_csv_header", locked)
    with pytest.raises(CaseTableError, match=r"may not be read \(see its permissions"):
        table(tmp_path / "c.csv", "case_id,dx\n")
