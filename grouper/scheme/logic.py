"""What can be said of rules without any case: can one hold, does one imply another.

What a rule asks for takes on, one after the other, every value that the rule can tell apart, until
the rule is decided. Sets are taken as unrelated to one another, which can only hide a fault, never
invent one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from grouper.scheme import rules
from grouper.scheme.rules import And, Not, Or, Rule, compares

MOST_STEPS = 3_000
"""Beyond so many values tried a question stays undecided."""

Variable = tuple[str, str]
Value = bool | int | str | None
World = dict[Variable, Value]

_ELSE = "\0"
_PRINCIPAL = {"pdx": "dx", "any_dx": "dx", "other_dx": "dx"}


def _side(codes: str) -> str:
    return _PRINCIPAL.get(codes, "px")


def _around(constants: set[int], *, least: int | None = None) -> list[int]:
    values = {c + d for c in constants for d in (-1, 0, 1)}
    if least is not None:
        values = {least, least + 1, *(v for v in values if v >= least)}
    return sorted(values)


def _variables(wanted: Sequence[Rule]) -> dict[Variable, list[Value]]:
    """Everything that the rules look at, with values that stand for all they can tell apart."""
    constants: dict[Variable, set[int]] = {}
    texts: dict[Variable, set[str]] = {}
    found: dict[Variable, list[Value]] = {}
    for atom in itertools.chain.from_iterable(map(rules.atoms, wanted)):
        match atom:
            case rules.Severity(level):
                found["severity", level] = [False, True]
            case rules.InSet(codes, name):
                _codes_in_set(codes, name, set(), found, constants)
            case rules.Count(codes, name, _, value):
                # The principal code counts too, so the others are one fewer.
                _codes_in_set(codes, name, {value, value - 1}, found, constants)
            case rules.Sites(family, _, value):
                constants.setdefault(("sites", family), set()).add(value)
            case rules.Compare(number, _, value):
                constants.setdefault(("number", number), set()).add(value)
            case rules.Discharge(ways):
                constants.setdefault(("number", "discharge"), set()).update(ways)
            case rules.Dept(name):
                texts.setdefault(("dept", ""), set()).add(name)
            case rules.Constant():
                pass
    for variable, values in constants.items():
        missing: list[Value] = [None] if variable[0] == "number" else []
        least = None if variable[0] == "number" else 0
        found[variable] = [*missing, *_around(values, least=least)]
    for variable, names in texts.items():
        found[variable] = [None, _ELSE, *sorted(names)]
    return found


def _codes_in_set(
    codes: str,
    name: str,
    values: set[int],
    found: dict[Variable, list[Value]],
    constants: dict[Variable, set[int]],
) -> None:
    side = _side(codes)
    if not codes.startswith("other"):
        found["p" + side, name] = [False, True]
    if not codes.startswith("p"):
        constants.setdefault(("other_" + side, name), set()).update(values)


class _Undecided(Exception):  # noqa: N818 - a signal, not an error
    """A rule asks for a variable that has no value yet."""

    def __init__(self, variable: Variable) -> None:
        self.variable = variable


def _count(codes: str, name: str, world: World) -> int:
    side = _side(codes)
    found = 0
    if not codes.startswith("other"):
        found += bool(_value(world, ("p" + side, name)))
    if not codes.startswith("p"):
        found += _number(_value(world, ("other_" + side, name))) or 0
    return found


def _value(world: World, variable: Variable) -> Value:
    if variable not in world:
        raise _Undecided(variable)
    return world[variable]


def _number(value: Value) -> int | None:
    return value if isinstance(value, int) else None


def _atom(atom: rules.Atom, world: World) -> bool:
    match atom:
        case rules.Constant(value):
            return value
        case rules.Severity(level):
            return bool(_value(world, ("severity", level)))
        case rules.InSet(codes, name):
            return _count(codes, name, world) > 0
        case rules.Count(codes, name, comparison, value):
            return compares(_count(codes, name, world), comparison, value)
        case rules.Sites(family, comparison, value):
            return compares(_number(_value(world, ("sites", family))), comparison, value)
        case rules.Compare(number, comparison, value):
            return compares(_number(_value(world, ("number", number))), comparison, value)
        case rules.Discharge(values):
            return _value(world, ("number", "discharge")) in values
        case rules.Dept(name):
            return _value(world, ("dept", "")) == name


def _decide(rule: Rule, world: World) -> bool | Variable:
    """Whether the rule holds, or the first variable that is needed to say so."""
    match rule:
        case Not(term):
            found = _decide(term, world)
            return found if isinstance(found, tuple) else not found
        case And(terms) | Or(terms):
            final = isinstance(rule, Or)
            open_at: Variable | None = None
            for term in terms:
                found = _decide(term, world)
                if found is final:
                    return final
                if isinstance(found, tuple) and open_at is None:
                    open_at = found
            return not final if open_at is None else open_at
        case _:
            try:
                return _atom(rule, world)
            except _Undecided as undecided:
                return undecided.variable


class _Search:
    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.domains = _variables([rule])
        self.steps = 0

    def find(self, world: World) -> World | None:
        decided = _decide(self.rule, world)
        if isinstance(decided, bool):
            return dict(world) if decided else None
        for value in self.domains[decided]:
            self.steps += 1
            if self.steps > MOST_STEPS:
                return {}
            world[decided] = value
            found = self.find(world)
            if found is not None:
                return found
        del world[decided]
        return None


def example(rule: Rule) -> World | None:
    """Values with which the rule holds; None where there are none.

    An undecided rule counts as one that can hold, with nothing said of where.
    """
    return _Search(rule).find({})


def can_hold(rule: Rule) -> bool:
    """Whether the rule can hold; True where that stays undecided."""
    return example(rule) is not None


def implies(first: Rule, second: Rule) -> bool:
    """Whether the second rule holds wherever the first does; False where undecided."""
    return not can_hold(And((first, Not(second))))


def told(world: World) -> str:
    """The numbers and texts of a world, for a message."""
    named = {"number": "{0} = {1}", "sites": "sites({0}) = {1}", "dept": 'dept = "{1}"'}
    return ", ".join(
        named[kind].format(name, value)
        for (kind, name), value in world.items()
        if kind in named and value is not None and value != _ELSE
    )
