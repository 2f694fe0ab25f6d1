"""What a caller of a bare model may send through to a model server.

An allow-list: servers take fields that read files, fetch URLs, run templates or cost a hundredfold, and their
number grows with every version. Priority and cache salt are ours to set.
"""

from collections.abc import Mapping
from typing import Any

from signalbox.errors import UserFault

_FORWARDED = frozenset(
    {
        "messages",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "temperature",
        "top_p",
        "seed",
        "stop",
        "max_tokens",
        "max_completion_tokens",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "reasoning_effort",
    }
)
_WITHOUT_EFFECT = frozenset(
    {
        "model",
        "stream",
        "stream_options",
        "n",
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "verbosity",
        "modalities",
        "signalbox",
    }
)


def direct_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `body` that is sent on; raises `UserFault` for what may not be."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise UserFault("'messages' must be a list with at least one message.", param="messages")
    if body.get("n") not in (None, 1):
        raise UserFault("'n' must be 1: every answer is reviewed on its own.", param="n")
    sent = {key: value for key, value in body.items() if key in _FORWARDED and value is not None}
    for key, value in body.items():
        if key not in sent and key not in _WITHOUT_EFFECT and value is not None:
            raise UserFault(f"The parameter {key!r} is not supported.", hint="Leave it out.", param=key)
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]")
    return sent


def _check_message(message: Any, where: str) -> None:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise UserFault(f"{where} must be an object with a role.", param=where)
    content = message.get("content")
    if not isinstance(content, list):
        return
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            continue
        url = part.get("image_url") if kind == "image_url" else None
        url = url.get("url") if isinstance(url, dict) else url
        # The model server would fetch any other URL, from inside our network.
        if not isinstance(url, str) or not url.startswith("data:image/"):
            raise UserFault(f"{where} may hold text and images as data: URLs.", param=f"{where}.content")
