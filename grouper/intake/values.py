"""Reading values in SQL: text, numbers, money, dates and durations, each exact or not at all.

Every expression gives null for a value that cannot be read; `stage` tells such a value from an
empty one and keeps its text. What SQL does not read is read as in the CSV files of cases
(`grouper.cases.cells`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa

from grouper.cases import Column, Kind
from grouper.cases.cells import PLAIN, read_cell
from grouper.intake.fields import As
from grouper.intake.layout import Layout

if TYPE_CHECKING:
    import duckdb

SQL_TYPES: Mapping[As, str] = {
    As.TEXT: "VARCHAR",
    As.CODE: "VARCHAR",
    As.WHOLE: "INTEGER",
    As.FLOOR: "INTEGER",
    As.NEAREST: "INTEGER",
    As.MONEY: "DECIMAL(18,2)",
    As.TIME: "TIMESTAMP",
    As.FLAG: "BOOLEAN",
    As.MINUTES: "BIGINT",
    As.INSURANCE: "VARCHAR",
    As.FUND: "VARCHAR",
}
"""Type of a field in the work database, by how it is read."""

MAX_YUAN = "100000000000"
"""The largest amount of one row: what the case table holds."""

_SPACES = (9, 10, 13, 160, 12288, 0x200B, 0xFEFF)
"""Characters beside the blank that are cut from both ends, the Chinese blank among them."""

_KINDS = {As.WHOLE: Kind.INTEGER, As.MONEY: Kind.MONEY, As.TIME: Kind.TIME}

_WIDTHS = {pa.int8(): "TINYINT", pa.int16(): "SMALLINT", pa.int32(): "INTEGER"}

_ZONE = "Asia/Shanghai"
_TRUE = ("1", "1.0", "y", "yes", "t", "true", "是", "主要")
_FALSE = ("0", "0.0", "n", "no", "f", "false", "否", "其他")


def quoted(text: str) -> str:
    """A text as a literal."""
    return "'" + text.replace("'", "''") + "'"


def column(name: str) -> str:
    """A name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def _among(texts: Iterable[str]) -> str:
    return ", ".join(map(quoted, texts))


def mapped(text: str, values: Mapping[str, str], otherwise: str) -> str:
    """A text by a table of texts."""
    if not values:
        return otherwise
    arms = " ".join(f"WHEN {quoted(a)} THEN {quoted(b)}" for a, b in values.items())
    return f"CASE {text} {arms} ELSE {otherwise} END"


def add_functions(db: duckdb.DuckDBPyConnection) -> None:
    """Add what reads the cells that SQL does not: a function a kind, from text to plain text."""

    def reader(kind: Kind) -> Callable[[pa.ChunkedArray], pa.Array]:
        def read(texts: pa.ChunkedArray) -> pa.Array:
            coded = texts.combine_chunks().dictionary_encode()
            values = [_cell(text, kind) for text in coded.dictionary.to_pylist()]
            return pa.array(values, pa.string()).take(coded.indices)

        return read

    for kind in _KINDS.values():
        db.create_function(
            _function(kind),
            reader(kind),
            ["VARCHAR"],
            "VARCHAR",
            type="arrow",
            null_handling="special",
        )


def _cell(text: str, kind: Kind) -> str | None:
    try:
        value = read_cell(text, kind)
    except (ValueError, ArithmeticError):
        return None
    if value is None or (isinstance(value, Decimal) and abs(value) > int(MAX_YUAN)):
        return None
    return str(value)


def _function(kind: Kind) -> str:
    return f"cell_{kind.name.lower()}"


def _or_cell(found: str, text: str, read: As) -> str:
    """What SQL has found, else what the cell means."""
    cell = f"{_function(_KINDS[read])}({text})"
    return (
        f"coalesce({found}, TRY_CAST(CASE WHEN {text} <> '' THEN {cell} END AS {SQL_TYPES[read]}))"
    )


