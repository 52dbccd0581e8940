"""`reviews.csv` is read at once where it is plain, row by row where it is not, to the same end."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grouper.errors import RegionError
from grouper.settlement import decisions

HEADER = "case_id,kind,unreasonable_cost,approved,decision_month\n"
CELLS = st.tuples(
    st.sampled_from(["c1", "c2", "c 3", "住院4", ""]),
    st.sampled_from(["add", "whole_group", "Add"]),
    st.sampled_from(["", "0", "12.5", "12.345", "-1", "1e3", " 7 "]),
    st.sampled_from(["", "true", "1", "no", "maybe"]),
    st.sampled_from(["", "2024-03", "2024-13", "2024-3"]),
)


def read(folder: Path) -> object:
    try:
        return decisions.read_reviews(folder)
    except RegionError as error:
        return str(error)


@given(rows=st.lists(CELLS, max_size=4), end=st.sampled_from(["", "\n", "\r\n", "\n\n"]))
def test_both_ways_agree(
    rows: list[tuple[str, ...]], end: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("reviews")
    text = HEADER + "\n".join(",".join(row) for row in rows) + end
    (folder / decisions.NAME).write_text(text, encoding="utf-8")
    try:
        slow: object = decisions._row_by_row(folder)
    except RegionError as error:
        slow = str(error)
    assert read(folder) == slow


def test_a_plain_file_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "_row_by_row", lambda folder: pytest.fail("row by row"))
    path = tmp_path / decisions.NAME
    path.write_text(f"{HEADER}a,add,12.5,true,2024-03\nb,whole_group,,,\n", encoding="utf-8")
    assert decisions.read_reviews(tmp_path) == (
        decisions.Review("a", "add", 1250, True, "2024-03", 2),
        decisions.Review("b", "whole_group", 0, None, "", 3),
    )
