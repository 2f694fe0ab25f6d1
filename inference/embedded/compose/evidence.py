"""Evidence as docs/contracts.md has it, whatever tool it came from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from inference.embedded.prompt_reader import ToolResult, reference_of


@dataclass(frozen=True)
class Passage:
    """One citable passage; `likeness` and `answers` are what the search says of it and the question, where it does."""

    ref: str
    text: str
    title: str = ""
    heading: str = ""
    document: str = ""
    modified: str = ""
    score: float = 0.0
    likeness: float | None = None
    answers: float | None = None


@dataclass(frozen=True)
class Evidence:
    """All passages of a call, best first."""

    passages: tuple[Passage, ...]


def gather(results: Iterable[ToolResult], *, max_chars: int) -> Evidence:
    """The passages of all results that hold any, without repeats, bounded in characters."""
    passages: dict[str, Passage] = {}
    for result in results:
        data = result.data or {}
        items = data.get("evidence")
        for item in items if isinstance(items, list) else [_as_item(result)]:
            if isinstance(item, Mapping) and str(item.get("text", "")).strip():
                passage = _passage(item)
                passages.setdefault(passage.ref, passage)
    kept: list[Passage] = []
    for passage in sorted(passages.values(), key=lambda each: -each.score):
        max_chars -= len(passage.text)
        if max_chars < 0 and kept:
            break
        kept.append(passage)
    return Evidence(tuple(kept))


def _as_item(result: ToolResult) -> Mapping[str, Any]:
    return {"ref": reference_of(result.text), "text": result.text, "document": result.tool, "score": 0.5}


def _passage(item: Mapping[str, Any]) -> Passage:
    text = str(item["text"])
    heading = item.get("heading") or ""
    return Passage(
        ref=str(item.get("ref") or str(item.get("chunk_id", ""))[:8] or reference_of(text)),
        text=text,
        title=str(item.get("title") or ""),
        heading=" › ".join(map(str, heading)) if isinstance(heading, list) else str(heading),
        document=str(item.get("document") or ""),
        modified=str(item.get("modified") or "")[:10],
        score=_number(item, "score") or 0.0,
        likeness=_number(item, "likeness"),
        answers=_number(item, "answers"),
    )


def _number(item: Mapping[str, Any], name: str) -> float | None:
    value = item.get(name)
    return float(value) if isinstance(value, int | float) else None
