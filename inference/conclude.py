"""Decides whether a finished answer is what was asked for, and turns it into AutoGen's result."""

from autogen_core import FunctionCall
from autogen_core.models import CreateResult, FinishReasons, RequestUsage

from inference.answer import Answer
from inference.errors import ModelFault
from inference.request import Ask
from inference.schemas import Invalid, check_arguments, check_structured
from inference.telemetry import CallRecord

_FINISH: dict[str, FinishReasons] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "function_calls",
    "function_call": "function_calls",
    "content_filter": "content_filter",
}


def conclude(ask: Ask, answer: Answer, record: CallRecord) -> CreateResult:
    """The result of a complete answer.

    Raises `Invalid` where telling the model may help, and `ModelFault` where it cannot: an answer that was cut off
    would be cut off again. Plain text that was cut off is still worth reading: `finish_reason` says it.
    """
    calls, text = answer.calls, answer.text
    if answer.finish_reason == "length" and (calls or ask.structured or ask.must_call or not text.strip()):
        record.invalid("truncated")
        raise ModelFault(
            f"The model {record.model!r} was cut off at its token limit before the answer was complete.",
            hint="Raise max_tokens for this purpose or the server's max-model-len, or ask for less.",
        )
    if answer.finish_reason == "content_filter" and not text.strip():
        record.invalid("refused")
        raise ModelFault(f"The server of the model {record.model!r} withheld the answer by its content filter.")
    if calls:
        return _result(ask, answer, record, _checked(ask, calls, record))
    if ask.must_call or answer.finish_reason == "tool_calls":
        record.invalid("no_tool_call")
        raise Invalid("No tool call came. Call one of the tools, with arguments that fit its schema.")
    if not text.strip():
        record.invalid("empty")
        raise Invalid("The reply was empty.")
    if not ask.structured:
        return _result(ask, answer, record, text)
    try:
        model = ask.json_output if isinstance(ask.json_output, type) else None
        return _result(ask, answer, record, check_structured(model, text))
    except Invalid:
        record.invalid("schema")
        raise


def _checked(ask: Ask, calls: list[FunctionCall], record: CallRecord) -> list[FunctionCall]:
    if ask.extra.get("parallel_tool_calls") is False:
        calls = calls[:1]
    schemas = ask.schemas()
    try:
        return [
            FunctionCall(id=call.id, name=call.name, arguments=check_arguments(call.name, call.arguments, schemas))
            for call in calls
        ]
    except Invalid:
        record.invalid("tool_arguments")
        raise


def _result(ask: Ask, answer: Answer, record: CallRecord, content: str | list[FunctionCall]) -> CreateResult:
    finish = _FINISH.get(answer.finish_reason or "", "unknown")
    if finish == "length":
        record.truncated()
    thought = answer.thought
    if isinstance(content, list):
        finish = "function_calls"  # a named choice ends with `stop`
        thought = thought or answer.text
    used = record.tally.result(complete=True)
    usage = RequestUsage(prompt_tokens=used.prompt_tokens, completion_tokens=used.completion_tokens)
    return CreateResult(finish_reason=finish, content=content, usage=usage, cached=False, thought=thought or None)
