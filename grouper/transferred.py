"""What a transfer to or from an object store has done so far, so that it goes on from there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

_RECORD: Final = "transferred.jsonl"


class Record:
    """What was transferred, a JSON line a file, written after the file is there."""

    def __init__(self, folder: Path, way: str) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._path = folder.parent / f"{folder.name}-{way}-{_RECORD}"
        self.marks: dict[str, str] = {}
        if self._path.is_file():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                try:
                    name, mark = json.loads(line)
                except ValueError:
                    continue  # cut off when the power went: the file is transferred again
                self.marks[name] = mark

    def add(self, name: str, mark: str) -> None:
        """Records a file."""
        self.marks[name] = mark
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([name, mark]) + "\n")
            file.flush()
            os.fsync(file.fileno())
