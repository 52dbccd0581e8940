"""Kernels: arrays in, arrays out. The only place that imports numba; TECHNICAL.md draws the layout.

A kernel is loaded from the cache, or compiled into it, when it is first called (`jit`).
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from grouper.kernels import jit

_WITHOUT_KERNELS = frozenset(("__init__", "arguments", "arrays", "jit", "layout", "words"))


def load_all() -> list[str]:
    """Load every kernel module, compiling what the cache does not hold; the modules' names."""
    names = sorted(
        f"{__name__}.{p.stem}"
        for p in Path(__file__).parent.glob("*.py")
        if p.stem not in _WITHOUT_KERNELS
    )
    for name in names:
        import_module(name)
    for kernel in jit.Kernel.every:
        kernel.load()
    return names
