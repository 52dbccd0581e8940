"""Tasks that workers find by name."""

import os
import signal
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grouper.errors import CaseTableError
from grouper.execution import Constant


def add(shared: int, item: int) -> tuple[int, int]:
    time.sleep(0.002 * (item % 3))
    return shared + item, os.getpid()


def fail_from_five(shared: Path, item: int) -> int:
    (shared / str(item)).touch()
    if item >= 5:
        raise CaseTableError(f"part {item}", file=f"part-{item}.parquet", column="dx")
    return item


def die_once(shared: Path, item: int) -> int:
    """Kills its own worker the first time that it sees the item in the file `victim`."""
    victim = shared / "victim"
    if victim.exists() and int(victim.read_text()) == item:
        victim.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def always_die(shared: None, item: int) -> int:
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def array(shared: int, item: int) -> NDArray[np.int64]:
    """So many bytes of an item's number."""
    return np.full(shared // 8, item, np.int64)


class Table(Constant):
    """Something large."""

    def __init__(self, rows: NDArray[np.int64]) -> None:
        self.rows = rows


def look(shared: tuple[Table, int], item: int) -> tuple[int, int, int]:
    """The worker, where it keeps the table, and what it reads there."""
    table, more = shared
    return os.getpid(), id(table), int(table.rows.sum()) + more


class Owner:
    """An actor that owns an object."""

    def put(self, value: object) -> list[object]:
        import ray

        return [ray.put(value)]


def read_item(shared: list[int], item: int) -> int:
    return shared[item]
