"""What runs inside a Ray worker process: one warm actor that takes tasks."""

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.parcel import Receiver
from grouper.errors import RunError
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
    """Loads the kernels when it starts and keeps what the tasks of one `map` call share.

    Args:
        folder: where the driver stands, so that relative paths mean the same here; None where the
            worker was started there.
    """

    def __init__(self, folder: str | None) -> None:
        self._elsewhere = folder is not None
        if folder is not None:
            # Rather no file than one that is called the same where Ray was started.
            os.chdir(folder if Path(folder).is_dir() else "/")
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
        except FileNotFoundError as error:
            return Outcome(error=_not_here(error) if self._elsewhere else error)
        except Exception as error:  # noqa: BLE001 - it is handed on, not swallowed
            return Outcome(error=error)


def _not_here(error: FileNotFoundError) -> RunError:
    told = error.filename or str(error).partition(". Detail")[0]
    return RunError(
        f"a worker of the Ray cluster does not find {told}",
        hint="every Ray node must see the same folders under the same paths",
    )
