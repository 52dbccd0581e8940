"""Reading policy files: names, `extends`, and errors that name the key."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from grouper.errors import PolicyError
from grouper.settlement.policy import Policy

BUILTIN = Path(__file__).parent / "policies"


def builtin_policies() -> list[str]:
    """Names of the policies that come with the engine."""
    return sorted(path.stem for path in BUILTIN.glob("*.toml"))


def load_policy(source: str | Path) -> Policy:
    """Read a policy by file or by built-in name.

    A policy that `extends` another starts from it and overrides the keys that it states; tables
    are merged key by key, arrays replaced whole.

    Raises:
        PolicyError: no such policy, not TOML, an unknown key, a value out of its range, a cycle.

    >>> load_policy("guigang-points").month.ratio
    Fraction(9, 10)
    """
    tables = _resolve(_locate(str(source), None), ())
    try:
        return Policy.model_validate(tables)
    except ValidationError as cause:
        raise _first_fault(cause, str(source)) from None


def _locate(source: str, beside: Path | None) -> Path:
    """The file of a policy: a built-in name, or a path (relative to the file that names it)."""
    if source in builtin_policies():
        return BUILTIN / f"{source}.toml"
    path = Path(source) if beside is None else beside.parent / source
    if path.is_file():
        return path
    close = get_close_matches(source, builtin_policies(), 1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    raise PolicyError(
        f"there is no policy '{source}'",
        file=str(beside or ""),
        key="extends" if beside else "",
        hint=f"{hint}built in are {', '.join(builtin_policies())}; or give a file",
    )


def _resolve(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in above:
        raise PolicyError(
            "the policy extends itself, directly or through others",
            file=str(path),
            key="extends",
            hint="remove one link of the chain",
        )
    try:
        own = tomllib.loads(path.read_bytes().decode(), parse_float=Decimal)
    except UnicodeDecodeError:
        raise PolicyError(
            "this is not UTF-8", file=str(path), hint="save the file as UTF-8"
        ) from None
    except (ValueError, ArithmeticError, RecursionError) as cause:  # of numbers, and of depth
        raise PolicyError(
            f"this is not TOML: {cause}", file=str(path), hint="see a built-in policy"
        ) from None
    base = own.pop("extends", None)
    if base is None:
        return own
    if not isinstance(base, str):
        raise PolicyError("must be the name of a policy", file=str(path), key="extends")
    return _merged(_resolve(_locate(base, path), (*above, path.resolve())), own)


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for name, value in own.items():
        under = result.get(name)
        if isinstance(under, dict) and isinstance(value, dict):
            result[name] = _merged(under, value)
        else:
            result[name] = value
    return result


def _first_fault(cause: ValidationError, file: str) -> PolicyError:
    fault = cause.errors(include_url=False)[0]
    names = [str(part) for part in fault["loc"]]
    dotted = ".".join(names)
    if fault["type"] == "extra_forbidden":
        known = _keys_at(names[:-1])
        close = get_close_matches(names[-1], known, 1, 0.5)
        elsewhere = [path for path in all_keys() if path.rsplit(".", 1)[-1] == names[-1]]
        if elsewhere:
            hint = f"did you mean {' or '.join(repr(path) for path in elsewhere)}?"
        elif close:
            hint = f"did you mean '{close[0]}'?"
        else:
            hint = f"known here are {', '.join(known)}"
        return PolicyError(f"unknown key '{names[-1]}'", file=file, key=dotted, hint=hint)
    if fault["type"] == "missing":
        return PolicyError("the key is missing", file=file, key=dotted, hint="give it a value")
    message = fault["msg"].removeprefix("Value error, ")
    return PolicyError(
        message[0].lower() + message[1:],
        file=file,
        key=dotted,
        hint=f"the value is {fault['input']!r}",
    )


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
