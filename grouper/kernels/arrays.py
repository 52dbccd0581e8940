"""Arrays as the kernels' signatures name them."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T", bound=np.generic)


def readonly(array: npt.NDArray[T]) -> npt.NDArray[T]:
    """The array as a contiguous read-only one; a view where it is contiguous already."""
    fixed = np.ascontiguousarray(array).view()
    fixed.flags.writeable = False
    return fixed
