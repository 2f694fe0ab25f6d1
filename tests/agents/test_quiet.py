"""Words that nobody hears do not travel; the model is still asked to stream, so that a stop ends its work."""

from autogen_core.models import CreateResult

from agents.quiet import Quiet
from inference.contracts import CallScope, UsageMeter
from tests.agents.plays import plan, result_of, script
from tests.agents.scripted import Reply, ScriptedModels


async def test_only_the_result_comes_through_and_the_stream_behind_it_is_closed():
    models = ScriptedModels(lambda seen: Reply("One two three four.", chunks=4))
    scope = CallScope(tenant="t", conversation_id="c", run_id="r", meter=UsageMeter())
    chunks = [chunk async for chunk in Quiet(models.client("specialist", scope)).create_stream([])]
    assert [type(chunk) for chunk in chunks] == [CreateResult]
    assert chunks[0].content == "One two three four."
    assert models.seen[0].ended


async def test_leaving_early_closes_the_stream_behind_it():
    models = ScriptedModels(lambda seen: Reply("One two three four.", chunks=4))
    scope = CallScope(tenant="t", conversation_id="c", run_id="r", meter=UsageMeter())
    stream = Quiet(models.client("specialist", scope)).create_stream([])
    await anext(stream)
    assert not models.seen[0].ended
    await stream.aclose()
    assert models.seen[0].ended


async def test_findings_of_several_steps_are_whole(house):
    home = house(script(plan(("a", "generalist", ()), ("b", "generalist", ())), a="First.", b="Second."))
    result, _ = await result_of(home)
    prompt = home.models.by_role("synthesiser")[0].prompt
    assert "First." in prompt
    assert "Second." in prompt
    assert result.text == "Merged."
