"""What an answer from passages looks like: how long, in which parts, and when it is refused."""

from typing import Any

import pytest
from autogen_core.models import UserMessage
from autogen_core.tools import ToolSchema

from agents.contracts import Plan
from inference.contracts import CallScope
from inference.embedded import EmbeddedClient, EmbeddedEngine, EmbeddedSettings
from inference.embedded.beyond import calculates
from inference.embedded.compose.values import asked_kinds, holds_value
from inference.embedded.intents import split_intents
from tests.inference.embedded.conftest import HashingEmbedder, evidence, prompt, told, with_result

READER = {
    "name": "papers",
    "description": "Answers from written documents: policies, handbooks, rules.",
    "examples": ["What does the policy say about parking?"],
    "tools": ["papers__search"],
    "health": "up",
}
WRITER = {
    "name": "words",
    "description": "Writes, rewrites, summarises, translates and drafts text about a conversation with a teammate.",
    "examples": ["Translate this paragraph"],
    "tools": [],
    "health": "up",
}


async def answer(client: EmbeddedClient, question: str, found: dict[str, Any]) -> str:
    result = await client.create(with_result(prompt(question=question), "papers__search", found))
    assert isinstance(result.content, str)
    return result.content


async def test_an_answer_holds_many_short_passages_and_no_more_words_than_are_set(scope: CallScope) -> None:
    found = evidence(*(f"Visitors of gate {n} park in yard {n} next to the hall." for n in range(20)))
    client = EmbeddedEngine(HashingEmbedder(), EmbeddedSettings(max_answer_words=60)).client(scope)
    said = told(await answer(client, "Where do visitors park?", found))
    assert said.count("\n- ") == 2
    assert 40 < len(said.split()) <= 60 + len(["Also", "found:", "-", "-"])


async def test_what_follows_the_best_passages_is_a_list(client: EmbeddedClient) -> None:
    found = evidence(*(f"Visitors of gate {n} park in yard {n}." for n in range(1, 6)))
    assert told(await answer(client, "Where do visitors park?", found)) == (
        "Visitors of gate 1 park in yard 1.\n\nVisitors of gate 2 park in yard 2.\n\nVisitors of gate 3 park in yard 3."
        "\n\nAlso found:\n- Visitors of gate 4 park in yard 4.\n- Visitors of gate 5 park in yard 5."
    )


async def test_each_part_of_a_question_is_answered_under_its_own_words(client: EmbeddedClient) -> None:
    found = evidence("Visitors park in yard B.", "The canteen opens at noon.")
    said = await answer(client, "Where do visitors park, and when does the canteen open?", found)
    assert told(said) == (
        "**Where do visitors park**\n\nVisitors park in yard B.\n\n"
        "**when does the canteen open?**\n\nThe canteen opens at noon."
    )


async def test_rows_of_a_table_are_read_as_facts_under_their_headers(client: EmbeddedClient) -> None:
    table = "| Gate | Opens | Yard |\n|---|---|---|\n| North | 7 am | B |\n| South | 9 am | C |"
    said = await answer(client, "When does the South gate open?", evidence(table))
    assert told(said) == "- Gate: North; Opens: 7 am; Yard: B\n- Gate: South; Opens: 9 am; Yard: C"


async def test_a_passage_that_is_far_in_meaning_is_no_answer_however_many_words_it_shares(
    client: EmbeddedClient,
) -> None:
    text = "Visitors park in yard B."
    near = await answer(client, "Where do visitors park?", evidence(text, likeness=0.7))
    far = await answer(client, "Where do visitors park?", evidence(text, likeness=0.05))
    assert (near.startswith("NO_ANSWER"), far.startswith("NO_ANSWER")) == (False, True)


async def test_a_passage_that_was_judged_not_to_answer_is_no_answer_however_near_it_is(client: EmbeddedClient) -> None:
    text = "Visitors park in yard B."
    said = [
        await answer(client, "Where do visitors park?", evidence(text, likeness=0.5, answers=p)) for p in (0.9, 0.001)
    ]
    assert [each.startswith("NO_ANSWER") for each in said] == [False, True]


async def test_the_line_is_a_setting_of_the_corpus(scope: CallScope) -> None:
    client = EmbeddedEngine(HashingEmbedder(), EmbeddedSettings(decline_below=1.0)).client(scope)
    assert (await answer(client, "Where do visitors park?", evidence("Visitors park in B."))).startswith("NO_ANSWER")


