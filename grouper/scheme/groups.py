"""`groups.csv`: from its rows to the decision list."""

from __future__ import annotations

from collections.abc import Iterable

from grouper.errors import PackError
from grouper.scheme import rules
from grouper.scheme.model import Adrg, Drg, Mdc
from grouper.scheme.rules import Rule
from grouper.scheme.tables import Line

_ORDER = "list an MDC, then its ADRG nodes, each followed by its DRGs"


class _List:
    """The decision list under construction."""

    def __init__(self, attributes: frozenset[str]) -> None:
        self.attributes = attributes
        self.mdcs: list[Mdc] = []
        self.adrgs: list[Adrg] = []
        self.drgs: list[Drg] = []
        self.mdc: tuple[Line, Rule] | None = None
        self.adrg: tuple[Line, Rule] | None = None
        self.seen: dict[tuple[str, str], Line] = {}

    def add(self, line: Line) -> None:
        level, code = line.cells["level"], line.cells["code"]
        if not line.cells["node"] or not code:
            raise line.fault(
                "node and code may not be empty",
                hint="code is what is reported; node is a name for this row, often the code itself",
            )
        if level == "mdc":
            self.close_mdc()
            self.once(line)
            self.mdc = (line, self.rule(line))
        elif level == "adrg":
            if self.mdc is None:
                raise line.fault(f"the ADRG {code} stands before any mdc row", hint=_ORDER)
            self.close_adrg()
            self.once(line)
            self.adrg = (line, self.rule(line))
        elif level == "drg":
            if self.mdc is None or self.adrg is None:
                raise line.fault(f"the DRG {code} stands under no adrg row", hint=_ORDER)
            _check_drg(line, self.mdc[0], self.adrg[0], self.drgs)
            when = self.rule(line)
            self.drgs.append(
                Drg(code, line.cells["name"], when, line.number, line.cells["when"], line.file)
            )
        else:
            raise line.fault(f"unknown level {level!r}", hint="mdc, adrg or drg")

    def once(self, line: Line) -> None:
        level, node = line.cells["level"], line.cells["node"]
        first = self.seen.setdefault((level, node), line)
        if first is not line:
            raise line.fault(
                f"the {level} node {node} stands already in line {first.number}",
                rule=line.cells["when"],
                hint="give each node of a level its own name (AH1_1, AH1_2); code may repeat",
            )

    def rule(self, line: Line) -> Rule:
        text, node = line.cells["when"], line.cells["node"]
        try:
            return rules.parse(text, self.attributes)
        except rules.RuleSyntaxError as error:
            raise line.fault(
                f"the rule of {node} cannot be read at column {error.column}: {error}",
                rule=text,
                hint="further integer columns are declared under [attributes] in scheme.toml"
                if "unknown name" in str(error)
                else "see 'Rules' in docs/scheme-packs.md",
            ) from None

    def close_adrg(self) -> None:
        if self.adrg is not None:
            line, when = self.adrg
            text = line.cells["when"]
            self.adrgs.append(
                Adrg(*_names(line), when, line.number, text, tuple(self.drgs), line.file)
            )
            self.drgs.clear()
            self.adrg = None

    def close_mdc(self) -> None:
        self.close_adrg()
        if self.mdc is not None:
            line, when = self.mdc
            text = line.cells["when"]
            self.mdcs.append(
                Mdc(*_names(line), when, line.number, text, tuple(self.adrgs), line.file)
            )
            self.adrgs.clear()
            self.mdc = None


def decision_list(lines: Iterable[Line], attributes: frozenset[str]) -> tuple[Mdc, ...]:
    """The MDCs with all that stands under them.

    Raises:
        PackError: the rows are no decision list, or a rule cannot be read.
    """
    found = _List(attributes)
    for line in lines:
        found.add(line)
    found.close_mdc()
    if not found.mdcs:
        raise PackError("no mdc row", file="groups.csv", hint="a scheme has at least one MDC")
    return tuple(found.mdcs)


def _names(line: Line) -> tuple[str, str, str]:
    return line.cells["node"], line.cells["code"], line.cells["name"]


def _check_drg(line: Line, mdc: Line, adrg: Line, siblings: list[Drg]) -> None:
    code, rule = line.cells["code"], line.cells["when"]
    if line.cells["node"] != code:
        raise line.fault(
            f"the node {line.cells['node']} of a drg row must equal its code {code}",
            rule=rule,
            hint="write the code in both columns",
        )
    if code[0] != mdc.cells["code"]:
        raise line.fault(
            f"the first letter of the DRG {code} is not its MDC {mdc.cells['code']}",
            rule=rule,
            hint=f"move it under its MDC, or give it a code that begins with {mdc.cells['code']}",
        )
    for other in siblings:
        if other.code == code:
            raise line.fault(
                f"the DRG {code} stands twice under the node {adrg.cells['node']}"
                f" (first in line {other.line})",
                rule=rule,
                hint="join the two conditions with 'or'",
            )
