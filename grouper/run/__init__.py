"""A run as data: stages, manifest and checks over a region folder (folders.md)."""

from grouper.run.engine import Progress, RunSummary, rerun

__all__ = ["Progress", "RunSummary", "rerun"]
