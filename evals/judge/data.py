"""Question and passage pairs for training: our own questions on public handbooks, their question headings, SQuAD 2.

`questions/NAME.jsonl` holds for each question the file that answers it and where (characters of the raw file), or
neither: then no page of the handbook answers it. `questions/sources.json` says which repositories these are. Passages
are what our own search finds, so that the judge learns from what it will be shown.
"""

import json
import random
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import TypeVar

from evals.embedded.searching import Searches, searched

QUESTIONS = Path(__file__).with_name("questions")
_MARKUP = re.compile(r"\]\([^)]*\)|<[^>]+>|\{[{%][^}]*[}%]\}")
_HELD, _NOT_HELD = 0.7, 0.2
_LOOKED_AT = 9
Span = tuple[int, int]
T = TypeVar("T")


@dataclass(frozen=True)
class Pair:
    """A question with a passage; `span` is where in the body the answer stands, where that is known."""

    question: str
    title: str
    heading: str
    body: str
    answers: bool
    span: Span | None = None
    weight: float = 1.0
    kind: str = ""


async def handbook_pairs(name: str, pages: Path, work: Path, rng: random.Random) -> list[Pair]:
    """Pairs from one handbook: found passages that hold the answer, and found ones that do not."""
    lines = (QUESTIONS / f"{name}.jsonl").read_text().splitlines()
    asked = [json.loads(line) for line in lines]
    searches = await searched([each["question"] for each in asked], pages, work, judged=False)
    pairs = [pair for each in asked for pair in _of_question(each, _quote(each, pages), searches, rng)]
    return [*pairs, *_of_headings(work / "knowledge" / "record.db", rng)]


def squad_pairs(path: Path, rng: random.Random, without: frozenset[str] = frozenset()) -> list[Pair]:
    """Pairs from a file of SQuAD 2 (Rajpurkar et al. 2018); paragraphs in `without` belong to an evaluation set."""
    pairs: list[Pair] = []
    for article in json.loads(path.read_text())["data"]:
        title = article["title"].replace("_", " ")
        texts = {
            each["context"]: each["qas"] for each in article["paragraphs"] if each["context"].strip() not in without
        }
        for text, questions in texts.items():
            for asked in questions:
                given = next(iter(asked["answers"]), None)
                if asked.get("is_impossible"):
                    pairs.append(Pair(asked["question"], title, "", text, answers=False, kind="adversarial"))
                elif given:
                    start = given["answer_start"]
                    span = _sentence(text, start, start + len(given["text"]))
                    pairs.append(Pair(asked["question"], title, "", text, answers=True, span=span, kind="squad"))
                    others = _near(asked["question"], [t for t in texts if given["text"].lower() not in t.lower()])
                    if others and rng.random() < 0.5:
                        other = rng.choice(others)
                        pairs.append(Pair(asked["question"], title, "", other, answers=False, kind="elsewhere"))
    return pairs


def _of_question(asked: dict[str, str], quote: str, searches: Searches, rng: random.Random) -> Iterator[Pair]:
    found: dict[str, dict[str, str]] = {}
    for result in searches.results(asked["question"], limit=12):
        found |= {item["chunk_id"]: item for item in (result.data or {})["evidence"]}
    items = list(found.values())

    def pair(item: dict[str, str], *, answers: bool, weight: float, kind: str) -> Pair:
        span = _span(item["text"], quote) if answers else None
        return Pair(asked["question"], item["title"], item["heading"], item["text"], answers, span, weight, kind)

    if not quote:
        first = items[:2]
        for item in [*first, *_some(rng, items[2:_LOOKED_AT], 2)]:
            yield pair(item, answers=False, weight=1, kind="unanswerable")
        return
    share = {item["chunk_id"]: _share(item["text"], quote) for item in items}
    holding = [item for item in items if share[item["chunk_id"]] > _HELD][:2]
    for item in holding:
        yield pair(item, answers=True, weight=2, kind="answer")
    if holding:
        others = [item for item in items[:_LOOKED_AT] if share[item["chunk_id"]] < _NOT_HELD]
        for item in _some(rng, [each for each in others if each["document"] != asked["file"]], 3):
            yield pair(item, answers=False, weight=1, kind="other page")
        for item in _some(rng, [each for each in others if each["document"] == asked["file"]], 1):
            yield pair(item, answers=False, weight=0.6, kind="same page")


def _of_headings(record: Path, rng: random.Random) -> Iterator[Pair]:
    """A heading that asks, with its section and with others of its page."""
    with sqlite3.connect(record) as connection:
        rows = connection.execute("SELECT document_id, title, heading, body FROM knowledge_chunk").fetchall()
    for document, title, heading, body in rows:
        parents, _, asked = heading.rpartition(" › ")
        text = body.removeprefix(asked).strip()
        if not asked.rstrip().endswith("?") or len(asked.split()) < 4 or len(text.split()) < 12:
            continue
        yield Pair(asked, title, parents, text, answers=True, kind="heading")
        others = [row for row in rows if row[0] == document and row[2] != heading and asked not in row[3]]
        for _, _, other, held in _some(rng, others, 2):
            yield Pair(asked, title, other, held, answers=False, kind="other heading")


def _quote(asked: dict[str, str | int | None], pages: Path) -> str:
    if not asked["file"]:
        return ""
    text = (pages / str(asked["file"])).read_text(errors="replace")
    return text[asked["start"] : asked["end"]]  # type: ignore[misc]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", _MARKUP.sub(" ", text).lower())


def _share(text: str, quote: str) -> float:
    """How much of a quote a text holds, counted in runs of four words."""
    words, held = _words(quote), " ".join(_words(text))
    runs = [" ".join(words[at : at + 4]) for at in range(max(1, len(words) - 3))]
    return sum(run in held for run in runs) / len(runs)


def _span(body: str, quote: str) -> Span | None:
    places = [(match[0].lower(), *match.span()) for match in re.finditer(r"[A-Za-z0-9]+", body)]
    matcher = SequenceMatcher(None, [word for word, *_ in places], _words(quote), autojunk=False)
    blocks = [block for block in matcher.get_matching_blocks() if block.size >= 3]
    return (places[blocks[0].a][1], places[blocks[-1].a + blocks[-1].size - 1][2]) if blocks else None


def _sentence(text: str, start: int, end: int) -> Span:
    before, after = text.rfind(". ", 0, start), text.find(". ", end)
    return (before + 2 if before >= 0 else 0, after + 1 if after >= 0 else len(text))


def _near(question: str, texts: Sequence[str]) -> list[str]:
    asked = {word for word in _words(question) if len(word) > 3}
    return sorted(texts, key=lambda text: -len(asked & set(_words(text))))[:3]


def _some(rng: random.Random, items: Sequence[T], count: int) -> list[T]:
    return rng.sample(items, min(count, len(items)))
