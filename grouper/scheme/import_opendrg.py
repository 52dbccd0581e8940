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
from grouper.scheme.layers import BUILTIN
from grouper.scheme.pack import read_pack
from grouper.scheme.rules import FALSE, TRUE, Rule, Sites
from grouper.scheme.write import Rows, write_pack

_MOST_BYTES = 64 * 1024 * 1024
_SITE_LABEL = "创伤"
_BYTE_ORDER_MARK = "\ufeff"
_SET_NAMES = {"zd": "dx", "ss": "px"}


@dataclass(frozen=True, slots=True)
class Unread:
    """Something of the checkout that could not be read as it stands.

    Attributes:
        line: 0 where it is the whole file.
        lost: whether it is missing in the pack.
    """

    file: str
    line: int
    message: str
    lost: bool = True

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}"


@dataclass(frozen=True)
class Imported:
    """An imported scheme.

    Attributes:
        rows: the rows of the pack's files.
        unread: what could not be read.
    """

    identity: Identity
    rows: Rows
    unread: tuple[Unread, ...]


def variants(checkout: Path) -> dict[str, Path]:
    """The variants of a checkout and their folders.

    Raises:
        PackError: the folder is no checkout of DRG_Python.
    """
    for root in (checkout / "drg_group", checkout):
        found = {p.parent.name: p.parent for p in sorted(root.glob("*/Grouper.py"))}
        if found:
            return found
    raise PackError(
        f"{checkout} is no checkout of OpenDRG's DRG_Python",
        hint="name the folder that holds drg_group, with a folder per variant in it",
    )


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
    return _Variant(found[variant]).read()


def write_variant(imported: Imported, out: Path) -> None:
    """Write an imported scheme as a pack."""
    write_pack(out, imported.identity, imported.rows)


@dataclass(frozen=True, slots=True)
class _Alternative:
    code: str
    when: Rule


