"""What the scheme compiler and the grouping kernel agree on; TECHNICAL.md draws the arrays."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

BLANK: Final = 0
"""Kind of a null or blank code: it matches nothing and is no procedure to retry with."""
UNKNOWN: Final = 1
"""Kind of a code that the pack knows nowhere: it matches nothing and is counted."""
PLAIN: Final = 2
"""Kind of a known code that no rule, severity or site asks for."""

NO_LEVEL: Final = 0xFFFF
"""Half of a complication word: the code has not this level."""
NO_EXCLUSION: Final = 0xFFFE
"""Exclusion list of a principal diagnosis that switches nothing off."""
NEVER_EXCLUDED: Final = 0
"""Exclusion list of a complication that no principal diagnosis switches off."""

MISSING: Final = -(2**31)
"""A null in the matrix of numbers; every comparison with it is false."""

NO_ANSWER: Final = 0
"""Outcome of a case that no DRG alternative accepts."""

COMPARISONS: Final[tuple[str, ...]] = ("==", "!=", "<", "<=", ">", ">=")
"""Comparison codes of a node are positions in this tuple."""


class Op(IntEnum):
    """What the test of a decision node asks. `a`, `b`, `value` are the node's columns."""

    MCC = 0
    CC = 1
    OTHER_DX = 2
    """An other diagnosis is in set a."""
    OTHER_PX = 3
    """An other procedure is in set a."""
    PRINCIPAL_PX = 4
    """The principal procedure is in set a (only where the root table is not split by it)."""
    COUNT_OTHER_DX = 5
    """The number of other diagnoses in set a compares (b) with value."""
    COUNT_OTHER_PX = 6
    COUNT_PX = 7
    """As COUNT_OTHER_PX, the principal procedure included."""
    SITES = 8
    """The number of different sites of family a among all diagnoses compares (b) with value."""
    NUMBER = 9
    """The case's number a compares (b) with value."""


class NodeColumn(IntEnum):
    """Columns of the node table. A negative `YES` or `NO` is an outcome: `~outcome`."""

    OP = 0
    A = 1
    B = 2
    VALUE = 3
    YES = 4
    NO = 5


class Reason(IntEnum):
    """Why a case is invalid; 0 where it is not."""

    NONE = 0
    NO_ID = 1
    DUPLICATE_ID = 2
    NO_DIAGNOSIS = 3


class SeverityLevel(IntEnum):
    """The highest level of complication found: none, CC, MCC."""

    NONE = 0
    CC = 1
    MCC = 2
