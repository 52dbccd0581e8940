from . import case_pb2 as _case_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NodeLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NODE_LEVEL_UNSPECIFIED: _ClassVar[NodeLevel]
    NODE_LEVEL_MDC: _ClassVar[NodeLevel]
    NODE_LEVEL_ADRG: _ClassVar[NodeLevel]
    NODE_LEVEL_DRG: _ClassVar[NodeLevel]

class Change(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANGE_UNSPECIFIED: _ClassVar[Change]
    CHANGE_ADD_DIAGNOSIS: _ClassVar[Change]
    CHANGE_DROP_DIAGNOSIS: _ClassVar[Change]
    CHANGE_PRINCIPAL_DIAGNOSIS: _ClassVar[Change]
    CHANGE_ADD_PROCEDURE: _ClassVar[Change]
    CHANGE_DROP_PROCEDURE: _ClassVar[Change]
    CHANGE_PRINCIPAL_PROCEDURE: _ClassVar[Change]
    CHANGE_VALUE: _ClassVar[Change]
NODE_LEVEL_UNSPECIFIED: NodeLevel
NODE_LEVEL_MDC: NodeLevel
NODE_LEVEL_ADRG: NodeLevel
NODE_LEVEL_DRG: NodeLevel
CHANGE_UNSPECIFIED: Change
CHANGE_ADD_DIAGNOSIS: Change
CHANGE_DROP_DIAGNOSIS: Change
CHANGE_PRINCIPAL_DIAGNOSIS: Change
CHANGE_ADD_PROCEDURE: Change
CHANGE_DROP_PROCEDURE: Change
CHANGE_PRINCIPAL_PROCEDURE: Change
CHANGE_VALUE: Change

class CodeNote(_message.Message):
    __slots__ = ("code", "name", "known")
    CODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    code: str
    name: str
    known: bool
    def __init__(self, code: _Optional[str] = ..., name: _Optional[str] = ..., known: _Optional[bool] = ...) -> None: ...

class Complication(_message.Message):
    __slots__ = ("code", "name", "level", "exclusion", "excluded")
    CODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    EXCLUSION_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_FIELD_NUMBER: _ClassVar[int]
    code: str
    name: str
    level: _case_pb2.Severity
    exclusion: str
    excluded: bool
    def __init__(self, code: _Optional[str] = ..., name: _Optional[str] = ..., level: _Optional[_Union[_case_pb2.Severity, str]] = ..., exclusion: _Optional[str] = ..., excluded: _Optional[bool] = ...) -> None: ...

class TestTrace(_message.Message):
    __slots__ = ("rule", "holds", "codes", "value", "text")
    RULE_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    rule: str
    holds: bool
    codes: _containers.RepeatedScalarFieldContainer[str]
    value: int
    text: str
    def __init__(self, rule: _Optional[str] = ..., holds: _Optional[bool] = ..., codes: _Optional[_Iterable[str]] = ..., value: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class NodeTrace(_message.Message):
    __slots__ = ("level", "node", "code", "name", "rule", "line", "holds", "tests", "children")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    TESTS_FIELD_NUMBER: _ClassVar[int]
    CHILDREN_FIELD_NUMBER: _ClassVar[int]
    level: NodeLevel
    node: str
    code: str
    name: str
    rule: str
    line: int
    holds: bool
    tests: _containers.RepeatedCompositeFieldContainer[TestTrace]
    children: _containers.RepeatedCompositeFieldContainer[NodeTrace]
    def __init__(self, level: _Optional[_Union[NodeLevel, str]] = ..., node: _Optional[str] = ..., code: _Optional[str] = ..., name: _Optional[str] = ..., rule: _Optional[str] = ..., line: _Optional[int] = ..., holds: _Optional[bool] = ..., tests: _Optional[_Iterable[_Union[TestTrace, _Mapping]]] = ..., children: _Optional[_Iterable[_Union[NodeTrace, _Mapping]]] = ...) -> None: ...

class Walk(_message.Message):
    __slots__ = ("procedure", "mdcs")
    PROCEDURE_FIELD_NUMBER: _ClassVar[int]
    MDCS_FIELD_NUMBER: _ClassVar[int]
    procedure: str
    mdcs: _containers.RepeatedCompositeFieldContainer[NodeTrace]
    def __init__(self, procedure: _Optional[str] = ..., mdcs: _Optional[_Iterable[_Union[NodeTrace, _Mapping]]] = ...) -> None: ...

class RunnerUp(_message.Message):
    __slots__ = ("change", "code", "name", "value", "status", "mdc", "adrg", "drg", "drg_name")
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MDC_FIELD_NUMBER: _ClassVar[int]
    ADRG_FIELD_NUMBER: _ClassVar[int]
    DRG_FIELD_NUMBER: _ClassVar[int]
    DRG_NAME_FIELD_NUMBER: _ClassVar[int]
    change: Change
    code: str
    name: str
    value: int
    status: _case_pb2.GroupStatus
    mdc: str
    adrg: str
    drg: str
    drg_name: str
    def __init__(self, change: _Optional[_Union[Change, str]] = ..., code: _Optional[str] = ..., name: _Optional[str] = ..., value: _Optional[int] = ..., status: _Optional[_Union[_case_pb2.GroupStatus, str]] = ..., mdc: _Optional[str] = ..., adrg: _Optional[str] = ..., drg: _Optional[str] = ..., drg_name: _Optional[str] = ...) -> None: ...

class CodeChange(_message.Message):
    __slots__ = ("given", "code")
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    given: str
    code: str
    def __init__(self, given: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("drg_name", "diagnoses", "procedures", "exclusion", "complications", "walks", "runners_up", "mapped")
    DRG_NAME_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSES_FIELD_NUMBER: _ClassVar[int]
    PROCEDURES_FIELD_NUMBER: _ClassVar[int]
    EXCLUSION_FIELD_NUMBER: _ClassVar[int]
    COMPLICATIONS_FIELD_NUMBER: _ClassVar[int]
    WALKS_FIELD_NUMBER: _ClassVar[int]
    RUNNERS_UP_FIELD_NUMBER: _ClassVar[int]
    MAPPED_FIELD_NUMBER: _ClassVar[int]
    drg_name: str
    diagnoses: _containers.RepeatedCompositeFieldContainer[CodeNote]
    procedures: _containers.RepeatedCompositeFieldContainer[CodeNote]
    exclusion: str
    complications: _containers.RepeatedCompositeFieldContainer[Complication]
    walks: _containers.RepeatedCompositeFieldContainer[Walk]
    runners_up: _containers.RepeatedCompositeFieldContainer[RunnerUp]
    mapped: _containers.RepeatedCompositeFieldContainer[CodeChange]
    def __init__(self, drg_name: _Optional[str] = ..., diagnoses: _Optional[_Iterable[_Union[CodeNote, _Mapping]]] = ..., procedures: _Optional[_Iterable[_Union[CodeNote, _Mapping]]] = ..., exclusion: _Optional[str] = ..., complications: _Optional[_Iterable[_Union[Complication, _Mapping]]] = ..., walks: _Optional[_Iterable[_Union[Walk, _Mapping]]] = ..., runners_up: _Optional[_Iterable[_Union[RunnerUp, _Mapping]]] = ..., mapped: _Optional[_Iterable[_Union[CodeChange, _Mapping]]] = ...) -> None: ...