@pytest.mark.parametrize(
    ("question", "holding", "lacking"),
    [
        ("How much does a day pass cost?", "A pass is $12.", "A pass is sold at the desk in 3 colours."),
        ("How many weeks may I stay away?", "Up to 26 weeks are granted.", "Stay away from gate 26."),
        ("What share of my pay is kept?", "They keep 7.5 % of it.", "They keep 75 of them."),
        ("What time does the hall open?", "Doors open at 7:30 am.", "Doors open for 30 people."),
        ("How long must a code be?", "It has at least 14 characters.", "It has 14 uses."),
        ("How long are the tables?", "Each is 3 m long.", "There are 3."),
        ("On what weekday are badges made? What day?", "Each Wednesday.", "In the hall."),
    ],
)
def test_a_value_of_the_kind_that_is_asked_for_is_told_from_others(question: str, holding: str, lacking: str) -> None:
    kinds = asked_kinds(question)
    assert (holds_value(kinds, holding), holds_value(kinds, lacking)) == (True, False)


def test_a_question_that_asks_for_no_value_wants_none() -> None:
    assert asked_kinds("Who signs the letter?") == ()


def test_a_statement_is_not_cut_where_it_goes_on_about_itself() -> None:
    parts = split_intents("I hold a badge and have a trip planned. Must I report it, and may I work from the hotel?")
    assert [part.whole for part in parts] == [
        "I hold a badge and have a trip planned. Must I report it",
        "may I work from the hotel?",
    ]


def test_a_wish_before_a_question_is_what_the_question_is_about() -> None:
    parts = split_intents("I want to give somebody the top score. Who else signs it?")
    assert [part.whole for part in parts] == ["I want to give somebody the top score. Who else signs it?"]


async def plan(client: EmbeddedClient, question: str) -> list[tuple[str, str]]:
    messages = prompt(now="2026-11-20", question=question, specialists=[READER, WRITER], role="planner")
    result = await client.create(messages, json_output=Plan)
    return [(step.specialist, step.task) for step in Plan.model_validate_json(str(result.content)).steps]


async def test_who_reads_documents_hears_the_whole_question_once(client: EmbeddedClient) -> None:
    asked = "My badge was stolen. How fast must the office know, and which channel gets a note?"
    assert await plan(client, asked) == [("papers", asked)]


async def test_a_question_is_never_left_to_who_works_on_texts(client: EmbeddedClient) -> None:
    asked = "I talked to my teammate about the draft. Which conversation is next?"
    assert await plan(client, asked) == [("papers", asked)]


async def test_a_list_of_documents_is_not_called_for_a_question_about_something_else(client: EmbeddedClient) -> None:
    tools: list[ToolSchema] = [
        {
            "name": "papers__list_documents",
            "description": "List documents by path, a hundred at a time.",
            "parameters": {"type": "object", "properties": {"source": {"type": "string", "default": ""}}},  # type: ignore[typeddict-item]
        },
        {
            "name": "papers__search",
            "description": "Find passages that answer a question.",
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
        },
    ]
    asked = "How many people can be asked a hundred times before the act on paperwork holds?"
    result = await client.create(prompt(task=asked), tools=tools)
    assert isinstance(result.content, list)
    assert [call.name for call in result.content] == ["papers__search"]


async def test_arithmetic_over_text_is_declined_with_the_figures_that_were_found(client: EmbeddedClient) -> None:
    found = evidence("A night in Leeds may cost 120 euros.", "A day in Leeds has an allowance of 40 euros.")
    said = await answer(client, "Calculate what a night and a day in Leeds cost together", found)
    assert told(said) == (
        "NO_ANSWER The embedded engine quotes figures and does not calculate with them. Arithmetic over text needs a "
        "language model: an administrator can connect a vLLM server (inference.base_url).\n\n"
        "Closest, but not certain to answer it:\n"
        "- A night in Leeds may cost 120 euros.\n- A day in Leeds has an allowance of 40 euros."
    )


async def test_a_sum_in_a_plain_message_is_declined_in_words_that_say_what_would_do_it(client: EmbeddedClient) -> None:
    result = await client.create([UserMessage(content="What is 17 times 23?", source="user")])
    assert str(result.content).startswith("NO_ANSWER The embedded engine quotes figures")


@pytest.mark.parametrize("text", ["How many days are there?", "What is the total for October?", "Is 2 or 3 allowed?"])
def test_figures_that_somebody_else_has_are_no_arithmetic(text: str) -> None:
    assert not calculates(text)
