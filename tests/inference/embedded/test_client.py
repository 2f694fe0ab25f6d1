import asyncio
import json
from typing import Any, Literal

import pytest
from autogen_core import CancellationToken
from autogen_core.models import CreateResult, UserMessage
from autogen_core.tools import ToolSchema
from pydantic import BaseModel

from agents.contracts import Plan
from inference.contracts import CallScope
from inference.embedded import EmbeddedClient, EmbeddedEngine, EmbeddedSettings
from tests.inference.embedded.conftest import HashingEmbedder, evidence, prompt, told, with_result

SPECIALISTS = [
    {
        "name": "papers",
        "description": "Answers from written documents: policies, handbooks, rules.",
        "examples": ["What does the policy say about parking?"],
        "tools": ["papers__search"],
        "health": "up",
    },
    {
        "name": "numbers",
        "description": "Figures from the database: counts of visitors, sales totals and trends.",
        "examples": ["How many visitors came last month?"],
        "tools": ["numbers__query"],
        "health": "up",
    },
    {
        "name": "errands",
        "description": "Creates tickets and sends messages for the user.",
        "examples": ["Open a ticket about the lift"],
        "tools": ["errands__create_ticket"],
        "health": "up",
    },
]
SEARCH: ToolSchema = {
    "name": "papers__search",
    "description": "Find passages that answer a question.",
    "parameters": {
        "type": "object",
        "properties": {
            "query": {"type": "string"},
            "limit": {"type": "integer", "default": 6, "minimum": 1, "maximum": 20},
            "filters": {"type": "object", "properties": {"modified_after": {"type": "string", "format": "date"}}},
            "cursor": {"type": "string", "default": ""},
        },
        "required": ["query"],
    },  # type: ignore[typeddict-item]
}
TICKET: ToolSchema = {
    "name": "errands__create_ticket",
    "description": "Open a ticket.",
    "parameters": {
        "type": "object",
        "properties": {"title": {"type": "string"}, "room": {"type": "string", "examples": ["R-12"]}},
        "required": ["title", "room"],
    },  # type: ignore[typeddict-item]
}


async def plan(client: EmbeddedClient, question: str, **more: Any) -> Plan:
    messages = prompt(now="2026-11-20", question=question, specialists=SPECIALISTS, role="planner", **more)
    result = await client.create(messages, json_output=Plan)
    assert isinstance(result.content, str)
    return Plan.model_validate_json(result.content)


async def test_a_question_of_two_kinds_goes_to_two_specialists(client: EmbeddedClient) -> None:
    made = await plan(client, "How many visitors came last month, and what does the policy say about parking?")
    assert [(step.specialist, step.needs) for step in made.steps] == [("numbers", []), ("papers", [])]


async def test_an_action_waits_for_the_finding_it_speaks_of(client: EmbeddedClient) -> None:
    made = await plan(client, "How many visitors came last month? Send the result to Marta.")
    assert [(step.id, step.specialist, step.needs) for step in made.steps] == [
        ("s1", "numbers", []),
        ("s2", "errands", ["s1"]),
    ]


async def test_small_talk_needs_no_step(client: EmbeddedClient) -> None:
    made = await plan(client, "Thank you!")
    assert (made.steps, made.reply) == ([], "You are welcome. Ask me whenever something else comes up.")


async def test_a_follow_up_is_made_whole_with_the_question_before(client: EmbeddedClient) -> None:
    history = [{"role": "user", "text": "How many visitors came in February?"}, {"role": "assistant", "text": "12."}]
    made = await plan(client, "and in March?", history=history)
    assert [(step.specialist, step.task) for step in made.steps] == [("numbers", "How many visitors came in March?")]
    assert made.assumptions == ["you ask “How many visitors came in March?”"]


@pytest.mark.parametrize("message", ["What about it?", "And that one?", "What about the other thing?"])
async def test_what_points_back_to_nothing_is_asked_back(client: EmbeddedClient, message: str) -> None:
    made = await plan(client, message)
    assert made == Plan(question="What do you mean? Name the thing, the place or the time that you ask about.")


