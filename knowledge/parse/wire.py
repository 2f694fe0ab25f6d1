"""The frames between the pool and a worker: four bytes of length, JSON, then the bytes of the file if any."""

import json
import struct
from typing import Any, BinaryIO

LENGTH = struct.Struct(">I")
MAX_REPLY_BYTES = 256_000_000


def frame(message: dict[str, Any]) -> bytes:
    """One message as it goes over the pipe."""
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return LENGTH.pack(len(body)) + body


def read_frame(stream: BinaryIO) -> dict[str, Any] | None:
    """The next message, or None where the other side has closed."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return unpack(stream.read(LENGTH.unpack(head)[0]))


def unpack(body: bytes) -> dict[str, Any]:
    """A message from the JSON of its frame."""
    return json.loads(body.decode("utf-8", "replace"))
