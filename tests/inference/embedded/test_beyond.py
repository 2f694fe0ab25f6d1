"""What needs a language model goes to who works with text, and is declined in words that say what would help."""

from typing import Any

import pytest
from autogen_core.models import LLMMessage

from agents.contracts import Plan
from inference.embedded import EmbeddedClient
from tests.inference.embedded.conftest import prompt

TEAM = [
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
        "name": "scribe",
        "description": "Writes, rewrites, summarises, translates, drafts and formats text.",
        "examples": ["Translate this paragraph."],
        "tools": [],
        "health": "up",
    },
]
BEYOND = [
    "Write a limerick about lighthouses",
    "Could you come up with three names for our ferry?",
    "please translate “the pier is closed” into Finnish",
    "Draft an invitation to the summer party",
    "What is 37 times 12?",
    "how much is 15% of 2,400",
    "add up 12, 40 and 7",
    "what's the average of 3, 9 and 12?",
]
LATER = ["now in Spanish", "as bullet points please", "say that more politely", "make it shorter", "in two sentences"]
NOT_BEYOND = [
    "How many visitors came between 3 and 9 May?",
    "What does the policy say about writing letters?",
    "How many of the 12 boats are free?",
    "what is the average number of visitors",
]


async def planned(client: EmbeddedClient, **sections: Any) -> Plan:
    messages = prompt(now="2026-05-08", specialists=TEAM, role="planner", **sections)
    result = await client.create(messages, json_output=Plan)
    assert isinstance(result.content, str)
    return Plan.model_validate_json(result.content)


@pytest.mark.parametrize("message", BEYOND)
async def test_a_text_to_be_made_and_sums_go_to_nobody_who_looks_things_up(
    client: EmbeddedClient, message: str
) -> None:
    plan = await planned(client, question=message)
    assert [step.specialist for step in plan.steps] == ["scribe"]


@pytest.mark.parametrize("message", LATER)
async def test_work_on_the_last_answer_is_known_without_its_words(client: EmbeddedClient, message: str) -> None:
    history = [
        {"role": "user", "text": "How many visitors came last month?"},
        {"role": "assistant", "text": "1,204 visitors came."},
    ]
    plan = await planned(client, history=history, question=message)
    assert [(step.specialist, step.task) for step in plan.steps] == [("scribe", message)]


@pytest.mark.parametrize("message", NOT_BEYOND)
async def test_a_question_that_only_sounds_like_it_is_looked_up(client: EmbeddedClient, message: str) -> None:
    plan = await planned(client, question=message)
    assert plan.steps
    assert all(step.specialist != "scribe" for step in plan.steps)


@pytest.mark.parametrize("task", [*BEYOND, *LATER])
async def test_what_it_cannot_do_it_declines_and_says_what_would(client: EmbeddedClient, task: str) -> None:
    messages: list[LLMMessage] = prompt(now="2026-05-08", role="scribe", task=task)
    result = await client.create(messages)
    assert isinstance(result.content, str)
    assert result.content.startswith("NO_ANSWER")
    assert "vLLM" in result.content
