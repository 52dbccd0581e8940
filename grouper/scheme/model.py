"""What a scheme pack says, as values: the decision list, code sets, severities and weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from grouper.scheme.rules import Rule


@dataclass(frozen=True, slots=True)
class Drg:
    """A DRG alternative under an ADRG node (DRG 细分组).

    Attributes:
        line, file: where the row stands.
        text: the rule as written.
    """

    code: str
    name: str
    when: Rule
    line: int
    text: str
    file: str = field(default="groups.csv", compare=False)

    @property
    def node(self) -> str:
        """A DRG row is named by its code."""
        return self.code

    @property
    def ambiguous(self) -> bool:
        """Whether this is the MDC's group for ambiguous cases (歧义病案), such as `BQY`."""
        return self.code[1:3] == "QY"


@dataclass(frozen=True, slots=True)
class Adrg:
    """One node of an ADRG (核心疾病诊断相关组); several nodes may share one `code`."""

    node: str
    code: str
    name: str
    when: Rule
    line: int
    text: str
    drgs: tuple[Drg, ...]
    file: str = field(default="groups.csv", compare=False)


@dataclass(frozen=True, slots=True)
class Mdc:
    """A major diagnostic category (主要诊断大类) with its ADRG nodes in evaluation order."""

    node: str
    code: str
    name: str
    when: Rule
    line: int
    text: str
    adrgs: tuple[Adrg, ...]
    file: str = field(default="groups.csv", compare=False)


@dataclass(frozen=True, slots=True)
class Weight:
    """The published relative weight (权重) of a DRG.

    Attributes:
        weight: exact decimal as published; None where none was published.
        basic: basic group (基础病组); None where the pack does not say.
        stable: stable group (稳定病组); None where the pack does not say.
    """

    weight: Fraction | None
    basic: bool | None
    stable: bool | None
    line: int = 0


@dataclass(frozen=True)
class Pack:
    """One scheme pack, parsed and checked.

    Attributes:
        id: the scheme's name for programs.
        mdcs: the decision list in evaluation order.
        sets: set name to its codes as written (`I21%` is a prefix), in file order.
        sites: family to (code as written) to site.
        severity: level (`MCC`, `CC`) to (code as written) to exclusion list, `""` for none.
        exclusions: principal diagnosis as written to the exclusion list it switches off.
        dx, px: known codes and their names.
        dx_map, px_map: codes of other editions; `-` drops the code.
        weights: by DRG; empty where the pack publishes none.
        attributes: further integer case columns and what they mean.
        digest: SHA-256 over the bytes of all files of the pack, and of those it extends.
        source: the pack's folder.
    """

    id: str
    title: str
    base: str
    valid_from: date | None
    valid_to: date | None
    retry_other_procedures: bool
    attributes: Mapping[str, str]
    mdcs: tuple[Mdc, ...]
    sets: Mapping[str, tuple[str, ...]]
    sites: Mapping[str, Mapping[str, str]]
    severity: Mapping[str, Mapping[str, str]]
    exclusions: Mapping[str, str]
    dx: Mapping[str, str]
    px: Mapping[str, str]
    dx_map: Mapping[str, str]
    px_map: Mapping[str, str]
    weights: Mapping[str, Weight]
    digest: str
    source: str = field(default="", compare=False)

    def nodes(self) -> Iterator[Mdc | Adrg | Drg]:
        """Every row of the decision list, in its order."""
        for mdc in self.mdcs:
            yield mdc
            for adrg in mdc.adrgs:
                yield adrg
                yield from adrg.drgs

    def drg_rows(self) -> Iterator[tuple[Mdc, Adrg, Drg]]:
        """Every DRG alternative with its ADRG node and MDC, in evaluation order."""
        for mdc in self.mdcs:
            for adrg in mdc.adrgs:
                for drg in adrg.drgs:
                    yield mdc, adrg, drg
