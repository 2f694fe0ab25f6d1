"""An input file as requests: each line checked before the first one is worked on, every fault by its line."""

import json
from dataclasses import dataclass, field
from typing import Any

import orjson

from inference.batch.contracts import LineFault

_MAX_FAULTS = 50
_MAX_ID = 256


@dataclass
class Lines:
    """What an input file amounts to: as rows of `batch_line` without the batch, or faults."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    faults: list[LineFault] = field(default_factory=list)


def read_lines(data: bytes, *, endpoint: str, max_lines: int) -> Lines:
    """Read a whole file; stops after fifty faults. Takes a second for 50,000 lines: call it in a thread."""
    found = Lines()
    seen: set[str] = set()
    numbered = ((number, line.strip()) for number, line in enumerate(data.split(b"\n"), start=1))
    for number, line in ((number, line) for number, line in numbered if line):
        fault = _take(line, number, endpoint, seen, found.rows)
        if fault is not None:
            found.faults.append(fault)
        if len(found.rows) > max_lines:
            found.faults.append(LineFault(code="too_many_lines", message=f"A batch takes at most {max_lines} lines."))
        if len(found.faults) >= _MAX_FAULTS or len(found.rows) > max_lines:
            return found
    if not found.rows and not found.faults:
        found.faults.append(LineFault(code="empty_file", message="The file holds no requests."))
    return found


def _take(line: bytes, number: int, endpoint: str, seen: set[str], rows: list[dict[str, Any]]) -> LineFault | None:
    def fault(code: str, message: str, param: str | None = None) -> LineFault:
        return LineFault(code=code, message=message, line=number, param=param)

    try:
        request = orjson.loads(line)
    except orjson.JSONDecodeError:
        return fault("invalid_json_line", "This line is not valid JSON.")
    if not isinstance(request, dict):
        return fault("invalid_json_line", "This line is not a JSON object.")
    custom_id, body = request.get("custom_id"), request.get("body")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= _MAX_ID or "\x00" in custom_id:
        return fault("invalid_custom_id", f"'custom_id' must be a text of 1 to {_MAX_ID} characters.", "custom_id")
    if custom_id in seen:
        return fault("duplicate_custom_id", f"The custom_id {custom_id!r} was used before.", "custom_id")
    seen.add(custom_id)
    if request.get("method", "POST") != "POST":
        return fault("invalid_method", "'method' must be POST.", "method")
    if request.get("url", endpoint) != endpoint:
        return fault("mismatched_url", f"'url' must be the batch's endpoint, {endpoint}.", "url")
    if not isinstance(body, dict):
        return fault("missing_body", "'body' must be an object: what the endpoint takes.", "body")
    if body.get("stream"):
        return fault("invalid_stream", "A batch answers with files: leave 'stream' out.", "body.stream")
    rows.append({"position": len(rows), "custom_id": custom_id, "body": orjson.dumps(body)})
    return None


def answered(custom_id: str, request_id: str, status: int, body: dict[str, Any]) -> bytes:
    """A line of a result file: what the endpoint said."""
    response = {"status_code": status, "request_id": request_id, "body": body}
    return _line(custom_id, request_id, response, None)


def left_out(custom_id: str, request_id: str, code: str, message: str) -> bytes:
    """A line of the errors file: a request that was not made, and why."""
    return _line(custom_id, request_id, None, {"code": code, "message": message})


def _line(custom_id: str, request_id: str, response: Any, error: Any) -> bytes:
    entry = {"id": request_id, "custom_id": custom_id, "response": response, "error": error}
    try:
        return orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # integers beyond 64 bits, which a model's JSON may hold
        return json.dumps(entry, ensure_ascii=False).encode(errors="replace") + b"\n"
