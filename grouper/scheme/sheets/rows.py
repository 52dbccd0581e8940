"""Reading the rows of one table: cells, codes that are mended, and what could not be read."""

from __future__ import annotations

import re
from collections.abc import Iterable

from grouper.errors import PackError
from grouper.scheme.imported import Unread
from grouper.scheme.sheets.cells import Row
from grouper.scheme.sheets.codes import plain, split_codes
from grouper.scheme.sheets.find import Found
from grouper.scheme.sheets.gathered import Gathered, Group, node_name
from grouper.scheme.sheets.words import List

# 注意缺陷多动障碍 and 注射… are names beside a missing code.
_REMARK = re.compile(
    r"注(?!意[\u3400-\u9fff]|射)|备注|说明|合计|总计|制表|note\b|total\b", re.IGNORECASE
)
_VARIANT = re.compile(r"0*([1-9][0-9]?)")
CODES_AT_MOST = 80
"""Characters of a cell that are told."""


class RowReader:
    """One table's rows on their way into what is gathered."""

    def __init__(self, into: Gathered, table: Found) -> None:
        self.into = into
        self.table = table
        self.file = table.sheet.place
        self.row = Row(0, ())
        self.group: Group | None = None
        self.listed: List | None = None
        self.carried = ""

    def cell(self, key: str) -> str:
        """A cell of the row by its column; empty where there is none."""
        at = self.table.columns.get(key)
        return "" if at is None or at >= len(self.row.cells) else self.row.cells[at].strip()

    def name(self, key: str) -> str:
        """A cell in one line."""
        return " ".join(self.cell(key).split())

    def lost(self, message: str) -> None:
        """Tell of a row or cell that is left out."""
        self.into.unread.append(Unread(self.file, self.row.number, message))

    def note(self, kind: str, message: str) -> None:
        """Tell what was mended or assumed."""
        self.into.unread.append(Unread(self.file, self.row.number, message, False, kind))

    def codes(self, at: int | None, text: str | None = None) -> list[str]:
        """The codes of a cell; what is none is told, and so is what was mended."""
        if text is None:
            text = self.row.cells[at] if at is not None and at < len(self.row.cells) else ""
        found: list[str] = []
        for one in split_codes(text):
            if not one.code:
                self.lost(f"{one.written[:CODES_AT_MOST]!r} is no code")
                continue
            if one.mended:
                self.note("code-form", f"{one.written!r} is read as {one.code}")
            if at is not None and (self.row.number, at) in self.table.sheet.numbers:
                told = f"{one.code} is a number in the workbook and may have lost zeros"
                self.note("number", f"{told}; format the column as text")
            if one.name:
                self.into.listed[one.code[0].isdigit()].setdefault(one.code, one.name)
            found.append(one.code)
        return found

    def code(self) -> list[str]:
        """The codes of the column `code`, with the name beside them kept."""
        at = self.table.columns.get("code")
        found = self.codes(at)
        name = self.name("name")
        if len(found) == 1 and name:
            self.into.listed[found[0][0].isdigit()].setdefault(found[0], name)
        if not found and not self.cell("code"):
            self.empty("the code is missing")
        return found

    def empty(self, message: str) -> None:
        """A row without its key: a remark is passed over, anything else is told."""
        texts = [text for text in self.row.cells if text.strip()]
        if not _REMARK.match(texts[0].strip(" （(*") if texts else "注"):
            self.lost(message)

    def in_list(self, named: List, codes: Iterable[str]) -> None:
        """Add codes to a list of the group at hand."""
        assert self.group is not None
        members = self.group.lists.setdefault(named, {})
        for code in codes:
            if code in members:
                self.note("duplicate", f"{code} stands twice in {self.group.code} {named}")
            members[code] = None

    def named(self, group: Group, name: str) -> None:
        """Give a group its name; the first holds."""
        if name and group.name and name != group.name:
            self.note("name", f"{group.code} has two names, {group.name!r} and {name!r}")
        group.name = group.name or name

    def own(self, groups: dict[str, Group], code: str, variant: int = 0) -> Group:
        """The group of a code, new where it is not there yet."""
        node = node_name(code, variant)
        if node not in groups:
            groups[node] = Group(code, self.file, self.row.number, variant=variant)
        return groups[node]

    def variant(self) -> int:
        """The number in the column 情形 (variant); 0 where it is empty.

        Raises:
            PackError: it is no number; the row left out would change what other rows mean.
        """
        said = self.cell("variant")
        if not said:
            return 0
        found = _VARIANT.fullmatch(plain(said).removeprefix("情形"))
        if found is None:
            raise self.fault(
                f"the column 情形 (variant) holds {said[:CODES_AT_MOST]!r}",
                "number the variants of an ADRG 1, 2, 3 …, at most 99; empty where it has one only",
            )
        return int(found.group(1))

    def fault(self, message: str, hint: str) -> PackError:
        """An error at the row."""
        return PackError(message, file=self.file, line=self.row.number, hint=hint)

    def on_site(self, family: str, site: str, codes: Iterable[str]) -> None:
        """Put codes on a site of the body."""
        members = self.into.sites.setdefault(family, {})
        for code in codes:
            if members.setdefault(code, site) != site:
                self.lost(f"{code} lies on two sites, {members[code]} and {site}; the first holds")

    def once(self, members: dict[str, str], value: str, what: str) -> None:
        """Give each code of the row a value, of which it has one."""
        for code in self.code():
            known = members.get(code)
            if known is None:
                members[code] = value
            elif known != value:
                self.lost(f"{what} {code} has {value!r} here and {known!r} above; the first holds")
            else:
                self.note("duplicate", f"{what} {code} stands twice")
