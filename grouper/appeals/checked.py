"""What came back held against the run: answers that count, and every difference with its place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Final
from unicodedata import normalize

from grouper.appeals.layout import (
    ACCEPTED,
    ANSWER_WORDS,
    ANSWERS,
    CASES_SHEET,
    DISPUTE_WORDS,
    DISPUTED,
    FIELDS,
    MOST_REMARK,
    NONE_LEFT,
    PROTECTED,
    Field,
)
from grouper.appeals.returned import Line, Returned, Value, column_letter
from grouper.appeals.rows import Cells
from grouper.settlement.numbers import FEN, SCALE

OPEN, REFUSED, MISSING = "open", "refused", "missing"

STATES: Final = (ACCEPTED, DISPUTED, OPEN, REFUSED, MISSING)
"""Of a case that was sent: accepted, disputed, without an answer, an answer that cannot be taken,
or a row that is gone."""

_UNITS: Final = {"money": FEN, "points": SCALE}
_SEPARATORS: Final = re.compile(r"[|,;，；、\s]+")
_LONGEST_CODE: Final = 40
_SHOWN: Final = 200
_PLACE: Final = {one.name: i for i, one in enumerate(FIELDS)}


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell or row that is not what was sent.

    Attributes:
        row: as Excel counts, 0 where the row is gone.
        column: letter of the column; empty for a whole row.
        field: its name; empty for a whole row.
        kind: `changed`, `formula`, `row_added`, `row_missing` or `row_repeated`.
    """

    file: str
    sheet: str
    row: int
    column: str
    field: str
    case_id: str
    kind: str
    expected: str
    found: str


@dataclass(frozen=True)
class Answer:
    """What a hospital says of a case.

    Attributes:
        row: where it stands; 0 where the row is gone.
        state: one of `STATES`.
        why: reason of a refusal, see `REASONS`; empty otherwise.
        dispute: key of `DISPUTE_WORDS`, empty where none.
        dx, px: the corrected lists; None where they stay as they are.
        unknown: corrected codes that the scheme does not know.
    """

    hospital_id: str
    case_id: str
    file: str
    row: int
    state: str
    why: str = ""
    dispute: str = ""
    remark: str = ""
    dx: tuple[str, ...] | None = None
    px: tuple[str, ...] | None = None
    unknown: tuple[str, ...] = ()

    @property
    def corrects(self) -> bool:
        """Whether it brings other codes."""
        return self.state == DISPUTED and (self.dx is not None or self.px is not None)


REASONS: Final = {
    "row_missing": "the row of the case was deleted",
    "protected_changed": "a protected cell of the row was changed",
    "formula": "a cell of the row holds a formula or an error",
    "conflicting": "the case stands more than once with different answers",
    "unknown_answer": "the answer is none of the list",
    "unknown_dispute": "the reason of the dispute is none of the list",
    "dispute_without_reason": "a dispute needs a reason",
    "accepted_with_corrections": "an accepted case brings a reason or corrected codes",
    "answer_missing": "there are corrections or a reason, but no answer",
    "codes_missing": "the reason is 'codes', but no code differs",
    "codes_not_meant": "codes are corrected, but the reason is not 'codes'",
    "no_principal": "the principal diagnosis is removed",
    "bad_code": "a corrected code is too long, stands twice or holds a control character",
    "unknown_code": "a corrected code is unknown to the scheme",
    "remark_too_long": "the remark is too long",
}
"""Why an answer is refused."""


@dataclass
class Checked:
    """What the workbook of a hospital comes to."""

    answers: list[Answer] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def check_returned(
    back: Returned,
    expected: Sequence[Cells],
    *,
    same_words: bool,
) -> Checked:
    """Hold a workbook against the cells that were sent.

    Args:
        back: the workbook.
        expected: the cells of its cases.
        same_words: whether this version of the engine wrote it, so that explanations must agree.
    """
    made = Checked()
    sent = {str(cells[0]): cells for cells in expected}
    seen: dict[str, Answer] = {}
    fields = [(place, one) for place, one in enumerate(PROTECTED) if same_words or not one.told]
    for line in back.lines:
        case_id = str(line.values[0]) if line.values[0] is not None else ""
        cells = sent.get(case_id)
        if cells is None:
            made.differences.append(_row(back, line.row, case_id, "row_added"))
            made.counts["added rows"] += 1
            continue
        found = [
            Difference(
                back.file, CASES_SHEET, line.row, column_letter(place), one.name, case_id,
                "formula" if place in line.formulas else "changed",
                shown(cells[place], one), _found(line.values[place]),
            )
            for place, one in fields
            if place in line.formulas or not _same(cells[place], line.values[place], one)
        ]  # fmt: skip
        made.differences += found
        answer = _answer(back, line, cells, changed=bool(found))
        if case_id in seen:
            made.differences.append(_row(back, line.row, case_id, "row_repeated"))
            made.counts["repeated rows"] += 1
            first = seen[case_id]
            if _said(first) != _said(answer):
                seen[case_id] = _refused(first, "conflicting")
            continue
        seen[case_id] = answer
    for case_id in sent:
        if case_id not in seen:
            made.differences.append(_row(back, 0, case_id, "row_missing"))
            seen[case_id] = Answer(back.hospital, case_id, back.file, 0, MISSING, "row_missing")
    made.answers = [seen[case_id] for case_id in sent]
    made.counts.update(answer.state for answer in made.answers)
    return made


