"""Tasks of a command on a cluster that runs already, whose workers stand in another folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from grouper.errors import RunError
from grouper.execution import Runner

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741 - S, I, R read as the signature task(shared, item)
R = TypeVar("R")


class ElsewhereRunner:
    """A runner whose tasks take relative paths as the command does.

    Raises:
        RunError: of a task, where its worker does not see a file that the command names.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._folder = os.getcwd()  # noqa: PTH109 - as text, which any worker can take

    @property
    def workers(self) -> int:
        """How many tasks may run at the same time."""
        return self._runner.workers

    def map(self, task: Callable[[S, I], R], shared: S, items: Iterable[I]) -> Iterator[R]:
        """Results of `task(shared, item)` in item order."""
        return self._runner.map(partial(_standing, self._folder, task), shared, items)

    def close(self) -> None:
        """Closes the runner."""
        self._runner.close()


def _standing(folder: str, task: Callable[[Any, Any], R], shared: Any, item: Any) -> R:
    try:
        os.chdir(folder)
    except OSError:
        os.chdir("/")  # rather no file than one that is called the same where Ray was started
    try:
        return task(shared, item)
    except FileNotFoundError as error:
        told = error.filename or str(error).partition(". Detail")[0]
        raise RunError(
            f"a worker of the Ray cluster does not find {told}",
            hint="every Ray node must see the same folders under the same paths",
        ) from error
