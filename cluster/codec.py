"""Between the wire and Arrow: IPC bytes of bounded size, checked where a stranger sent them."""

from collections.abc import Iterator

import pyarrow as pa

from cluster.errors import RequestError, Violation
from cluster.ipcguard import ColumnTypeError, plain_bytes, unpacked_bytes

MESSAGE_BYTES = 3 << 20
"""Largest Arrow IPC stream in one message; a gRPC message is 4 MiB at most by default."""
MESSAGE_ROWS = 131_072
"""Most cases in one message."""
ANSWER_BYTES = (4 << 20) - 64
"""What gRPC's clients take by default, but for the few bytes around it."""
UNPACKED_BYTES = 64 << 20
"""Most bytes of one message's columns, once decompressed and without dictionaries."""


def encode(table: pa.Table | pa.RecordBatch, compression: str | None = None) -> bytes:
    """The table as one complete Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write(table)
    return bytes(sink.getvalue())


def encode_answer(answers: pa.Table) -> bytes:
    """The answer to one message, compressed where it would not fit in a message otherwise.

    Raises:
        RequestError: it does not fit even so, since the ids of its cases came compressed.
    """
    data = encode(answers)
    if len(data) > MESSAGE_BYTES:
        data = encode(answers, "zstd")
    if len(data) > ANSWER_BYTES:
        raise RequestError(
            Violation("arrow_ipc", f"the answer would have {len(data):,} bytes"),
            hint="send the cases in several messages",
        )
    return data


def decode(data: bytes, field: str, unpacked: int = UNPACKED_BYTES) -> pa.Table:
    """The table of one complete Arrow IPC stream that a stranger sent, checked to the last byte.

    Args:
        data: the bytes.
        field: the field of the request that holds them, for the error.
        unpacked: most bytes of the columns, once decompressed and without dictionaries.

    Raises:
        RequestError: too large, not Arrow IPC, or inconsistent within.
    """
    if len(data) > MESSAGE_BYTES:
        raise RequestError(
            Violation(field, f"{len(data):,} bytes; at most {MESSAGE_BYTES:,} are allowed"),
            hint="send the cases in several messages",
        )
    try:
        size = unpacked_bytes(data)
        if size <= unpacked:
            source = pa.BufferReader(data)
            with pa.ipc.open_stream(source) as reader:
                table = reader.read_all()
            if behind := len(data) - source.tell():
                raise ValueError(f"{behind:,} bytes stand behind its end")
            # The kernels trust offsets and indices; bytes from outside may point anywhere.
            table.validate(full=True)
            size = sum(plain_bytes(column) for column in table.columns)
    except ColumnTypeError as error:
        raise RequestError(
            Violation(field, str(error)),
            hint="send texts as string, codes as list of string; leave out what is no case column",
        ) from error
    except (pa.ArrowException, OSError, ValueError, UnicodeDecodeError) as error:
        first_line = str(error).partition("\n")[0]
        raise RequestError(
            Violation(field, f"not one complete Arrow IPC stream: {first_line}"),
            hint="write it with pyarrow.ipc.new_stream, one stream a message",
        ) from error
    if size > unpacked:
        raise RequestError(
            Violation(field, f"{size:,} bytes once unpacked; at most {unpacked:,} are allowed"),
            hint="send the cases in several messages",
        )
    if table.num_rows > MESSAGE_ROWS:
        raise RequestError(
            Violation(field, f"{table.num_rows:,} cases; at most {MESSAGE_ROWS:,} are allowed"),
            hint="send the cases in several messages",
        )
    return table


def messages(table: pa.Table | pa.RecordBatch) -> Iterator[bytes]:
    """The table in its order as streams that each fit in a message; an empty table gives one.

    Raises:
        RequestError: a single row is too large.
    """
    rows = table.num_rows
    whole_bytes = max(1, table.nbytes)
    step = max(1, min(MESSAGE_ROWS, int(rows * 0.8 * MESSAGE_BYTES / whole_bytes)))
    at = 0
    while True:
        piece = table.slice(at, step)
        data = encode(piece)
        if len(data) > MESSAGE_BYTES:
            if step == 1:
                raise RequestError(Violation("arrow_ipc", f"row {at} does not fit in a message"))
            step = max(1, step // 2)
            continue
        yield data
        at += step
        if at >= rows:
            return
