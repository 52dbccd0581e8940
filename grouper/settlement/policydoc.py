"""A policy written out: every key with its value, meaning in two languages, unit and source."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from grouper.settlement.policy import Policy
from grouper.settlement.policykeys import NONE, exact_text


def policy_text(policy: Policy) -> str:
    """A policy as a TOML file that states every key."""
    return "\n".join(_section(policy, ""))


def _section(section: BaseModel, path: str) -> list[str]:
    lines: list[str] = [f"[{path}]"] if path else []
    inner = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            inner.append((name, field, value))
            continue
        lines += _comment(field)
        if value is None and field.get_default(call_default_factory=True) is None:
            lines.append(f"# {name} =")
        elif value is None:
            lines.append(f'{name} = "{NONE}"')
        else:
            lines.append(f"{name} = {_value(value)}")
    for name, field, value in inner:
        lines += ["", f"# {field.description} / {_extra(field).get('zh', '')}"]
        lines += _section(value, f"{path}.{name}" if path else name)
    return lines


def _comment(field: FieldInfo) -> list[str]:
    extra = _extra(field)
    facts = [f"unit {extra['unit']}"] if extra.get("unit") else []
    if not field.is_required():
        default = field.get_default(call_default_factory=True)
        facts.append(f"default {_value(default) if default is not None else 'empty'}")
    if extra.get("source"):
        facts.append(extra["source"])
    told = f" ({'; '.join(facts)})" if facts else ""
    return [f"# {field.description} / {extra.get('zh', '')}{told}"]


def _extra(field: FieldInfo) -> dict[str, Any]:
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def _value(value: Any) -> str:
    if isinstance(value, Fraction):
        text = exact_text(value)
        return f'"{text}"' if "/" in text else text
    if isinstance(value, BaseModel):
        keys = [(name, getattr(value, name)) for name in type(value).model_fields]
        told = ", ".join(f"{name} = {_value(v)}" for name, v in keys if v is not None)
        return f"{{ {told} }}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(_value(entry) for entry in value)}]"
    return json.dumps(value, ensure_ascii=False)