def _row(back: Returned, row: int, case_id: str, kind: str) -> Difference:
    return Difference(back.file, CASES_SHEET, row, "", "", case_id[:_SHOWN], kind, "", "")


def _said(answer: Answer) -> tuple[object, ...]:
    return (answer.state, answer.why, answer.dispute, answer.remark, answer.dx, answer.px)


def _refused(answer: Answer, why: str) -> Answer:
    return Answer(
        answer.hospital_id, answer.case_id, answer.file, answer.row, REFUSED, why,
        answer.dispute, answer.remark,
    )  # fmt: skip


def _same(expected: str | int | None, found: Value, one: Field) -> bool:
    unit = _UNITS.get(one.kind)
    if unit is None or expected is None:
        text = "" if expected is None else str(expected)
        return isinstance(found, str | None) and (found or "") == text.strip()
    if isinstance(found, str) or found is None:
        return False
    try:
        # A double holds the digits of an amount; what comes after them is its own noise.
        return int((Decimal(repr(found)) * unit).quantize(Decimal(1))) == expected
    except InvalidOperation:
        return False


def shown(value: str | int | None, one: Field) -> str:
    """A cell that was sent, as text."""
    unit = _UNITS.get(one.kind)
    if isinstance(value, int) and unit is not None:
        return f"{Decimal(value) / unit:f}"
    return "" if value is None else str(value)[:_SHOWN]


def _found(value: Value) -> str:
    return "" if value is None else str(value)[:_SHOWN]


def _answer(back: Returned, line: Line, cells: Cells, *, changed: bool) -> Answer:
    texts = {one.name: _text(line.values[_PLACE[one.name]]) for one in ANSWERS}
    said = _key(texts["answer"], ANSWER_WORDS)
    dispute = _key(texts["dispute"], DISPUTE_WORDS) if texts["dispute"] else ""
    remark = texts["remark"]
    why = ""
    if changed:
        protected = line.formulas & set(range(len(PROTECTED)))
        why = "formula" if protected else "protected_changed"
    elif line.formulas:
        why = "formula"
    elif texts["answer"] and said is None:
        why = "unknown_answer"
    elif dispute is None:
        why = "unknown_dispute"
    elif len(remark) > MOST_REMARK:
        why = "remark_too_long"
    mine = (back.hospital, str(cells[0]), back.file, line.row)
    # Codes typed with a Chinese keyboard are full-width.
    corrected = [normalize("NFKC", texts[name]) for name in ("new_pdx", "new_odx", "new_px")]
    if why:
        return Answer(*mine, REFUSED, why, dispute or "", remark[:MOST_REMARK])
    assert dispute is not None  # an unknown one was refused above
    if not said:
        if dispute or any(corrected):
            return Answer(*mine, REFUSED, "answer_missing", dispute, remark)
        return Answer(*mine, OPEN, "", "", remark)
    if said == ACCEPTED:
        if dispute or any(corrected):
            return Answer(*mine, REFUSED, "accepted_with_corrections", dispute, remark)
        return Answer(*mine, ACCEPTED, "", "", remark)
    if not dispute:
        return Answer(*mine, REFUSED, "dispute_without_reason", "", remark)
    if dispute != "codes":
        if any(corrected):
            return Answer(*mine, REFUSED, "codes_not_meant", dispute, remark)
        return Answer(*mine, DISPUTED, "", dispute, remark)
    dx, px, fault = _corrected(cells, *corrected)
    if fault:
        return Answer(*mine, REFUSED, fault, dispute, remark)
    return Answer(*mine, DISPUTED, "", dispute, remark, dx, px)


def _text(value: Value) -> str:
    return "" if value is None else str(value)


def _key(text: str, known: Mapping[str, str]) -> str | None:
    """The key of a word of a list, written whole or in one language; None for another word."""
    if not text:
        return ""
    given = text.casefold().strip()
    for key, word in known.items():
        if given in {key, word.casefold(), word.rpartition(" ")[0].casefold()}:
            return key
    return None


def _corrected(
    cells: Cells, new_pdx: str, new_odx: str, new_px: str
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None, str]:
    """(dx, px, fault): the corrected lists, None where a list stays."""
    place = {one.name: i for i, one in enumerate(PROTECTED)}
    had = {name: _list(str(cells[place[name]] or "")) for name in ("pdx", "odx", "px")}
    pdx = _list(new_pdx) if new_pdx else had["pdx"]
    odx = _list(new_odx) if new_odx else had["odx"]
    px = _list(new_px) if new_px else had["px"]
    if len(pdx) != 1 or new_pdx == NONE_LEFT:
        return None, None, "no_principal" if len(pdx) < 1 else "bad_code"
    if not new_odx:
        # A diagnosis that becomes the principal one is no longer another one.
        odx = tuple(code for code in odx if code != pdx[0])
    for codes, given in (((*pdx, *odx), new_pdx + new_odx), (px, new_px)):
        bad = any(len(code) > _LONGEST_CODE or not code.isprintable() for code in codes)
        if given and (bad or len(set(codes)) < len(codes)):
            return None, None, "bad_code"
    dx = (*pdx, *odx)
    changed_dx = dx != (*had["pdx"], *had["odx"])
    changed_px = px != had["px"]
    if not changed_dx and not changed_px:
        return None, None, "codes_missing"
    return dx if changed_dx else None, px if changed_px else None, ""


def _list(text: str) -> tuple[str, ...]:
    if text == NONE_LEFT:
        return ()
    return tuple(code for code in _SEPARATORS.split(text) if code)
