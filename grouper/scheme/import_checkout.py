"""The files of a user's checkout of OpenDRG's DRG_Python: which variants it has, and their text.

Python files are parsed by `ast` and never executed. What cannot be read is gathered with file and
line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from grouper.errors import PackError
from grouper.scheme.imported import Unread

_MOST_BYTES = 64 * 1024 * 1024
_BYTE_ORDER_MARK = "\ufeff"


def variants(checkout: Path) -> dict[str, Path]:
    """The variants of a checkout and their folders.

    Raises:
        PackError: the folder is no checkout of DRG_Python.
    """
    for root in (checkout / "drg_group", checkout):
        found = {p.parent.name: p.parent for p in sorted(root.glob("*/Grouper.py"))}
        if found:
            return found
    raise PackError(
        f"{checkout} is no checkout of OpenDRG's DRG_Python",
        hint="name the folder that holds drg_group, with a folder per variant in it",
    )


@dataclass
class VariantFiles:
    """The folder of one variant, and what of it could not be read.

    Attributes:
        folder: holds `Grouper.py`, and the folders ADRG, DATA, DRG, DRG_EX, ICD and MDC.
        unread: in the order in which it was found.
    """

    folder: Path
    unread: list[Unread] = field(default_factory=list)
    _modules: dict[Path, dict[str, ast.FunctionDef]] = field(default_factory=dict)

    def fault(self, path: Path, line: int, message: str, *, lost: bool = True) -> None:
        """Note what could not be read."""
        file = path.relative_to(self.folder.parent).as_posix()
        self.unread.append(Unread(file, line, message, lost))

    def text(self, path: Path) -> str:
        """The text of a file.

        Raises:
            PackError: it is missing, too large, or not UTF-8.
        """
        name = path.relative_to(self.folder.parent).as_posix()
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise PackError("the file is too large", file=name, hint="is this the right file?")
            return path.read_text("utf-8")
        except OSError as error:
            raise PackError(
                f"cannot be read: {error.strerror}", file=name, hint="check out the whole project"
            ) from error
        except UnicodeDecodeError:
            raise PackError(
                "not UTF-8 text", file=name, hint="check the project out again"
            ) from None

    def table(self, name: str) -> dict[str, str]:
        """`code text` a line; a later line of the same code wins, as in the original."""
        found: dict[str, str] = {}
        path = self.folder / f"{name}.dat"
        for line in self.text(path).split("\n"):
            code, _, rest = line.partition(" ")
            if code.startswith(_BYTE_ORDER_MARK):
                # The original reads the mark as a part of the code, which then no case has.
                told = f"a byte order mark hides the code {code[1:]} from the original; left out"
                self.fault(path, 1, told, lost=False)
                continue
            if code.strip():
                found[code] = rest
        return found

    def changes(self, name: str) -> Iterator[tuple[str, str]]:
        """The entries of a map that change a code."""
        for given, code in self.table(name).items():
            if code.strip() and code != given:
                yield given, code

    def module(self, path: Path) -> dict[str, ast.FunctionDef]:
        """The functions of a file."""
        try:
            tree = ast.parse(self.text(path).removeprefix(_BYTE_ORDER_MARK))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            self.fault(path, getattr(error, "lineno", 0) or 0, f"not Python: {error}")
            return {}
        return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}

    def function(self, path: Path, name: str = "group") -> ast.FunctionDef | None:
        """A function of a file; None, and a note, where it is not there."""
        if not path.is_file():
            self.fault(path, 0, "the file is missing")
            return None
        found = self.module(path).get(name)
        if found is None and not any(u.file.endswith(path.name) for u in self.unread):
            self.fault(path, 0, f"no function {name}")
        return found

    def retries(self) -> bool:
        """Whether an ungrouped case is tried again with each other procedure."""
        path = self.folder / f"Grouper_{self.folder.name}.py"
        return path.is_file() and bool(
            re.search(r"for\s+\w+\s+in\s+record\.ssList\[1:\]", self.text(path))
        )

    def functions(self, path: Path) -> dict[str, ast.FunctionDef]:
        """The functions of a file that is asked for many times; none where it is missing."""
        known = self._modules
        if path not in known:
            known[path] = self.module(path) if path.is_file() else {}
        return known[path]