@dataclass
class _Variant:
    folder: Path
    sets: Sets = field(default_factory=Sets)
    unread: list[Unread] = field(default_factory=list)
    sites: list[Sequence[str]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def read(self) -> Imported:
        self.names = self.table("DATA/DRG")
        groups = list(self.groups())
        if not groups:
            raise PackError(
                f"no MDC of {self.folder.name} could be read",
                file=f"{self.folder.name}/Grouper.py",
                hint="the checkout may be of another form; "
                + (str(self.unread[0]) if self.unread else "its Grouper.py calls no MDC"),
            )
        valid = self.table("DATA/SS_VALID")
        severity = [
            (code, level, exclusion)
            for level in ("MCC", "CC")
            for code, exclusion in self.table(f"DATA/{level}").items()
        ]
        rows: dict[str, Iterable[Sequence[str]]] = {
            "groups.csv": groups,
            "sets.csv": [
                *((name, code) for name, codes in self.sets.sets.items() for code in codes),
                *(("or_px", code) for code in valid),
            ],
            "sites.csv": self.sites,
            "severity.csv": severity,
            "exclusions.csv": self.table("DATA/CCE").items(),
            "dx.csv": self.table("ICD/ZD_INFO").items(),
            "px.csv": self.table("ICD/SS_INFO").items(),
            "dx_map.csv": self.changes("ICD/ZD_MAP"),
            "px_map.csv": self.changes("ICD/SS_MAP"),
        }
        identity = Identity(
            id=self.folder.name,
            title=self.folder.name,
            base="OpenDRG DRG_Python",
            retry_other_procedures=self.retries(),
        )
        return Imported(identity, rows, tuple(self.unread))

    def fault(self, path: Path, line: int, message: str, *, lost: bool = True) -> None:
        file = path.relative_to(self.folder.parent).as_posix()
        self.unread.append(Unread(file, line, message, lost))

    def text(self, path: Path) -> str:
        name = path.relative_to(self.folder.parent).as_posix()
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise PackError("the file is too large", file=name, hint="is this the right file?")
            return path.read_text("utf-8")
        except OSError as error:
            raise PackError(
                f"cannot be read: {error.strerror}", file=name, hint="check out the whole project"
            ) from error
        except UnicodeDecodeError:
            raise PackError(
                "not UTF-8 text", file=name, hint="check the project out again"
            ) from None

    def table(self, name: str) -> dict[str, str]:
        """`code text` a line; a later line of the same code wins, as in the original."""
        found: dict[str, str] = {}
        path = self.folder / f"{name}.dat"
        for line in self.text(path).split("\n"):
            code, _, rest = line.partition(" ")
            if code.startswith(_BYTE_ORDER_MARK):
                # The original reads the mark as a part of the code, which then no case has.
                told = f"a byte order mark hides the code {code[1:]} from the original; left out"
                self.fault(path, 1, told, lost=False)
                continue
            if code.strip():
                found[code] = rest
        return found

    def changes(self, name: str) -> Iterator[tuple[str, str]]:
        """The entries of a map that change a code."""
        for given, code in self.table(name).items():
            if code.strip() and code != given:
                yield given, code

    def module(self, path: Path) -> dict[str, ast.FunctionDef]:
        """The functions of a file."""
        try:
            tree = ast.parse(self.text(path).removeprefix(_BYTE_ORDER_MARK))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            self.fault(path, getattr(error, "lineno", 0) or 0, f"not Python: {error}")
            return {}
        return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}

    def function(self, path: Path, name: str = "group") -> ast.FunctionDef | None:
        if not path.is_file():
            self.fault(path, 0, "the file is missing")
            return None
        found = self.module(path).get(name)
        if found is None and not any(u.file.endswith(path.name) for u in self.unread):
            self.fault(path, 0, f"no function {name}")
        return found

    def retries(self) -> bool:
        """Whether an ungrouped case is tried again with each other procedure."""
        path = self.folder / f"Grouper_{self.folder.name}.py"
        return path.is_file() and bool(
            re.search(r"for\s+\w+\s+in\s+record\.ssList\[1:\]", self.text(path))
        )

    def groups(self) -> Iterator[Sequence[str]]:
        order = self.function(self.folder / "Grouper.py")
        for mdc in called(order.body) if order else ():
            yield from self.mdc(mdc)

    def mdc(self, name: str) -> Iterator[Sequence[str]]:
        path = self.folder / "MDC" / f"{name}.py"
        function = self.function(path)
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
                self.fault(path, found.line or statement.lineno, str(found))
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
        path = self.folder / "ADRG" / f"{node}.py"
        pieces = sorted(p.stem for p in path.parent.glob(f"{node}_*.py"))
        if pieces and not path.is_file():
            # Two published variants call an ADRG whose file was since cut into several.
            told = f"the file is missing; {', '.join(pieces)} stand in its place"
            self.fault(path, 0, told, lost=False)
            for piece in pieces:
                yield from self.adrg(piece)
            return
        function = self.function(path)
        if function is None:
            return
        try:
            when, alternatives = self.condition(node, path, function)
        except Unreadable as found:
            self.fault(path, found.line, str(found))
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
        own = self.folder / "DRG" / f"{module}.py"
        if not own.is_file():
            own = self.folder / "DRG_EX" / f"{module}.py"
        function = self.drg_functions(own).get(name)
        if function is None:
            self.fault(path, statement.lineno, f"{module} has no function {name}")
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
            self.fault(own, found.line, str(found))
            return None
        return FALSE

    def drg_functions(self, path: Path) -> dict[str, ast.FunctionDef]:
        known = self.__dict__.setdefault("_modules", {})
        if path not in known:
            known[path] = self.module(path) if path.is_file() else {}
        found: dict[str, ast.FunctionDef] = known[path]
        return found


@functools.cache
def _mdc_names() -> dict[str, str]:
    """The names of the national MDCs, which the checkout does not hold."""
    return {mdc.code: mdc.name for mdc in read_pack(BUILTIN / "chs-core").mdcs}