class Reading:
    """The expressions of one layout."""

    def __init__(self, layout: Layout) -> None:
        """Take the null texts, date formats and code tables from the layout."""
        self._layout = layout
        self._formats = "[" + _among(layout.date_formats) + "]"

    def raw(self, source: str, kind: pa.DataType) -> str:
        """A source column as text."""
        if pa.types.is_floating(kind):
            # Whole numbers come from spreadsheets and databases as 3.0.
            return (
                f"CASE WHEN {source} = trunc({source}) AND abs({source}) < 1e15"
                f" THEN {source}::BIGINT::VARCHAR ELSE {source}::VARCHAR END"
            )
        if pa.types.is_timestamp(kind) and kind.tz is not None:
            return f"({source} AT TIME ZONE '{_ZONE}')::VARCHAR"
        return f"{source}::VARCHAR"

    def meant(self, texts: Iterable[str]) -> str:
        """The first of some trimmed texts that means something; null where none does."""
        nulls = _among(self._layout.nulls)
        parts = [f"CASE WHEN {text} NOT IN ({nulls}) THEN {text} END" for text in texts]
        return f"coalesce({', '.join(parts)})"

    def typed(self, source: str, kind: pa.DataType, read: As) -> str | None:
        """A field's value from a column of a fitting type; None where its text must be read."""
        whole = pa.types.is_integer(kind)
        match read:
            case As.WHOLE | As.FLOOR | As.NEAREST if whole:
                return f"TRY_CAST({source} AS INTEGER)"
            case As.MONEY if whole:
                return _bounded(f"TRY_CAST({source} AS DECIMAL(18,2))")
            case As.MONEY if pa.types.is_decimal128(kind) and 0 <= kind.scale <= 2:
                return _bounded(f"TRY_CAST({source} AS DECIMAL(18,2))")
            case As.TIME if pa.types.is_date32(kind):
                return f"{source}::TIMESTAMP"
            case As.TIME if pa.types.is_timestamp(kind) and kind.tz is None:
                return f"date_trunc('second', {source}::TIMESTAMP)"
            case As.FLAG if pa.types.is_boolean(kind):
                return source
            case _:
                return None

    def value(self, given: str, text: str, source: str, kind: pa.DataType, read: As) -> str:
        """A field's value.

        Args:
            given: name of the column with the text of `meant`, its values mapped.
            text: name of the column with the same text in `plain` characters.
            source: the source column as it came, of the type `kind`.
        """
        match read:
            case As.TEXT:
                return given
            case As.CODE:
                return text
            case As.WHOLE | As.FLOOR | As.NEAREST:
                return _or_cell(_whole(text, read), text, As.WHOLE)
            case As.MONEY if pa.types.is_floating(kind):
                return _float_money(source)
            case As.MONEY:
                return _or_cell(_money(text), text, read)
            case As.TIME:
                return _or_cell(self._time(text), text, read)
            case As.FLAG:
                low = f"lower({text})"
                return (
                    f"CASE WHEN {low} IN ({_among(_TRUE)}) THEN true"
                    f" WHEN {low} IN ({_among(_FALSE)}) THEN false END"
                )
            case As.MINUTES:
                return _minutes(text)
            case As.INSURANCE:
                return _coded(given, text, self._layout.insurance)
            case As.FUND:
                return _coded(given, text, self._layout.funds)

    def _time(self, text: str) -> str:
        # The interface writes local times; a time that says another zone is not guessed at. Of a
        # year with two digits DuckDB would make one of the first century, and of words a time.
        local = f"regexp_replace({text}, '[+]08:?00$', '')"
        year_first = r"'[0-9]{4}[-/ \\][-/ \\0-9]*([T ][0-9:. ]*)?'"
        cast = f"CASE WHEN regexp_full_match({local}, {year_first})"
        cast += f" THEN TRY_CAST({local} AS TIMESTAMP) END"
        # 2024111 is a day in January or in November.
        unclear = "[0-9]([0-9]{2})*|[-A-Za-z]+"
        if not any("%y" in one for one in self._layout.date_formats):
            unclear += "|[0-9]{2}年.*"
        said = f"CASE WHEN NOT regexp_full_match({text}, '{unclear}') THEN {local} END"
        found = f"coalesce({cast}, try_strptime({said}, {self._formats}))"
        # Of a spreadsheet's times the microseconds are noise.
        return f"date_trunc('second', {found})"


