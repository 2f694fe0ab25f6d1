"""What an agent gets for its calls, over a real stdio server."""

import asyncio
import json
import time

import pytest
from autogen_core import CancellationToken

from runs.events import Progress, ToolCalled, ToolFinished
from tests.toolbus.world import World
from toolbus.contracts import Budget

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(30)]


async def test_a_call_returns_the_structured_result_as_text_and_as_data(shared: World) -> None:
    context = shared.context()
    workbench = await shared.bus.workbench(context, ["probe__*"])
    result = await workbench.call_tool("probe__add", {"a": 1, "b": 2})
    assert (result.is_error, result.to_text()) == (False, '{"total": 3}')
    assert [(outcome.status, outcome.structured) for outcome in context.outcomes] == [("ok", {"total": 3})]


async def test_the_schema_reaches_the_agent_verbatim(shared: World) -> None:
    workbench = await shared.bus.workbench(shared.context(), ["probe__add"])
    (schema,) = await workbench.list_tools()
    assert schema["name"] == "probe__add"
    assert schema["description"] == "Add two whole numbers."
    assert schema["parameters"] == {
        "type": "object",
        "title": "addArguments",
        "properties": {"a": {"title": "A", "type": "integer"}, "b": {"title": "B", "type": "integer"}},
        "required": ["a", "b"],
    }


async def test_wrong_arguments_never_leave_and_the_error_says_what_to_change(shared: World) -> None:
    before = shared.noted()
    workbench = await shared.bus.workbench(shared.context(), ["probe__*"])
    result = await workbench.call_tool("probe__add", {"a": "one"})
    assert result.is_error
    assert result.to_text() == (
        "The arguments do not fit the tool's schema:\n"
        "- 'b' is a required property (integer)\n"
        "- a: 'one' is not of type 'integer'"
    )
    assert shared.noted() == before


@pytest.mark.parametrize("arguments", [3, "text", [1], True, float("inf")])
async def test_arguments_that_are_no_object_are_refused(shared: World, arguments: object) -> None:
    workbench = await shared.bus.workbench(shared.context(), ["probe__*"])
    result = await workbench.call_tool("probe__add", arguments)  # type: ignore[arg-type]
    assert result.is_error
    assert result.to_text().startswith("The arguments must be one JSON object, not ")


async def test_a_number_that_json_does_not_have_is_refused(shared: World) -> None:
    workbench = await shared.bus.workbench(shared.context(), ["probe__*"])
    result = await workbench.call_tool("probe__slow", {"seconds": float("inf")})
    assert result.to_text() == "The number at /seconds is not finite; JSON has no such number."


async def test_a_tool_that_raises_is_an_error_result(shared: World) -> None:
    context = shared.context()
    result = await (await shared.bus.workbench(context, ["probe__*"])).call_tool("probe__boom", {})
    assert result.is_error
    assert context.outcomes[0].status == "error"
    assert "disk" not in result.to_text()


async def test_a_tool_outside_the_patterns_does_not_exist_for_the_step(shared: World) -> None:
    context = shared.context()
    workbench = await shared.bus.workbench(context, ["probe__add", "other__*"])
    assert [tool["name"] for tool in await workbench.list_tools()] == ["probe__add"]
    result = await workbench.call_tool("probe__write", {"text": "outside"})
    assert (result.is_error, context.outcomes[0].status) == (True, "denied")
    assert "write outside" not in shared.noted()


async def test_a_long_text_is_cut_with_a_note(shared: World) -> None:
    result = await (await shared.bus.workbench(shared.context(), ["probe__*"])).call_tool(
        "probe__flood", {"characters": 500_000}
    )
    text = result.to_text()
    assert len(text) < 66_000
    assert "[Cut to size: the first " in text


async def test_what_was_cut_off_can_be_read_on_to_the_end(shared: World) -> None:
    context = shared.context()
    workbench = await shared.bus.workbench(context, ["probe__rows"])
    assert [tool["name"] for tool in await workbench.list_tools()] == ["probe__rows"]
    result = await workbench.call_tool("probe__rows", {"count": 450})
    assert "[Cut to size: the first 200 of 450 items of 'rows'." in result.to_text()
    assert [tool["name"] for tool in await workbench.list_tools()] == ["probe__rows", "bus__more"]
    numbers = []
    while True:
        structured = context.outcomes[-1].structured
        numbers += [row["n"] for row in structured["rows"]]
        if "more_cursor" not in structured:
            break
        assert not (await workbench.call_tool("bus__more", {"cursor": structured["more_cursor"]})).is_error
    assert numbers == list(range(450))
    assert (await workbench.call_tool("bus__more", {"cursor": "more-00000000"})).is_error


async def test_a_credential_in_a_result_reaches_neither_text_nor_data(shared: World) -> None:
    context = shared.context()
    result = await (await shared.bus.workbench(context, ["probe__*"])).call_tool("probe__leak", {})
    assert result.to_text() == '{"result": "the key is [aws-key], keep it"}'
    assert context.outcomes[0].structured == {"result": "the key is [aws-key], keep it"}