async def test_nothing_is_planned_after_outcomes(client: EmbeddedClient) -> None:
    made = await plan(client, "What is allowed?", outcomes=[{"step": "s1", "status": "ok", "findings": "Parking."}])
    assert made == Plan()


async def test_a_search_gets_the_clean_question_and_nothing_that_was_not_said(client: EmbeddedClient) -> None:
    messages = prompt(now="2026-11-20", task="Could you tell me where visitors may park since last month?")
    result = await client.create(messages, tools=[SEARCH, TICKET])
    assert isinstance(result.content, list)
    assert [(call.name, json.loads(call.arguments)) for call in result.content] == [
        ("papers__search", {"query": "where visitors may park since last month?", "limit": 14})
    ]


async def test_a_missing_value_is_asked_for(client: EmbeddedClient) -> None:
    result = await client.create(prompt(task="Open a ticket about the lift"), tools=[TICKET])
    assert result.content == "To create ticket I still need: room. What should it be?"


async def test_a_tool_that_writes_is_never_called_for_a_question(client: EmbeddedClient) -> None:
    result = await client.create(prompt(task="How do I open a ticket about room R-12?"), tools=[TICKET])
    assert isinstance(result.content, str)
    assert result.content.startswith("NO_ANSWER")


async def test_an_answer_is_the_sentence_with_its_citation(client: EmbeddedClient) -> None:
    found = evidence("Visitors park in yard B. The canteen opens at noon.", "Bicycles stand in the hall.")
    messages = with_result(prompt(question="Where do visitors park?"), "papers__search", found)
    result = await client.create(messages, tools=[SEARCH])
    assert isinstance(result.content, str)
    assert result.content.startswith("Visitors park in yard B. [#00000001]")


async def test_a_how_to_question_gets_the_whole_list_in_order(client: EmbeddedClient) -> None:
    steps = (
        "To request a visitor badge:\n\n1. Log in to the portal\n2. Pick a day\n3. Print the code\n\nThe hall is red."
    )
    messages = with_result(prompt(question="How do I request a visitor badge?"), "papers__search", evidence(steps))
    result = await client.create(messages)
    assert isinstance(result.content, str)
    lines = [told(line) for line in result.content.splitlines()[:4]]
    assert lines == ["To request a visitor badge:", "1. Log in to the portal", "2. Pick a day", "3. Print the code"]


async def test_a_how_to_question_gets_the_list_first_though_a_sentence_is_closer(client: EmbeddedClient) -> None:
    sentence = "Visitors could not request a badge from 10 to 12 May because the portal failed."
    tasks = [
        "Request the badge for the visitors in the portal, under Visits, and wait two minutes",
        "Pick the day on which they come and the gate that is closest to their host",
        "Print the code that the portal shows and send it to them by mail before noon",
        "Meet them at the gate with the code, for nobody is let in alone on a first visit",
    ]
    steps = "\n".join(f"{number}. {task}" for number, task in enumerate(tasks, 1))
    messages = with_result(prompt(question="How do visitors request a badge?"), "s", evidence(sentence, steps))
    result = await client.create(messages)
    assert isinstance(result.content, str)
    lines = [told(line) for line in result.content.splitlines() if line]
    assert lines == [*steps.splitlines(), sentence]


async def test_a_sentence_brings_the_one_that_points_back_to_it(client: EmbeddedClient) -> None:
    text = "Visitors leave their bags at the desk. They must be taken back by noon. The hall is red."
    messages = with_result(prompt(question="Where do visitors leave bags?"), "papers__search", evidence(text))
    result = await client.create(messages)
    assert isinstance(result.content, str)
    assert told(result.content) == "Visitors leave their bags at the desk. They must be taken back by noon."


async def test_a_reading_tool_is_not_called_without_saying_what_to_read(client: EmbeddedClient) -> None:
    parameters = {"type": "object", "properties": {"document": {"type": "string"}, "start": {"type": "integer"}}}
    read: ToolSchema = {
        "name": "papers__read",
        "description": "Read the text around a passage.",
        "parameters": parameters,
    }  # type: ignore[typeddict-item]
    result = await client.create(prompt(task="What does the text around the passage say?"), tools=[read, SEARCH])
    assert isinstance(result.content, list)
    assert [call.name for call in result.content] == ["papers__search"]


