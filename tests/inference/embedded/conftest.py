"""The engine over a small deterministic embedder: hashed words, so that what is alike in words is alike in meaning."""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

from inference.contracts import CallScope, UsageMeter
from inference.embedded import EmbeddedClient, EmbeddedEngine
from inference.embedded.text import key_stems


class HashingEmbedder:
    """Unit vectors of stems; counts how many texts it was asked for."""

    name = "hashing"
    dimensions = 256

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def embed(self, texts: Sequence[str]) -> Any:
        self.texts.extend(texts)
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for stem in key_stems(text) or ("nothing",):
                digest = hashlib.sha256(stem.encode()).digest()
                vectors[row, int.from_bytes(digest[:2]) % self.dimensions] += 1.0
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def embedder() -> HashingEmbedder:
    return HashingEmbedder()


@pytest.fixture
def engine(embedder: HashingEmbedder) -> EmbeddedEngine:
    return EmbeddedEngine(embedder)


@pytest.fixture
def scope() -> CallScope:
    return CallScope(tenant="default", conversation_id="conv_1", run_id="run_1", meter=UsageMeter())


@pytest.fixture
def client(engine: EmbeddedEngine, scope: CallScope) -> EmbeddedClient:
    return engine.client(scope)


def prompt(**sections: Any) -> list[LLMMessage]:
    """Messages as docs/contracts.md lays them out."""
    body = "\n\n".join(
        f"<{tag}>\n{value if isinstance(value, str) else json.dumps(value)}\n</{tag}>"
        for tag, value in sections.items()
    )
    return [SystemMessage(content="Rules."), UserMessage(content=f"{body}\n\nDo your part.", source="user")]


def with_result(messages: list[LLMMessage], tool: str, content: Any, *, is_error: bool = False) -> list[LLMMessage]:
    """The messages after one tool call came back."""
    number = len(messages)
    text = content if isinstance(content, str) else json.dumps(content)
    call = FunctionCall(id=f"c{number}", name=tool, arguments="{}")
    result = FunctionExecutionResult(content=text, name=tool, call_id=f"c{number}", is_error=is_error)
    return [
        *messages,
        AssistantMessage(content=[call], source="agent"),
        FunctionExecutionResultMessage(content=[result]),
    ]


def evidence(*texts: str, **more: Any) -> dict[str, Any]:
    """A search result with these passages, best first."""
    items = [
        {"ref": f"{number:08x}", "text": text, "document": f"doc{number}.md", "score": 1 - number / 20, **more}
        for number, text in enumerate(texts, 1)
    ]
    return {"evidence": items, "answerable": 0.8, "next_cursor": None}


def told(text: str) -> str:
    """The text without citations."""
    return re.sub(r"\s*\[#\w+\]", "", text)
