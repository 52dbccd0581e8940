"""What people look at: a run folder as pages, workbooks and tables to ask.

`load_run` opens a run folder and proves it against its manifest; everything else in this room is
made from the run that it returns, and from nothing else.
"""

from grouper.report.load import Run, load_run

__all__ = ["Run", "load_run"]
