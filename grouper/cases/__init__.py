"""The case table: what its columns mean (registry), and reading it (files)."""

from grouper.cases.files import (
    FORMS,
    PART_ROWS,
    UNREAD_FORMS,
    CaseSource,
    Part,
    open_cases,
    read_part,
    split_codes,
)
from grouper.cases.registry import (
    CODES,
    COLUMNS,
    GROUPING_REQUIRED,
    MONEY,
    Column,
    Kind,
    accepts,
    attribute_column,
    check_columns,
    wanted_for_grouping,
)

__all__ = [
    "CODES",
    "COLUMNS",
    "FORMS",
    "GROUPING_REQUIRED",
    "MONEY",
    "PART_ROWS",
    "UNREAD_FORMS",
    "CaseSource",
    "Column",
    "Kind",
    "Part",
    "accepts",
    "attribute_column",
    "check_columns",
    "open_cases",
    "read_part",
    "split_codes",
    "wanted_for_grouping",
]
