"""What an approval card says: what will happen, in words, before anything does."""

import json
from collections.abc import Mapping
from typing import Any

from policies.sensitive import redact_secrets
from signalbox.errors import SignalboxError
from toolbus.call import Call
from toolbus.contracts import ToolOutcome
from toolbus.results import clean
from toolbus.settings import ToolBusSettings
from toolbus.sources import SourceCall, ToolSource

_MAX_PREVIEW_CHARS = 2000
_MAX_VALUE_CHARS = 400


class Previewer:
    """Asks a server of ours for a dry run; describes the call from its arguments for any other.

    A dry run that fails ends the call: nobody is asked to approve what cannot work.
    """

    def __init__(self, sources: Mapping[str, ToolSource], settings: ToolBusSettings) -> None:
        self._sources = sources
        self._settings = settings

    async def __call__(self, call: Call) -> ToolOutcome:
        """An `ok` outcome whose text is the preview, or the reason why the call cannot be made."""
        source = self._sources[call.tool.server]
        if not source.ours:
            return call.outcome("ok", describe(call.tool.name, call.arguments))
        rehearsal = SourceCall(
            tool=call.tool.tool,
            arguments=call.arguments,
            chain=call.context.chain,
            call_id=call.call_id,
            timeout_s=call.timeout_s,
            run_id=call.context.run_id,
            dry_run=True,
            replayable=True,
        )
        try:
            result = await source.call(rehearsal)
        except SignalboxError as error:
            return call.outcome("error", str(error))
        cleaned = clean(result, max_bytes=self._settings.max_result_bytes, max_rows=self._settings.max_result_rows)
        if cleaned.is_error:
            return call.outcome("error", cleaned.text)
        summary = cleaned.structured.get("summary") if isinstance(cleaned.structured, dict) else cleaned.text
        text = summary if isinstance(summary, str) and summary else describe(call.tool.name, call.arguments)
        return call.outcome("ok", text[:_MAX_PREVIEW_CHARS], cleaned.structured)


def describe(tool: str, arguments: Mapping[str, Any]) -> str:
    """The exact call in words: tool and every argument."""
    if not arguments:
        return f"Call {tool} without arguments."
    lines = [f"Call {tool} with:"]
    for name, value in arguments.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        shown = text if len(text) <= _MAX_VALUE_CHARS else f"{text[:_MAX_VALUE_CHARS]}… ({len(text)} characters)"
        lines.append(f"- {name}: {shown}")
    return redact_secrets("\n".join(lines))[:_MAX_PREVIEW_CHARS]
