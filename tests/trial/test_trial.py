"""Schemes tried on cases: every case counted once, every sum exact, whatever the split."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from grouper.cli.scheme import scheme_app
from grouper.execution import LocalRunner
from grouper.grouping import group
from grouper.scheme import load_scheme
from grouper.trial.count import Counts, count_cases
from grouper.trial.migration import migration
from grouper.trial.stats import scheme_stats
from tests.scheme import builder
from tests.scheme.test_diff import OTHER

CASES = {
    "case_id": ["1", "2", "3", "4", "5", "6", "6", "7"],
    "hospital_id": ["H1", "H1", "H2", "H2", None, "H1", "H2", "H1"],
    "dx": [
        ["I63.900"], ["I63.900", "J96.000"], ["I63.900"], ["I64.x00"], ["Q99.900"], ["I63.900"],
        ["I63.900"], ["I63.900"],
    ],
    "age": [60, 60, 90, 70, 70, 1, 1, 50],
    "total_cost": [Decimal(c) for c in ("100.01", "300.00", "100.00", "50", "70", "9", "9", "-1")],
}  # fmt: skip


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    cases = tmp_path / "cases"
    cases.mkdir()
    table = pa.table(CASES)
    # Cut in two, so that the repeated id stands in two parts.
    pq.write_table(table.slice(0, 6), cases / "a.parquet")
    pq.write_table(table.slice(6), cases / "b.parquet")
    return builder.write(tmp_path / "a"), builder.write(tmp_path / "b", OTHER), cases


def counted(folders: tuple[Path, Path, Path]) -> Counts:
    schemes = [load_scheme(folder) for folder in folders[:2]]
    return count_cases(folders[2], schemes, LocalRunner())


def test_statistics_are_those_of_the_cases(folders: tuple[Path, Path, Path]) -> None:
    stats = scheme_stats(counted(folders))
    assert stats.status == {"grouped": 4, "ambiguous": 0, "ungrouped": 2, "invalid": 2}
    assert stats.unpriced == 1
    assert stats.weighted == (Fraction("1.5") + 3 * Fraction("0.75"), 4)
    low = next(g for g in stats.groups if g.drg == "BR25")
    assert (low.cases, low.sums.count, low.sums.total) == (3, 2, 20001)
    costs, means = [10001, 10000, 30000], [Fraction(20001, 2)] * 2 + [Fraction(30000)]
    mean = Fraction(sum(costs), 3)
    total = sum((c - mean) ** 2 for c in costs)
    within = sum((c - m) ** 2 for c, m in zip(costs, means, strict=True))
    assert stats.riv == (total - within) / total


def test_migration_counts_every_case_once(folders: tuple[Path, Path, Path]) -> None:
    found = migration(counted(folders))
    moves = {(m.a, m.b): (m.cases, m.cost) for m in found.moves}
    assert moves == {
        ("BR25", "BR29"): (2, 10001),
        ("BR21", "BR21"): (1, 30000),
        ("BR25", "BR21"): (1, 10000),
        ("0000", "0000"): (2, 12000),
        ("invalid", "invalid"): (2, 1800),
    }
    assert found.b.weighted[0] == 2 * Fraction("1.8") + 2 * Fraction("0.75")
    hospitals = {mix.key: mix.cmi for mix in found.hospitals}
    assert hospitals["H1"] == (Fraction(1), Fraction(33, 30))
    tables = [group(pa.table(CASES), load_scheme(folder)) for folder in folders[:2]]
    pairs = zip(*(t.column("drg").to_pylist() for t in tables), strict=True)
    assert sum(a != b for a, b in pairs) == sum(move.cases for move in found.most())


def test_commands_write_the_same_bytes_twice(
    folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    words = ["diff", *map(str, folders[:2]), "--cases", str(folders[2])]
    out = tmp_path / "out"
    done = CliRunner().invoke(scheme_app, [*words, "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "3 (37.50%) fall into another group, with a cost of 200.01" in done.output
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert {"index.html", "diff.json", "migration.parquet", "changes.csv"} <= set(before)
    assert before["changes.csv"].startswith(b"\xef\xbb\xbf")
    assert b'data-t="footer.schemes"' in before["index.html"]
    CliRunner().invoke(scheme_app, [*words, "--out", str(out)])
    assert before == {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    rows = pq.read_table(out / "migration.parquet").to_pylist()
    assert sum(row["cases"] for row in rows) == len(CASES["case_id"])
    told = json.loads(CliRunner().invoke(scheme_app, [*words, "--json"]).stdout)
    assert told["migration"]["moved"] == 3
    stats = CliRunner().invoke(
        scheme_app, ["stats", str(folders[0]), "--cases", str(folders[2]), "--json"]
    )
    assert json.loads(stats.stdout)["group_rate"] == {"grouped": 4, "cases": 6, "rate": 0.666667}


def test_another_folder_is_not_replaced(folders: tuple[Path, Path, Path]) -> None:
    words = ["diff", *map(str, folders[:2]), "--out", str(folders[2])]
    done = CliRunner().invoke(scheme_app, words)
    assert done.exit_code == 1
    assert "holds something else" in str(done.exception)
    assert (folders[2] / "a.parquet").is_file()
