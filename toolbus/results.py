"""Results on their way to a model: credentials replaced, then cut to size, with a note that says so.

Both halves of a result are treated alike: the text that the model reads, and the structured content that code reads.
"""

import json
from dataclasses import dataclass
from typing import Any

from policies.sensitive import may_hold_secrets, redact_secrets, redact_value
from toolbus.sources import SourceResult

# No result is searched for credentials beyond this multiple of its limit: what is cut off anyway is not worth the time.
_SCAN_FACTOR = 4


@dataclass(frozen=True)
class CleanResult:
    """What a model and the layers above may see."""

    text: str
    structured: Any
    is_error: bool
    rest: Any = None


def clean(result: SourceResult, *, max_bytes: int, max_rows: int) -> CleanResult:
    """Redact, then bound. When rows were cut off, `rest` holds them: (name of the list, the remaining rows)."""
    if result.structured is None:
        text = redact_secrets(result.text[: max_bytes * _SCAN_FACTOR])
        return CleanResult(_cut_text(text, len(result.text), max_bytes), None, result.is_error)
    text = json.dumps(result.structured, ensure_ascii=False)
    if _fits(text, max_bytes) and not _too_many(result.structured, max_rows) and not may_hold_secrets(text):
        return CleanResult(text, result.structured, result.is_error)
    trimmed, first_cut = _trim_rows(result.structured, max_bytes * _SCAN_FACTOR, max_rows)
    structured, cut = _trim_rows(redact_value(trimmed), max_bytes, max_rows)
    name = (cut or first_cut or ("", 0))[0]
    if not name:
        text = json.dumps(structured, ensure_ascii=False)
        return CleanResult(_cut_text(text, len(text), max_bytes), structured, result.is_error)
    kept = len(structured[name] if isinstance(structured, dict) else structured)
    original = result.structured[name] if isinstance(result.structured, dict) else result.structured
    if isinstance(structured, dict):
        structured = {**structured, "truncated": True}
    text = json.dumps(structured, ensure_ascii=False)
    note = f"\n[Cut to size: the first {kept} of {len(original)} items of {name!r}.]"
    return CleanResult(
        _cut_text(text, len(text), max_bytes) + note, structured, result.is_error, (name, original[kept:])
    )


def _fits(text: str, max_bytes: int) -> bool:
    return len(text) * 4 <= max_bytes or len(text.encode("utf-8", "replace")) <= max_bytes


def _too_many(value: Any, max_rows: int) -> bool:
    lists = value.values() if isinstance(value, dict) else (value,)
    return any(isinstance(item, list) and len(item) > max_rows for item in lists)


def _trim_rows(value: Any, max_bytes: int, max_rows: int) -> tuple[Any, tuple[str, int] | None]:
    """The value with its longest list cut until everything fits; which list, and how many items are left."""
    if isinstance(value, list):
        kept = _fitting(value, max_bytes, max_rows)
        return (value, None) if kept == len(value) else (value[:kept], ("result", kept))
    if not isinstance(value, dict):
        return value, None
    lists = {key: item for key, item in value.items() if isinstance(item, list)}
    if not lists:
        return value, None
    longest = max(lists, key=lambda key: _size(lists[key]))
    others = _size({key: item for key, item in value.items() if key != longest})
    kept = _fitting(lists[longest], max(0, max_bytes - others), max_rows)
    if kept == len(lists[longest]):
        return value, None
    return {**value, longest: lists[longest][:kept]}, (longest, kept)


def _fitting(items: list[Any], max_bytes: int, max_rows: int) -> int:
    used = 2
    for index, item in enumerate(items[:max_rows]):
        used += _size(item) + 2
        if used > max_bytes:
            return index
    return min(len(items), max_rows)


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace"))


def _cut_text(text: str, length: int, max_bytes: int) -> str:
    raw = text.encode("utf-8", "replace")
    if len(raw) <= max_bytes:
        return raw.decode("utf-8")
    kept = raw[:max_bytes].decode("utf-8", "ignore")
    return f"{kept}\n[Cut to size: the first {len(kept)} of {length} characters. Ask for less at a time.]"
