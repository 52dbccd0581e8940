"""The one place that says how kernels are compiled and where they are cached.

Kernels are serial and release the GIL; parallelism comes from running many of them (cluster).
Every kernel has explicit signatures, so it is compiled (or taken from the cache) when its module
is imported, accepts read-only Arrow and Ray buffers, and never meets a second specialisation.

Numba's own cache watches only the file of the cached function: after a change in a callee in
another file it would go on with the old machine code. Here the cache folder's name is a digest of
all kernel files, the compiler's versions and the processor, so any change leads to a fresh folder.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import llvmlite
import llvmlite.binding
import numba
from filelock import FileLock
from numba import types
from numba.core import caching, config

from grouper.cachedir import cache_root, source_digest, writable_folder

F = TypeVar("F", bound=Callable[..., Any])

KERNEL_FILES = Path(__file__).parent


def ro(dtype: types.Type, ndim: int = 1) -> types.Array:
    """The type of a read-only contiguous array argument."""
    return types.Array(dtype, ndim, "C", readonly=True)


def rw(dtype: types.Type, ndim: int = 1) -> types.Array:
    """The type of a contiguous array argument that the kernel writes."""
    return types.Array(dtype, ndim, "C")


@functools.cache
def cache_folder() -> Path:
    """The folder of this engine's machine code on this machine; made where it is missing."""
    digest = source_digest(KERNEL_FILES.glob("*.py"))
    cpu = config.CPU_NAME or llvmlite.binding.get_host_cpu_name()
    python = f"py{platform.python_version_tuple()[0]}{platform.python_version_tuple()[1]}"
    name = f"{digest}-numba{numba.__version__}-llvmlite{llvmlite.__version__}-{cpu}-{python}"
    return writable_folder(cache_root() / "kernels" / name)


class _KernelLocator(caching._CacheLocator):  # type: ignore[misc]  # the hook numba offers
    """Keeps kernels by name in `cache_folder`, wherever the package is installed."""

    def get_cache_path(self) -> str:
        return str(cache_folder())

    def get_source_stamp(self) -> str:
        return cache_folder().name

    def get_disambiguator(self) -> str:
        return ""

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _KernelLocator | None:
        return cls() if Path(py_file).parent == KERNEL_FILES else None


caching.CacheImpl._locator_classes.insert(0, _KernelLocator)


def kernel(*signatures: types.Type) -> Callable[[F], F]:
    """Compile a kernel for exactly these signatures, or load it from the cache.

    Processes that start together take turns: the first compiles, the others load.
    """

    def compiled(function: F) -> F:
        with FileLock(cache_folder() / f"{function.__module__}.{function.__name__}.lock"):
            compiled_function: F = numba.njit(
                list(signatures), nogil=True, cache=True, error_model="numpy"
            )(function)
            return compiled_function

    return compiled


def inlined(function: F) -> F:
    """A small function that kernels call; it is compiled as a part of each of them."""
    result: F = numba.njit(nogil=True, error_model="numpy", forceinline=True)(function)
    return result
