"""Conversations in a real database."""

import asyncio

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from conversations.contracts import ConversationStore, Summary
from conversations.store import SqlConversationStore
from runs.events import RunResult, Source
from runs.ids import new_run_id
from signalbox.errors import NotFound
from signalbox.identity import Principal

ADA = Principal(user="ada")
BRUNO = Principal(user="bruno")
STRANGERS = [Principal(user="bruno"), Principal(user="ada", tenant="other")]


@pytest.fixture
def store(engine: AsyncEngine) -> SqlConversationStore:
    return SqlConversationStore(engine)


def result(conversation_id: str, text: str = "30 days [1].") -> RunResult:
    sources = (Source(ref="0a1b2c3d", number=1, document="hr/leave.md", quote="30 days", cited=True),)
    return RunResult(
        run_id=new_run_id(), conversation_id=conversation_id, text=text, engine="embedded", sources=sources
    )


async def turn(store: ConversationStore, conversation_id: str | None = None, text: str = "How much leave?") -> str:
    conversation = await store.open(ADA, conversation_id)
    answer = result(conversation.id)
    await store.add_question(ADA, conversation.id, answer.run_id, text)
    await store.add_answer(ADA, conversation.id, answer)
    return conversation.id


async def test_an_answer_is_kept_with_everything_that_it_rests_on(store: SqlConversationStore):
    conversation_id = await turn(store)
    question, answer = await store.history(ADA, conversation_id)
    assert (question.role, question.text, question.result) == ("user", "How much leave?", None)
    assert answer.result is not None
    assert answer.result.sources[0].document == "hr/leave.md"
    assert answer.at.tzinfo is not None


async def test_a_write_that_is_asked_for_again_is_one_message(store: SqlConversationStore):
    conversation = await store.open(ADA, None)
    answer = result(conversation.id)
    for _ in range(2):
        await store.add_question(ADA, conversation.id, answer.run_id, "How much leave?")
    await store.add_answer(ADA, conversation.id, answer)
    await store.add_answer(ADA, conversation.id, answer.model_copy(update={"cancelled": True}))
    question, kept = await store.history(ADA, conversation.id)
    assert (question.text, kept.result) == ("How much leave?", answer)


async def test_what_became_of_approvals_stands_beside_the_answer_of_their_run(store: SqlConversationStore):
    """Each is told once, whether it was decided before the run had its answer or after."""
    conversation = await store.open(ADA, None)
    answer = result(conversation.id)
    await store.add_question(ADA, conversation.id, answer.run_id, "Make two tickets")
    for approval_id in ("appr_1", "", "appr_2", "appr_2"):
        said = answer.model_copy(update={"text": approval_id or answer.text})
        await store.add_answer(ADA, conversation.id, said, approval_id=approval_id)
    kept = await store.history(ADA, conversation.id)
    assert [message.text for message in kept] == ["Make two tickets", "appr_1", "30 days [1].", "appr_2"]
    assert {message.run_id for message in kept} == {answer.run_id}


async def test_history_is_the_latest_oldest_first(store: SqlConversationStore):
    conversation_id = await turn(store, text="0")
    for number in range(1, 5):
        await turn(store, conversation_id, text=str(number))
    assert [message.text for message in await store.history(ADA, conversation_id, limit=3)] == [
        "30 days [1].",
        "4",
        "30 days [1].",
    ]


async def test_a_plain_turn_is_two_commits(store: SqlConversationStore):
    statements: list[str] = []

    def count(_connection: object, clause: object, *_more: object) -> None:
        statements.append(str(clause).split()[0])

    def commit(_connection: object) -> None:
        statements.append("COMMIT")

    event.listen(sa.Engine, "commit", commit)
    event.listen(sa.Engine, "before_execute", count)
    try:
        await turn(store)
    finally:
        event.remove(sa.Engine, "commit", commit)
        event.remove(sa.Engine, "before_execute", count)
    assert statements == ["UPDATE", "INSERT", "INSERT", "COMMIT", "UPDATE", "INSERT", "COMMIT"]


