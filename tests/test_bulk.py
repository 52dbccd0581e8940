"""Grouping files: every case once, in order; the same bytes every time; whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grouper.bulk import group_files
from grouper.cases import files as case_files
from grouper.cases import open_cases
from grouper.errors import CaseTableError, OutputError
from grouper.execution import LocalRunner
from grouper.grouping import RESULT_SCHEMA, columns_for, group
from grouper.scheme import Scheme, load_scheme
from tests.scheme.builder import write


@pytest.fixture(scope="module")
def scheme(tmp_path_factory: pytest.TempPathFactory) -> Scheme:
    return load_scheme(write(tmp_path_factory.mktemp("packs") / "small"))


def table(ids: list[str | None]) -> pa.Table:
    dx = [["I63.900", "J96.000"], ["G40.900"], ["Z99.900"], []]
    return pa.table(
        {
            "case_id": pa.array(ids, pa.string()),
            "dx": pa.array([dx[i % 4] for i in range(len(ids))], pa.list_(pa.string())),
            "px": pa.array([["01.2300"]] * len(ids), pa.list_(pa.string())),
        }
    )


IDS: list[str | None] = ["a", "b", "c", "d", None, "b", "e", "a", "f", None, "g", "h"]


def expected() -> dict[str, list[str]]:
    status, reason = [], []
    for i, name in enumerate(IDS):
        why = "no_id" if name is None else "duplicate_id" if IDS.count(name) > 1 else ""
        if not why and i % 4 == 3:
            why = "no_diagnosis"
        plain = ("grouped", "ambiguous", "ungrouped", "")[i % 4]
        status.append("invalid" if why else plain)
        reason.append(why)
    return {"status": status, "reason": reason}


def run(scheme: Scheme, cases: Path, out: Path) -> dict[str, int]:
    source = open_cases(cases, wanted=columns_for(scheme))
    return group_files(source, scheme, out, LocalRunner())


def test_each_case_once_in_the_order_of_the_input(scheme: Scheme, tmp_path: Path) -> None:
    pq.write_table(table(IDS), tmp_path / "in.parquet", row_group_size=5)
    counts = run(scheme, tmp_path / "in.parquet", tmp_path / "out.parquet")
    result = pq.read_table(tmp_path / "out.parquet")
    assert result.schema.equals(RESULT_SCHEMA)
    assert result.column("case_id").to_pylist() == IDS
    assert result.column("status").to_pylist() == expected()["status"]
    assert result.column("reason").to_pylist() == expected()["reason"]
    assert sum(counts[s] for s in ("grouped", "ambiguous", "ungrouped", "invalid")) == len(IDS)
    assert result.equals(group(table(IDS), scheme))
    first = result.to_pylist()[2]
    assert first == dict.fromkeys(RESULT_SCHEMA.names, "") | {
        "case_id": "c",
        "status": "ungrouped",
        "severity": "none",
    }


def test_duplicates_are_found_across_files(scheme: Scheme, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    pq.write_table(table(IDS[:4]), folder / "1.parquet")
    pq.write_table(table(IDS[4:8]), folder / "2.parquet")
    with pa.OSFile(str(folder / "3.arrow"), "wb") as sink:
        last = table(IDS[8:])
        with pa.ipc.new_file(sink, last.schema) as writer:
            writer.write_table(last)
    run(scheme, folder, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        f"part-{i:05d}.parquet" for i in range(3)
    ]
    result = pq.read_table(tmp_path / "out")
    assert result.column("case_id").to_pylist() == IDS
    assert result.column("status").to_pylist() == expected()["status"]


def test_the_same_input_gives_the_same_bytes(scheme: Scheme, tmp_path: Path) -> None:
    pq.write_table(table(IDS), tmp_path / "in.parquet")
    for name in ("one.parquet", "two.parquet"):
        run(scheme, tmp_path / "in.parquet", tmp_path / name)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_an_output_is_replaced_in_one_step(
    scheme: Scheme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_files, "PART_ROWS", 4)
    pq.write_table(table(IDS), tmp_path / "in.parquet", row_group_size=4)
    run(scheme, tmp_path / "in.parquet", tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 3
    pq.write_table(table(["x"]), tmp_path / "short.parquet")
    run(scheme, tmp_path / "short.parquet", tmp_path / "out")
    assert pq.read_table(tmp_path / "out").column("case_id").to_pylist() == ["x"]
    assert {p.name for p in tmp_path.iterdir()} == {"in.parquet", "short.parquet", "out"}


def test_a_failing_part_leaves_the_old_output(scheme: Scheme, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    pq.write_table(table(IDS[:4]), folder / "1.parquet")
    run(scheme, folder, tmp_path / "out")
    before = pq.read_table(tmp_path / "out")
    (folder / "2.csv").write_text("case_id,dx\n9,A\n9,A,A\n")
    with pytest.raises(CaseTableError, match=r"2\.csv"):
        run(scheme, folder, tmp_path / "out")
    assert pq.read_table(tmp_path / "out").equals(before)
    assert {p.name for p in tmp_path.iterdir()} == {"in", "out"}


def test_no_cases_give_an_empty_output(scheme: Scheme, tmp_path: Path) -> None:
    pq.write_table(table([]), tmp_path / "in.parquet")
    counts = run(scheme, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert sum(counts.values()) == 0
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_foreign_things_are_not_replaced(scheme: Scheme, tmp_path: Path) -> None:
    pq.write_table(table(IDS), tmp_path / "in.parquet")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    (tmp_path / "x.parquet").mkdir()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match=r"holds other things \(thesis\.txt\)"):
        run(scheme, tmp_path / "in.parquet", tmp_path / "out")
    with pytest.raises(OutputError, match="results are Parquet"):
        run(scheme, tmp_path / "in.parquet", tmp_path / "out.csv")
    with pytest.raises(OutputError, match="is a folder"):
        run(scheme, tmp_path / "in.parquet", tmp_path / "x.parquet")
    with pytest.raises(OutputError, match="is a file"):
        run(scheme, tmp_path / "in.parquet", tmp_path / "file")
    with pytest.raises(OutputError, match="cannot write beside"):
        run(scheme, tmp_path / "in.parquet", tmp_path / "file" / "out")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"
