"""The frames between the pool and a worker: four bytes of length, JSON, then the bytes of the file if any.

A reply is a head, which says how many frames follow, then each part of the file with its blocks in further frames: to
decode a frame keeps every other thread of the process waiting, so none is as large as a document.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

LENGTH = struct.Struct(">I")
MAX_HEAD_BYTES = 1_000_000
MAX_REPLY_BYTES = 256_000_000
_BLOCKS_PER_FRAME = 1_000


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


def reply_frames(parts: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    """The parts of a file as they go over the pipe; `join` puts them together again."""
    messages = [message for part in parts for message in _messages(part)]
    yield frame({"frames": len(messages)})
    for message in messages:
        yield frame(message)


def join(bodies: Sequence[bytes]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """From the frames behind a head: each part with the blocks of its document."""
    part: dict[str, Any] | None = None
    blocks: list[dict[str, Any]] = []
    for message in map(unpack, bodies):
        if "part" in message:
            if part is not None:
                yield part, blocks
            part, blocks = message["part"], []
        else:
            blocks.extend(message["blocks"])
    if part is not None:
        yield part, blocks


def _messages(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    document = part.get("document")
    if document is None:
        yield {"part": part}
        return
    blocks = document["blocks"]
    yield {"part": part | {"document": document | {"blocks": []}}}
    for start in range(0, len(blocks), _BLOCKS_PER_FRAME):
        yield {"blocks": blocks[start : start + _BLOCKS_PER_FRAME]}
