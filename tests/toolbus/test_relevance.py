"""With many tools installed, a step sees those that fit its task."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from toolbus.contracts import ToolSpec
from toolbus.relevance import ToolRanker


class Words:
    """An embedder of words: a vector of hashed word counts, of length 1."""

    name = "words"
    dimensions = 512

    def __init__(self) -> None:
        self.embedded = 0

    async def embed(self, texts: Sequence[str]) -> Any:
        self.embedded += len(texts)
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().replace(".", " ").split():
                vectors[row, int(hashlib.sha256(word.encode()).hexdigest(), 16) % self.dimensions] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def tool(number: int, description: str) -> ToolSpec:
    name = f"s__tool{number}"
    return ToolSpec(name=name, server="s", tool=name, description=description, input_schema={}, pin=str(number))


TOOLS = [tool(number, f"filler about topic number {number}") for number in range(30)]
TOOLS[17] = tool(17, "book a meeting room in the calendar")


async def test_the_tool_that_fits_is_among_those_offered_and_order_is_kept() -> None:
    chosen = await ToolRanker(Words(), 5).narrow("please book a meeting room for monday", TOOLS)
    assert len(chosen) == 5
    assert "s__tool17" in {tool.name for tool in chosen}
    assert chosen == [tool for tool in TOOLS if tool in chosen]


async def test_a_few_tools_or_no_task_are_not_narrowed() -> None:
    embedder = Words()
    assert await ToolRanker(embedder, 40).narrow("book", TOOLS) == TOOLS
    assert await ToolRanker(embedder, 5).narrow(" ", TOOLS) == TOOLS
    assert embedder.embedded == 0


async def test_tools_that_a_specialist_names_are_always_there() -> None:
    chosen = await ToolRanker(Words(), 3).narrow("book a meeting room", TOOLS, always=["s__tool3"])
    assert {"s__tool3", "s__tool17"} <= {tool.name for tool in chosen}


async def test_tools_that_search_keep_some_places_whatever_the_task_is_about() -> None:
    search = ToolSpec(
        name="files__search", server="files", tool="search", description="Search.", input_schema={}, pin="s"
    )
    everywhere = [
        ToolSpec(
            name=f"s{number}__find_it",
            server=f"s{number}",
            tool="find_it",
            description="",
            input_schema={},
            pin=f"f{number}",
        )
        for number in range(9)
    ]
    task = "please book a meeting room for monday"
    assert search in await ToolRanker(Words(), 5).narrow(task, [*TOOLS, search])
    chosen = {tool.name for tool in await ToolRanker(Words(), 5).narrow(task, [*TOOLS, *everywhere])}
    assert "s__tool17" in chosen
    assert sum(name.endswith("find_it") for name in chosen) == 2


async def test_asking_again_embeds_nothing() -> None:
    embedder = Words()
    ranker = ToolRanker(embedder, 5)
    await ranker.narrow("book a meeting room", TOOLS)
    before = embedder.embedded
    await ranker.narrow("book a meeting room", TOOLS)
    assert embedder.embedded == before
    await ranker.narrow("something else", TOOLS)
    assert embedder.embedded == before + 1
