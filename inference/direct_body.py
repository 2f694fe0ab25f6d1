"""What a caller of a bare model may send through to a model server.

An allow-list: servers take fields that read files, fetch URLs, run templates or cost a hundredfold, and their
number grows with every version. Priority and cache salt are ours to set. Token probabilities are not offered: they
spell out, token by token, what the reviewer has not seen.
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
_OFF = (None, False, 0)
"""What a field that is not offered may say: that it is not wanted."""
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
_FORMATS = ("text", "json_object", "json_schema")
_MOST_STOPS = 16


def direct_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `body` that is sent on; raises `UserFault` for what may not be."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise UserFault("'messages' must be a list with at least one message.", param="messages")
    if body.get("n") not in (None, 1):
        raise UserFault("'n' must be 1: every answer is reviewed on its own.", param="n")
    sent: dict[str, Any] = {}
    for key, value in body.items():
        if key in _FORWARDED:
            if value is not None:
                sent[key] = value
        elif key not in _WITHOUT_EFFECT and value not in _OFF:
            raise UserFault(f"The parameter {key!r} is not supported.", hint="Leave it out.", param=key)
    for index, message in enumerate(messages):
        _check_message(message, index)
    _check_tools(sent)
    _check_format(sent.get("response_format"))
    _check_stop(sent.get("stop"))
    return sent


def tool_names(body: Mapping[str, Any]) -> frozenset[str]:
    """The names of the tools that the caller offers; the body has been checked, or they are none."""
    tools = body.get("tools") or ()
    return frozenset(tool["function"]["name"] for tool in tools)


def wants_json(body: Mapping[str, Any]) -> bool:
    """Whether the caller wants JSON as the answer."""
    wanted = body.get("response_format")
    return isinstance(wanted, Mapping) and wanted.get("type") in ("json_object", "json_schema")


def _check_message(message: Any, index: int) -> None:
    if not isinstance(message, dict) or message.get("role") not in _ROLES:
        roles = ", ".join(sorted(_ROLES))
        raise UserFault(f"messages[{index}] must be an object with a role of {roles}.", param=f"messages[{index}]")
    if message["role"] == "tool" and not isinstance(message.get("tool_call_id"), str):
        where = f"messages[{index}].tool_call_id"
        raise UserFault("A message of the role 'tool' names the call that it answers.", param=where)
    content = message.get("content")
    if content is None or isinstance(content, str):
        return
    where = f"messages[{index}].content"
    if not isinstance(content, list):
        raise UserFault(f"{where} must be a string or a list of parts.", param=where)
    for part in content:
        _check_part(part, where)


def _check_part(part: Any, where: str) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("text", "refusal") and isinstance(part.get(kind), str):
        return
    url = part.get("image_url") if kind == "image_url" else None
    url = url.get("url") if isinstance(url, dict) else url
    # The model server would fetch any other URL, from inside our network.
    if not isinstance(url, str) or not url.startswith("data:image/"):
        raise UserFault(f"{where} may hold text and images as data: URLs.", param=where)


def _check_tools(sent: Mapping[str, Any]) -> None:
    names: set[str] = set()
    tools = sent.get("tools")
    if tools is not None and not isinstance(tools, list):
        raise UserFault("'tools' must be a list.", param="tools")
    for index, tool in enumerate(tools or ()):
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or not name:
            told = f"tools[{index}] must be {{type: 'function', function: {{name, …}}}}."
            raise UserFault(told, param=f"tools[{index}]")
        names.add(name)
    choice = sent.get("tool_choice")
    if isinstance(choice, dict):
        function = choice.get("function")
        wanted = function.get("name") if isinstance(function, dict) else None
        if wanted not in names:
            raise UserFault(f"tool_choice names {wanted!r}, which is not among the tools.", param="tool_choice")
    elif choice not in (None, "none", "auto", "required"):
        raise UserFault("'tool_choice' is none, auto, required, or names a tool.", param="tool_choice")
    elif choice == "required" and not names:
        raise UserFault("tool_choice 'required' needs tools to choose from.", param="tool_choice")


def _check_format(wanted: Any) -> None:
    if wanted is None:
        return
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind not in _FORMATS:
        raise UserFault(f"'response_format' has a type of {', '.join(_FORMATS)}.", param="response_format")
    if kind == "json_schema" and not isinstance(wanted.get("json_schema"), dict):
        where = "response_format.json_schema"
        raise UserFault(f"{where} must be an object with a name and a schema.", param=where)


def _check_stop(stop: Any) -> None:
    if stop is None or isinstance(stop, str):
        return
    if not isinstance(stop, list) or len(stop) > _MOST_STOPS or not all(isinstance(each, str) for each in stop):
        raise UserFault(f"'stop' must be a string or a list of at most {_MOST_STOPS}.", param="stop")
