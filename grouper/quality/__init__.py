"""Data quality of settlement lists (结算清单质控): rules as declarations, evaluated on Arrow.

`Thresholds` is what a policy states; `registry.RULES` are the rules; `evaluate.evaluate` checks a
batch, `check.check_cases` cases of any size.
"""

from grouper.quality.thresholds import Thresholds

__all__ = ["Thresholds"]
