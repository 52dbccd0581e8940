"""A run as data: stages, manifest and checks over a region folder (folders.md)."""

from grouper.run.context import Progress
from grouper.run.engine import RunSummary, rerun

__all__ = ["Progress", "RunSummary", "rerun"]
