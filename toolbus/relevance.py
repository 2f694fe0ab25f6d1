"""Where many tools are installed, only those that fit the step's task are offered to its model.

A tool that searches says that it searches, not what is there to be found: no task is like its text. So a part of the
places is kept for such tools, the best of them; the others go by meaning.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence

from knowledge.contracts import Embedder
from toolbus.contracts import ToolSpec

_REMEMBERED = 256
_WORD = re.compile(r"[a-z0-9]+")
_SEARCHES = frozenset({"search", "find", "query", "lookup", "ask"})
_KEPT_FOR_SEARCH = 0.4  # of the places
_NAME_WEIGHT = 0.15  # what a full match of the words of a tool's name adds to the cosine


class ToolRanker:
    """Ranks tools by the meaning of their text, helped by the words of their names; vectors are kept by pin."""

    def __init__(self, embedder: Embedder, limit: int) -> None:
        self._embedder = embedder
        self._limit = limit
        self._vectors: dict[str, object] = {}
        self._answers: OrderedDict[tuple[str, tuple[str, ...]], frozenset[str]] = OrderedDict()

    async def narrow(self, task: str, tools: Sequence[ToolSpec], always: Sequence[str] = ()) -> list[ToolSpec]:
        """At most `limit` tools, those named in `always` among them, in the order in which they came."""
        if len(tools) <= self._limit or not task.strip():
            return list(tools)
        key = (task, tuple(tool.pin for tool in tools))
        chosen = self._answers.get(key)
        if chosen is None:
            chosen = await self._choose(task, tools, frozenset(always))
            self._answers[key] = chosen
            if len(self._answers) > _REMEMBERED:
                self._answers.popitem(last=False)
        return [tool for tool in tools if tool.name in chosen]

    async def _choose(self, task: str, tools: Sequence[ToolSpec], always: frozenset[str]) -> frozenset[str]:
        missing = [tool for tool in tools if tool.pin not in self._vectors]
        texts = [text for tool in missing for text in _texts(tool)]
        vectors = await self._embedder.embed([*texts, task])
        for index, tool in enumerate(missing):
            # The mean of its whole text, its description and its name: none of them alone decides.
            self._vectors[tool.pin] = sum(vectors[index * _TEXTS : (index + 1) * _TEXTS]) / _TEXTS
        query, words = vectors[-1], frozenset(_stems(task))
        scores = {tool.name: self._score(tool, query, words) for tool in tools}
        ranked = sorted(scores, key=lambda name: (name not in always, -scores[name]))
        searching = {tool.name for tool in tools if not _SEARCHES.isdisjoint(_stems(_spaced(tool.tool)))}
        kept = [name for name in ranked if name in searching][: int(self._limit * _KEPT_FOR_SEARCH)]
        named = [name for name in ranked if name in always]
        return frozenset(list(dict.fromkeys([*named, *kept, *ranked]))[: self._limit])

    def _score(self, tool: ToolSpec, query: object, words: frozenset[str]) -> float:
        cosine = float(self._vectors[tool.pin] @ query)  # pyright: ignore[reportOperatorIssue] - numpy, not named here
        name = frozenset(_stems(_spaced(tool.name)))
        return cosine + _NAME_WEIGHT * len(name & words) / max(1, len(name))


_TEXTS = 3


def _texts(tool: ToolSpec) -> tuple[str, str, str]:
    parameters = ", ".join(_spaced(str(name)) for name in tool.input_schema.get("properties", {}))
    name, description = _spaced(tool.name), tool.description[:400]
    whole = f"{name}. {description}" + (f" ({parameters})" if parameters else "")
    return whole, description or name, name


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[_-]+", " ", name)


def _stems(text: str) -> list[str]:
    return [word.removesuffix("s") for word in _WORD.findall(text.lower())]
