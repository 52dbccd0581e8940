"""DRG grouping and settlement: from settlement lists to hospital statements, exact to the fen.

The names below are the public interface; each is loaded when it is first used, so that importing
the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from grouper.errors import GrouperError
    from grouper.grouping import group
    from grouper.run.api import settle
    from grouper.scheme import Scheme, load_scheme
    from grouper.settlement.policyfile import load_policy

_HOME = {
    "GrouperError": "grouper.errors",
    "Scheme": "grouper.scheme",
    "group": "grouper.grouping",
    "load_policy": "grouper.settlement.policyfile",
    "load_scheme": "grouper.scheme",
    "settle": "grouper.run.api",
}

__all__ = ["GrouperError", "Scheme", "__version__", "group", "load_policy", "load_scheme", "settle"]


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
