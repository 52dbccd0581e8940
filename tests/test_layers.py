"""What an import brings with it: the engine works without the cluster, and quickly."""

import subprocess
import sys
from pathlib import Path

import pytest


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_engine_imports_without_ray_and_grpc() -> None:
    ended = _python(
        "import sys\n"
        "for name in ('ray', 'grpc', 'google.protobuf', 'cluster'): sys.modules[name] = None\n"
        "import grouper, pkgutil, importlib\n"
        "for found in pkgutil.walk_packages(grouper.__path__, 'grouper.'):\n"
        "    importlib.import_module(found.name)\n"
    )
    assert ended.returncode == 0, ended.stderr


def test_work_in_this_process_never_loads_ray() -> None:
    ended = _python(
        "import sys, grouper.cli.app, grouper.run\n"
        "from grouper.execution import open_runner\n"
        "open_runner(1)\n"
        "print(sorted({'ray', 'grpc', 'cluster'} & set(sys.modules)))"
    )
    assert ended.stdout.strip() == "[]", ended.stderr


@pytest.mark.parametrize("arguments", [["--workers", "2"], ["--ray", "127.0.0.1:6379"]])
def test_a_missing_extra_ends_with_2_and_says_what_to_install(
    tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "cases.csv").write_text("case_id,dx\n1,K35.900\n")
    code = (
        "import sys\n"
        "for name in ('ray', 'grpc'): sys.modules[name] = None\n"
        "from grouper.cli.app import main\n"
        f"sys.argv = ['grouper', 'group', '--scheme', 'chs-core', '--cases', "
        f"{str(tmp_path / 'cases.csv')!r}, '--out', {str(tmp_path / 'out')!r}, *{arguments!r}]\n"
        "main()"
    )
    ended = _python(code)
    assert ended.returncode == 2, ended.stderr
    assert "pip install 'drg-grouper[cluster]'" in ended.stderr


def test_a_small_file_is_grouped_without_the_compiler(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("case_id,dx\n1,K35.900\n")
    code = (
        "import sys\n"
        "from grouper.cli.app import main\n"
        f"sys.argv = ['grouper', 'group', '--scheme', 'chs-core', '--cases', "
        f"{str(tmp_path / 'cases.csv')!r}, '--out', {str(tmp_path / 'out.parquet')!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'numba', 'ray', 'grpc', 'cluster'} & set(sys.modules)))"
    )
    _python(code)  # compiles what the cache lacks
    ended = _python(code)
    assert ended.stdout.splitlines()[0] == "1 case: 1 grouped, 0 ambiguous, 0 ungrouped, 0 invalid"
    assert ended.stdout.splitlines()[-1] == "[]", ended.stderr


def test_help_answers_without_the_engine() -> None:
    ended = _python(
        "import sys\n"
        "from grouper.cli.app import main\n"
        "sys.argv = ['grouper', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'numba', 'numpy', 'pyarrow', 'ray', 'grpc', 'duckdb'} & set(sys.modules)))"
    )
    assert ended.stdout.splitlines()[-1] == "[]", ended.stderr
