"""Other agents as ours: the same server stands in for another organisation's."""

import asyncio

import pytest
from a2a_bridge.remote import RemoteChatAgent, RemoteConnection
from a2a_bridge.settings import RemoteAgent
from autogen_agentchat.messages import TextMessage
from autogen_core import CancellationToken

from signalbox.errors import ToolFault, UpstreamDown
from tests.a2a_bridge.conftest import Served

pytestmark = pytest.mark.timeout(30)


async def ask(url: str, text: str, token: CancellationToken | None = None, timeout_s: float = 10) -> str:
    connection = RemoteConnection("partner", RemoteAgent(url=url, timeout_s=timeout_s))
    try:
        agent = RemoteChatAgent("partner", connection, timeout_s)
        message = TextMessage(content=text, source="user")
        response = await agent.on_messages([message], token or CancellationToken())
        return response.chat_message.to_model_text()
    finally:
        await connection.close()


async def test_its_answer_comes_back_as_one_text(served: Served) -> None:
    assert await ask(served.url, "how many") == "Two days. Ask your manager."


async def test_cancelling_our_step_cancels_its_task(served: Served) -> None:
    token = CancellationToken()
    work = asyncio.create_task(ask(served.url, "slow one", token))
    while not served.turns.asked:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await asyncio.wait_for(served.turns.stopped.wait(), 5)


async def test_a_slow_one_is_given_up_and_stopped(served: Served) -> None:
    with pytest.raises(UpstreamDown, match=r"did not answer in 0\.5 s"):
        await ask(served.url, "slow one", timeout_s=0.5)
    await asyncio.wait_for(served.turns.stopped.wait(), 5)


@pytest.mark.parametrize(("text", "reason"), [("fail now", "failed"), ("act please", "asks for more")])
async def test_what_it_did_not_finish_is_a_failure_with_a_reason(served: Served, text: str, reason: str) -> None:
    with pytest.raises(ToolFault, match=reason):
        await ask(served.url, text)


async def test_one_that_is_not_there_is_named() -> None:
    with pytest.raises(UpstreamDown, match=r"'partner' at 'http://127\.0\.0\.1:1'"):
        await ask("http://127.0.0.1:1", "hello")


async def test_one_that_did_not_answer_is_said_to_be_down_until_it_answers_again(served: Served) -> None:
    connection = RemoteConnection("partner", RemoteAgent(url=served.url, timeout_s=10))
    try:
        message = TextMessage(content="slow one", source="user")
        with pytest.raises(UpstreamDown):
            await RemoteChatAgent("partner", connection, 0.3).on_messages([message], CancellationToken())
        assert connection.health() == "did not answer a moment ago"
        message = TextMessage(content="how many", source="user")
        await RemoteChatAgent("partner", connection, 10).on_messages([message], CancellationToken())
        assert connection.health() == "up"
    finally:
        await connection.close()


async def test_a_card_that_points_to_another_origin_is_refused(served: Served) -> None:
    with pytest.raises(ToolFault, match="another origin"):
        await ask(served.url.replace("127.0.0.1", "localhost"), "hello")
    assert served.turns.asked == []