async def test_the_first_question_is_the_title(store: SqlConversationStore):
    conversation_id = await turn(store, text="  How much\nleave " + "really " * 20)
    await turn(store, conversation_id, text="Another question")
    title = (await store.open(ADA, conversation_id)).title
    assert title.startswith("How much leave really")
    assert title.endswith("…")
    assert len(title) <= 80


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_to_others_it_does_not_exist(store: SqlConversationStore, stranger: Principal):
    conversation_id = await turn(store)
    assert await store.list(stranger) == []
    assert await store.history(stranger, conversation_id) == []
    for attempt in (
        store.open(stranger, conversation_id),
        store.delete(stranger, conversation_id),
        store.add_question(stranger, conversation_id, "run_2", "Let me in"),
        store.add_answer(stranger, conversation_id, result(conversation_id)),
        store.list(stranger, before=conversation_id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert len(await store.history(ADA, conversation_id)) == 2


async def test_deleting_leaves_no_row(store: SqlConversationStore, engine: AsyncEngine):
    conversation_id = await turn(store)
    kept = await turn(store)
    await store.delete(ADA, conversation_id)
    with pytest.raises(NotFound):
        await store.open(ADA, conversation_id)
    with pytest.raises(NotFound):
        await store.add_answer(ADA, conversation_id, result(conversation_id))
    async with engine.connect() as connection:
        rows = (await connection.execute(sa.text("SELECT DISTINCT conversation_id FROM message"))).scalars().all()
    assert rows == [kept]


async def test_a_clients_own_id_finds_one_conversation_even_when_asked_at_once(store: SqlConversationStore):
    found = await asyncio.gather(*(store.adopt(ADA, "a2a:ctx-1") for _ in range(8)))
    assert len({conversation.id for conversation in found}) == 1
    assert (await store.adopt(STRANGERS[0], "a2a:ctx-1")).id != found[0].id
    await turn(store, found[0].id, text="First words")
    assert (await store.adopt(ADA, "a2a:ctx-1")).title == "First words"


async def test_pages_meet_without_gap_or_overlap(store: SqlConversationStore):
    ids = [await turn(store) for _ in range(7)]
    seen: list[str] = []
    before = None
    while page := await store.list(ADA, limit=3, before=before):
        seen += [conversation.id for conversation in page]
        before = seen[-1]
    assert seen == ids[::-1]


async def test_many_turns_at_once_lose_nothing(store: SqlConversationStore):
    conversation_ids = await asyncio.gather(*(turn(store, text=f"Question {number}") for number in range(40)))
    histories = await asyncio.gather(*(store.history(ADA, conversation_id) for conversation_id in conversation_ids))
    assert all(len(history) == 2 for history in histories)


async def test_the_store_satisfies_its_contract(store: SqlConversationStore):
    as_protocol: ConversationStore = store
    assert await as_protocol.list(ADA) == []


async def test_a_summary_is_kept_for_its_owner_alone_and_only_the_newest(store: SqlConversationStore):
    conversation = await store.open(ADA, None)
    await store.add_question(ADA, conversation.id, "run_1", "How many days?")
    (first,) = await store.history(ADA, conversation.id)
    assert await store.summary(ADA, conversation.id) == Summary()
    kept = Summary(text="About leave.\x00", upto=first.id + 1, tainted=True)
    await store.keep_summary(ADA, conversation.id, kept)
    await store.keep_summary(ADA, conversation.id, Summary(text="Older.", upto=first.id))
    await store.keep_summary(BRUNO, conversation.id, Summary(text="Bruno's.", upto=first.id + 9))
    assert await store.summary(ADA, conversation.id) == Summary(text="About leave.\ufffd", upto=kept.upto, tainted=True)
    assert await store.summary(BRUNO, conversation.id) == Summary()
    await store.delete(ADA, conversation.id)
    assert await store.summary(ADA, conversation.id) == Summary()
