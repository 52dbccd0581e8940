from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GroupStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GROUP_STATUS_UNSPECIFIED: _ClassVar[GroupStatus]
    GROUP_STATUS_GROUPED: _ClassVar[GroupStatus]
    GROUP_STATUS_AMBIGUOUS: _ClassVar[GroupStatus]
    GROUP_STATUS_UNGROUPED: _ClassVar[GroupStatus]
    GROUP_STATUS_INVALID: _ClassVar[GroupStatus]

class Severity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEVERITY_UNSPECIFIED: _ClassVar[Severity]
    SEVERITY_NONE: _ClassVar[Severity]
    SEVERITY_CC: _ClassVar[Severity]
    SEVERITY_MCC: _ClassVar[Severity]
GROUP_STATUS_UNSPECIFIED: GroupStatus
GROUP_STATUS_GROUPED: GroupStatus
GROUP_STATUS_AMBIGUOUS: GroupStatus
GROUP_STATUS_UNGROUPED: GroupStatus
GROUP_STATUS_INVALID: GroupStatus
SEVERITY_UNSPECIFIED: Severity
SEVERITY_NONE: Severity
SEVERITY_CC: Severity
SEVERITY_MCC: Severity

class Case(_message.Message):
    __slots__ = ("case_id", "dx", "px", "sex", "age", "age_days", "weight", "los", "discharge", "dept", "icu_hours", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    DX_FIELD_NUMBER: _ClassVar[int]
    PX_FIELD_NUMBER: _ClassVar[int]
    SEX_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    AGE_DAYS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    LOS_FIELD_NUMBER: _ClassVar[int]
    DISCHARGE_FIELD_NUMBER: _ClassVar[int]
    DEPT_FIELD_NUMBER: _ClassVar[int]
    ICU_HOURS_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    dx: _containers.RepeatedScalarFieldContainer[str]
    px: _containers.RepeatedScalarFieldContainer[str]
    sex: int
    age: int
    age_days: int
    weight: int
    los: int
    discharge: int
    dept: str
    icu_hours: int
    attributes: _containers.ScalarMap[str, int]
    def __init__(self, case_id: _Optional[str] = ..., dx: _Optional[_Iterable[str]] = ..., px: _Optional[_Iterable[str]] = ..., sex: _Optional[int] = ..., age: _Optional[int] = ..., age_days: _Optional[int] = ..., weight: _Optional[int] = ..., los: _Optional[int] = ..., discharge: _Optional[int] = ..., dept: _Optional[str] = ..., icu_hours: _Optional[int] = ..., attributes: _Optional[_Mapping[str, int]] = ...) -> None: ...

class GroupResult(_message.Message):
    __slots__ = ("case_id", "status", "mdc", "adrg", "drg", "severity", "reason")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MDC_FIELD_NUMBER: _ClassVar[int]
    ADRG_FIELD_NUMBER: _ClassVar[int]
    DRG_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    status: GroupStatus
    mdc: str
    adrg: str
    drg: str
    severity: Severity
    reason: str
    def __init__(self, case_id: _Optional[str] = ..., status: _Optional[_Union[GroupStatus, str]] = ..., mdc: _Optional[str] = ..., adrg: _Optional[str] = ..., drg: _Optional[str] = ..., severity: _Optional[_Union[Severity, str]] = ..., reason: _Optional[str] = ...) -> None: ...
