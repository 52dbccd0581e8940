"""The cache of machine code: warmed once, shared, and never older than the source."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import grouper
from grouper.kernels import arguments
from grouper.kernels.arrays import readonly
from grouper.kernels.jit import Kernel, MachineCodeError
from grouper.kernels.money import fill_words

PACKAGE = Path(grouper.__file__).parent


def run(code: str, site: Path, cache: Path) -> str:
    env = os.environ | {"PYTHONPATH": str(site), "GROUPER_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


KERNELS = """
from grouper.kernels import arguments as types
from grouper.kernels.callee import half
from grouper.kernels.arguments import ro, rw
from grouper.kernels.jit import kernel

@kernel(types.void(ro(types.int64), rw(types.int64)))
def halve(values, out):
    for i in range(len(values)):
        out[i] = half(values[i])
"""
CALLEE = """
from grouper.kernels.jit import inlined

@inlined
def half(value):
    return value // 2
"""
CALL = """
import numpy as np
from grouper.kernels.caller import halve
values = np.array([9], np.int64)
values.flags.writeable = False
out = np.zeros(1, np.int64)
halve(values, out)
print(out[0])
"""


def copy_of_the_package(site: Path) -> Path:
    kernels = site / "grouper" / "kernels"
    kernels.mkdir(parents=True)
    (site / "grouper" / "__init__.py").write_text("")
    (kernels / "__init__.py").write_text("")
    shutil.copy(PACKAGE / "cachedir.py", site / "grouper")
    for name in ("arguments.py", "jit.py"):
        shutil.copy(PACKAGE / "kernels" / name, kernels)
    (kernels / "caller.py").write_text(KERNELS)
    (kernels / "callee.py").write_text(CALLEE)
    return kernels


def compiled(cache: Path) -> set[Path]:
    return set(cache.rglob("*.o"))


def test_an_edit_in_a_callee_is_seen(tmp_path: Path) -> None:
    kernels = copy_of_the_package(tmp_path / "a")
    assert run(CALL, tmp_path / "a", tmp_path / "cache") == "4"
    (kernels / "callee.py").write_text(CALLEE.replace("value // 2", "value // 2 + 1"))
    assert run(CALL, tmp_path / "a", tmp_path / "cache") == "5"


def test_the_cache_survives_moving_the_install(tmp_path: Path) -> None:
    copy_of_the_package(tmp_path / "a")
    cache = tmp_path / "cache"
    run(CALL, tmp_path / "a", cache)
    before = compiled(cache)
    assert len(before) == 1
    (tmp_path / "a").rename(tmp_path / "moved")
    assert run(CALL, tmp_path / "moved", cache) == "4"
    assert compiled(cache) == before


def test_two_that_start_together_compile_once(tmp_path: Path) -> None:
    copy_of_the_package(tmp_path / "a")
    env = os.environ | {"PYTHONPATH": str(tmp_path / "a"), "GROUPER_CACHE": str(tmp_path / "c")}
    both = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", CALL], env=env, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    assert [p.communicate()[0].strip() for p in both] == ["4", "4"]
    assert len(compiled(tmp_path / "c")) == 1


def test_a_kernel_from_the_cache_needs_no_compiler(tmp_path: Path) -> None:
    copy_of_the_package(tmp_path / "a")
    run(CALL, tmp_path / "a", tmp_path / "cache")
    code = CALL + "import sys; print('numba' in sys.modules)"
    assert run(code, tmp_path / "a", tmp_path / "cache").split() == ["4", "False"]


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    copy_of_the_package(tmp_path / "a")
    run(CALL, tmp_path / "a", tmp_path / "cache")
    (file,) = compiled(tmp_path / "cache")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert run(CALL, tmp_path / "a", tmp_path / "cache") == "4"
    assert file.read_bytes() == whole


def test_a_kernel_refuses_what_its_signature_does_not_take() -> None:
    values, words = readonly(np.array([7], np.int64)), np.zeros((1, 2), np.int64)
    fill_words(values, words)
    assert words.tolist() == [[7, 0]]
    for wrong in (
        (values.astype(np.int32), words),  # another item
        (values, words[0]),  # another number of dimensions
        (values, readonly(words)),  # not to be written
        (np.zeros(4, np.int64)[::2], words),  # with gaps
    ):
        with pytest.raises(TypeError, match="fill_words"):
            fill_words(*wrong)


def test_a_kernel_that_calls_what_only_the_compiler_has_is_refused() -> None:
    def filled(out: npt.NDArray[np.int64]) -> None:
        out[:] = np.ones(len(out), np.int64)

    lacking = Kernel(filled, [arguments.void(arguments.rw(arguments.int64))])
    Kernel.every.remove(lacking)
    with pytest.raises(MachineCodeError, match=r"filled\.0 calls NRT_"):
        lacking(np.zeros(3, np.int64))
