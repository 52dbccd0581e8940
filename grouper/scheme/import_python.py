"""From the conditions of OpenDRG's Python files to the rule language; nothing is executed.

``record.zdList[0] in adrg_zd and record.ageDay != None and record.ageDay <= 28`` becomes
``pdx in BR2.dx and age_days <= 28``.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grouper.scheme import rules
from grouper.scheme.import_terms import Given, Term, Unreadable, every, negated, settled, some
from grouper.scheme.rules import FALSE, TRUE, Comparison, ListName, Not, Rule

NUMBERS: Mapping[str, str] = {
    "gender": "sex",
    "age": "age",
    "ageDay": "age_days",
    "weight": "weight",
    "inHospitalTime": "los",
    "leavingType": "discharge",
    "icuHours": "icu_hours",
}
"""Fields of OpenDRG's record that hold a number, and our columns."""

VALID_PROCEDURES = "SS_VALID"
_SEVERITIES = {"has_mcc": "mcc", "has_cc": "cc"}
_COMPARISONS: Mapping[type[ast.cmpop], Comparison] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_MIRRORED: Mapping[str, Comparison] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LISTS: Mapping[str, tuple[ListName, ListName, ListName]] = {
    "zdList": ("pdx", "any_dx", "other_dx"),
    "ssList": ("ppx", "any_px", "other_px"),
}


@dataclass
class Sets:
    """Code sets as they are found.

    Attributes:
        sets: set name to its codes.
    """

    sets: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def named(self, name: str, codes: Sequence[str]) -> str | None:
        """The name of a set of these codes; None for no codes at all."""
        wanted = tuple(dict.fromkeys(code for code in codes if code.strip()))
        if not wanted:
            return None
        number = 2
        free = name
        while self.sets.get(free, wanted) != wanted:
            free, number = f"{name}{number}", number + 1
        self.sets[free] = wanted
        return free


