"""Why a case fell where it fell: an observer that walks the rule texts, off the hot path."""

from grouper.explain.model import (
    MOST_CODES,
    Change,
    CodeChange,
    CodeNote,
    Complication,
    Explanation,
    NodeTrace,
    Result,
    RunnerUp,
    TestTrace,
    Walk,
)
from grouper.explain.odd import Odd, odd_values
from grouper.explain.walk import Explainer, explain_case, explainer_of

__all__ = [
    "MOST_CODES",
    "Change",
    "CodeChange",
    "CodeNote",
    "Complication",
    "Explainer",
    "Explanation",
    "NodeTrace",
    "Odd",
    "Result",
    "RunnerUp",
    "TestTrace",
    "Walk",
    "explain_case",
    "explainer_of",
    "odd_values",
]
