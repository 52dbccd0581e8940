"""How large Arrow bytes from a stranger become, found out before anything is unpacked.

A body of 3 MiB may claim any size once decompressed, and a dictionary of one long text may stand
for a hundred thousand copies of it. Both are added up here without being made.
"""

import struct
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

_RECORD_BATCH, _DICTIONARY_BATCH = 3, 2
_HEADER_TYPE, _HEADER = 1, 2  # fields of Message
_BUFFERS, _COMPRESSION = 2, 3  # fields of RecordBatch
_DATA = 1  # field of DictionaryBatch
_BUFFER_BYTES = 16


class ColumnTypeError(ValueError):
    """A column has a type that no case column may have."""


def unpacked_bytes(data: bytes) -> int:
    """Bytes that the bodies of an IPC stream take once they are decompressed.

    Raises:
        ValueError: the bytes are no IPC stream.
    """
    total = 0
    try:
        for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(data)):
            body = message.body
            total += sum(_claims(bytes(message.metadata), body)) if body is not None else 0
    except (struct.error, IndexError) as error:
        raise ValueError("a message header is broken") from error
    return total


def _claims(metadata: bytes, body: pa.Buffer) -> Iterator[int]:
    """The size of each buffer of a message, as it says itself."""
    message = _Table(metadata, _u32(metadata, 0))
    kind_at = message.field(_HEADER_TYPE)
    batch = message.table(_HEADER)
    if kind_at is None or batch is None:
        return
    if metadata[kind_at] == _DICTIONARY_BATCH:
        batch = batch.table(_DATA)
    elif metadata[kind_at] != _RECORD_BATCH:
        return
    if batch is None:
        return
    compressed = batch.field(_COMPRESSION) is not None
    start, number = batch.vector(_BUFFERS)
    for at in range(start, start + number * _BUFFER_BYTES, _BUFFER_BYTES):
        offset, length = struct.unpack_from("<qq", metadata, at)
        if not compressed or length <= 0:
            yield max(0, length)
            continue
        (claimed,) = struct.unpack_from("<q", body, offset)
        yield claimed if claimed >= 0 else length


def _u32(data: bytes, at: int) -> int:
    value: int = struct.unpack_from("<I", data, at)[0]
    return value


class _Table:
    """A table of a flatbuffer, as far as needed here."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._fields = at - struct.unpack_from("<i", data, at)[0]

    def field(self, number: int) -> int | None:
        """Where a field lies; None where it is not set."""
        (size,) = struct.unpack_from("<H", self._data, self._fields)
        slot = 4 + 2 * number
        if slot + 2 > size:
            return None
        (offset,) = struct.unpack_from("<H", self._data, self._fields + slot)
        return self._at + offset if offset else None

    def table(self, number: int) -> "_Table | None":
        """A field that is a table."""
        at = self.field(number)
        return None if at is None else _Table(self._data, at + _u32(self._data, at))

    def vector(self, number: int) -> tuple[int, int]:
        """Where the items of a vector begin, and how many there are."""
        at = self.field(number)
        if at is None:
            return 0, 0
        start = at + _u32(self._data, at)
        return start + 4, _u32(self._data, start)


def plain_bytes(array: pa.Array | pa.ChunkedArray) -> int:
    """Bytes that the values of a valid column take once no dictionary stands for them.

    Raises:
        ColumnTypeError: a type that no case column has, and whose values may repeat without end.
    """
    if isinstance(array, pa.ChunkedArray):
        return sum(plain_bytes(chunk) for chunk in array.chunks)
    kind = array.type
    if pa.types.is_dictionary(kind):
        each = _bytes_of_each(array.dictionary)
        return int(pc.sum(each.take(array.indices)).as_py() or 0)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return int(array.nbytes) + plain_bytes(array.flatten())
    if pa.types.is_nested(kind) or kind.id in _UNBOUNDED or isinstance(kind, pa.BaseExtensionType):
        raise ColumnTypeError(f"columns of type {kind} are not taken")
    return int(array.nbytes)


def _bytes_of_each(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pc.cast(pc.binary_length(values), pa.int64())
    if pa.types.is_primitive(kind):
        return pa.array([8] * len(values), pa.int64())
    raise ColumnTypeError(f"dictionaries of type {kind} are not taken")


_UNBOUNDED = {
    pa.string_view().id,
    pa.binary_view().id,
    pa.run_end_encoded(pa.int32(), pa.int8()).id,
}
