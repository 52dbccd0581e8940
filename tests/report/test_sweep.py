"""A sweep: exact values, one run each, and an outcome that moves as it must."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from grouper.errors import OutputError, PolicyError
from grouper.settlement.policyfile import load_policy
from grouper.sweep import values_between, with_key
from tests.report.conftest import command


def test_values_are_exact() -> None:
    assert values_between("0.1", "0.3", 3) == (Fraction(1, 10), Fraction(1, 5), Fraction(3, 10))
    assert values_between("0", "1", 4)[1] == Fraction(1, 3)
    with pytest.raises(PolicyError, match="not a range"):
        values_between("a", "1", 3)
    with pytest.raises(PolicyError, match="is one value"):
        values_between("0.3", "0.30", 3)


def test_a_key_takes_its_own_kind_of_value() -> None:
    policy = load_policy("guigang-points")
    assert with_key(policy, "low.ratio", Fraction(1, 3)).low.ratio == Fraction(1, 3)
    assert with_key(policy, "stability.min_cases", Fraction(7)).stability.min_cases == 7
    assert with_key(policy, "low.ratio", policy.low.ratio).digest == policy.digest
    for key, told in (
        ("low.ration", "no key"),
        ("stability.min_cases", "not a whole number"),
        ("low", "does not take a number"),
        ("low.cost", "does not take a number"),
        ("low.enabled", "does not take a number"),
        ("high.multiples", "does not take a number"),
        ("coefficient.kind", "coefficient.kind"),
    ):
        with pytest.raises(PolicyError, match=told):
            with_key(policy, key, Fraction(1, 2))
    with pytest.raises(PolicyError) as caught:
        with_key(policy, "low.ration", Fraction(1, 2))
    assert "did you mean low.ratio" in caught.value.hint
    with pytest.raises(PolicyError, match=r"1\.5: must be from 0 to 1"):
        with_key(policy, "month.ratio", Fraction(3, 2))


def test_the_command_runs_each_value_and_takes_up_again(region: Path, tmp_path: Path) -> None:
    words = (
        "sweep", region, "--scheme", "chs-core", "--policy", "guigang-points", "--key", "low.ratio",
        "--from", "0.2", "--to", "0.4", "--steps", "3", "--out", tmp_path / "out",
    )  # fmt: skip
    done = command(*words)
    assert done.exit_code == 0, done.output
    table = pq.read_table(tmp_path / "out" / "sweep.parquet")
    assert table.column("value").to_pylist() == ["0.2", "0.3", "0.4"]
    low = table.column("low_share").to_pylist()
    assert low == sorted(low)
    assert low[0] < low[2]
    assert (tmp_path / "out" / "index.html").is_file()
    (tmp_path / "letter.txt").write_text("dear")
    for place, told in ((tmp_path, "holds something else"), (tmp_path / "letter.txt", "a file")):
        refused = command(*words[:-1], place)
        assert isinstance(refused.exception, OutputError)
        assert told in str(refused.exception)
    run = tmp_path / "out" / "runs" / "0.2"
    assert not (run / "findings").exists()
    before = (run / "points" / "part-00000.parquet").stat().st_mtime_ns
    assert command(*words).exit_code == 0
    assert (run / "points" / "part-00000.parquet").stat().st_mtime_ns == before
