"""Two runs held against each other (方案对比): who gains, who loses, where cases go, and why."""

from grouper.compare.runs import Comparison, compare_runs

__all__ = ["Comparison", "compare_runs"]
