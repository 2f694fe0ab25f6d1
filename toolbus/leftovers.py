"""Reading on in a result that was cut to size: a tool of the bus itself, offered once something was cut.

What is left belongs to the step that made the call, was authorised with that call, and goes when the step ends.
"""

from typing import Any
from uuid import uuid4

from toolbus.contracts import CallContext, ToolOutcome, ToolSpec
from toolbus.results import CleanResult, clean
from toolbus.settings import ToolBusSettings
from toolbus.sources import SourceResult

MORE = ToolSpec(
    name="bus__more",
    server="bus",
    tool="more",
    description="Read on in a result that was cut to size: give the cursor that stands in its note.",
    input_schema={
        "type": "object",
        "properties": {
            "cursor": {"type": "string", "description": "The cursor from the note, for example more-1a2b3c4d."}
        },
        "required": ["cursor"],
        "additionalProperties": False,
    },
    read_only=True,
    destructive=False,
    idempotent=True,
    pin="built-in",
)
_MAX_KEPT = 16


def finish(context: CallContext, outcome: ToolOutcome, result: CleanResult) -> ToolOutcome:
    """Put a clean result into the outcome, with a note and, inside a step, a cursor where something was cut."""
    outcome.text, outcome.structured = result.text, result.structured
    if result.cut is None:
        return outcome
    hint = "Ask for less at a time."
    if context.step_id:
        cursor = f"more-{uuid4().hex[:8]}"
        context.leftovers[cursor] = (result.cut.name, result.cut.rest)
        while len(context.leftovers) > _MAX_KEPT:
            del context.leftovers[next(iter(context.leftovers))]
        hint = f"For the next ones call {MORE.name} with cursor {cursor!r}, or ask for less at a time."
        if isinstance(outcome.structured, dict):
            outcome.structured = {**outcome.structured, "more_cursor": cursor}
    outcome.text = f"{outcome.text}\n[{result.cut.note} {hint}]"
    return outcome


def read_on(context: CallContext, arguments: dict[str, Any], settings: ToolBusSettings) -> ToolOutcome:
    """The next part; a cursor can be read once."""
    kept = context.leftovers.pop(arguments["cursor"], None)
    if kept is None:
        return ToolOutcome(
            MORE.name, "error", f"There is nothing under the cursor {arguments['cursor'][:40]!r} any more."
        )
    name, rest = kept
    result = SourceResult(text=rest) if isinstance(rest, str) else SourceResult(text="", structured={name: rest})
    cleaned = clean(result, max_bytes=settings.max_result_bytes, max_rows=settings.max_result_rows)
    return finish(context, ToolOutcome(MORE.name, "ok", ""), cleaned)
