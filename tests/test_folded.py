"""Pieces that are joined while they come."""

from hypothesis import given
from hypothesis import strategies as st

from grouper.folded import Folded


@given(st.lists(st.integers(), max_size=200))
def test_the_sum_is_that_of_all_pieces_and_few_are_kept(pieces: list[int]) -> None:
    most = 0

    def join(some: list[int]) -> int:
        nonlocal most
        most = max(most, len(some))
        return sum(some)

    folded = Folded(join)
    for piece in pieces:
        folded.add(piece)
    assert folded.whole() == sum(pieces)
    assert most <= 33