async def test_every_part_is_searched_for_where_one_is_and_no_other_tool_fits(client: EmbeddedClient) -> None:
    parts = ["How long may Kwame stay?", "Which passages answer who pays the hotel?"]
    for first, second in (parts, parts[::-1]):
        result = await client.create(prompt(task=f"{first} {second}"), tools=[SEARCH])
        assert isinstance(result.content, list)
        assert [json.loads(call.arguments)["query"] for call in result.content] == [first, second]


async def test_documents_that_differ_are_shown_with_their_dates(client: EmbeddedClient) -> None:
    found = evidence("A hotel night may cost up to 120 euros.", "A hotel night may cost up to 150 euros.")
    found["evidence"][0]["modified"] = "2023-02-01"
    found["evidence"][1]["modified"] = "2026-02-01"
    messages = with_result(prompt(question="How much may a hotel night cost?"), "papers__search", found)
    result = await client.create(messages)
    assert result.content == (
        "The documents differ.\n\n"
        "Newer (2026-02-01): A hotel night may cost up to 150 euros. [#00000002]\n\n"
        "Older (2023-02-01): A hotel night may cost up to 120 euros. [#00000001]"
    )


async def test_evidence_that_does_not_answer_is_declined_with_what_came_closest(client: EmbeddedClient) -> None:
    messages = prompt(task="Who pays the broken window of a rented car?")
    texts = ("Bicycles stand in the hall.", "The canteen opens at noon.")
    refused = "NO_ANSWER The documents and data found do not say: Who pays the broken window of a rented car."
    far = await client.create(with_result(messages, "papers__search", evidence(*texts)), tools=[SEARCH])
    assert far.content == refused
    near = await client.create(with_result(messages, "papers__search", evidence(*texts, likeness=0.5)), tools=[SEARCH])
    assert near.content == (
        f"{refused}\n\n"
        "Closest, but not certain to answer it:\n"
        "- Bicycles stand in the hall. [#00000001]\n"
        "- The canteen opens at noon. [#00000002]"
    )


async def test_a_table_is_stated_with_units_and_cited(client: EmbeddedClient) -> None:
    table = {
        "title": "Visitors",
        "columns": [{"name": "gate", "type": "text"}, {"name": "visit_time", "type": "number", "unit": "min"}],
        "rows": [{"gate": "North", "visit_time": 12.5}, {"gate": "South", "visit_time": 1040.0}],
        "row_count": 2,
        "truncated": False,
        "summary": "Visits lasted longest at the South gate.",
        "evidence": [{"ref": "abcdef01", "text": "…"}],
    }
    result = await client.create(with_result(prompt(question="How long?"), "numbers__query", table))
    assert result.content == (
        "Visits lasted longest at the South gate. [#abcdef01]\n\n"
        "| gate | visit time (min) |\n| --- | --- |\n| North | 12.5 |\n| South | 1,040 |"
    )


async def test_a_receipt_and_an_error_are_told_in_their_words(client: EmbeddedClient) -> None:
    messages = with_result(
        prompt(task="Do both"), "errands__create_ticket", {"summary": "Ticket T-9 is open", "status": "ok"}
    )
    messages = with_result(
        messages, "errands__send_message", "The mail server does not answer. Try later.", is_error=True
    )
    result = await client.create(messages)
    assert result.content == "Ticket T-9 is open.\n\nThe tool 'send message' failed: The mail server does not answer."


async def test_findings_become_one_answer_without_repeats(client: EmbeddedClient) -> None:
    outcomes = [
        {"step": "s1", "status": "ok", "task": "visitors", "findings": "Twelve visitors came in October. [#00000001]"},
        {"step": "s2", "status": "ok", "task": "the same", "findings": "Twelve visitors came in October. [#00000002]"},
        {"step": "s3", "status": "ok", "task": "Who parks?", "findings": "NO_ANSWER The documents do not say."},
        {"step": "s4", "status": "failed", "task": "x", "findings": "", "reason": "down"},
    ]
    result = await client.create(prompt(question="?", outcomes=outcomes, role="synthesiser"))
    assert result.content == "Twelve visitors came in October. [#00000001]\n\nNothing was found about: Who parks."


