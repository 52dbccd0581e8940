"""What a kernel takes and gives, and how its machine code receives it.

The names are the compiler's (`int64`, `void(...)`, `NamedTuple`), but nothing here needs it: a
process that finds its kernels in the cache never loads the compiler.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Final, TypeAlias
from typing import NamedTuple as _NamedTuple

import numpy as np


class Scalar(_NamedTuple):
    """A number, by its name in numpy; `void` where a kernel gives nothing."""

    name: str

    def __call__(self, *args: Type) -> Signature:
        """The signature of a kernel that gives this."""
        return Signature(self, args)

    @property
    def slots(self) -> list[Any]:
        """C types of the machine code's parameters."""
        return [getattr(ctypes, f"c_{self.name}")]

    def pass_on(self, value: Any, into: list[Any]) -> bool:
        """Append the values of the slots; False where `value` is of another type."""
        into.append(int(value))
        return True

    def numba(self) -> Any:
        """The type as the compiler knows it."""
        from numba import types

        return getattr(types, self.name)


class Array:
    """A contiguous array; one that is not `writable` may be of any kind."""

    def __init__(self, item: Scalar, ndim: int, *, writable: bool) -> None:
        self._item, self._ndim, self._writable = item, ndim, writable
        self._dtype = np.dtype(item.name)

    @property
    def slots(self) -> list[Any]:
        """Two owners (none), items, bytes of an item, the place, the shape, the strides."""
        size = ctypes.c_ssize_t
        return [*[ctypes.c_void_p] * 2, size, size, ctypes.c_void_p, *[size] * (2 * self._ndim)]

    def pass_on(self, value: Any, into: list[Any]) -> bool:
        """Append the values of the slots; False where `value` is no such array."""
        if value.dtype != self._dtype or value.ndim != self._ndim:
            return False
        flags = value.flags
        if not (flags.c_contiguous and flags.aligned and (flags.writeable or not self._writable)):
            return False
        place, _ = value.__array_interface__["data"]
        into += (None, None, value.size, value.itemsize, place, *value.shape, *value.strides)
        return True

    def numba(self) -> Any:
        """The type as the compiler knows it."""
        from numba import types

        return types.Array(self._item.numba(), self._ndim, "C", readonly=not self._writable)


class NamedTuple(_NamedTuple):
    """A named tuple of these."""

    members: Sequence[Type]
    kind: type

    @property
    def slots(self) -> list[Any]:
        """Those of the members, one after the other."""
        return [slot for member in self.members for slot in member.slots]

    def pass_on(self, value: Any, into: list[Any]) -> bool:
        """Append the values of the slots; False where a member is of another type."""
        return all(m.pass_on(v, into) for m, v in zip(self.members, value, strict=True))

    def numba(self) -> Any:
        """The type as the compiler knows it."""
        from numba import types

        return types.NamedTuple([member.numba() for member in self.members], self.kind)


Type: TypeAlias = Scalar | Array | NamedTuple


class Signature(_NamedTuple):
    """What a kernel gives, and what it takes."""

    gives: Scalar
    takes: Sequence[Type]

    def numba(self) -> Any:
        """The signature as the compiler knows it."""
        return self.gives.numba()(*(one.numba() for one in self.takes))


void: Final = Scalar("void")
int8: Final = Scalar("int8")
int32: Final = Scalar("int32")
int64: Final = Scalar("int64")
uint8: Final = Scalar("uint8")
uint16: Final = Scalar("uint16")
uint32: Final = Scalar("uint32")
uint64: Final = Scalar("uint64")


def ro(item: Scalar, ndim: int = 1) -> Array:
    """The type of an array argument that the kernel reads."""
    return Array(item, ndim, writable=False)


def rw(item: Scalar, ndim: int = 1) -> Array:
    """The type of an array argument that the kernel writes."""
    return Array(item, ndim, writable=True)
