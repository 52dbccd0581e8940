"""What tasks share, on its way to the workers: large constants are put once and kept by both sides.

A run is a dozen `map` calls, and a bureau runs the same scheme again and again; what a call adds to
its scheme is small.
"""

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import ray
from numpy.typing import NDArray

from grouper.execution import Constant

K = TypeVar("K")
V = TypeVar("V")

_CONSTANTS_KEPT = 8


class Parcel(NamedTuple):
    """A pickled object.

    Attributes:
        data: the pickle, without its arrays and constants.
        arrays: bytes of the arrays, which Ray hands over without a copy.
        constants: references of their parcels, in the order in which the pickle names them.
    """

    data: bytes
    arrays: list[NDArray[np.uint8]]
    constants: list[Any]


class Kept(OrderedDict[K, V], Generic[K, V]):
    """The values that were used last."""

    def of(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key, made where it is not kept."""
        value = self[key] if key in self else make()
        self[key] = value
        self.move_to_end(key)
        while len(self) > _CONSTANTS_KEPT:
            self.popitem(last=False)
        return value


class _Packer(pickle.Pickler):
    """Pickles an object, leaving its arrays and constants out."""

    def __init__(self, whole: object, refer: Callable[[Constant], Any]) -> None:
        self._file = io.BytesIO()
        super().__init__(self._file, pickle.HIGHEST_PROTOCOL, buffer_callback=self._leave_out)
        self._whole, self._refer = whole, refer
        self._arrays: list[NDArray[np.uint8]] = []
        self._constants: list[Any] = []

    def persistent_id(self, part: object) -> int | None:
        if not isinstance(part, Constant) or part is self._whole:
            return None
        self._constants.append(self._refer(part))
        return len(self._constants) - 1

    def _leave_out(self, buffer: pickle.PickleBuffer) -> None:
        self._arrays.append(np.frombuffer(buffer.raw(), np.uint8))

    def parcel(self) -> Parcel:
        self.dump(self._whole)
        return Parcel(self._file.getvalue(), self._arrays, self._constants)


class _Opener(pickle.Unpickler):
    def __init__(self, parcel: Parcel, constant: Callable[[Any], Any]) -> None:
        super().__init__(io.BytesIO(parcel.data), buffers=parcel.arrays)
        self._parcel, self._constant = parcel, constant

    def persistent_load(self, place: int) -> Any:
        return self._constant(self._parcel.constants[place])


class Sender:
    """Puts objects where workers find them."""

    def __init__(self) -> None:
        # The constant itself is kept, so that no other object can take its identity.
        self._sent: Kept[int, tuple[Constant, Any]] = Kept()

    def put(self, thing: object) -> Any:
        """The reference of a parcel."""
        return ray.put(_Packer(thing, self._refer).parcel())

    def _refer(self, part: Constant) -> Any:
        _, ref = self._sent.of(id(part), lambda: (part, self.put(part)))
        return ref

    def forget(self) -> None:
        """Put constants anew, because some were lost."""
        self._sent.clear()


class Receiver:
    """Opens parcels."""

    def __init__(self) -> None:
        self._opened: Kept[Any, Any] = Kept()

    def open(self, ref: Any) -> Any:
        """The object of a parcel."""
        return _Opener(ray.get(ref), self._constant).load()

    def _constant(self, ref: Any) -> Any:
        return self._opened.of(ref, lambda: self.open(ref))