async def test_what_needs_a_language_model_is_declined_and_says_so(client: EmbeddedClient) -> None:
    result = await client.create([UserMessage(content="Write a poem about the sea.", source="user")])
    assert isinstance(result.content, str)
    assert result.content.startswith("NO_ANSWER The embedded engine answers from documents, data and tools only.")


class Verdict(BaseModel):
    verdict: Literal["withhold", "mask", "release"]
    reason: str


class Order(BaseModel):
    quantity: int
    colour: Literal["red", "blue"]
    note: str = ""


async def test_the_reviewer_releases_and_other_schemas_hold_what_was_said(client: EmbeddedClient) -> None:
    review = await client.create(prompt(question="x", role="reviewer"), json_output=Verdict)
    order = await client.create([UserMessage(content="Order 12 blue pens", source="u")], json_output=Order)
    assert json.loads(str(review.content)) == {"verdict": "release", "reason": ""}
    assert Order.model_validate_json(str(order.content)).model_dump(exclude={"note"}) == {
        "quantity": 12,
        "colour": "blue",
    }


async def test_a_stream_is_the_answer_in_pieces_and_the_result_last(client: EmbeddedClient, scope: CallScope) -> None:
    found = evidence("Visitors park in yard B. Visitors of the board park in yard A.")
    messages = with_result(prompt(question="Where do visitors park?"), "papers__search", found)
    chunks = [chunk async for chunk in client.create_stream(messages)]
    result = chunks[-1]
    assert isinstance(result, CreateResult)
    assert "".join(str(chunk) for chunk in chunks[:-1]) == result.content
    assert scope.meter.engines == {"embedded"}
    assert scope.meter.usage.prompt_tokens == result.usage.prompt_tokens > 0
    assert client.total_usage() == result.usage


async def test_the_same_call_has_the_same_reply_and_embeds_nothing_twice(
    client: EmbeddedClient, embedder: HashingEmbedder
) -> None:
    messages = with_result(prompt(question="Where do visitors park?"), "s", evidence("Visitors park in yard B."))
    first = await client.create(messages)
    asked = len(embedder.texts)
    second = await client.create(messages)
    assert (first.content, asked) == (second.content, len(embedder.texts))


class StuckEmbedder(HashingEmbedder):
    async def embed(self, texts: Any) -> Any:
        await asyncio.Event().wait()


async def test_cancelling_the_token_ends_a_call_that_waits(scope: CallScope) -> None:
    client = EmbeddedEngine(StuckEmbedder()).client(scope)
    token = CancellationToken()
    messages = with_result(prompt(question="Where?"), "s", evidence("Visitors park in yard B."))
    work = asyncio.create_task(client.create(messages, cancellation_token=token))
    await asyncio.sleep(0.05)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_an_embedder_that_does_not_answer_is_left_in_time(scope: CallScope) -> None:
    engine = EmbeddedEngine(StuckEmbedder(), EmbeddedSettings(embed_timeout_s=0.05))
    messages = with_result(prompt(question="Where?"), "s", evidence("Visitors park in yard B."))
    with pytest.raises(TimeoutError):
        await engine.client(scope).create(messages)


async def test_reading_much_evidence_leaves_the_loop_free(client: EmbeddedClient) -> None:
    passages = [f"Passage {n} says that visitor {n} parks in yard {n}. " * 20 for n in range(20)]
    messages = with_result(prompt(question="Where does visitor 7 park?"), "s", evidence(*passages))
    await client.create(messages)
    ticks, work = 0, asyncio.create_task(client.create(messages))
    while not work.done():
        await asyncio.sleep(0)
        ticks += 1
    await work
    assert ticks > 20  # a reply made in the loop lets it turn five times, one in a thread 50 times and more


async def test_a_language_that_the_stemmer_does_not_know_is_answered_by_its_words(client: EmbeddedClient) -> None:
    found = evidence("Посетители паркуются во дворе Б. Столовая открывается в полдень.")
    messages = with_result(prompt(question="Где паркуются посетители?"), "s", found)
    result = await client.create(messages)
    assert told(str(result.content)).startswith("Посетители паркуются во дворе Б.")
