"""EndpointOp: an operation or message, looked at before it is sent: what the server cannot read ends all sessions."""

from __future__ import annotations

from runtime.errors import InvalidParameter
from runtime.wire import messages as wire
from runtime.wire.codec import Reader, encode
from runtime.wire.errors import ProtocolError
from sgdsl.errors import InvalidArgument

__all__ = ["MOST_BYTES", "size_of"]

MOST_BYTES = wire.MAX_FRAME_BYTES // 2
"""What one of them may take; the rest of a frame is for what is around it."""

BYTES_PER_TOKEN = 20

_SENT: Reader[wire.Op | wire.FromClient] = Reader(wire.Op | wire.FromClient)


def size_of(op: wire.Op | wire.FromClient) -> int:
    """The bytes that an operation, or a message that holds none, takes on the wire.

    Raises:
        InvalidArgument: something in it is of a type that the protocol does not have there, or is no proper text.
        InvalidParameter: it is too large.
    """
    if isinstance(op, wire.Append) and not isinstance(op.content, str):
        size = BYTES_PER_TOKEN * len(op.content)
    else:
        kind = type(op).__name__
        try:
            data = encode(op)
            _SENT.decode(data, kind)
            size = len(data)
        except UnicodeEncodeError as error:
            lone = error.object[error.start]
            raise InvalidArgument(f"{kind}: {lone!r} is half of a character and has no place in a text") from error
        except (ProtocolError, TypeError) as error:
            raise InvalidArgument(str(error)) from error
    if size > MOST_BYTES:
        raise InvalidParameter(type(op).__name__.lower(), f"{size} bytes", f"at most {MOST_BYTES} bytes at once")
    return size
