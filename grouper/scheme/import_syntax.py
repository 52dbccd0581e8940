"""What the statements of OpenDRG's Python files say."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from grouper.scheme.import_terms import Unreadable
from grouper.scheme.rules import FALSE, TRUE, And, Constant, Not, Rule


def called(body: Sequence[ast.stmt]) -> list[str]:
    """The modules whose `group(record)` is called, in order."""
    return [
        node.func.value.id
        for statement in body
        for node in ast.walk(statement)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "group"
        and isinstance(node.func.value, ast.Name)
    ]


def gate(statement: ast.If) -> bool:
    """`if not (…): return ''`."""
    return isinstance(statement.test, ast.UnaryOp) and returned(statement.body) == ""


def positive(rule: Rule) -> Rule:
    """What a gate admits: the contrary of what it turns away."""
    if isinstance(rule, Not):
        return rule.term
    if isinstance(rule, Constant):
        return FALSE if rule.value else TRUE
    return Not(rule)


def both(first: Rule, second: Rule) -> Rule:
    """Two gates, one after the other."""
    if first == TRUE:
        return second
    parts = [*(first.terms if isinstance(first, And) else (first,)), second]
    return And(tuple(parts))


def mentions(node: ast.AST, name: str) -> bool:
    """Whether a name occurs, or an attribute of this name."""
    return any(
        (isinstance(n, ast.Name) and n.id == name)
        or (isinstance(n, ast.Attribute) and n.attr == name)
        for n in ast.walk(node)
    )


def returned(body: Sequence[ast.stmt]) -> str | None:
    """The text that a block returns."""
    for statement in body:
        match statement:
            case ast.Return(value=ast.Constant(value=str(text))):
                return text
    return None


def returns_true(body: Sequence[ast.stmt]) -> bool:
    """Whether a block returns True."""
    return any(
        isinstance(s, ast.Return) and isinstance(s.value, ast.Constant) and s.value.value is True
        for s in body
    )


def literal(node: ast.expr) -> str:
    """A code."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int):
        return str(node.value)
    raise Unreadable(node, f"expected a code, found {ast.unparse(node)[:60]}")
