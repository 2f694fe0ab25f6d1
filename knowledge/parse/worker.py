"""The process that reads untrusted files: `python -m knowledge.parse.worker`, one file after the other.

The first frame on stdin holds the limits; each further one names a file and its size, followed by its bytes.
"""

import os
import resource
import sys
from typing import Any, BinaryIO

from knowledge.parse.confine import allow_cpu, confine
from knowledge.parse.dispatch import Reading
from knowledge.parse.draft import Limits, ParseFault
from knowledge.parse.wire import frame, read_frame, reply_frames

_NEARLY = 0.6


def main() -> None:
    """Serve until stdin closes."""
    commands = sys.stdin.buffer
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not spoil the frames
    hello = read_frame(commands)
    if hello is None:
        return
    limits = Limits(**hello["limits"])
    offline = confine(limits.memory_bytes, programs=(limits.tesseract,) if limits.tesseract else ())
    _send(replies, {"ready": True, "offline": offline})
    while (request := read_frame(commands)) is not None:
        reply = _serve(request, commands, limits)
        _send(replies, reply)
        if reply.get("exit"):
            return


def _send(replies: BinaryIO, message: dict[str, Any]) -> None:
    for part in reply_frames(message["parts"]) if "parts" in message else (frame(message),):
        replies.write(part)
    replies.flush()


def _serve(request: dict[str, Any], commands: BinaryIO, limits: Limits) -> dict[str, Any]:
    try:
        data = commands.read(request["size"])
        allow_cpu(limits.cpu_s)
        reading = Reading(limits)
        reading.read(request["name"], data)
    except ParseFault as fault:
        return {"reason": str(fault)}
    except MemoryError:
        return _out_of_memory(limits)
    except Exception as error:  # noqa: BLE001  (the task root of a file: whatever a library throws is its verdict)
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > _NEARLY * limits.memory_bytes:
            return _out_of_memory(limits)  # libxml2 calls it a syntax error
        return {"reason": f"It is damaged or not supported: {type(error).__name__}: {str(error)[:200]}"}
    return {"parts": reading.parts}


def _out_of_memory(limits: Limits) -> dict[str, Any]:
    return {"reason": f"It needs more than {limits.memory_bytes // 1_000_000} MB of memory to read.", "exit": True}


if __name__ == "__main__":
    main()
