from autogen_core.models import CreateResult, UserMessage

from tests.inference.peer import Peer, Script

ASK = [UserMessage(content="Hello?", source="user")]


async def test_streams_text_then_one_result_with_usage(peer, make_models, scope):
    client = make_models(base_url=peer.url, model="test-model").client("direct", scope)
    pieces = [piece async for piece in client.create_stream(ASK)]
    assert pieces[:-1] == ["Hello", " from", " the", " peer."]
    result = pieces[-1]
    assert isinstance(result, CreateResult)
    assert (result.content, result.finish_reason) == ("Hello from the peer.", "stop")
    assert (scope.meter.usage.prompt_tokens, scope.meter.usage.completion_tokens) == (11, 4)
    assert scope.meter.usage.model_calls == 1
    assert scope.meter.engines == {"test-model"}


async def test_whole_answers_need_no_stream(peer, make_models, scope):
    client = make_models(base_url=peer.url, model="test-model").client("planner", scope)
    result = await client.create(ASK)
    assert result.content == "Hello from the peer."
    assert "stream" not in peer.requests[-1].body
