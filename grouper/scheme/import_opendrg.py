"""Import of a scheme from a user's own checkout of OpenDRG's DRG_Python.

The checkout states each scheme as Python files of one regular form: a file per MDC with its gate
and an ordered list of ADRGs, a file per ADRG with code lists and one condition, a file per MDC with
the conditions of its DRGs, sometimes further alternatives in `DRG_EX`, and tables. The files are
read as text through Python's `ast` and never executed. What cannot be read is reported with file
and line, and left out of the pack.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grouper.errors import PackError
from grouper.scheme.identity import Identity
from grouper.scheme.import_checkout import VariantFiles, variants
from grouper.scheme.import_python import Scope, Sets
from grouper.scheme.import_syntax import (
    both,
    called,
    gate,
    literal,
    mentions,
    positive,
    returned,
    returns_true,
)
from grouper.scheme.import_terms import Unreadable
from grouper.scheme.imported import Imported
from grouper.scheme.layers import BUILTIN
from grouper.scheme.pack import read_pack
from grouper.scheme.rules import FALSE, TRUE, Rule, Sites
from grouper.scheme.write import write_pack

__all__ = ["Imported", "import_variant", "variants", "write_variant"]

_SITE_LABEL = "创伤"
_SET_NAMES = {"zd": "dx", "ss": "px"}


def import_variant(checkout: Path, variant: str) -> Imported:
    """Read one variant.

    Raises:
        PackError: there is no such variant, or one of its files cannot be read at all.
    """
    found = variants(checkout)
    if variant not in found:
        raise PackError(
            f"the checkout has no variant {variant!r}", hint=f"it has {', '.join(found)}"
        )
    return _Variant(VariantFiles(found[variant])).read()


def write_variant(imported: Imported, out: Path) -> None:
    """Write an imported scheme as a pack."""
    write_pack(out, imported.identity, imported.rows)


@dataclass(frozen=True, slots=True)
class _Alternative:
    code: str
    when: Rule


@dataclass
class _Variant:
    files: VariantFiles
    sets: Sets = field(default_factory=Sets)
    sites: list[Sequence[str]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def read(self) -> Imported:
        self.names = self.files.table("DATA/DRG")
        groups = list(self.groups())
        if not groups:
            raise PackError(
                f"no MDC of {self.files.folder.name} could be read",
                file=f"{self.files.folder.name}/Grouper.py",
                hint="the checkout may be of another form; "
                + (
                    str(self.files.unread[0])
                    if self.files.unread
                    else "its Grouper.py calls no MDC"
                ),
            )
        valid = self.files.table("DATA/SS_VALID")
        severity = [
            (code, level, exclusion)
            for level in ("MCC", "CC")
            for code, exclusion in self.files.table(f"DATA/{level}").items()
        ]
        rows: dict[str, Iterable[Sequence[str]]] = {
            "groups.csv": groups,
            "sets.csv": [
                *((name, code) for name, codes in self.sets.sets.items() for code in codes),
                *(("or_px", code) for code in valid),
            ],
            "sites.csv": self.sites,
            "severity.csv": severity,
            "exclusions.csv": self.files.table("DATA/CCE").items(),
            "dx.csv": self.files.table("ICD/ZD_INFO").items(),
            "px.csv": self.files.table("ICD/SS_INFO").items(),
            "dx_map.csv": self.files.changes("ICD/ZD_MAP"),
            "px_map.csv": self.files.changes("ICD/SS_MAP"),
        }
        identity = Identity(
            id=self.files.folder.name,
            title=self.files.folder.name,
            base="OpenDRG DRG_Python",
            retry_other_procedures=self.files.retries(),
        )
        return Imported(identity, rows, tuple(self.files.unread))

    def groups(self) -> Iterator[Sequence[str]]:
        order = self.files.function(self.files.folder / "Grouper.py")
        for mdc in called(order.body) if order else ():
            yield from self.mdc(mdc)

    def mdc(self, name: str) -> Iterator[Sequence[str]]:
        path = self.files.folder / "MDC" / f"{name}.py"
        function = self.files.function(path)
        if function is None:
            return
        scope = Scope(name, self.sets)
        admits: Rule = TRUE
        adrgs: list[Sequence[str]] = []
        for statement in function.body:
            try:
                if isinstance(statement, ast.Assign):
                    self.assigned(scope, statement)
                elif isinstance(statement, ast.If) and gate(statement):
                    admits = both(admits, positive(scope.rule(statement.test)))
                elif isinstance(statement, ast.If) and mentions(statement, "types"):
                    admits = both(admits, Sites(name, ">=", self.least_sites(statement)))
                elif isinstance(statement, ast.If):
                    adrgs.extend(self.ambiguous(scope, statement))
                elif isinstance(statement, ast.For):
                    self.label_sites(scope, statement)
            except Unreadable as found:
                self.files.fault(path, found.line or statement.lineno, str(found))
                if isinstance(statement, ast.If) and gate(statement):
                    # Without its gate the MDC would take cases that are not its own.
                    return
            for adrg in called([statement]):
                adrgs.extend(self.adrg(adrg))
        letter = name.removeprefix("MDC")
        yield "mdc", name, letter, _mdc_names().get(letter, ""), str(admits)
        yield from adrgs

    def assigned(self, scope: Scope, statement: ast.Assign) -> None:
        """A list of codes, or the labels of the matched ones (`ss_matched`)."""
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.List(elts=elements)):
                codes = [literal(element) for element in elements]
                found = re.fullmatch(r"(?:adrg|mdc)_(zd|ss)([0-9]*)", name)
                suffix = name
                if found is not None:
                    further = str(int(found.group(2)) + 1) if found.group(2) else ""
                    suffix = _SET_NAMES[found.group(1)] + further
                if name == "mdc_zd":
                    codes = [code for code in codes if not code.endswith(_SITE_LABEL)] or codes
                    scope.lists["mdc_zd with labels"] = ("", [literal(e) for e in elements])
                scope.lists[name] = (f"{scope.owner}.{suffix}", codes)
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.ListComp(
                    elt=ast.Subscript(value=ast.Name(id=labels)),
                    generators=[
                        ast.comprehension(
                            iter=ast.Attribute(attr="ssList"),
                            ifs=[ast.Compare(comparators=[ast.Name(id=codes_name)])],
                        )
                    ],
                ),
            ):
                members: dict[str, list[str]] = {}
                codes, named = scope.lists[codes_name][1], scope.lists[labels][1]
                seen: set[str] = set()
                for code, label in zip(codes, named, strict=False):
                    if code not in seen:
                        seen.add(code)
                        members.setdefault(label, []).append(code)
                scope.labelled[name] = members

    def label_sites(self, scope: Scope, statement: ast.For) -> None:
        """`for x in mdc_zd`: a label ends in 创伤 and stands before the codes of its site."""
        labelled = scope.lists.get("mdc_zd with labels")
        if labelled is None or not mentions(statement, "endswith"):
            raise Unreadable(statement, "cannot read this loop")
        site, sites = "", {}
        for text in labelled[1]:
            if text.endswith(_SITE_LABEL):
                site = text
            else:
                sites[text] = site or "-"
        self.sites.extend((scope.owner, at, code) for code, at in sites.items())

    def least_sites(self, statement: ast.If) -> int:
        for node in ast.walk(statement):
            match node:
                case ast.Compare(
                    left=ast.Call(func=ast.Name(id="len")),
                    ops=[ast.Lt()],
                    comparators=[ast.Constant(value=int(least))],
                ):
                    return least
        raise Unreadable(statement, "cannot read how many sites are needed")

    def ambiguous(self, scope: Scope, statement: ast.If) -> Iterator[Sequence[str]]:
        """`if …: return 'BQY'`; the calls of ADRGs (`if result: return result`) are no news."""
        answer = returned(statement.body)
        if answer is None:
            if isinstance(statement.test, ast.Name) or called([statement]):
                return
            raise Unreadable(statement, "cannot read what this condition leads to")
        when = scope.rule(statement.test)
        if when != FALSE:
            yield "adrg", answer, answer[:3], self.names.get(answer, ""), str(when)
            yield "drg", answer, answer, self.names.get(answer, ""), "true"

    def adrg(self, node: str) -> Iterator[Sequence[str]]:
        path = self.files.folder / "ADRG" / f"{node}.py"
        pieces = sorted(p.stem for p in path.parent.glob(f"{node}_*.py"))
        if pieces and not path.is_file():
            # Two published variants call an ADRG whose file was since cut into several.
            told = f"the file is missing; {', '.join(pieces)} stand in its place"
            self.files.fault(path, 0, told, lost=False)
            for piece in pieces:
                yield from self.adrg(piece)
            return
        function = self.files.function(path)
        if function is None:
            return
        try:
            when, alternatives = self.condition(node, path, function)
        except Unreadable as found:
            self.files.fault(path, found.line, str(found))
            return
        if when == FALSE:
            return
        # A DRG of another ADRG, or one that was tried before, begins a node of its own behind.
        parts: list[tuple[str, list[_Alternative]]] = []
        for alternative in alternatives:
            code = alternative.code[:3]
            tried = {a.code for a in parts[-1][1]} if parts else set()
            if not parts or parts[-1][0] != code or alternative.code in tried:
                parts.append((code, []))
            parts[-1][1].append(alternative)
        for number, (code, own) in enumerate(parts or [(node[:3], [])]):
            name = node if number == 0 else f"{node}_{number}"
            yield "adrg", name, code, self.adrg_name(own), str(when)
            for alternative in own:
                drg = alternative.code
                yield "drg", drg, drg, self.names.get(drg, ""), str(alternative.when)

    def adrg_name(self, alternatives: Sequence[_Alternative]) -> str:
        """What the names of its DRGs have in common, up to the comma."""
        for alternative in alternatives:
            name = self.names.get(alternative.code, "")
            if name:
                return re.split(r"[，,]\s*(?:不?伴|年龄|住院)", name)[0]
        return ""

    def condition(
        self, node: str, path: Path, function: ast.FunctionDef
    ) -> tuple[Rule, list[_Alternative]]:
        """The condition of an ADRG, and its DRGs in their order."""
        scope = Scope(node, self.sets)
        for statement in function.body:
            match statement:
                case ast.Assign():
                    self.assigned(scope, statement)
                case ast.If():
                    return scope.rule(statement.test), self.alternatives(path, statement.body)
                case ast.Return() | ast.Expr() | ast.Pass():
                    pass
                case _:
                    raise Unreadable(statement, f"cannot read {ast.unparse(statement)[:80]}")
        return FALSE, []

    def alternatives(self, path: Path, body: Sequence[ast.stmt]) -> list[_Alternative]:
        found: list[_Alternative] = []
        for statement in body:
            match statement:
                case ast.If(
                    test=ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=name))
                ):
                    code = returned(statement.body)
                    if code is None:
                        raise Unreadable(statement, "cannot read which DRG this is")
                    when = self.drg(path, statement, module, name, code)
                    if when is not None and when != FALSE:
                        found.append(_Alternative(code, when))
                case ast.Return(value=ast.Constant(value=str(code))):
                    # What no DRG takes is a group of its own, spelled like the ADRG.
                    if code:
                        found.append(_Alternative(code, TRUE))
                case ast.Expr() | ast.Return() | ast.Pass():
                    pass
                case _:
                    raise Unreadable(statement, f"cannot read {ast.unparse(statement)[:80]}")
            if found and found[-1].when == TRUE:
                break
        return found

    def drg(
        self, path: Path, statement: ast.stmt, module: str, name: str, code: str
    ) -> Rule | None:
        """The condition of a DRG: a function of the MDC's file, or a file of its own."""
        own = self.files.folder / "DRG" / f"{module}.py"
        if not own.is_file():
            own = self.files.folder / "DRG_EX" / f"{module}.py"
        function = self.files.functions(own).get(name)
        if function is None:
            self.files.fault(path, statement.lineno, f"{module} has no function {name}")
            return None
        scope = Scope(code, self.sets)
        try:
            for inner in function.body:
                match inner:
                    case ast.Assign():
                        self.assigned(scope, inner)
                    case ast.Return(value=ast.expr() as value):
                        return scope.rule(value)
                    case ast.If(test=test, body=body) if returns_true(body):
                        return scope.rule(test)
                    case ast.Expr() | ast.Pass():
                        pass
                    case _:
                        raise Unreadable(inner, f"cannot read {ast.unparse(inner)[:80]}")
        except Unreadable as found:
            self.files.fault(own, found.line, str(found))
            return None
        return FALSE


@functools.cache
def _mdc_names() -> dict[str, str]:
    """The names of the national MDCs, which the checkout does not hold."""
    return {mdc.code: mdc.name for mdc in read_pack(BUILTIN / "chs-core").mdcs}
