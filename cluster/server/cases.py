"""Between the case messages of the contract and the engine's values."""

import dataclasses
from collections.abc import Collection
from typing import Any

from google.protobuf.message import Message

from cluster.drg.v1 import case_pb2
from cluster.errors import RequestError, Violation
from grouper.single import SingleResult

_STATUS = {
    "grouped": case_pb2.GROUP_STATUS_GROUPED,
    "ambiguous": case_pb2.GROUP_STATUS_AMBIGUOUS,
    "ungrouped": case_pb2.GROUP_STATUS_UNGROUPED,
    "invalid": case_pb2.GROUP_STATUS_INVALID,
}
_SEVERITY = {
    "": case_pb2.SEVERITY_UNSPECIFIED,
    "none": case_pb2.SEVERITY_NONE,
    "CC": case_pb2.SEVERITY_CC,
    "MCC": case_pb2.SEVERITY_MCC,
}


def case_values(case: case_pb2.Case, declared: Collection[str]) -> dict[str, object]:
    """The columns of a case by their names in the registry; what is not set is absent.

    Args:
        case: as it came.
        declared: names of the attributes that the scheme declares.

    Raises:
        RequestError: an attribute has the name of a field, or none that is declared.
    """
    values: dict[str, object] = {field.name: value for field, value in case.ListFields()}
    values |= {"dx": list(case.dx), "px": list(case.px)}
    values.pop("attributes", None)
    for name, value in case.attributes.items():
        if name in case_pb2.Case.DESCRIPTOR.fields_by_name:
            raise _attribute(name, f"use the field {name} of the case")
        if name not in declared:
            told = ", ".join(sorted(declared)) or "none"
            raise _attribute(name, f"the scheme declares no such attribute (it declares: {told})")
        values[name] = value
    return values


def _attribute(name: str, told: str) -> RequestError:
    return RequestError(Violation(f"case.attributes[{name!r}]", told))


def result_of(case_id: str, found: SingleResult) -> case_pb2.GroupResult:
    """The result of one case as a message."""
    return case_pb2.GroupResult(
        case_id=case_id,
        status=_STATUS[found.status],
        mdc=found.mdc,
        adrg=found.adrg,
        drg=found.drg,
        severity=_SEVERITY[found.severity],
        reason=found.reason,
    )


def fill(message: Message, told: Any) -> None:
    """Copies a dataclass of `grouper.explain` into the message that has the same fields.

    Fields that only one of both has are left out; a word becomes the enum value of that name.
    """
    for field in dataclasses.fields(told):
        known = message.DESCRIPTOR.fields_by_name.get(field.name)
        value = getattr(told, field.name)
        if known is None or value is None:
            continue
        if isinstance(value, tuple):
            target = getattr(message, field.name)
            if known.message_type is None:
                target.extend(value)
            else:
                for item in value:
                    fill(target.add(), item)
        elif known.enum_type is not None:
            setattr(message, field.name, _enum_number(known.enum_type, value))
        else:
            setattr(message, field.name, value)


def _enum_number(kind: Any, word: str) -> int:
    prefix = kind.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return int(kind.values_by_name[prefix + word.upper()].number)
