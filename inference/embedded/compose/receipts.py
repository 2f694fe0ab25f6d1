"""What a tool did or could not do, said in its own words."""

from collections.abc import Mapping
from typing import Any

from inference.embedded.prompt_reader import ToolResult
from inference.embedded.text import clip, sentences

_MAX_ERROR = 300


def is_receipt(data: Mapping[str, Any]) -> bool:
    """Whether a result states in one sentence what happened."""
    return isinstance(data.get("summary"), str) and bool(data["summary"].strip()) and "rows" not in data


def state_receipt(result: ToolResult) -> str:
    """The sentence of the receipt."""
    summary = str((result.data or {}).get("summary", "")).strip()
    return summary if summary.endswith((".", "!", "?")) else f"{summary}."


def state_error(result: ToolResult) -> str:
    """Which tool failed and why, in plain words, without a trace."""
    name = result.tool.rsplit("__", 1)[-1].replace("_", " ")
    data = result.data or {}
    reason = str(data.get("message") or data.get("error") or data.get("summary") or result.text).strip()
    first = next(iter(sentences(reason.splitlines()[0])), "") if reason else "no reason was given"
    return f"The tool {name!r} failed: {clip(first.rstrip('.'), _MAX_ERROR)}."
