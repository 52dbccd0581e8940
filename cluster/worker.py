"""What runs inside a Ray worker process: one warm actor that takes tasks."""

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cluster.parcel import Receiver
from grouper.kernels import load_all


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one task, or the error that its data caused.

    Results travel as bytes, so that whoever keeps an array of one does not hold its place in Ray's
    object store, which is small. Errors travel as values: they arrive as they were raised, and Ray
    writes no trace of them, which could quote a diagnosis, into its logs.
    """

    packed: bytes = b""
    error: BaseException | None = None

    def unwrap(self) -> Any:
        """What the task returned.

        Raises:
            BaseException: the task's own error.
        """
        if self.error is not None:
            raise self.error
        return pickle.loads(self.packed)


class Worker:
    """Loads the kernels when it starts and keeps what the tasks of one `map` call share."""

    def __init__(self) -> None:
        load_all()
        self._receiver = Receiver()
        self._shared_ref: Any = None
        self._shared: Any = None

    def pid(self) -> int:
        """Process id; answers only when the worker is warm."""
        return os.getpid()

    def run(self, task: Callable[[Any, Any], Any], box: list[Any], item: Any) -> Outcome:
        """Runs `task(shared, item)`; `box` holds the reference of `shared`."""
        (ref,) = box
        if ref != self._shared_ref:
            self._shared = self._receiver.open(ref)
            self._shared_ref = ref
        try:
            return Outcome(pickle.dumps(task(self._shared, item), pickle.HIGHEST_PROTOCOL))
        except Exception as error:  # noqa: BLE001 - it is handed on, not swallowed
            return Outcome(error=error)
