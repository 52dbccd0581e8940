"""Registries: each case by the pack that is valid on its day; and packs written in full."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from grouper.bulk import group_files
from grouper.cases import open_cases
from grouper.cli import scheme as scheme_commands
from grouper.errors import CaseTableError, OutputError, PackError
from grouper.execution import LocalRunner
from grouper.explain import explainer_of
from grouper.grouping import columns_for, group, required_for
from grouper.scheme import Scheme, load_scheme
from grouper.scheme.pack import read_pack
from grouper.scheme.registry import read_registry
from grouper.single import SingleGrouper
from tests.scheme import builder
from tests.scheme.builder import SMALL
from tests.test_conformance import SCHEMES

OLD = 'id = "old"\nretry_other_procedures = false\nvalid_to = 2023-12-31\n'
NEW = 'id = "new"\nretry_other_procedures = false\nvalid_from = 2024-02-01\n'


def registry(folder: Path) -> Scheme:
    """Until the end of 2023 strokes with MCC fall into BR21, from February 2024 into BR22."""
    builder.write(folder / "2023", {"scheme.toml": OLD})
    changes = {name: SMALL[name].replace("BR21", "BR22") for name in ("groups.csv", "weights.csv")}
    builder.write(folder / "2024", {"scheme.toml": NEW, **changes})
    return load_scheme(folder)


def cases(**columns: Any) -> pa.Table:
    days = [date(2023, 12, 31), date(2024, 2, 1), date(2024, 1, 15), None, date(2025, 1, 1), None]
    dx = [["I63.900", "J96.000"]] * 5 + [[]]
    return pa.table(
        {"case_id": [str(n) for n in range(6)], "dx": dx, "discharge_date": days, **columns}
    )


def test_each_case_by_the_pack_of_its_day(tmp_path: Path) -> None:
    scheme = registry(tmp_path)
    found = group(cases(), scheme)
    assert found.column("drg").to_pylist() == ["BR21", "BR22", "", "", "BR22", ""]
    assert found.column("status").to_pylist() == [
        "grouped", "grouped", "ungrouped", "ungrouped", "grouped", "invalid",
    ]  # fmt: skip
    assert found.column("severity").to_pylist() == ["MCC"] * 5 + [""]
    assert set(scheme.drgs) == {"BR21", "BR22", "BR25", "BQY"}
    assert set(scheme.weights) == {"BR21", "BR22", "BR25"}
    assert (scheme.valid_from, scheme.valid_to) == (None, None)


def test_any_arrow_shape_and_duplicates(tmp_path: Path) -> None:
    scheme = registry(tmp_path)
    coded = pa.array([["I63.900", "J96.000"]] * 6, pa.list_(pa.dictionary(pa.int32(), pa.string())))
    table = cases(dx=coded, case_id=["1", "1", "2", "3", "4", None])
    status = group(table.slice(1), scheme).column("status").to_pylist()
    assert status == ["grouped", "ungrouped", "ungrouped", "grouped", "invalid"]
    status = group(table, scheme).column("status").to_pylist()
    assert status[:2] == ["invalid", "invalid"]


def test_files(tmp_path: Path) -> None:
    scheme = registry(tmp_path / "packs")
    pq.write_table(cases(), tmp_path / "cases.parquet")
    source = open_cases(
        tmp_path / "cases.parquet", wanted=columns_for(scheme), required=required_for(scheme)
    )
    counts = group_files(source, scheme, tmp_path / "out.parquet", LocalRunner())
    assert counts["undated"] == 3
    drgs = pq.read_table(tmp_path / "out.parquet").column("drg").to_pylist()
    assert drgs == ["BR21", "BR22", "", "", "BR22", ""]


def test_the_day_of_discharge_is_needed(tmp_path: Path) -> None:
    scheme = registry(tmp_path)
    with pytest.raises(CaseTableError, match="discharge_date"):
        group(cases().drop_columns(["discharge_date"]), scheme)


def test_explanations(tmp_path: Path) -> None:
    explainer = explainer_of(registry(tmp_path))
    drgs = [explainer(case).explain(case).result.drg for case in cases().to_pylist()[:2]]
    assert drgs == ["BR21", "BR22"]
    with pytest.raises(PackError, match="is valid on the day of discharge") as caught:
        explainer({"discharge_date": date(2024, 1, 15)})
    assert caught.value.hint


def test_what_needs_one_pack_says_so(tmp_path: Path) -> None:
    scheme = registry(tmp_path)
    with pytest.raises(PackError, match="is a registry") as caught:
        SingleGrouper(scheme)
    assert "2024" in caught.value.hint
    with pytest.raises(PackError, match="holds 2 packs"):
        _ = scheme.pack


def test_overlapping_validity(tmp_path: Path) -> None:
    registry(tmp_path)
    (tmp_path / "2024" / "scheme.toml").write_text(NEW.replace("2024-02-01", "2023-12-31"))
    with pytest.raises(PackError, match="2023 and 2024 are both valid on 2023-12-31") as caught:
        load_scheme(tmp_path)
    assert caught.value.file == "2024/scheme.toml"


def test_faults_name_the_pack(tmp_path: Path) -> None:
    registry(tmp_path)
    (tmp_path / "2024" / "scheme.toml").write_text("id = 5")
    with pytest.raises(PackError) as caught:
        read_registry(tmp_path)
    assert caught.value.where() == "2024/scheme.toml:1"


@pytest.fixture(scope="module")
def scheme_command() -> Any:
    return lambda *words: CliRunner().invoke(scheme_commands.scheme_app, [str(w) for w in words])


def test_list_command(scheme_command: Any, tmp_path: Path) -> None:
    registry(tmp_path)
    assert scheme_command("list", tmp_path).output.splitlines() == [
        "2023  old  … to 2023-12-31",
        "2024  new  2024-02-01 to …",
    ]


def same(one: Path, other: Path) -> None:
    """Two packs that say the same."""
    first, second = read_pack(one), read_pack(other)
    for name in vars(first):
        if name not in ("digest", "source", "base", "mdcs"):
            assert getattr(first, name) == getattr(second, name), name
    rows = [
        [(type(n).__name__, n.node, n.code, n.name, n.text) for n in pack.nodes()]
        for pack in (first, second)
    ]
    assert rows[0] == rows[1]


def test_build_writes_an_overlay_in_full(scheme_command: Any, tmp_path: Path) -> None:
    builder.write(tmp_path / "small")
    city = tmp_path / "city"
    city.mkdir()
    (city / "scheme.toml").write_text(
        'id = "city"\ntitle = "The \\"city\\"\\n"\nextends = "../small"\nvalid_from = 2024-01-01\n'
        'retry_other_procedures = true\n[attributes]\n"a.b" = "beds"\n'
    )
    (city / "sets.csv").write_text('set,code\nX.dx,"A,""b"""\nX.dx,甲\n')
    done = scheme_command("build", city, "--out", tmp_path / "full")
    assert done.exit_code == 0, done.output
    assert "3 DRGs from 2 packs" in done.output
    same(city, tmp_path / "full")
    assert 'base = "small"' in (tmp_path / "full" / "scheme.toml").read_text()
    assert not list(tmp_path.glob(".full*"))


def test_build_leaves_other_folders_alone(scheme_command: Any, tmp_path: Path) -> None:
    builder.write(tmp_path / "small")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for taken in ("mine", "small"):
        before = {path.name: path.read_bytes() for path in (tmp_path / taken).iterdir()}
        done = scheme_command("build", tmp_path / "small", "--out", tmp_path / taken)
        assert isinstance(done.exception, OutputError)
        assert before == {path.name: path.read_bytes() for path in (tmp_path / taken).iterdir()}


@pytest.mark.parametrize("name", SCHEMES[:2])
def test_published_packs_are_written_as_they_were(
    scheme_command: Any, shared: Path, tmp_path: Path, name: str
) -> None:
    scheme_command("build", shared / "schemes" / name, "--out", tmp_path / name)
    same(shared / "schemes" / name, tmp_path / name)