def plain(text: str) -> str:
    """A text in the characters that full-width ones stand for, without blanks at its ends."""
    kept = {code: to for code, to in PLAIN.items() if to}
    wide = quoted("".join(map(chr, (*kept, *(PLAIN.keys() - kept)))))
    mended = f"trim(translate({text}, {wide}, {quoted(''.join(kept.values()))}))"
    return f"CASE WHEN strlen({text}) = length({text}) THEN {text} ELSE {mended} END"


def fitting(value: str, column: Column) -> str:
    """A whole number, or null where a column does not hold it."""
    kind = _WIDTHS.get(column.type)
    return f"TRY_CAST({value} AS {kind})" if kind else value


def trimmed(text: str) -> str:
    """A text without blanks at its ends."""
    # Cutting by a set of characters costs four times as much as cutting blanks.
    odd = " OR ".join(f"contains({text}, chr({code}))" for code in _SPACES)
    every = " || ".join(f"chr({code})" for code in (32, *_SPACES))
    return f"CASE WHEN {odd} THEN trim({text}, {every}) ELSE trim({text}) END"


def _coded(given: str, text: str, codes: Mapping[str, str]) -> str:
    return mapped(given, codes, mapped(text, codes, "NULL"))


def _whole(text: str, read: As) -> str:
    number = f"TRY_CAST({text} AS DECIMAL(18,4))"
    match read:
        case As.FLOOR:
            return f"TRY_CAST(floor({number}) AS INTEGER)"
        case As.NEAREST:
            return f"TRY_CAST(round({number}, 0) AS INTEGER)"
        case _:
            return (
                f"CASE WHEN {number} = floor({number})"
                f" THEN TRY_CAST(floor({number}) AS INTEGER) END"
            )


def _money(text: str) -> str:
    plain = r"'[+-]?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)([.][0-9]{0,2}0*)?'"
    power = r"'[+-]?[0-9]([.][0-9]+)?[eE][+-]?[0-9]{1,2}'"
    # A number such as 1.234567E7 is how some programs write large amounts.
    exact = f"TRY_CAST({text} AS DECIMAL(36,18))"
    found = (
        f"CASE WHEN regexp_full_match({text}, {plain})"
        f" THEN TRY_CAST(replace({text}, ',', '') AS DECIMAL(18,2))"
        f" WHEN regexp_full_match({text}, {power}) AND {exact} = round({exact}, 2)"
        f" THEN TRY_CAST({exact} AS DECIMAL(18,2)) END"
    )
    return _bounded(found)


def _float_money(source: str) -> str:
    fen = f"round({source} * 100)"
    near = f"(abs({source} * 100 - {fen}) <= 1e-6 OR {fen} / 100 = {source})"
    found = (
        f"CASE WHEN isfinite({source}) AND abs({source}) <= {MAX_YUAN} AND {near}"
        f" THEN ({fen}::BIGINT::DECIMAL(18,0) * 0.01)::DECIMAL(18,2) END"
    )
    return _bounded(found)


def _bounded(money: str) -> str:
    return f"CASE WHEN abs({money}) <= {MAX_YUAN} THEN {money} END"


def _minutes(text: str) -> str:
    slashed = r"'[0-9]{1,5}/[0-9]{1,6}/[0-9]{1,7}'"
    words = r"'([0-9]{1,5}天)?([0-9]{1,6}小?时)?([0-9]{1,7}分钟?)?'"
    hours = f"TRY_CAST({text} AS DECIMAL(18,4))"

    def said(unit: str) -> str:
        return f"coalesce(TRY_CAST(regexp_extract({text}, '([0-9]+){unit}', 1) AS BIGINT), 0)"

    def part(number: int) -> str:
        return f"split_part({text}, '/', {number})::BIGINT"

    return (
        f"CASE WHEN regexp_full_match({text}, {slashed})"
        f" THEN {part(1)} * 1440 + {part(2)} * 60 + {part(3)}"
        f" WHEN {hours} >= 0 AND {hours} < 1000000 THEN TRY_CAST(floor({hours} * 60) AS BIGINT)"
        f" WHEN regexp_full_match({text}, {words})"
        f" THEN {said('天')} * 1440 + {said('小?时')} * 60 + {said('分')} END"
    )
