"""The rows of the tables, gathered: groups with their lists, subgroups, severities, names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from grouper.scheme.sheets.codes import flag, group_code, mdc_letter, plain
from grouper.scheme.sheets.find import Found
from grouper.scheme.sheets.gathered import Gathered, Group, Subgroup
from grouper.scheme.sheets.rows import CODES_AT_MOST, RowReader
from grouper.scheme.sheets.variants import OF_A_DRG, agree, settle
from grouper.scheme.sheets.words import List, heading, list_of

_DECIMAL = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?")
_NEXT = ("和", "且", "并且", "同时", "AND")


def gather(tables: Iterable[Found]) -> Gathered:
    """Read the rows of all tables.

    Raises:
        PackError: rows that number the variants of an ADRG contradict one another.
    """
    found = Gathered()
    for table in tables:
        _Reader(found, table).read()
    settle(found)
    return found


class _Reader(RowReader):
    """One table's rows on their way into what is gathered."""

    def read(self) -> None:
        readers: Mapping[str, Callable[[], None]] = {
            "mdc": self.mdc,
            "mdc_dx": self.mdc_dx,
            "adrg": self.adrg,
            "drg": self.drg,
            "drg_codes": self.owned,
            "mcc": lambda: self.severity("MCC"),
            "cc": lambda: self.severity("CC"),
            "severity": lambda: self.severity(""),
            "exclusions": self.exclusion,
            "dx": lambda: self.names(self.into.dx),
            "px": lambda: self.names(self.into.px),
            "or_px": lambda: self.names({}, operated=True),
            "sites": self.sites,
            "dx_map": lambda: self.changes(self.into.dx_map),
            "px_map": lambda: self.changes(self.into.px_map),
            "scheme": self.scheme,
        }
        reader = readers[self.table.role]
        for row in self.table.rows:
            self.row = row
            reader()

    def condition(self) -> None:
        assert self.group is not None
        text = self.cell("when")
        if text and all(text != told for told, _, _ in self.group.conditions):
            self.group.conditions.append((text, self.file, self.row.number))

    def the_mdc(self, *, keep: bool) -> bool:
        """The MDC of the row, or with `keep` the one above it."""
        text = self.cell("mdc")
        if text:
            letter = mdc_letter(text.split()[0])
            self.group = self.own(self.into.mdcs, letter) if letter else None
            if self.group is None:
                self.empty(f"{text[:CODES_AT_MOST]!r} is no MDC such as MDCB")
        elif not keep or self.group is None:
            self.group = None
            self.empty("the row stands under no MDC")
        if self.group is not None:
            self.named(self.group, self.name("mdc_name"))
        return self.group is not None

    def mdc(self) -> None:
        if self.the_mdc(keep=False) and self.group is not None:
            self.group.order = self.cell("order") or self.group.order
            self.condition()
            for named, at in self.table.lists:
                self.in_list(named, self.codes(at))

    def mdc_dx(self) -> None:
        if not self.the_mdc(keep=True) or self.group is None:
            return
        codes = self.code()
        self.in_list(List("pdx"), codes)
        self.carried = self.cell("site") or (self.carried if not self.cell("mdc") else "")
        if self.carried:
            self.on_site(f"MDC{self.group.code}", self.carried, codes)

    def adrg(self) -> None:
        text, variant = self.cell("adrg"), self.variant()
        if plain(text).upper().startswith("MDC") and mdc_letter(text):
            # Lists of an MDC beside its diagnoses, such as the procedures of MDCA.
            self.group, self.listed = self.own(self.into.mdcs, mdc_letter(text)), None
        elif text:
            first, _, behind = text.partition(" ")
            code = group_code(first if group_code(first) else text)
            if len(code) != 3:
                self.group = None
                told = "; lists of a DRG stand in a table of DRG编码, 列表 and 编码"
                self.empty(f"{text[:CODES_AT_MOST]!r} is no ADRG such as BB1{told if code else ''}")
                return
            self.named(self.stated(code, variant), self.name("adrg_name") or behind.strip())
        elif variant and self.group is not None and len(self.group.code) == 3:
            self.named(self.stated(self.group.code, variant), self.name("adrg_name"))
        if self.group is None:
            self.empty("the row stands under no ADRG")
            return
        if variant and not self.group.variant:
            raise self.fault(
                f"the column 情形 (variant) numbers MDC{self.group.code}",
                "only ADRGs have variants; leave the cell empty",
            )
        letter = mdc_letter(self.cell("mdc")) or self.group.code[0]
        if self.name("mdc_name"):
            self.named(self.own(self.into.mdcs, letter), self.name("mdc_name"))
        if letter != self.group.code[0]:
            self.note("mdc", f"{self.group.code} stands under MDC{letter}; its letter holds")
        self.condition()
        self.members()

    def stated(self, code: str, variant: int) -> Group:
        """The ADRG, or the variant of it, that the row and those below it speak of."""
        group = self.own(self.into.adrgs, code, variant)
        if group is not self.group:
            self.listed = None
        self.group = group
        self.into.stated.setdefault(code, {}).setdefault(
            bool(variant), (self.file, self.row.number)
        )
        return group

    def owned(self) -> None:
        """Lists that a DRG has of its own."""
        text = self.cell("drg")
        if text:
            code = group_code(text.split()[0])
            if not 4 <= len(code) <= 5:
                self.group = None
                told = "is undivided, its lists are those of its ADRG"
                self.empty(
                    f"{code} {told}"
                    if len(code) == 3
                    else f"{text[:CODES_AT_MOST]!r} is no DRG such as BB11"
                )
                return
            if self.group is None or self.group.code != code:
                self.listed = None
            self.group = self.own(self.into.owned, code)
        if self.group is None:
            self.empty("the row stands under no DRG")
            return
        self.members()

    def members(self) -> None:
        """The codes of the row: of its columns, or of the long form."""
        for named, at in self.table.lists:
            self.in_list(named, self.codes(at))
        if "code" in self.table.columns:
            self.member()

    def member(self) -> None:
        """A row of the long form: one code, in the list that its row or a line above it names."""
        assert self.group is not None
        said = self.cell("list")
        if said:
            self.listed = list_of(said)
            if self.listed is None:
                self.lost(f"{said[:CODES_AT_MOST]!r} is no list such as 主要诊断 or 手术1")
                return
        text = self.cell("code")
        if not text or plain(text).upper() == self.group.code or self.marker(text):
            if plain(text).upper() == self.group.code:
                self.named(self.group, self.name("name"))
            return
        for code in self.code():
            kind = "ppx" if code[0].isdigit() else "pdx"
            self.in_list(self.listed or List("ppx" if kind == "ppx" else "pdx"), [code])

    def marker(self, text: str) -> bool:
        """A line between codes that says which list follows, such as 包含以下主要诊断."""
        assert self.group is not None
        word = heading(text)
        if word in _NEXT:
            last = self.listed or List("any_px", 1)
            self.listed = List(last.kind, max(last.number, 1) + 1)
            return True
        if word in ("全部手术", "包含全部手术", "任意手术", "无手术"):
            self.group.conditions.append(
                ("无手术" if word == "无手术" else "任意手术", self.file, self.row.number)
            )
            return True
        if "或其他诊断" in word:
            self.listed = List("any_dx")
            return True
        together = word.startswith("同时包含")
        named = list_of(re.sub(r"^(?:同时)?包含(?:以下)?(?:任一|任意)?", "", word))
        if named is None:
            return False
        self.listed = List(named.kind, 1) if together and not named.number else named
        return True

    def drg(self) -> None:
        text = self.cell("drg")
        code = group_code(text.split()[0]) if text else ""
        if not 3 <= len(code) <= 5:
            if plain(text) != "0000":
                told = f"{text[:CODES_AT_MOST]!r} is no DRG such as BB11" if text else ""
                self.empty(told or "the DRG is missing")
            return
        adrg = group_code(self.cell("adrg"))
        if adrg and adrg != code[:3]:
            self.note("adrg", f"{code} stands under {adrg}; its first three characters hold")
        weight = self.cell("weight")
        if not weight.strip("-/—"):
            weight = ""
        if weight and not _DECIMAL.fullmatch(plain(weight)):
            self.lost(f"the weight {weight!r} of {code} is no decimal")
            weight = ""
        flags: dict[str, str] = {}
        for key in ("basic", "stable"):
            said = flag(self.cell(key))
            if said is None:
                self.lost(f"{key} of {code} is {self.cell(key)!r}; write 1, 0, 是 or 否")
            flags[key] = said or ""
        row = Subgroup(
            code, self.file, self.row.number, code[:3], self.name("drg_name"),
            self.cell("when"), plain(weight), flags["basic"], flags["stable"],
            self.variant() if "variant" in self.table.columns else None,
        )  # fmt: skip
        if adrg == code[:3] and self.name("adrg_name"):
            self.named(self.own(self.into.adrgs, adrg), self.name("adrg_name"))
        if self.name("mdc_name"):
            self.named(self.own(self.into.mdcs, code[0]), self.name("mdc_name"))
        self.merge(row)

    def merge(self, row: Subgroup) -> None:
        """A DRG of several tables (list, weights) is one; what differs is told."""
        old = self.into.drgs.setdefault((row.code, row.variant or 0), row)
        if old is row:
            return
        if (old.file, old.name, old.weight) == (row.file, row.name, row.weight):
            self.note("duplicate", f"the DRG {row.code} stands twice")
        # A row that says which variants it is of, if only that it is of all, holds.
        old.variant = row.variant if old.variant is None else old.variant
        self.into.unread.extend(agree(old, row, ("when", *OF_A_DRG)))

    def severity(self, level: str) -> None:
        if not level:
            said = plain(self.cell("level")).upper()
            level = "MCC" if said in ("MCC", "严重") else "CC" if said in ("CC", "一般") else ""
            if not level:
                self.empty(f"the level {self.cell('level')!r} is neither MCC nor CC")
                return
        self.once(self.into.severity[level], plain(self.cell("exclusion")), f"the {level}")

    def exclusion(self) -> None:
        self.carried = plain(self.cell("exclusion")) or self.carried
        if not self.carried:
            self.empty("the row stands under no exclusion list")
            return
        self.once(self.into.exclusions, self.carried, "the principal diagnosis")

    def names(self, members: dict[str, str], *, operated: bool = False) -> None:
        said = "1" if operated else flag(self.cell("or"))
        if said is None:
            self.lost(f"{self.cell('or')!r} is neither 1 nor 0")
        for code in self.code():
            if code in members:
                self.note("duplicate", f"{code} stands twice")
            members.setdefault(code, self.name("name"))
            if said == "1":
                self.into.or_px[code] = None

    def sites(self) -> None:
        self.carried = self.name("site") or self.carried
        if not self.carried:
            self.empty("the row stands under no site")
            return
        self.on_site(plain(self.cell("family")) or "MDCZ", self.carried, self.code())

    def changes(self, members: dict[str, str]) -> None:
        old, new = self.codes(self.table.columns["from"]), self.cell("to")
        into = "-" if plain(new) in ("-", "—") else next(iter(self.codes(None, new)), "")
        if len(old) != 1 or not into:
            self.empty("a code of each edition stands in a row; - drops the code")
        elif members.setdefault(old[0], into) != into:
            self.lost(f"{old[0]} becomes {into} here and {members[old[0]]} above; the first holds")

    def scheme(self) -> None:
        if self.cell("key"):
            head, dot, name = self.cell("key").split()[0].partition(".")
            self.into.scheme[f"{head.lower()}{dot}{name}"] = self.cell("value")
