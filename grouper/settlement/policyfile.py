"""Reading policy files: names, `extends`, and errors that name the key."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from grouper.errors import PolicyError
from grouper.settlement.policy import Policy
from grouper.settlement.policyfaults import faults_of

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
    policy, faults = check_policy(source)
    if policy is None:
        first = faults[0]
        if len(faults) > 1:
            first.hint += "; there are more faults: `grouper policy check` tells them all"
        raise first
    return policy


def check_policy(source: str | Path) -> tuple[Policy | None, list[PolicyError]]:
    """A policy, or all that is wrong with it.

    Raises:
        PolicyError: no such policy, not TOML, a cycle.
    """
    tables = policy_tables(source)
    try:
        return Policy.model_validate(tables), []
    except ValidationError as cause:
        return None, faults_of(cause, tables, str(source))


def policy_tables(source: str | Path) -> dict[str, Any]:
    """The keys of a policy and of those that it extends, as they stand in the files.

    Raises:
        PolicyError: no such policy, not TOML, a cycle.
    """
    return _resolve(_locate(str(source), None), ())


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
        own = tomllib.loads(path.read_bytes().decode("utf-8-sig"), parse_float=Decimal)
    except OSError as cause:
        raise PolicyError(
            f"cannot be read: {cause.strerror}", file=str(path), hint="see its permissions"
        ) from None
    except UnicodeDecodeError:
        raise PolicyError(
            "this is not UTF-8", file=str(path), hint="save the file as UTF-8"
        ) from None
    except (ValueError, ArithmeticError, RecursionError) as cause:  # of numbers, and of depth
        raise PolicyError(
            f"this is not TOML: {cause}",
            file=str(path),
            hint='write lines like ratio = 0.3 or id = "mine", with keys as `grouper policy show`'
            " prints them, and half-width quotes and digits (英文半角)",
        ) from None
    base = own.pop("extends", None)
    if base is None:
        return own
    if not isinstance(base, str):
        raise PolicyError(
            "must be the name of a policy",
            file=str(path),
            key="extends",
            hint='write a built-in name or a file, as extends = "guigang-points"',
        )
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