@dataclass
class Scope:
    """What names mean inside one function.

    Attributes:
        owner: node that the function is of; its sets are called after it.
        lists: local list to the name of its set and its codes.
        labelled: local list of labels (`ss_matched`) to label and codes.
    """

    owner: str
    sets: Sets
    lists: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    labelled: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def rule(self, node: ast.expr) -> Rule:
        """The rule of a condition.

        Raises:
            Unreadable: it holds something without a known meaning.
        """
        return settled(self.term(node), node)

    def term(self, node: ast.expr) -> Term:
        """The meaning of an expression, guards included."""
        match node:
            case ast.Constant(value=bool(value)):
                return TRUE if value else FALSE
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return negated(self.term(operand))
            case ast.BoolOp(op=op, values=values):
                terms = [self.term(value) for value in values]
                return every(terms, node) if isinstance(op, ast.And) else some(terms, node)
            case ast.Compare():
                return self._comparison(node)
            case ast.Call(func=ast.Name(id=name), args=args):
                return self._call(node, name, args)
            case ast.Attribute(value=ast.Name(id="record"), attr="ssList"):
                return Given("px")
            case ast.Attribute(value=ast.Name(id="record"), attr=attr) if attr in NUMBERS:
                # Zero is a value, so truth only asks whether the number is there.
                return Given(NUMBERS[attr])
        raise Unreadable(node, f"cannot read {ast.unparse(node)[:80]}")

    def _call(self, node: ast.expr, name: str, args: Sequence[ast.expr]) -> Term:
        if name in _SEVERITIES and len(args) == 2:
            return rules.Severity("mcc" if name == "has_mcc" else "cc")
        if name == "intersect" and len(args) == 2:
            for codes, collection in (args, args[::-1]):
                found = _case_list(codes)
                if found is not None:
                    return self._in_set(found, collection)
        if name in ("bool", "any") and len(args) == 1:
            return self.term(args[0])
        raise Unreadable(node, f"cannot read {ast.unparse(node)[:80]}")

    def _comparison(self, node: ast.Compare) -> Term:
        terms: list[Term] = []
        left = node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            terms.append(self._compared(node, left, op, right))
            left = right
        return every(terms, node)

    def _compared(self, node: ast.expr, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Term:
        if isinstance(op, ast.In | ast.NotIn):
            found = self._member(node, left, right)
            return found if isinstance(op, ast.In) else negated(found)
        if isinstance(op, ast.Is | ast.IsNot):
            op = ast.Eq() if isinstance(op, ast.Is) else ast.NotEq()
        comparison = _COMPARISONS.get(type(op))
        if comparison is None:
            raise Unreadable(node, f"cannot read {ast.unparse(node)[:80]}")
        if not _field(left) and _length(left) is None:
            left, right, comparison = right, left, _MIRRORED.get(comparison, comparison)
        counted = _length(left)
        if counted is not None:
            return _counted(node, counted, comparison, _integer(right))
        name = _field(left)
        if name == "dept" and comparison in ("==", "!="):
            found = rules.Dept(_text(right))
            return found if comparison == "==" else Not(found)
        if name not in NUMBERS:
            raise Unreadable(node, f"cannot read {ast.unparse(node)[:80]}")
        column = NUMBERS[name]
        if isinstance(right, ast.Constant) and right.value in (None, ""):
            given = Given(column)
            return given if comparison == "!=" else negated(given)
        value = _integer(right)
        if column == "discharge" and comparison == "==":
            return rules.Discharge((value,))
        if column == "discharge":
            raise Unreadable(node, f"cannot read {ast.unparse(node)[:80]}")
        return rules.Compare(column, comparison, value)

    def _member(self, node: ast.expr, left: ast.expr, right: ast.expr) -> Term:
        """`left in right`."""
        codes = _case_list(left, element=True)
        if codes is not None:
            return self._in_set(codes, right)
        if isinstance(left, ast.Constant) and isinstance(left.value, str):
            if isinstance(right, ast.Name) and right.id in self.labelled:
                label = self.labelled[right.id].get(left.value, [])
                return self._atom("any_px", f"{self.owner}.px{left.value}", label)
            within = _case_list(right)
            if within is not None:
                return self._atom(within, f"{self.owner}.lit", [left.value])
        name = _field(left)
        if name == "dept":
            return some([rules.Dept(text) for text in self._codes(right)[1]], node)
        if name == "leavingType":
            values = tuple(_number(text, node) for text in self._codes(right)[1])
            return rules.Discharge(values) if values else FALSE
        if name in NUMBERS:
            column = NUMBERS[name]
            found = [rules.Compare(column, "==", _number(t, node)) for t in self._codes(right)[1]]
            return some(list(found), node)
        raise Unreadable(node, f"cannot read {ast.unparse(node)[:80]}")

    def _in_set(self, codes: ListName, collection: ast.expr) -> Rule:
        return self._atom(codes, *self._codes(collection))

    def _atom(self, codes: ListName, name: str, members: Sequence[str]) -> Rule:
        if name == "or_px":
            return rules.InSet(codes, name)
        found = self.sets.named(name, members)
        return FALSE if found is None else rules.InSet(codes, found)

    def _codes(self, node: ast.expr) -> tuple[str, list[str]]:
        """Set name and codes of a collection; those of the valid procedures are not repeated."""
        if isinstance(node, ast.Name):
            if node.id == VALID_PROCEDURES:
                return "or_px", []
            if node.id in self.lists:
                return self.lists[node.id]
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return f"{self.owner}.lit", [_text(element) for element in node.elts]
        raise Unreadable(node, f"unknown list {ast.unparse(node)[:60]}")


def _plain(node: ast.expr) -> ast.expr:
    """Without the conversions that read a number."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        if node.func.id not in ("int", "float", "str"):
            break
        node = node.args[0]
    return node


def _field(node: ast.expr) -> str:
    """The field of the record that is read, empty for anything else."""
    match _plain(node):
        case ast.Attribute(value=ast.Name(id="record"), attr=attr):
            return attr
    return ""


def _length(node: ast.expr) -> str | None:
    """`len(record.zdList)`: the field."""
    match node:
        case ast.Call(func=ast.Name(id="len"), args=[argument]):
            found = _field(argument)
            return found if found in _LISTS else None
    return None


def _case_list(node: ast.expr, *, element: bool = False) -> ListName | None:
    """`record.zdList`, `record.zdList[1:]`, and where an element is wanted `record.zdList[0]`."""
    match node:
        case ast.Attribute(value=ast.Name(id="record"), attr=attr) if attr in _LISTS:
            return None if element else _LISTS[attr][1]
        case ast.Subscript(value=value, slice=index):
            lists = _LISTS.get(_field(value))
            if lists is not None:
                match index:
                    case ast.Constant(value=0) if element:
                        return lists[0]
                    case ast.Slice(lower=ast.Constant(value=1), upper=None) if not element:
                        return lists[2]
                    case ast.Slice(lower=None, upper=ast.Constant(value=1)) if not element:
                        return lists[0]
    return None


def _counted(node: ast.expr, attr: str, comparison: Comparison, value: int) -> Term:
    """The only lengths that occur: is there a code, is there a second one."""
    least = {">": value + 1, ">=": value, "!=": 1 if value == 0 else -1}.get(comparison, -1)
    if least == 1 and attr == "ssList":
        return Given("px")
    if least == 2 and attr == "zdList":
        return Given("other_dx")
    if least == 2:
        return Given("other_px")
    if least == 1:
        return TRUE
    raise Unreadable(node, f"cannot read {ast.unparse(node)[:80]}")


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int):
        return str(node.value)
    raise Unreadable(node, f"expected a text, found {ast.unparse(node)[:60]}")


def _number(text: str, node: ast.AST) -> int:
    try:
        return int(text)
    except ValueError:
        raise Unreadable(node, f"expected an integer, found {text!r}") from None


def _integer(node: ast.expr) -> int:
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_integer(operand)
        case ast.Constant(value=float(value)) if value == int(value):
            return int(value)
    return _number(_text(node), node)
