from . import case_pb2 as _case_pb2
from . import explanation_pb2 as _explanation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GroupCaseRequest(_message.Message):
    __slots__ = ("scheme", "case", "explain", "nearby")
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    CASE_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    NEARBY_FIELD_NUMBER: _ClassVar[int]
    scheme: str
    case: _case_pb2.Case
    explain: bool
    nearby: bool
    def __init__(self, scheme: _Optional[str] = ..., case: _Optional[_Union[_case_pb2.Case, _Mapping]] = ..., explain: _Optional[bool] = ..., nearby: _Optional[bool] = ...) -> None: ...

class GroupCaseResponse(_message.Message):
    __slots__ = ("result", "explanation", "scheme")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    result: _case_pb2.GroupResult
    explanation: _explanation_pb2.Explanation
    scheme: str
    def __init__(self, result: _Optional[_Union[_case_pb2.GroupResult, _Mapping]] = ..., explanation: _Optional[_Union[_explanation_pb2.Explanation, _Mapping]] = ..., scheme: _Optional[str] = ...) -> None: ...

class GroupBatchRequest(_message.Message):
    __slots__ = ("scheme", "arrow_ipc")
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    ARROW_IPC_FIELD_NUMBER: _ClassVar[int]
    scheme: str
    arrow_ipc: bytes
    def __init__(self, scheme: _Optional[str] = ..., arrow_ipc: _Optional[bytes] = ...) -> None: ...

class GroupBatchResponse(_message.Message):
    __slots__ = ("arrow_ipc",)
    ARROW_IPC_FIELD_NUMBER: _ClassVar[int]
    arrow_ipc: bytes
    def __init__(self, arrow_ipc: _Optional[bytes] = ...) -> None: ...

class ListSchemesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListSchemesResponse(_message.Message):
    __slots__ = ("schemes",)
    SCHEMES_FIELD_NUMBER: _ClassVar[int]
    schemes: _containers.RepeatedCompositeFieldContainer[Scheme]
    def __init__(self, schemes: _Optional[_Iterable[_Union[Scheme, _Mapping]]] = ...) -> None: ...

class Scheme(_message.Message):
    __slots__ = ("id", "title", "digest")
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    id: str
    title: str
    digest: str
    def __init__(self, id: _Optional[str] = ..., title: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...
