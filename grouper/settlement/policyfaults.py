"""Faults of a policy file: each with its key, what is allowed there, and what stands there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from grouper.errors import PolicyError
from grouper.settlement.policy import Policy

_KINDS: Final = {
    "int_": "a whole number",
    "bool_": "true or false",
    "string_": "a text in quotes",
    "tuple_": "a list in brackets",
    "dict_": "a table of keys",
    "model_": "a table of keys",
}
"""What a key must be, by the beginning of the kind of fault."""
_BOUNDS: Final = ("ge", "gt", "le")


def faults_of(cause: ValidationError, tables: Mapping[str, Any], file: str) -> list[PolicyError]:
    """All faults, in the order of the keys.

    Args:
        cause: what the models say of the policy.
        tables: the policy as it stands in its files.
        file: its name.
    """
    found = cause.errors(include_url=False)
    return [_fault(one, file) for one in (*found, *_later(found, tables))]


def _later(found: list[ErrorDetails], tables: Mapping[str, Any]) -> Iterator[ErrorDetails]:
    """Contradictions within sections and between them, which the models tell of good keys only.

    What is faulty is left out step by step: values, then sections.
    """
    rest: dict[str, Any] = {"id": "", **tables}
    new, known = found, list(found)
    for _ in range(3):
        for one in new:
            if not one["loc"]:
                return
            rest = {"id": ""} | _without(rest, one["loc"])
        try:
            Policy.model_validate(rest)
            return
        except ValidationError as cause:
            new = cause.errors(include_url=False)
            yield from (one for one in new if not _may_follow(one, known))
            known += new


def _may_follow(later: ErrorDetails, known: list[ErrorDetails]) -> bool:
    """Whether a contradiction speaks of a key that was left out."""
    depth = len(later["loc"])
    inside = [one for one in known if one["loc"][:depth] == later["loc"] != one["loc"]]
    names = (str(one["loc"][depth]) if depth else _key(one) for one in inside)
    return any(name in later["msg"] for name in names)


def _without(table: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    name, *rest = path
    inner = table.get(str(name))
    kept = {key: value for key, value in table.items() if key != name}
    if isinstance(inner, dict) and rest:
        kept[str(name)] = _without(inner, tuple(rest))
    return kept


def _key(fault: ErrorDetails) -> str:
    return ".".join(map(str, fault["loc"]))


def _fault(fault: ErrorDetails, file: str) -> PolicyError:
    names = [str(part) for part in fault["loc"]]
    hint = f"the value is {_shown(fault['input'])}"
    if fault["type"] == "extra_forbidden":
        hint = _meant(names)
    elif fault["type"] == "missing":
        hint = "give it a value"
    elif fault["type"] == "value_error" and isinstance(fault["input"], dict | list):
        hint = "`grouper policy show POLICY` prints every key of a policy with its meaning"
    return PolicyError(told(fault), file=file, key=_key(fault), hint=hint)


def told(fault: ErrorDetails) -> str:
    """What is wrong with a key and what is allowed, without the key and its value."""
    kind, names = fault["type"], [str(part) for part in fault["loc"]]
    if kind == "extra_forbidden":
        return f"unknown key '{names[-1]}'"
    if kind == "missing":
        return "the key is missing"
    if kind == "literal_error":
        return f"must be {fault['ctx']['expected']}"
    if kind.startswith(("greater_", "less_")):
        return f"must be {_range(names)}"
    for beginning, what in _KINDS.items():
        if kind.startswith(beginning):
            return f"must be {' '.join(filter(None, (what, _range(names))))}"
    message = fault["msg"].removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | Decimal):
        return repr(value) if isinstance(value, str) else str(value)
    return "a table of keys" if isinstance(value, dict) else "a list"


def _range(path: list[str]) -> str:
    """The numbers that a key takes; empty where all of its kind."""
    model: type[BaseModel] | None = Policy
    limits: dict[str, object] = {}
    for name in path:
        field = model.model_fields.get(name) if model else None
        if field is not None:
            model = section_of(field.annotation)
            limits = dict(_limits(field.metadata)) | dict(_inner_limits(field.annotation))
    match [limits.get(name) for name in _BOUNDS]:
        case [None, None, None]:
            return ""
        case [least, None, None]:
            return f"{least} or more"
        case [None, above, None]:
            return f"more than {above}"
        case [least, _, most]:
            return f"from {least} to {most}"
    raise AssertionError  # mypy does not see that the last case takes the rest


def _inner_limits(annotation: Any) -> Iterator[tuple[str, object]]:
    for one in getattr(annotation, "__metadata__", ()):
        yield from _limits(getattr(one, "metadata", ()))
    for inner in get_args(annotation):
        yield from _inner_limits(inner)


def _limits(metadata: Any) -> Iterator[tuple[str, object]]:
    for one in metadata:
        for name in _BOUNDS:
            if hasattr(one, name):
                yield name, getattr(one, name)


def _meant(names: list[str]) -> str:
    """What an unknown key may have been meant for."""
    known = _keys_at(names[:-1])
    close = get_close_matches(names[-1], known, 1, 0.5)
    elsewhere = [path for path in all_keys() if path.rsplit(".", 1)[-1] == names[-1]]
    if elsewhere:
        return f"did you mean {' or '.join(repr(path) for path in elsewhere)}?"
    return f"did you mean '{close[0]}'?" if close else f"known here are {', '.join(known)}"


def _keys_at(path: list[str]) -> list[str]:
    model: type[BaseModel] | None = Policy
    for name in path:
        if name.isdigit():
            continue
        field = model.model_fields.get(name) if model else None
        model = section_of(field.annotation) if field else None
    return list(model.model_fields) if model else []


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section model inside an annotation such as ``tuple[Band, ...]`` or ``X | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if found := section_of(inner):
            return found
    return None


def all_keys(model: type[BaseModel] = Policy, prefix: str = "") -> list[str]:
    """Dotted names of all keys, in the order of the models."""
    names = []
    for name, field in model.model_fields.items():
        inner = section_of(field.annotation)
        names += all_keys(inner, f"{prefix}{name}.") if inner else [f"{prefix}{name}"]
    return names
