"""Sums by account, as parts send them and the driver adds them up."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from grouper.run.books import AccountSums, AccountTotal

ACCOUNTS, COLUMNS = 5, 3
AMOUNTS = st.integers(-(2**63), 2**63 - 1)
ROW = st.tuples(st.integers(0, 2**20), AMOUNTS, AMOUNTS)
PARTS = st.lists(st.lists(ROW, min_size=ACCOUNTS, max_size=ACCOUNTS), max_size=6)


@given(PARTS)
def test_sums_of_parts_are_exact_beyond_64_bits(parts: list[list[tuple[int, int, int]]]) -> None:
    total = AccountTotal(ACCOUNTS, COLUMNS)
    expected = [[0] * COLUMNS for _ in range(ACCOUNTS)]
    for part in parts:
        total.add(AccountSums.of(np.array(part, np.int64)))
        for account, row in enumerate(part):
            if row[0]:  # an account of a part without cases has no sums
                expected[account] = [a + b for a, b in zip(expected[account], row, strict=True)]
    accounts, rows = total.rows()
    assert dict(zip(accounts, rows, strict=True)) == {
        account: row for account, row in enumerate(expected) if row[0]
    }