async def test_a_server_of_ours_learns_who_asks_and_through_whom(shared: World) -> None:
    async def ask(user: str) -> dict[str, object]:
        context = shared.context(user)
        await (await shared.bus.workbench(context, ["probe__*"])).call_tool("probe__whoami", {})
        return context.outcomes[0].structured

    answers = await asyncio.gather(*(ask(user) for user in ["ada", "bruno"] * 10))
    assert [answer["user"] for answer in answers] == ["ada", "bruno"] * 10
    assert answers[0]["actors"] == ["planner", "actions"]
    call = answers[0]["call"]
    assert isinstance(call, dict)
    assert (call["run_id"], call["dry_run"]) == ("run_1", False)
    assert call["idempotency_key"] == call["call_id"] != ""


async def test_events_tell_the_call_with_masked_arguments_and_its_end(shared: World) -> None:
    shared.events.clear()
    workbench = await shared.bus.workbench(shared.context(), ["probe__*"])
    await workbench.call_tool("probe__write", {"text": "mail bob@example.com the key AKIAIOSFODNN7EXAMPLE"})
    called, finished = shared.events
    assert isinstance(called, ToolCalled)
    assert called.arguments == {"text": "mail [email] the key [aws-key]"}
    assert isinstance(finished, ToolFinished)
    assert (finished.call_id, finished.status) == (called.call_id, "ok")


async def test_progress_is_forwarded(shared: World) -> None:
    shared.events.clear()
    await (await shared.bus.workbench(shared.context(), ["probe__*"])).call_tool("probe__slow", {"seconds": 0.1})
    told = [(event.message, event.fraction) for event in shared.events if isinstance(event, Progress)]
    assert told == [(f"step {step}", step / 10) for step in range(1, 11)]


async def test_cancelling_the_token_returns_a_result_and_stops_the_server(shared: World) -> None:
    shared.log.write_text("")
    token = CancellationToken()
    context = shared.context()
    workbench = await shared.bus.workbench(context, ["probe__*"])
    call = asyncio.create_task(workbench.call_tool("probe__slow", {"seconds": 60}, token))
    await shared.until_noted("slow start")
    started = time.perf_counter()
    token.cancel()
    result = await call
    assert time.perf_counter() - started < 1
    assert (result.is_error, result.to_text()) == (True, "'probe__slow' was cancelled.")
    assert context.outcomes[0].status == "cancelled"
    await shared.until_noted("slow cancelled CancelledError")
    finished = [event for event in shared.events if isinstance(event, ToolFinished)]
    assert finished[-1].status == "cancelled"


async def test_a_token_that_was_cancelled_before_makes_no_call(shared: World) -> None:
    shared.log.write_text("")
    token = CancellationToken()
    token.cancel()
    workbench = await shared.bus.workbench(shared.context(), ["probe__*"])
    result = await workbench.call_tool("probe__write", {"text": "late"}, token)
    assert result.is_error
    assert shared.noted() == []


async def test_cancelling_the_task_passes_through_and_stops_the_server(shared: World) -> None:
    shared.log.write_text("")
    workbench = await shared.bus.workbench(shared.context(), ["probe__*"])
    call = asyncio.create_task(workbench.call_tool("probe__slow", {"seconds": 60}))
    await shared.until_noted("slow start")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await shared.until_noted("slow cancelled CancelledError")


async def test_a_deadline_of_the_step_ends_the_call_at_the_server(shared: World) -> None:
    shared.log.write_text("")
    budget = Budget(tool_calls=1, tokens=0, deadline=time.monotonic() + 0.3)
    workbench = await shared.bus.workbench(shared.context(budget=budget), ["probe__*"])
    result = await workbench.call_tool("probe__slow", {"seconds": 60})
    assert result.is_error
    assert "did not answer within" in result.to_text()
    await shared.until_noted("slow cancelled CancelledError")


async def test_a_spent_budget_makes_no_call_and_says_so(shared: World) -> None:
    shared.log.write_text("")
    workbench = await shared.bus.workbench(shared.context(calls=1), ["probe__*"])
    assert not (await workbench.call_tool("probe__write", {"text": "first"})).is_error
    result = await workbench.call_tool("probe__write", {"text": "second"})
    assert result.to_text() == "The tool calls for this task are used up. Answer with what you have."
    assert shared.noted() == ["write first"]


async def test_a_call_of_no_agent_passes_the_same_filters_and_tells_progress(shared: World) -> None:
    told: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)

    chain = shared.context("clara").chain
    outcome = await shared.bus.raw_call(chain, "probe__slow", {"seconds": 0.1}, on_progress=on_progress)
    assert (outcome.status, outcome.structured) == ("ok", {"result": "done"})
    assert len(told) == 10
    assert (await shared.bus.raw_call(chain, "probe__none", {})).status == "denied"
    assert (await shared.bus.raw_call(chain, "probe__add", {})).status == "error"


async def test_a_reader_of_events_that_raises_is_an_error_result_not_a_hang(shared: World) -> None:
    async def broken(_event: object) -> None:
        raise RuntimeError("the queue is gone")

    workbench = await shared.bus.workbench(shared.context(emit=broken), ["probe__*"])
    result = await workbench.call_tool("probe__add", {"a": 1, "b": 1})
    assert result.is_error


async def test_stderr_of_the_server_is_not_the_users_business(shared: World, capfd: pytest.CaptureFixture[str]) -> None:
    context = shared.context()
    await (await shared.bus.workbench(context, ["probe__*"])).call_tool("probe__pid", {})
    assert "someone asked" not in json.dumps(context.outcomes[0].structured)
    assert "someone asked" not in capfd.readouterr().err
