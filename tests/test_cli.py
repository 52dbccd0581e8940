"""The command line as a user meets it: a real process, its output and its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cluster.typed import typed
from tests.scheme.builder import write


def grouper(*words: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "grouper", *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | {"NO_COLOR": "1", "COLUMNS": "100"} | (env or {}),
        check=False,
    )


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return write(tmp_path / "pack")


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    path = tmp_path / "cases.parquet"
    table = {"case_id": ["1", "2"], "dx": [["I63.900"], ["Q99.900"]], "age": [60, 61]}
    pq.write_table(pa.table(table), path)
    return path


def test_group_says_what_it_did(pack: Path, cases: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    done = grouper("group", "--scheme", pack, "--cases", cases, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "2 cases: 1 grouped, 0 ambiguous, 1 ungrouped, 0 invalid" in done.stdout
    assert "codes that small does not know: 1 of diagnoses, 0 of procedures" in done.stdout
    assert done.stderr.count("no column px: it counts as null") == 1
    assert pq.read_table(out).column("drg").to_pylist() == ["BR25", ""]


def test_what_the_system_refuses_is_no_traceback(tmp_path: Path) -> None:
    done = grouper("policy", "check", "x" * 5000)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {'x' * 200}: File name too long\n  check the path")
    assert len(done.stderr) < 400


def test_a_fault_is_told_with_its_place_and_exit_code_1(pack: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.parquet"
    done = grouper("group", "--scheme", pack, "--cases", missing, "--out", tmp_path / "o")
    assert done.returncode == 1
    assert "missing.parquet: no such file or folder" in done.stderr
    assert "Traceback" not in done.stderr
    (pack / "groups.csv").write_text("level,node,code,name,when\nmdc,B,B,b,pdx in NOT.there\n")
    done = grouper("group", "--scheme", pack, "--cases", missing, "--out", tmp_path / "o")
    assert done.returncode == 1
    assert "groups.csv:2: the set NOT.there of this rule has no code in sets.csv" in done.stderr
    assert "rule: pdx in NOT.there" in done.stderr


def test_an_unknown_pack_names_the_built_in_ones(cases: Path, tmp_path: Path) -> None:
    done = grouper("group", "--scheme", "nowhere", "--cases", cases, "--out", tmp_path / "o")
    assert done.returncode == 1
    assert "no scheme pack 'nowhere'" in done.stderr
    assert "chs-core" in done.stderr


@pytest.mark.parametrize(
    "words",
    [("group",), ("nothing",), ("group", "--workers", "0"), ("group", "--encoding", "klingon")],
)
def test_usage_errors_end_with_2(words: tuple[str, ...], pack: Path, cases: Path) -> None:
    if words[-1] == "klingon":
        words = (*words, "--scheme", str(pack), "--cases", str(cases), "--out", "x.parquet")
    done = grouper(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


WITHOUT_EXTRAS = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("ray", "grpc", "google"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
"""


def test_without_the_extra_a_command_ends_with_2_and_the_way_to_install_it(
    pack: Path, cases: Path, tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WITHOUT_EXTRAS)
    env = {"PYTHONPATH": str(tmp_path / "site")}
    out = tmp_path / "out.parquet"
    assert (
        grouper("group", "--scheme", pack, "--cases", cases, "--out", out, env=env).returncode == 0
    )
    done = grouper(
        "group", "--scheme", pack, "--cases", cases, "--out", out, "--workers", "2", env=env
    )
    assert done.returncode == 2
    assert "pip install 'drg-grouper[cluster]'" in done.stderr
    done = grouper("serve", env=env)
    assert done.returncode == 2
    assert "pip install 'drg-grouper[cluster]'" in done.stderr


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, grouper; heavy = {'numba', 'pyarrow', 'ray', 'grpc', 'numpy', 'pydantic'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_in_process_runs_never_import_ray(pack: Path, cases: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from grouper.cli.app import main\n"
        f"sys.argv = ['grouper', 'group', '--scheme', {str(pack)!r}, '--cases', {str(cases)!r},"
        f" '--out', {str(tmp_path / 'o')!r}]\n"
        "try: main()\nexcept SystemExit as e: assert not e.code\n"
        "print([m for m in ('ray', 'grpc') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_warmup_fills_the_cache(tmp_path: Path) -> None:
    done = grouper("warmup", env={"GROUPER_CACHE": str(tmp_path / "cache")})
    assert done.returncode == 0, done.stderr
    assert "kernel modules are ready" in done.stdout
    assert list((tmp_path / "cache").rglob("*.o"))


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "a", "b", "--out", "s3://bucket/difference"),
        ("export", "a", "--key", "region.key", "--out", "s3://bucket/out"),
        ("scheme", "import", "tables", "form.xlsx", "--out", "s3://bucket/pack"),
        ("backup", "--data", "s3://bucket/data", "--to", "there"),
    ],
)
def test_an_address_where_only_a_path_can_stand(words: tuple[str, ...]) -> None:
    told = typed(*words, code=2)
    assert f"{next(word for word in words if '://' in word)} cannot stand here" in told
