"""A policy written out: every key with its value, meaning in two languages, unit and source."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from grouper.settlement.policy import Policy
from grouper.settlement.policyfaults import section_of
from grouper.settlement.policykeys import NONE, exact_text

_SECTIONS = re.compile(r"sections? \d+( and \d+)?( names the step)?")


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
    if source := _source(extra):
        facts.append(source)
    told = f" ({'; '.join(facts)})" if facts else ""
    return [f"# {field.description} / {extra.get('zh', '')}{told}"]


def _extra(field: FieldInfo) -> dict[str, Any]:
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def _source(extra: dict[str, Any]) -> str:
    """The place and article that a key comes from.

    Sections are those of settlement.md, which whoever reads a policy does not have.
    """
    return _SECTIONS.sub("", extra.get("source", "")).strip(",; ")


def _value(value: Any) -> str:
    if isinstance(value, Fraction):
        text = exact_text(value)
        return f'"{text}"' if "/" in text else text
    if isinstance(value, BaseModel):
        keys = [(name, getattr(value, name)) for name in type(value).model_fields]
        told = ", ".join(f"{name} = {_value(v)}" for name, v in keys if v is not None)
        return f"{{ {told} }}"
    if isinstance(value, dict):
        told = ", ".join(f"{key} = {_value(entry)}" for key, entry in value.items())
        return f"{{ {told} }}" if told else "{}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(_value(entry) for entry in value)}]"
    return json.dumps(value, ensure_ascii=False)


def keys_page() -> str:
    """A Markdown page of all policy keys, section by section."""
    lines = ["# Policy keys (政策键)", "", _PREFACE, *_page(Policy, "")]
    return "\n".join(lines) + "\n"


_PREFACE = (
    "Written by `grouper policy keys` from the models in `policy.py`. A key that a policy does not "
    'state has its default; `"none"` empties an optional key that another policy gave a value.'
)
_HEADER = "| key | meaning | 含义 | unit | default | source |"


def _page(model: type[BaseModel], path: str) -> list[str]:
    sections = {
        name: section
        for name, field in model.model_fields.items()
        if (section := section_of(field.annotation)) is not None
    }
    own = [name for name in model.model_fields if _table(model, name) is None]
    lines = ["", _HEADER, "|---|---|---|---|---|---|"] if own else []
    for name in own:
        field = model.model_fields[name]
        extra = _extra(field)
        cells = (
            f"`{name}`",
            field.description,
            extra.get("zh"),
            extra.get("unit"),
            _default(model, name),
            _source(extra),
        )
        lines.append(f"| {' | '.join(str(cell or '').replace('|', '/') for cell in cells)} |")
    for name, section in sections.items():
        field = model.model_fields[name]
        title = f"{path}.{name}" if path else name
        kind = "" if _table(model, name) else " (a row)"
        lines += ["", f"## `[{title}]`{kind}: {field.description} / {_extra(field).get('zh', '')}"]
        lines += _page(section, title)
    return lines


def _table(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The section that a key is; None where it is a plain value or an array of rows."""
    annotation = model.model_fields[name].annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def _default(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    if field.is_required():
        return "needed"
    needed = [other for other, f in model.model_fields.items() if f.is_required()]
    value = field.get_default(call_default_factory=True)
    if not needed:
        value = getattr(model(), name)
    elif model is Policy:
        value = getattr(Policy(id="any"), name)
    return "" if value is None else f"`{_value(value)}`"
