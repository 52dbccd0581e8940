"""The generated code is what the proto files say, and the proto files keep to the rules."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def _buf(*arguments: str) -> subprocess.CompletedProcess[str]:
    buf = Path(sys.executable).parent / "buf"
    return subprocess.run(
        [buf, *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False
    )


def test_generated_code_is_up_to_date(tmp_path: Path) -> None:
    script = PROJECT / "proto" / "generate.py"
    subprocess.run([sys.executable, script, "--target", tmp_path], check=True, timeout=120)
    committed = PROJECT / "cluster" / "drg"
    files = {path.relative_to(committed) for path in committed.rglob("*.py*")}
    files = {path for path in files if path.suffix in {".py", ".pyi"}}
    made = {path.relative_to(tmp_path / "drg") for path in (tmp_path / "drg").rglob("*.py*")}
    assert files == made
    for path in sorted(made):
        told = f"{path} is out of date: run make proto"
        assert (tmp_path / "drg" / path).read_text() == (committed / path).read_text(), told


@pytest.mark.parametrize("arguments", [("lint",), ("format", "--diff", "--exit-code")])
def test_proto_files_keep_to_the_rules(arguments: tuple[str, ...]) -> None:
    ended = _buf(*arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_contract_only_grows() -> None:
    ended = _buf("breaking", "--against", "tests/cluster/contract.binpb")
    told = ended.stdout + ended.stderr + "\nadd fields and methods, do not change or drop them"
    assert ended.returncode == 0, told


def test_the_client_needs_no_kernels_and_no_ray() -> None:
    code = "import sys, cluster.client; print({'ray', 'numba'} & set(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.strip() == "set()"


@pytest.mark.parametrize("module", ["cluster.commands", "grouper", "grouper.cli.app"])
def test_commands_import_without_the_extra(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.fail(f"{module} is missing")
    code = (
        "import sys\n"
        "for name in ('ray', 'grpc', 'google.protobuf'): sys.modules[name] = None\n"
        f"import {module}"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
